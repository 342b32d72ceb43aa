"""Reads the PTX that clang writes: kernels as blocks of instructions with typed operands."""

import dataclasses
import re

# Storage of a register by its type: what is read as another type of its size is the same bits.
SIZES = {
    "pred": 1, "b8": 1, "u8": 1, "s8": 1, "b16": 2, "u16": 2, "s16": 2, "f16": 2, "b32": 4,
    "u32": 4, "s32": 4, "f32": 4, "f16x2": 4, "b64": 8, "u64": 8, "s64": 8, "f64": 8,
}
# Between arrays of shared memory, so that what runs over the end of one does not meet the next.
GAP = 1024


class Unknown(Exception):
    """PTX that the interpreter has not been taught; its text is for people."""


@dataclasses.dataclass(frozen=True)
class Register:
    index: int
    type: str


@dataclasses.dataclass(frozen=True)
class Special:
    """%tid.x and the like."""

    name: str


@dataclasses.dataclass(frozen=True)
class Number:
    """An integer, or the bits of a float with their size."""

    value: int
    float_size: int = 0


@dataclasses.dataclass(frozen=True)
class Symbol:
    name: str


@dataclasses.dataclass(frozen=True)
class Vector:
    items: tuple


@dataclasses.dataclass(frozen=True)
class Address:
    base: Register | Symbol | Number
    offset: int


Operand = Register | Special | Number | Symbol | Vector | Address


@dataclasses.dataclass
class Instruction:
    """`parts` is the opcode at its dots; `guard` the predicate that it hangs on, and whether that
    is negated."""

    line: int
    text: str
    parts: list[str]
    operands: list[Operand]
    guard: tuple[Register, bool] | None = None

    @property
    def name(self) -> str:
        return self.parts[0]

    @property
    def is_aligned(self) -> bool:
        """Whether all threads of a warp must execute it together."""
        return "aligned" in self.parts or self.name in ("ldmatrix", "mma")


@dataclasses.dataclass
class Block:
    """Instructions without a jump into or out of them; a barrier, too, ends one."""

    instructions: list[Instruction]
    next: int  # the block behind it


@dataclasses.dataclass
class Variable:
    """An array in shared or local memory."""

    address: int
    size: int


@dataclasses.dataclass
class Kernel:
    name: str
    parameters: list[tuple[str, str]]  # names and types
    registers: list[str]  # types
    shared: dict[str, Variable]
    local: dict[str, Variable]
    blocks: list[Block]
    labels: dict[str, int]

    @property
    def shared_bytes(self) -> int:
        return sum(each.size for each in self.shared.values())


ENDS = ("bra", "ret", "exit")
BARRIERS = ("bar.sync", "barrier.sync", "bar.warp.sync")


def is_barrier(parts: list[str]) -> bool:
    return ".".join(parts).startswith(BARRIERS)


