"""Reading, filtering and standardizing 2,625 recordings of 17 digits: ours beside polars + SciPy.

usage: reading.py [--data DIR] [--names 5] [--rounds 3] [--tool PATH]

The set is the real subjects under five names each, with seeded random digits after the sixth
decimal (1.1 GB of text). Both sides read it from the page cache on two cores and end with float32
signals in memory, standardized by the statistics of the filtered training recordings; alternating,
imports and process starts not counted for Python. The best round of each counts.
"""

import argparse
import datetime
import json
import mmap
import multiprocessing
import os
import pathlib
import resource
import subprocess
import time

import numpy as np

import pipeline

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ADDED_DIGITS = 11


def make_set(data: pathlib.Path, target: pathlib.Path, names: int) -> None:
    """Writes each real recording `names` times, as other subjects, each with its own last digits."""
    finished = target / ".finished"
    if finished.exists() and finished.read_text() == str(names):
        return
    generator = np.random.default_rng(17)
    for recording in pipeline.find_recordings(data):
        rows = np.loadtxt(data / recording.path, dtype="S10", delimiter=",", skiprows=1)
        for copy in range(names):
            path = target / recording.path.replace("subject_", f"subject_{copy + 1}0")
            path.parent.mkdir(parents=True, exist_ok=True)
            digits = generator.integers(ord("0"), ord("9") + 1, (*rows.shape, ADDED_DIGITS))
            digits = digits.astype(np.uint8).view(f"S{ADDED_DIGITS}")[..., 0]
            lines = [b",".join(row) for row in np.char.add(rows, digits)]
            header = b",".join(b"ch%d" % (i + 1) for i in range(rows.shape[1]))
            path.write_bytes(b"\r\n".join([header, *lines, b""]))
    finished.write_text(str(names))


def python_worker(paths, training, buffer, first, samples, ready, pipe):
    """Reads and filters its share into the shared buffer; returns the training rows' sums."""
    os.environ["POLARS_MAX_THREADS"] = "1"  # two processes of one thread each: two cores
    import polars

    shared = np.frombuffer(buffer, np.float32).reshape(-1, samples, pipeline.CHANNELS)
    total, squares, count = np.zeros(pipeline.CHANNELS), np.zeros(pipeline.CHANNELS), 0
    ready.wait()
    for index, (path, trains) in enumerate(zip(paths, training)):
        signal = pipeline.filter_signal(polars.read_csv(path).to_numpy())
        shared[first + index] = signal
        if trains:
            total += signal.sum(axis=0)
            squares += (signal * signal).sum(axis=0)
            count += len(signal)
    pipe.send((total, squares, count))
    mean, deviation = pipe.recv()
    own = shared[first : first + len(paths)]
    own -= mean
    own /= deviation + 1e-8
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def python_round(paths: list[pathlib.Path], training: list[bool], samples: int) -> float:
    """Seconds of polars + SciPy on two processes."""
    buffer = mmap.mmap(-1, len(paths) * samples * pipeline.CHANNELS * 4)
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(3)
    workers = []
    half = len(paths) // 2
    for share in (slice(0, half), slice(half, len(paths))):
        ours, theirs = context.Pipe()
        worker = context.Process(target=python_worker, args=(
            paths[share], training[share], buffer, share.start, samples, ready, theirs))
        worker.start()
        workers.append((worker, ours))
    ready.wait()
    started = time.perf_counter()
    total, squares, count = (sum(values) for values in zip(*(pipe.recv() for _, pipe in workers)))
    mean = total / count
    deviation = np.sqrt(squares / count - mean * mean)
    for _, pipe in workers:
        pipe.send((mean.astype(np.float32), deviation.astype(np.float32)))
    for worker, pipe in workers:
        pipe.recv()
    seconds = time.perf_counter() - started
    for worker, _ in workers:
        worker.join()
    return seconds


def ours_round(tool: pathlib.Path, folder: pathlib.Path) -> tuple[float, float]:
    """Seconds and peak memory in MB, as the tool itself measures them."""
    done = subprocess.run([str(tool), str(folder), "--threads", "2"], stdout=subprocess.PIPE,
                          text=True, check=True)
    report = json.loads(done.stdout)
    return report["seconds"], report["peak_memory_bytes"] / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "../shared/data/synapse")
    parser.add_argument("--names", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "build/benchmarks/reading")
    parser.add_argument("--tool", type=pathlib.Path,
                        default=ROOT / "build/benchmarks-swift/release/read-recordings")
    parser.add_argument("--python-only", action="store_true")
    options = parser.parse_args()
    folder = options.results / f"recordings-{options.names}"
    make_set(options.data.resolve(), folder, options.names)
    recordings = pipeline.find_recordings(folder)
    paths = [folder / recording.path for recording in recordings]
    training = [recording.session in (1, 2) for recording in recordings]
    samples = len(pipeline.read_signal(paths[0]))
    size = sum(len(path.read_bytes()) for path in paths)  # which warms the page cache too

    python, ours = [], []
    for number in range(1, options.rounds + 1):
        python.append(python_round(paths, training, samples))
        if not options.python_only:
            ours.append(ours_round(options.tool, folder))
        print(f"round {number}: polars + SciPy {python[-1]:.2f} s"
              + (f", ours {ours[-1][0]:.2f} s, {ours[-1][1]:.0f} MB" if ours else ""), flush=True)
    lines = [
        f"Reading, filtering, standardizing {len(paths):,} files, {size / 1e9:.2f} GB, two cores, "
        f"best of {options.rounds}, {datetime.date.today()}.", "",
        "| | seconds | of polars + SciPy | peak memory, MB |", "|---|---|---|---|",
        f"| polars + SciPy, two processes | {min(python):.2f} | 1 | |",
    ]
    if ours:
        best = min(seconds for seconds, _ in ours)
        peak = max(memory for _, memory in ours)
        lines.append(f"| ours | {best:.2f} | {best / min(python):.2f} | {peak:.0f} |")
    (options.results / "reading.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
