"""Small cases of attention on tensor cores, each kernel by itself and against NumPy.

The kernels round Q, the gradients of scores and U to halves where they hold them; so does NumPy
here. What is left between the two is the order of sums, 2 to a power within 2^-22, and now and then
a half that is rounded to its other neighbour.
"""

import functools

import numpy as np

from .bench import Bench, Case

SPAN, ITEMS = 64, 128
# Of a value's size: half a unit of a half, for the last rounding, and one for a neighbour.
HALF_ERROR = 2.0 ** -10


def philox_lanes(count: int, stream: int, iteration: int, key: tuple[int, int]) -> np.ndarray:
    """The first `count` 16-bit lanes of Philox4x32-10, eight a block."""
    low = np.uint64(0xFFFF_FFFF)
    blocks = np.arange(-(-count // 8), dtype=np.uint64)
    same = np.ones_like(blocks)
    x, y, z, w = (blocks, same * np.uint64(stream), same * np.uint64(iteration & 0xFFFF_FFFF),
                  same * np.uint64(iteration >> 32))
    k0, k1 = key
    for _ in range(10):
        first, second = z * np.uint64(0xCD9E8D57), x * np.uint64(0xD2511F53)
        x, y, z, w = (
            (first >> np.uint64(32)) ^ y ^ np.uint64(k0), first & low,
            (second >> np.uint64(32)) ^ w ^ np.uint64(k1), second & low)
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFF_FFFF, (k1 + 0xBB67AE85) & 0xFFFF_FFFF
    words = np.stack([x, y, z, w], axis=1).astype(np.uint32)
    return words.view(np.uint16).reshape(-1)[:count]


def half(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float64)


class Attention:
    """Sizes and values of an attention whose output is averaged over time; see attention_short.cl:
    X [B, T, C], M [C, H, C], m [H, C]."""

    FIRST_ITERATION, STEP, STREAM, KEY = 5_000_000_000, 3, 7, (11, 13)

    def __init__(self, batch: int, time: int, channels: int, heads: int, rate: float) -> None:
        rng = np.random.default_rng(time)
        self.batch, self.time, self.channels, self.heads = batch, time, channels, heads
        # Eighths of whole numbers: Q is exact, as a sum and, but for its rounding, as a half.
        self.x = rng.integers(-6, 7, (batch, time, channels)) / 8.0
        self.weights = rng.integers(-4, 5, (channels, heads, channels)) / 16.0
        self.offsets = rng.integers(-4, 5, (heads, channels)) / 8.0
        self.mean_gradient = rng.integers(-8, 9, (batch, heads, time)) / 16.0
        self.z_gradient = rng.integers(-8, 9, (batch, heads, channels + 1)) / 16.0
        self.threshold = round(rate * 65536)
        self.scale = float(np.float32(1 / (1 - rate)))
        self.gain = float(1 << max(0, (time // 8).bit_length() - 1))

    @property
    def tiles(self) -> int:
        return -(-self.time // SPAN)

    @functools.cached_property
    def q(self) -> np.ndarray:
        """[B, T, H, C], as halves hold it."""
        return half(np.einsum("btk,khc->bthc", self.x, self.weights) + self.offsets)

    @functools.cached_property
    def scores(self) -> np.ndarray:
        """[B, H, T, T]"""
        return np.einsum("bthc,bsc->bhts", self.q, self.x)

    @functools.cached_property
    def top(self) -> np.ndarray:
        return self.scores.max(axis=3)

    @functools.cached_property
    def total(self) -> np.ndarray:
        return np.exp(self.scores - self.top[..., None]).sum(axis=3)

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        return np.exp(self.scores - self.top[..., None]) / self.total[..., None]

    @functools.cached_property
    def stays(self) -> np.ndarray:
        """What the dropout keeps, [B, H, T, T]."""
        shape = self.scores.shape
        lanes = philox_lanes(int(np.prod(shape)), self.STREAM,
                             self.FIRST_ITERATION + self.STEP, self.KEY)
        return (lanes >= self.threshold).reshape(shape).astype(np.float64)

    @functools.cached_property
    def inner(self) -> np.ndarray:
        kept = self.probabilities * self.stays * self.mean_gradient[:, :, None]
        return kept.sum(axis=3) * self.scale / self.time

    @functools.cached_property
    def mean(self) -> np.ndarray:
        """p [B, H, T]"""
        return (self.probabilities * self.stays).sum(axis=2) * self.scale / self.time

    @functools.cached_property
    def score_gradient(self) -> np.ndarray:
        """Times the gain, as halves hold it."""
        share = self.gain * self.scale / self.time
        of_mean = self.stays * self.mean_gradient[:, :, None] * share
        return half(self.probabilities * (of_mean - self.gain * self.inner[..., None]))

    @functools.cached_property
    def query_gradient(self) -> np.ndarray:
        """U [B, T, H, C] times the gain, as halves hold it."""
        return half(np.einsum("bhts,bsc->bthc", self.score_gradient, self.x))

    @functools.cached_property
    def input_gradient(self) -> np.ndarray:
        """[B, T, C]"""
        sums = np.einsum("bthk,chk->btc", self.query_gradient, self.weights)
        sums += np.einsum("bhts,bthc->bsc", self.score_gradient, self.q)
        sums += self.gain * np.einsum("bhs,bhc->bsc", self.mean, self.z_gradient[..., :-1])
        return sums / self.gain

    @functools.cached_property
    def statistics(self) -> np.ndarray:
        return np.stack(
            [self.top, 1 / self.total, self.inner, np.zeros_like(self.top)], axis=3)

    def words(self) -> tuple[np.ndarray, np.ndarray]:
        """The bits of `stays` [B, H, T, words], 32 columns a word, and which of them count."""
        wide = self.tiles * SPAN
        bits = np.zeros((self.batch, self.heads, self.time, wide), np.uint8)
        bits[..., :self.time] = self.stays
        known = np.zeros_like(bits)
        known[..., :self.time] = 1

        def packed(each: np.ndarray) -> np.ndarray:
            return np.packbits(each, axis=3, bitorder="little").view(np.uint32)

        return packed(bits), packed(known)

    def dropout(self, bench: Bench) -> list[int | float]:
        header = np.zeros(2, np.uint64)
        header[0] = self.FIRST_ITERATION
        address = bench.memory.add("table", header)
        return [address, self.threshold, self.scale, self.STREAM, *self.KEY, self.STEP]


def size(values: np.ndarray) -> float:
    return float(np.abs(values).max())


def rows(bench: Bench, a: Attention, has_gradient: bool) -> None:
    matrices = a.batch * a.heads
    arguments = [
        *bench.input("x", a.x.astype(np.float16)),
        *bench.input("weights", a.weights.astype(np.float16)),
        *bench.input("offsets", a.offsets.astype(np.float32)),
        *bench.output("q", a.q.shape, np.float16),
        *(bench.input("mean gradient", a.mean_gradient.astype(np.float32)) if has_gradient
          else bench.nothing()),
        *bench.output("statistics", a.statistics.shape, np.float32),
        *(bench.output("bits", a.words()[0].shape, np.uint32) if has_gradient
          else bench.nothing()),
        int(has_gradient), *a.dropout(bench), a.time, a.heads, matrices]
    bench.run("attention_short_rows", (a.tiles, matrices, 1), ITEMS, arguments)
    bench.expect("q", a.q)
    expected = a.statistics.copy()
    if not has_gradient:
        expected[..., 2] = 0
    # The top is exact, as scores are; the sums are of powers within 2^-22.
    bound = 2e-6 * np.array([0.0, *(size(expected[..., i]) for i in range(1, 4))])
    bench.expect("statistics", expected, bound)
    if has_gradient:
        bench.expect_bits("bits", *a.words())


def mean(bench: Bench, a: Attention) -> None:
    matrices = a.batch * a.heads
    arguments = [
        *bench.input("q", a.q.astype(np.float16)), *bench.input("x", a.x.astype(np.float16)),
        *bench.input("statistics", a.statistics.astype(np.float32)),
        *bench.output("mean", a.mean.shape, np.float32), *a.dropout(bench), a.time, a.heads,
        matrices]
    bench.run("attention_short_mean", (a.tiles, matrices, 1), ITEMS, arguments)
    bench.expect("mean", a.mean, 2e-6 * size(a.mean))


def backward(bench: Bench, a: Attention) -> None:
    arguments = [
        *bench.input("q", a.q.astype(np.float16)), *bench.input("x", a.x.astype(np.float16)),
        *bench.input("weights", a.weights.astype(np.float16)),
        *bench.input("statistics", a.statistics.astype(np.float32)),
        *bench.input("bits", a.words()[0]),
        *bench.input("mean gradient", a.mean_gradient.astype(np.float32)),
        *bench.input("z gradient", a.z_gradient.astype(np.float32)),
        *bench.output("query gradient", a.q.shape, np.float16),
        *bench.input("mean", a.mean.astype(np.float32)),
        *bench.output("input gradient", a.x.shape, np.float16),
        a.scale, a.gain, a.time, a.heads, a.batch]
    bench.run("attention_short_input_backward", (a.tiles, a.batch, 1), ITEMS, arguments)
    bench.expect("query gradient", a.query_gradient, HALF_ERROR * size(a.query_gradient))
    bench.expect("input gradient", a.input_gradient, HALF_ERROR * size(a.input_gradient))


def attention_cases() -> list[Case]:
    return of_shapes([
        (Attention(2, 70, 16, 2, 0.25), False), (Attention(1, 150, 32, 1, 0.0), True),
        (Attention(1, 37, 48, 2, 0.5), False), (Attention(1, 129, 64, 2, 0.125), True)])


def network_attention_cases() -> list[Case]:
    """Inception-SE-TCN's attention, for one sample."""
    return of_shapes([(Attention(1, 204, 64, 4, 0.125), True)])


def of_shapes(shapes: list[tuple[Attention, bool]]) -> list[Case]:
    """Each kernel with each shape, in the build for it alone where that is said."""
    found: list[Case] = []
    for a, is_special in shapes:
        defines = [f"-DCHANNELS={a.channels}"]
        if is_special:
            defines += [f"-DTIME={a.time}", f"-DHEADS={a.heads}"]
        sizes = f"[{a.batch}, {a.time}, {a.channels}], {a.heads} heads"
        found += [
            Case(f"attention {name} {sizes}", "tensor_core_attention.cl", defines,
                 functools.partial(check, a=a, **settings))
            for name, check, settings in [
                ("rows, forward,", rows, {"has_gradient": False}),
                ("rows, backward,", rows, {"has_gradient": True}), ("mean", mean, {}),
                ("backward", backward, {})]]
    return found
