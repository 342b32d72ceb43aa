"""Saves four small models with the Keras of this interpreter, and what they predict.

    python make_fixtures.py [DIR]

Run once in an environment of each Keras version that is to be read (3.5.0, 3.10.0, 3.15.x), with
TensorFlow on the CPU. Writes into DIR (default: beside this script), for version V:

    keras-V-inception.keras  attention, causal, Adam under a restarting cosine, layers renamed
    keras-V-semg.keras       mixed_float16 policy, loss-scale optimizer, plain learning rate
    keras-V-half.keras       Sequential, float16 weights, never compiled
    keras-V-brain.keras      Sequential, bfloat16 weights, never compiled
    keras-V.json             predictions of all on the input of `ramp`, in float32

Weights and optimizer state are set by formula (`fill`), so that a test can make them again. Keras
stores its archives uncompressed; they are packed again with deflate, their contents untouched.
"""

import json
import os
import pathlib
import sys
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import keras
import numpy as np
from keras import layers as L

TIME, CHANNELS, CLASSES = 12, 2, 3


def inception():
    l2 = keras.regularizers.l2(1e-4)
    inputs = keras.Input((TIME, CHANNELS), name="signal")
    x = L.GaussianNoise(0.05)(inputs)
    branches = []
    for size in (3, 7):
        y = L.Conv1D(2, size, dilation_rate=2, padding="causal", kernel_regularizer=l2,
                     name=f"branch_{size}")(x)
        y = L.BatchNormalization()(y)
        branches.append(L.Activation("relu")(y))
    y = L.Concatenate()(branches)
    y = L.Dropout(0.2)(y)
    s = L.GlobalAveragePooling1D()(y)
    s = L.Dense(2, activation="relu", kernel_regularizer=l2)(s)
    s = L.Dense(4, activation="sigmoid", kernel_regularizer=l2)(s)
    s = L.Reshape((1, 4))(s)
    y = L.Multiply()([y, s])
    x = L.Conv1D(4, 1, padding="same", name="shortcut")(x)
    x = L.Add()([x, y])
    x = L.LayerNormalization(epsilon=1e-6)(x)
    x = L.MultiHeadAttention(2, 3, dropout=0.3)(x, x)
    x = L.GlobalAveragePooling1D()(x)
    x = L.Dense(CLASSES, activation="softmax")(x)
    model = keras.Model(inputs, x, name="Inception_SE_Attn")
    schedule = keras.optimizers.schedules.CosineDecayRestarts(
        1e-3, 10, t_mul=2.0, m_mul=0.9, alpha=1e-5)
    model.compile(
        keras.optimizers.Adam(schedule),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1), metrics=["accuracy"])
    return model


def semg(policy="mixed_float16"):
    keras.mixed_precision.set_global_policy(policy)
    l2 = keras.regularizers.l2(1e-4)
    inputs = keras.Input((TIME, CHANNELS))
    x = L.GaussianNoise(0.05)(inputs)
    for width, size in ((2, 5), (4, 3)):
        x = L.Conv1D(width, size, padding="same", kernel_regularizer=l2)(x)
        x = L.BatchNormalization()(x)
        x = L.ReLU()(x)
        x = L.Dropout(0.25)(x)
        x = L.MaxPooling1D(2)(x)
    x = L.GlobalAveragePooling1D()(x)
    x = L.Dense(4, activation="relu", kernel_regularizer=l2)(x)
    x = L.Dense(CLASSES, activation="softmax", dtype="float32")(x)
    model = keras.Model(inputs, x, name="sEMG_Net")
    model.compile(
        keras.optimizers.Adam(2e-3),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1))
    keras.mixed_precision.set_global_policy("float32")
    return model


def sequential(policy):
    keras.mixed_precision.set_global_policy(policy)
    model = keras.Sequential([
        keras.Input((TIME, CHANNELS)),
        L.Conv1D(3, 3, padding="same", activation="relu"),
        L.GlobalAveragePooling1D(),
        L.Dense(CLASSES),
        L.Activation("softmax"),
    ])
    keras.mixed_precision.set_global_policy("float32")
    return model


def half(policy="float16"):
    return sequential(policy)


def brain(policy="bfloat16"):
    return sequential(policy)


def fill(index, shape, positive):
    """Element j of variable i: ((31 i + 17 j) mod 97) / 97, less ½ unless it must be positive."""
    values = (31 * index + 17 * np.arange(int(np.prod(shape)))) % 97 / 97
    return (values + 0.01 if positive else values - 0.5).reshape(shape).astype("float32")


def ramp(batch):
    count = batch * TIME * CHANNELS
    return ((7 * np.arange(count)) % 23 / 23 - 0.5).reshape(batch, TIME, CHANNELS).astype("float32")


def set_state(model):
    """Weights in `model.weights`' order of layers; the optimizer's moments likewise."""
    if model.compiled:
        model.fit(ramp(4), np.eye(CLASSES)[[0, 1, 2, 0]], verbose=0)
    weights = [v for layer in model.layers for v in layer.variables if "seed" not in v.path]
    for index, variable in enumerate(weights):
        variable.assign(fill(index, variable.shape, "variance" in variable.path))
    if not model.compiled:
        return
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    optimizer.iterations.assign(7)
    for index, variable in enumerate(v for v in optimizer.variables if len(v.shape) > 0):
        variable.assign(fill(index, variable.shape, index % 2 == 1))


def save(model, path):
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, 9)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    version = keras.__version__
    predictions = {}
    builders = {"inception": inception, "semg": semg, "half": half, "brain": brain}
    for name, build in builders.items():
        keras.utils.clear_session()
        model = build()
        set_state(model)
        path = folder / f"keras-{version}-{name}.keras"
        save(model, path)
        loaded = keras.models.load_model(path)
        if name != "inception":
            weights = [np.asarray(w, "float32") for w in loaded.get_weights()]
            loaded = build("float32")
            loaded.set_weights(weights)
        predictions[name] = np.asarray(loaded.predict(ramp(4), verbose=0), "float64").tolist()
    (folder / f"keras-{version}.json").write_text(json.dumps(predictions, indent=1) + "\n")


main()
