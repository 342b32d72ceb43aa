"""Steps through a kernel with all threads of all work-groups at once.

Threads that are at one place go on together. Where some of a warp branch and others do not, those
that are furthest behind in the text go first; at an instruction for whole warps (ldmatrix, mma) a
warp waits for all of its threads, and a group at a barrier for all of its own. Who waits for
threads that never come is a fault.

PTX promises less: threads of a warp that went apart need not be together again before a barrier of
the warp or the group. An instruction for whole warps in between is a fault, too.
"""

import dataclasses

import numpy as np

from .access import translate
from .copies import LATE, Copies
from .instructions import WINDOW, dtype_of
from .memory import Clock, Fault, GlobalMemory, Memory
from .parse import Block, Instruction, Kernel, Register, Unknown, is_barrier

WARP = 32
# Blocks that a launch may go through: none of ours takes a hundredth.
MOST_BLOCKS = 200_000
RUNS, WAITS_FOR_WARP, WAITS_FOR_GROUP, DONE = range(4)


@dataclasses.dataclass
class Launch:
    """`groups` work-groups in each dimension, of `items` threads in a row; arguments as the kernel
    declares them. `shared_is_generic` passes pointers to shared memory as generic addresses."""

    groups: tuple[int, int, int]
    items: int
    arguments: list[int | float]
    copies: str = LATE
    shared_is_generic: bool = False


@dataclasses.dataclass
class Step:
    run: object
    instruction: Instruction


@dataclasses.dataclass
class TranslatedBlock:
    steps: list[Step]
    end: Instruction | None  # jump or barrier
    target: int | None
    next: int
    needs_warps: Instruction | None  # the first instruction for whole warps


