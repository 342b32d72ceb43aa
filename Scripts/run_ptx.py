"""Runs the kernels for NVIDIA's tensor cores on small cases, by interpreting their PTX.

usage: run_ptx.py [--kernels DIRECTORY] [PART OF A CASE'S NAME ...]
       (with a Python that has NumPy: build/venv/bin/python, which `make test` makes)

Each case is compiled as check_kernels.py compiles it, run with copies that come as late and as
early as PTX allows, and compared with NumPy (Scripts/ptx): small cases, and both networks' shapes
with one sample. The report is build/reports/ptx.xml.
"""

import argparse
import concurrent.futures
import pathlib
import shutil
import sys
import time

import check_kernels
import reports

REPORT = check_kernels.REPORTS / "ptx.xml"
PROCESSES = 2


def missing_tool() -> str | None:
    if shutil.which("clang-19") is None:
        return "clang-19 is not installed (`Scripts/install-packages.sh test`)"
    return None if check_kernels.LIBCLC.exists() else "libclc-19 is not installed"


def small_cases() -> list:
    from ptx.attention_cases import attention_cases
    from ptx.product_cases import product_cases
    return product_cases() + attention_cases()


def network_cases() -> list:
    from ptx.attention_cases import network_attention_cases
    from ptx.product_cases import network_product_cases
    return network_product_cases() + network_attention_cases()


def builds(cases: list) -> list[list]:
    """The cases of each build of a file together, so that it is compiled once."""
    found: dict[tuple, list] = {}
    for case in cases:
        found.setdefault((case.file, *case.defines), []).append(case)
    return list(found.values())


def problems(cases: list, kernels: pathlib.Path) -> list[tuple[str, str | None]]:
    """Each case and what went wrong, in any mode."""
    from ptx.bench import MODES
    found = []
    for case in cases:
        wrong = [f"{mode}: {problem}" for mode in MODES
                 if (problem := case.problem(kernels, mode)) is not None]
        found.append((case.name, "\n".join(wrong) or None))
    return found


def main(kernels: pathlib.Path, parts: list[str]) -> int:
    if reason := missing_tool():
        reports.write(REPORT, "ptx", [], skipped={"every case": reason})
        print(f"skipped: {reason}")
        return 0
    started = time.monotonic()
    # The longest first, so that both processes end at the same time.
    cases = [case for case in network_cases() + small_cases()
             if all(part in case.name for part in parts)]
    if not cases:
        sys.exit(f"no case has {' and '.join(parts)} in its name")
    with concurrent.futures.ProcessPoolExecutor(PROCESSES) as pool:
        jobs = [pool.submit(problems, each, kernels) for each in builds(cases)]
        results = [result for job in jobs for result in job.result()]
    reports.write(REPORT, "ptx", results)
    for name, problem in results:
        print(f"{'FAILS' if problem else 'passes'}  {name}")
        if problem:
            print(f"  {problem}")
    failed = sum(problem is not None for _, problem in results)
    print(f"{len(results) - failed} of {len(results)} cases pass"
          f" ({time.monotonic() - started:.0f} s)")
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kernels", type=pathlib.Path, default=check_kernels.KERNELS)
    parser.add_argument("parts", nargs="*", metavar="PART", help="of a case's name")
    given = parser.parse_args()
    sys.exit(main(given.kernels.resolve(), given.parts))