class Body:
    """Reads the statements between a kernel's braces."""

    def __init__(self, shared: dict[str, Variable]) -> None:
        self.scopes: list[dict[str, Register]] = [{}]
        self.registers: list[str] = []
        self.shared, self.local = dict(shared), {}
        self.blocks = [Block([], 1)]
        self.labels: dict[str, int] = {}

    def begin_block(self) -> None:
        if self.blocks[-1].instructions:
            self.blocks.append(Block([], len(self.blocks) + 1))

    def read(self, line: int, text: str) -> None:
        if text == "{":
            self.scopes.append({})
        elif text == "}":
            self.scopes.pop()
        elif match := re.fullmatch(r"([\w$]+):", text):
            self.begin_block()
            self.labels[match[1]] = len(self.blocks) - 1
        elif text.startswith("."):
            self.declare(line, text)
        else:
            self.add(self.instruction(line, text))

    def add(self, instruction: Instruction) -> None:
        self.blocks[-1].instructions.append(instruction)
        if instruction.name in ENDS or is_barrier(instruction.parts):
            self.begin_block()

    def declare(self, line: int, text: str) -> None:
        if match := re.fullmatch(r"\.reg\s+\.(\w+)\s+(.*)", text):
            for name in match[2].split(","):
                self.declare_register(match[1], name.strip())
        elif match := re.fullmatch(r"\.(shared|local)\s+\.align\s+(\d+)\s+\.b8\s+([\w$]+)\[(\d+)\]",
                                   text):
            variables = self.shared if match[1] == "shared" else self.local
            place(variables, match[3], int(match[4]))
        elif not text.startswith(".pragma"):
            raise Unknown(f"line {line}: unknown declaration `{text}`")

    def declare_register(self, kind: str, name: str) -> None:
        if match := re.fullmatch(r"(%\w+)<(\d+)>", name):
            names = [f"{match[1]}{number}" for number in range(int(match[2]))]
        else:
            names = [name]
        for each in names:
            self.scopes[-1][each] = Register(len(self.registers), kind)
            self.registers.append(kind)

    def instruction(self, line: int, text: str) -> Instruction:
        match = re.fullmatch(r"(?:@(!?)([\w%$]+)\s+)?([a-z][\w.:]*)\s*(.*)", text, re.S)
        if not match:
            raise Unknown(f"line {line}: not an instruction: `{text}`")
        guard = None
        if match[2]:
            register = self.operand(line, match[2])
            if not isinstance(register, Register) or register.type != "pred":
                raise Unknown(f"line {line}: `{match[2]}` is not a predicate")
            guard = (register, bool(match[1]))
        operands = [self.operand(line, each) for each in split_operands(match[4])]
        return Instruction(line, text, match[3].split("."), operands, guard)

    def operand(self, line: int, text: str) -> Operand:
        if text.startswith("{"):
            return Vector(tuple(
                self.operand(line, each) for each in split_operands(text[1:-1])))
        if text.startswith("["):
            match = re.fullmatch(r"\[\s*([\w%$.]+)\s*(?:\+\s*(-?\d+)\s*)?\]", text)
            if not match:
                raise Unknown(f"line {line}: unknown address `{text}`")
            return Address(self.operand(line, match[1]), int(match[2] or 0))
        for scope in reversed(self.scopes):
            if text in scope:
                return scope[text]
        if match := re.fullmatch(r"0[fF]([0-9a-fA-F]{8})|0[dD]([0-9a-fA-F]{16})", text):
            return Number(int(match[1] or match[2], 16), 4 if match[1] else 8)
        if re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)", text):
            return Number(int(text, 0))
        if re.fullmatch(r"%(n?tid|n?ctaid)\.[xyz]|%laneid", text):
            return Special(text[1:])
        if text.startswith("%") or not re.fullmatch(r"[\w$]+", text):
            raise Unknown(f"line {line}: unknown operand `{text}`")
        return Symbol(text)


def place(variables: dict[str, Variable], name: str, size: int) -> None:
    """Lays an array behind the others, at a multiple of 128 and with a gap."""
    ends = [each.address + each.size for each in variables.values()]
    begin = -(-(max(ends) + GAP) // 128) * 128 if ends else 0
    variables[name] = Variable(begin, size)


def split_operands(text: str) -> list[str]:
    """At the commas outside of braces and brackets."""
    found, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character in "{[") - (character in "}]")
        if character == "," and depth == 0:
            found.append(text[start:at].strip())
            start = at + 1
    last = text[start:].strip()
    return [*found, last] if last else found


def statements(text: str, first_line: int):
    """Lines and their statements; a brace by itself opens or closes a scope."""
    for line, code in enumerate(text.split("\n"), first_line):
        for each in re.split(r";|(?<=:)\s", code.split("//")[0]):
            rest = each.strip()
            while rest[:1] in ("{", "}"):
                yield line, rest[0]
                rest = rest[1:].strip()
            if rest:
                yield line, rest


PARAMETER = re.compile(
    r"\.param\s+\.(\w+)\s+(?:\.ptr\s+(?:\.\w+\s+)?(?:\.align\s+\d+\s+)?)?([\w$]+)")


def parse(text: str) -> dict[str, Kernel]:
    """The kernels of a module, by their names."""
    kernels: dict[str, Kernel] = {}
    pattern = re.compile(r"\.entry\s+([\w$]+)\s*\(([^)]*)\)[^{]*?\n\{\n(.*?)\n\}\s*$", re.S | re.M)
    shared: dict[str, Variable] = {}
    outside = pattern.sub("", text)
    for match in re.finditer(r"^\s*\.shared\s+\.align\s+\d+\s+\.b8\s+([\w$]+)\[(\d+)\];", outside,
                             re.M):
        place(shared, match[1], int(match[2]))
    if match := re.search(r"^\s*(?:\.visible\s+)?\.(func|global|const)\b.*", outside, re.M):
        raise Unknown(f"unknown at module scope: `{match[0].strip()}`")
    for match in pattern.finditer(text):
        parameters = PARAMETER.findall(match[2])
        body = Body(shared)
        for line, statement in statements(match[3], text.count("\n", 0, match.start(3)) + 1):
            body.read(line, statement)
        if not body.blocks[-1].instructions:
            body.blocks.pop()
        kernels[match[1]] = Kernel(
            match[1], [(name, kind) for kind, name in parameters], body.registers, body.shared,
            body.local, body.blocks, body.labels)
    if not kernels:
        raise Unknown("no kernel in the PTX")
    return kernels
