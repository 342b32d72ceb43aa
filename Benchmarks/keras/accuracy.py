"""Accuracy of semg-train and of Keras on the same terms: recordings, split, recipe, epochs, seeds.

usage: accuracy.py [--data DIR] [--seeds 42,43,44] [--epochs 6] [--sides keras,ours] [--summary]

Every finished job (side, recipe, padding, model, seed) is a file in --results, so a stopped run
goes on where it was; --summary only prints the table of what is there. All choices are made on
validation. --test-once reads the test part of the finished jobs, keeps what it read in test.json,
and refuses to do so again.
"""

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import shutil
import statistics
import subprocess

import numpy as np

import pipeline

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SPLIT_SEED = 42  # the split is the same for every seed of training


@dataclasses.dataclass(frozen=True)
class Configuration:
    side: str
    recipe: str
    padding: str

    def __str__(self) -> str:
        return f"{self.side} {self.recipe} {self.padding}"


CONFIGURATIONS = [
    Configuration("keras", "published", "same"),
    Configuration("ours", "published", "same"),
    Configuration("ours", "standard", "causal"),
    Configuration("ours", "standard", "same"),
    Configuration("keras", "standard", "causal"),
    Configuration("keras", "standard", "same"),
]


class Jobs:
    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.results: pathlib.Path = options.results
        self.results.mkdir(parents=True, exist_ok=True)
        recordings = pipeline.find_recordings(options.data)
        self.split = pipeline.split_recordings(recordings, SPLIT_SEED)
        self.split_file = self.results / "split.csv"
        self.split_file.write_text("recording,part\n" + "".join(
            f"{recording.path},{part}\n" for part, files in self.split.items()
            for recording in files))
        self.datasets: dict[tuple[str, tuple[str, ...]], pipeline.Dataset] = {}

    def dataset(self, recipe: str, *parts: str) -> pipeline.Dataset:
        key = (recipe, parts)
        if key not in self.datasets:
            self.datasets.clear()  # one at a time is enough, and smaller
            self.datasets[key] = pipeline.prepare(self.options.data, recipe, self.split, parts)
        return self.datasets[key]

    def name(self, configuration: Configuration, model: str, seed: int) -> str:
        # sEMG-Net has no dilated convolutions: both paddings are the same job.
        padding = configuration.padding if model == "inception-se" else "any"
        return (f"{configuration.side}-{configuration.recipe}-{model}-{padding}"
                f"-{self.options.epochs}epochs-seed{seed}")

    def result(self, configuration: Configuration, model: str, seed: int) -> pathlib.Path:
        return self.results / f"{self.name(configuration, model, seed)}.npz"

    def run(self, configuration: Configuration, model: str, seed: int) -> None:
        target = self.result(configuration, model, seed)
        if target.exists():
            return
        print(f"{datetime.datetime.now():%H:%M:%S} {target.stem}", flush=True)
        work = self.keras if configuration.side == "keras" else self.ours
        saved = work(configuration, model, seed)
        partial = target.with_suffix(".partial.npz")
        np.savez(partial, **saved)
        partial.rename(target)

    def keras(self, configuration: Configuration, model: str, seed: int) -> dict[str, np.ndarray]:
        import keras

        keras.backend.clear_session()
        dataset = self.dataset(configuration.recipe, "train", "validation")
        training = pipeline.train(
            dataset, model, configuration.recipe, configuration.padding, seed,
            self.options.epochs, report=lambda line: print(f"  {line}", flush=True))
        weights = {f"weight{i:03}": weight for i, weight in enumerate(training.weights)}
        return dict(
            probabilities=training.probabilities, best_epoch=np.array(training.best_epoch),
            validation_accuracy=np.array(training.validation_accuracy), **weights)

    def ours(self, configuration: Configuration, model: str, seed: int) -> dict[str, np.ndarray]:
        output = self.artifacts(configuration, model, seed)
        shutil.rmtree(output, ignore_errors=True)  # what a stopped job left
        command = [
            str(self.options.semg_train), "--device", "cpu", "--data", str(self.options.data),
            "--split", str(self.split_file), "--epochs", str(self.options.epochs),
            "--recipe", configuration.recipe, "--seed", str(seed), "--models", model,
            "--threads", str(self.options.threads), "--output", str(output), "--json",
        ]
        if model == "inception-se":
            command += ["--padding", configuration.padding]
        log = output.with_suffix(".log")
        with log.open("w") as errors:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        if done.returncode != 0:
            raise SystemExit(
                f"{' '.join(command)}\nexited with {done.returncode}; its messages are in {log}")
        report = json.loads(done.stdout)
        return dict(
            probabilities=self.predict(output, "validation"),
            best_epoch=np.array(best_epoch(report, model)))

    def artifacts(self, configuration: Configuration, model: str, seed: int) -> pathlib.Path:
        return self.results / f"{self.name(configuration, model, seed)}.artifacts"

    def predict(self, artifacts: pathlib.Path, part: str) -> np.ndarray:
        """Our probabilities of every window of a part, in the order of `pipeline.prepare`."""
        paths = [str((self.options.data / r.path).resolve()) for r in self.split[part]]
        done = subprocess.run(
            [str(self.options.semg_train), "predict", "--device", "cpu", "--artifacts",
             str(artifacts), "--json", *paths],
            stdout=subprocess.PIPE, text=True, check=True)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        found = {str(pathlib.Path(line["recording"]).resolve()): line for line in lines}
        return np.array([
            window["probabilities"] for path in paths for window in found[path]["windows"]])

    def keras_probabilities(
        self, configuration: Configuration, model: str, seed: int, part: str
    ) -> np.ndarray:
        dataset = self.dataset(configuration.recipe, "train", part)
        saved = np.load(self.result(configuration, model, seed))
        network = pipeline.build_model(model, len(dataset.gestures), configuration.padding)
        network.set_weights([saved[key] for key in sorted(saved) if key.startswith("weight")])
        return network.predict(dataset.parts[part].x, batch_size=pipeline.BATCH, verbose=0)

    def labels(self, part: str) -> np.ndarray:
        gestures = sorted({r.gesture for r in self.split["train"]})
        counts = [
            len(pipeline.cut(pipeline.read_signal(self.options.data / r.path)))
            for r in self.split[part]]
        return np.repeat([gestures.index(r.gesture) for r in self.split[part]], counts)

    def finished(self, configuration: Configuration, seed: int) -> bool:
        return all(self.result(configuration, m, seed).exists() for m in pipeline.MODELS)


