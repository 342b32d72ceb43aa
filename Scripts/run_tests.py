"""Runs every check of the repository and prints, last, what their own reports add up to.

usage: run_tests.py        (from `make test`, which installs the system packages first)

Every step runs whatever became of the one before, so one run shows all that is wrong. Reports lie
in build/reports. Environment: CI=true makes a skip a failure; SEMG_TEST_MINUTES (80) bounds all.
"""

import functools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import check_repository
import make_venv
import opencl
import reports

ROOT = pathlib.Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "reports"
VENV = ROOT / "build" / "venv"
# A build folder of its own: the flags differ from `make build`, and each would undo the other.
SCRATCH = ROOT / "build" / "swift-test"
KERNEL_CHECK = SCRATCH / "release" / "semg-kernel-check"
# Between OpenCL's loader and the platform: counts calls and makes them fail (Tests/OpenCLLayer).
LAYER = SCRATCH / "release" / "libsemg-opencl-layer.so"
SWIFT_OPTIONS = [
    "--configuration", "release", "--scratch-path", str(SCRATCH), "-Xswiftc", "-enable-testing",
]
BUNDLE = SCRATCH / "release" / "semg-trainPackageTests.xctest"
TEST_ENVIRONMENT = {
    "SEMG_ALL_TESTS": "1", "SEMG_PYTHON": str(VENV / "bin" / "python"),
    "SEMG_OPENCL_LAYER": str(LAYER),
}
DEADLINE = time.monotonic() + 60 * float(os.environ.get("SEMG_TEST_MINUTES", "80"))


