"""Saves small models of the kinds that others bring along, with the Keras of this interpreter.

    python make_foreign.py DIR

Writes into DIR `run-NAME.keras`, models that have to be read and to predict what Keras predicts
(predictions.json, on the input of `ramp`), and `refuse-NAME…`, files and folders that have to be
refused by the name of what they are.
"""

import json
import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import keras
import numpy as np
from keras import layers as L

TIME, CHANNELS, CLASSES = 12, 2, 3


def ramp(batch):
    """As in make_fixtures.py."""
    count = batch * TIME * CHANNELS
    return ((7 * np.arange(count)) % 23 / 23 - 0.5).reshape(batch, TIME, CHANNELS).astype("float32")


def features(name):
    """A model within another one."""
    inputs = keras.Input((TIME, CHANNELS))
    x = L.Conv1D(4, 3, padding="same", name="conv")(inputs)
    x = L.BatchNormalization()(x)
    return keras.Model(inputs, L.ReLU()(x), name=name)


def head(units=CLASSES, activation="softmax"):
    return keras.Sequential(
        [L.GlobalAveragePooling1D(), L.Dense(4, activation="relu"), L.Dense(units, activation=activation)])


def chain(*parts, policy=None):
    inputs = x = keras.Input((TIME, CHANNELS))
    for part in parts:
        x = part(x)
    return keras.Model(inputs, x)


def scaled(multiply):
    inputs = keras.Input((TIME, CHANNELS))
    x = L.Conv1D(4, 3, padding="same")(inputs)
    s = L.Dense(4, activation="sigmoid")(L.GlobalAveragePooling1D()(x))
    return keras.Model(inputs, head()(multiply(x, s)))


def deep():
    """Two models of one class side by side, one of them within a third; the layers' names repeat."""
    inner = features("inner")
    inputs = keras.Input((TIME, CHANNELS))
    middle = keras.Model(inputs, L.Dropout(0.1)(inner(inputs)), name="middle")
    return chain(middle, L.Conv1D(2, 3, padding="causal", name="conv"), features("last"), head())


def summed():
    """Added by an operator, which Keras keeps as a function."""
    inputs = keras.Input((TIME, CHANNELS))
    a, b = (L.Conv1D(4, 3, padding="same")(inputs) for _ in range(2))
    return keras.Model(inputs, head()(a + b))


def adapted():
    model = chain(features("f"), L.GlobalAveragePooling1D(), L.Dense(CLASSES, activation="softmax"))
    plain = keras.models.clone_model(model)
    plain.set_weights(model.get_weights())
    model.layers[-1].enable_lora(2)
    for variable in model.layers[-1].trainable_variables:
        variable.assign(np.full(variable.shape, 0.3, "float32"))
    return model, plain


def quantized(mode):
    model = chain(L.Conv1D(4, 3, padding="same"), L.GlobalAveragePooling1D(),
                  L.Dense(CLASSES, activation="softmax"))
    model.quantize(mode)
    return model


@keras.saving.register_keras_serializable("emg")
class Recognizer(keras.Model):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.inner = head()

    def call(self, x):
        return self.inner(x)


@keras.saving.register_keras_serializable("emg")
class Conv1D(L.Conv1D):
    def call(self, x):
        return super().call(x) * 2


@keras.saving.register_keras_serializable("emg")
def rectify(x):
    return keras.ops.abs(x)


def subclassed():
    model = Recognizer()
    model(ramp(1))
    return model


def dictionary():
    inputs = keras.Input((TIME, CHANNELS), name="emg")
    return keras.Model({"emg": inputs}, head()(features("f")(inputs)))


def two_outputs():
    inputs = keras.Input((TIME, CHANNELS))
    x = features("f")(inputs)
    return keras.Model(inputs, [head()(x), head()(x)])


def shared():
    inputs = keras.Input((TIME, CHANNELS))
    layer = L.Conv1D(CHANNELS, 3, padding="same")
    return keras.Model(inputs, head()(layer(layer(inputs))))


def main():
    folder = pathlib.Path(sys.argv[1])
    keras.utils.set_random_seed(3)
    logits = chain(features("f"), head(activation=None))
    adapter, plain = adapted()
    run = {
        "softmax-added": keras.Sequential([logits, L.Softmax()]),
        "deep": deep(),
        "summed": summed(),
        "scaled": scaled(lambda x, s: L.Multiply()([x, s])),
        "scale-first": scaled(lambda x, s: L.Multiply()([s, x])),
        "frozen-part": chain(features("f"), head()),
    }
    run["frozen-part"].layers[1].trainable = False
    run["frozen-part"].compile("adam", "categorical_crossentropy")
    predictions = {}

    def keep(name, model):
        model.save(folder / f"run-{name}.keras")
        loaded = keras.models.load_model(folder / f"run-{name}.keras")
        predictions[name] = np.asarray(loaded.predict(ramp(4), verbose=0), "float64").tolist()

    for name, model in run.items():
        for variable in model.variables:
            if "seed" not in variable.path:
                noise = np.random.default_rng(len(variable.path)).uniform(0.1, 0.9, variable.shape)
                variable.assign(noise.astype("float32"))
        keep(name, model)

    refuse = {
        "logits": logits, "lora": adapter, "int8": quantized("int8"), "float8": quantized("float8"),
        "int4": quantized("int4"), "subclassed": subclassed(), "dictionary": dictionary(),
        "two-outputs": two_outputs(), "shared": shared(),
        "own-class": chain(features("f"), Conv1D(4, 3, padding="same"), head()),
        "own-within": chain(keras.Sequential([Conv1D(4, 3, padding="same")]), head()),
        "own-function": chain(L.Conv1D(4, 3, padding="same"), L.Activation(rectify), head()),
        "cast": chain(features("f"), lambda x: keras.ops.cast(keras.ops.cast(x, "int32"), "float32"),
                      head()),
        "lambda": chain(L.Lambda(lambda x: x + 1), head()),
    }
    for name, model in refuse.items():
        model.save(folder / f"refuse-{name}.keras")
    # As the sentence about adapters advises.
    plain.load_weights(folder / "refuse-lora.keras")
    keep("lora-merged", plain)
    expected = np.asarray(adapter.predict(ramp(4), verbose=0))
    assert np.abs(expected - predictions["lora-merged"]).max() < 1e-5

    whole = run["deep"]
    keras.saving.save_model(whole, folder / "refuse-unzipped", zipped=False)
    whole.save(folder / "refuse-legacy.h5")
    whole.save_weights(folder / "refuse-weights.weights.h5")
    whole.save_weights(folder / "refuse-shards.weights.json", max_shard_size=1e-6)
    whole.export(folder / "refuse-exported", verbose=False)
    (folder / "predictions.json").write_text(json.dumps(predictions))


main()
