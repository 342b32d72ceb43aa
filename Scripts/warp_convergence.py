"""Finds instructions that want a whole warp where its lanes may have gone different ways.

`ldmatrix.sync.aligned` and `mma.sync.aligned` are undefined where the lanes of a warp do not execute
them together (PTX ISA, "Warp-level Matrix Instructions"), and GPUs since Volta do not bring lanes
together by themselves where branches meet again. So between a branch on something in which the
lanes of a warp may differ and the next such instruction there must be a `bar.warp.sync` or a
barrier.

Of each register of a kernel, this knows which bits may differ among the lanes of a warp, whose
numbers differ in the lowest five bits of %tid.x: what is made of the others is the warp's.
"""

import dataclasses
import re

LANE_BITS = 0x1F
ALL = (1 << 64) - 1
CONVERGES = ("bar.warp.sync", "bar.sync", "barrier.sync")
ALIGNED = re.compile(r"(ldmatrix|mma|wmma|movmatrix)\b.*\.aligned")
BITWISE = ("or", "xor", "not", "mov", "cvt", "cvta", "ld.param")
SUMS = re.compile(r"(add|sub|mul|mad)(\.\w+)*\.[su]\d+$")
COMPARES = re.compile(r"setp\.(lt|ge|lo|hs|gt|le|hi|ls)\.[su]")
REGISTER = re.compile(r"%\w+(?:\.\w)?")


@dataclasses.dataclass
class Instruction:
    line: int
    name: str
    predicate: str | None
    targets: list[str]  # registers that it writes
    sources: list[str]  # registers and numbers that it reads


@dataclasses.dataclass
class Block:
    code: list[Instruction] = dataclasses.field(default_factory=list)
    successors: list[int] = dataclasses.field(default_factory=list)
    branch: Instruction | None = None  # where it has two


def parse(body: list[tuple[int, str]]) -> list[Block]:
    """Basic blocks of a kernel's lines, each with its number."""
    blocks, labels, jumps = [Block()], {}, {}
    for number, text in body:
        text = re.sub(r"//.*", "", text).strip()
        if label := re.fullmatch(r"(\$\w+):", text):
            if blocks[-1].code or len(blocks) - 1 in labels.values():
                blocks.append(Block())
            labels[label[1]] = len(blocks) - 1
            continue
        match = re.match(r"(?:@(!?%\w+)\s+)?([a-z][\w.:]*)\s*(.*?);$", text)
        if not match or text.startswith("."):
            continue
        predicate, name, rest = match[1], match[2], match[3]
        operands = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", rest)
        writes = not name.startswith(("st.", "bra", "bar", "ret", "cp.async", "red."))
        targets = re.findall(REGISTER, operands[0]) if writes and operands else []
        sources = re.findall(r"%\w+(?:\.\w)?|(?<![\w.$])-?\d+\b|0x[0-9a-fA-F]+",
                             " ".join(operands[1:] if writes else operands))
        made = Instruction(number, name, predicate and predicate.lstrip("!"), targets, sources)
        blocks[-1].code.append(made)
        if name.startswith(("bra", "ret")):
            jumps[len(blocks) - 1] = (rest.strip(), made)
            blocks.append(Block())
    for index, block in enumerate(blocks):
        target, jump = jumps.get(index, ("", None))
        if jump and jump.name.startswith("bra"):
            block.successors.append(labels[target])
        if (not jump or jump.predicate) and index + 1 < len(blocks):
            block.successors.append(index + 1)
        if len(block.successors) == 2:
            block.branch = jump
    return blocks


def upward(mask: int) -> int:
    """All bits that a sum may change where bits of its terms do."""
    return ALL & ~((mask & -mask) - 1) if mask else 0


