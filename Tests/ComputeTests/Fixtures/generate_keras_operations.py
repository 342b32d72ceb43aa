"""What Keras computes, in float64, for each operation that the networks use.

    python generate_keras_operations.py     # writes keras_operations.json beside itself

Needs keras and tensorflow, see Tests/requirements.txt. Dropout and noise are off. The objective that
is differentiated is Σ output·output_gradient over the live samples.
"""

import json
import os
import pathlib

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from keras_digest import digest, labels, uniform

keras.config.set_floatx("float64")
tf.config.threading.set_intra_op_parallelism_threads(2)

cases = []


class Case:
    """Draws the inputs of a case and records what Keras makes of them."""

    def __init__(self, kind, live, capacity, padding=None, lists=None, **numbers):
        settings = [f"{key} {value}" for key, value in numbers.items()]
        self.name = ", ".join(
            [" ".join(filter(None, [kind, padding])), *map(str, lists or []), *settings, f"{live}/{capacity}"])
        self.record = {"name": self.name, "kind": kind, "live": live, "capacity": capacity,
                       "numbers": numbers, "inputs": {}, "expected": {}}
        if padding:
            self.record["padding"] = padding
        if lists:
            self.record["lists"] = lists
        cases.append(self.record)

    def draw(self, tensor, shape, scale=1.0, offset=0.0):
        self.record["inputs"][tensor] = [scale, offset]
        return uniform(f"{self.name}/{tensor}", shape, scale, offset)

    def expect(self, **tensors):
        for tensor, values in tensors.items():
            self.record["expected"][tensor] = digest(values)

    def differentiate(self, inputs, variables, forward):
        """Expects the output and the gradients of tensors (by name) and variables (by name)."""
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        with tf.GradientTape() as tape:
            for tensor in tensors.values():
                tape.watch(tensor)
            output = forward(*tensors.values())
            weights = self.draw("output_gradient", output.shape)
            objective = tf.reduce_sum(output * weights)
        sources = {**tensors, **{name: variable.value for name, variable in variables.items()}}
        gradients = tape.gradient(objective, list(sources.values()))
        self.expect(output=output)
        for name, gradient in zip(sources, gradients):
            self.expect(**{f"{name}_gradient": gradient})


def assign(case, layer, shape, **fills):
    """Builds a layer and sets its variables, in Keras's order, to drawn values."""
    layer.build(shape)
    variables = dict(zip(fills, layer.weights, strict=True))
    for name, variable in variables.items():
        scale, offset = fills[name]
        variable.assign(case.draw(name, variable.shape, scale, offset))
    return variables


def conv1d(padding, time, inputs, outputs, taps, dilation, live=2, capacity=3):
    case = Case("conv1d", live, capacity, padding, time=time, inputs=inputs, outputs=outputs, taps=taps,
                dilation=dilation)
    x = case.draw("input", (live, time, inputs))
    layer = keras.layers.Conv1D(outputs, taps, dilation_rate=dilation, padding=padding)
    variables = assign(case, layer, x.shape, kernel=(0.5, 0), bias=(0.5, 0))
    case.differentiate({"input": x}, variables, layer)


def dense(rows, inputs, outputs, live=2, capacity=3):
    case = Case("dense", live, capacity, rows=rows, inputs=inputs, outputs=outputs)
    x = case.draw("input", (live, rows, inputs))
    layer = keras.layers.Dense(outputs)
    variables = assign(case, layer, x.shape, kernel=(0.5, 0), bias=(0.5, 0))
    case.differentiate({"input": x}, variables, layer)


def batch_norm(time, channels, live, capacity, training):
    case = Case("batch_norm" if training else "batch_norm_inference", live, capacity, time=time,
                channels=channels)
    x = case.draw("input", (live, time, channels), 1.25, 0.25)
    layer = keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3)
    variables = assign(case, layer, x.shape, gamma=(0.5, 1), beta=(0.5, 0), moving_mean=(0.5, 0),
                       moving_variance=(0.5, 1))
    if not training:
        case.expect(output=layer(x, training=False))
        return
    trained = {name: variables[name] for name in ["gamma", "beta"]}
    case.differentiate({"input": x}, trained, lambda x: layer(x, training=True))
    case.expect(moving_mean=layer.moving_mean, moving_variance=layer.moving_variance)


