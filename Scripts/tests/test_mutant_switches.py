"""Self-tests of the switches: with a mutant's number on, a line computes what the mutant's would."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS))

import kernel_mutants  # noqa: E402
import mutant_switches  # noqa: E402

# Whole numbers alone, so that C computes the same; every change but a dropped barrier has a place.
BODY = """
  int i = get_global_id(0);
  int sum = 7, other = 3;
  const int n = x[i] * 3 + y[2 * i + 1], m = n - x[1] / 2;
  for (int j = 0; j < 5; j += 2) sum += x[j] * y[j + 1] - (j >= 3 ? n : m);
  if (n > m && x[2] <= 4 || sum == 12) other = sum * 2 + m;
  sum -= other / 3 * 2;
  if (other != 4) sum += n;
  sum += n > other ? x[4] + m : 1;
  y[3] = sum;
  return sum * 5 + other + y[3];
"""
HEAD = """
#define get_global_id(d) (d)
"""
MAIN = """
int main(void) {
  long result = 0;
  for (int seed = 1; seed < 40; ++seed) {
    int memory[64];
    for (int k = 0; k < 64; ++k) memory[k] = (seed * 37 + k * k * 11) % 17 - 5;
    result = result * 31 + f(memory + 8, memory + 32);
    for (int k = 0; k < 64; ++k) result = result * 7 + memory[k];
  }
  printf("%ld\\n", result);
  return 0;
}
"""


def program(body: str) -> str:
    return f"int f(int *x, int *y) {{{body}}}\n"


def printed(source: str, folder: pathlib.Path, *defines: str) -> str:
    """What a C program prints, or how it ended."""
    file, built = folder / "program.c", folder / "program"
    file.write_text(f"#include <stdio.h>\n{HEAD}{source}{MAIN}")
    subprocess.run(
        ["clang-19", "-O0", "-fwrapv", "-w", *defines, str(file), "-o", str(built)], check=True)
    result = subprocess.run([str(built)], stdout=subprocess.PIPE, text=True, timeout=20)
    return result.stdout or str(result.returncode)


class Switches(unittest.TestCase):
    def test_a_switch_makes_what_the_mutant_is(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            kernels = folder / "kernels"
            kernels.mkdir()
            (kernels / "k.cl").write_text(program(BODY))
            found = kernel_mutants.mutants(kernels / "k.cl")
            numbers = mutant_switches.write(found, kernels, folder / "switched", {})
            switched = (folder / "switched" / "k.cl").read_text()
            macros = ("-DSEMG_MUTANT=NUMBER", "-DSEMG_PICKED(k)=(SEMG_MUTANT == (k))",
                      "-DSEMG_SIGN(k)=(1 - 2 * SEMG_PICKED(k))")

            def with_switch(number: int) -> str:
                return printed(
                    switched, folder, *(each.replace("NUMBER", str(number)) for each in macros))

            original = printed(program(BODY), folder)
            self.assertEqual(with_switch(0), original)
            changed = 0
            for mutant in found:
                if mutant.key not in numbers or loops_for_ever(mutant):
                    continue
                expected = printed(mutant.text, folder)
                self.assertEqual(
                    with_switch(numbers[mutant.key]), expected, f"{mutant.change}: {mutant.after}")
                changed += expected != original
            # Were most of them without effect, equal would not mean much.
            self.assertGreater(changed, 0.7 * len(numbers))
            self.assertGreater(len(numbers), 0.85 * len(found))
            kinds = {mutant.change for mutant in found if mutant.key in numbers}
            for kind in mutant_switches.ALTERNATIVES:
                if kind != ">= to >" or re.search(">=", BODY):
                    self.assertIn(kind, kinds)


def loops_for_ever(mutant: kernel_mutants.Mutant) -> bool:
    return "for (" in mutant.before and mutant.change in ("+= to -=", "+= to =")


if __name__ == "__main__":
    unittest.main()
