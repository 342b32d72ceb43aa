"""Writes scipy_values.json: what SciPy makes of a signal that the tests can make again.

Run with NumPy and SciPy: python generate_scipy_values.py > scipy_values.json
"""

import json

import numpy as np
import scipy
from scipy import signal

CHANNELS = 3


def test_signal(samples):
    """Noise of a linear congruential generator with an offset a channel, [samples, CHANNELS].

    Every operation is exact or rounded once, so any language makes the same bits.
    """
    state, values = 12345, np.empty((samples, CHANNELS))
    for t in range(samples):
        for c in range(CHANNELS):
            state = (state * 1664525 + 1013904223) % 2**32
            values[t, c] = (state / 2**32 - 0.5) * 0.25 + 0.0625 * c
    return values


def case(rate, notch, samples):
    x = test_signal(samples)
    nyquist = rate / 2
    low = max(0.001, min(20 / nyquist, 0.99))
    high = max(low + 0.01, min(450 / nyquist, 0.999))
    sos = signal.butter(4, [low, high], btype="band", output="sos")
    stages = [(sos, signal.butter(4, [low, high], btype="band"), 27)]
    if notch:
        ba = signal.iirnotch(notch, 30, rate)
        stages.append((signal.tf2sos(*ba), ba, 9))

    sections, published, streamed, settled = x, x, x, x
    for sos, (b, a), padding in stages:
        sections = signal.sosfiltfilt(sos, sections, axis=0, padlen=padding)
        published = signal.filtfilt(b, a, published, axis=0)  # padlen 27 and 9 by its own rule
        streamed = signal.sosfilt(sos, streamed, axis=0)
        start = signal.sosfilt_zi(sos)[:, :, None] * settled[0]
        settled, _ = signal.sosfilt(sos, settled, axis=0, zi=start)

    # All of a short signal; of a longer one both ends and some of the middle.
    positions = sorted({*range(6), *range(0, samples, 41), *range(samples - 6, samples)})
    take = lambda values: values[positions].ravel().tolist()
    return {
        "rate": rate, "notch": notch, "samples": samples, "positions": positions,
        "deviation": sections.std(axis=0).tolist(),
        "zero_phase": take(sections), "published": take(published),
        "streamed": take(streamed), "streamed_from_settled": take(settled),
        "input_mean": x.mean(axis=0).tolist(), "input_deviation": x.std(axis=0).tolist(),
    }


cases = [
    case(512, 50, 700), case(512, 60, 403), case(512, None, 28), case(512, 50, 29),
    case(1000, 50, 700), case(1000, 60, 401), case(2000, 50, 700), case(2000, None, 400),
    case(100, None, 300), case(60000, 50, 300),
]
text = json.dumps({"scipy": scipy.__version__, "numpy": np.__version__, "channels": CHANNELS,
                   "cases": cases})
print(text.replace(', "', ',\n"').replace('}, {', '},\n{'))
