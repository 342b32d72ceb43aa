"""Writes learning_rates.json: Keras's CosineDecayRestarts in float64 over both recipes' periods.

157,500 samples in batches of 128 over 60 epochs are 73,860 steps; the first periods are those of
the published recipe and of the standard one. Run with Keras 3: python generate_learning_rates.py
"""

import json
import os
import pathlib

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np

STEPS = 73_860
keras.config.set_floatx("float64")
schedules = []
for recipe, period in [("published", 22_140), ("standard", 24_620)]:
    # Python's own floats would pass through float32.
    schedule = keras.optimizers.schedules.CosineDecayRestarts(
        np.float64(1e-3),
        np.float64(period),
        t_mul=np.float64(2),
        m_mul=np.float64(0.9),
        alpha=np.float64(1e-5),
    )
    steps = {0, period - 1, period, 3 * period - 1, 3 * period, STEPS - 1}
    rates = []
    for step in sorted(step for step in steps if step < STEPS):
        rate = keras.ops.convert_to_numpy(schedule(np.float64(step)))
        assert rate.dtype == np.float64, rate.dtype
        rates.append({"step": step, "rate": float(rate)})
    schedules.append({"recipe": recipe, "first_period": period, "rates": rates})

path = pathlib.Path(__file__).with_name("learning_rates.json")
path.write_text(json.dumps({"steps": STEPS, "schedules": schedules}, indent=1) + "\n")
