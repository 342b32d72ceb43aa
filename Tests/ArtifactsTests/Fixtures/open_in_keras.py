"""Opens archives in real Keras, as a user would, and reports what it found there.

    python open_in_keras.py REPORT.json ARCHIVE.keras SAVED.keras [ARCHIVE.keras SAVED.keras …]

For each ARCHIVE: load_model, weights and optimizer variables by name, predictions on the `ramp` of
make_fixtures.py; then `fit` goes on for two epochs and the model is saved as SAVED, with its
predictions then. Warnings are reported too: Keras only warns when optimizer variables do not fit.
"""

import json
import os
import sys
import warnings

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ.setdefault("OMP_NUM_THREADS", "2")

import keras
import numpy as np


def ramp(shape):
    return ((7 * np.arange(int(np.prod(shape)))) % 23 / 23 - 0.5).reshape(shape).astype("float32")


def values(variables):
    return [
        {"name": v.path, "values": np.asarray(v, "float64").ravel().tolist()}
        for v in variables if "seed" not in v.path
    ]


def report(source, saved):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = keras.models.load_model(source)
    x = ramp((4,) + model.input_shape[1:])
    classes = model.output_shape[-1]
    y = np.eye(classes)[np.arange(4) % classes]
    result = {
        "warnings": [str(w.message) for w in caught if "keras" in str(w.message).lower()
                     or "variable" in str(w.message)],
        "name": model.name,
        "weights": values(model.weights),
        "optimizer": values(model.optimizer.variables),
        "predictions": np.asarray(model.predict(x, verbose=0), "float64").tolist(),
        "smoothing": float(model.loss.label_smoothing),
        "rate_after_ten": float(np.asarray(
            model.optimizer._learning_rate(10)
            if callable(model.optimizer._learning_rate) else model.optimizer.learning_rate)),
    }
    before = int(np.asarray(model.optimizer.iterations))
    history = model.fit(x, y, batch_size=2, epochs=2, verbose=0)
    result["losses"] = [float(v) for v in history.history["loss"]]
    result["steps"] = int(np.asarray(model.optimizer.iterations)) - before
    model.save(saved)
    result["predictions_saved"] = np.asarray(model.predict(x, verbose=0), "float64").tolist()
    return result


def main():
    pairs = list(zip(sys.argv[2::2], sys.argv[3::2]))
    reports = [report(*pair) for pair in pairs]
    with open(sys.argv[1], "w") as out:
        json.dump({"version": keras.__version__, "reports": reports}, out)


main()
