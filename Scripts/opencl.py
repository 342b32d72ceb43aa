"""The OpenCL implementations that tests run on, none of which needs a GPU.

PoCL is the strict gate, Intel's runtime for CPUs is a second opinion, and Oclgrind simulates single
operations and finds races, accesses out of bounds and reads of what nobody wrote. Each is used in
processes of its own, and each process is first asked on which platform it really is.
"""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import reports

ROOT = pathlib.Path(__file__).resolve().parent.parent
KERNELS = ROOT / "Kernels"
VENV = ROOT / "build" / "venv"


@dataclasses.dataclass
class Implementation:
    name: str
    platform: str  # what OpenCL calls it
    library: pathlib.Path  # or .icd file
    how_to_get_it: str
    settings: dict[str, str] = dataclasses.field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """What a process is given to see this implementation and no other."""
        return {"OCL_ICD_VENDORS": str(self.library), **self.settings}

    def missing(self) -> str | None:
        if self.library.exists():
            return None
        return f"{self.library} is missing: {self.how_to_get_it}"


POCL = Implementation(
    "PoCL", "Portable Computing Language", pathlib.Path("/etc/OpenCL/vendors/pocl.icd"),
    "Scripts/install-packages.sh test", {"POCL_CACHE_DIR": str(ROOT / "build" / "pocl-cache")})
INTEL = Implementation(
    "Intel", "Intel(R) OpenCL", VENV / "lib" / "libintelocl.so",
    "make test makes the Python environment that holds it",
    {"XDG_CACHE_HOME": str(ROOT / "build" / "cache")})  # not the user's
OCLGRIND = Implementation(
    "Oclgrind", "Oclgrind", pathlib.Path("/usr/lib/oclgrind/liboclgrind-rt-icd.so"),
    "Scripts/install-packages.sh test")

# Oclgrind's own settings a pass. At full optimization its search for uninitialised values dies of an
# instruction that it does not know, and it needs help with buffers, which the layer gives. Each item
# costs most there: groups have the fewest that kernels are written for.
OCLGRIND_PASSES = {
    "races": {"OCLGRIND_DATA_RACES": "1"},
    "uninitialized": {
        "OCLGRIND_UNINITIALIZED": "1", "SEMG_OPENCL_BUILD_OPTIONS": "-cl-opt-disable",
        "SEMG_LAYER_FOR_OCLGRIND": "1", "SEMG_LAYER_DEVICE_ITEMS": "64",
    },
    # Their tiles take more local memory than it gives by itself.
    "races on tensor cores": {"OCLGRIND_DATA_RACES": "1", "OCLGRIND_LOCAL_MEM_SIZE": "65536"},
}
# The case that takes all that there is room for in a work-group's arrays: for mutants alone.
FILLS_ARRAYS = "[200, 56]"
# Left out of the simulations, each of half a minute or one of many alike: other cases run the same
# kernels the same way, these run everywhere else.
OCLGRIND_SKIPPED = [
    "attention, 1 heads of 1, 1 → 1, T 1,", "attention, 3 heads of 2, 7 → 7, T 5,",
    "attention, 2 heads of 5, 7 → 4, T 7,", "attention and mean, 2 heads of 3, 6 → 6, T 7,",
    "conv1d same 9 taps, dilation 1, 33 → 1,", "conv1d same 5 taps, dilation 2, 33 → 17,",
    *(f"3 taps, dilation {dilation}, 3 → 5," for dilation in (2, 4, 5, 6, 7)),
    # Of more than one tile: minutes each.
    "24 → 72, T 50,", "rows 40, 2/3", "rows 70, 2/2", ", T 70, dropout", "70 → 5, T 33,",
    "64 → 7, T 17,", "48 → 3, T 33,", "1 heads of 66,", "T 37,", "convolution",
    "pool 2, T 45,", "head 300", "T 66,", "C 136,", "24 → 16, T 33,", "20 → 16, rows 40", "T 4200,", FILLS_ARRAYS,
]
# What is simulated on emulated tensor cores: every kernel of theirs, attention with two tiles each
# way.
OCLGRIND_TENSOR_CORES = [
    "tensor core probe", "conv1d same 5 taps, dilation 2, 8 → 16,", "16 → 24, rows 40",
    "20 → 16, rows 40", "gradient sum 8 ← 16,", "T 70, C 24,", "16 → 2, T 66,",
    "weights in halves",
]
# Where a pass itself is wrong. Of optimized code Oclgrind 21.10 takes another lane of a Philox block
# than the one that is asked for, where that is not known beforehand: the same kernels agree without
# optimization, and on the other implementations with it.
OCLGRIND_MISTAKEN = {"races": ["head 33 → 17 → 5,"]}
# What one pass alone leaves out: without optimization each takes ten seconds and more.
OCLGRIND_SLOW = {"uninitialized": [
    "kernel gradients 8 → 40,",
    "66 → 3, T 3,", "contrast 64.0, 8/9", "[33, 31]", "[20, 30]", "32 → 32, rows 1,"]}