def run(command: list[str], environment: dict[str, str] | None = None) -> str | None:
    """Runs a command to its end or to the deadline; returns what went wrong, or None."""
    print("+", " ".join(command), flush=True)
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **(environment or {})}, start_new_session=True
    )
    try:
        status = process.wait(timeout=max(1.0, DEADLINE - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as stop:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(stop, KeyboardInterrupt):
            raise
        return f"`{command[0]} {command[1]}` was still running when the time for all tests was up"
    named = " ".join(pathlib.Path(word).name for word in command[:3])
    print(f"  ({named}: {time.monotonic() - started:.0f} s)", flush=True)
    return None if status == 0 else f"`{' '.join(command[:2])}` exited with {status}"


class PythonEnvironment(threading.Thread):
    """Makes build/venv while Swift compiles: one waits for the network, the other for the cores."""

    problem: str | None = "not finished"

    def run(self) -> None:
        try:
            make_venv.make(VENV, ROOT / "Tests" / "requirements.txt")
            self.problem = None
        except (subprocess.CalledProcessError, OSError) as error:
            self.problem = f"no Python environment: {error}"


def lint() -> None:
    problem = run(["make", "--no-print-directory", "lint"])
    reports.write(REPORTS / "lint.xml", "lint", [("swift format", problem)])


def python_tests(
    python: str, folder: str, name: str, environment: dict[str, str] | None = None
) -> None:
    """The tests of one of our Python folders, by an interpreter that has what they import."""
    report = REPORTS / f"{name}.xml"
    problem = run(
        [python, str(ROOT / "Scripts" / "run_python_tests.py"), folder, str(report)], environment)
    if problem and not reports.count(report).failed or not report.exists():
        reports.write(report, name, [(folder, problem or "wrote no report")])


def swift_build(environment: PythonEnvironment) -> bool:
    """Whether the tests are built."""
    problem = run(["swift", "build", "--build-tests", *SWIFT_OPTIONS])
    reports.write(REPORTS / "build.xml", "build", [("release, for testing", problem)])
    environment.join(timeout=max(1.0, DEADLINE - time.monotonic()))
    reports.write(REPORTS / "venv.xml", "venv", [("Python environment", environment.problem)])
    return problem is None


def fill_pocl_cache() -> None:
    """Has PoCL compile what the self-check runs: a minute. Of tests that begin side by side each would
    do it for itself. What goes wrong here goes wrong in a test, too."""
    opencl.prepare()
    run([str(SCRATCH / "release" / "semg-train"), "devices", "--verbose"],
        {**opencl.POCL.environment(), "SEMG_SELF_CHECK_SECONDS": "900"})


def swift_tests() -> None:
    """All but the OpenCL device's. Several hold times: nothing else runs beside them."""
    # The device must not depend on what this machine has: PoCL is what CI has.
    run_swift("swift", ["--skip", "ComputeOpenCLTests"], opencl.POCL)


def run_swift(
    name: str, options: list[str], implementation: opencl.Implementation
) -> None:
    """Swift tests on one OpenCL implementation, reported under a name."""
    problem = run(
        ["swift", "test", "--skip-build", "--xunit-output", str(REPORTS / f"{name}.xml"), *options,
         *SWIFT_OPTIONS],
        {**TEST_ENVIRONMENT, **implementation.environment()})
    # XCTest's report is written only if there are XCTest cases; ours is the other.
    report_run(name, REPORTS / f"{name}-swift-testing.xml", problem)


def report_run(name: str, report: pathlib.Path, problem: str | None) -> None:
    """Reports what a run's own report cannot say: how it ended, and that no test ran."""
    counted = reports.count(report)
    if problem and not counted.failed:
        reports.write(REPORTS / f"{name}-exit.xml", name, [("exit status", problem)])
    elif not problem and counted.passed == 0:
        reports.write(REPORTS / f"{name}-exit.xml", name, [("tests ran", "none did")])


def run_opencl(implementation: opencl.Implementation) -> None:
    """The OpenCL device's tests on one implementation. Not by `swift test`, of which one at a time may
    run in a build folder."""
    name = f"opencl-{implementation.name.lower()}"
    report = REPORTS / f"{name}-swift-testing.xml"
    # One test after another: PoCL 3.1 now and then dies of an assertion of its own
    # (pocl_release_dlhandle_cache) where several contexts work at once.
    problem = run(
        [str(BUNDLE), "--testing-library", "swift-testing", "--filter", "ComputeOpenCLTests",
         "--no-parallel", "--xunit-output", str(report)],
        {**TEST_ENVIRONMENT, **implementation.environment(), "OPENCL_LAYERS": str(LAYER)})
    report_run(name, report, problem)


def usable_implementations() -> list[opencl.Implementation]:
    """Those that are there and answer, of all that tests run on; reports which are not."""
    platforms: list[tuple[str, str | None]] = []
    skipped: dict[str, str] = {}
    usable = []
    for implementation in (opencl.POCL, opencl.INTEL, opencl.OCLGRIND):
        if reason := implementation.missing():
            skipped[implementation.name] = reason
            continue
        problem = opencl.wrong_platform(implementation, KERNEL_CHECK)
        platforms.append((f"{implementation.name} is there", problem))
        if not problem:
            usable.append(implementation)
    reports.write(REPORTS / "opencl.xml", "OpenCL", platforms, skipped=skipped)
    return usable


def opencl_tests_and(others: list[Callable[[], None]]) -> None:
    """The OpenCL device on each implementation, in processes of their own, and what else is left. PoCL
    compiles on one core, for longer than all the rest takes: the rest runs beside it, in turn."""
    usable = usable_implementations() if KERNEL_CHECK.exists() else []
    aside = threading.Thread(target=run_opencl, args=(opencl.POCL,), daemon=True)
    if opencl.POCL in usable:
        aside.start()
    if opencl.INTEL in usable:
        run_opencl(opencl.INTEL)
    if opencl.OCLGRIND in usable:
        started = time.monotonic()
        print("+ semg-kernel-check under Oclgrind", flush=True)
        opencl.simulate(KERNEL_CHECK, LAYER, REPORTS)
        print(f"  (Oclgrind: {time.monotonic() - started:.0f} s)", flush=True)
    for other in others:
        other()
    if aside.ident:
        aside.join()


def loops_sanitized() -> None:
    """The C loops under the address and undefined-behaviour sanitizers."""
    problem = run([sys.executable, str(ROOT / "Scripts" / "check_loops.py")])
    reports.write(REPORTS / "loops.xml", "loops", [("under sanitizers", problem)])


def kernels_compile() -> None:
    """The kernels, by the compilers of GPUs that are not here."""
    report = REPORTS / "kernels.xml"
    problem = run([sys.executable, str(ROOT / "Scripts" / "check_kernels.py")])
    if problem and not reports.count(report).failed or not report.exists():
        reports.write(report, "kernels", [("all", problem or "wrote no report")])


def kernels_interpreted(python: str) -> None:
    """The PTX of the kernels for tensor cores, run without any, and the tests of what runs it."""
    python_tests(python, "Scripts/ptx/tests", "interpreter")
    report = REPORTS / "ptx.xml"
    problem = run([python, str(ROOT / "Scripts" / "run_ptx.py")])
    if problem and not reports.count(report).failed or not report.exists():
        reports.write(report, "ptx", [("all", problem or "wrote no report")])


def benchmarks_build() -> None:
    """The package in Benchmarks compiles; what it measures is for `make test-long`."""
    problem = run(["swift", "build", "--package-path", "Benchmarks",
                   "--scratch-path", str(ROOT / "build" / "benchmarks-debug")])
    reports.write(REPORTS / "benchmarks.xml", "benchmarks", [("package builds", problem)])


def repository() -> None:
    binaries = [SCRATCH / "release" / "semg-train"]
    binary = next((path for path in binaries if path.exists()), None)
    objects = SCRATCH / "release" if binary else None
    reports.write(
        REPORTS / "repository.xml", "repository", check_repository.check(ROOT, binary, objects))


def main() -> int:
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    environment = PythonEnvironment(daemon=True)
    environment.start()
    lint()
    python_tests(sys.executable, "Scripts/tests", "scripts")
    loops_sanitized()
    is_built = swift_build(environment)
    filling = threading.Thread(target=fill_pocl_cache, daemon=True)
    if is_built:
        filling.start()
    kernels_compile()
    others = [benchmarks_build]
    if environment.problem is None:
        python = str(VENV / "bin" / "python")
        binary = {"SEMG_BINARY": str(SCRATCH / "release" / "semg-train")}
        others = [
            functools.partial(kernels_interpreted, python),
            functools.partial(python_tests, python, "Benchmarks/gpu/tests", "gpu", binary),
            functools.partial(python_tests, python, "Benchmarks/keras/tests", "yardstick"),
            benchmarks_build,
        ]
    if is_built:
        filling.join()
        opencl.prepare()
        swift_tests()
    opencl_tests_and(others)
    repository()

    total = reports.Count()
    for report in sorted(REPORTS.glob("*.xml")):
        count = reports.count(report)
        print(f"{report.stem}: {count}")
        total += count
    code = total.exit_code(os.environ.get("CI") == "true")
    if code and total.failed == 0:
        print("no test ran" if total.passed == 0 else "in CI a skipped test is a failed one")
    (REPORTS / "summary.txt").write_text(f"{total}\n")
    print(total, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
