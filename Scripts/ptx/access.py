"""What instructions do to memory: loads, stores, matrices from shared memory, copies into it."""

from collections.abc import Callable

import numpy as np

from . import matrices
from .instructions import TRANSLATIONS, Step, dtype_of, reader, writer
from .memory import UNIT, GlobalMemory
from .parse import Address, Instruction, Kernel, Operand, Symbol, Unknown, Vector


def address(operand: Operand, kernel: Kernel) -> Callable[[object], np.ndarray]:
    """A thread's address, as a whole number with a sign."""
    if not isinstance(operand, Address):
        raise Unknown(f"{operand} is not an address")
    base, offset = operand.base, operand.offset
    kind = "u64"
    if not isinstance(base, Symbol) and getattr(base, "type", "b64") in ("b32", "u32"):
        kind = "u32"
    read = reader(base, kind, kernel)
    return lambda state: state.broadcast(read(state)).astype(np.int64) + offset


def vector_of(operand: Operand) -> list[Operand]:
    return list(operand.items) if isinstance(operand, Vector) else [operand]


def space_of(instruction: Instruction) -> str:
    """The state space that a load or store names."""
    for part in instruction.parts[1:]:
        if part in ("param", "shared", "global", "local"):
            return part
    raise Unknown(f"`{'.'.join(instruction.parts)}`: generic addresses")


def known_parts(instruction: Instruction, known: tuple[str, ...]) -> None:
    unknown = [part for part in instruction.parts[1:-1] if part not in known]
    if unknown:
        raise Unknown(f"`{'.'.join(instruction.parts)}`")


def load(instruction: Instruction, kernel: Kernel) -> Step:
    known_parts(instruction, ("param", "shared", "global", "local", "v2", "v4", "nc", "volatile"))
    kind, space = instruction.parts[-1], space_of(instruction)
    to, source = instruction.operands
    writes = [writer(each) for each in vector_of(to)]
    if space == "param":
        return load_parameter(source, kind, writes)
    locate, wanted = address(source, kernel), dtype_of(kind)
    if wanted.itemsize < UNIT:
        raise Unknown("loads of single bytes")

    def step(state, mask: np.ndarray | None) -> None:
        lanes = state.lanes(mask)
        memory, places = state.places(space, locate(state), lanes)
        halves = memory.read(places, wanted.itemsize * len(writes), lanes)
        found = np.ascontiguousarray(halves).view(wanted)
        for index, write in enumerate(writes):
            write(state, state.spread(found[:, index], lanes, mask), mask)

    return step


def load_parameter(source: Operand, kind: str, writes: list[Callable]) -> Step:
    if not isinstance(source, Address) or not isinstance(source.base, Symbol) or source.offset \
            or len(writes) != 1:
        raise Unknown(f"parameter {source}")
    name, wanted = source.base.name, dtype_of(kind)
    return lambda state, mask: writes[0](
        state, state.broadcast(state.parameters[name].view(wanted)), mask)


def store(instruction: Instruction, kernel: Kernel) -> Step:
    known_parts(instruction, ("shared", "global", "local", "v2", "v4", "volatile"))
    kind, space = instruction.parts[-1], space_of(instruction)
    locate = address(instruction.operands[0], kernel)
    reads = [reader(each, kind, kernel) for each in vector_of(instruction.operands[1])]
    if dtype_of(kind).itemsize < UNIT:
        raise Unknown("stores of single bytes")

    def step(state, mask: np.ndarray | None) -> None:
        lanes = state.lanes(mask)
        memory, places = state.places(space, locate(state), lanes)
        values = np.stack([state.broadcast(read(state))[lanes] for read in reads], axis=1)
        memory.write(places, values.view(np.uint16), lanes)

    return step


