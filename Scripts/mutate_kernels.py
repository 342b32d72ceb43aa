"""Breaks the OpenCL kernels in small ways, one at a time, and counts what the small cases notice.

usage: mutate_kernels.py KERNEL_CHECK LAYER [--sample N] [--without-oclgrind] [FILE.cl ...]
       (or `make test-long`)

A mutant is a kernel file with one index, comparison, sign, constant, barrier or statement changed.
All run the cases that use their file, by semg-kernel-check on PoCL, in single precision, in half
precision, and with emulated tensor cores: most of them in one program with a switch for each
(mutant_switches.py), the others by themselves. What survives is told from those that clang turns
into the very code of the original, in the build for all shapes and in the builds that the files
declare: nothing can tell them from it. The rest goes through Oclgrind's passes, with the cases that
catch most. Where only builds for one shape differ, those are run.

`--sample` takes N mutants of each file, always the same ones; `--without-oclgrind` leaves out the
simulations, which take some ten seconds a mutant, until the next run. Finished mutants are kept in
build/mutants, so a stopped run goes on where it was; those of kernels that have changed are judged
anew, and where cases have changed those that survived. At the end: caught of those that compiled to
other code, and the survivors with their lines. A survivor is either explained or a case that is
missing.
"""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import check_kernels
import mutant_sweep
import mutant_switches
import opencl
from kernel_mutants import Mutant, is_shorter_array, mutants, without_comments

ROOT = pathlib.Path(__file__).resolve().parent.parent
KERNELS = ROOT / "Kernels"
RESULTS = ROOT / "build" / "mutants"
# The tests' own stand-in for tensor cores: no kernel of ours.
EMULATION = "tensor_core_emulated.cl"
# Of processor time, so that a busy machine makes nobody look caught: a mutant that takes longer
# hangs. What is still running when so many times as much has gone by on the clock is not judged.
SECONDS = 60
SWEEP_SECONDS = 10  # without a word, when everything has been compiled
SIMULATOR_SECONDS = 20
# A simulation takes seconds per case: of those that a pass runs, the ones that caught most. An array
# that is one shorter takes the case that fills it.
SIMULATED_CASES = 3
PATIENCE = 20
# How semg-kernel-check runs its cases; the first that uses a file finds most.
MODES = {
    "single precision": [],
    "half precision": ["--fp16"],
    "tensor cores": ["--emulated"],
}
# Compiling is most of the work, and what is judged is the source.
BUILD_OPTIONS = "-cl-opt-disable"


# A verdict until Oclgrind has its say.
SURVIVES_POCL = "survives on PoCL"


class NotJudged(Exception):
    """The machine was too busy to tell."""