def layer_norm(time, channels, live, capacity):
    case = Case("layer_norm", live, capacity, time=time, channels=channels)
    x = case.draw("input", (live, time, channels), 1.25, 0.25)
    layer = keras.layers.LayerNormalization(epsilon=1e-6)
    variables = assign(case, layer, x.shape, gamma=(0.5, 1), beta=(0.5, 0))
    case.differentiate({"input": x}, variables, layer)


def elementwise(kind, scale, live=2, capacity=3, elements=33):
    case = Case(kind, live, capacity, elements=elements)
    x = case.draw("input", (live, elements), scale)
    case.differentiate({"input": x}, {}, keras.layers.Activation(kind))


def concatenate(time, channels, live=2, capacity=3):
    case = Case("concatenate", live, capacity, lists=[channels], time=time)
    inputs = {f"input_{i}": case.draw(f"input_{i}", (live, time, c)) for i, c in enumerate(channels)}
    layer = keras.layers.Concatenate()
    case.differentiate(inputs, {}, lambda *xs: layer(list(xs)))


def add(count, live=2, capacity=3, elements=33):
    case = Case("add", live, capacity, elements=elements, count=count)
    inputs = [case.draw(f"input_{i}", (live, elements)) for i in range(count)]
    case.expect(output=keras.layers.Add()(inputs))


def scale_channels(time, channels, live=2, capacity=3):
    case = Case("scale_channels", live, capacity, time=time, channels=channels)
    x = case.draw("input", (live, time, channels))
    scale = case.draw("scale", (live, channels), 0.5, 0.5)
    layer, reshape = keras.layers.Multiply(), keras.layers.Reshape((1, channels))
    case.differentiate({"input": x, "scale": scale}, {}, lambda x, s: layer([x, reshape(s)]))


def mean_over_time(time, channels, live=2, capacity=3):
    case = Case("mean_over_time", live, capacity, time=time, channels=channels)
    x = case.draw("input", (live, time, channels))
    case.differentiate({"input": x}, {}, keras.layers.GlobalAveragePooling1D())


def max_pool(time, channels, size, live=2, capacity=3):
    case = Case("max_pool", live, capacity, time=time, channels=channels, size=size)
    x = case.draw("input", (live, time, channels))
    case.differentiate({"input": x}, {}, keras.layers.MaxPooling1D(size))


def average_pool(time, channels, size, live=2, capacity=3):
    case = Case("average_pool", live, capacity, time=time, channels=channels, size=size)
    x = case.draw("input", (live, time, channels))
    case.differentiate({"input": x}, {}, keras.layers.AveragePooling1D(size))


def attention(time, channels, heads, key_size, live=2, capacity=3, averages=False):
    case = Case("attention", live, capacity, time=time, channels=channels, heads=heads,
                key_size=key_size, averages=int(averages))
    x = case.draw("input", (live, time, channels))
    layer = keras.layers.MultiHeadAttention(heads, key_size)
    layer.build(x.shape, x.shape)
    fills = {f"{part}_{variable}": (0.5, 0) for part in ["query", "key", "value", "output"]
             for variable in ["kernel", "bias"]}
    variables = dict(zip(fills, layer.weights, strict=True))
    for (name, (scale, offset)), variable in zip(fills.items(), layer.weights, strict=True):
        kind = "output" if "attention_output" in variable.path else variable.path.split("/")[-2]
        assert name == f"{kind}_{variable.path.split('/')[-1]}", variable.path
        variable.assign(case.draw(name, variable.shape, scale, offset))
    mean = keras.layers.GlobalAveragePooling1D() if averages else (lambda y: y)
    case.differentiate({"input": x}, variables, lambda x: mean(layer(x, x)))


def softmax(classes, live=2, capacity=3):
    case = Case("softmax", live, capacity, classes=classes)
    logits = case.draw("logits", (live, classes), 4)
    case.expect(probabilities=keras.layers.Softmax()(logits))


def cross_entropy(classes, smoothing, mixed, live=3, capacity=4):
    """One-hot targets, or mixtures of two classes; weights between 1 and 2; L2 of a kernel beside."""
    case = Case("cross_entropy", live, capacity, classes=classes, smoothing=smoothing, mixed=int(mixed))
    logits = tf.constant(case.draw("logits", (live, classes), 4))
    one, other = (np.eye(classes)[labels(f"{case.name}/{part}", live, classes)]
                  for part in ["targets", "partners"])
    targets = 0.25 * one + 0.75 * other if mixed else one
    weights = case.draw("sample_weights", (live,), 0.5, 1.5)
    kernel = case.draw("kernel", (33, 7), 0.5)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(targets, logits, sample_weight=weights)
    probabilities = tf.nn.softmax(logits)
    hits = np.sum(np.argmax(probabilities, -1) == np.argmax(targets, -1))
    case.expect(logits_gradient=tape.gradient(value, logits), probabilities=probabilities,
                targets=targets, result=[value, keras.regularizers.L2(1e-4)(kernel), hits])


