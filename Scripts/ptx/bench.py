"""Compiles a kernel file for NVIDIA's GPUs, runs its kernels, compares what they leave."""

import dataclasses
import functools
import pathlib
import tempfile

import numpy as np

import check_kernels

from .copies import EARLY, LATE
from .execute import Launch, Program
from .memory import Fault, GlobalMemory
from .parse import Unknown, parse

# Elements before a tensor in its arena, none of which exists.
OFFSET = 24
ARCHITECTURE = "sm_80"


class Wrong(Exception):
    """A kernel left something other than expected; its text is for people."""


@functools.lru_cache(maxsize=None)
def programs(path: pathlib.Path, defines: tuple[str, ...]) -> dict[str, Program]:
    """The kernels of one build of a file, by their names."""
    source = check_kernels.read_source(path)
    with tempfile.TemporaryDirectory(prefix="semg-ptx-") as folder:
        text = check_kernels.nvidia_ptx(
            source, list(defines), ARCHITECTURE, pathlib.Path(folder)).read_text()
    return {name: Program(kernel) for name, kernel in parse(text).items()}


@dataclasses.dataclass(frozen=True)
class Mode:
    """What PTX leaves open: when copies arrive, and what a pointer to local memory is."""

    copies: str
    shared_is_generic: bool = False

    def __str__(self) -> str:
        return f"{self.copies} copies" + (", generic pointers" if self.shared_is_generic else "")


MODES = [Mode(LATE), Mode(EARLY, shared_is_generic=True)]


class Bench:
    """Memory with named tensors, and the kernels of a build that run on it."""

    def __init__(self, path: pathlib.Path, defines: list[str], mode: Mode) -> None:
        self.mode = mode
        self.programs = programs(path, tuple(defines))
        self.memory = GlobalMemory()
        self.apart: dict[str, set[int]] = {}
        self.demands_convergence = False

    def input(self, name: str, array: np.ndarray) -> list[int]:
        """Pointer and offset of a tensor that kernels only read."""
        return self.passed(self.memory.add(name, array), array.dtype)

    def output(
        self, name: str, shape: tuple[int, ...], dtype: type, element: type | None = None
    ) -> list[int]:
        """The same of one that they write; it holds nothing yet. `element` is what the kernel takes
        its elements for, where that is another type."""
        array = np.zeros(shape, dtype)
        address = self.memory.add(name, array, writable=True, defined=False)
        return self.passed(address, np.dtype(element or dtype))

    def nothing(self) -> list[int]:
        """A tensor that must not be touched."""
        return [0, 0]

    def passed(self, address: int, dtype: np.dtype) -> list[int]:
        return [address - OFFSET * dtype.itemsize, OFFSET]

    def run(
        self, name: str, groups: tuple[int, int, int], items: int, arguments: list[int | float]
    ) -> None:
        if name not in self.programs:
            raise Wrong(f"the build has no kernel {name}")
        apart = self.programs[name].run(
            Launch(groups, items, arguments, self.mode.copies, self.demands_convergence,
                   self.mode.shared_is_generic), self.memory)
        self.apart.setdefault(name, set()).update(apart)

    def expect(self, name: str, expected: np.ndarray, bound: float = 0.0) -> None:
        """Each element within `bound` of what is expected; NaN there is not compared."""
        if (missing := self.memory.undefined(name)) and not np.isnan(expected).any():
            raise Wrong(f"{name}: {missing} halves of it were never written")
        found = self.memory.array(name).astype(np.float64)
        error = np.abs(found - expected)
        error[np.isnan(expected)] = 0.0
        error[np.isnan(error)] = np.inf
        if not (error <= bound).all():
            place = np.unravel_index(int(np.argmax(error)), error.shape)
            raise Wrong(
                f"{name}{list(map(int, place))} is {found[place]:.7g}, not {expected[place]:.7g}"
                f" ({int((error > bound).sum())} of {error.size} are off by more than {bound:g})")


@dataclasses.dataclass
class Case:
    """`defines` say which build of the file; `check` runs its kernels, and raises what is wrong."""

    name: str
    file: str
    defines: list[str]
    check: object  # of a Bench

    def problem(self, kernels: pathlib.Path, mode: Mode, demands_convergence: bool) -> str | None:
        """What went wrong, if anything."""
        try:
            bench = Bench(kernels / self.file, self.defines, mode)
            bench.demands_convergence = demands_convergence
            self.check(bench)
        except (Wrong, Fault, Unknown, check_kernels.Problem) as problem:
            return f"{problem}"
        return None
