"""Accuracy of short trainings in half precision on an OpenCL device and in single precision on the CPU.

usage: accuracy.py [--data DIR] [--subject 3] [--seeds 42,43,44] [--epochs 3] [--summary]

One subject's recordings, the same split for all, both models. Every finished training is a file in
--results, so a stopped run goes on where it was; --summary only prints the table of what is there.
Accuracy is that of all windows of the session that is not trained on, validation and test part
together: each part of one subject alone is small. The epoch is chosen on validation, as always.

The OpenCL device is the first that OCL_ICD_VENDORS shows.
"""

import argparse
import datetime
import json
import pathlib
import re
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SIDES = {
    "CPU, fp32": ["--device", "cpu", "--threads", "1"],  # on a busy machine two wait for each other
    "OpenCL, fp16": ["--device", "gpu", "--precision", "fp16"],
}
MODELS = ("inception-se", "semg-net", "ensemble")


def result_file(options: argparse.Namespace, side: str, seed: int) -> pathlib.Path:
    place = re.sub(r"\W+", "-", side.lower())
    return options.results / (
        f"{place}-subject{options.subject}-{options.epochs}epochs-batch{options.batch_size}"
        f"-seed{seed}.json")


def subject_folder(data: pathlib.Path, subject: int, folder: pathlib.Path) -> int:
    """Links to one subject's recordings, in the folders they lie in; how many there are."""
    found = [
        path for path in sorted(data.rglob("*.csv"))
        if re.search(rf"subject_{subject}(\D|$)", str(path.relative_to(data)))]
    for path in found:
        link = folder / path.relative_to(data)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    return len(found)


def train(options: argparse.Namespace, side: str, seed: int) -> None:
    target = result_file(options, side, seed)
    if target.exists():
        return
    print(f"{datetime.datetime.now():%H:%M:%S} {target.stem}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if not subject_folder(options.data, options.subject, folder / "data"):
            raise SystemExit(f"no recordings of subject {options.subject} below {options.data}")
        command = [
            str(options.semg_train), "--data", str(folder / "data"), "--seed", str(seed),
            "--epochs", str(options.epochs), "--batch-size", str(options.batch_size),
            "--output", str(folder / "artifacts"), "--json", *SIDES[side]]
        log = target.with_suffix(".log")
        with log.open("w") as messages:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=messages, text=True)
        if done.returncode != 0:
            raise SystemExit(
                f"{' '.join(command)}\nexited with {done.returncode}; its messages are in {log}")
    json.loads(done.stdout)  # whole, or it stops here
    partial = target.with_suffix(".partial")
    partial.write_text(done.stdout)
    partial.rename(target)


def accuracy(report: dict, model: str) -> float:
    """Of the windows of both parts, in percent."""
    right = windows = 0.0
    for part in (report, report["validation"]):
        score = part["ensemble"] if model == "ensemble" else part["models"][model]
        right += score["accuracy"] * part["windows"]
        windows += part["windows"]
    return 100 * right / windows


def summary(options: argparse.Namespace) -> str:
    lines = [
        f"Accuracy in %, subject {options.subject}, {options.epochs} epochs, batches of "
        f"{options.batch_size}, {datetime.date.today()}.", "",
        "| side | seed | " + " | ".join(MODELS) + " | steps left out |",
        "|---|---|" + "---|" * (len(MODELS) + 1)]
    means: dict[str, dict[str, float]] = {}
    for side in SIDES:
        files = {seed: result_file(options, side, seed) for seed in options.seeds}
        reports = {seed: json.loads(file.read_text()) for seed, file in files.items()
                   if file.exists()}
        for seed, report in reports.items():
            cells = [f"{accuracy(report, model):.2f}" for model in MODELS]
            skipped = sum((report.get("skipped_steps") or {}).values())
            lines.append(f"| {side} | {seed} | " + " | ".join(cells) + f" | {skipped} |")
        if len(reports) == len(options.seeds):
            means[side] = {
                model: statistics.mean(accuracy(report, model) for report in reports.values())
                for model in MODELS}
            cells = [f"{means[side][model]:.2f}" for model in MODELS]
            lines.append(f"| {side} | mean | " + " | ".join(cells) + " | |")
    if len(means) == len(SIDES):
        single, half = (means[side] for side in SIDES)
        lines += ["", "Half − single precision, in points (bound ±1): " + ", ".join(
            f"{model} {half[model] - single[model]:+.2f}" for model in MODELS) + "."]
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "../shared/data/synapse")
    parser.add_argument("--results", type=pathlib.Path,
                        default=ROOT / "build/benchmarks/precision")
    parser.add_argument("--semg-train", type=pathlib.Path,
                        default=ROOT / ".build/release/semg-train")
    parser.add_argument("--subject", type=int, default=3)
    parser.add_argument("--seeds", default="42,43,44")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--summary", action="store_true", help="only print what is there")
    options = parser.parse_args()
    options.data = options.data.resolve()
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    options.results.mkdir(parents=True, exist_ok=True)
    return options


def main() -> None:
    options = parse()
    if not options.summary:
        for side in SIDES:
            for seed in options.seeds:
                train(options, side, seed)
    print(summary(options))


if __name__ == "__main__":
    main()
