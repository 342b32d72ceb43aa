"""The small ways in which `mutate_kernels.py` breaks an OpenCL kernel."""

import dataclasses
import hashlib
import pathlib
import re

# (name, pattern, replacement), applied at each place of the code where the pattern is found.
CHANGES = [
    ("index plus one", r"\[(?=[^\]\n]*\w)([^\[\]\n]+)\]", r"[(\1) + 1]"),
    ("index minus one", r"\[(?=[^\]\n]*\w)([^\[\]\n]+)\]", r"[(\1) - 1]"),
    ("< to <=", r"(?<=[\w)\]] )<(?= [\w(-])", "<="),
    ("<= to <", r"(?<=[\w)\]] )<=(?= [\w(-])", "<"),
    ("> to >=", r"(?<=[\w)\]] )>(?= [\w(-])", ">="),
    (">= to >", r"(?<=[\w)\]] )>=(?= [\w(-])", ">"),
    ("== to !=", r"(?<= )==(?= )", "!="),
    ("+ to -", r"(?<=[\w)\]] )\+(?= [\w(*&])", "-"),
    ("- to +", r"(?<=[\w)\]] )-(?= [\w(*&])", "+"),
    ("+= to -=", r"(?<= )\+=(?= )", "-="),
    ("+= to =", r"(?<= )\+=(?= )", "="),
    ("* to +", r"(?<=[\w)\]] )\*(?= [\w(])", "+"),
    ("/ to *", r"(?<=[\w)\]] )/(?= [\w(])", "*"),
    ("&& to ||", r"(?<= )&&(?= )", "||"),
    ("constant plus one", r"(?<![\w.\"])(\d+)(?![\w.\"])", lambda match: str(int(match[1]) + 1)),
    ("constant changed", r"(?<![\w.])(\d+\.\d+(?:e-?\d+)?)f\b",
     lambda match: f"({match[1]}f * 2.0f + 1.0f)"),
    ("dropped barrier", r"\bbarrier\([^;]*;", ";"),
    ("other dimension", r"(get_(?:global|local|group)_(?:id|size))\(0\)", r"\1(1)"),
]
STATEMENT = re.compile(r"^(\s+)((?!const |return\b|float|int |uint|ulong|__|for |if |else|#|\})"
                       r"[\w(*][^;{}]*(?:=|\+=|\*=|-=)[^;{}]*;)\s*$")
# Text before an index or a constant that makes it the size of an array.
DECLARED = re.compile(
    r"^\s*(?:\w+ )*(?:float\d?|u?int\d?|uchar|ushort|ulong|bool|void|tile_row|tile_quad|score_row|float_row)"
    r"\s*\**\s*\w+(?:\[[^\]]*\])*(?:(?: = \{[^{}]*\})?, \w+(?:\[[^\]]*\])*)*$")


@dataclasses.dataclass
class Mutant:
    file: str
    line: int  # from one
    change: str
    start: int  # of what is changed, in the line's code, and its end
    end: int
    before: str
    after: str
    text: str  # of the whole file

    @property
    def key(self) -> str:
        text = f"{self.file}\n{without_comments(self.text)}"
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def without_comments(text: str) -> str:
    lines = (line.split("//")[0].rstrip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def code_of(line: str) -> str:
    """The line without its comment; preprocessor lines that hold no code are left out."""
    if re.match(r"\s*#(?!define)|\s*#define \w+ \w+\s*$", line):
        return ""
    return without_comments(line)


def is_shorter_array(mutant: Mutant) -> bool:
    """Whether a change gives an array less room, which matters only where all of it is used."""
    line = mutant.text.split("\n")[mutant.line - 1]
    return mutant.change == "index minus one" \
        and DECLARED.match(code_of(line)[:mutant.start]) is not None


def is_roomier_array(change: str, before: str) -> bool:
    """Whether a change does nothing but give an array room to spare, which no program can tell."""
    if change == "index plus one":
        return DECLARED.match(before) is not None
    declared, opened, size = before.rpartition("[")
    return change == "constant plus one" and bool(opened) and "]" not in size \
        and re.search(r"[-/%] $", size) is None and DECLARED.match(declared) is not None


def mutants(path: pathlib.Path) -> list[Mutant]:
    lines = path.read_text().split("\n")
    found: list[Mutant] = []
    for index, line in enumerate(lines):
        code = code_of(line)
        changed: list[tuple[str, int, int, str]] = []
        for name, pattern, replacement in CHANGES:
            for match in re.finditer(pattern, code):
                if is_roomier_array(name, code[:match.start()]):
                    continue
                # In place, so that what the pattern looks at around it is seen.
                new = match.expand(replacement) if isinstance(replacement, str) \
                    else replacement(match)
                start, end = match.span()
                changed.append((name, start, end, code[:start] + new + code[end:]))
        if STATEMENT.match(code):
            indent = len(code) - len(code.lstrip())
            changed.append(("dropped statement", indent, len(code), code[:indent] + ";"))
        for name, start, end, after in changed:
            text = "\n".join(lines[:index] + [after] + lines[index + 1:])
            if any(text == each.text for each in found):
                continue
            found.append(Mutant(
                path.name, index + 1, name, start, end, code.strip(), after.strip(), text))
    return found
