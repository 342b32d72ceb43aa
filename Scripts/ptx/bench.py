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
        self.programs[name].run(
            Launch(groups, items, arguments, self.mode.copies,
                   shared_is_generic=self.mode.shared_is_generic), self.memory)

    def expect(
        self, name: str, expected: np.ndarray, bound: float | np.ndarray = 0.0
    ) -> None:
        """Each element within `bound` of what is expected; what is NaN there may be anything, or
        nothing."""
        matters = ~np.isnan(expected)
        missing = self.memory.undefined(name) & matters
        if missing.any():
            raise Wrong(
                f"{name}: {int(missing.sum())} of {missing.size} elements were never written")
        found = self.memory.array(name).astype(np.float64)
        error = np.where(matters, np.abs(found - expected), 0.0)
        error[np.isnan(error)] = np.inf
        wrong = error > bound
        if wrong.any():
            place = np.unravel_index(int(np.argmax(error * wrong)), error.shape)
            raise Wrong(
                f"{name}{list(map(int, place))} is {found[place]:.7g}, not {expected[place]:.7g}"
                f" ({int(wrong.sum())} of {error.size} are off by more than {np.max(bound):g})")

    def expect_bits(self, name: str, expected: np.ndarray, known: np.ndarray) -> None:
        """Each bit as expected, of those that are set in `known`."""
        wrong = (self.memory.array(name) ^ expected) & known
        if self.memory.undefined(name).any() or wrong.any():
            raise Wrong(f"{name}: {int(np.bitwise_count(wrong).sum())} bits are wrong")


@dataclasses.dataclass
class Case:
    """`defines` say which build of the file; `check` runs its kernels, and raises what is wrong."""

    name: str
    file: str
    defines: list[str]
    check: object  # of a Bench

    def problem(self, kernels: pathlib.Path, mode: Mode) -> str | None:
        """What went wrong, if anything."""
        try:
            self.check(Bench(kernels / self.file, self.defines, mode))
        except (Wrong, Fault, Unknown, check_kernels.Problem) as problem:
            return f"{problem}"
        return None
