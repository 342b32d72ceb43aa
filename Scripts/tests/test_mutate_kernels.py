"""Self-tests of the kernels' mutation: a change that changes nothing would count as a survivor."""

import pathlib
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS))

import mutate_kernels  # noqa: E402

KERNEL = """// a < b + c[i] stays, being a comment
#include "common.cl"
#define HALF 0.5f
__kernel void k(__global float* y, const int count) {
  const int i = get_global_id(0);
  float sum = 0.0f;
  for (int j = 0; j < count; ++j) sum += y[j];
  barrier(CLK_LOCAL_MEM_FENCE);
  y[i] = sum;
}
"""


class Mutation(unittest.TestCase):
    def made(self) -> list[mutate_kernels.Mutant]:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "k.cl"
            path.write_text(KERNEL)
            return mutate_kernels.mutants(path)

    def test_each_kind_of_change_is_made(self):
        after = {(mutant.change, mutant.after) for mutant in self.made()}
        for expected in [
            ("other dimension", "const int i = get_global_id(1);"),
            ("< to <=", "for (int j = 0; j <= count; ++j) sum += y[j];"),
            ("+= to -=", "for (int j = 0; j < count; ++j) sum -= y[j];"),
            ("index plus one", "y[(i) + 1] = sum;"),
            ("index minus one", "y[(i) - 1] = sum;"),
            ("dropped statement", ";"),
            ("dropped barrier", ";"),
        ]:
            if expected[0] == "other dimension":  # the same text as a constant plus one
                self.assertTrue(any(text == expected[1] for _, text in after), expected)
            else:
                self.assertIn(expected, after)

    def test_every_mutant_differs_from_the_file_and_from_the_others(self):
        texts = [mutant.text for mutant in self.made()]
        self.assertEqual(len(set(texts)), len(texts))
        self.assertNotIn(KERNEL, texts)
        for text in texts:
            changed = [a for a, b in zip(text.split("\n"), KERNEL.split("\n")) if a != b]
            self.assertEqual(len(changed), 1)

    def test_room_to_spare_is_no_change(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "k.cl"
            path.write_text("  __local float kept[2 * ITEMS], rest[3];\n"
                            "  float top[2] = {0.0f, 0.0f}, half[SPAN / 8];\n")
            made = mutate_kernels.mutants(path)
        changes = [(mutant.line, mutant.change) for mutant in made]
        self.assertEqual(changes.count((1, "index minus one")), 2)
        self.assertEqual(changes.count((2, "index minus one")), 2)
        self.assertTrue(all(mutate_kernels.is_shorter_array(mutant) for mutant in made
                            if mutant.change == "index minus one"))
        self.assertNotIn((1, "constant plus one"), changes)
        # What divides a size makes it smaller.
        self.assertEqual(changes.count((2, "constant plus one")), 1)

    def test_comments_and_includes_are_left_alone(self):
        self.assertTrue(all(mutant.line > 2 for mutant in self.made()))

    def test_a_comment_makes_no_other_mutant(self):
        keys = [mutant.key for mutant in self.made()]
        self.assertEqual(len(set(keys)), len(keys))
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "k.cl"
            path.write_text("// more\n\n" + KERNEL.replace("= sum;", "= sum;  // the result"))
            self.assertEqual([mutant.key for mutant in mutate_kernels.mutants(path)], keys)

    def test_a_sample_is_always_the_same(self):
        made = self.made()
        first = mutate_kernels.sampled(made, 5)
        self.assertEqual([each.key for each in first],
                         [each.key for each in mutate_kernels.sampled(made[::-1], 5)])
        self.assertEqual(len(first), 5)

    def test_survivors_are_listed_with_their_lines(self):
        one, two, three = self.made()[:3]
        text = mutate_kernels.report(
            [(one, "caught: relu"), (two, "survives"), (three, "does not compile")])
        self.assertIn("1 of 2 caught (50.0 %)", text)
        self.assertIn(f"k.cl:{two.line}: {two.change}", text)
        self.assertNotIn(three.after, text.replace(two.after, ""))


