"""The launches of the tensor-core kernels at the networks' shapes: what each is given, and by NumPy
what it must leave.

launches.txt has them, a line each; one that makes the products of several convolutions names their
shapes, `of=TIMExINPUTSxOUTPUTSxTAPSxDILATIONxLEFT,…`. An argument is found by its name in the kernel's declaration, so
that a kernel whose arguments have changed order still gets its own, and one that asks for something
unknown is refused. Results are computed in double precision from the same halves; the bound of each
element grows with the sum of its products' absolute values.
"""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

import attention_launches

BATCH = 128
FILES = {"conv1d": "tensor_core_conv1d", "matrix": "tensor_core_dense",
         "attention": "tensor_core_attention"}
PARTS = {"conv1d_forward": 1, "conv1d_backward_input": 2, "conv1d_backward_weights": 3,
         "matrix_columns_product": 3}
SHAPE = ("TIME", "INPUTS", "OUTPUTS", "TAPS", "DILATION", "LEFT")


class LaunchError(Exception):
    """A launch that cannot be described or made; its text is for people."""


@dataclasses.dataclass
class Output:
    """What an argument must hold afterwards, and by how much each element may differ."""

    name: str
    expected: np.ndarray
    bound: np.ndarray


@dataclasses.dataclass
class Case:
    """A launch with its arguments: arrays by the name of their tensor, scalars by their own.
    `views` are tensors within another's array: its name and the element at which they begin."""

    arrays: dict[str, np.ndarray]
    scalars: dict[str, int | float]
    grid: tuple[int, int, int]
    outputs: Callable[[], list[Output]]
    views: dict[str, tuple[str, int]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Launch:
    kernel: str
    sizes: dict[str, int]
    rate: float = 0.0
    shapes: list[dict[str, int]] = dataclasses.field(default_factory=list)

    @classmethod
    def of_entry(cls, entry: dict) -> "Launch":
        """Of a manifest's entry."""
        return cls(entry["kernel"], entry["sizes"], entry["rate"], entry["shapes"])

    @property
    def text(self) -> str:
        words = [f"{key}={value}" for key, value in self.sizes.items()]
        words += [f"rate={self.rate}"] if self.rate else []
        shapes = ["x".join(str(shape[name]) for name in SHAPE) for shape in self.shapes]
        return " ".join([self.kernel, *words, *(["of=" + ",".join(shapes)] if shapes else [])])

    @property
    def file(self) -> str:
        return FILES[self.kernel.partition("_")[0]]

    @property
    def items(self) -> int:
        """Work items of a group."""
        if self.file == "tensor_core_attention":
            return 128
        return 32 * self.sizes["WARPS_DOWN"] * self.sizes["WARPS_ACROSS"]

    @property
    def defines(self) -> list[str]:
        """As the program builds it for one shape."""
        sizes = {key: value for key, value in self.sizes.items()
                 if key.isupper() and key not in ("ROWS", "COLUMNS")}
        if self.file == "tensor_core_dense":
            del sizes["TIME"]
        if part := PARTS.get(self.kernel):
            sizes |= {"PART": part, "RESULT_CHUNKS": 1, "HALF_RESULT": 1}
        return [f"-D{key}={value}" for key, value in sizes.items()]

    def operations(self, batch: int) -> int:
        """Floating-point operations of its products."""
        s = self.sizes
        if self.file == "tensor_core_conv1d":
            return sum(2 * batch * each["TIME"] * each["TAPS"] * each["INPUTS"] * each["OUTPUTS"]
                       for each in self.shapes or [s])
        if self.file == "tensor_core_dense":
            return 2 * batch * s["TIME"] * s["ROWS"] * s["COLUMNS"]
        query = 2 * batch * s["HEADS"] * s["TIME"] * s["CHANNELS"] ** 2
        scores = 2 * batch * s["HEADS"] * s["TIME"] ** 2 * s["CHANNELS"]
        return {"attention_short_rows": query + scores, "attention_short_mean": scores,
                "attention_short_input_backward": query + 4 * scores}[self.kernel]

    def case(self, batch: int) -> Case:
        made = {"conv1d_forward": forward, "conv1d_backward_input": backward_input,
                "matrix_columns_product": columns_product}
        if self.kernel in made:
            return Case(*made[self.kernel](self.sizes, batch))
        if self.kernel == "conv1d_backward_weights":
            return Case(*backward_weights(self.sizes, self.shapes, batch))
        if self.file == "tensor_core_attention":
            return Case(*attention_launches.case(self.kernel, self.sizes, self.rate, batch, Output))
        raise LaunchError(f"{self.kernel}: nobody here knows what it computes")


def read(path: pathlib.Path) -> list[Launch]:
    launches = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        kernel, *words = line.split(" ")
        values = dict(word.partition("=")[::2] for word in words)
        rate, listed = float(values.pop("rate", "0")), values.pop("of", "")
        try:
            shapes = [dict(zip(SHAPE, map(int, shape.split("x")), strict=True))
                      for shape in listed.split(",") if shape]
            sizes = {key: int(value) for key, value in values.items()}
            launch = Launch(kernel, sizes, rate, shapes)
            assert launch.file
        except (ValueError, KeyError) as error:
            raise LaunchError(f"{path}:{number}: expected `kernel NAME=NUMBER …`: {error}") from None
        launches.append(launch)
    return launches


# --- values ------------------------------------------------------------------------------------


def halves(*shape: int, scale: float = 1.0, seed: int = 1) -> np.ndarray:
    generator = np.random.default_rng([seed, *shape])
    return (scale * generator.standard_normal(shape)).astype(np.float16)


def floats(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def empty(*shape: int, kind=np.float16) -> np.ndarray:
    """What nobody wrote: no number that could pass for a result."""
    return np.full(shape, np.nan if kind != np.uint32 else 0xDEADBEEF, kind)


def up(a: int, b: int) -> int:
    return -(-a // b)


def rounded(values: np.ndarray, magnitude: np.ndarray, depth: int) -> np.ndarray:
    """Bound of halves: their own rounding, and that of sums of `depth` products."""
    return 2.0**-10 * np.abs(values) + 2.0**-24 + summed(magnitude, depth)


def summed(magnitude: np.ndarray, depth: int) -> np.ndarray:
    """Bound of sums in single precision, sixteen products at a time, which tensor cores cut off
    rather than round."""
    return (depth / 16 + 8) * 2.0**-22 * magnitude + 1e-30


# --- convolutions ------------------------------------------------------------------------------


def taps(x: np.ndarray, count: int, step: int, origin: int) -> np.ndarray:
    """[B·T, count·C] of [B, T, C]: row t has, for each tap, row t + tap·step + origin, or zeros."""
    batch, time, channels = x.shape
    out = np.zeros((batch, time, count, channels))
    for tap in range(count):
        shift = tap * step + origin
        first, last = max(0, -shift), min(time, time - shift)
        if first < last:
            out[:, first:last, tap] = x[:, first + shift : last + shift]
    return out.reshape(batch * time, count * channels)


def wide(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64)


def conv_scalars(s: dict, batch: int) -> dict:
    return {"rows": batch * s["TIME"], "time_": s["TIME"], "inputs_": s["INPUTS"],
            "outputs_": s["OUTPUTS"], "taps_": s["TAPS"], "dilation_": s["DILATION"],
            "left_": s["LEFT"]}


def grid(s: dict, rows: int, columns: int, parts: int = 1) -> tuple[int, int, int]:
    return up(rows, s["TILE_ROWS"]), up(columns, s["TILE_COLUMNS"]), parts


def forward(s: dict, batch: int):
    rows, outputs, depth = batch * s["TIME"], s["OUTPUTS"], s["TAPS"] * s["INPUTS"]
    arrays = {
        "input": halves(batch, s["TIME"], s["INPUTS"]),
        "weights": halves(depth, outputs, scale=depth**-0.5, seed=2),
        "bias": floats(outputs), "output": empty(rows, outputs)}
    tiles = up(rows, s["TILE_ROWS"])
    if s.get("STATISTICS"):
        arrays["statistics"] = empty(tiles, 2, outputs, kind=np.float32)

    def results() -> list[Output]:
        columns = taps(wide(arrays["input"]), s["TAPS"], s["DILATION"], -s["LEFT"])
        weights = wide(arrays["weights"])
        product, magnitude = columns @ weights, np.abs(columns) @ np.abs(weights)
        result = product + arrays["bias"]
        found = [Output("output", result, rounded(result, magnitude, depth))]
        if s.get("STATISTICS"):
            bound = summed(magnitude, depth)
            found.append(statistics(product, bound, s["TILE_ROWS"]))
        return found

    return arrays, conv_scalars(s, batch), grid(s, rows, outputs), results


def statistics(values: np.ndarray, bound: np.ndarray, chunk: int) -> Output:
    """[chunks, 2, C]: mean, and squares about it, of every `chunk` rows."""
    expected, bounds = [], []
    for first in range(0, len(values), chunk):
        part, error = values[first : first + chunk], bound[first : first + chunk].max(0)
        mean, squares = part.mean(0), (part**2).sum(0)
        expected.append([mean, ((part - mean) ** 2).sum(0)])
        bounds.append([error + 2.0**-20 * np.abs(part).mean(0),
                       2 * error * np.abs(part).sum(0) + 2.0**-18 * squares])
    return Output("statistics", np.array(expected), np.array(bounds))


def backward_input(s: dict, batch: int):
    rows, inputs, depth = batch * s["TIME"], s["INPUTS"], s["TAPS"] * s["OUTPUTS"]
    arrays = {
        "output_gradient": halves(batch, s["TIME"], s["OUTPUTS"]),
        "weights": halves(s["TAPS"], inputs, s["OUTPUTS"], scale=depth**-0.5, seed=2),
        "addend": halves(rows, inputs, seed=3), "input_gradient": empty(rows, inputs)}

    def results() -> list[Output]:
        columns = taps(wide(arrays["output_gradient"]), s["TAPS"], -s["DILATION"], s["LEFT"])
        weights = wide(arrays["weights"]).transpose(0, 2, 1).reshape(depth, inputs)
        result = columns @ weights + wide(arrays["addend"])
        magnitude = np.abs(columns) @ np.abs(weights)
        return [Output("input_gradient", result, rounded(result, magnitude, depth))]

    return arrays, {**conv_scalars(s, batch), "adds": 1}, grid(s, rows, inputs), results


def backward_weights(s: dict, shapes: list[dict], batch: int):
    """The products of several convolutions, their factors and parts one behind the other."""
    inputs, gradients, table, groups, start = [], [], [], 0, 0
    for place, shape in enumerate(shapes):
        rows, columns, depth = shape["TAPS"] * shape["INPUTS"], shape["OUTPUTS"], (
            batch * shape["TIME"])
        first = [sum(array.size for array in arrays) // 8 for arrays in (inputs, gradients)]
        # The first one's bias has no gradient, as before a batch normalization.
        table += [groups, *first, start, 1 if place == 0 else 0, shape["TIME"], shape["INPUTS"],
                  columns, shape["TAPS"], shape["DILATION"], shape["LEFT"]]
        inputs.append(halves(batch, shape["TIME"], shape["INPUTS"], seed=place))
        gradients.append(halves(depth, columns, seed=100 + place))
        parts = up(depth, s["span"])
        groups += up(rows, s["TILE_ROWS"]) * up(columns, s["TILE_COLUMNS"]) * parts
        start += parts * (rows + 1) * columns
    arrays = {
        "inputs": np.concatenate([array.ravel() for array in inputs]),
        "output_gradients": np.concatenate([array.ravel() for array in gradients]),
        "parts": empty(start, kind=np.float32), "table": np.array(table, np.int32)}

    def results() -> list[Output]:
        found = []
        for place, shape in enumerate(shapes):
            left = taps(wide(inputs[place]), shape["TAPS"], shape["DILATION"], -shape["LEFT"])
            found.append(split("parts", left, wide(gradients[place]), s["span"]))
            if place == 0:
                found[0].expected[:, -1] = 0
        return [Output("parts", np.concatenate([each.expected.ravel() for each in found]),
                       np.concatenate([each.bound.ravel() for each in found]))]

    scalars = {"entries": len(shapes), "span": s["span"], "live": batch}
    return arrays, scalars, (groups, 1, 1), results


def split(name: str, left: np.ndarray, right: np.ndarray, span: int) -> Output:
    """[parts, rows + 1, columns]: leftᵀ·right over `span` rows each, and the sums of right."""
    expected, bounds = [], []
    for first in range(0, len(right), span):
        a, b = left[first : first + span], right[first : first + span]
        expected.append(np.concatenate([a.T @ b, b.sum(0)[None]]))
        magnitude = np.concatenate([np.abs(a).T @ np.abs(b), np.abs(b).sum(0)[None]])
        bounds.append(summed(magnitude, span))
    return Output(name, np.array(expected), np.array(bounds))


def columns_product(s: dict, batch: int):
    rows, columns, depth = s["ROWS"], s["COLUMNS"], batch * s["TIME"]
    parts = up(depth, s["span"])
    arrays = {"a": halves(depth, rows), "b": halves(depth, columns, seed=2),
              "c": empty(parts, rows + 1, columns, kind=np.float32)}

    def results() -> list[Output]:
        return [split("c", wide(arrays["a"]), wide(arrays["b"]), s["span"])]

    scalars = {"a_stride": rows, "b_stride": columns, "c_stride": columns, "scale": 1.0,
               "rows": rows, "columns": columns, "depth": depth, "has_sums": 1,
               "span": s["span"], "part": (rows + 1) * columns}
    return (arrays, scalars, grid(s, rows, columns, parts), results,
            {"sums": ("c", rows * columns)})


# --- arguments ---------------------------------------------------------------------------------


def bind(parameters: list[list[str]], case: Case) -> list[tuple[str, object]]:
    """(kind, value) in the kernel's order: "array" with the name of one, or "int", "uint", "float",
    "ulong".

    - Parameter parameters: (type, name); a pointer's type is "pointer".
    """
    bound: list[tuple[str, object]] = []
    for kind, name in parameters:
        tensor, _, end = name.rpartition("_")
        place = case.views.get(tensor, (tensor, 0))
        if kind == "pointer" and end == "arena" and place[0] in case.arrays:
            bound.append(("array", place[0]))
        elif kind == "pointer" and name in case.arrays:
            bound.append(("array", name))
        elif kind == "ulong" and end == "at" and place[0] in case.arrays:
            bound.append(("ulong", place[1]))
        elif kind in ("int", "uint", "float", "ulong") and name in case.scalars:
            bound.append((kind, case.scalars[name]))
        else:
            raise LaunchError(f"the kernel asks for `{kind} {name}`, which nobody here gives it")
    return bound


def judge(output: Output, found: np.ndarray) -> dict:
    """{"name", "error": the largest difference over its bound, "pass", "where"}."""
    found = found.reshape(output.expected.shape)
    if output.expected.dtype.kind == "u":
        wrong = np.argwhere(found != output.expected)
        return {"name": output.name, "error": float(len(wrong)), "pass": not len(wrong),
                "where": wrong[0].tolist() if len(wrong) else None}
    difference = np.abs(found.astype(np.float64) - output.expected)
    ratio = np.where(np.isfinite(difference), difference / output.bound, np.inf)
    worst = np.unravel_index(int(ratio.argmax()), ratio.shape)
    return {"name": output.name, "error": float(ratio[worst]), "pass": bool(ratio[worst] <= 1),
            "where": [int(i) for i in worst], "found": float(found[worst]),
            "expected": float(output.expected[worst])}
