"""What each instruction does to the registers of threads: arithmetic, conversions, memory.

`translate` makes a function of an instruction: it is given the state of all threads (execute.py)
and those that take part, None for all. A register is an array with an element a thread.
"""

from collections.abc import Callable

import numpy as np

from .memory import Fault
from .parse import Instruction, Kernel, Number, Operand, Register, Special, Symbol, \
    Unknown, Vector

DTYPES = {
    "pred": np.bool_, "b8": np.uint8, "u8": np.uint8, "s8": np.int8, "b16": np.uint16,
    "u16": np.uint16, "s16": np.int16, "f16": np.float16, "b32": np.uint32, "u32": np.uint32,
    "s32": np.int32, "f32": np.float32, "f16x2": np.uint32, "b64": np.uint64, "u64": np.uint64,
    "s64": np.int64, "f64": np.float64,
}
WIDER = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}
Step = Callable[[object, np.ndarray | None], None]


def dtype_of(kind: str) -> np.dtype:
    if kind not in DTYPES:
        raise Unknown(f"unknown type .{kind}")
    return np.dtype(DTYPES[kind])


def converted(values: np.ndarray, wanted: np.dtype) -> np.ndarray:
    """The low bits of a register as another type; a wider one is filled by sign or with zeros."""
    if values.dtype == wanted:
        return values
    if values.dtype.itemsize == wanted.itemsize:
        return values.view(wanted)
    return values.view(f"{values.dtype.kind if values.dtype.kind in 'iu' else 'u'}"
                       f"{values.dtype.itemsize}").astype(wanted)


def reader(operand: Operand, kind: str, kernel: Kernel) -> Callable[[object], np.ndarray]:
    """Reads an operand as a type: an array, or a scalar for what all threads share."""
    wanted = dtype_of(kind)
    if isinstance(operand, Register):
        return lambda state: converted(state.read(operand), wanted)
    if isinstance(operand, Number):
        constant = number(operand, wanted)
        return lambda state: constant
    if isinstance(operand, Special):
        return lambda state: state.special(operand.name).astype(wanted)
    if isinstance(operand, Symbol):
        if operand.name in kernel.shared:
            place = kernel.shared[operand.name].address
            return lambda state: wanted.type(state.shared_base + place)
        if operand.name in kernel.local:
            return lambda state: wanted.type(kernel.local[operand.name].address)
    raise Unknown(f"unknown operand {operand}")


def number(operand: Number, wanted: np.dtype) -> np.generic:
    bits = np.dtype(f"u{operand.float_size or wanted.itemsize}")
    value = np.array(operand.value & ((1 << 8 * bits.itemsize) - 1), bits)
    if wanted == np.bool_:
        return np.bool_(operand.value != 0)
    if operand.float_size and operand.float_size != wanted.itemsize:
        raise Unknown("a float of another size")
    return value.view(wanted)[()]


def writer(operand: Operand) -> Callable[[object, np.ndarray, np.ndarray | None], None]:
    if not isinstance(operand, Register):
        raise Unknown(f"{operand} is not a register to write to")
    wanted = dtype_of(operand.type)
    return lambda state, values, mask: state.write(operand, converted(values, wanted), mask)


# MARK: Arithmetic


def truncated_quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    wide_a, wide_b = np.asarray(a, object if a.dtype == np.uint64 else np.int64), np.asarray(b)
    divisor = np.where(wide_b == 0, 1, wide_b).astype(wide_a.dtype)
    quotient = np.abs(wide_a) // np.abs(divisor)
    return (np.where((wide_a < 0) != (divisor < 0), -quotient, quotient)).astype(a.dtype)