class Judge:
    """Runs semg-kernel-check over mutated copies of the kernels."""

    def __init__(
        self, kernel_check: pathlib.Path, layer: pathlib.Path, folder: pathlib.Path
    ) -> None:
        self.kernel_check, self.layer, self.cache = kernel_check, layer, folder / "cache"
        self.cache.mkdir()
        self.kept: set[pathlib.Path] = set()
        self.switched = folder / "switched"
        self.numbers: dict[str, int] = {}
        self.all_cases: dict[str, list[str]] = {}  # of each mode
        self.cases: dict[str, dict[str, list[str]]] = {}  # of each file that was asked for

    def settings(self, kernels: pathlib.Path) -> dict[str, str]:
        return {
            **opencl.POCL.environment(), "SEMG_KERNELS": str(kernels),
            "SEMG_OPENCL_WITHOUT_CLBLAST": "1", "SEMG_OPENCL_BUILD_OPTIONS": BUILD_OPTIONS,
            "POCL_CACHE_DIR": str(self.cache),
        }

    def run(
        self, kernels: pathlib.Path, arguments: list[str], seconds: float = SECONDS
    ) -> tuple[opencl.Verdicts, str]:
        """Verdicts, and why the run ended early, if it did."""
        environment = {**os.environ, **self.settings(kernels)}
        limit = int(seconds)
        try:
            result = subprocess.run(
                [str(self.kernel_check), *arguments], env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE * seconds,
                errors="replace",
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5)))
        except subprocess.TimeoutExpired:
            raise NotJudged from None
        verdicts = opencl.read_verdicts(result.stdout)
        ended = "" if verdicts.is_complete else f"ends with {result.returncode}"
        return verdicts, ended

    def demand_whole(self) -> None:
        """Kernels that fail unbroken, say those of another commit, would make all look caught."""
        for mode, flags in MODES.items():
            verdicts, ended = self.run(KERNELS, flags, 600)
            missed = [name for name, problem in verdicts.cases if problem]
            if missed or ended or not verdicts.cases:
                raise RuntimeError(
                    f"before any mutation, semg-kernel-check in {mode} "
                    + (ended or ("misses " + ", ".join(missed[:3]) if missed else "runs no case"))
                    + ": build it from the sources beside these kernels")
            self.all_cases[mode] = [name for name, _ in verdicts.cases]
        self.keep()

    def keep(self) -> None:
        """What is in PoCL's cache now stays there when `forget` empties it of mutants."""
        self.kept = set(self.cache.glob("*/*"))

    def forget(self) -> None:
        for program in set(self.cache.glob("*/*")) - self.kept:
            shutil.rmtree(program, ignore_errors=True)

    # MARK: Switches

    def write_switches(self, found: list[Mutant]) -> None:
        builds = {
            source.name: [
                [*emulation(source.name), *defines] for defines in ([], *filter(None, source.builds))]
            for source in sources()}
        self.numbers = mutant_switches.write(found, KERNELS, self.switched, builds)
        print(f"{len(self.numbers)} of {len(found)} mutants share a program", flush=True)

    def demand_switches(self, file: str, cases: dict[str, list[str]]) -> None:
        """Compiles the cases' kernels with their switches, once. Where one fails with none picked,
        the mutants of this file are judged alone."""
        verdicts = [self.sweep(mode, names, [0], 600) for mode, names in cases.items()]
        if not any(each[0] for each in verdicts):
            self.keep()
            return
        print(f"{file}: fails with switches: its mutants are judged alone", flush=True)
        for mutant in mutants(KERNELS / file):
            self.numbers.pop(mutant.key, None)

    def sweep(
        self, mode: str, names: list[str], wanted: list[int], seconds: float = SWEEP_SECONDS
    ) -> dict[int, str | None]:
        """What noticed each of the mutants with these numbers, if anything."""
        verdicts: dict[int, str | None] = {}
        with tempfile.TemporaryDirectory(prefix="semg-mutant-") as name:
            folder = pathlib.Path(name)
            command = [
                str(self.kernel_check), *self.arguments(mode, names, folder),
                "--mutants", str(folder / "mutants"),
                "--mutant-address", str(mutant_switches.ADDRESS)]
            environment = {**os.environ, **self.settings(self.switched)}
            while left := [number for number in wanted if number not in verdicts]:
                (folder / "mutants").write_text("\n".join(map(str, left)) + "\n")
                found, ended = mutant_sweep.run(command, environment, seconds)
                verdicts.update(found)
                if not ended and len(found) < len(left):
                    raise RuntimeError(f"semg-kernel-check judged {len(found)} of {len(left)} mutants")
                # The first of a process did that itself; a later one may stand in the ruins of
                # an earlier one. What hangs hangs by itself.
                if ended and left[len(found):] and (not found or ended == mutant_sweep.HANGS):
                    verdicts[left[len(found)]] = ended
        return verdicts

    def cases_of(self, file: str) -> dict[str, list[str]]:
        """The cases that use a file with kernels, itself or by what it includes, a mode."""
        users = users_of(file)
        for user in users:
            if user not in self.cases:
                self.cases[user] = self.cases_without(user)
        found: dict[str, list[str]] = {}
        for mode, names in self.all_cases.items():
            wanted = {name for user in users for name in self.cases[user][mode]}
            if mode == "tensor cores" and not file.startswith("tensor_core"):
                # They run as they do in half precision, but for what tensor cores leave them.
                wanted -= {
                    name for name in self.all_cases["half precision"]
                    if not name.startswith(("convolution", "attention and mean"))}
            if wanted:
                found[mode] = [name for name in names if name in wanted]
        return found

    def cases_without(self, file: str) -> dict[str, list[str]]:
        """The cases of each mode that cannot run where the file is broken."""
        found: dict[str, list[str]] = {}
        with tempfile.TemporaryDirectory(prefix="semg-mutant-") as folder:
            kernels = pathlib.Path(folder)
            shutil.copytree(KERNELS, kernels, dirs_exist_ok=True)
            (kernels / file).write_text("#error broken\n")
            for mode, flags in MODES.items():
                verdicts, ended = self.run(kernels, flags, 600)
                if ended:
                    raise RuntimeError(f"semg-kernel-check {ended} where {file} is broken")
                found[mode] = [name for name, problem in verdicts.cases if problem]
        return found

    def arguments(self, mode: str, names: list[str], folder: pathlib.Path) -> list[str]:
        listed = folder / f"cases {mode}"
        listed.write_text("\n".join(names) + "\n")
        return [*MODES[mode], "--cases", str(listed), "--stop-after", "1"]

    def verdict_alone(
        self, mutant: Mutant, cases: dict[str, list[str]], survives_generic: bool
    ) -> str:
        """"does not compile", "same code", "caught: …" or "survives …", of a mutant by itself, which
        may be known to survive all cases in the build for all shapes: without Oclgrind."""
        with tempfile.TemporaryDirectory(prefix="semg-mutant-") as name:
            folder = pathlib.Path(name)
            kernels = self.broken(mutant, folder)
            difference = differs(mutant.file, kernels)
            if difference not in ("generic", "specialized"):
                return difference
            is_special = difference == "specialized"
            # Those on tensor cores have builds for their parts, which have been run.
            if survives_generic and (not is_special or mutant.file.startswith("tensor_core")):
                return SURVIVES_POCL
            for mode, names in cases.items():
                arguments = self.arguments(mode, names, folder)
                if is_special:
                    arguments.append("--specialize")
                caught = first_miss(*self.run(kernels, arguments))
                self.forget()
                if caught:
                    # Clang took it for no device in particular.
                    is_refused = "clBuildProgram" in caught[1]
                    return "does not compile" if is_refused else f"caught: {caught[0]}"
        return f"{SURVIVES_POCL} where specialized" if is_special else SURVIVES_POCL

    def simulated_verdict(
        self, mutant: Mutant, cases: dict[str, list[str]], survives: str
    ) -> str:
        """Nothing is said of races and of what was never written: that is Oclgrind's part."""
        with tempfile.TemporaryDirectory(prefix="semg-mutant-") as place:
            folder = pathlib.Path(place)
            kernels = self.broken(mutant, folder)
            for name in opencl.OCLGRIND_PASSES:
                # A pass without optimization is slow.
                if name == "uninitialized" and not may_miss_memory(mutant):
                    continue
                on_tensor_cores = opencl.runs_on_tensor_cores(name)
                mode = "tensor cores" if on_tensor_cores else "single precision"
                shortens = is_shorter_array(mutant)
                judged = [
                    case for case in cases.get(mode, [])
                    if opencl.is_simulated(case, name) or shortens and opencl.FILLS_ARRAYS in case]
                most = None if shortens and name == "races" else SIMULATED_CASES
                arguments = self.arguments(mode, judged[:most], folder)
                if judged and self.simulated(name, arguments, kernels):
                    return f"caught: Oclgrind, {name}"
        return survives.replace(SURVIVES_POCL, "survives")

    def broken(self, mutant: Mutant, folder: pathlib.Path) -> pathlib.Path:
        kernels = folder / "kernels"
        shutil.copytree(KERNELS, kernels)
        (kernels / mutant.file).write_text(mutant.text)
        return kernels

    def simulated(self, name: str, arguments: list[str], kernels: pathlib.Path) -> bool:
        """Whether one of Oclgrind's passes finds anything; it is stopped at the first finding."""
        simulator = opencl.Simulator(self.kernel_check, self.layer, name, arguments, kernels)
        pid = simulator.process.pid
        resource.prlimit(pid, resource.RLIMIT_CPU, (SIMULATOR_SECONDS, SIMULATOR_SECONDS + 5))
        found = False
        deadline = time.monotonic() + PATIENCE * SIMULATOR_SECONDS
        while simulator.process.poll() is None and not found:
            time.sleep(1)
            found = simulator.log.exists() and simulator.log.stat().st_size > 0
            if time.monotonic() > deadline:
                simulator.process.kill()
                simulator.result(1)
                raise NotJudged
        if found:
            simulator.process.kill()
        run = simulator.result(30)
        # A pass that ran out of time has found nothing.
        return found or bool(run.log) or any(problem for _, problem in run.verdicts.cases)


