"""The published sEMG pipeline in Python: the yardstick that semg-train is measured against.

Recordings -> zero-phase filters -> windows -> standardization -> three views -> Keras models, for
both recipes. SciPy filters, Keras trains; everything is kept in memory. Nothing here is used by
semg-train itself.
"""

import csv
import dataclasses
import math
import pathlib
import random
import re

import numpy as np
import scipy.signal

SAMPLE_RATE = 512  # Hz
CHANNELS = 8
WINDOW = int(0.4 * SAMPLE_RATE)  # 204 samples
HOP = int(0.16 * SAMPLE_RATE)  # 81 samples
BATCH = 128
MODELS = ("inception-se", "semg-net")
FIVE_CLASS_WEIGHTS = (1.0, 1.5, 1.5, 1.0, 1.0)


# --- recordings and the split ------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Recording:
    path: str  # relative to the data directory
    session: int
    gesture: int


def find_recordings(data: pathlib.Path) -> list[Recording]:
    """Every CSV of the public layout below `data`, by path, byte-wise."""
    found = []
    for path in data.rglob("*"):
        if path.suffix.lower() != ".csv" or path.name.startswith("."):
            continue
        relative = path.relative_to(data)
        sessions = [
            match for part in relative.parts[:-1]
            if (match := re.fullmatch(r"session[_-]?0*(\d+)", part, re.I))
        ]
        gesture = re.search(r"gesture[_-]?0*(\d+)", path.name, re.I)
        if not sessions or not gesture:
            raise ValueError(f"{path}: no session or gesture in the path")
        found.append(Recording(relative.as_posix(), int(sessions[0][1]), int(gesture[1])))
    return sorted(found, key=lambda recording: recording.path.encode())


def split_recordings(recordings: list[Recording], seed: int) -> dict[str, list[Recording]]:
    """Sessions 1 and 2 train; session 3 is halved by file, a gesture at a time, one generator."""
    parts: dict[str, list[Recording]] = {"train": [], "validation": [], "test": []}
    parts["train"] = [r for r in recordings if r.session in (1, 2)]
    groups: dict[int, list[Recording]] = {}
    for recording in recordings:
        if recording.session == 3:
            groups.setdefault(recording.gesture, []).append(recording)
    generator = random.Random(seed)
    for group in groups.values():
        generator.shuffle(group)
        half = max(1, int(0.5 * len(group)))
        parts["test"] += group[:half]
        parts["validation"] += group[half:]
    return {part: sorted(files, key=lambda r: r.path.encode()) for part, files in parts.items()}


def read_split(recordings: list[Recording], file: pathlib.Path) -> dict[str, list[Recording]]:
    """The split that a CSV of `recording,part` names, as `semg-train split` writes it."""
    by_path = {recording.path: recording for recording in recordings}
    parts: dict[str, list[Recording]] = {"train": [], "validation": [], "test": []}
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            parts[row["part"]].append(by_path[row["recording"]])
    return {part: sorted(files, key=lambda r: r.path.encode()) for part, files in parts.items()}


def read_signal(path: pathlib.Path) -> np.ndarray:
    """[samples, 8] in double precision."""
    return np.loadtxt(path, delimiter=",", skiprows=1, usecols=range(CHANNELS))


# --- signals and windows -----------------------------------------------------------------------


def filter_signal(signal: np.ndarray, rate: float = SAMPLE_RATE) -> np.ndarray:
    """Band-pass 20-450 Hz (clipped below Nyquist) of order 4, then a 50 Hz notch, zero-phase."""
    nyquist = rate / 2
    low = max(0.001, min(20 / nyquist, 0.99))
    high = max(low + 0.01, min(450 / nyquist, 0.999))
    band = scipy.signal.butter(4, [low, high], btype="band")
    notch = scipy.signal.iirnotch(50 / nyquist, 30)
    # A channel in a row: the same values as along axis 0, in two thirds of the time.
    rows = np.ascontiguousarray(signal.T)
    return scipy.signal.filtfilt(*notch, scipy.signal.filtfilt(*band, rows)).T


def cut(signal: np.ndarray) -> np.ndarray:
    """[windows, 204, 8], every 81 samples."""
    views = np.lib.stride_tricks.sliding_window_view(signal, WINDOW, axis=0)[::HOP]
    return views.transpose(0, 2, 1)


