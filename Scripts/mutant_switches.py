"""All mutants of the kernels in one program, picked by a number at run time.

Compiling a kernel takes a device for CPUs a second, running a small case a few milliseconds. So the
kernels are written once with most mutants in them, each behind a comparison with a number that lies
at a fixed address of the process: on a CPU device that is memory like any other, and
semg-kernel-check puts the number there. What cannot be written so, or does not compile, is left to
be judged alone.
"""

import collections
import pathlib
import re
import subprocess

from kernel_mutants import DECLARED, Mutant, code_of

ADDRESS = 0x5E6000000000
HEAD = f"""#ifndef SEMG_MUTANT
#define SEMG_MUTANT (*(__global const int*){ADDRESS:#x}UL)
#define SEMG_PICKED(k) (SEMG_MUTANT == (k))
#define SEMG_SIGN(k) (1 - 2 * SEMG_PICKED(k))
#endif
"""
ATTEMPTS = 6  # to leave out what does not compile

# What a statement may follow in its line.
HEADER = re.compile(r"\s*(?:\} )?(?:else )?(?:if|for|while) \(")
ALTERNATIVES = (
    "* to +", "/ to *", "&& to ||", "+= to =", "< to <=", "<= to <", "> to >=", ">= to >")


class Insertion:
    """Text before or behind what a mutant changes; `reach` says how much of the line it spans."""

    def __init__(self, position: int, opens: bool, reach: int, text: str) -> None:
        self.position, self.text = position, text
        # What ends comes before what begins; the inner of two ends first and begins last.
        self.order = (position, opens, -reach if opens else reach)


def operand_end(
    code: str, start: int, ends: bool = True, assigns: bool = False
) -> int | None:
    """Where the right side of a comparison ends, or of what `assigns`, or, not by what `ends` one,
    the bracket that it lies in; None where on another line."""
    depth = 0
    for place in range(start, len(code)):
        character = code[place]
        if character in "([{":
            depth += 1
        elif character in ")]}":
            if depth == 0:
                return place
            depth -= 1
        elif ends and depth == 0 and (
                character in ",;" or not assigns and (
                    character in "?:" or code[place:place + 2] in ("&&", "||"))):
            return place
    return None


def operand_start(code: str, place: int, delimiters: tuple[str, ...]) -> int | None:
    """Where what ends before `place` begins: behind the last delimiter outside of brackets, or the
    bracket that it lies in; None where a header like `for (` is open at the line's end."""
    start = len(code) - len(code.lstrip())
    while header := HEADER.match(code, start):
        behind = operand_end(code, header.end(), ends=False)
        if behind is None or behind >= place:
            start = header.end()
            break
        start = behind + 1
    opened: list[int] = []
    starts = [start]
    for at in range(start, place):
        character = code[at]
        if character in "([{":
            opened.append(at)
            starts.append(at + 1)
        elif character in ")]}" and opened:
            opened.pop()
            starts.pop()
        elif any(code.startswith(each, at) for each in delimiters):
            is_comparison = character == "=" and (code[at - 1] in "=<>!" or code[at + 1] == "=")
            if not is_comparison:
                length = 2 if character in "&|" else 1
                starts[-1] = at + length
    start = starts[-1]
    start += len(code[start:]) - len(code[start:].lstrip())
    if code.startswith("return ", start):
        start += len("return ")
    return start if start < place else None


def alternative(mutant: Mutant, code: str, before: str) -> tuple[int, int] | None:
    """From where to where the mutant and the original can stand side by side as two choices; None
    where that is not sure. `before` is the code of the line before."""
    change = mutant.change
    if change == "+= to =":
        start = operand_start(code, mutant.start, (",", ";"))
        last = operand_end(code, mutant.end, assigns=True)
    else:
        joined = () if change == "&& to ||" else ("&&", "||")
        start = operand_start(code, mutant.start, (",", ";", "?", ":", "=", *joined))
        last = operand_end(code, mutant.end)
        while joined == () and last is not None and code[last:last + 2] in ("&&", "||"):
            last = operand_end(code, last + 2)
    if start is None or last is None:
        return None
    # What begins the line may belong to what ends the one before.
    if not code[:start].strip() and before and before[-1] not in ";{}(,=":
        return None
    return start, last


def insertions(
    mutant: Mutant, code: str, number: int, before: str, with_alternatives: bool
) -> list[Insertion] | None:
    """What makes the mutant of its line where it is picked; None where that cannot be written."""
    found = switch(mutant, code, number)
    if found is not None or not with_alternatives or mutant.change not in ALTERNATIVES:
        return found
    region = alternative(mutant, code, before)
    if region is None:
        return None
    start, end = region
    changed = mutant.text.split("\n")[mutant.line - 1]
    mutated = changed[start:len(changed) - (len(code) - end)]
    reach = (3 if mutant.change == "+= to =" else 2) * len(code) + end - start
    return [Insertion(start, True, reach, f"(SEMG_PICKED({number}) ? ({mutated}) : ("),
            Insertion(end, False, reach, "))")]


