"""What Keras computes, in float64, with both networks: small, and at full width on windows of 204; and
with three that somebody may draw: average pooling, three dilated branches, attention of two heads.

    python generate_keras_networks.py     # writes keras_networks.json beside itself

Needs keras and tensorflow, see Tests/requirements.txt. Weights and windows follow from names, see
keras_digest.py. Dropout and noise are off; labels are mixed, smoothed and weighted by class. A case's
seed is the first one for which no ReLU's input lies within 5e-6 of zero, and no pool's two largest
inputs within 5e-6 of each other, in the first training step.

Recorded: predictions and validation figures from the first weights; probabilities, loss, moving
statistics and the gradients of the loss without L2 of the first training step; and what three steps
of Adam change, the third on a partial batch.
"""

import json
import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

sys.path.append(str(pathlib.Path(__file__).parents[2] / "ComputeTests" / "Fixtures"))
from keras_digest import digest, labels, uniform

keras.config.set_floatx("float64")
tf.config.threading.set_intra_op_parallelism_threads(2)

L2, MARGIN, CLASS_WEIGHTS = 1e-4, 5e-6, [1, 1.5, 1.5, 1, 1]
RATES = [float(np.float32(rate)) for rate in [1e-3, 0.9e-3, 0.8e-3]]
BATCH, LIVE = 3, [3, 3, 2]


def decayed(l2=L2):
    return keras.regularizers.L2(l2)


