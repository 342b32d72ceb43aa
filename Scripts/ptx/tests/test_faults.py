"""What a kernel must not do is found out, and said where."""

import unittest
from unittest import mock

import numpy as np

from machine import of_lane, program, run
from ptx import execute
from ptx.copies import EARLY, LATE, Copies
from ptx.memory import Clock, Fault, GlobalMemory, Memory
from ptx.parse import Unknown

ZEROS = np.zeros(32, np.uint32)
# A thread's own word of shared memory is at %rd3, its neighbour's at %rd4, the last one's being 0.
OWN = """
    mov.u64 %rd1, tiles;
    mul.wide.u32 %rd2, %r0, 4;
    add.s64 %rd3, %rd1, %rd2;
    add.s32 %r1, %r0, 1;
    and.b32 %r1, %r1, 31;
    mul.wide.u32 %rd5, %r1, 4;
    add.s64 %rd4, %rd1, %rd5;
"""
# Each thread copies 16 bytes to its own place in the tiles, from an input.
COPY = """
    mov.u64 %rd1, tiles;
    cvt.u32.u64 %r2, %rd1;
    shl.b32 %r3, %r0, 4;
    add.s32 %r4, %r2, %r3;
    mul.wide.u32 %rd2, %r0, 16;
    add.s64 %rd3, %rd50, %rd2;
    add.s64 %rd4, %rd1, %rd2;
    xor.b32 %r6, %r3, 16;
    mul.wide.u32 %rd6, %r6, 1;
    add.s64 %rd5, %rd1, %rd6;
    mov.b32 %r5, 16;
"""
BEGIN = "cp.async.cg.shared.global [%r4], [%rd3], 16, %r5;\n"
COMMIT = "cp.async.commit_group;\n"
CHUNKS = np.arange(32 * 4, dtype=np.uint32).reshape(32, 4)


def leave(register: str) -> str:
    """Lines that leave a register in the last output, which is %rd51's."""
    return of_lane("%rd9", "%rd51", 4) + f"st.global.u32 [%rd9], {register};\n"


