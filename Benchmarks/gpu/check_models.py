"""Checks the PyTorch networks against Keras: equal weights, equal probabilities, loss, gradients.

usage: check_models.py --keras-python build/venv/bin/python [--keep FOLDER]

Keras (dropout and noise off) writes a folder per case: initial.keras, gradients.keras (the gradients
in the place of the weights), batch.npz; PyTorch reads them. In double precision, where rounding
hides nothing, and in single. Batches of 16 windows of noise and tones; weights as Keras draws them,
moving statistics and scales moved away from 0 and 1.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

CASES = (("inception-se", "causal"), ("inception-se", "same"), ("semg-net", "same"))
BATCH = 16
# Probabilities absolutely, the loss relatively, gradients by `gradient_error`. In single precision
# the two sides' rounding puts a few inputs of a ReLU on either side of zero, and their gradients
# with them; in double precision Keras still has L2's factor in single, 2.5e-8 away from 1e-4.
BOUNDS = {
    "float64": {"probabilities": 1e-9, "in training": 1e-9, "loss": 1e-8, "gradients": 1e-7},
    "float32": {"probabilities": 1e-5, "in training": 1e-5, "loss": 1e-5, "gradients": 1e-2},
}


def write_case(folder: pathlib.Path, name: str, padding: str, precision: str) -> None:
    """Keras's side of a case; runs in Keras's environment."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "keras"))
    import keras
    import pipeline
    import tensorflow as tf

    keras.config.set_floatx(precision)
    keras.utils.set_random_seed(7)
    generator = np.random.default_rng(7)
    model = pipeline.build_model(name, padding=padding, regular=False)
    for variable in model.weights:
        if variable.path.split("/")[-1] not in ("kernel",):
            value = np.asarray(variable)
            variable.assign(value + np.abs(generator.normal(0, 0.1, value.shape)))
    x = generator.standard_normal((BATCH, pipeline.WINDOW, pipeline.CHANNELS))
    tone = np.sin(np.arange(pipeline.WINDOW) * 0.3)[:, None]
    x = (x + tone * generator.normal(0, 1, (BATCH, 1, pipeline.CHANNELS))).astype(precision)
    y = pipeline.one_hot(generator.integers(5, size=BATCH), 5).astype(precision)
    weights = (y @ np.array(pipeline.FIVE_CLASS_WEIGHTS)).astype(precision)
    probabilities = np.asarray(model(x, training=False))
    model.save(folder / "initial.keras")

    cross_entropy = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    moving = [np.asarray(variable).copy() for variable in model.non_trainable_weights]
    with tf.GradientTape() as tape:
        predicted = model(x, training=True)
        loss = cross_entropy(y, predicted, sample_weight=weights) + sum(model.losses)
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients):
        variable.assign(gradient)
    for variable, value in zip(model.non_trainable_weights, moving):
        variable.assign(value)
    model.save(folder / "gradients.keras")
    np.savez(folder / "batch.npz", x=x, y=y, weights=weights, probabilities=probabilities,
             training=np.asarray(predicted), loss=float(loss))


def gradient_error(ours: np.ndarray, theirs: np.ndarray, largest: float) -> float:
    """Of the tensor's norm, or of a thousandth of the largest gradient's where the tensor's is
    less: a bias before batch norm has the gradient zero, and what is left of it is rounding."""
    return float(np.linalg.norm(ours - theirs) / max(np.linalg.norm(theirs), 1e-3 * largest))


def compare(
    folder: pathlib.Path, name: str, padding: str, precision: str, channels_last: bool
) -> dict[str, float]:
    """The largest errors of PyTorch's side."""
    import torch
    import torch_models

    batch = np.load(folder / "batch.npz")
    model = torch_models.build(name, padding == "causal", channels_last, regular=False)
    model = model.to(getattr(torch, precision))
    torch_models.load(model, folder / "initial.keras")
    x = torch_models.arrange(torch.from_numpy(batch["x"]), channels_last)
    with torch.no_grad():
        probabilities = torch.softmax(model.eval()(x), 1).numpy()
    model.train()
    logits = model(x)
    total = torch_models.loss(
        logits, torch.from_numpy(batch["y"]), torch.from_numpy(batch["weights"]))
    total = total + torch_models.penalty(model)
    total.backward()
    gradients = [
        (path, tensor.grad.detach().numpy(), values)
        for path, tensor, values in torch_models.keras_values(model, folder / "gradients.keras")
        if tensor.grad is not None
    ]
    largest = max(np.linalg.norm(values) for _, _, values in gradients)
    worst = max((gradient_error(ours, theirs, largest), path) for path, ours, theirs in gradients)
    training = torch.softmax(logits, 1).detach().numpy()
    return {
        "probabilities": float(np.abs(probabilities - batch["probabilities"]).max()),
        "in training": float(np.abs(training - batch["training"]).max()),
        "loss": abs(total.item() - float(batch["loss"])) / abs(float(batch["loss"])),
        "gradients": worst[0], "worst gradient": worst[1], "tensors": len(gradients),
    }


def missed(errors: dict[str, float], precision: str) -> bool:
    return not all(errors[name] <= bound for name, bound in BOUNDS[precision].items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keras-python", default=sys.executable)
    parser.add_argument("--keep", type=pathlib.Path, help="keeps Keras's side, and uses it again")
    parser.add_argument("--write", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write_case(pathlib.Path(options.write[0]), *options.write[1:])
        return 0
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        for case in [(*case, precision) for precision in BOUNDS for case in CASES]:
            folder = (options.keep or pathlib.Path(temporary)) / "-".join(case)
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "batch.npz").exists():
                subprocess.run([options.keras_python, __file__, "--write", str(folder), *case],
                               check=True)
            for channels_last in (False, True):
                errors = compare(folder, *case, channels_last)
                verdict = "MISSED" if missed(errors, case[2]) else "equal"
                failed += verdict == "MISSED"
                print(*case, "channels-last" if channels_last else "plain", verdict, errors,
                      flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
