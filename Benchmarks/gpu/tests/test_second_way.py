"""Kernels that were compiled beforehand: what they are given, how they are judged, and the drivers
that run them, here by a library of our own that stands in for NVIDIA's."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import attention_launches  # noqa: E402
import compile_launches  # noqa: E402
import kernel_launches  # noqa: E402
import second_way  # noqa: E402
from driver_cuda import Cuda, DriverError  # noqa: E402

CASE = kernel_launches.Case
LAUNCHES = kernel_launches.read(HERE.parent / "launches.txt")


class Directory(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)


class Launches(unittest.TestCase):
    def test_the_first_convolution_is_that_of_a_loop(self):
        sizes = {"TIME": 5, "INPUTS": 2, "OUTPUTS": 3, "TAPS": 3, "DILATION": 2, "LEFT": 4,
                 "TILE_ROWS": 4, "TILE_COLUMNS": 32, "WARPS_DOWN": 4, "WARPS_ACROSS": 1,
                 "STATISTICS": 1}
        case = kernel_launches.Launch("conv1d_forward", sizes).case(2)
        x, w = case.arrays["input"].astype(float), case.arrays["weights"].astype(float)
        expected = np.zeros((2, 5, 3))
        for b, t, tap in np.ndindex(2, 5, 3):
            if 0 <= t + 2 * tap - 4 < 5:
                expected[b, t] += x[b, t + 2 * tap - 4] @ w.reshape(3, 2, 3)[tap]
        values = {output.name: output for output in case.outputs()}
        product = expected.reshape(10, 3)
        np.testing.assert_allclose(values["output"].expected, product + case.arrays["bias"])
        means = [product[first : first + 4].mean(0) for first in (0, 4, 8)]
        np.testing.assert_allclose(values["statistics"].expected[:, 0], means)
        self.assertEqual(case.grid, (3, 1, 1))

    def test_gradients_are_those_of_the_convolution(self):
        """<dY, conv(X, W)> has the gradients that the two backward kernels are to leave."""
        sizes = {"TIME": 6, "INPUTS": 2, "OUTPUTS": 3, "TAPS": 3, "DILATION": 1, "LEFT": 1,
                 "TILE_ROWS": 64, "TILE_COLUMNS": 32, "WARPS_DOWN": 2, "WARPS_ACROSS": 2}
        back = kernel_launches.Launch("conv1d_backward_input", sizes).case(2)
        dy = back.arrays["output_gradient"].astype(float).reshape(12, 3)
        w = back.arrays["weights"].astype(float)
        dx = back.outputs()[0].expected - back.arrays["addend"].astype(float)
        x = np.random.default_rng(3).standard_normal((2, 6, 2))
        y = kernel_launches.taps(x, 3, 1, -1) @ w.reshape(6, 3)
        self.assertAlmostEqual(float((y * dy).sum()), float((x.reshape(12, 2) * dx).sum()))

        shape = {name: sizes[name] for name in kernel_launches.SHAPE}
        kernel = kernel_launches.Launch(
            "conv1d_backward_weights", sizes | {"span": 5}, 0.0, [shape, shape]).case(2)
        parts = kernel.outputs()[0].expected.reshape(2, 3, 7, 3)
        self.assertEqual(kernel.grid, (6, 1, 1))
        # The second one's group, factors in chunks of eight, parts; its bias has a gradient.
        self.assertEqual(kernel.arrays["table"][11:16].tolist(), [3, 3, 4, 63, 0])
        x = kernel.arrays["inputs"].astype(float).reshape(2, 2, 6, 2)
        dy = kernel.arrays["output_gradients"].astype(float).reshape(2, 12, 3)
        for place in range(2):
            y = kernel_launches.taps(x[place], 3, 1, -1) @ w.reshape(6, 3)
            total = parts[place].sum(0)
            self.assertAlmostEqual(float((y * dy[place]).sum()),
                                   float((w.reshape(6, 3) * total[:6]).sum()))
            np.testing.assert_allclose(total[6], dy[place].sum(0) * place)

    def test_what_the_dropout_keeps_are_the_bits_of_philox(self):
        # Counter and key zero: the authors' known answer.
        with mock.patch.multiple(attention_launches, STREAM=0, KEY=(0, 0), ITERATION=0, STEP=0):
            words = attention_launches.philox(np.zeros(1, np.uint64))
        self.assertEqual([f"{word:08x}" for word in words[0]],
                         ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"])
        stays = attention_launches.kept(3, 204, 8, round(0.3 * 65536))
        self.assertAlmostEqual(stays[:, :204].mean(), 0.7, delta=0.01)
        self.assertTrue(stays[:, 224:].all())
        packed = attention_launches.packed(stays)
        self.assertEqual((packed.shape, packed.dtype), ((204, 8), np.uint32))
        self.assertEqual(bool(packed[5, 2] >> 9 & 1), bool(stays[5, 73]))

    def test_one_wrong_element_or_none_at_all_is_seen(self):
        output = kernel_launches.Output("y", np.ones((3, 4)), np.full((3, 4), 1e-3))
        right = np.ones((3, 4), np.float32)
        self.assertTrue(kernel_launches.judge(output, right)["pass"])
        for wrong in (1.01, np.nan, np.inf, 0.0):
            found = right.copy()
            found[2, 1] = wrong
            verdict = kernel_launches.judge(output, found)
            self.assertFalse(verdict["pass"])
            self.assertEqual(verdict["where"], [2, 1])
        bits = kernel_launches.Output("bits", np.array([[1, 2]], np.uint32), np.zeros(1))
        self.assertFalse(kernel_launches.judge(bits, np.array([[1, 3]], np.uint32))["pass"])

    def test_every_launch_of_the_list_has_values_that_tell_a_zero_from_a_result(self):
        seen = set()
        for launch in LAUNCHES:
            if launch.kernel in seen:
                continue
            seen.add(launch.kernel)
            case = launch.case(1)
            for output in case.outputs():
                # No kernel passes by leaving what it found, nor zeros.
                found = case.arrays[output.name]
                self.assertFalse(kernel_launches.judge(output, found)["pass"], launch.text)
                self.assertFalse(
                    kernel_launches.judge(output, np.zeros_like(found))["pass"], launch.text)
        self.assertEqual(len(seen), 7)

    def test_a_line_that_is_none_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "launches.txt")
            path.write_text("# a comment\nconv1d_forward TIME=x\n")
            with self.assertRaisesRegex(kernel_launches.LaunchError, "launches.txt:2: expected"):
                kernel_launches.read(path)


class Arguments(unittest.TestCase):
    CODE = """typedef struct { int a; } thing;
    __kernel __attribute__((reqd_work_group_size(64, 1, 1))) void f(
        __global const ushort* x_arena, const ulong x_at,
        __global const struct table_header *header, const int count, const float scale) { }"""

    def test_they_are_read_from_the_declaration(self):
        self.assertEqual(
            compile_launches.parameters(self.CODE, "f"),
            [["pointer", "x_arena"], ["ulong", "x_at"], ["pointer", "header"], ["int", "count"],
             ["float", "scale"]])
        with self.assertRaisesRegex(compile_launches.CompileError, "no kernel g"):
            compile_launches.parameters(self.CODE, "g")
        with self.assertRaisesRegex(compile_launches.CompileError, "how to pass `const int4 v`"):
            compile_launches.parameters("void f(const int4 v) {", "f")

    def test_each_is_found_by_its_name_and_an_unknown_one_is_refused(self):
        case = CASE({"x": np.zeros(3), "header": np.zeros(1)}, {"count": 3, "scale": 0.5},
                    (1, 1, 1), list, {"sums": ("x", 2)})
        parameters = [["float", "scale"], ["pointer", "sums_arena"], ["ulong", "sums_at"],
                      ["pointer", "header"], ["pointer", "x_arena"], ["ulong", "x_at"],
                      ["int", "count"]]
        self.assertEqual(
            kernel_launches.bind(parameters, case),
            [("float", 0.5), ("array", "x"), ("ulong", 2), ("array", "header"), ("array", "x"),
             ("ulong", 0), ("int", 3)])
        with self.assertRaisesRegex(kernel_launches.LaunchError, "asks for `int news`"):
            kernel_launches.bind([["int", "news"]], case)

    def test_every_kernel_asks_for_what_its_launch_has(self):
        if reason := compile_launches.missing_tool():
            self.skipTest(reason)
        for launch in {launch.kernel: launch for launch in LAUNCHES}.values():
            entry = compile_launches.describe(launch, "00")
            self.assertIn("pointer", [kind for kind, _ in entry["parameters"]])


class Driver(Directory):
    """second_way.py with the library of fake_cuda.c, whose every kernel takes four arguments."""

    PARAMETERS = [["int", "rows"], ["float", "scale"], ["pointer", "c_arena"], ["ulong", "sums_at"]]
    SIZES = {"ROWS": 8, "COLUMNS": 16, "TIME": 4, "TILE_ROWS": 4, "TILE_COLUMNS": 8,
             "WARPS_DOWN": 2, "WARPS_ACROSS": 1, "span": 2}

    @classmethod
    def setUpClass(cls):
        libraries = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, libraries)
        cls.library = str(libraries / "libfake.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", cls.library,
                        str(HERE / "fake_cuda.c")], check=True)

    def setUp(self):
        super().setUp()
        (self.folder / "00.cubin").write_bytes(b"CUBIN")
        (self.folder / "00.ptx").write_bytes(b"// PTX\n.target sm_90\n")
        entry = {"kernel": "matrix_columns_product", "sizes": self.SIZES, "rate": 0.0,
                 "shapes": [], "defines": [], "parameters": self.PARAMETERS, "binary": "00", "source": "x.cl"}
        self.manifest([entry, entry])

    def manifest(self, entries: list[dict]) -> None:
        (self.folder / "manifest.json").write_text(json.dumps({"launches": entries}))

    def ask(self, trouble: str = "", *words: str) -> tuple[int, dict, str]:
        done = subprocess.run(
            [sys.executable, str(HERE.parent / "second_way.py"), str(self.folder), "--library",
             self.library, "--batch", "1", *words], capture_output=True, text=True, timeout=120,
            env={**os.environ, "FAKE_CUDA": trouble})
        return done.returncode, json.loads(done.stdout), done.stderr

    def test_the_driver_gets_every_argument_as_the_kernel_declares_it(self):
        code, document, said = self.ask()
        # Tiles of 4 by 8, spans of 2 in 4 steps; 8 rows, 1.0, and the sums behind 8 · 16 elements.
        self.assertEqual(said, "matrix_columns_product <<<2 2 2, 64 1 1, 0>>> 8 1 128 1 1\n")
        self.assertEqual(document["about"], {
            "device": "pretended GPU 0", "driver": 12040, "capability": "9.0"})
        first = document["launches"][0]
        self.assertEqual((first["loaded"], first["registers"]), ("00.cubin", 96))
        self.assertAlmostEqual(first["milliseconds"], 2.0)
        self.assertAlmostEqual(first["tflops"], 2 * 4 * 8 * 16 / 2e-3 * 1e-12)
        # It computes no product, and that is seen.
        self.assertFalse(first["pass"])
        self.assertEqual(first["outputs"][0]["name"], "c")
        self.assertEqual((code, document["missed"]), (1, 2))

    def test_where_the_cubin_is_refused_the_driver_compiles_the_ptx(self):
        _, document, _ = self.ask("no cubin")
        first = document["launches"][0]
        self.assertEqual(first["loaded"], "00.ptx")
        self.assertEqual(first["refused"], [
            "00.cubin: cuModuleLoadDataEx: CUDA_ERROR_INVALID_IMAGE (200): not of this age"])

    def test_without_a_gpu_it_says_so_once(self):
        code, document, _ = self.ask("no device")
        self.assertEqual([launch["error"] for launch in document["launches"]],
                         ["cuInit: CUDA_ERROR_NO_DEVICE (100)"])
        self.assertEqual((code, document["dropped"]), (1, 1))

    def test_a_launch_that_ends_its_process_costs_no_other(self):
        for trouble, error in (("dies", "the process died of signal 6"),
                               ("bad address", "cuLaunchKernel: CUDA_ERROR_ILLEGAL_ADDRESS (700)")):
            _, document, _ = self.ask(trouble)
            self.assertEqual([launch["error"] for launch in document["launches"]], [error] * 2)

    def test_what_there_is_no_time_for_is_counted(self):
        _, document, _ = self.ask("", "--seconds", "0")
        self.assertEqual((document["launches"], document["dropped"]), ([], 2))

    def test_a_kernel_of_another_signature_is_refused_by_name(self):
        entry = json.loads((self.folder / "manifest.json").read_text())["launches"][0]
        self.manifest([{**entry, "parameters": [["int", "news"]]}])
        _, document, _ = self.ask()
        self.assertIn("asks for `int news`", document["launches"][0]["error"])

    def test_a_library_that_is_missing_is_named(self):
        with self.assertRaisesRegex(DriverError, "no libabsent.so"):
            Cuda("libabsent.so")

    def test_opencl_is_given_the_ptx_as_it_is_and_as_its_own_compiler_marks_it(self):
        images = second_way.images(self.folder / "00.ptx", "opencl-ptx")
        self.assertEqual([image for _, image in images], [
            b"// PTX\n.target sm_90\n", b"// PTX\n.target sm_90, texmode_independent\n"])


if __name__ == "__main__":
    unittest.main()
