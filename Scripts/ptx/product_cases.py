"""Small cases of the products on tensor cores: convolutions, dense layers, and the probe.

Factors are small whole numbers, so that every sum is exact in single precision, and those of halves
in half precision.
"""

import functools

import numpy as np

from .bench import Bench, Case

RNG_SEED = 20


def whole(rng: np.random.Generator, shape: tuple[int, ...], most: int = 3) -> np.ndarray:
    return rng.integers(-most, most + 1, shape).astype(np.float64)


class Tile:
    """How a work-group's tile is cut; see tensor_core_product.cl."""

    def __init__(self, rows: int, columns: int, down: int, across: int) -> None:
        self.rows, self.columns, self.items = rows, columns, 32 * down * across
        self.defines = [f"-DTILE_ROWS={rows}", f"-DTILE_COLUMNS={columns}",
                        f"-DWARPS_DOWN={down}", f"-DWARPS_ACROSS={across}"]
        self.name = f"{rows}x{columns} by {down}x{across}"

    def groups(self, rows: int, columns: int, third: int = 1) -> tuple[int, int, int]:
        return -(-rows // self.rows), -(-columns // self.columns), third


# MARK: Probe


def probe(bench: Bench) -> None:
    rng = np.random.default_rng(RNG_SEED)
    a, b = whole(rng, (16, 16)), whole(rng, (16, 8))
    arguments = [
        *bench.input("a", a.astype(np.float16)), *bench.input("b", b.astype(np.float16)),
        *bench.output("c", (16, 8), np.float32),
        *bench.output("rounded", (16, 8), np.float16, element=np.uint32)]
    bench.run("tensor_core_probe", (1, 1, 1), 32, arguments)
    bench.expect("c", a @ b)
    bench.expect("rounded", a @ b)


# MARK: Convolutions


class Convolution:
    """Sizes and values of a convolution: input [B, T, I], weights [taps, I, O]."""

    def __init__(
        self, batch: int, time: int, inputs: int, outputs: int, taps: int, dilation: int, left: int
    ) -> None:
        rng = np.random.default_rng(RNG_SEED + time)
        self.batch, self.time, self.inputs, self.outputs = batch, time, inputs, outputs
        self.taps, self.dilation, self.left = taps, dilation, left
        self.rows = batch * time
        self.input = whole(rng, (batch, time, inputs))
        self.weights = whole(rng, (taps, inputs, outputs), 2)
        self.bias = whole(rng, (outputs,), 9)
        self.gradient = whole(rng, (batch, time, outputs), 2)
        self.addend = whole(rng, (batch, time, inputs), 9)

    @property
    def name(self) -> str:
        return (f"[{self.batch}, {self.time}, {self.inputs}] to {self.outputs}, {self.taps} taps"
                f" {self.dilation} apart")

    @property
    def sizes(self) -> list[int]:
        return [
            self.rows, self.time, self.inputs, self.outputs, self.taps, self.dilation, self.left]

    @property
    def defines(self) -> list[str]:
        return [f"-DTIME={self.time}", f"-DINPUTS={self.inputs}", f"-DOUTPUTS={self.outputs}",
                f"-DTAPS={self.taps}", f"-DDILATION={self.dilation}", f"-DLEFT={self.left}"]

    def shifted(self, values: np.ndarray, tap: int, sign: int) -> np.ndarray:
        """Row t is row t ± (tap · dilation − left), or zero where there is none."""
        shift = sign * (tap * self.dilation - self.left)
        found = np.zeros_like(values)
        times = np.arange(self.time)
        inside = (times + shift >= 0) & (times + shift < self.time)
        found[:, times[inside]] = values[:, times[inside] + shift]
        return found

    def forward(self) -> np.ndarray:
        """Without the bias."""
        return sum(self.shifted(self.input, tap, 1) @ self.weights[tap] for tap in range(self.taps))

    def input_gradient(self) -> np.ndarray:
        return sum(self.shifted(self.gradient, tap, -1) @ self.weights[tap].T
                   for tap in range(self.taps))

    def weights_gradient(self, rows: slice) -> np.ndarray:
        flat = self.gradient.reshape(self.rows, -1)[rows]
        return np.stack([
            self.shifted(self.input, tap, 1).reshape(self.rows, -1)[rows].T @ flat
            for tap in range(self.taps)])


def statistics_of(values: np.ndarray, tile_rows: int) -> np.ndarray:
    """[tiles, 2, columns]: mean and sum of squares about it of each tile's rows."""
    parts = [values[first:first + tile_rows] for first in range(0, len(values), tile_rows)]
    return np.stack([
        np.stack([part.mean(axis=0), ((part - part.mean(axis=0)) ** 2).sum(axis=0)])
        for part in parts])


def forward(bench: Bench, c: Convolution, tile: Tile, has_statistics: bool) -> None:
    groups = tile.groups(c.rows, c.outputs)
    arguments = [
        *bench.input("input", c.input.astype(np.float16)),
        *bench.input("weights", c.weights.astype(np.float16)),
        *bench.input("bias", c.bias.astype(np.float32)),
        *bench.output("output", (c.batch, c.time, c.outputs), np.float16), *c.sizes]
    if has_statistics:
        arguments += bench.output("statistics", (groups[0], 2, c.outputs), np.float32)
    bench.run("conv1d_forward", groups, tile.items, arguments)
    products = c.forward()
    bench.expect("output", products + c.bias)
    if has_statistics:
        # Sums are exact, the mean is not, and what is subtracted of the squares is its product.
        expected = statistics_of(products.reshape(c.rows, -1), tile.rows)
        bench.expect("statistics", expected, 4e-7 * float(np.abs(expected).max()))


def backward_input(bench: Bench, c: Convolution, tile: Tile, adds: bool) -> None:
    arguments = [
        *bench.input("output gradient", c.gradient.astype(np.float16)),
        *bench.input("weights", c.weights.astype(np.float16)),
        *(bench.input("addend", c.addend.astype(np.float16)) if adds else bench.nothing()),
        int(adds), *bench.output("input gradient", (c.batch, c.time, c.inputs), np.float16),
        *c.sizes]
    bench.run("conv1d_backward_input", tile.groups(c.rows, c.inputs), tile.items, arguments)
    bench.expect("input gradient", c.input_gradient() + (c.addend if adds else 0))


def backward_weights(bench: Bench, c: Convolution, tile: Tile, span: int, unbiased: bool) -> None:
    spans, count = -(-c.rows // span), c.taps * c.inputs * c.outputs
    part = count + c.outputs
    # Twice the same, one behind the other, as two convolutions.
    down, across, _ = tile.groups(c.taps * c.inputs, c.outputs)
    groups = down * across * spans
    table = np.array([[entry * groups, 0, 0, entry * spans * part, int(unbiased), *c.sizes[1:]]
                      for entry in range(2)], np.int32)
    arguments = [
        *bench.input("input", c.input.astype(np.float16)),
        *bench.input("output gradient", c.gradient.astype(np.float16)),
        *bench.output("gradients", (2, spans, part), np.float32),
        bench.memory.add("table", table), len(table), span, c.batch]
    bench.run("conv1d_backward_weights", (2 * groups, 1, 1), tile.items, arguments)
    expected = np.full((spans, part), np.nan)
    for index in range(spans):
        rows = slice(index * span, min(c.rows, (index + 1) * span))
        expected[index, :count] = c.weights_gradient(rows).reshape(-1)
        gradient = c.gradient.reshape(c.rows, -1)[rows]
        expected[index, count:] = 0 if unbiased else gradient.sum(axis=0)
    bench.expect("gradients", np.stack([expected, expected]))


# MARK: Dense layers


def dense(
    bench: Bench, part: int, sizes: tuple[int, int, int], tile: Tile, half_result: bool,
    has_bias: bool
) -> None:
    """c = bias + a·b, or a·bᵀ; the rows of all three are further apart than they are long."""
    rows, columns, depth = sizes
    rng = np.random.default_rng(RNG_SEED + part)
    a, b = whole(rng, (rows, depth)), whole(rng, (depth, columns), 2)
    bias, scale, far = whole(rng, (columns,), 9), 0.5, 8

    def apart(values: np.ndarray) -> np.ndarray:
        return np.pad(values, ((0, 0), (0, far))).astype(np.float16)

    # A result's row begins at a multiple of a chunk, whatever its columns are.
    stride = -(-columns // 8) * 8 + far
    name = {1: "matrix_product", 2: "matrix_product_turned"}[part]
    wide = np.pad(b, ((0, 0), (0, -columns % 8)))  # the width that is read is whole chunks
    right = apart(wide if part == 1 else b.T)
    arguments = [
        *bench.input("a", apart(a)), depth + far, *bench.input("b", right), right.shape[1],
        *(bench.input("bias", bias.astype(np.float32)) if has_bias else bench.nothing()),
        int(has_bias),
        *bench.output("c", (rows, stride), np.float16 if half_result else np.float32), stride,
        scale, rows, columns, depth]
    bench.run(name, tile.groups(rows, columns), tile.items, arguments)
    expected = np.full((rows, stride), np.nan)
    expected[:, :columns] = scale * (a @ b) + (bias if has_bias else 0)
    bench.expect("c", expected)


def dense_columns(
    bench: Bench, sizes: tuple[int, int, int], tile: Tile, span: int, has_sums: bool
) -> None:
    """c = scale · aᵀ·b over `depth` rows, cut into spans, and the sums of b's columns."""
    rows, columns, depth = sizes
    rng = np.random.default_rng(RNG_SEED)
    a, b = whole(rng, (depth, rows)), whole(rng, (depth, columns), 2)
    spans, part, scale = -(-depth // span), rows * columns, 0.25
    arguments = [
        *bench.input("a", a.astype(np.float16)), rows, *bench.input("b", b.astype(np.float16)),
        columns, *(bench.output("sums", (spans, part), np.float32) if has_sums
                   else bench.nothing()),
        int(has_sums), *bench.output("c", (spans, rows, columns), np.float32), columns, scale, rows,
        columns, depth, span, part]
    bench.run("matrix_columns_product", tile.groups(rows, columns, spans), tile.items, arguments)
    cuts = [slice(first, first + span) for first in range(0, depth, span)]
    bench.expect("c", np.stack([scale * a[cut].T @ b[cut] for cut in cuts]))
    if has_sums:
        sums = np.full((spans, part), np.nan)
        sums[:, :columns] = [b[cut].sum(axis=0) for cut in cuts]
        bench.expect("sums", sums)


# MARK: List


def convolution_case(
    part: int, c: Convolution, tile: Tile, *extra: str, is_special: bool = False, **settings
) -> Case:
    check = {1: forward, 2: backward_input, 3: backward_weights}[part]
    name = ["forward", "input gradient", "weights gradient"][part - 1]
    if part == 1:
        settings["has_statistics"] = "-DSTATISTICS=1" in extra
    said = ", ".join(key.replace("_", " ") for key, value in settings.items() if value is True)
    return Case(
        f"convolution {name} {c.name}, tile {tile.name}" + (f", {said}" if said else ""),
        "tensor_core_conv1d.cl",
        [f"-DPART={part}", *tile.defines, *extra, *(c.defines if is_special else [])],
        functools.partial(check, c=c, tile=tile, **settings))


def dense_case(part: int, sizes: tuple[int, int, int], tile: Tile, *extra: str, **settings) -> Case:
    check = functools.partial(dense, part=part) if part != 3 else dense_columns
    name = ["a·b", "a·bᵀ", "aᵀ·b"][part - 1]
    return Case(
        f"dense {name} {'×'.join(map(str, sizes))}, tile {tile.name}", "tensor_core_dense.cl",
        [f"-DPART={part}", *tile.defines, *extra],
        functools.partial(check, sizes=sizes, tile=tile, **settings))


def product_cases() -> list[Case]:
    wide, tall, flat = Tile(128, 64, 2, 2), Tile(128, 32, 4, 1), Tile(32, 64, 1, 2)
    small, square = Tile(64, 32, 2, 2), Tile(128, 128, 2, 4)
    odd = Convolution(2, 37, 16, 72, 5, 3, 6)
    even = Convolution(3, 50, 8, 40, 7, 4, 24)
    short = Convolution(5, 9, 24, 136, 3, 1, 1)
    chunks, statistics = "-DRESULT_CHUNKS=1", "-DSTATISTICS=1"
    others = [Tile(128, 128, 4, 2), Tile(128, 64, 4, 2), Tile(64, 64, 2, 2), Tile(64, 128, 2, 4),
              Tile(64, 64, 4, 1), Tile(64, 32, 4, 1)]
    of_tiles = [case for tile in others for case in (
        convolution_case(1, odd, tile, chunks, statistics),
        convolution_case(2, even, tile, adds=True), convolution_case(
            3, odd, tile, chunks, span=64, unbiased=False))]
    return [
        Case("probe", "tensor_core_probe.cl", [], probe),
        convolution_case(1, odd, flat),
        convolution_case(1, odd, wide, statistics),
        convolution_case(1, even, tall, chunks, statistics, is_special=True),
        convolution_case(1, even, small, chunks, is_special=True),
        convolution_case(1, short, square, chunks),
        convolution_case(2, odd, wide, adds=False),
        convolution_case(2, even, tall, chunks, adds=True, is_special=True),
        convolution_case(2, short, flat, adds=True),
        convolution_case(3, odd, wide, span=64, unbiased=False),
        convolution_case(3, even, small, chunks, span=32, unbiased=False, is_special=True),
        convolution_case(3, short, flat, span=64, unbiased=True),
        dense_case(1, (70, 40, 48), flat, half_result=True, has_bias=True),
        dense_case(1, (70, 37, 72), wide, "-DHALF_RESULT=0", half_result=False, has_bias=False),
        dense_case(2, (33, 48, 40), small, chunks, half_result=True, has_bias=True),
        dense_case(2, (70, 21, 104), flat, "-DHALF_RESULT=0", half_result=False, has_bias=True),
        dense_case(3, (40, 72, 90), small, span=64, has_sums=True),
        dense_case(3, (136, 24, 45), wide, chunks, span=64, has_sums=False),
        *of_tiles,
    ]


def network_product_cases() -> list[Case]:
    """Convolutions of both networks, one sample each, in builds that tensor_core_conv1d.cl names."""
    first = Convolution(1, 204, 8, 32, 7, 8, 48)
    dilated = Convolution(1, 204, 64, 32, 7, 4, 24)
    wide = Convolution(1, 51, 256, 512, 3, 1, 1)
    chunks, statistics = "-DRESULT_CHUNKS=1", "-DSTATISTICS=1"
    tall, square, small = Tile(128, 32, 4, 1), Tile(128, 128, 2, 4), Tile(64, 32, 2, 2)
    middle = Tile(128, 64, 2, 2)
    return [
        convolution_case(1, first, tall, chunks, is_special=True),
        convolution_case(1, dilated, tall, chunks, statistics, is_special=True),
        convolution_case(1, wide, middle, chunks, statistics, is_special=True),
        convolution_case(1, wide, square, chunks, is_special=True),
        convolution_case(2, dilated, middle, chunks, adds=True, is_special=True),
        convolution_case(2, wide, square, chunks, adds=False, is_special=True),
        convolution_case(3, dilated, small, chunks, span=128, unbiased=False, is_special=True),
        convolution_case(3, wide, square, chunks, span=64, unbiased=True, is_special=True),
    ]