def inception_se(time, channels, width, heads, key_size, dense, padding):
    """Layers are made in the order of `Network.inceptionSE`, so that names agree."""
    source = x = keras.Input((time, channels))
    for block, dilation in enumerate([1, 2, 4, 8]):
        branches = []
        for taps in [3, 7]:
            y = layers.Conv1D(width, taps, dilation_rate=dilation, padding=padding,
                              kernel_regularizer=decayed())(x)
            branches.append(layers.Activation("relu")(layers.BatchNormalization()(y)))
        y = layers.Concatenate()(branches)
        scale = layers.GlobalAveragePooling1D()(y)
        scale = layers.Dense(max(1, width // 4), "relu", kernel_regularizer=decayed())(scale)
        scale = layers.Dense(2 * width, "sigmoid", kernel_regularizer=decayed())(scale)
        y = layers.Multiply()([y, layers.Reshape((1, 2 * width))(scale)])
        if block == 0:
            x = layers.Conv1D(2 * width, 1, padding="same")(x)
        x = layers.Add()([x, y])
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(heads, key_size)(x, x))
    x = layers.Dense(dense, "relu", kernel_regularizer=decayed())(x)
    return keras.Model(source, layers.Dense(5)(x))


def semg_net(time, channels, width):
    source = x = keras.Input((time, channels))
    for index, taps in enumerate([9, 5, 3, 3]):
        x = layers.Conv1D(width << index, taps, padding="same", kernel_regularizer=decayed())(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
        if index > 0:
            x = layers.MaxPooling1D(2)(x)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(8 * width, "relu", kernel_regularizer=decayed())(x)
    return keras.Model(source, layers.Dense(5)(x))


def pooled(time, channels, width):
    """As `KerasNetwork.pooled`, like the two that follow."""
    source = x = keras.Input((time, channels))
    x = layers.Conv1D(width, 5, padding="same", kernel_regularizer=decayed())(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.AveragePooling1D(2)(x)
    x = layers.Conv1D(2 * width, 3, padding="same", kernel_regularizer=decayed())(x)
    x = layers.AveragePooling1D(3)(layers.Activation("relu")(x))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(source, layers.Dense(5)(x))


def branched(time, channels, width, padding):
    source = x = keras.Input((time, channels))
    branches = []
    for taps, dilation, l2 in [(3, 1, L2), (2, 3, 30 * L2), (5, 4, 0.5 * L2)]:
        y = layers.Conv1D(width, taps, dilation_rate=dilation, padding=padding,
                          kernel_regularizer=decayed(l2))(x)
        branches.append(layers.Activation("relu")(y))
    x = layers.BatchNormalization()(layers.Concatenate()(branches))
    x = layers.GlobalAveragePooling1D()(layers.MaxPooling1D(2)(x))
    x = layers.Dense(width, "relu", kernel_regularizer=decayed())(x)
    return keras.Model(source, layers.Dense(5)(x))


def attended(time, channels, width, heads, key_size):
    source = x = keras.Input((time, channels))
    x = layers.Conv1D(width, 3, padding="same", kernel_regularizer=decayed())(x)
    x = layers.Activation("relu")(x)
    x = layers.AveragePooling1D(2)(x)
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.Add()([x, layers.MultiHeadAttention(heads, key_size)(y, y)])
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(source, layers.Dense(5)(x))


def name_of(variable):
    """`layer/variable`, as `WeightSpec` names it."""
    return variable.path.removeprefix("/")


def fill_of(variable):
    """Scale and offset: about what training starts from, with biases and scales that matter."""
    kind = variable.path.split("/")[-1]
    if kind == "kernel":
        shape = variable.shape
        fans = {2: lambda: shape[0] + shape[1], 3: lambda: shape[0] * (shape[1] + shape[2])}[len(shape)]()
        return float(np.sqrt(6 / fans)) * (4 if "attention" in variable.path else 1), 0.0
    return {"bias": (0.125, 0.0), "gamma": (0.25, 1.0), "beta": (0.25, 0.0),
            "moving_mean": (0.25, 0.0), "moving_variance": (0.5, 1.0)}[kind]


def smallest_margin(model, x):
    """The least distance of a ReLU's input from zero and of a pool's largest inputs from each other."""
    probes = []
    for layer in model.layers:
        if isinstance(layer, layers.Activation):
            probes.append(layer.input)
        elif isinstance(layer, layers.MaxPooling1D):
            probes.append(layer.input)
        elif isinstance(layer, layers.Dense) and layer.activation is keras.activations.relu:
            probes.append(layer.input)
    values = keras.Model(model.input, probes)(x, training=True)
    margins, values = [], iter(values)
    for layer in model.layers:
        if isinstance(layer, layers.Activation):
            margins.append(np.abs(next(values)).min())
        elif isinstance(layer, layers.MaxPooling1D):
            v = np.asarray(next(values))
            pairs = v[:, : v.shape[1] // 2 * 2].reshape(v.shape[0], -1, 2, v.shape[2])
            gaps = np.abs(pairs[:, :, 0] - pairs[:, :, 1])
            margins.append(gaps[pairs.max(2) > 0].min())  # two dead inputs pass no gradient
        elif isinstance(layer, layers.Dense) and layer.activation is keras.activations.relu:
            kernel, bias = (np.asarray(w) for w in layer.weights)
            margins.append(np.abs(np.asarray(next(values)) @ kernel + bias).min())
    return min(margins)


class Case:
    def __init__(self, kind, size, build, settings, seed):
        self.name = f"{kind} {size} {settings.get('padding', '')} seed {seed}"
        keras.utils.clear_session()
        self.model = build(**settings)
        self.fills = {name_of(v): fill_of(v) for v in self.model.weights}
        for v in self.model.weights:
            scale, offset = self.fills[name_of(v)]
            v.assign(uniform(f"{self.name}/{name_of(v)}", v.shape, scale, offset))
        self.windows = uniform(f"{self.name}/windows", (12, settings["time"], settings["channels"]), 2)
        self.labels = labels(f"{self.name}/labels", 12, 5)
        self.record = {"name": self.name, "kind": kind, "settings": {k: v for k, v in settings.items() if k != "padding"},
                       "padding": settings.get("padding", "same"), "fills": self.fills, "rates": RATES, "live": LIVE}

    def batch(self, step, live):
        """Sample b of step s is window 3s + b, mixed with the next window where the sum 3s + b is even."""
        one = np.arange(3 * step, 3 * step + live)
        share = np.where(one % 2 == 0, 0.25, 1.0)
        other = (one + 1) % 12
        mix = share[:, None, None]
        x = mix * self.windows[one] + (1 - mix) * self.windows[other]
        targets = np.eye(5)[self.labels]
        y = share[:, None] * targets[one] + (1 - share[:, None]) * targets[other]
        return tf.constant(x), y, y @ np.array(CLASS_WEIGHTS)

    def loss(self, logits, targets, weights=None):
        function = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
        return function(targets, logits, sample_weight=weights)

    def run(self):
        model, expected = self.model, {}
        start = {name_of(v): v.numpy() for v in model.weights}
        logits = model(tf.constant(self.windows[:BATCH]), training=False)
        targets = np.eye(5)[self.labels[:BATCH]]
        hits = np.sum(np.argmax(logits, -1) == np.argmax(targets, -1))
        expected["predictions"] = digest(tf.nn.softmax(logits))
        expected["validation"] = digest([self.loss(logits, targets), tf.add_n(model.losses), hits])
        optimizer = keras.optimizers.Adam()
        results = []
        for step, (rate, live) in enumerate(zip(RATES, LIVE)):
            x, y, weights = self.batch(step, live)
            variables = model.trainable_variables
            with tf.GradientTape(persistent=True) as tape:
                logits = model(x, training=True)
                value = self.loss(logits, y, weights)
                total = value + tf.add_n(model.losses)
            sources = [v.value for v in variables]
            hits = np.sum(np.argmax(logits, -1) == np.argmax(y, -1))
            results += [float(value), float(total - value), float(hits)]
            if step == 0:
                expected["probabilities"] = digest(tf.nn.softmax(logits))
                for v, g in zip(variables, tape.gradient(value, sources)):
                    expected[f"gradient/{name_of(v)}"] = digest(g)
                for v in model.non_trainable_variables:
                    if "moving" in v.path:
                        expected[name_of(v)] = digest(v)
            optimizer.learning_rate = rate
            optimizer.apply(tape.gradient(total, sources), variables)
        expected["results"] = digest(results)
        for v in model.trainable_variables:
            expected[f"change/{name_of(v)}"] = digest(v.numpy() - start[name_of(v)])
        self.record["expected"] = expected
        self.record["without_gradient"] = [name for name in start if self.lacks_gradient(name)]
        return self.record

    def lacks_gradient(self, name):
        """By algebra: a bias that batch normalization takes out again, and the bias of the keys."""
        layer = self.model.get_layer(name.split("/")[0])
        if isinstance(layer, layers.Conv1D) and name.endswith("/bias"):
            return any(isinstance(node.operation, layers.BatchNormalization) for node in layer._outbound_nodes)
        return name.endswith("/key/bias")


def find(kind, size, build, **settings):
    for seed in range(1, 200):
        case = Case(kind, size, build, settings, seed)
        start = [v.numpy() for v in case.model.weights]
        margin = smallest_margin(case.model, case.batch(0, LIVE[0])[0])
        if margin > MARGIN:
            for v, value in zip(case.model.weights, start):
                v.assign(value)
            print(case.name, "margin", margin, flush=True)
            return case.run()
    raise SystemExit(f"no seed for {kind} {size} {settings}")


cases = []
for padding in ["same", "causal"]:
    cases.append(find("inception-se", "small", inception_se, time=21, channels=3, width=4, heads=2, key_size=4,
                      dense=8, padding=padding))
    cases.append(find("inception-se", "full", inception_se, time=204, channels=8, width=32, heads=4, key_size=64,
                      dense=64, padding=padding))
cases.append(find("semg-net", "small", semg_net, time=21, channels=3, width=4))
cases.append(find("semg-net", "full", semg_net, time=204, channels=8, width=64))

cases.append(find("pooled", "small", pooled, time=21, channels=3, width=4))
for padding in ["same", "causal"]:
    cases.append(find("branched", "small", branched, time=21, channels=3, width=4, padding=padding))
cases.append(find("attended", "small", attended, time=21, channels=3, width=6, heads=2, key_size=4))

path = pathlib.Path(__file__).with_name("keras_networks.json")
document = {"keras": keras.__version__, "tensorflow": tf.__version__, "cases": cases}
path.write_text(json.dumps(document, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
print(f"{len(cases)} cases, {path.stat().st_size} bytes")