class Program:
    """A kernel, translated once for any number of launches."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.blocks = [self.translated(block) for block in kernel.blocks]

    def translated(self, block: Block) -> TranslatedBlock:
        *body, last = block.instructions
        is_end = last.name in ("bra", "ret", "exit") or is_barrier(last.parts)
        if not is_end:
            body.append(last)
        if is_end and is_barrier(last.parts) and last.guard:
            raise Unknown(f"line {last.line}: a barrier with a predicate")
        target = self.kernel.labels[last.operands[0].name] if last.name == "bra" else None
        return TranslatedBlock(
            [Step(translate(each, self.kernel), each) for each in body], last if is_end else None,
            target, block.next, next((each for each in body if each.is_aligned), None))

    def run(self, launch: Launch, memory: GlobalMemory) -> None:
        """Runs all work-groups to their end."""
        with np.errstate(all="ignore"):
            State(self, launch, memory).run()


class State:
    """Registers, memory and places of all threads."""

    def __init__(self, program: Program, launch: Launch, memory: GlobalMemory) -> None:
        self.program, self.launch, kernel = program, launch, program.kernel
        if launch.items % WARP:
            raise Unknown(f"groups of {launch.items} threads, no multiple of {WARP}")
        self.group_count = int(np.prod(launch.groups))
        self.threads = self.group_count * launch.items
        self.all_lanes = np.arange(self.threads)
        self.registers: list[np.ndarray | None] = [None] * len(kernel.registers)
        self.types = [dtype_of(kind) for kind in kernel.registers]
        self.parameters = self.passed(launch.arguments)
        self.clock = Clock.of(self.group_count, launch.items)
        self.memory = memory.begin(self.clock)
        self.shared_base = WINDOW if launch.shared_is_generic else 0
        self.lay_out_shared(kernel)
        self.local_size = -(-max(
            (each.address + each.size for each in kernel.local.values()), default=0) // 16) * 16
        self.local = Memory("local memory", self.local_size * self.threads, None, self.local_size)
        self.local.exists[:] = True
        self.copies = Copies(launch.copies, self.threads, self.shared, self.memory)
        self.at = np.zeros(self.threads, np.int32)  # block of each thread
        self.status = np.full(self.threads, RUNS, np.int8)
        self.is_apart = np.zeros(self.threads // WARP, bool)  # warps, since their last barrier

    def lay_out_shared(self, kernel: Kernel) -> None:
        variables = kernel.shared.values()
        self.shared_size = -(-max(
            (each.address + each.size for each in variables), default=0) // 128) * 128
        self.shared = Memory("shared memory", self.shared_size * self.group_count, self.clock,
                             self.shared_size)
        exists = self.shared.exists.reshape(self.group_count, -1) if self.shared_size else None
        for each in variables:
            exists[:, each.address // 2:(each.address + each.size) // 2] = True

    def passed(self, arguments: list[int | float]) -> dict[str, np.ndarray]:
        declared = self.program.kernel.parameters
        if len(arguments) != len(declared):
            raise Unknown(f"{self.program.kernel.name} takes {len(declared)} arguments, not"
                          f" {len(arguments)}")
        found = {}
        for (name, kind), value in zip(declared, arguments, strict=True):
            wanted = dtype_of(kind)
            bits = value if isinstance(value, float) else int(value) % (1 << 8 * wanted.itemsize)
            found[name] = np.array([bits], wanted if isinstance(value, float)
                                   else f"u{wanted.itemsize}")
        return found

    # MARK: What instructions see

    def read(self, register: Register) -> np.ndarray:
        values = self.registers[register.index]
        if values is None:
            raise Fault("reads a register that was never written")
        return values

    def write(self, register: Register, values: np.ndarray, mask: np.ndarray | None) -> None:
        if values.ndim == 0:
            values = np.full(self.threads, values, self.types[register.index])
        if mask is not None:
            before = self.registers[register.index]
            values = np.where(mask, values, values.dtype.type(0) if before is None else before)
        self.registers[register.index] = values

    def broadcast(self, values: np.ndarray) -> np.ndarray:
        if np.shape(values) == (self.threads,):
            return values
        return np.full(self.threads, np.asarray(values).reshape(-1)[0])

    def lanes(self, mask: np.ndarray | None) -> np.ndarray:
        return self.all_lanes if mask is None else np.flatnonzero(mask)

    def spread(
        self, values: np.ndarray, lanes: np.ndarray, mask: np.ndarray | None
    ) -> np.ndarray:
        """Values of some threads as an array of all."""
        if mask is None:
            return values
        found = np.zeros(self.threads, values.dtype)
        found[lanes] = values
        return found

    def special(self, name: str) -> np.ndarray:
        items, groups = self.launch.items, self.launch.groups
        kind, _, axis = name.partition(".")
        if kind == "laneid":
            return self.all_lanes % WARP
        if kind == "ntid":
            return np.full(self.threads, items if axis == "x" else 1)
        if kind == "tid":
            return self.all_lanes % items if axis == "x" else np.zeros(self.threads, int)
        index = "xyz".index(axis)
        if kind == "nctaid":
            return np.full(self.threads, groups[index])
        return self.all_lanes // items // int(np.prod(groups[:index])) % groups[index]

    def is_in_window(self, addresses: np.ndarray) -> np.ndarray:
        places = np.asarray(addresses).astype(np.int64) - WINDOW
        return (places >= 0) & (places < max(1, self.shared_size))

    def shared_places(self, places: np.ndarray, lanes: np.ndarray) -> np.ndarray:
        """Addresses within shared memory, of each thread's own group."""
        wrong = (places < 0) | (places >= self.shared_size)
        if wrong.any():
            first = int(np.argmax(wrong))
            raise Fault(f"shared memory: byte {places[first]} is out of bounds", int(lanes[first]))
        return places + self.clock.group[lanes] * self.shared_size

    def places(
        self, space: str, addresses: np.ndarray, lanes: np.ndarray
    ) -> tuple[Memory, np.ndarray]:
        addresses = addresses[lanes]
        if space == "global":
            return self.memory, addresses - GlobalMemory.BASE
        if space == "shared":
            return self.shared, self.shared_places(addresses - self.shared_base, lanes)
        return self.local, addresses + lanes * self.local_size

    # MARK: Steps

    def run(self) -> None:
        together: int | None = 0  # the block where all threads are, if they are
        for _ in range(MOST_BLOCKS):
            if together is not None:
                here, mask = together, None
            else:
                found = self.next_threads()
                if found is None:
                    return
                here, mask = found
            together = self.step(here, mask)
        raise Fault(f"goes through more than {MOST_BLOCKS} blocks: it hangs")

    def next_threads(self) -> tuple[int, np.ndarray | None] | None:
        """The block furthest behind, and who is there; None where all threads are done."""
        while True:
            runs = self.status == RUNS
            if not runs.any():
                if (self.status == DONE).all():
                    return None
                self.open_barriers()
                continue
            here = int(self.at[runs].min())
            mask = (self.at == here) & (self.status < WAITS_FOR_GROUP)
            if self.program.blocks[here].needs_warps:
                whole = mask.reshape(-1, WARP).all(axis=1).repeat(WARP)
                self.status[mask & ~whole] = WAITS_FOR_WARP
                self.status[mask & whole] = RUNS
                mask &= whole
            if mask.any():
                return here, None if mask.all() else mask

    def step(self, here: int, mask: np.ndarray | None) -> int | None:
        """Runs a block; where all threads are then, if they are at one place."""
        block = self.program.blocks[here]
        if block.needs_warps:
            self.demand_together(block.needs_warps, mask)
        for step in block.steps:
            try:
                step.run(self, mask)
            except Fault as fault:
                raise self.located(fault, step.instruction) from None
        if block.end is None:
            return self.go(mask, block.next)
        if is_barrier(block.end.parts):
            return self.reach_barrier(block, mask)
        taken: np.ndarray | None = None
        if block.end.guard:
            register, is_negated = block.end.guard
            holds = self.read(register) != is_negated
            taken = holds if mask is None else holds & mask
            if not taken.any():
                return self.go(mask, block.next)
            others = ~holds if mask is None else mask & ~holds
            if others.any():
                self.is_apart |= taken.reshape(-1, WARP).any(axis=1) \
                    & others.reshape(-1, WARP).any(axis=1)
                self.jump(others, block.next)
                self.jump(taken, block.target)
                return None
        return self.go(mask, block.target)

    def go(self, mask: np.ndarray | None, to: int | None) -> int | None:
        """All of the mask go to a block, or are done."""
        if mask is None and to is not None and to < len(self.program.blocks):
            self.at[:] = to
            return to
        self.jump(self.all_lanes if mask is None else mask, to)
        is_together = (self.status == RUNS).all() and (self.at == self.at[0]).all()
        return int(self.at[0]) if is_together \
            and not self.program.blocks[self.at[0]].needs_warps else None

    def jump(self, which: np.ndarray, to: int | None) -> None:
        if to is None or to >= len(self.program.blocks):
            self.status[which] = DONE
        else:
            self.at[which] = to

    def reach_barrier(self, block: TranslatedBlock, mask: np.ndarray | None) -> int | None:
        if mask is None:
            self.pass_barrier(self.all_lanes, block.end.parts[1] == "warp")
            return self.go(None, block.next)
        self.status[mask] = WAITS_FOR_GROUP
        return None

    def pass_barrier(self, lanes: np.ndarray, of_warps: bool) -> None:
        self.clock.warp_barriers[lanes] += 1
        if not of_warps:
            self.clock.group_barriers[lanes] += 1
        self.is_apart[lanes // WARP] = False

    def open_barriers(self) -> None:
        """Lets those go on whose whole group, or warp, is at one barrier; a fault where none is."""
        opened = False
        for here in np.unique(self.at[self.status == WAITS_FOR_GROUP]):
            block = self.program.blocks[here]
            of_warps = block.end.parts[1] == "warp"
            size = WARP if of_warps else self.launch.items
            waits = (self.status == WAITS_FOR_GROUP) & (self.at == here)
            lanes = np.flatnonzero(waits.reshape(-1, size).all(axis=1).repeat(size))
            if len(lanes):
                opened = True
                self.status[lanes] = RUNS
                self.pass_barrier(lanes, of_warps)
                self.jump(lanes, block.next)
        if not opened:
            self.complain_of_waiting()

    # MARK: Faults

    def demand_together(self, instruction: Instruction, mask: np.ndarray | None) -> None:
        apart = self.is_apart
        if mask is not None:
            apart = apart & mask.reshape(-1, WARP).any(axis=1)
        if apart.any():
            raise self.located(Fault(
                "threads of the warp went apart, and no barrier has brought them together",
                int(np.argmax(apart)) * WARP), instruction)

    def complain_of_waiting(self) -> None:
        first = int(np.flatnonzero((self.status == WAITS_FOR_WARP)
                                   | (self.status == WAITS_FOR_GROUP))[0])
        block = self.program.blocks[self.at[first]]
        instruction = block.needs_warps if self.status[first] == WAITS_FOR_WARP else block.end
        size = WARP if self.status[first] == WAITS_FOR_WARP else self.launch.items
        others = np.arange(first // size * size, first // size * size + size)
        away = others[(self.at[others] != self.at[first]) | (self.status[others] == DONE)]
        what = "have left the kernel" if (self.status[away] == DONE).all() else "are elsewhere"
        raise self.located(Fault(
            f"waits for all of {'its warp' if size == WARP else 'its group'}, of which {len(away)}"
            f" of {size} threads {what}", first), instruction)

    def located(self, fault: Fault, instruction: Instruction) -> Fault:
        where = ""
        if fault.lane is not None:
            group, item = divmod(fault.lane, self.launch.items)
            where = f", group {group}, item {item}"
        return Fault(f"{self.program.kernel.name}, line {instruction.line} of the PTX{where}:"
                     f" `{instruction.text}`: {fault}", fault.lane)