def adam(shapes, decayed, iteration, scale, steps=3):
    """`steps` steps from weights in ±scale; gradients drawn anew each step; L2 on the first ones."""
    case = Case("adam", 1, 1, lists=shapes, decayed=decayed, iteration=iteration, scale=scale, steps=steps)
    rates = [float(np.float32(rate)) for rate in [1e-3, 0.9e-3, 0.8e-3]][:steps]
    case.record["rates"] = rates
    variables = [keras.Variable(case.draw(f"parameter_{i}", shape, scale)) for i, shape in enumerate(shapes)]
    optimizer = keras.optimizers.Adam(learning_rate=rates[0])
    optimizer.build(variables)
    optimizer.iterations.assign(iteration)
    started = 1.0 if iteration else 0.0
    for i, shape in enumerate(shapes):
        optimizer._momentums[i].assign(case.draw(f"first_moment_{i}", shape, 2**-7 * started))
        optimizer._velocities[i].assign(
            case.draw(f"second_moment_{i}", shape, 2**-14 * started, 2**-14 * started))
    for step, rate in enumerate(rates):
        optimizer.learning_rate = rate
        gradients = []
        for i, variable in enumerate(variables):
            gradient = case.draw(f"gradient_{i}/{step}", shapes[i], 2**-5)
            gradients.append(gradient + (2e-4 * variable.value if i < decayed else 0))
        optimizer.apply(gradients, variables)
    for i in range(len(shapes)):
        case.expect(**{f"parameter_{i}": variables[i], f"first_moment_{i}": optimizer._momentums[i],
                       f"second_moment_{i}": optimizer._velocities[i]})


for padding in ["same", "causal"]:
    for dilation in range(1, 9):
        conv1d(padding, 13, 3, 5, 3, dilation)
    conv1d(padding, 11, 4, 3, 7, 8)
    conv1d(padding, 9, 2, 3, 4, 3)
    conv1d(padding, 1, 4, 3, 3, 1)
    conv1d(padding, 17, 33, 7, 9, 1, live=1, capacity=1)
for rows, inputs, outputs in [(1, 7, 33), (5, 33, 7), (1, 1, 1)]:
    dense(rows, inputs, outputs)
for training in [True, False]:
    for time, channels, live, capacity in [(13, 7, 2, 3), (1, 33, 3, 3), (17, 1, 1, 2)]:
        batch_norm(time, channels, live, capacity, training)
# Not two channels: they normalize to ±1, and the input's gradient is zero but for epsilon.
for time, channels, live, capacity in [(13, 7, 2, 3), (1, 33, 3, 3), (5, 3, 1, 2)]:
    layer_norm(time, channels, live, capacity)
elementwise("relu", 1)
elementwise("sigmoid", 8)
concatenate(13, [7, 33])
concatenate(5, [1, 2, 3])
add(2)
add(3)
scale_channels(13, 7)
mean_over_time(13, 7)
for time, size in [(13, 2), (14, 3), (7, 7)]:
    max_pool(time, 7, size)
    average_pool(time, 7, size)
# Keras rounds 1/√key_size to single precision, whatever the type of the layer: sizes where it is exact.
attention(7, 6, 2, 16)
attention(13, 7, 4, 4)
attention(1, 3, 2, 4, live=1, capacity=1)
attention(9, 6, 3, 4, averages=True)
softmax(5)
for classes, smoothing, mixed in [(5, 0.1, False), (5, 0.1, True), (2, 0.0, False), (7, 0.1, True)]:
    cross_entropy(classes, smoothing, mixed)
adam([[3, 7], [33], [5]], 1, 0, 0.0)
adam([[3, 7], [33], [5]], 2, 0, 0.25)
adam([[3, 7], [33], [5]], 2, 20000, 0.25)

path = pathlib.Path(__file__).with_name("keras_operations.json")
document = {"keras": keras.__version__, "tensorflow": tf.__version__, "cases": cases}
path.write_text(json.dumps(document, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
print(f"{len(cases)} cases, {path.stat().st_size} bytes")
