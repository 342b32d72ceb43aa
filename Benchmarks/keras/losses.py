"""The first 100 losses on equal weights and equal batches, dropout and noise off.

usage: losses.py [--data DIR] [--models inception-se,semg-net] [--steps 100]

Python writes one folder per model: initial.keras (weights), x.f32 [step, batch, time, channel] and
y.f32 [step, batch, class] (little-endian floats; unsmoothed targets), settings.json. Keras in float32
and in float64, each in a process of its own, and the `loss-curve` tool of the Benchmarks package
each train on these and write {"losses": [...]} beside them. The bound: 1e-3 relative, or three
times what Keras in float32 is away from Keras in float64.
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys

import numpy as np

import pipeline

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SEED = 42
BOUND = 1e-3


def write_case(folder: pathlib.Path, model: str, data: pathlib.Path, steps: int) -> None:
    """Batches of the published recipe, in an order drawn here; weights as Keras draws them."""
    import keras

    folder.mkdir(parents=True, exist_ok=True)
    split = pipeline.split_recordings(pipeline.find_recordings(data), SEED)
    dataset = pipeline.prepare(data, "published", split, ("train",))
    part = dataset.parts["train"]
    generator = np.random.default_rng(SEED)
    y = pipeline.one_hot(part.label, len(dataset.gestures))
    x, y = pipeline.augment(part.x, y, "published", generator)
    order = generator.permutation(len(x))
    order = np.resize(order, steps * pipeline.BATCH)  # small sets come round again
    x[order].astype("<f4").tofile(folder / "x.f32")
    y[order].astype("<f4").tofile(folder / "y.f32")
    keras.utils.set_random_seed(SEED)
    network = pipeline.build_model(model, len(dataset.gestures), "same", regular=False)
    network.save(folder / "initial.keras")
    settings = {
        "model": model, "padding": "same", "steps": steps, "batch": pipeline.BATCH,
        "window": pipeline.WINDOW, "channels": pipeline.CHANNELS, "classes": len(dataset.gestures),
        "class_weights": dataset.class_weights.tolist(),
        "first_decay_steps": pipeline.first_restart("published", len(x), 6),
    }
    (folder / "settings.json").write_text(json.dumps(settings, indent=2) + "\n")


def keras_losses(folder: pathlib.Path, precision: str) -> list[float]:
    import keras

    keras.config.set_floatx(precision)
    settings = json.loads((folder / "settings.json").read_text())
    steps, batch, classes = settings["steps"], settings["batch"], settings["classes"]
    window = settings["window"]
    x = np.fromfile(folder / "x.f32", "<f4").reshape(steps, batch, window, settings["channels"])
    y = np.fromfile(folder / "y.f32", "<f4").reshape(steps, batch, classes)
    weights = keras.saving.load_model(folder / "initial.keras", compile=False).get_weights()
    network = pipeline.build_model(
        settings["model"], classes, settings["padding"], window, regular=False)
    network.set_weights(weights)
    pipeline.compile_model(network, settings["first_decay_steps"])
    losses = []
    for step in range(steps):
        network.reset_metrics()  # what is returned would else be the mean so far
        sample_weight = (y[step] @ np.array(settings["class_weights"])).astype(precision)
        result = network.train_on_batch(
            x[step].astype(precision), y[step].astype(precision), sample_weight=sample_weight,
            return_dict=True)
        losses.append(float(result["loss"]))
    return losses


def relative(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a - b) / np.abs(b)


def compare(folder: pathlib.Path, model: str) -> list[str]:
    def read(name: str) -> np.ndarray:
        return np.array(json.loads((folder / f"{name}.json").read_text())["losses"])

    single, double = read("float32"), read("float64")
    rows = [("Keras float32 to float64", relative(single, double))]
    if (folder / "ours.json").exists():
        ours = read("ours")
        if len(ours) != len(double):
            raise SystemExit(f"{folder}: ours has {len(ours)} losses, Keras {len(double)}")
        rows += [("ours to Keras float32", relative(ours, single)),
                 ("ours to Keras float64", relative(ours, double))]
    lines = []
    for title, difference in rows:
        cells = [f"{difference[:count].max():.1e}" for count in (1, 10, 50, len(difference))]
        lines.append(f"| {model} | {title} | " + " | ".join(cells) + " |")
    if len(rows) == 3:
        # At every length of the run, not only at its end, where Keras's own difference is widest.
        own, worst = (np.maximum.accumulate(rows[i][1]) for i in (0, 1))
        bound = np.maximum(BOUND, 3 * own)
        missed = np.flatnonzero(worst > bound)
        word = "within at every step" if not len(missed) else f"MISSED at step {missed[0] + 1}"
        lines.append(
            f"| {model} | {word}; {worst[-1]:.1e}, bound {bound[-1]:.1e} at the end | | | | |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "../shared/data/synapse")
    parser.add_argument("--models", default=",".join(pipeline.MODELS))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "build/benchmarks/losses")
    parser.add_argument("--tool", type=pathlib.Path,
                        default=ROOT / "build/benchmarks-swift/release/loss-curve")
    parser.add_argument("--keras-only", action="store_true")
    parser.add_argument("--keras-run", nargs=2, metavar=("FOLDER", "PRECISION"))
    options = parser.parse_args()
    if options.keras_run:
        pipeline.use_threads()
        folder, precision = pathlib.Path(options.keras_run[0]), options.keras_run[1]
        losses = keras_losses(folder, precision)
        (folder / f"{precision}.json").write_text(json.dumps({"losses": losses}))
        return

    lines = [
        f"Largest relative difference of the losses, {options.steps} steps, dropout and noise off, "
        f"{datetime.date.today()}.", "",
        f"| model | | step 1 | to 10 | to 50 | to {options.steps} |", "|---|---|---|---|---|---|",
    ]
    for model in options.models.split(","):
        folder = options.results / model
        settings = folder / "settings.json"
        if not settings.exists() or json.loads(settings.read_text())["steps"] != options.steps:
            for old in folder.glob("*.json"):
                old.unlink()
            write_case(folder, model, options.data.resolve(), options.steps)
        for precision in ("float32", "float64"):
            if not (folder / f"{precision}.json").exists():
                subprocess.run([sys.executable, __file__, "--keras-run", str(folder), precision],
                               check=True)
        if not options.keras_only:
            subprocess.run([str(options.tool), str(folder)], check=True)
        lines += compare(folder, model)
    (options.results / "losses.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