def best_epoch(report: dict, model: str) -> int:
    """`train --json` names the best epoch beside the models or in each of them."""
    beside = report.get("best_epoch")
    if isinstance(beside, dict):
        return int(beside[model])
    return int(beside if beside is not None else report["models"][model]["best_epoch"])


def spread(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else float("nan")


def score_table(rows: dict[Configuration, list[tuple[int, dict]]]) -> list[str]:
    lines = [
        "| side, recipe, padding | seed | Inception-SE | sEMG-Net | ensemble | ensemble macro-F1 |",
        "|---|---|---|---|---|---|",
    ]
    for configuration, scored in rows.items():
        for seed, score in scored:
            cells = [100 * score[key]["accuracy"] for key in (*pipeline.MODELS, "ensemble")]
            lines.append(
                f"| {configuration} | {seed} | " + " | ".join(f"{cell:.2f}" for cell in cells)
                + f" | {100 * score['ensemble']['macro_f1']:.2f} |")
        ensemble = [100 * score["ensemble"]["accuracy"] for _, score in scored]
        lines.append(
            f"| {configuration} | mean ± deviation (range) | | | {statistics.mean(ensemble):.2f} ± "
            f"{spread(ensemble):.2f} ({min(ensemble):.2f}–{max(ensemble):.2f}) | |")
    return lines


def verdict(rows: dict[Configuration, list[tuple[int, dict]]]) -> list[str]:
    """What is asked of us: published within two points of Keras, spread at most 1.5 times."""
    def ensembles(side: str, recipe: str, padding: str) -> list[float]:
        scored = rows.get(Configuration(side, recipe, padding), [])
        return [100 * score["ensemble"]["accuracy"] for _, score in scored]

    lines = []
    ours = ensembles("ours", "published", "same")
    keras = ensembles("keras", "published", "same")
    if len(ours) > 1 and len(keras) > 1:
        difference = statistics.mean(ours) - statistics.mean(keras)
        ratio = spread(ours) / spread(keras) if spread(keras) else float("inf")
        lines.append(
            f"Published, ours − Keras: {difference:+.2f} points (bound ±2); spread ratio "
            f"{ratio:.2f} (bound 1.5).")
    for padding in ("causal", "same"):
        standard = ensembles("ours", "standard", padding)
        if standard and ours:
            lines.append(
                f"Ours, standard {padding} − published: "
                f"{statistics.mean(standard) - statistics.mean(ours):+.2f} points.")
    return lines


def summary(jobs: Jobs, part: str = "validation") -> tuple[str, dict]:
    label = jobs.labels(part)
    rows: dict[Configuration, list[tuple[int, dict]]] = {}
    for configuration in CONFIGURATIONS:
        for seed in jobs.options.seeds:
            if not jobs.finished(configuration, seed):
                continue
            probabilities = {}
            for model in pipeline.MODELS:
                if part == "validation":
                    saved = np.load(jobs.result(configuration, model, seed))
                    probabilities[model] = saved["probabilities"]
                elif configuration.side == "keras":
                    probabilities[model] = jobs.keras_probabilities(configuration, model, seed, part)
                else:
                    artifacts = jobs.artifacts(configuration, model, seed)
                    probabilities[model] = jobs.predict(artifacts, part)
            probabilities["ensemble"] = sum(probabilities.values()) / len(pipeline.MODELS)
            score = {key: pipeline.scores(value, label) for key, value in probabilities.items()}
            rows.setdefault(configuration, []).append((seed, score))
    if not rows:
        return "No seed is finished for both models.", {}
    heading = (f"{part.capitalize()} accuracy in %, {len(label)} windows of "
               f"{len(jobs.split[part])} recordings, {jobs.options.epochs} epochs, "
               f"{datetime.date.today()}.")
    text = "\n".join([heading, "", *score_table(rows), "", *verdict(rows)])
    plain = {str(key): dict(value) for key, value in rows.items()}
    return text, plain


def test_once(jobs: Jobs) -> None:
    kept = jobs.results / "test.json"
    if kept.exists():
        raise SystemExit(f"test was read already: {kept} has what it said")
    text, rows = summary(jobs, "test")
    if not rows:
        raise SystemExit(text)
    kept.write_text(json.dumps({"date": str(datetime.date.today()), "rows": rows, "text": text}))
    print(text)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "../shared/data/synapse")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "build/benchmarks/accuracy")
    parser.add_argument("--semg-train", type=pathlib.Path, default=ROOT / ".build/release/semg-train")
    parser.add_argument("--seeds", default="42,43,44")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--sides", default="keras,ours")
    parser.add_argument("--models", default=",".join(pipeline.MODELS))
    parser.add_argument("--recipes", default="published,standard")
    parser.add_argument("--keras-standard", action="store_true",
                        help="train Keras by the standard recipe too")
    parser.add_argument("--threads", type=int, default=2,
                        help="of TensorFlow and of ours; two runs of one thread each, one a side, "
                             "share two cores without waiting for each other")
    parser.add_argument("--summary", action="store_true", help="only print what is there")
    parser.add_argument("--test-once", action="store_true", help="read the test part, one time")
    options = parser.parse_args()
    options.data = options.data.resolve()
    options.results = options.results.resolve()
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    return options


def main() -> None:
    options = parse()
    pipeline.use_threads(options.threads)
    jobs = Jobs(options)
    if options.test_once:
        return test_once(jobs)
    if not options.summary:
        for seed in options.seeds:
            for configuration in CONFIGURATIONS:
                unwanted = configuration.recipe == "standard" and configuration.side == "keras"
                if (configuration.side not in options.sides.split(",")
                        or configuration.recipe not in options.recipes.split(",")
                        or unwanted and not options.keras_standard):
                    continue
                for model in options.models.split(","):
                    jobs.run(configuration, model, seed)
    text, _ = summary(jobs)
    (options.results / "validation.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