@dataclasses.dataclass
class Part:
    x: np.ndarray  # [windows, 204, 8], float32, standardized
    label: np.ndarray  # [windows], class indices
    recording: np.ndarray  # [windows], indices into `paths`
    paths: list[str]


@dataclasses.dataclass
class Dataset:
    parts: dict[str, Part]
    gestures: list[int]  # the gesture of each class

    @property
    def class_weights(self) -> np.ndarray:
        five = len(self.gestures) == 5
        return np.array(FIVE_CLASS_WEIGHTS if five else [1.0] * len(self.gestures), np.float32)


def prepare(
    data: pathlib.Path, recipe: str, split: dict[str, list[Recording]], parts=("train", "validation")
) -> Dataset:
    """Reads, filters, standardizes and cuts the parts asked for ("test" only if it is asked for)."""
    raw = {
        recording.path: read_signal(data / recording.path)
        for part in {"train", *parts}
        for recording in split[part]
    }
    filtered = {path: filter_signal(signal) for path, signal in raw.items()}
    # The published pipeline takes its statistics from the raw signals, before any filter.
    source = raw if recipe == "published" else filtered
    training = np.concatenate([source[recording.path] for recording in split["train"]])
    mean, deviation = training.mean(axis=0), training.std(axis=0)
    gestures = sorted({recording.gesture for recording in split["train"]})

    result = {}
    for part in parts:
        cuts = [
            cut((filtered[r.path] - mean) / (deviation + 1e-8)).astype(np.float32)
            for r in split[part]
        ]
        counts = [len(windows) for windows in cuts]
        labels = [gestures.index(r.gesture) for r in split[part]]
        result[part] = Part(
            x=np.concatenate(cuts), label=np.repeat(labels, counts),
            recording=np.repeat(np.arange(len(cuts)), counts), paths=[r.path for r in split[part]],
        )
    return Dataset(result, gestures)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[labels]


