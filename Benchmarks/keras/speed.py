"""Training speed of semg-train and of Keras in one run on one machine, alternating.

usage: speed.py [--rounds 2] [--semg-train PATH]

Keras: `model.fit` on in-memory arrays, two threads, its default settings, a fresh process a round,
a warm-up epoch, then epochs of 60 steps of which the fastest counts. Ours: `semg-train benchmark`,
whose step includes gathering and augmenting. Both sides' best of all rounds make the ratio.
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
import time

import pipeline

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STEPS = 60
GOALS = {"inception-se": 1.8, "semg-net": 1.3}


def keras_round(model: str, repeats: int) -> list[float]:
    """Samples a second of each timed epoch; runs in a process of its own."""
    import keras
    import numpy as np

    pipeline.use_threads()
    generator = np.random.default_rng(0)
    count = STEPS * pipeline.BATCH
    x = generator.standard_normal((count, pipeline.WINDOW, pipeline.CHANNELS), np.float32)
    y = pipeline.one_hot(generator.integers(5, size=count), 5)
    weights = y @ np.array(pipeline.FIVE_CLASS_WEIGHTS, np.float32)
    network = pipeline.build_model(model)
    pipeline.compile_model(network, 1000)
    seconds: list[float] = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            seconds.append(time.perf_counter() - self.started)

    network.fit(x, y, sample_weight=weights, batch_size=pipeline.BATCH, epochs=1 + repeats,
                verbose=0, callbacks=[Clock()])
    return [count / value for value in seconds[1:]]


def keras_process(model: str, repeats: int) -> list[float]:
    done = subprocess.run(
        [sys.executable, __file__, "--keras-round", model, "--repeats", str(repeats)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def ours_process(semg_train: pathlib.Path, model: str) -> float:
    done = subprocess.run(
        [str(semg_train), "benchmark", "--device", "cpu", "--threads", "2", "--models", model,
         *(["--padding", "same"] if model == "inception-se" else []),  # as Keras's side has it
         "--steps", str(STEPS), "--json"], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)["models"][model]["samples_per_second"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="unused: the speed does not depend on the recordings")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", default=",".join(pipeline.MODELS))
    parser.add_argument("--semg-train", type=pathlib.Path, default=ROOT / ".build/release/semg-train")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "build/benchmarks")
    parser.add_argument("--keras-round", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.keras_round:
        print(json.dumps(keras_round(options.keras_round, options.repeats)))
        return

    models = options.models.split(",")
    keras: dict[str, list[float]] = {model: [] for model in models}
    ours: dict[str, list[float]] = {model: [] for model in models}
    for number in range(1, options.rounds + 1):
        for model in models:
            keras[model] += keras_process(model, options.repeats)
            ours[model].append(ours_process(options.semg_train, model))
            print(f"round {number}, {model}: Keras {[round(v) for v in keras[model]]}, "
                  f"ours {[round(v) for v in ours[model]]}", flush=True)
    lines = [
        f"Training, batch {pipeline.BATCH}, two threads, samples/s, {datetime.date.today()}: "
        f"best of {options.rounds} alternating rounds ({STEPS} steps a Keras repeat).", "",
        "| model | Keras, fastest repeat | Keras, all | ours, best | ours, all | ratio | goal |",
        "|---|---|---|---|---|---|---|",
    ]
    for model in models:
        best = max(ours[model]), max(keras[model])
        lines.append(
            f"| {model} | {best[1]:.0f} | {min(keras[model]):.0f}–{best[1]:.0f} | {best[0]:.0f} | "
            f"{min(ours[model]):.0f}–{best[0]:.0f} | {best[0] / best[1]:.2f} | {GOALS[model]} |")
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "speed.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
