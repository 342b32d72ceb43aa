"""Breaks the OpenCL kernels in small ways, one at a time, and counts what the small cases notice.

usage: mutate_kernels.py KERNEL_CHECK LAYER [--sample N] [FILE.cl ...]   (or `make test-long`)

A mutant is a kernel file with one index, comparison, sign, constant, barrier or statement changed.
Those that compile run the cases that use their file, by semg-kernel-check on PoCL; what survives
runs under both of Oclgrind's passes. `--sample` takes N mutants of each file, always the same ones. Finished mutants are kept in build/mutants, so a stopped run
goes on where it was; a changed file is done anew. At the end: caught of those that compiled, and
the survivors with their lines. A survivor is either explained or a case that is missing.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import opencl

ROOT = pathlib.Path(__file__).resolve().parent.parent
KERNELS = ROOT / "Kernels"
RESULTS = ROOT / "build" / "mutants"
SECONDS = 120  # for one mutant on PoCL; one that hangs is caught
SIMULATOR_SECONDS = 600

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


@dataclasses.dataclass
class Mutant:
    file: str
    line: int  # from one
    change: str
    before: str
    after: str
    text: str  # of the whole file

    @property
    def key(self) -> str:
        return hashlib.sha256(f"{self.file}\n{self.text}".encode()).hexdigest()[:24]


def code_of(line: str) -> str:
    """The line without its comment; preprocessor lines that hold no code are left out."""
    if re.match(r"\s*#(?!define)|\s*#define \w+ \w+\s*$", line):
        return ""
    return line.split("//")[0].rstrip()


def mutants(path: pathlib.Path) -> list[Mutant]:
    lines = path.read_text().split("\n")
    found: list[Mutant] = []
    for index, line in enumerate(lines):
        code = code_of(line)
        changed: list[tuple[str, str]] = []
        for name, pattern, replacement in CHANGES:
            for match in re.finditer(pattern, code):
                # In place, so that what the pattern looks at around it is seen.
                new = match.expand(replacement) if isinstance(replacement, str) \
                    else replacement(match)
                changed.append((name, code[:match.start()] + new + code[match.end():]))
        if STATEMENT.match(code):
            changed.append(("dropped statement", re.match(r"\s*", code)[0] + ";"))
        for name, after in changed:
            text = "\n".join(lines[:index] + [after] + lines[index + 1:])
            if any(text == each.text for each in found):
                continue
            found.append(Mutant(path.name, index + 1, name, code.strip(), after.strip(), text))
    return found


class Judge:
    """Runs semg-kernel-check over mutated copies of the kernels."""

    def __init__(self, kernel_check: pathlib.Path, layer: pathlib.Path) -> None:
        self.kernel_check, self.layer = kernel_check, layer
        opencl.prepare()

    def run(
        self, kernels: pathlib.Path, arguments: list[str], seconds: float = SECONDS
    ) -> tuple[opencl.Verdicts, str]:
        """Verdicts, and why the run ended early, if it did. PoCL's cache is left alone: mutants
        would fill it."""
        environment = {
            **os.environ, **opencl.POCL.environment(), "SEMG_KERNELS": str(kernels),
            "SEMG_OPENCL_WITHOUT_CLBLAST": "1", "POCL_KERNEL_CACHE": "0",
        }
        try:
            result = subprocess.run(
                [str(self.kernel_check), *arguments], env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
                errors="replace")
        except subprocess.TimeoutExpired:
            return opencl.Verdicts([], {}, False), "hangs"
        verdicts = opencl.read_verdicts(result.stdout)
        ended = "" if verdicts.is_complete else f"ends with {result.returncode}"
        return verdicts, ended

    def demand_whole(self) -> None:
        """Kernels that fail unbroken, say those of another commit, would make all look caught."""
        verdicts, ended = self.run(KERNELS, [], 600)
        missed = [name for name, problem in verdicts.cases if problem]
        if missed or ended or not verdicts.cases:
            raise RuntimeError(
                "before any mutation, semg-kernel-check "
                + (ended or ("misses " + ", ".join(missed[:3]) if missed else "runs no case"))
                + ": build it from the sources beside these kernels")

    def cases_of(self, file: str) -> list[str]:
        """The cases that cannot run where the file is broken: those that use it."""
        with tempfile.TemporaryDirectory(prefix="semg-mutant-") as folder:
            kernels = pathlib.Path(folder)
            shutil.copytree(KERNELS, kernels, dirs_exist_ok=True)
            (kernels / file).write_text("#error broken\n")
            verdicts, ended = self.run(kernels, [], 600)
        if ended:
            raise RuntimeError(f"semg-kernel-check {ended} where {file} is broken")
        return sorted({name for name, problem in verdicts.cases if problem})

    def verdict(self, mutant: Mutant, cases: list[str]) -> str:
        """"does not compile", "caught: …" or "survives"."""
        with tempfile.TemporaryDirectory(prefix="semg-mutant-") as folder:
            kernels = pathlib.Path(folder) / "kernels"
            shutil.copytree(KERNELS, kernels)
            (kernels / mutant.file).write_text(mutant.text)
            if not compiles(kernels, mutant.file):
                return "does not compile"
            names = pathlib.Path(folder) / "cases"
            names.write_text("\n".join(cases) + "\n")
            arguments = ["--cases", str(names)]
            verdicts, ended = self.run(kernels, [*arguments, "--stop-after", "1"])
            missed = [name for name, problem in verdicts.cases if problem]
            if missed or ended:
                return f"caught: {missed[0] if missed else ended}"
            # Nothing is said of races and of what was never written: that is Oclgrind's part.
            simulators = [
                (name, opencl.Simulator(self.kernel_check, self.layer, name, arguments, kernels))
                for name in opencl.OCLGRIND_PASSES
            ]
            for name, simulator in simulators:
                run = simulator.result(SIMULATOR_SECONDS)
                if run.log or run.problem or any(problem for _, problem in run.verdicts.cases):
                    for _, other in simulators:
                        other.process.kill()
                    return f"caught: Oclgrind, {name}"
        return "survives"


def compiles(kernels: pathlib.Path, file: str) -> bool:
    """By clang, which is quicker than a device; files without kernels are judged by others."""
    sources = [path for path in sorted(kernels.glob("*.cl"))
               if path.name == file or f'#include "{file}"' in path.read_text()]
    return all(
        subprocess.run(
            ["clang-19", "-x", "cl", "-cl-std=CL1.2", "--target=spir64", "-fsyntax-only", "-w",
             "-Xclang", "-finclude-default-header", "-I", str(kernels), str(source)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
        for source in sources)


def digest_of_kernels(judge: Judge) -> str:
    """What a verdict depends on besides the mutant: the other files and the program that judges."""
    digest = hashlib.sha256(judge.kernel_check.read_bytes())
    for path in sorted(KERNELS.glob("*.cl")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:24]


def report(results: list[tuple[Mutant, str]]) -> str:
    lines = ["| file | mutants | compile | caught | survive |", "| --- | --- | --- | --- | --- |"]
    survivors: list[str] = []
    total = {"compiled": 0, "caught": 0}
    for file in sorted({mutant.file for mutant, _ in results}):
        own = [(mutant, verdict) for mutant, verdict in results if mutant.file == file]
        compiled = [each for each in own if each[1] != "does not compile"]
        caught = [each for each in compiled if each[1].startswith("caught")]
        total["compiled"] += len(compiled)
        total["caught"] += len(caught)
        lines.append(f"| {file} | {len(own)} | {len(compiled)} | {len(caught)} |"
                     f" {len(compiled) - len(caught)} |")
        survivors += [
            f"{mutant.file}:{mutant.line}: {mutant.change}\n  - {mutant.before}\n"
            f"  + {mutant.after}" for mutant, verdict in compiled if verdict == "survives"]
    share = 100 * total["caught"] / max(1, total["compiled"])
    return "\n".join([
        *lines, "", f"{total['caught']} of {total['compiled']} caught ({share:.1f} %)", "",
        *survivors, ""])


def sampled(found: list[Mutant], most: int | None) -> list[Mutant]:
    if most is None or len(found) <= most:
        return found
    return sorted(sorted(found, key=lambda each: each.key)[:most], key=lambda each: each.line)


def main(
    kernel_check: pathlib.Path, layer: pathlib.Path, files: list[str], sample: int | None
) -> int:
    judge = Judge(kernel_check, layer)
    judge.demand_whole()
    RESULTS.mkdir(parents=True, exist_ok=True)
    state = digest_of_kernels(judge)
    paths = [KERNELS / file for file in files] or sorted(KERNELS.glob("*.cl"))
    results: list[tuple[Mutant, str]] = []
    for path in paths:
        known_file = RESULTS / f"{path.stem}.json"
        known = json.loads(known_file.read_text()) if known_file.exists() else {}
        if known.get("state") != state:
            known = {"state": state, "cases": judge.cases_of(path.name), "verdicts": {}}
        wanted = sampled(mutants(path), sample)
        print(f"{path.name}: {len(wanted)} mutants, {len(known['cases'])} cases", flush=True)
        for mutant in wanted:
            if mutant.key not in known["verdicts"]:
                known["verdicts"][mutant.key] = judge.verdict(mutant, known["cases"])
                beside = known_file.with_suffix(".new")
                beside.write_text(json.dumps(known, indent=1))
                beside.replace(known_file)
            verdict = known["verdicts"][mutant.key]
            results.append((mutant, verdict))
            print(f"  {mutant.file}:{mutant.line}: {mutant.change}: {verdict}", flush=True)
    text = report(results)
    (RESULTS / "report.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kernel_check", type=pathlib.Path, help="semg-kernel-check")
    parser.add_argument("layer", type=pathlib.Path, help="libsemg-opencl-layer.so")
    parser.add_argument("files", nargs="*", help="of Kernels; all where none is named")
    parser.add_argument("--sample", type=int, metavar="N", help="so many mutants of each file")
    given = parser.parse_args()
    sys.exit(main(
        given.kernel_check.resolve(), given.layer.resolve(), given.files, given.sample))
