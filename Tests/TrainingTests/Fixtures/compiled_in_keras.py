"""Prints how Keras compiles the models of the given archives: Adam, its schedule, and the loss.

usage: compiled_in_keras.py ARCHIVE...
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras  # noqa: E402


def compiled(path: str) -> dict:
    model = keras.saving.load_model(path)
    adam = model.optimizer.get_config()
    rate = adam["learning_rate"]["config"]
    return {
        "beta1": adam["beta_1"], "beta2": adam["beta_2"], "epsilon": adam["epsilon"],
        "label_smoothing": model.loss.label_smoothing,
        **{name: rate[name] for name in (
            "initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha")},
    }


print(json.dumps([compiled(path) for path in sys.argv[1:]]))
