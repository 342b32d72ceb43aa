"""Draws networks in Keras as somebody would, and opens what came of their training.

    python own_networks.py draw FOLDER          # writes pooled, branched and attended.keras there, and
                                                # some that cannot be trained
    python own_networks.py open FILE WINDOWS    # prints as JSON what the network answers to windows,
                                                # [B][T][C] in a JSON file, and its L2 by layer
"""

import json
import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers
from keras.regularizers import L2

TIME, CHANNELS, GESTURES = 204, 8, 2


def finished(source, x, gestures=GESTURES):
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(source, layers.Dense(gestures, activation="softmax")(x))


def pooled(time=TIME, gestures=GESTURES, initializer="glorot_uniform"):
    source = x = keras.Input((time, CHANNELS))
    for width in (8, 16):
        x = layers.Conv1D(width, 5, padding="same", activation="relu",
                          kernel_initializer=initializer)(x)
        x = layers.AveragePooling1D(2)(x)
    return finished(source, x, gestures)


def branched():
    source = x = keras.Input((TIME, CHANNELS))
    branches = [
        layers.Conv1D(6, 3, dilation_rate=dilation, padding="causal", kernel_regularizer=L2(l2))(x)
        for dilation, l2 in ((1, 1e-4), (4, 1e-2), (16, 1e-4))]
    x = layers.ReLU()(layers.BatchNormalization()(layers.Concatenate()(branches)))
    return finished(source, layers.MaxPooling1D(2)(x))


def attended():
    source = x = keras.Input((TIME, CHANNELS))
    x = layers.AveragePooling1D(4)(layers.Conv1D(8, 3, padding="same", activation="relu")(x))
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(y, y)])
    return finished(source, x)


def recurrent():
    source = keras.Input((TIME, CHANNELS))
    x = layers.LSTM(4, return_sequences=True, name="memory")(source)
    return finished(source, x)


def nested():
    source = keras.Input((TIME, CHANNELS))
    inner = keras.Sequential(
        [layers.Conv1D(8, 3, padding="same", activation="relu"), layers.AveragePooling1D(4)],
        name="features")
    return finished(source, inner(source))


def frozen():
    model = pooled()
    model.layers[1].trainable = False
    return model


def draw(folder):
    keras.utils.set_random_seed(7)
    drawn = {
        "pooled": pooled(), "branched": branched(), "attended_net": attended(),
        "shorter": pooled(time=100), "three": pooled(gestures=3), "recurrent": recurrent(),
        "he": pooled(initializer="he_normal"), "frozen": frozen(),
        "nested": nested()}
    for name, model in drawn.items():
        model.save(os.path.join(folder, f"{name}.keras"))


def open_again(file, windows):
    model = keras.models.load_model(file)
    penalties = {
        layer.name: float(layer.kernel_regularizer.l2) for layer in model.layers
        if getattr(layer, "kernel_regularizer", None) is not None}
    with open(windows) as stream:
        answers = model.predict(np.array(json.load(stream), "float32"), verbose=0)
    print(json.dumps({"probabilities": answers.tolist(), "l2": penalties}))


if __name__ == "__main__":
    if sys.argv[1] == "draw":
        draw(sys.argv[2])
    else:
        open_again(sys.argv[2], sys.argv[3])