class MemoryTests(unittest.TestCase):
    def refused(self, what: str, body: str, *arguments, **settings) -> None:
        with self.assertRaisesRegex(Fault, what):
            run(body, *arguments, **settings)

    def test_shared_memory_has_an_end(self):
        body = OWN + "st.shared.u32 [%rd3], %r0;"
        run(body, shared=128)
        self.refused(
            r"k, line \d+ of the PTX, group 0, item 16: .*st.shared.*byte 64 are out of bounds",
            body, shared=64, groups=2)
        self.refused("out of bounds", OWN + "ld.shared.u32 %r2, [%rd3+-4];")

    def test_addresses_are_multiples_of_what_is_accessed(self):
        self.refused("item 0: .*multiple of 4", OWN + "st.shared.u32 [%rd3+2], %r0;")
        self.refused("item 1: .*multiple of 8", OWN + "st.shared.v2.u32 [%rd3], {%r0, %r0};")
        self.refused("multiple of 4", of_lane("%rd1", "%rd50", 4) + "ld.global.u32 %r1, [%rd1+2];",
                     [ZEROS])

    def test_shared_memory_holds_nothing_at_first(self):
        self.refused("nothing was written", OWN + "ld.shared.u32 %r2, [%rd3];")

    def test_global_memory_ends_with_its_buffer(self):
        load = of_lane("%rd1", "%rd50", 4) + "ld.global.u32 %r1, [%rd1{}];"
        run(load.format(""), [ZEROS])
        self.refused("item 31: .*out of bounds", load.format("+4"), [ZEROS])
        self.refused("item 0: .*out of bounds", load.format("+-4"), [ZEROS])

    def test_constant_memory_is_not_written(self):
        self.refused("it is constant", of_lane("%rd1", "%rd50", 4) + "st.global.u32 [%rd1], %r0;",
                     [ZEROS])

    def test_a_register_that_nobody_wrote_is_not_read(self):
        self.refused("never written", of_lane("%rd1", "%rd50", 4) + "st.global.u32 [%rd1], %r9;",
                     [], [ZEROS])

    # MARK: Races

    def test_a_neighbours_value_is_there_behind_a_barrier_alone(self):
        write, read = OWN + "st.shared.u32 [%rd3], %r0;\n", "ld.shared.u32 %r2, [%rd4];\n"
        for barrier in ("bar.sync 0;\n", "bar.warp.sync 0xffffffff;\n"):
            found, = run(write + barrier + read + leave("%r2"), [ZEROS], [ZEROS])[-1:]
            self.assertEqual(found.tolist(), [*range(1, 32), 0])
        self.refused("read with no barrier after another thread's write", write + read)
        run(write + read.replace("%rd4", "%rd3"))  # one's own

    def test_a_barrier_of_the_warp_is_none_for_another(self):
        body = OWN.replace("and.b32 %r1, %r1, 31", "and.b32 %r1, %r1, 63") \
            + "st.shared.u32 [%rd3], %r0;\n{}ld.shared.u32 %r2, [%rd4];"
        run(body.format("bar.sync 0;\n"), items=64)
        self.refused("item 31: .*no barrier", body.format("bar.warp.sync 0xffffffff;\n"), items=64)

    def test_a_value_stays_until_its_readers_have_met(self):
        body = OWN + """st.shared.u32 [%rd3], %r0;
            bar.sync 0;
            ld.shared.u32 %r2, [%rd4];
            {}
            st.shared.u32 [%rd3], %r2;"""
        run(body.format("bar.sync 0;"))
        self.refused("written with no barrier after another thread's read", body.format(""))

    def test_two_threads_may_write_the_same_and_nothing_else(self):
        body = OWN + "and.b32 %r3, %r0, {};\nst.shared.u32 [%rd1], %r3;"
        run(body.format(0))
        self.refused("two threads at once", body.format(1))

    def test_groups_do_not_see_what_others_write(self):
        body = """mov.u32 %r1, %ctaid.x;
            mul.wide.u32 %rd1, %r1, 4;
            add.s64 %rd2, %rd50, %rd1;
            st.global.u32 [%rd2], %r1;
            bar.sync 0;
            ld.global.u32 %r2, [%rd50{}];"""
        run(body.format(""), [], [ZEROS], groups=1)
        self.refused("group 1, .*read with no barrier", body.format(""), [], [ZEROS], groups=2)

    # MARK: Copies

    def test_copies_arrive_when_they_are_awaited(self):
        body = COPY + BEGIN + COMMIT + "cp.async.wait_group 0;\nld.shared.u32 %r7, [%rd4+4];\n" \
            + leave("%r7")
        for mode in (EARLY, LATE):
            found, = run(body, [CHUNKS], [ZEROS], copies=mode)
            self.assertEqual(found.tolist(), CHUNKS[:, 1].tolist())

    def test_a_copy_of_fewer_bytes_is_filled_with_zeros_and_reads_no_more(self):
        body = COPY + "mov.b32 %r5, {};\n" + BEGIN + COMMIT + """cp.async.wait_group 0;
            ld.shared.v2.u32 {{%r7, %r8}}, [%rd4];
            add.s32 %r7, %r7, %r8;
        """ + leave("%r7")
        for mode in (EARLY, LATE):
            self.assertEqual(run(body.format(4), [CHUNKS], [ZEROS], copies=mode)[0].tolist(),
                             CHUNKS[:, 0].tolist())
            outside = body.format(0).replace("[%rd3]", "[%rd3+65536]")
            self.assertEqual(run(outside, [CHUNKS], [ZEROS], copies=mode)[0].tolist(), [0] * 32)
        self.refused("copies 17 bytes", body.format(17), [CHUNKS], [ZEROS])

    def test_what_is_under_way_is_not_touched(self):
        for body in (
                COMMIT,  # nobody waits
                "cp.async.wait_group 0;\n",  # the group was never ended
                COMMIT + "cp.async.wait_group 1;\n"):  # one group may be under way
            for access in ("ld.shared.u32 %r7, [%rd4];", "st.shared.u32 [%rd4], %r0;"):
                for mode in (EARLY, LATE):
                    with self.subTest(body=body, access=access, mode=mode):
                        self.refused("while a copy is under way", COPY + BEGIN + body + access,
                                     [CHUNKS], [], copies=mode)

    def test_all_groups_but_the_latest_arrive(self):
        second = BEGIN.replace("[%r4]", "[%r8]") + COMMIT
        body = COPY + "add.s32 %r8, %r4, 512;\n" + BEGIN + COMMIT + second \
            + "cp.async.wait_group 1;\nld.shared.u32 %r7, [%rd4{}];\n"
        run(body.format(""), [CHUNKS])
        self.refused("under way", body.format("+512"), [CHUNKS])

    def test_others_see_a_copy_behind_a_barrier_alone(self):
        body = COPY + BEGIN + COMMIT + "cp.async.wait_group 0;\n{}ld.shared.u32 %r7, [%rd5];\n"
        run(body.format("bar.sync 0;\n"), [CHUNKS])
        self.refused("no barrier after another thread's write", body.format(""), [CHUNKS])

    def test_a_copy_overwrites_nothing_that_others_still_read(self):
        body = COPY + BEGIN + COMMIT + "cp.async.wait_group 0;\nbar.sync 0;\n" \
            "ld.shared.u32 %r7, [%rd5];\n{}add.s64 %rd3, %rd3, 512;\n" + BEGIN
        twice = np.concatenate([CHUNKS, CHUNKS + 1])
        run(body.format("bar.sync 0;\n"), [twice])
        self.refused("after another thread's read", body.format(""), [twice])

    def test_copies_lie_at_multiples_of_16_on_both_sides(self):
        self.refused("multiple of 16", COPY + BEGIN.replace("[%r4]", "[%r4+8]"), [CHUNKS])
        self.refused("multiple of 16", COPY + BEGIN.replace("[%rd3]", "[%rd3+8]"), [CHUNKS])

    def test_late_and_early_differ_until_the_wait(self):
        found = {}
        for mode in (EARLY, LATE):
            clock = Clock.of(1, 32)
            shared, memory = Memory("shared", 64, clock), Memory("global", 64, clock)
            shared.exists[:] = memory.exists[:] = memory.is_defined[:] = True
            memory.bytes[:] = 5
            copies = Copies(mode, 32, shared, memory)
            lane, place = np.array([0]), np.array([16])
            copies.begin(lane, place, np.array([32]), np.array([16]))
            copies.commit(lane)
            before = shared.bytes[16:32].tolist()
            copies.wait(lane, 0)
            self.assertEqual(shared.bytes[16:32].tolist(), [5] * 16)
            found[mode] = before
        self.assertEqual(found, {EARLY: [5] * 16, LATE: [0] * 16})