def augment(
    x: np.ndarray, y: np.ndarray, recipe: str, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Three views of every window: as it is; masked and noisy; mixed with a partner."""
    count = len(x)
    masked = x.copy()
    chosen = generator.choice(count, count // 2, replace=False)
    masked[chosen, :, generator.integers(CHANNELS, size=len(chosen))] = 0
    masked += generator.normal(0, 0.02, masked.shape).astype(np.float32)
    partner = generator.permutation(count)
    share = generator.beta(0.2, 0.2, count).astype(np.float32)
    mixed = share[:, None, None] * x + (1 - share[:, None, None]) * x[partner]
    mixed_y = y if recipe == "published" else share[:, None] * y + (1 - share[:, None]) * y[partner]
    return np.concatenate([x, masked, mixed]), np.concatenate([y, y, mixed_y])


# --- models ------------------------------------------------------------------------------------


def build_model(
    name: str, classes: int = 5, padding: str = "same", window: int = WINDOW, regular: bool = True
):
    """The two published networks. `regular=False` turns dropout and noise off, nothing else."""
    import keras
    from keras import layers

    l2 = keras.regularizers.L2(1e-4)
    rate = (lambda value: value) if regular else (lambda value: 0.0)

    def convolution(x, filters, size, mode="same", dilation=1):
        x = layers.Conv1D(
            filters, size, padding=mode, dilation_rate=dilation, kernel_regularizer=l2)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    def head(x, units):
        x = layers.GlobalAveragePooling1D()(x)
        x = layers.Dense(units, activation="relu", kernel_regularizer=l2)(x)
        x = layers.Dropout(rate(0.5))(x)
        return layers.Dense(classes, activation="softmax", dtype=keras.config.floatx())(x)

    def inception_se(x):
        for dilation in (1, 2, 4, 8):
            shortcut = x
            x = layers.Concatenate()([
                convolution(shortcut, 32, 3, padding, dilation),
                convolution(shortcut, 32, 7, padding, dilation),
            ])
            x = layers.Dropout(rate(0.2))(x)
            scale = layers.GlobalAveragePooling1D()(x)
            scale = layers.Dense(8, activation="relu", kernel_regularizer=l2)(scale)
            scale = layers.Dense(64, activation="sigmoid", kernel_regularizer=l2)(scale)
            x = layers.Multiply()([x, layers.Reshape((1, 64))(scale)])
            if shortcut.shape[-1] != 64:
                shortcut = layers.Conv1D(64, 1, padding="same")(shortcut)
            x = layers.Add()([x, shortcut])
        x = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.MultiHeadAttention(num_heads=4, key_dim=64, dropout=rate(0.3))(x, x)
        return head(x, 64)

    def semg_net(x):
        for index, (filters, size) in enumerate([(64, 9), (128, 5), (256, 3), (512, 3)]):
            x = layers.Dropout(rate(0.25))(convolution(x, filters, size))
            if index > 0:
                x = layers.MaxPooling1D(2)(x)
        return head(x, 512)

    body, title = {
        "inception-se": (inception_se, "Inception_SE_Attn"), "semg-net": (semg_net, "sEMG_Net"),
    }[name]
    inputs = keras.Input((window, CHANNELS))
    return keras.Model(inputs, body(layers.GaussianNoise(rate(0.05))(inputs)), name=title)


def first_restart(recipe: str, samples: int, epochs: int, batch: int = BATCH) -> int:
    """Steps until the cosine's first restart."""
    if recipe == "published":
        return max(1, int(samples // batch * epochs * 0.3))
    return max(1, math.ceil(math.ceil(samples / batch) * epochs / 3))


def compile_model(model, first_decay_steps: int) -> None:
    import keras

    schedule = keras.optimizers.schedules.CosineDecayRestarts(
        1e-3, first_decay_steps, t_mul=2.0, m_mul=0.9, alpha=1e-5)
    model.compile(
        optimizer=keras.optimizers.Adam(schedule),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1), metrics=["accuracy"])


def use_threads(count: int = 2) -> None:
    """TensorFlow on so many threads; call it before anything of TensorFlow's runs."""
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(count)
    tensorflow.config.threading.set_inter_op_parallelism_threads(count)


@dataclasses.dataclass
class Training:
    validation_accuracy: list[float]  # one an epoch
    training_loss: list[float]
    best_epoch: int  # from 1
    probabilities: np.ndarray  # of the validation part's windows, at the best epoch
    weights: list[np.ndarray]


def train(
    dataset: Dataset, name: str, recipe: str, padding: str, seed: int, epochs: int, report=print
) -> Training:
    """Trains one model as published; the best epoch is the first with the best validation."""
    import keras

    keras.utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    train_part, validation = dataset.parts["train"], dataset.parts["validation"]
    classes = len(dataset.gestures)
    y = one_hot(train_part.label, classes)
    model = build_model(name, classes, padding)
    compile_model(model, first_restart(recipe, 3 * len(y), epochs))
    result = Training([], [], 0, np.empty(0), [])
    views = augment(train_part.x, y, recipe, generator)
    for epoch in range(1, epochs + 1):
        if recipe != "published" and epoch > 1:
            views = augment(train_part.x, y, recipe, generator)
        x, targets = views
        history = model.fit(
            x, targets, sample_weight=targets @ dataset.class_weights, batch_size=BATCH,
            initial_epoch=epoch - 1, epochs=epoch, verbose=0)
        probabilities = model.predict(validation.x, batch_size=BATCH, verbose=0)
        accuracy = float((probabilities.argmax(axis=1) == validation.label).mean())
        if not result.validation_accuracy or accuracy > max(result.validation_accuracy):
            result.best_epoch, result.probabilities = epoch, probabilities
            result.weights = model.get_weights()
        result.validation_accuracy.append(accuracy)
        result.training_loss.append(float(history.history["loss"][-1]))
        report(f"{name} {recipe} {padding} seed {seed} epoch {epoch}/{epochs}: "
               f"loss {result.training_loss[-1]:.4f}, validation {accuracy:.4f}")
    return result


def scores(probabilities: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Accuracy and macro-F1 of windows; 0/0 counts as 0."""
    predicted = probabilities.argmax(axis=1)
    classes = probabilities.shape[1]
    f1 = []
    for index in range(classes):
        hits = int(((predicted == index) & (label == index)).sum())
        total = int((predicted == index).sum() + (label == index).sum())
        f1.append(2 * hits / total if total else 0.0)
    return {"accuracy": float((predicted == label).mean()), "macro_f1": float(np.mean(f1))}
