"""Each instruction against values made by hand."""

import unittest

import numpy as np

from machine import of_lane, run
from ptx.memory import Fault
from ptx.parse import Unknown

REGISTERS = {"s32": "%r", "u32": "%r", "b32": "%r", "f32": "%f", "s64": "%rd", "u64": "%rd",
             "b64": "%rd", "u16": "%rs", "s16": "%rs", "b16": "%rs", "f16": "%rs"}
STORED = {"s32": np.int32, "u32": np.uint32, "b32": np.uint32, "f32": np.float32, "s64": np.int64,
          "u64": np.uint64, "b64": np.uint64, "u16": np.uint16, "s16": np.int16, "b16": np.uint16,
          "f16": np.float16}
INF, NAN = float("inf"), float("nan")


def result(opcode: str, kinds: list[str], rows: list[tuple], to: str) -> np.ndarray:
    """What `opcode` makes of each row of operands, a row a thread."""
    columns = [np.array([row[i] for row in rows] + [rows[0][i]] * (32 - len(rows)), STORED[kind])
               for i, kind in enumerate(kinds)]
    body = ""
    names = []
    for index, kind in enumerate(kinds):
        name, bits = f"{REGISTERS[kind]}{index + 2}", 8 * np.dtype(STORED[kind]).itemsize
        move = "f32" if kind == "f32" else f"u{bits}"
        body += of_lane("%rd40", f"%rd{50 + index}", bits // 8)
        body += f"ld.global.{move} {name}, [%rd40];\n"
        names.append(name)
    bits = 8 * np.dtype(STORED[to]).itemsize
    body += f"{opcode} {REGISTERS[to]}1, {', '.join(names)};\n"
    body += of_lane("%rd40", f"%rd{50 + len(kinds)}", bits // 8)
    body += f"st.global.{'f32' if to == 'f32' else f'u{bits}'} [%rd40], {REGISTERS[to]}1;\n"
    return run(body, columns, [np.zeros(32, STORED[to])])[0][:len(rows)]


class InstructionTests(unittest.TestCase):
    def check(self, opcode: str, kinds: str, rows: list[tuple], expected: list, to: str) -> None:
        found = result(opcode, kinds.split(), rows, to)
        np.testing.assert_array_equal(found, np.array(expected, STORED[to]), err_msg=opcode)

    def test_sums_of_integers_wrap(self):
        self.check("add.s32", "s32 s32", [(2**31 - 1, 1), (-5, 3)], [-2**31, -2], "s32")
        self.check("sub.s32", "s32 s32", [(-2**31, 1), (2, 5)], [2**31 - 1, -3], "s32")
        self.check("add.s64", "s64 s64", [(2**62, 2**62)], [-2**63], "s64")
        self.check("neg.s32", "s32", [(5,), (-7,)], [-5, 7], "s32")

    def test_products_have_the_half_that_is_asked_for(self):
        self.check("mul.lo.s32", "s32 s32", [(2**20, 2**13), (-3, 5)], [0, -15], "s32")
        self.check("mul.hi.u32", "u32 u32", [(2**31, 6)], [3], "u32")
        self.check("mul.hi.s32", "s32 s32", [(-1, 1), (2**30, 8)], [-1, 2], "s32")
        self.check("mul.wide.s32", "s32 s32", [(-2**31, 2)], [-2**32], "s64")
        self.check("mul.wide.u32", "u32 u32", [(2**32 - 1, 2**32 - 1)], [(2**32 - 1)**2], "u64")
        self.check("mad.lo.s32", "s32 s32 s32", [(7, -3, 4)], [-17], "s32")
        self.check("mul.wide.u16", "u16 u16", [(65535, 512)], [65535 * 512], "u32")

    def test_high_halves_of_64_bits(self):
        pairs = [(2**63 + 12345, 2**63 - 7), (2**64 - 1, 2**64 - 1), (3, 4)]
        self.check("mul.hi.u64", "u64 u64", pairs, [a * b >> 64 for a, b in pairs], "u64")
        pairs = [(-2**63, 2**63 - 1), (-12345678901234567, 98765432109876543), (-1, -1)]
        self.check("mul.hi.s64", "s64 s64", pairs, [a * b >> 64 for a, b in pairs], "s64")

    def test_quotients_are_cut_towards_zero(self):
        self.check("div.s32", "s32 s32", [(-7, 2), (7, -2), (-8, 2)], [-3, -3, -4], "s32")
        self.check("rem.s32", "s32 s32", [(-7, 2), (7, -2)], [-1, 1], "s32")
        self.check("div.u32", "u32 u32", [(2**32 - 1, 2)], [2**31 - 1], "u32")
        self.check("rem.u32", "u32 u32", [(2**32 - 1, 10)], [5], "u32")

    def test_a_division_by_zero_is_a_fault(self):
        with self.assertRaisesRegex(Fault, "item 1: .*divides by zero"):
            result("div.s32", ["s32", "s32"], [(1, 1), (1, 0)], "s32")

    def test_shifts_beyond_the_width_leave_nothing_but_signs(self):
        self.check("shl.b32", "b32 u32", [(3, 31), (3, 32), (3, 99)], [2**31, 0, 0], "b32")
        self.check("shr.u32", "u32 u32", [(2**31, 31), (2**31, 32)], [1, 0], "u32")
        self.check("shr.s32", "s32 u32", [(-8, 1), (-8, 40), (8, 40)], [-4, -1, 0], "s32")
        self.check("shl.b64", "b64 u32", [(1, 63), (1, 64)], [2**63, 0], "b64")

    def test_bits(self):
        self.check("and.b32", "b32 b32", [(12, 10)], [8], "b32")
        self.check("or.b32", "b32 b32", [(12, 10)], [14], "b32")
        self.check("xor.b32", "b32 b32", [(12, 10)], [6], "b32")
        self.check("not.b32", "b32", [(0,)], [2**32 - 1], "b32")
        self.check("bfe.u32", "u32 u32 u32", [(0xABCD1234, 8, 8), (0xF0, 4, 0), (0xF0, 40, 4)],
                   [0x12, 0, 0], "u32")

    def test_floats_are_rounded_once(self):
        a = 1 + 2**-12  # its square is 1 + 2^-11 + 2^-24, of which a product drops the last
        self.check("fma.rn.f32", "f32 f32 f32", [(a, a, -(1 + 2**-11))], [2**-24], "f32")
        self.check("mul.rn.f32", "f32 f32", [(a, a)], [1 + 2**-11], "f32")
        self.check("div.rn.f32", "f32 f32", [(1, 3), (1, 0)], [np.float32(1) / np.float32(3), INF],
                   "f32")
        self.check("rcp.rn.f32", "f32", [(3,)], [np.float32(1) / np.float32(3)], "f32")

    def test_a_sum_just_below_the_middle_is_not_rounded_up(self):
        # 2^-70 below the middle between two floats: too little for a double to hold.
        a, b, c = 1 + 2**-23, 2**-24 * (1 - 2**-23), 1 + 2**-23
        self.assertEqual(np.float32(a * b + c), np.float32(1 + 2**-22))
        self.check("fma.rn.f32", "f32 f32 f32", [(a, b, c), (-a, b, -c)], [c, -c], "f32")
        self.check("fma.rn.f32", "f32 f32 f32", [(INF, 1, 1), (0, 5, -0.0)], [INF, 0], "f32")

    def test_the_larger_of_a_number_and_nan_is_the_number(self):
        self.check("max.f32", "f32 f32", [(NAN, 1), (2, NAN), (1, 3)], [1, 2, 3], "f32")
        self.check("min.s32", "s32 s32", [(-1, 1)], [-1], "s32")
        self.check("min.u32", "u32 u32", [(2**32 - 1, 1)], [1], "u32")

    def test_powers_of_two_flush_subnormals(self):
        self.check("ex2.approx.ftz.f32", "f32", [(3,), (-130,), (-INF,), (-126,)],
                   [8, 0, 0, 2**-126], "f32")

    def test_conversions(self):
        self.check("cvt.s64.s32", "s32", [(-2,)], [-2], "s64")
        self.check("cvt.u64.u32", "u32", [(2**32 - 2,)], [2**32 - 2], "u64")
        self.check("cvt.u32.u64", "u64", [(2**40 + 7,)], [7], "u32")
        self.check("cvt.u16.u32", "u32", [(65536 + 9,)], [9], "u16")
        self.check("cvt.rn.f32.s32", "s32", [(2**24 + 1,), (-3,)], [2**24, -3], "f32")
        self.check("cvt.f32.f16", "f16", [(1.5,), (2**-24,)], [1.5, 2**-24], "f32")
        self.check("cvt.rzi.s32.f32", "f32", [(-1.9,), (3e9,), (NAN,)], [-1, 2**31 - 1, 0], "s32")

    def test_a_pair_of_halves_has_its_second_operand_in_the_low_bits(self):
        found = result("cvt.rn.f16x2.f32", ["f32", "f32"],
                       [(1.0, -2.0), (70000.0, 1 + 2**-11), (0.0, 1 + 3 * 2**-11)], "b32")
        halves = found.view(np.float16).reshape(-1, 2)
        np.testing.assert_array_equal(halves, np.array(
            [[-2, 1], [1, INF], [1 + 2**-9, 0]], np.float16))

    def test_comparisons_with_nan_are_false_unless_they_are_unordered(self):
        for name, expected in [("lt", [1, 0, 0]), ("ltu", [1, 0, 1]), ("ne", [1, 1, 0]),
                               ("neu", [1, 1, 1]), ("ge", [0, 1, 0])]:
            body = of_lane("%rd1", "%rd50", 4) + of_lane("%rd2", "%rd51", 4) \
                + "ld.global.f32 %f1, [%rd1];\n" f"setp.{name}.f32 %p1, %f1, 0f40000000;\n" \
                "selp.b32 %r2, 1, 0, %p1;\nst.global.u32 [%rd2], %r2;\n"
            values = np.resize(np.array([1, 3, NAN], np.float32), 32)
            found, = run(body, [values], [np.zeros(32, np.uint32)])
            self.assertEqual(found[:3].tolist(), expected, name)

    def test_comparisons_of_whole_numbers_mind_their_sign(self):
        body = of_lane("%rd2", "%rd50", 4) + """
            mov.b32 %r1, -1;
            setp.lt.s32 %p1, %r1, 1;
            setp.lt.u32 %p2, %r1, 1;
            and.pred %p3, %p1, %p2;
            or.pred %p4, %p1, %p2;
            xor.pred %p5, %p1, %p4;
            not.pred %p6, %p5;
            selp.b32 %r2, 1, 0, %p3;
            selp.b32 %r3, 2, 0, %p4;
            selp.b32 %r4, 4, 0, %p6;
            or.b32 %r2, %r2, %r3;
            or.b32 %r2, %r2, %r4;
            st.global.u32 [%rd2], %r2;
        """
        self.assertEqual(run(body, [], [np.zeros(32, np.uint32)])[0].tolist(), [6] * 32)

    def test_vectors_of_registers_have_the_first_in_the_low_bits(self):
        body = of_lane("%rd2", "%rd50", 8) + """
            mov.b32 %r1, 0x00020001;
            mov.b32 {%rs1, %rs2}, %r1;
            mov.b32 %r2, {%rs2, %rs1};
            { .reg .b32 low; mov.b64 {low, %r3}, 21474836483; }
            st.global.v2.u32 [%rd2], {%r2, %r3};
        """
        found, = run(body, [], [np.zeros((32, 2), np.uint32)])
        self.assertEqual(found[0].tolist(), [0x00010002, 5])

    def test_a_scope_has_registers_of_its_own(self):
        body = of_lane("%rd2", "%rd50", 4) + """
            mov.b32 %r1, 1;
            {
            .reg .b32 %r1;
            mov.b32 %r1, 2;
            }
            st.global.u32 [%rd2], %r1;
        """
        self.assertEqual(run(body, [], [np.zeros(32, np.uint32)])[0].tolist(), [1] * 32)

    def test_a_predicate_keeps_an_instruction_from_the_others(self):
        body = of_lane("%rd2", "%rd50", 4) + """
            mov.b32 %r1, 7;
            setp.lt.u32 %p1, %r0, 2;
            @%p1 mov.b32 %r1, 1;
            @!%p1 add.s32 %r1, %r1, 1;
            st.global.u32 [%rd2], %r1;
        """
        found, = run(body, [], [np.zeros(32, np.uint32)])
        self.assertEqual(found.tolist(), [1, 1] + [8] * 30)

    def test_special_registers_say_where_a_thread_is(self):
        body = """
            mov.u32 %r1, %ctaid.x;
            mov.u32 %r2, %ntid.x;
            mov.u32 %r3, %nctaid.x;
            mad.lo.s32 %r4, %r1, %r2, %r0;
            mul.wide.u32 %rd1, %r4, 4;
            add.s64 %rd1, %rd1, %rd50;
            mad.lo.s32 %r5, %r3, 1000, %r4;
            st.global.u32 [%rd1], %r5;
        """
        found, = run(body, [], [np.zeros(192, np.uint32)], items=64, groups=3)
        self.assertEqual(found.tolist(), [3000 + i for i in range(192)])

    def test_what_it_has_not_been_taught_is_refused(self):
        for line in ("popc.b32 %r1, %r0;", "add.sat.s32 %r1, %r0, %r0;", "mov.b32 %r1, %clock;",
                     "cvt.rni.s32.f32 %r1, %f1;", "add.ftz.f32 %f1, %f1, %f1;",
                     "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%f1}, {%r1}, {%r1},"
                     " {%f1};"):
            with self.assertRaises(Unknown, msg=line):
                run(line)


if __name__ == "__main__":
    unittest.main()
