"""Self-tests of the OpenCL runs' bookkeeping: a verdict that is lost would pass for none."""

import pathlib
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS))

import opencl  # noqa: E402

OUTPUT = """device Oclgrind Simulator of Oclgrind, Oclgrind 21.10
pass relu 1, 1/1
miss dense 3 → 4, rows 1, 1/1: dense_forward: output: error 1.5, bound 0.1
none softmax 5, 1/1: Oclgrind Simulator cannot run softmax
done
"""

# Of Oclgrind 21.10.
LOG = """
Uninitialized value written to global memory address 0x8000000000210
\tKernel: relu_forward
\tEntity: Global(4,0,0) Local(4,0,0) Group(0,0,0)
\t  store float %cond, float addrspace(1)* %arrayidx9, align 4, !dbg !41
\tAt line 21 (column 27) of input.cl:
\t  if (i < count) AT(y)[i] = AT(x)[i];
\t

Uninitialized value written to global memory address 0x8000000000214
\tKernel: relu_forward
\tEntity: Global(5,0,0) Local(5,0,0) Group(0,0,0)
\t  store float %cond, float addrspace(1)* %arrayidx9, align 4, !dbg !41
\tAt line 21 (column 27) of input.cl:
\t  if (i < count) AT(y)[i] = AT(x)[i];
"""


class Verdicts(unittest.TestCase):
    def test_each_kind_is_read(self):
        verdicts = opencl.read_verdicts(OUTPUT)
        self.assertEqual(verdicts.cases, [
            ("relu 1, 1/1", None),
            ("dense 3 → 4, rows 1, 1/1", "dense_forward: output: error 1.5, bound 0.1")])
        self.assertEqual(
            verdicts.without_kernel,
            {"softmax 5, 1/1": "Oclgrind Simulator cannot run softmax"})
        self.assertTrue(verdicts.is_complete)

    def test_an_early_end_is_seen(self):
        self.assertFalse(opencl.read_verdicts(OUTPUT.replace("done\n", "")).is_complete)

    def test_findings_are_counted_by_kind_and_line(self):
        self.assertEqual(
            opencl.summary(LOG),
            "Uninitialized value written to global memory address 0x… | Kernel: relu_forward"
            " | if (i < count) AT(y)[i] = AT(x)[i]; (2 times)")
        self.assertEqual(opencl.summary(""), "")

    def test_a_fault_can_be_seeded_for_each_pass(self):
        for name in opencl.OCLGRIND_PASSES:
            with tempfile.TemporaryDirectory() as folder:
                opencl.seeded_kernels(name, pathlib.Path(folder))
                self.assertIn(
                    "seeded", (pathlib.Path(folder) / "elementwise.cl").read_text())
