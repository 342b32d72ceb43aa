"""Compilers' caches in pieces, and back."""

import os
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import caches  # noqa: E402


class Pieces(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.out = self.folder / "out"
        self.out.mkdir()
        self.noise = os.urandom(70_000)
        self.write("cuda/a/b", self.noise)
        self.write("programs/semg-train/opencl/x.bin", b"x")

    def write(self, name: str, content: bytes) -> None:
        path = self.folder / "caches" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def pack(self) -> dict:
        return caches.pack(self.folder / "caches", self.out, size=30_000)

    def test_a_piece_is_no_larger_than_may_be_carried(self):
        self.assertLessEqual(caches.PIECE, 15 * 2**20)
        packed = self.pack()
        self.assertEqual(packed["cuda"]["pieces"],
                         [f"cache-cuda.tar.xz.0{i}" for i in range(3)])
        sizes = [(self.out / name).stat().st_size for name in packed["cuda"]["pieces"]]
        self.assertEqual(sizes[:2], [30_000, 30_000])
        self.assertEqual(sum(sizes), packed["cuda"]["bytes"])

    def test_what_was_packed_comes_back(self):
        self.pack()
        became = caches.unpack(self.out, self.folder / "again")
        self.assertEqual(became, {"programs": "1 files", "cuda": "1 files", "triton": "not there",
                                  "inductor": "not there"})
        self.assertEqual((self.folder / "again/cuda/a/b").read_bytes(), self.noise)

    def test_a_damaged_cache_is_left_out_whole_and_the_others_come_back(self):
        self.write("cuda/a/a", b"comes first")
        self.pack()
        (self.out / "cache-cuda.tar.xz.01").unlink()
        became = caches.unpack(self.out, self.folder / "again")
        self.assertTrue(became["cuda"].startswith("left out: "), became)
        self.assertFalse((self.folder / "again/cuda").exists())
        self.assertEqual(became["programs"], "1 files")

    def test_pieces_of_an_earlier_run_do_not_stay_behind(self):
        self.pack()
        shutil.rmtree(self.folder / "caches/cuda")
        self.write("cuda/small", b"small")
        self.pack()
        self.assertEqual([path.name for path in self.out.glob("cache-cuda*")],
                         ["cache-cuda.tar.xz.00"])

    def test_every_compiler_is_told_where_its_cache_is(self):
        told = caches.environment(pathlib.Path("/c"))
        for kind in caches.KINDS:
            self.assertIn(f"/c/{kind}", told.values())


if __name__ == "__main__":
    unittest.main()
