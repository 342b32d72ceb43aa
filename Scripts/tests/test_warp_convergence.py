"""Self-tests of the search for lanes that come apart: one that finds nothing would always pass."""

import pathlib
import sys
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS))

import warp_convergence  # noqa: E402

ALIGNED = "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1, %f2}, {%r8}, {%r9}, {%f1, %f2};"


def kernel(*lines: str) -> str:
    return ".visible .entry k(\n\t.param .u64 k_param_0\n)\n{\n" + "\n".join(lines) + "\nret;\n}\n"


def branch_on(*predicate: str, between: tuple[str, ...] = ()) -> str:
    """A branch around an addition, and then an instruction of the warp."""
    return kernel(
        "mov.u32 %r1, %tid.x;", *predicate, "@%p1 bra $L__BB0_2;", "add.s32 %r5, %r5, 1;",
        "$L__BB0_2:", *between, ALIGNED)


class Convergence(unittest.TestCase):
    def finds(self, ptx: str) -> bool:
        return bool(warp_convergence.problems(ptx))

    def test_lanes_that_went_different_ways_are_found(self):
        for predicate in [
            ["setp.eq.s32 %p1, %r1, 0;"],
            ["and.b32 %r2, %r1, 48;", "setp.ne.s32 %p1, %r2, 0;"],
            ["shr.u32 %r2, %r1, 4;", "setp.lt.u32 %p1, %r2, 1;"],
            ["setp.lt.u32 %p1, %r1, 48;"],
            ["add.s32 %r2, %r1, 8;", "and.b32 %r3, %r2, 96;", "setp.ne.s32 %p1, %r3, 0;"],
            ["ld.shared.u32 %r2, [%r7];", "setp.eq.s32 %p1, %r2, 0;"],
            ["mul.wide.u32 %rd1, %r1, 4;", "ld.global.u32 %r2, [%rd1];",
             "setp.eq.s32 %p1, %r2, 0;"],
        ]:
            self.assertTrue(self.finds(branch_on(*predicate)), predicate)

    def test_what_a_warp_does_as_one_is_no_fault(self):
        for predicate in [
            ["mov.u32 %r2, %ctaid.x;", "setp.eq.s32 %p1, %r2, 0;"],
            ["shr.u32 %r2, %r1, 5;", "setp.lt.u32 %p1, %r2, 2;"],
            ["and.b32 %r2, %r1, 96;", "setp.ne.s32 %p1, %r2, 0;"],
            ["shr.u32 %r2, %r1, 1;", "and.b32 %r3, %r2, 2147483632;", "setp.lt.s32 %p1, %r3, 9;"],
            ["setp.lt.u32 %p1, %r1, 64;"], ["setp.gt.u32 %p1, %r1, 63;"],
            ["ld.param.u32 %r2, [k_param_0];", "setp.eq.s32 %p1, %r2, 0;"],
        ]:
            self.assertFalse(self.finds(branch_on(*predicate)), predicate)

    def test_lanes_that_are_brought_together_are_no_fault(self):
        for way in ["bar.warp.sync 0xffffffff;", "bar.sync 0;"]:
            self.assertFalse(self.finds(branch_on("setp.eq.s32 %p1, %r1, 0;", between=(way,))))

    def test_values_that_depend_on_the_way_a_lane_took_differ(self):
        ptx = branch_on(
            "setp.eq.s32 %p1, %r1, 0;",
            between=("bar.warp.sync 0xffffffff;", "setp.eq.s32 %p2, %r5, 0;",
                     "@%p2 bra $L__BB0_3;", "add.s32 %r6, %r6, 1;", "$L__BB0_3:"))
        self.assertTrue(self.finds(ptx))

    def test_a_loop_comes_back_to_its_beginning(self):
        def loop(end: str) -> str:
            return kernel(
                "mov.u32 %r1, %tid.x;", "$L__BB0_1:", ALIGNED, "setp.eq.s32 %p1, %r1, 0;",
                "@%p1 bra $L__BB0_2;", "add.s32 %r5, %r5, 1;", "$L__BB0_2:", end,
                "setp.lt.s32 %p2, %r10, 7;", "@%p2 bra $L__BB0_1;")
        self.assertTrue(self.finds(loop("add.s32 %r10, %r10, 1;")))
        self.assertFalse(self.finds(loop("bar.warp.sync 0xffffffff;")))


if __name__ == "__main__":
    unittest.main()