class Lanes:
    """What may differ among the lanes of a warp in one kernel."""

    def __init__(self, blocks: list[Block]) -> None:
        self.blocks = blocks
        self.masks: dict[str, int] = {}
        self.forced: set[str] = set()
        self.parted: set[int] = set()  # blocks whose regions have been gone through
        self.meeting = self.post_dominators()
        self.definitions: dict[str, list[int]] = {}
        self.uses: dict[str, set[int]] = {}
        for index, block in enumerate(blocks):
            for instruction in block.code:
                for name in instruction.targets:
                    self.definitions.setdefault(name, []).append(index)
                for name in [*instruction.sources, instruction.predicate or ""]:
                    self.uses.setdefault(name, set()).add(index)
        while self.step():
            pass

    def post_dominators(self) -> list[int]:
        """For each block those that every way from it goes through, as bits."""
        found = [(1 << len(self.blocks)) - 1 if block.successors else 1 << index
                 for index, block in enumerate(self.blocks)]
        changed = True
        while changed:
            changed = False
            for index in reversed(range(len(self.blocks))):
                new = -1
                for each in self.blocks[index].successors:
                    new &= found[each]
                new = new | 1 << index if self.blocks[index].successors else found[index]
                if new != found[index]:
                    found[index], changed = new, True
        return found

    def mask(self, operand: str) -> int:
        if operand == "%tid.x":
            return LANE_BITS
        return self.masks.get(operand, 0) if operand.startswith("%") else 0

    def result(self, instruction: Instruction) -> int:
        """Bits of what an instruction writes that may differ."""
        name, sources = instruction.name, instruction.sources
        if name.startswith(("ld.shared", "ldmatrix", "mma")) or "%laneid" in sources:
            return ALL
        masks = [self.mask(each) for each in sources]
        together = 0
        for each in masks:
            together |= each
        if instruction.predicate and self.mask(instruction.predicate):
            return ALL
        if not together or together == ALL and name.startswith(("mov", "add", "mul", "ld.", "fma")):
            return together
        number = next((int(each, 0) for each in sources if not each.startswith("%")), None)
        if number is not None:
            if name.startswith("and.b"):
                return together & number & ALL
            if name.startswith("shl"):
                return together << number & ALL
            if name.startswith("shr") and not masks[0] >> 31:
                return together >> number
            if name.startswith("bfe.u"):
                start, length = (int(each, 0) for each in sources[1:3])
                return together >> start & ((1 << length) - 1)
            if match := COMPARES.match(name):
                # x < 64 is the same for all lanes where they differ in the bits of 63 alone.
                bound = number + (match[1] in ("gt", "le", "hi", "ls"))
                return 0 if masks[1] == 0 and masks[0] < (bound & -bound) else ALL
        if name.startswith("selp"):
            return ALL if masks[-1] else together
        if name.startswith((*BITWISE, "and.")):
            return together
        return upward(together) if SUMS.match(name) else ALL

    def step(self) -> bool:
        before = (dict(self.masks), len(self.forced))
        for block in self.blocks:
            for instruction in block.code:
                made = self.result(instruction)
                for name in instruction.targets:
                    mask = ALL if name in self.forced else made
                    self.masks[name] = self.masks.get(name, 0) | mask
        for index in set(self.divergent()) - self.parted:
            self.parted.add(index)
            region = self.reachable(index)
            for name, places in self.definitions.items():
                inside = [place for place in places if place in region]
                if inside and (len(places) > 1 or self.uses.get(name, set()) - region):
                    self.forced.add(name)
        return (self.masks, len(self.forced)) != before

    def divergent(self) -> list[int]:
        """Blocks at whose ends lanes may part."""
        return [index for index, block in enumerate(self.blocks)
                if block.branch and self.mask(block.branch.predicate or "")]

    def reachable(self, index: int) -> set[int]:
        """Blocks between a branch and where its ways have met again."""
        met = self.meeting[index] & ~(1 << index)
        seen: set[int] = set()
        waiting = list(self.blocks[index].successors)
        while waiting:
            block = waiting.pop()
            if block in seen or met >> block & 1:
                continue
            seen.add(block)
            waiting += self.blocks[block].successors
        return seen

    def unconverged(self) -> list[tuple[Instruction, Instruction]]:
        """Instructions that want the whole warp, each with a branch at which lanes may have parted
        before."""
        found: dict[int, tuple[Instruction, Instruction]] = {}
        for index in self.divergent():
            branch = self.blocks[index].branch
            assert branch is not None, "divergent() names branches"
            waiting, seen = list(self.blocks[index].successors), set()
            while waiting:
                block = waiting.pop()
                if block in seen:
                    continue
                seen.add(block)
                for instruction in self.blocks[block].code:
                    if instruction.name.startswith(CONVERGES):
                        break
                    if ALIGNED.match(instruction.name):
                        found.setdefault(instruction.line, (instruction, branch))
                else:
                    waiting += self.blocks[block].successors
        return [found[line] for line in sorted(found)]


def kernels(ptx: str) -> dict[str, list[tuple[int, str]]]:
    """The lines of each entry's body, numbered."""
    found: dict[str, list[tuple[int, str]]] = {}
    name, body, opened = "", None, False
    for number, line in enumerate(ptx.splitlines(), 1):
        if match := re.search(r"\.entry\s+(\w+)", line):
            name, body, opened = match[1], [], False
        elif body is not None and line.startswith("{"):
            opened = True
        elif body is not None and line.startswith("}"):
            found[name], body = body, None
        elif body is not None and opened:
            body.append((number, line))
    return found


def problems(ptx: str) -> list[str]:
    """A sentence for each kernel in which lanes may come apart to an instruction of the warp."""
    found = []
    for name, body in kernels(ptx).items():
        apart = Lanes(parse(body)).unconverged()
        if apart:
            instruction, branch = apart[0]
            found.append(
                f"{name}: {len(apart)} instructions of whole warps may be reached by lanes apart, the"
                f" first {instruction.name.split('.')[0]} in line {instruction.line} of the PTX after"
                f" the branch in line {branch.line}")
    return found