class ControlTests(unittest.TestCase):
    def refused(self, what: str, body: str, *arguments, **settings) -> None:
        with self.assertRaisesRegex(Fault, what):
            run(body, *arguments, **settings)

    MULTIPLY = ("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1, %f2, %f3, %f4},"
                " {%r0, %r0, %r0, %r0}, {%r0, %r0}, {0f00000000, 0f00000000, 0f00000000,"
                " 0f00000000};\n")
    BRANCH = "setp.lt.u32 %p1, %r0, {};\n@%p1 bra $L1;\nmov.b32 %r1, 1;\n"

    def test_threads_go_their_own_ways_and_meet(self):
        body = """
            mov.b32 %r1, 0;
            mov.b32 %r2, 0;
            $L1:
            setp.ge.u32 %p1, %r2, %r0;
            @%p1 bra $L2;
            add.s32 %r1, %r1, %r2;
            add.s32 %r2, %r2, 1;
            bra.uni $L1;
            $L2:
            and.b32 %r3, %r0, 1;
            setp.eq.s32 %p2, %r3, 0;
            @%p2 bra $L3;
            add.s32 %r1, %r1, 1000;
            $L3:
        """ + of_lane("%rd9", "%rd50", 4) + "st.global.u32 [%rd9], %r1;"
        found, = run(body, [], [np.zeros(64, np.uint32)], items=64)
        self.assertEqual(
            found.tolist(), [i * (i - 1) // 2 + (1000 if i % 2 else 0) for i in range(64)])

    def test_a_part_of_a_warp_does_not_multiply(self):
        self.refused("waits for all of its warp, of which 5 of 32 threads have left",
                     self.BRANCH.format(5) + self.MULTIPLY + "$L1:\n")

    def test_a_warp_by_itself_multiplies(self):
        run(self.BRANCH.format(32) + self.MULTIPLY + "$L1:\n", items=96)

    def test_what_went_apart_is_brought_together_before_the_warp_multiplies(self):
        apart = self.BRANCH.format(5) + "$L1:\n"
        run(apart + "bar.warp.sync 0xffffffff;\n" + self.MULTIPLY)
        run(apart + "bar.sync 0;\n" + self.MULTIPLY)
        self.refused("item 0: .*mma.*went apart", apart + self.MULTIPLY)

    def test_another_warp_is_not_apart(self):
        run(self.BRANCH.format(32) + "$L1:\n" + self.MULTIPLY, items=64)
        self.refused("item 32: .*went apart", self.BRANCH.format(40) + "$L1:\n" + self.MULTIPLY,
                     items=64)

    def test_all_of_a_group_meet_at_one_barrier(self):
        self.refused("bar.sync 0`: waits for all of its group, of which 32 of 64 threads have left",
                     self.BRANCH.format(32) + "bar.sync 0;\n$L1:\n", items=64)
        self.refused("bar.sync 0`: waits for all of its group, of which 32 of 64 threads are else",
                     self.BRANCH.format(32)
                     + "bar.sync 0;\nbra.uni $L2;\n$L1:\nbar.sync 0;\n$L2:\n", items=64)

    def test_groups_do_not_wait_for_each_other(self):
        body = """mov.u32 %r1, %ctaid.x;
            setp.eq.s32 %p1, %r1, 0;
            @%p1 bra $L1;
            bar.sync 0;
            $L1:
        """ + of_lane("%rd9", "%rd50", 4) + "st.global.u32 [%rd9], %r0;"
        run(body, [], [ZEROS], groups=2)

    def test_a_kernel_is_given_the_arguments_that_it_declares(self):
        with self.assertRaisesRegex(Unknown, "k takes 2 arguments, not 1"):
            program("", parameters=2).run(execute.Launch((1, 1, 1), 32, [1]), GlobalMemory())

    def test_a_loop_without_an_end_is_stopped(self):
        with mock.patch.object(execute, "MOST_BLOCKS", 50):
            self.refused("it hangs", "$L1:\nbra.uni $L1;\n")


if __name__ == "__main__":
    unittest.main()
