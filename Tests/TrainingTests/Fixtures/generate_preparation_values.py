"""Writes preparation_values.json: what NumPy and SciPy make of fifteen real recordings.

usage: python generate_preparation_values.py SYNAPSE_DIRECTORY > preparation_values.json

The first trial of each gesture of one subject: sessions 1 and 2 train, session 3 is prepared too.
"""

import json
import pathlib
import sys

import numpy as np
from scipy import signal

SUBJECT, RATE = 8, 512
folder = pathlib.Path(sys.argv[1])
paths = sorted(
    str(path.relative_to(folder))
    for path in folder.rglob(f"*subject_{SUBJECT}/gesture0?_trial01.csv"))
raw = [np.loadtxt(folder / path, delimiter=",", skiprows=1) for path in paths]
band = signal.butter(4, [20 / 256, 0.999], btype="band", output="sos")
notch = signal.tf2sos(*signal.iirnotch(50, 30, RATE))
filtered = [
    signal.sosfiltfilt(notch, signal.sosfiltfilt(band, x, axis=0, padlen=27), axis=0, padlen=9)
    for x in raw]
trains = ["Session3" not in path for path in paths]


def fitted(recordings):
    rows = np.concatenate([x for x, is_trained in zip(recordings, trains) if is_trained])
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    standardized = np.concatenate([(x - mean) / (deviation + 1e-8) for x in filtered])
    return {"mean": mean.tolist(), "deviation": deviation.tolist(),
            "picked": [float(f"{v:.9g}") for v in standardized[::997].ravel()]}


print(json.dumps({
    "paths": paths, "rows": [len(x) for x in raw], "picked_every": 997,
    "standard": fitted(filtered), "published": fitted(raw)}).replace('"], ', '"],\n'))
