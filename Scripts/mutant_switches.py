"""All mutants of the kernels in one program, picked by a number at run time.

Compiling a kernel takes a device for CPUs a second, running a small case a few milliseconds. So the
kernels are written once with most mutants in them, each behind a comparison with a number that lies
at a fixed address of the process: on a CPU device that is memory like any other. A preloaded
library puts it there. What cannot be written so, or does not compile, is left to be judged alone.
"""

import collections
import pathlib
import re
import subprocess

from kernel_mutants import Mutant, code_of

ADDRESS = 0x5E6000000000
HEAD = f"""#ifndef SEMG_MUTANT
#define SEMG_MUTANT (*(__global const int*){ADDRESS:#x}UL)
#define SEMG_PICKED(k) (SEMG_MUTANT == (k))
#define SEMG_SIGN(k) (1 - 2 * SEMG_PICKED(k))
#endif
"""
LIBRARY = f"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
__attribute__((constructor)) static void pick(void) {{
  const char *number = getenv("SEMG_MUTANT");
  int *place = mmap((void *){ADDRESS:#x}, 4096, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (place == MAP_FAILED) abort();
  *place = number ? atoi(number) : 0;
}}
"""
ATTEMPTS = 5  # to leave out what does not compile

# Text before an index or a constant that makes it the size of an array.
DECLARED = re.compile(
    r"^\s*(?:\w+ )*(?:float\d?|u?int\d?|uchar|ushort|ulong|tile_row|score_row)\s+\**\w+"
    r"(?:\[\w+\])*(?:, \w+(?:\[[^\]]*\])*)*(?:, \w+)?$")


class Insertion:
    """Text before or behind what a mutant changes; `reach` says how much of the line it spans."""

    def __init__(self, position: int, opens: bool, reach: int, text: str) -> None:
        self.position, self.text = position, text
        # What ends comes before what begins; the inner of two ends first and begins last.
        self.order = (position, opens, -reach if opens else reach)


def operand_end(code: str, start: int) -> int | None:
    """Where the right side of a comparison or an assignment ends; None where on another line."""
    depth = 0
    for place in range(start, len(code)):
        character = code[place]
        if character in "([{":
            depth += 1
        elif character in ")]}":
            if depth == 0:
                return place
            depth -= 1
        elif depth == 0 and (character in ",;?:" or code[place:place + 2] in ("&&", "||")):
            return place
    return None


def insertions(mutant: Mutant, code: str, number: int) -> list[Insertion] | None:
    """What makes the mutant of its line where it is picked; None where that cannot be written."""
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
    last = operand_end(code, end)
    if last is None:
        return None
    right = code[end:last]
    if change == "== to !=":
        return [Insertion(last, False, 2 * whole, f" ^ {picked}")]
    if change == "+= to -=":
        return [Insertion(end + 1, True, 3 * whole, f"{sign} * ("),
                Insertion(last, False, 3 * whole, ")")]
    if change in ("< to <=", "<= to <", "> to >=", ">= to >"):
        # Of whole numbers alone, and a shift binds less than the sum.
        if re.search(r"<<|>>|\d\.\d|\blargest\b", right):
            return None
        minus = "-" if change in ("<= to <", "> to >=") else ""
        return [Insertion(end + 1, True, 2 * whole, f"{minus}{picked} + ")]
    return None


def write(mutants: list[Mutant], kernels: pathlib.Path, folder: pathlib.Path) -> dict[str, int]:
    """Writes the kernels with the mutants in them; the number of each that is, by its key."""
    users = [path.name for path in sorted(kernels.glob("*.cl")) if "__kernel" in path.read_text()]
    left_out: set[tuple[str, int]] = set()
    for _ in range(ATTEMPTS):
        numbers = write_once(mutants, kernels, folder, left_out)
        wrong = {place for user in users for place in errors(user, folder)}
        if not wrong:
            return numbers
        left_out |= wrong
    return {}


def write_once(
    mutants: list[Mutant], kernels: pathlib.Path, folder: pathlib.Path,
    left_out: set[tuple[str, int]],
) -> dict[str, int]:
    numbers: dict[str, int] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(kernels.glob("*.cl")):
        lines = path.read_text().split("\n")
        inserted: dict[int, list[Insertion]] = collections.defaultdict(list)
        for mutant in mutants:
            index = mutant.line - 1
            if mutant.file != path.name or (path.name, index) in left_out:
                continue
            # Macros take part in declarations and in the joining of names.
            if lines[index].startswith("#") or index and lines[index - 1].endswith("\\"):
                continue
            number = len(numbers) + 1
            found = insertions(mutant, code_of(lines[index]), number)
            if found is not None:
                numbers[mutant.key] = number
                inserted[index] += found
        for index, parts in inserted.items():
            code, done, text = code_of(lines[index]), 0, ""
            for part in sorted(parts, key=lambda each: each.order):
                text += code[done:part.position] + part.text
                done = part.position
            lines[index] = text + code[done:]
        (folder / path.name).write_text(HEAD + "\n".join(lines))
    return numbers


def errors(file: str, folder: pathlib.Path) -> set[tuple[str, int]]:
    """Files and lines, from zero and without the head, that do not compile."""
    result = subprocess.run(
        ["clang-19", "-x", "cl", "-cl-std=CL1.2", "--target=spir64", "-fsyntax-only", "-w",
         "-ferror-limit=0", "-Xclang", "-fdeclare-opencl-builtins", "-Xclang",
         "-finclude-default-header", file],
        cwd=folder, stderr=subprocess.PIPE, text=True)
    found = re.findall(r"^(?:\./)?(\w+\.cl):(\d+):\d+: error:", result.stderr, re.M)
    return {(name, int(line) - HEAD.count("\n") - 1) for name, line in found}


def library(folder: pathlib.Path) -> pathlib.Path:
    """What is to be preloaded: it picks the mutant that SEMG_MUTANT says."""
    source, built = folder / "pick.c", folder / "pick.so"
    source.write_text(LIBRARY)
    subprocess.run(["clang-19", "-shared", "-fPIC", str(source), "-o", str(built)], check=True)
    return built