def switch(mutant: Mutant, code: str, number: int) -> list[Insertion] | None:
    """The same for changes that a sum, a sign or a condition makes."""
    start, end, change = mutant.start, mutant.end, mutant.change
    picked, sign = f"SEMG_PICKED({number})", f"SEMG_SIGN({number})"
    whole = len(code)

    def around(before: str, behind: str, inset: int = 0) -> list[Insertion]:
        return [Insertion(start + inset, True, end - start, before),
                Insertion(end - inset, False, end - start, behind)]

    if change in ("index plus one", "index minus one"):
        if DECLARED.match(code[:start]):
            return None
        return around("(", f") {'+' if 'plus' in change else '-'} {picked}", 1)
    if change == "constant plus one":
        if "reqd_work" in code or DECLARED.match(code[:start].rstrip("[")):
            return None
        return around("(", f" + {picked})")
    if change == "constant changed":
        return around(f"({picked} ? ({code[start:end]} * 2.0f + 1.0f) : ", ")")
    if change in ("+ to -", "- to +"):
        return [Insertion(end + 1, True, whole, f"{sign} * ")]
    if change == "dropped statement":
        return [Insertion(start, True, 4 * whole, f"if (!{picked}) ")]
    last = operand_end(code, end, assigns=change == "+= to -=")
    if last is None:
        return None
    right = code[end:last]
    if change == "== to !=":
        return [Insertion(last, False, 2 * whole, f" ^ {picked}")]
    if change == "+= to -=":
        return [Insertion(end + 1, True, 3 * whole, f"{sign} * ("),
                Insertion(last, False, 3 * whole, ")")]
    if change in ("< to <=", "<= to <", "> to >=", ">= to >"):
        # Of whole numbers alone, and a shift binds less than the sum; nor of numbers without a sign,
        # which are not above -1.
        if re.search(r"<<|>>|\d\.\d|\blargest\b", right) \
                or re.search(r"get_\w+\(\d\) $", code[:start]):
            return None
        minus = "-" if change in ("<= to <", "> to >=") else ""
        return [Insertion(end + 1, True, 2 * whole, f"{minus}{picked} + ")]
    return None


def write(
    mutants: list[Mutant], kernels: pathlib.Path, folder: pathlib.Path,
    builds: dict[str, list[list[str]]],
) -> dict[str, int]:
    """Writes the kernels with the mutants in them; the number of each that is, by its key.

    `builds` has the files with kernels and the defines that each is compiled with.
    """
    # Of each file and line, how often it did not compile.
    strikes: collections.Counter[tuple[str, int]] = collections.Counter()
    for _ in range(ATTEMPTS):
        numbers = write_once(mutants, kernels, folder, strikes)
        wrong = {
            place for file, defined in builds.items() for defines in defined
            for place in errors(file, defines, folder)}
        if not wrong:
            return numbers
        strikes.update(wrong)
    return {}


def write_once(
    mutants: list[Mutant], kernels: pathlib.Path, folder: pathlib.Path,
    strikes: collections.Counter[tuple[str, int]],
) -> dict[str, int]:
    numbers: dict[str, int] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(kernels.glob("*.cl")):
        lines = path.read_text().split("\n")
        codes = [code_of(line) for line in lines]
        inserted: dict[int, list[Insertion]] = collections.defaultdict(list)
        for mutant in mutants:
            index = mutant.line - 1
            if mutant.file != path.name or strikes[path.name, index] > 1:
                continue
            # Macros take part in declarations and in the joining of names; types need constants.
            if lines[index].startswith(("#", "typedef ", "enum ")) \
                    or index and lines[index - 1].endswith("\\"):
                continue
            number = len(numbers) + 1
            before = next((code for code in reversed(codes[:index]) if code), "")
            found = insertions(
                mutant, codes[index], number, before, strikes[path.name, index] == 0)
            if found is not None:
                numbers[mutant.key] = number
                inserted[index] += found
        for index, parts in inserted.items():
            code, done, text = codes[index], 0, ""
            for part in sorted(parts, key=lambda each: each.order):
                text += code[done:part.position] + part.text
                done = part.position
            lines[index] = text + code[done:]
        (folder / path.name).write_text(HEAD + "\n".join(lines))
    return numbers


def errors(file: str, defines: list[str], folder: pathlib.Path) -> set[tuple[str, int]]:
    """Files and lines, from zero and without the head, that do not compile."""
    result = subprocess.run(
        ["clang-19", "-x", "cl", "-cl-std=CL1.2", "--target=spir64", "-fsyntax-only", "-w",
         "-ferror-limit=0", "-Xclang", "-fdeclare-opencl-builtins", "-Xclang",
         "-finclude-default-header", *defines, file],
        cwd=folder, stderr=subprocess.PIPE, text=True)
    found = re.findall(r"^(?:\./)?(\w+\.cl):(\d+):\d+: error:", result.stderr, re.M)
    return {(name, int(line) - HEAD.count("\n") - 1) for name, line in found}