def remainder(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a - truncated_quotient(a, b) * b


def shift_left(a: np.ndarray, count: np.ndarray) -> np.ndarray:
    bits = 8 * a.dtype.itemsize
    shifted = a << np.minimum(count, bits - 1).astype(a.dtype)
    return np.where(count >= bits, a.dtype.type(0), shifted)


def shift_right(a: np.ndarray, count: np.ndarray) -> np.ndarray:
    bits = 8 * a.dtype.itemsize
    shifted = a >> np.minimum(count, bits - 1).astype(a.dtype)
    return shifted if a.dtype.kind == "i" else np.where(count >= bits, a.dtype.type(0), shifted)


def high_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    bits = 8 * a.dtype.itemsize
    if bits == 64:
        return high_product_of_64(a, b)
    wide = np.dtype(f"{a.dtype.kind}8")
    return ((a.astype(wide) * b.astype(wide)) >> wide.type(bits)).astype(a.dtype)


def high_product_of_64(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """By halves of 32 bits, of numbers without a sign; what signs make of it is taken off."""
    low, shift = np.uint64(0xFFFF_FFFF), np.uint64(32)
    x, y = a.astype(np.uint64), b.astype(np.uint64)
    middle = (x >> shift) * (y & low) + ((x & low) * (y & low) >> shift)
    other = (x & low) * (y >> shift) + (middle & low)
    high = (x >> shift) * (y >> shift) + (middle >> shift) + (other >> shift)
    if a.dtype.kind == "i":
        high = high - np.where(a < 0, y, np.uint64(0)) - np.where(b < 0, x, np.uint64(0))
    return high.astype(a.dtype)


def fused(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a·b + c, rounded once. The product is exact in double; the sum is rounded to odd there, so
    that rounding it again is right."""
    if a.dtype != np.float32:
        raise Unknown("fma of other than floats")
    product, added = a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64)
    total = np.atleast_1d(product + added)
    other = total - product
    error = (product - (total - other)) + (added - other)
    bits = total.view(np.int64)
    inexact = np.isfinite(total) & (error != 0) & (bits & 1 == 0) & (total != 0)
    step = np.where((error > 0) == (total > 0), 1, -1)
    return np.where(inexact, bits + step, bits).view(np.float64).astype(np.float32)


BINARY = {
    "add": np.add, "sub": np.subtract, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor, "div": np.divide, "rem": remainder,
}
UNARY = {"neg": np.negative, "not": np.invert, "abs": np.abs}
COMPARISONS = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "lo": np.less, "ls": np.less_equal, "hi": np.greater,
    "hs": np.greater_equal,
}
APPROXIMATIONS = {
    "ex2": np.exp2, "lg2": np.log2, "sin": np.sin, "cos": np.cos, "rcp": np.reciprocal,
    "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x),
}


def elementwise(
    function: Callable, instruction: Instruction, kernel: Kernel, kinds: list[str]
) -> Step:
    """The first operand is made of the others, which have the types `kinds`."""
    write = writer(instruction.operands[0])
    if len(kinds) != len(instruction.operands) - 1:
        raise Unknown(f"operands of `{instruction.text}`")
    reads = [reader(operand, kind, kernel)
             for operand, kind in zip(instruction.operands[1:], kinds, strict=True)]
    return lambda state, mask: write(state, function(*[read(state) for read in reads]), mask)


def arithmetic(instruction: Instruction, kernel: Kernel) -> Step:
    kind = instruction.parts[-1]
    name, is_float = instruction.name, kind.startswith("f")
    demand_rounding(instruction)
    if name in ("min", "max"):
        function = {"min": (np.minimum, np.fmin), "max": (np.maximum, np.fmax)}[name][is_float]
    elif name == "div" and not is_float:
        return division(truncated_quotient, instruction, kernel, kind)
    elif name == "rem":
        return division(remainder, instruction, kernel, kind)
    elif name in UNARY:
        return elementwise(UNARY[name], instruction, kernel, [kind])
    else:
        function = BINARY[name]
    return elementwise(function, instruction, kernel, [kind, kind])


def demand_rounding(instruction: Instruction) -> None:
    """Only rounding to nearest, without flushing to zero or saturation, is known here."""
    known = {"rn", "lo", "hi", "wide", "approx", "ftz"}
    unknown = [part for part in instruction.parts[1:-1] if part not in known]
    if unknown or "ftz" in instruction.parts and "approx" not in instruction.parts:
        raise Unknown(f"`{'.'.join(instruction.parts)}`")


def division(
    function: Callable, instruction: Instruction, kernel: Kernel, kind: str
) -> Step:
    read = reader(instruction.operands[2], kind, kernel)
    divide = elementwise(function, instruction, kernel, [kind, kind])

    def step(state, mask: np.ndarray | None) -> None:
        is_zero = state.broadcast(read(state) == 0)
        if mask is not None:
            is_zero = is_zero & mask
        if is_zero.any():
            raise Fault("divides by zero", int(np.argmax(is_zero)))
        divide(state, mask)

    return step


def product(instruction: Instruction, kernel: Kernel) -> Step:
    """mul and mad: of integers the low half, the high half, or all; of floats rounded."""
    kind, parts = instruction.parts[-1], instruction.parts
    demand_rounding(instruction)
    if parts[0] == "fma":
        return elementwise(fused, instruction, kernel, [kind] * 3)
    if "wide" in parts:
        wide = dtype_of(WIDER[kind])
        multiply, last = lambda a, b: a.astype(wide) * b.astype(wide), WIDER[kind]
    elif "hi" in parts:
        multiply, last = high_product, kind
    elif "lo" in parts or kind.startswith("f") and parts[0] == "mul":
        multiply, last = np.multiply, kind
    else:
        raise Unknown(f"`{'.'.join(parts)}`")
    if parts[0] == "mul":
        return elementwise(multiply, instruction, kernel, [kind, kind])
    return elementwise(
        lambda a, b, c: multiply(a, b) + c, instruction, kernel, [kind, kind, last])


def shift(instruction: Instruction, kernel: Kernel) -> Step:
    function = shift_left if instruction.name == "shl" else shift_right
    return elementwise(function, instruction, kernel, [instruction.parts[-1], "u32"])


def bit_field(instruction: Instruction, kernel: Kernel) -> Step:
    """bfe.u32: `length` bits from `position` on, both taken modulo 256."""
    if instruction.parts[1] != "u32":
        raise Unknown(f"`{'.'.join(instruction.parts)}`")

    def function(a: np.ndarray, position: np.ndarray, length: np.ndarray) -> np.ndarray:
        wide = shift_right(a.astype(np.uint64), np.asarray(position) & 255)
        width = np.minimum(np.asarray(length) & 255, 32).astype(np.uint64)
        return (wide & ((np.uint64(1) << width) - np.uint64(1))).astype(np.uint32)

    return elementwise(function, instruction, kernel, ["u32", "u32", "u32"])


def approximation(instruction: Instruction, kernel: Kernel) -> Step:
    """In double and rounded, where a GPU is allowed an error; subnormals are zero with .ftz."""
    function, flushes = APPROXIMATIONS[instruction.name], "ftz" in instruction.parts
    demand_rounding(instruction)

    def flushed(values: np.ndarray) -> np.ndarray:
        small = np.abs(values) < np.finfo(np.float32).tiny
        return np.where(small, np.copysign(np.float32(0), values), values) if flushes else values

    return elementwise(
        lambda x: flushed(function(flushed(x).astype(np.float64)).astype(np.float32)),
        instruction, kernel, [instruction.parts[-1]])


def comparison(instruction: Instruction, kernel: Kernel) -> Step:
    """setp: of floats, eq to ge are false where there is a NaN, the same with a u behind true."""
    name, kind = instruction.parts[1], instruction.parts[-1]
    if len(instruction.parts) != 3 or isinstance(instruction.operands[0], Vector):
        raise Unknown(f"`{'.'.join(instruction.parts)}`")
    is_unordered = kind.startswith("f") and name.endswith("u")
    base = name[:-1] if is_unordered else name
    if base not in COMPARISONS:
        raise Unknown(f"`{'.'.join(instruction.parts)}`")
    compare = COMPARISONS[base]

    def function(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        if not kind.startswith("f"):
            return compare(a, b)
        is_nan = np.isnan(a) | np.isnan(b)
        return compare(a, b) | is_nan if is_unordered else compare(a, b) & ~is_nan

    return elementwise(function, instruction, kernel, [kind, kind])


def selection(instruction: Instruction, kernel: Kernel) -> Step:
    kind = instruction.parts[-1]
    return elementwise(lambda a, b, which: np.where(which, a, b), instruction, kernel,
                       [kind, kind, "pred"])


def move(instruction: Instruction, kernel: Kernel) -> Step:
    """Also between a register and a vector of smaller ones, the first in the low bits."""
    kind = instruction.parts[-1]
    to, source = instruction.operands
    if isinstance(to, Vector):
        read, size = reader(source, kind, kernel), dtype_of(kind).itemsize // len(to.items)
        writes = [writer(each) for each in to.items]

        def unpack(state, mask: np.ndarray | None) -> None:
            parts = state.broadcast(read(state)).view(f"u{size}").reshape(state.threads, -1)
            for index, write in enumerate(writes):
                write(state, np.ascontiguousarray(parts[:, index]), mask)

        return unpack
    if isinstance(source, Vector):
        size, write = dtype_of(kind).itemsize // len(source.items), writer(to)
        reads = [reader(each, f"b{8 * size}", kernel) for each in source.items]

        def pack(state, mask: np.ndarray | None) -> None:
            parts = np.stack([state.broadcast(read(state)) for read in reads], axis=1)
            write(state, np.ascontiguousarray(parts).reshape(-1).view(dtype_of(kind)), mask)

        return pack
    return elementwise(lambda value: value, instruction, kernel, [kind])


def conversion(instruction: Instruction, kernel: Kernel) -> Step:
    *modes, to, source = instruction.parts[1:]
    if set(modes) - {"rn", "rzi"} or "rzi" in modes and not source.startswith("f"):
        raise Unknown(f"`{'.'.join(instruction.parts)}`")
    if to == "f16x2":
        # The second operand goes into the low half.
        def pack(high: np.ndarray, low: np.ndarray) -> np.ndarray:
            bits = [np.asarray(each).astype(np.float16).view(np.uint16).astype(np.uint32)
                    for each in (high, low)]
            return bits[1] | bits[0] << np.uint32(16)

        return elementwise(pack, instruction, kernel, [source, source])
    wanted = dtype_of(to)
    if "rzi" in modes:
        limits = np.iinfo(wanted)

        def truncate(values: np.ndarray) -> np.ndarray:
            whole = np.nan_to_num(np.trunc(values.astype(np.float64)), nan=0.0)
            return np.clip(whole, limits.min, limits.max).astype(wanted)

        return elementwise(truncate, instruction, kernel, [source])
    return elementwise(lambda values: np.asarray(values).astype(wanted), instruction, kernel,
                       [source])


def is_in_shared(instruction: Instruction, kernel: Kernel) -> Step:
    read, write = reader(instruction.operands[1], "u64", kernel), writer(instruction.operands[0])
    return lambda state, mask: write(state, state.is_in_window(read(state)), mask)


def address_conversion(instruction: Instruction, kernel: Kernel) -> Step:
    """cvta: generic addresses of shared memory are those of a window; of global memory the same."""
    space = next(part for part in instruction.parts[1:] if part != "to")
    signs = {"shared": 1, "global": 0, "local": 0}
    sign = -signs[space] if "to" in instruction.parts else signs[space]
    return elementwise(
        lambda address: address + np.uint64(sign * WINDOW & 0xFFFF_FFFF_FFFF_FFFF), instruction,
        kernel, [instruction.parts[-1]])


# Where shared memory lies among generic addresses; its low 32 bits are not zero, so that an address
# that was not converted does not pass for one that was.
WINDOW = 0x7FFF_0400_0000

TRANSLATIONS: dict[str, Callable[[Instruction, Kernel], Step]] = {
    **dict.fromkeys([*BINARY, *UNARY, "min", "max"], arithmetic),
    **dict.fromkeys(["mul", "mad", "fma"], product), **dict.fromkeys(["shl", "shr"], shift),
    **dict.fromkeys(APPROXIMATIONS, approximation), "bfe": bit_field, "setp": comparison,
    "selp": selection, "mov": move, "cvt": conversion, "isspacep": is_in_shared,
    "cvta": address_conversion,
}
