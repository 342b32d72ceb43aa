"""What the attention kernels on tensor cores are given, and by NumPy what they must leave: the
short form of tensor_core_attention.cl, dropout included.

Shapes: X [B, T, C]; M [C, H, C] and m [H, C]; Q and its gradient [B, T, H, C]; statistics
[B, H, T, 4] (highest score, one over the sum, the inner product with p's gradient, zero); p and its
gradient [B, H, T]; bits [B, H, T, words of 32 steps].
"""

import numpy as np

SPAN = 64  # of the kernels
STREAM, KEY, ITERATION, STEP = 7, (42, 0), 11, 3


def gain(time: int) -> float:
    """By what gradients of scores are multiplied before they become halves."""
    return float(1 << max(0, (time // 8).bit_length() - 1))


def philox(block: np.ndarray) -> np.ndarray:
    """[…, 4] words of Philox4x32-10 (Salmon et al., 2011) at these counters."""
    mask = np.uint64(0xFFFFFFFF)
    iteration = ITERATION + STEP
    c = [block.astype(np.uint64) & mask, np.full(block.shape, STREAM, np.uint64),
         np.full(block.shape, iteration & 0xFFFFFFFF, np.uint64),
         np.full(block.shape, iteration >> 32, np.uint64)]
    for turn in range(10):
        key = [np.uint64((k + turn * step) & 0xFFFFFFFF)
               for k, step in zip(KEY, (0x9E3779B9, 0xBB67AE85))]
        first, second = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(second >> np.uint64(32)) ^ c[1] ^ key[0], second & mask,
             (first >> np.uint64(32)) ^ c[3] ^ key[1], first & mask]
    return np.stack(c, -1)


def kept(index: int, time: int, words: int, threshold: int) -> np.ndarray:
    """[T, 32·words]: whether an element of matrix `index` stays; a word that begins within a row
    goes on into the next, one that begins beyond it is whole."""
    steps = np.arange(32 * words)
    first = (np.uint64(index) * np.uint64(time) + np.arange(time, dtype=np.uint64)) * np.uint64(time)
    element = first[:, None] + steps.astype(np.uint64)
    flat = np.arange(int(element.min()) // 8, int(element.max()) // 8 + 1, dtype=np.uint64)
    lanes = np.stack([philox(flat) & np.uint64(0xFFFF), philox(flat) >> np.uint64(16)], -1)
    values = lanes.reshape(-1)[(element - flat[0] * np.uint64(8)).astype(np.int64)]
    stays = values >= threshold if threshold else np.ones(values.shape, bool)
    stays[:, (steps // 32 * 32) >= time] = True
    return stays


def packed(stays: np.ndarray) -> np.ndarray:
    """uint32 words of [..., 32·words] bits, the first in the lowest."""
    bits = np.packbits(stays, axis=-1, bitorder="little")
    return np.ascontiguousarray(bits).view(np.uint32)


class Sample:
    """The scores of one sample's heads in double precision."""

    def __init__(self, q: np.ndarray, x: np.ndarray, stays: np.ndarray):
        self.q, self.x, self.stays = q, x, stays  # [T, H, C], [T, C], [H, T, T]
        scores = np.einsum("thc,sc->hts", q, x, optimize=True)
        self.top = scores.max(2)
        exponentials = np.exp(scores - self.top[..., None])
        self.total = exponentials.sum(2)
        self.p = exponentials / self.total[..., None]

    def inner(self, of_mean: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """[H, T], and the same of absolute values."""
        shares = np.where(self.stays, self.p, 0.0) * (scale / self.p.shape[2])
        return (np.einsum("hts,hs->ht", shares, of_mean),
                np.einsum("hts,hs->ht", shares, np.abs(of_mean)))

    def mean(self, scale: float) -> np.ndarray:
        """[H, T]"""
        return np.where(self.stays, self.p, 0.0).sum(1) * (scale / self.p.shape[1])


class Attention:
    """The arrays that all three kernels share."""

    def __init__(self, s: dict, rate: float, batch: int):
        self.time, self.channels, self.heads, self.batch = (
            s["TIME"], s["CHANNELS"], s["HEADS"], batch)
        self.words = 2 * -(-self.time // SPAN)
        self.threshold, self.scale = round(rate * 65536), 1 / (1 - rate)
        draw = np.random.default_rng(5)
        t, c, h = self.time, self.channels, self.heads
        self.x = draw.standard_normal((batch, t, c)).astype(np.float16)
        self.m = (0.4 * c**-0.5 * draw.standard_normal((c, h, c))).astype(np.float16)
        self.offsets = (0.1 * draw.standard_normal((h, c))).astype(np.float32)
        self.of_mean = draw.standard_normal((batch, h, t)).astype(np.float32)
        exact = np.einsum("btc,chd->bthd", self.x.astype(np.float64), self.m.astype(np.float64),
                          optimize=True) + self.offsets
        self.magnitude = np.abs(exact).max() * np.abs(self.x).max()
        self.q = exact.astype(np.float16)
        self.exact_q = exact

    def stays(self, sample: int) -> np.ndarray:
        """[H, T, 32·words]"""
        return np.stack([kept(sample * self.heads + head, self.time, self.words, self.threshold)
                         for head in range(self.heads)])

    def samples(self):
        for i in range(self.batch):
            yield Sample(self.q[i].astype(np.float64), self.x[i].astype(np.float64),
                         self.stays(i)[..., : self.time])

    def statistics(self) -> np.ndarray:
        """[B, H, T, 4]"""
        return np.stack([self.rows(sample, i)[0] for i, sample in enumerate(self.samples())])

    def rows(self, sample: Sample, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Statistics of a sample, and their bounds: a query may be rounded the other way."""
        score = 2.0**-10 * float(self.magnitude) + 2.0**-14
        inner, size = sample.inner(self.of_mean[i].astype(np.float64), self.scale)
        zero = np.zeros_like(inner)
        values = np.stack([sample.top, 1 / sample.total, inner, zero], -1)
        bounds = np.stack([zero + score, 2 * score / sample.total, 4 * score * size + 1e-9,
                           zero + 1e-30], -1)
        return values, bounds

    @property
    def scalars(self) -> dict:
        return {"threshold": self.threshold, "scale": float(np.float32(self.scale)),
                "stream": STREAM, "key0": KEY[0], "key1": KEY[1], "step": STEP,
                "time": self.time, "heads": self.heads}

    @property
    def header(self) -> np.ndarray:
        return np.array([ITERATION, 0, 0, 0], np.uint32)

    def grid(self, factor: int) -> tuple[int, int, int]:
        return -(-self.time // SPAN), self.batch * factor, 1


def case(kernel: str, s: dict, rate: float, batch: int, output: type) -> tuple:
    """The fields of a `Case`."""
    return {"attention_short_rows": rows, "attention_short_mean": mean,
            "attention_short_input_backward": input_backward}[kernel](
                Attention(s, rate, batch), output)


def nothing(*shape: int, kind=np.float32) -> np.ndarray:
    return np.full(shape, np.nan if kind != np.uint32 else 0xDEADBEEF, kind)


def rows(a: Attention, output: type) -> tuple:
    shape = (a.batch, a.heads, a.time)
    arrays = {
        "x": a.x, "weights": a.m, "offsets": a.offsets, "mean_gradient": a.of_mean,
        "header": a.header, "q": nothing(*a.q.shape, kind=np.float16),
        "statistics": nothing(*shape, 4), "bits": nothing(*shape, a.words, kind=np.uint32)}

    def results() -> list:
        found = [a.rows(sample, i) for i, sample in enumerate(a.samples())]
        bits = np.stack([packed(a.stays(i)) for i in range(a.batch)])
        size = np.abs(a.exact_q)
        return [
            output("q", a.exact_q, 2.0**-10 * size + 2.0**-18),
            output("statistics", np.stack([values for values, _ in found]),
                   np.stack([bounds for _, bounds in found])),
            output("bits", bits, np.zeros(1))]

    scalars = {**a.scalars, "has_gradient": 1, "count": a.batch * a.heads}
    return arrays, scalars, a.grid(a.heads), results


def mean(a: Attention, output: type) -> tuple:
    arrays = {"q": a.q, "x": a.x, "statistics": a.statistics().astype(np.float32),
              "header": a.header, "mean": nothing(a.batch, a.heads, a.time)}

    def results() -> list:
        expected = np.stack([sample.mean(a.scale) for sample in a.samples()])
        return [output("mean", expected, 2.0**-12 * expected + 1e-7)]

    return arrays, {**a.scalars, "count": a.batch * a.heads}, a.grid(a.heads), results


def input_backward(a: Attention, output: type) -> tuple:
    factor = gain(a.time)
    dz = np.random.default_rng(6).standard_normal((a.batch, a.heads, a.channels + 1))
    statistics = a.statistics().astype(np.float32)
    arrays = {
        "q": a.q, "x": a.x, "weights": a.m, "statistics": statistics,
        "bits": np.stack([packed(a.stays(i)) for i in range(a.batch)]),
        "mean_gradient": a.of_mean, "z_gradient": dz.astype(np.float32),
        "mean": np.stack([each.mean(a.scale) for each in a.samples()]).astype(np.float32),
        "query_gradient": nothing(*a.q.shape, kind=np.float16),
        "input_gradient": nothing(*a.x.shape, kind=np.float16)}

    def results() -> list:
        parts = [gradients(a, sample, i, statistics[i], arrays["z_gradient"][i], factor)
                 for i, sample in enumerate(a.samples())]
        names = ("query_gradient", "input_gradient")
        return [output(name, np.stack([part[k][0] for part in parts]),
                       np.stack([part[k][1] for part in parts]))
                for k, name in enumerate(names)]

    scalars = {**a.scalars, "gain": factor, "live": a.batch}
    return arrays, scalars, a.grid(1), results


def gradients(
    a: Attention, sample: Sample, i: int, statistics: np.ndarray, dz: np.ndarray, factor: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(values, bounds) of Q's gradient times `factor`, and of X's."""
    m = a.m.astype(np.float64)
    p = sample.mean(a.scale)
    share = factor * a.scale / a.time
    of_mean = np.where(sample.stays, a.of_mean[i][:, None, :] * share, 0.0)
    scores = sample.p * (of_mean - factor * statistics[..., 2][..., None].astype(np.float64))
    size = np.abs(scores)
    u = np.einsum("hts,sc->thc", scores, sample.x, optimize=True)
    u_size = np.einsum("hts,sc->thc", size, np.abs(sample.x), optimize=True)
    terms = [
        (np.einsum("thd,chd->tc", u, m, optimize=True),
         np.einsum("thd,chd->tc", u_size, np.abs(m), optimize=True)),
        (np.einsum("hts,thc->sc", scores, sample.q, optimize=True),
         np.einsum("hts,thc->sc", size, np.abs(sample.q), optimize=True)),
        (factor * np.einsum("hs,hc->sc", p, dz[:, : a.channels], optimize=True),
         factor * np.einsum("hs,hc->sc", p, np.abs(dz[:, : a.channels]), optimize=True))]
    result = sum(value for value, _ in terms) / factor
    magnitude = sum(each for _, each in terms) / factor
    return [(u, 2.0**-10 * (np.abs(u) + u_size) + 2.0**-20),
            (result, 2.0**-9 * magnitude + 2.0**-10 * np.abs(result) + 2.0**-20)]
