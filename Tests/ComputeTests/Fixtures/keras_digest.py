"""What generators of Keras fixtures share with Swift: inputs by formula, and digests of outputs.

Inputs depend on a name and an index alone (`SeededValues` in Sources/ComputeCases): no file holds
them. A digest is a tensor's norm, its inner products with sixteen seeded sign vectors and a few
elements; the mean square of the differences of the products is an unbiased estimate of the squared
norm of the tensors' difference, so every wrong element shows. Small tensors are kept whole.
"""

import numpy as np

PROJECTIONS = 16
WHOLE = 24


def seed(name):
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = ((state ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return state


def bits(name, count):
    with np.errstate(over="ignore"):
        index = np.arange(1, count + 1, dtype=np.uint64)
        z = np.uint64(seed(name)) + np.uint64(0x9E3779B97F4A7C15) * index
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(name, shape, scale=1.0, offset=0.0):
    """offset + scale·u, u uniform in [−1, 1), rounded to single precision, as float64."""
    count = int(np.prod(shape))
    u = (bits(name, count) >> np.uint64(40)).astype(np.float64) / 8388608 - 1
    return (offset + scale * u).astype(np.float32).astype(np.float64).reshape(shape)


def labels(name, count, classes):
    return (bits(name, count) >> np.uint64(33)).astype(np.int64) % classes


def short(value):
    """Thirteen digits: a tenth of what the strictest bound allows."""
    return float(f"{value:.13g}")


def digest(values):
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    if flat.size <= WHOLE:
        return {"values": [short(value) for value in flat]}
    products = []
    for index in range(PROJECTIONS):
        negative = (bits(f"projection {index}", flat.size) >> np.uint64(63)).astype(bool)
        products.append(short(flat[~negative].sum() - flat[negative].sum()))
    places = [int(place) for place in bits("elements", 8) % np.uint64(flat.size)]
    return {
        "count": int(flat.size),
        "norm": short(np.linalg.norm(flat)),
        "projections": products,
        "elements": [[place, short(flat[place])] for place in places],
    }
