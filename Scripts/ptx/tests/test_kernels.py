"""The cases on kernels that were broken on purpose: each fault is found, and the right one."""

import pathlib
import shutil
import tempfile
import unittest

import numpy as np

import machine  # noqa: F401  finds the scripts
import check_kernels
import run_ptx
from ptx.bench import MODES, Bench, Wrong
from ptx.memory import Clock, GlobalMemory
from ptx.product_cases import product_cases

PROBE = "tensor_core_probe.cl"
CORE = "tensor_core.cl"


@unittest.skipIf(run_ptx.missing_tool(), run_ptx.missing_tool())
class BrokenKernelTests(unittest.TestCase):
    def found(self, file: str, before: str, after: str) -> list[str | None]:
        """What the probe's case finds, in each mode, where the first of a file's `before` is
        something else."""
        case = product_cases()[0]
        self.assertEqual(case.name, "probe")
        with tempfile.TemporaryDirectory() as name:
            kernels = pathlib.Path(name) / "kernels"
            shutil.copytree(check_kernels.KERNELS, kernels)
            text = (kernels / file).read_text()
            self.assertIn(before, text)
            (kernels / file).write_text(text.replace(before, after, 1))
            return [case.problem(kernels, mode) for mode in MODES]

    def problem(self, file: str, before: str, after: str) -> str:
        found = self.found(file, before, after)
        self.assertNotIn(None, found)
        return "\n".join(found)

    def test_the_kernel_as_it_is_passes(self):
        for mode in MODES:
            self.assertIsNone(product_cases()[0].problem(check_kernels.KERNELS, mode))

    def test_a_wrong_fragment(self):
        self.assertRegex(self.problem(CORE, '"r"(a[1])', '"r"(a[2])'), r"c\[\d+, \d+\] is .*, not")

    def test_matrices_that_are_not_turned(self):
        self.assertRegex(self.problem(PROBE, "load_matrices_turned", "load_matrices"),
                         r"c\[\d+, \d+\] is .*, not")

    def test_copies_that_nobody_awaits(self):
        self.assertIn("read while a copy is under way",
                      self.problem(PROBE, "AWAIT_COPIES(&warp, 0);", ""))

    def test_copies_that_are_awaited_too_early(self):
        self.assertIn("read while a copy is under way",
                      self.problem(PROBE, "AWAIT_COPIES(&warp, 0);", "AWAIT_COPIES(&warp, 1);"))

    def test_a_missing_barrier(self):
        self.assertIn("read with no barrier after another thread's write",
                      self.problem(PROBE, "barrier(CLK_LOCAL_MEM_FENCE);", ""))

    def test_a_place_beyond_the_tiles(self):
        self.assertIn("out of bounds", self.problem(PROBE, "512 + lane % 16 * 16, AT(b)",
                                                    "528 + lane % 16 * 16, AT(b)"))

    def test_a_place_between_two_chunks(self):
        self.assertIn("must lie at a multiple of 16", self.problem(
            PROBE, "load_matrices(&warp, lane * 16,", "load_matrices(&warp, lane * 16 + 8,"))

    def test_a_result_that_is_not_written(self):
        self.assertIn("were never written", self.problem(PROBE, "i < 2;", "i < 1;"))

    def test_a_pointer_that_is_taken_for_a_place(self):
        # What a GPU's compiler takes for a generic address must be made one of shared memory.
        as_place, as_generic = self.found(
            CORE, "selp.b64 address, address, %1,", "selp.b64 address, %1, %1,")
        self.assertIsNone(as_place)
        self.assertIn("out of bounds", as_generic)


class CaseTests(unittest.TestCase):
    def test_every_kernel_for_tensor_cores_has_a_case(self):
        sources = [check_kernels.read_source(path) for path in check_kernels.KERNELS.glob("*.cl")]
        files = {source.name: source.kernels for source in sources
                 if source.instructions and source.kernels}
        self.assertEqual({case.file for case in run_ptx.small_cases()}, set(files))
        folder = pathlib.Path(run_ptx.__file__).parent / "ptx"
        text = "".join((folder / name).read_text()
                       for name in ("product_cases.py", "attention_cases.py"))
        self.assertEqual([name for kernels in files.values() for name in kernels
                          if f'"{name}"' not in text], [])


class ExpectationTests(unittest.TestCase):
    def test_nan_is_not_what_was_expected(self):
        bench = Bench.__new__(Bench)
        bench.memory = GlobalMemory()
        bench.memory.add("c", np.array([1, np.nan], np.float32), writable=True)
        bench.memory.begin(Clock.of(1, 32))
        bench.expect("c", np.array([1, np.nan]))  # what need not be compared
        with self.assertRaisesRegex(Wrong, r"c\[1\] is nan, not 2"):
            bench.expect("c", np.array([1.0, 2.0]), 5)
        with self.assertRaisesRegex(Wrong, r"c\[0\] is 1, not 1.5 \(1 of 2"):
            bench.expect("c", np.array([1.5, np.nan]), 0.25)


if __name__ == "__main__":
    unittest.main()