def load_matrix(instruction: Instruction, kernel: Kernel) -> Step:
    known_parts(instruction, ("sync", "aligned", "m8n8", "x1", "x2", "x4", "trans", "shared"))
    text = ".".join(instruction.parts)
    to = vector_of(instruction.operands[0])
    if not text.startswith(f"ldmatrix.sync.aligned.m8n8.x{len(to)}.") \
            or not text.endswith(".shared.b16"):
        raise Unknown(f"`{text}` of {len(to)} registers")
    writes = [writer(each) for each in to]
    locate, turned = address(instruction.operands[1], kernel), "trans" in instruction.parts

    def step(state, mask: np.ndarray | None) -> None:
        lanes = state.lanes(mask)
        places = state.shared_places(locate(state)[lanes], lanes)
        found = matrices.load_matrices(state.shared, places, lanes, len(writes), turned)
        for write, values in zip(writes, found, strict=True):
            write(state, state.spread(values, lanes, mask), mask)

    return step


def multiply_add(instruction: Instruction, kernel: Kernel) -> Step:
    text = ".".join(instruction.parts)
    if text != "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32":
        raise Unknown(f"`{text}`")
    operands = [vector_of(each) for each in instruction.operands]
    if [len(each) for each in operands] != [4, 4, 2, 4]:
        raise Unknown(f"operands of `{instruction.text}`")
    writes = [writer(each) for each in operands[0]]
    reads = [[reader(each, kind, kernel) for each in vector]
             for vector, kind in zip(operands[1:], ("b32", "b32", "f32"), strict=True)]

    def step(state, mask: np.ndarray | None) -> None:
        lanes = state.lanes(mask)
        a, b, c = [[state.broadcast(read(state))[lanes] for read in each] for each in reads]
        for write, values in zip(writes, matrices.multiply_add(a, b, c), strict=True):
            write(state, state.spread(values, lanes, mask), mask)

    return step


def copy(instruction: Instruction, kernel: Kernel) -> Step:
    """cp.async and what ends and awaits its groups."""
    text = ".".join(instruction.parts)
    if text == "cp.async.commit_group":
        return lambda state, mask: state.copies.commit(state.lanes(mask))
    if text in ("cp.async.wait_group", "cp.async.wait_all"):
        if text.endswith("all"):  # and of what no group has
            raise Unknown(f"`{text}`")
        count = instruction.operands[0].value
        return lambda state, mask: state.copies.wait(state.lanes(mask), count)
    if text != "cp.async.cg.shared.global" or getattr(instruction.operands[2], "value", 0) != 16:
        raise Unknown(f"`{instruction.text}`")
    to, source = [address(each, kernel) for each in instruction.operands[:2]]
    size = reader(instruction.operands[3], "u32", kernel) if len(instruction.operands) > 3 \
        else lambda state: np.uint32(16)

    def step(state, mask: np.ndarray | None) -> None:
        lanes = state.lanes(mask)
        state.copies.begin(
            lanes, state.shared_places(to(state)[lanes], lanes),
            source(state)[lanes] - GlobalMemory.BASE,
            state.broadcast(size(state))[lanes].astype(np.int64))

    return step


ACCESSES: dict[str, Callable[[Instruction, Kernel], Step]] = {
    "ld": load, "st": store, "ldmatrix": load_matrix, "mma": multiply_add, "cp": copy,
}


def translate(instruction: Instruction, kernel: Kernel) -> Step:
    """What the instruction does to the threads of a mask; of those, where it has a guard, to the
    ones whose predicate holds."""
    make = ACCESSES.get(instruction.name) or TRANSLATIONS.get(instruction.name)
    if make is None:
        raise Unknown(f"line {instruction.line}: unknown instruction `{instruction.text}`")
    try:
        step = make(instruction, kernel)
    except (Unknown, ValueError, IndexError, KeyError, AttributeError) as problem:
        raise Unknown(f"line {instruction.line}: `{instruction.text}`: {problem}") from None
    if instruction.guard is None:
        return step
    register, is_negated = instruction.guard

    def guarded(state, mask: np.ndarray | None) -> None:
        holds = state.read(register) != is_negated
        holds = holds if mask is None else holds & mask
        if holds.any():
            step(state, None if holds.all() else holds)

    return guarded
