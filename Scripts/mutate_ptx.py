"""Breaks the kernels for NVIDIA's tensor cores in small ways, and counts what their PTX gives away.

usage: mutate_ptx.py [--change NAME ...] [--kernels DIRECTORY] [FILE.cl ...]
       (tensor_core.cl where no file is named)
       (with a Python that has NumPy: build/venv/bin/python)

mutate_kernels.py runs kernels with the tensor cores' instructions emulated, so it cannot judge the
file with the instructions themselves. This runs the small cases of run_ptx.py on each mutant of it,
until one notices. A mutant that clang or ptxas refuses does not compile; one whose PTX is the
original's in every build that the cases take is the same code. `--change` takes mutants of one kind
alone, say "dropped barrier". The list of all is build/mutants/ptx.md.
"""

import argparse
import collections
import concurrent.futures
import pathlib
import re
import shutil
import sys
import tempfile

import check_kernels
import run_ptx
from kernel_mutants import Mutant, mutants

RESULTS = check_kernels.ROOT / "build" / "mutants"


def assembly(case, kernels: pathlib.Path) -> str | None:
    """The PTX of the case's build, without comments; None where clang refuses it."""
    try:
        source = check_kernels.read_source(kernels / case.file)
        with tempfile.TemporaryDirectory(prefix="semg-ptx-") as folder:
            text = check_kernels.nvidia_ptx(
                source, case.defines, "sm_80", pathlib.Path(folder)).read_text()
    except check_kernels.Problem:
        return None
    return re.sub(r"[ \t]*//[^\n]*", "", text)


def is_refused(text: str) -> bool:
    """Whether ptxas takes the PTX for wrong."""
    assembler = check_kernels.nvidia_tool("ptxas")
    assert assembler is not None, "checked by main"
    with tempfile.TemporaryDirectory(prefix="semg-ptx-") as name:
        folder = pathlib.Path(name)
        (folder / "k.ptx").write_text(text)
        try:
            check_kernels.run([assembler, "-arch=sm_80", "k.ptx", "-o", "k.cubin"], folder)
        except check_kernels.Problem:
            return True
    return False


def verdict(mutant: Mutant, folder: pathlib.Path, originals: list[str]) -> str:
    """"does not compile", "same code", "survives", or "caught: …" by which case."""
    is_other = False
    with tempfile.TemporaryDirectory(prefix="semg-mutant-") as name:
        kernels = pathlib.Path(name) / "kernels"
        shutil.copytree(folder, kernels)
        (kernels / mutant.file).write_text(mutant.text)
        for cases, original in zip(run_ptx.builds(run_ptx.small_cases()), originals, strict=True):
            text = assembly(cases[0], kernels)
            if text == original:
                continue
            # What is in one build of a file is, as a rule, in the others.
            if text is None or not is_other and is_refused(text):
                return "does not compile"
            is_other = True
            for case_name, problem in run_ptx.problems(cases, kernels):
                if problem:
                    return f"caught: {case_name}: {problem.splitlines()[0]}"
    return "survives" if is_other else "same code"


def originals(folder: pathlib.Path) -> list[str]:
    """The PTX of each build, all of whose cases pass."""
    found = []
    for cases in run_ptx.builds(run_ptx.small_cases()):
        wrong = [f"{name}: {problem}" for name, problem
                 in run_ptx.problems(cases, folder) if problem]
        if wrong:
            sys.exit("before any mutation: " + wrong[0])
        found.append(assembly(cases[0], folder))
    return found


def main(files: list[str], changes: list[str], folder: pathlib.Path) -> int:
    if reason := run_ptx.missing_tool():
        sys.exit(reason)
    if check_kernels.nvidia_tool("ptxas") is None:
        sys.exit(f"no ptxas below {check_kernels.VENV} (`make test` installs it)")
    wanted = [mutant for file in files or ["tensor_core.cl"]
              for mutant in mutants(folder / file)
              if not changes or mutant.change in changes]
    unbroken = originals(folder)
    lines, kinds = [], collections.Counter()
    with concurrent.futures.ProcessPoolExecutor(run_ptx.PROCESSES) as pool:
        found = pool.map(
            verdict, wanted, [folder] * len(wanted), [unbroken] * len(wanted))
        for mutant, said in zip(wanted, found, strict=True):
            kinds[said.partition(":")[0]] += 1
            lines.append(f"{mutant.file}:{mutant.line}: {mutant.change}: {said}\n"
                         f"  - {mutant.before}\n  + {mutant.after}")
            print(lines[-1], flush=True)
    judged = kinds["caught"] + kinds["survives"]
    lines.append(f"{len(wanted)} mutants: " + ", ".join(
        f"{count} {kind}" for kind, count in sorted(kinds.items()))
        + f"; {kinds['caught']} of {judged} that compile to other code are caught")
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "ptx.md").write_text("\n".join(lines) + "\n")
    print(lines[-1])
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", metavar="FILE.cl")
    parser.add_argument("--change", action="append", default=[], help="of mutants, by its name")
    parser.add_argument("--kernels", type=pathlib.Path, default=check_kernels.KERNELS)
    given = parser.parse_intermixed_args()
    sys.exit(main(given.files, given.change, given.kernels.resolve()))
