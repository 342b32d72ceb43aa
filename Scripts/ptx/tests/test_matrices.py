"""Fragments as the tables of PTX ISA lay them out, by the formulas that stand there."""

import unittest

import numpy as np

from machine import of_lane, run
from ptx.memory import Fault

GROUPS = [lane >> 2 for lane in range(32)]
IN_GROUP = [lane % 4 for lane in range(32)]


def a_place(lane: int, i: int) -> tuple[int, int]:
    row = GROUPS[lane] if 0 <= i < 2 or 4 <= i < 6 else GROUPS[lane] + 8
    column = IN_GROUP[lane] * 2 + (i & 1)
    return row, column if i < 4 else column + 8


def b_place(lane: int, i: int) -> tuple[int, int]:
    row = IN_GROUP[lane] * 2 + (i & 1)
    return row if i < 2 else row + 8, GROUPS[lane]


def c_place(lane: int, i: int) -> tuple[int, int]:
    return GROUPS[lane] if i < 2 else GROUPS[lane] + 8, IN_GROUP[lane] * 2 + (i & 1)


MULTIPLY = of_lane("%rd1", "%rd50", 16) + of_lane("%rd2", "%rd51", 8) \
    + of_lane("%rd3", "%rd52", 16) + of_lane("%rd4", "%rd53", 16) + """
    ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd1];
    ld.global.v2.u32 {%r5, %r6}, [%rd2];
    ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd3];
    mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32
"""
LOAD = """
    shl.b32 %r1, %r0, 5;
    mov.u64 %rd1, tiles;
    cvt.u32.u64 %r2, %rd1;
    add.s32 %r3, %r1, %r2;
    mul.wide.u32 %rd2, %r0, 32;
    add.s64 %rd3, %rd2, %rd50;
    add.s64 %rd4, %rd1, %rd2;
    ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%rd3];
    st.shared.v4.u32 [%rd4], {%r4, %r5, %r6, %r7};
    bar.sync 0;
"""


class MatrixTests(unittest.TestCase):
    def multiplied(self, registers: str) -> tuple[np.ndarray, np.ndarray]:
        """What is left as D, and what should be."""
        rng = np.random.default_rng(3)
        a, b = rng.integers(-9, 10, (16, 16)), rng.integers(-9, 10, (16, 8))
        c = rng.integers(-99, 100, (16, 8))
        fragments = [
            np.array([[matrix[place(lane, i)] for i in range(count)] for lane in range(32)], kind)
            for matrix, place, count, kind in [
                (a, a_place, 8, np.float16), (b, b_place, 4, np.float16),
                (c, c_place, 4, np.float32)]]
        body = MULTIPLY.rstrip() + f" {registers};\n" \
            "st.global.v4.f32 [%rd4], {%f5, %f6, %f7, %f8};"
        found, = run(body, fragments, [np.zeros((32, 4), np.float32)])
        whole = np.full((16, 8), np.nan)
        for lane in range(32):
            for i in range(4):
                whole[c_place(lane, i)] = found[lane, i]
        return whole, a @ b + c

    def test_a_product_is_that_of_the_matrices(self):
        found, expected = self.multiplied(
            "{%f5, %f6, %f7, %f8}, {%r1, %r2, %r3, %r4}, {%r5, %r6}, {%f1, %f2, %f3, %f4}")
        np.testing.assert_array_equal(found, expected)

    def test_fragments_in_another_order_make_another_product(self):
        for registers in (
                "{%f5, %f6, %f7, %f8}, {%r2, %r1, %r3, %r4}, {%r5, %r6}, {%f1, %f2, %f3, %f4}",
                "{%f5, %f6, %f7, %f8}, {%r1, %r3, %r2, %r4}, {%r5, %r6}, {%f1, %f2, %f3, %f4}",
                "{%f5, %f6, %f7, %f8}, {%r1, %r2, %r3, %r4}, {%r6, %r5}, {%f1, %f2, %f3, %f4}",
                "{%f6, %f5, %f7, %f8}, {%r1, %r2, %r3, %r4}, {%r5, %r6}, {%f1, %f2, %f3, %f4}",
                "{%f5, %f6, %f7, %f8}, {%r1, %r2, %r3, %r4}, {%r5, %r6}, {%f1, %f2, %f4, %f3}"):
            found, expected = self.multiplied(registers)
            self.assertGreater(int((found != expected).sum()), 50, registers)

    def loaded(self, count: int, turned: bool) -> tuple[np.ndarray, np.ndarray]:
        """Registers [32, count, 2] of `count` matrices; row i of them all is at place i."""
        rows = np.arange(32 * 8, dtype=np.uint16).reshape(32, 8) + 1000
        padded = np.zeros((32, 16), np.uint16)
        padded[:, :8] = rows
        names = [f"%r{10 + i}" for i in range(count)]
        trans = ".trans" if turned else ""
        body = LOAD + of_lane("%rd5", "%rd51", 4 * count) \
            + f"ldmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16 {{{', '.join(names)}}}," \
            " [%r3];\n" + "".join(
                f"st.global.u32 [%rd5+{4 * i}], {name};\n" for i, name in enumerate(names))
        found, = run(body, [padded], [np.zeros((32, count, 2), np.uint16)])
        return found, rows.reshape(4, 8, 8)[:count]

    def test_a_thread_has_two_neighbours_of_a_row_of_each_matrix(self):
        for count in (1, 2, 4):
            found, matrices = self.loaded(count, turned=False)
            for lane in range(32):
                for j in range(count):
                    first = 2 * (lane % 4)
                    self.assertEqual(found[lane, j].tolist(),
                                     matrices[j][lane // 4, first:first + 2].tolist(), (lane, j))

    def test_a_thread_has_two_neighbours_of_a_column_of_each_turned_matrix(self):
        for count in (2, 4):
            found, matrices = self.loaded(count, turned=True)
            for lane in range(32):
                for j in range(count):
                    first = 2 * (lane % 4)
                    self.assertEqual(found[lane, j].tolist(),
                                     matrices[j][first:first + 2, lane // 4].tolist(), (lane, j))

    def test_rows_must_begin_at_a_multiple_of_16_within_the_tiles(self):
        load = "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r10, %r11, %r12, %r13}, [%r3+"
        with self.assertRaisesRegex(Fault, "must lie at a multiple of 16"):
            run(LOAD + load + "2];", [np.zeros((32, 16), np.uint16)])
        with self.assertRaisesRegex(Fault, "item 31: .*out of bounds"):
            run(LOAD + load + "32];", [np.zeros((32, 16), np.uint16)], shared=1024)
        with self.assertRaisesRegex(Fault, "nothing was written there"):
            run(LOAD + load + "16];", [np.zeros((32, 16), np.uint16)])


if __name__ == "__main__":
    unittest.main()
