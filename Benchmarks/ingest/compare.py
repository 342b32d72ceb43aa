"""Reading, filtering and standardizing 2,625 recordings: ours beside polars and SciPy.

usage: python compare.py [--data DIR] [--folder DIR] [--tool PATH] [--rounds 5]

Alternating in one run, on two cores, from a warm page cache; both must come to the same samples.
Ours is timed twice over: by its own clock (as Python's, without starting up) and from outside.
Processor seconds, which other programs on the machine disturb less, leave out Python's start too
and count ours; the peak is that of one of Python's two processes.
Needs numpy, scipy and polars (Benchmarks/requirements.txt) and the tool built by
  swift build -c release --package-path Benchmarks --scratch-path build/benchmarks-swift
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np

import make_recordings

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = pathlib.Path(__file__).resolve().parent


def measure(command: list) -> dict:
    """What the command reports, with its seconds and peak memory as seen from outside."""
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)
    report = json.loads(process.stdout.read() or b"{}")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]} exited with {process.returncode}")
    report["outside_seconds"] = time.perf_counter() - start
    report["outside_peak_bytes"] = usage.ru_maxrss * 1024
    report.setdefault("processor_seconds", usage.ru_utime + usage.ru_stime)
    return report


def check_agreement(ours: dict, theirs: dict) -> float:
    """The greatest difference between both sides' standardized samples."""
    if ours["recordings"] != theirs["recordings"]:
        sys.exit(f"ours {ours['recordings']} recordings, theirs {theirs['recordings']}")
    difference = np.abs(np.subtract(ours["picked"], theirs["picked"])).max()
    scale = np.abs(np.subtract(ours["deviation"], theirs["deviation"])).max()
    if difference > 1e-4 or scale > 1e-8:
        sys.exit(f"the samples differ by {difference}, the deviations by {scale}")
    return float(difference)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "../shared/data/synapse")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build/benchmarks/ingest")
    parser.add_argument("--tool", type=pathlib.Path,
                        default=ROOT / "build/benchmarks-swift/release/ingest")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    recordings = options.folder / "recordings"
    finished = options.folder / "finished"
    if not finished.exists():
        make_recordings.make(options.data.resolve(), recordings)
        finished.touch()
    size = sum(len(file.read_bytes()) for file in recordings.rglob("*.csv"))  # Warms the cache.

    theirs, ours, difference = [], [], 0.0
    for number in range(1, options.rounds + 1):
        theirs.append(measure([sys.executable, HERE / "scipy_ingest.py", recordings]))
        ours.append(measure([options.tool, recordings, "2"]))
        difference = max(difference, check_agreement(ours[-1], theirs[-1]))
        print(f"round {number}: polars + SciPy {theirs[-1]['seconds']:.2f} s, "
              f"ours {ours[-1]['seconds']:.2f} s", flush=True)

    def row(name: str, reports: list, seconds: str, peak: str) -> str:
        values = sorted(report[seconds] for report in reports)
        ratio = values[0] / min(report["seconds"] for report in theirs)
        memory = max(report[peak] for report in reports) / 1e6
        spent = min(report["processor_seconds"] for report in reports)
        return (f"| {name} | {values[0]:.2f} | {values[len(values) // 2]:.2f} | {ratio:.2f} "
                f"| {spent:.2f} | {memory:.0f} |")

    print("\n".join([
        "", f"{ours[0]['recordings']:,} files, {size / 1e9:.2f} GB, {options.rounds} rounds, "
        f"{datetime.date.today()}; greatest difference between both sides' standardized samples "
        f"{difference:.0e}.", "",
        "| | seconds, best | median | best, of polars + SciPy | processor seconds | peak, MB |",
        "|---|---|---|---|---|---|",
        row("polars + SciPy, two processes", theirs, "seconds", "peak_bytes"),
        row("ours, two threads", ours, "seconds", "outside_peak_bytes"),
        row("ours, the whole process", ours, "outside_seconds", "outside_peak_bytes"),
    ]))


if __name__ == "__main__":
    main()