OCLGRIND_SECONDS = 1500  # five minutes on two idle cores; PoCL keeps one busy

# Faults that each pass must find, in place of a line of Kernels/elementwise.cl, before its silence
# is believed.
SEEDED_LINE = "  const int i = get_global_id(0);\n"
SEEDED_RACE = (
    SEEDED_LINE + "  __local volatile int seeded[1];\n  seeded[0] = i;\n"
    "  if (seeded[0] < 0) return;\n")
SEEDED = {
    "races": SEEDED_RACE,
    "uninitialized": SEEDED_LINE + "  float seeded[2];\n  if (seeded[i & 1] > 0.0f) return;\n",
    "races on tensor cores": SEEDED_RACE,
}
SEEDED_CASE = "relu 33,"


def prepare() -> None:
    """PoCL wants the directory of its cache to be there."""
    pathlib.Path(POCL.settings["POCL_CACHE_DIR"]).mkdir(parents=True, exist_ok=True)


def wrong_platform(implementation: Implementation, kernel_check: pathlib.Path) -> str | None:
    """Why a process does not run on the implementation that it was given."""
    result = subprocess.run(
        [str(kernel_check), "--device"], env={**os.environ, **implementation.environment()},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    if implementation.platform in result.stdout:
        return None
    return f"expected {implementation.platform}, found: {result.stdout.strip()[-300:]}"


@dataclasses.dataclass
class Verdicts:
    """What semg-kernel-check said of its cases."""

    cases: list[tuple[str, str | None]]
    without_kernel: dict[str, str]
    is_complete: bool


def read_verdicts(text: str) -> Verdicts:
    verdicts = Verdicts([], {}, False)
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        name, _, reason = rest.partition(": ")
        if kind == "pass":
            verdicts.cases.append((rest, None))
        elif kind == "miss":
            verdicts.cases.append((name, reason))
        elif kind == "none":
            verdicts.without_kernel[name] = reason
        elif line == "done":
            verdicts.is_complete = True
    return verdicts


@dataclasses.dataclass
class Simulation:
    """One run of semg-kernel-check under Oclgrind."""

    verdicts: Verdicts
    log: str
    problem: str | None


class Simulator:
    """Starts semg-kernel-check under one of Oclgrind's passes, and collects what came of it."""

    def __init__(
        self, kernel_check: pathlib.Path, layer: pathlib.Path, name: str,
        arguments: list[str] | None = None, kernels: pathlib.Path | None = None,
    ) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="semg-oclgrind-"))
        self.log = self.folder / "log"
        environment = {
            **os.environ, **OCLGRIND.environment(), **OCLGRIND_PASSES[name],
            "OCLGRIND_CHECK_API": "1", "OCLGRIND_LOG": str(self.log), "OCLGRIND_MAX_ERRORS": "100",
            "OCLGRIND_NUM_THREADS": "1", "OPENCL_LAYERS": str(layer),
            "SEMG_OPENCL_WITHOUT_CLBLAST": "1",
        }
        if kernels is not None:
            environment["SEMG_KERNELS"] = str(kernels)
        self.output = (self.folder / "output").open("w+")
        self.process = subprocess.Popen(
            [str(kernel_check), *(arguments or [])], env=environment, stdout=self.output,
            stderr=subprocess.STDOUT)

    def result(self, seconds: float) -> Simulation:
        problem = None
        try:
            status = self.process.wait(timeout=max(1.0, seconds))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status, problem = 0, f"still running after {OCLGRIND_SECONDS} seconds"
        self.output.seek(0)
        text = self.output.read()
        self.output.close()
        log = self.log.read_text(errors="replace").strip() if self.log.exists() else ""
        shutil.rmtree(self.folder, ignore_errors=True)
        verdicts = read_verdicts(text)
        if status not in (0, 1) or not problem and not verdicts.is_complete:
            problem = f"ended with {status} before all cases were done: {text.strip()[-500:]}"
        return Simulation(verdicts, log, problem)