def may_miss_memory(mutant: Mutant) -> bool:
    """Whether a change may leave something unwritten, or go beyond an item's own arrays."""
    return mutant.change in ("index plus one", "index minus one", "dropped statement") \
        or mutant.change == "< to <=" and mutant.before.startswith("for (")


def first_miss(verdicts: opencl.Verdicts, ended: str) -> tuple[str, str] | None:
    """The case that noticed, and what it said; or how the run ended early."""
    missed = [(name, problem) for name, problem in verdicts.cases if problem]
    return missed[0] if missed else (ended, ended) if ended else None


# MARK: Code


def included(file: str, folder: pathlib.Path) -> set[str]:
    """The file with all that it includes."""
    found = {file}
    for name in re.findall(r'^#include "(\w+\.cl)"', (folder / file).read_text(), re.M):
        found |= included(name, folder)
    return found


def code(file: str, defines: list[str], folder: pathlib.Path) -> str | None:
    """What clang makes of a file with kernels, for no device in particular; None where it fails."""
    result = subprocess.run(
        ["clang-19", "-x", "cl", "-cl-std=CL1.2", "--target=spir64", "-O1", "-S", "-emit-llvm",
         "-w", "-Xclang", "-fdeclare-opencl-builtins", "-Xclang", "-finclude-default-header",
         *defines, file, "-o", "-"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return result.stdout if result.returncode == 0 else None


def sources() -> list[check_kernels.Source]:
    """The files with kernels."""
    found = [check_kernels.read_source(path) for path in sorted(KERNELS.glob("*.cl"))]
    return [source for source in found if source.kernels]


def emulation(file: str) -> list[str]:
    """As the cases build it: no device but one has PTX."""
    return ["-DEMULATED=2"] if EMULATION in included(file, KERNELS) else []


def users_of(file: str) -> list[str]:
    return [each.name for each in sources() if file in included(each.name, KERNELS)]


ORIGINAL: dict[tuple[str, ...], str | None] = {}


def differs(file: str, kernels: pathlib.Path) -> str:
    """Where a mutant's code is another than the original's: "generic" in the builds for all shapes,
    "specialized" in those for one shape alone, or "same code", or "does not compile"."""
    users = [each for each in sources() if file in included(each.name, KERNELS)]
    builds = [(each.name, []) for each in users]
    builds += [(each.name, defines) for each in users for defines in each.builds if defines]
    for name, defines in builds:
        is_special = bool(defines)
        defines = [*emulation(name), *defines]
        key = (name, *defines)
        if key not in ORIGINAL:
            ORIGINAL[key] = code(name, defines, KERNELS)
        mutated = code(name, defines, kernels)
        if mutated is None:
            return "does not compile"
        if mutated != ORIGINAL[key]:
            return "specialized" if is_special else "generic"
    return "same code"


def digest_of_kernels(file: str) -> str:
    """Of all that a mutant of the file is compiled with."""
    names = {file}.union(*(included(user, KERNELS) for user in users_of(file)))
    digest = hashlib.sha256()
    for name in sorted(names):
        code = without_comments((KERNELS / name).read_text())
        digest.update(f"{name}\n{code}".encode())
    return digest.hexdigest()[:24]


def known_verdicts(judge: Judge, path: pathlib.Path) -> dict:
    """What is known of a file's mutants. With other kernels nothing; where semg-kernel-check is
    another, what survived is to be judged again, and what a case caught that is no longer there."""
    file, kernels = RESULTS / f"{path.stem}.json", digest_of_kernels(path.name)
    known = json.loads(file.read_text()) if file.exists() else {}
    program = hashlib.sha256(judge.kernel_check.read_bytes()).hexdigest()[:24]
    if known.get("kernels") == kernels and known.get("program") == program:
        return known
    cases = judge.cases_of(path.name)
    verdicts: dict[str, str] = {}
    if known.get("kernels") == kernels:
        names = {name for each in cases.values() for name in each}
        gone = {name for each in known["cases"].values() for name in each} - names
        verdicts = {
            key: verdict for key, verdict in known["verdicts"].items()
            if not verdict.startswith("survives") and verdict.removeprefix("caught: ") not in gone}
    return {"kernels": kernels, "program": program, "cases": cases, "verdicts": verdicts}


def ordered(cases: dict[str, list[str]], verdicts: dict[str, str]) -> dict[str, list[str]]:
    """Those first, in their mode, that caught most."""
    caught = collections.Counter(
        verdict.removeprefix("caught: ") for verdict in verdicts.values())
    return {mode: sorted(names, key=lambda case: -caught[case]) for mode, names in cases.items()}


# What is known of survivors by their lines; the first that fits.
GUARD = re.compile(r"\b(return|break|continue);")
KINDS: list[tuple[str, Callable[[Mutant], bool]]] = [
    ("an array one shorter, the last of which no small case uses", is_shorter_array),
    ("a barrier with others near it, which items in step do without",
     lambda mutant: mutant.change == "dropped barrier"),
    ("one more turn of a loop, which adds zeros, repeats, or makes what is not written",
     lambda mutant: re.search(r"\bfor \(", mutant.before) is not None and mutant.change in (
         "< to <=", "+= to =", "* to +", "constant plus one")),
    ("a guard at an edge that no launch reaches, or that another one guards",
     lambda mutant: mutant.before.startswith("if (") and GUARD.search(mutant.before) is not None),
    ("an edge at which both ways lead to the same: what is beyond it is not used, or is zero",
     lambda mutant: mutant.change in ("< to <=", "<= to <", "> to >=", ">= to >", "&& to ||")),
    ("more room, more copies or more work than is needed",
     lambda mutant: mutant.before.startswith("#define") or "TILES(" in mutant.before
     or mutant.before.startswith("__local")
     or re.search(r"\b(lanes|chunks|blocks|steps|WORDS) =", mutant.before) is not None),
    ("where something begins that is not used, or is multiplied by zero first",
     lambda mutant: mutant.change == "constant changed" or "] = {" in mutant.before
     or re.search(r"\? .* : [01]\b", mutant.before) is not None),
    ("another of several items or groups that write the same",
     lambda mutant: re.search(r"WRITES_|get_(group|local)_id\(\d\) == 0", mutant.before) is not None),
    ("something else", lambda mutant: True),
]


def survivors(results: list[tuple[Mutant, str]]) -> str:
    """Those that survive, a line a kind and file: their lines and changes."""
    found: dict[str, list[Mutant]] = {kind: [] for kind, _ in KINDS}
    for mutant, verdict in results:
        if verdict.startswith("survives"):
            found[next(kind for kind, fits in KINDS if fits(mutant))].append(mutant)
    lines: list[str] = []
    for kind, own in found.items():
        if own:
            lines += [f"## {kind[0].upper()}{kind[1:]} ({len(own)})", ""]
        for file in sorted({mutant.file for mutant in own}):
            places = [f"{mutant.line} {mutant.change}" for mutant in own if mutant.file == file]
            lines.append(f"- `{file}`: " + "; ".join(f"`{place}`" for place in places))
        lines += [""] if own else []
    return "\n".join(lines)


def report(results: list[tuple[Mutant, str]]) -> str:
    lines = ["| file | mutants | compile | same code | caught | survive |",
             "| --- | --- | --- | --- | --- | --- |"]
    total: collections.Counter[str] = collections.Counter()

    def row(name: str, kinds: collections.Counter[str]) -> str:
        count = kinds.total()
        return (f"| {name} | {count} | {count - kinds['does not compile']} |"
                f" {kinds['same code']} | {kinds['caught']} | {kinds['survives']} |")

    changes: list[str] = []
    for file in sorted({mutant.file for mutant, _ in results}):
        own = [(mutant, verdict) for mutant, verdict in results if mutant.file == file]
        kinds = collections.Counter(
            re.sub(r"^(caught|survives).*", r"\1", verdict) for _, verdict in own)
        total += kinds
        lines.append(row(file, kinds))
        changes += [
            f"{mutant.file}:{mutant.line}: {mutant.change}: {verdict}\n  - {mutant.before}\n"
            f"  + {mutant.after}" for mutant, verdict in own if verdict.startswith("survives")]
    judged = total["caught"] + total["survives"]
    share = 100 * total["caught"] / max(1, judged)
    return "\n".join([
        *lines, row("all", total), "", f"{total['caught']} of {judged} caught ({share:.1f} %)", "",
        survivors(results), *changes, ""])


def sampled(found: list[Mutant], most: int | None) -> list[Mutant]:
    if most is None or len(found) <= most:
        return found
    return sorted(sorted(found, key=lambda each: each.key)[:most], key=lambda each: each.line)


def judge_file(
    judge: Judge, path: pathlib.Path, sample: int | None, simulates: bool
) -> list[tuple[Mutant, str]]:
    known = known_verdicts(judge, path)
    cases, verdicts = known["cases"], known["verdicts"]
    wanted = sampled(mutants(path), sample)
    counts = ", ".join(f"{len(names)} cases in {mode}" for mode, names in cases.items())
    print(f"{path.name}: {len(wanted)} mutants, {counts or 'no cases'}", flush=True)

    def decide(mutant: Mutant, verdict: str) -> None:
        verdicts[mutant.key] = verdict
        beside = RESULTS / f"{path.stem}.new"
        beside.write_text(json.dumps(known, indent=1))
        beside.replace(RESULTS / f"{path.stem}.json")
        print(f"  {mutant.file}:{mutant.line}: {mutant.change}: {verdict}", flush=True)

    left = [mutant for mutant in wanted if mutant.key not in verdicts]
    if left:
        judge.demand_switches(path.name, cases)
    switched = {
        judge.numbers[mutant.key]: mutant for mutant in left if mutant.key in judge.numbers}
    for mode, names in cases.items():
        for number, caught in judge.sweep(mode, names, list(switched)).items():
            if caught:
                decide(switched.pop(number), f"caught: {caught}")
    surviving = {mutant.key for mutant in switched.values()}
    for mutant in wanted:
        verdict = verdicts.get(mutant.key)
        try:
            if verdict is None:
                verdict = judge.verdict_alone(
                    mutant, ordered(cases, verdicts), mutant.key in surviving)
                decide(mutant, verdict)
            if simulates and verdict.startswith(SURVIVES_POCL):
                decide(mutant, judge.simulated_verdict(
                    mutant, ordered(cases, verdicts), verdict))
        except NotJudged:
            print(f"  {mutant.file}:{mutant.line}: {mutant.change}: not judged", flush=True)
    return [(mutant, verdicts[mutant.key]) for mutant in wanted if mutant.key in verdicts]


def main(
    kernel_check: pathlib.Path, layer: pathlib.Path, files: list[str], sample: int | None,
    simulates: bool,
) -> int:
    RESULTS.mkdir(parents=True, exist_ok=True)
    paths = [KERNELS / file for file in files] or [
        path for path in sorted(KERNELS.glob("*.cl")) if path.name != EMULATION]
    results: list[tuple[Mutant, str]] = []
    with tempfile.TemporaryDirectory(prefix="semg-mutants-") as folder:
        judge = Judge(kernel_check, layer, pathlib.Path(folder))
        judge.demand_whole()
        judge.write_switches([mutant for path in paths for mutant in mutants(path)])
        for path in paths:
            results += judge_file(judge, path, sample, simulates)
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
    parser.add_argument("--without-oclgrind", action="store_true", help="leave it to the next run")
    given = parser.parse_intermixed_args()  # files may follow --sample
    sys.exit(main(
        given.kernel_check.resolve(), given.layer.resolve(), given.files, given.sample,
        not given.without_oclgrind))
