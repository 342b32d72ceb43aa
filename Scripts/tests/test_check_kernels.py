"""Self-tests of the offline kernel check: a spill or a warning that it overlooks would pass."""

import pathlib
import shutil
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS))

import check_kernels  # noqa: E402

# Of ptxas 13.5.
PTXAS = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'spills' for 'sm_90'
ptxas info    : Function properties for spills
    2816 bytes stack frame, 3776 bytes spill stores, 4508 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 2816 bytes cumulative stack size, 1024 bytes smem
ptxas info    : Compile time = 1634.399 ms
ptxas info    : Compiling entry function 'relu' for 'sm_90'
ptxas info    : Function properties for relu
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 14 registers, used 0 barriers
"""

# Of clang 19.
AMD = """k.cl:2:1: remark: Function Name: spills [-Rpass-analysis=kernel-resource-usage]
    2 | __kernel void spills(
      | ^
k.cl:2:1: remark:     SGPRs: 18 [-Rpass-analysis=kernel-resource-usage]
k.cl:2:1: remark:     VGPRs: 256 [-Rpass-analysis=kernel-resource-usage]
k.cl:2:1: remark:     ScratchSize [bytes/lane]: 4508 [-Rpass-analysis=kernel-resource-usage]
k.cl:2:1: remark:     SGPRs Spill: 0 [-Rpass-analysis=kernel-resource-usage]
k.cl:2:1: remark:     VGPRs Spill: 1212 [-Rpass-analysis=kernel-resource-usage]
k.cl:2:1: remark:     LDS Size [bytes/block]: 1024 [-Rpass-analysis=kernel-resource-usage]
"""

# Of ocloc 22.43, cut short.
INTEL = """\x7fELF…
kernels:
  - name:            spills
    execution_env:
      grf_count:       128
      simd_size:       8
      slm_size:        1024
    payload_arguments:
      - arg_type:        local_size
        size:            12
  - name:            relu
    execution_env:
      simd_size:       32
kernels_misc_info:
  - name:            spills
"""
INTEL_LOG = "\nwarning: kernel spills  compiled SIMD8 allocated 128 regs and spilled around 683\n"

# Of nvdisasm 13.5, cut short.
SASS = """\t.section\t.text.forward,"ax",@progbits
forward:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0010*/              @!P0 LDGSTS.E.BYPASS.128 [R2], [R4.64] ;
        /*0020*/                   HMMA.16816.F32 R4, R8, R12, R4 ;
\t.section\t.text.plain,"ax",@progbits
plain:
        /*0000*/                   FFMA R4, R8, R12, R4 ;
        /*0010*/                   EXIT ; // no HMMA
"""

SPILLING = """
__kernel __attribute__((reqd_work_group_size(1024, 1, 1)))
void spills(__global const float* x, __global float* y, const int count) {
  const int i = get_global_id(0);
  float a[160];
#pragma unroll
  for (int k = 0; k < 160; ++k) a[k] = x[i + k * count];
#pragma unroll
  for (int k = 0; k < 160; ++k) y[i + k * count] = a[k] * a[159 - k];
}
"""


class Parsing(unittest.TestCase):
    def test_what_ptxas_says_is_read(self):
        spills, relu = check_kernels.parse_ptxas(PTXAS)
        self.assertEqual(
            spills, check_kernels.Kernel("spills", "255", 1024, 2816, 3776 + 4508))
        self.assertEqual(relu, check_kernels.Kernel("relu", "14"))

    def test_what_clang_says_of_amd_is_read(self):
        self.assertEqual(
            check_kernels.parse_amd(AMD),
            [check_kernels.Kernel("spills", "256", 1024, 4508, 1212)])

    def test_what_ocloc_says_is_read(self):
        self.assertEqual(
            check_kernels.parse_intel(INTEL, INTEL_LOG),
            [check_kernels.Kernel("spills", "SIMD8", 1024, 0, 683),
             check_kernels.Kernel("relu", "SIMD32")])

    def test_an_instruction_that_a_kernel_lacks_is_a_problem(self):
        forward = SASS[:SASS.index("\t.section\t.text.plain")]
        check_kernels.require_instructions(forward, ["HMMA", "LDGSTS"])
        for code, wanted in [(forward, "LDSM"), (SASS, "HMMA"), ("", "HMMA")]:
            with self.assertRaises(check_kernels.Problem):
                check_kernels.require_instructions(code, [wanted])

    def test_words_that_are_not_understood_are_no_success(self):
        with self.assertRaises(check_kernels.Problem):
            check_kernels.parse_ptxas("Compiling entry function 'a' for 'sm_90'\nUsed many\n")
        with self.assertRaises(check_kernels.Problem):
            check_kernels.parse_amd("remark: Function Name: a\n")
        with self.assertRaises(check_kernels.Problem):
            check_kernels.parse_intel("\x7fELF", "")

    def test_kernels_are_found_by_name(self):
        text = """
          // __kernel void not_this(
          /* kernel void nor_this( */
          __kernel void plain(int a) {}
          kernel __attribute__((reqd_work_group_size(8, 8, 1))) void with_size(int a) {}
          __kernel void __attribute__((reqd_work_group_size(G, 1, 1)))
          behind(int a) {}
        """
        self.assertEqual(check_kernels.kernel_names(text), ["plain", "with_size", "behind"])


class Files(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def source(self, text: str, name: str = "k.cl") -> check_kernels.Source:
        path = pathlib.Path(self.folder.name) / name
        path.write_text(text)
        return check_kernels.read_source(path)

    def test_builds_are_the_generic_one_and_those_that_are_declared(self):
        source = self.source("// build: -DTIME=204 -DIN=64\n//build: -DFAST\n__kernel void k() {}")
        self.assertEqual(source.builds, [[], ["-DTIME=204", "-DIN=64"], ["-DFAST"]])

    def test_a_build_line_with_anything_but_defines_is_refused(self):
        for line in ["// build: TIME=204", "// build: -cl-fast-relaxed-math", "// build:"]:
            with self.assertRaises(check_kernels.Problem, msg=line):
                self.source(line + "\n")

    def test_a_file_that_names_instructions_is_for_nvidia(self):
        source = self.source("// instructions: HMMA LDSM\n__kernel void k() {}")
        self.assertEqual(source.instructions, ["HMMA", "LDSM"])
        takers = [target.name for target in check_kernels.TARGETS if target.takes(source)]
        self.assertEqual(
            [name for name in takers if name.startswith(("sm_", "gfx", "tgl", "acm", "pvc"))],
            ["sm_80", "sm_90"])

    def test_builds_for_every_tile_are_made_by_the_newest_target_alone(self):
        (pathlib.Path(self.folder.name) / "tiles.cl").write_text("// tile: -DROWS=1\n// tile: -DROWS=2\n")
        source = self.source('// build: -DA=1\n// build of each tile: -DPART=3\n'
                             '#include "tiles.cl"\n__kernel void k() {}')
        plain, of_tiles = [[], ["-DA=1"]], [["-DPART=3", "-DROWS=1"], ["-DPART=3", "-DROWS=2"]]
        made = {target.name: target.builds(source) for target in check_kernels.TARGETS}
        self.assertEqual(made.pop("strict"), plain + of_tiles)
        self.assertEqual(made.pop("sm_90"), plain + of_tiles)
        self.assertTrue(all(builds == plain for builds in made.values()), made)

    @unittest.skipUnless(shutil.which("clang-19"), "clang-19 is not installed")
    def test_the_strict_pass_sees_the_emulation_of_instructions(self):
        text = ("#ifndef EMULATED\n#error \"not here\"\n#endif\n"
                "__kernel void k(__global int* y) { *y = 1; }")
        self.assertIsNotNone(self.outcome(text, "strict"))
        self.assertIsNone(self.outcome("// instructions: HMMA\n" + text, "strict"))

    def outcome(self, text: str, target: str) -> str | None:
        chosen = next(each for each in check_kernels.TARGETS if each.name == target)
        return check_kernels.check(self.source(text), chosen).problem

    @unittest.skipUnless(shutil.which("clang-19"), "clang-19 is not installed")
    def test_warnings_doubles_and_bad_syntax_fail_the_strict_pass(self):
        good = "__kernel void k(__global float* y) { y[0] = 0.5f; }"
        self.assertIsNone(self.outcome(good, "strict"))
        for bad in [
            "__kernel void k(__global float* y) { y[0] = 0.5; }",
            "__kernel void k(__global float* y, const int n) { y[0] = 0.5f; }",
            "__kernel void k(__global half* y) { y[0] = y[1] + y[2]; }",
            "__kernel void k(__global float* y) { y[0] = nothing; }",
        ]:
            self.assertIsNotNone(self.outcome(bad, "strict"), bad)

    @unittest.skipUnless(shutil.which("clang-19"), "clang-19 is not installed")
    def test_functions_that_are_not_static_fail_the_strict_pass(self):
        kernel = "__kernel void k(__global float* y) { *y = f(*y); }\n"
        for function, wrong in [
            ("inline float f(float x) { return x; }\n", "line 1: expected `static inline`"),
            ("float f(float x) { return x; }\n", "no previous prototype"),
        ]:
            for name, text in [("k.cl", function + kernel), ("included.cl", function)]:
                source = self.source(text, name)
                problem = check_kernels.check(source, check_kernels.TARGETS[0]).problem
                self.assertIn(wrong, problem or "", name)
        text = "/* inline\n float */ static inline float f(float x) { return x; }  // inline\n"
        self.assertIsNone(self.outcome(text + kernel, "strict"))

    @unittest.skipUnless(shutil.which("clang-19"), "clang-19 is not installed")
    def test_unused_functions_are_an_error_in_kernels_alone(self):
        function = "static inline float f(float x) { return x; }\n"
        self.assertIsNone(self.outcome(function, "strict"))
        self.assertIsNotNone(
            self.outcome(function + "__kernel void k(__global float* y) { y[0] = 0; }", "strict"))

    @unittest.skipUnless(shutil.which("clang-19"), "clang-19 is not installed")
    def test_each_declared_build_is_compiled(self):
        text = "#ifdef TIME\n#error specialised\n#endif\n__kernel void k(__global int* y) { *y = 1; }"
        self.assertIsNone(self.outcome(text, "strict"))
        problem = self.outcome("// build: -DTIME=204\n" + text, "strict")
        self.assertIn("-DTIME=204", problem or "")

    @unittest.skipUnless(shutil.which("clang-19") and check_kernels.LIBCLC.exists(),
                         "clang-19 or libclc-19 is not installed")
    def test_a_spill_fails_on_amd(self):
        self.assertIn("registers spill in spills", self.outcome(SPILLING, "gfx90a") or "")

    @unittest.skipUnless(shutil.which("ocloc"), "intel-opencl-icd is not installed")
    def test_a_spill_on_intel_is_counted(self):
        target = next(each for each in check_kernels.TARGETS if each.name == "tgllp")
        outcome = check_kernels.check(self.source(SPILLING), target)
        self.assertIsNone(outcome.problem)
        self.assertGreater(outcome.kernels[0][0].spills, 0)
        self.assertIn("**spills", check_kernels.table([outcome]))