def runs_on_tensor_cores(name: str) -> bool:
    """Whether a pass is about them: the others leave them out."""
    return name.endswith("tensor cores")


def left_out(name: str) -> list[str]:
    """Parts of the names of the cases that a pass does not run."""
    return OCLGRIND_SKIPPED + OCLGRIND_MISTAKEN.get(name, []) + OCLGRIND_SLOW.get(name, [])


def is_simulated(case: str, name: str) -> bool:
    """Whether one of Oclgrind's passes runs a case."""
    if runs_on_tensor_cores(name):
        return any(word in case for word in OCLGRIND_TENSOR_CORES)
    return not any(word in case for word in left_out(name))


def arguments_of(name: str) -> list[str]:
    """What semg-kernel-check is given for a pass."""
    if runs_on_tensor_cores(name):
        return ["--emulated", *(
            word for case in OCLGRIND_TENSOR_CORES for word in ("--match", case))]
    return [word for case in left_out(name) for word in ("--skip", case)]


def summary(log: str) -> str:
    """The kinds of findings with the line of the kernel, each once, with its number."""
    found: dict[str, int] = {}
    for part in re.split(r"\n\s*\n", log):
        lines = [line.strip() for line in part.strip().splitlines()]
        if not lines:
            continue
        kernel = next((line for line in lines if line.startswith("Kernel:")), "")
        code = lines[-1] if any(line.startswith("At line") for line in lines) else ""
        headline = re.sub(r"0x[0-9a-f]+", "0x…", lines[0])
        key = " | ".join(part for part in (headline, kernel, code) if part)
        found[key] = found.get(key, 0) + 1
    return "; ".join(f"{key} ({number} times)" for key, number in list(found.items())[:20])


def seeded_kernels(name: str, folder: pathlib.Path) -> None:
    """A copy of the kernels with a fault of the kind that a pass looks for."""
    shutil.copytree(KERNELS, folder, dirs_exist_ok=True)
    file = folder / "elementwise.cl"
    text = file.read_text()
    if SEEDED_LINE not in text:
        raise ValueError(f"{file.name} has no line to seed a fault at: {SEEDED_LINE.strip()}")
    file.write_text(text.replace(SEEDED_LINE, SEEDED[name], 1))


def simulate(kernel_check: pathlib.Path, layer: pathlib.Path, folder: pathlib.Path) -> None:
    """All passes over the small cases, two at a time; writes a report for each into `folder`."""
    deadline = time.monotonic() + OCLGRIND_SECONDS
    with tempfile.TemporaryDirectory(prefix="semg-seeded-") as seeded:
        controls = {}
        for name in OCLGRIND_PASSES:
            kernels = pathlib.Path(seeded) / name
            seeded_kernels(name, kernels)
            controls[name] = Simulator(
                kernel_check, layer, name, ["--match", SEEDED_CASE], kernels)
        found = {name: control.result(60) for name, control in controls.items()}
    def start(name: str) -> Simulator:
        return Simulator(kernel_check, layer, name, arguments_of(name))

    names = list(OCLGRIND_PASSES)
    running = {name: start(name) for name in names[:2]}
    for turn, name in enumerate(names):
        run = running[name].result(deadline - time.monotonic())
        if turn + 2 < len(names):
            running[names[turn + 2]] = start(names[turn + 2])
        cases = run.verdicts.cases + [
            ("a seeded fault is found", None if found[name].log else "the log stayed empty"),
            ("every case was run", run.problem),
            ("the log is empty", summary(run.log) or None),
        ]
        reports.write(
            folder / f"oclgrind-{name.replace(' ', '-')}.xml", f"Oclgrind, {name}", cases,
            skipped=run.verdicts.without_kernel)
        for case, problem in cases:
            if problem:
                print(f"Oclgrind, {name}: {case}: {problem}", flush=True)
