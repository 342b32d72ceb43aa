"""What goes onto a machine with a GPU: the packing, the finding of drivers, the stages, the report.

`SEMG_BINARY` names a semg-train whose libraries are weighed. PyTorch is stood in for by a script;
check_models.py holds the real one to Keras.
"""

import argparse
import functools
import json
import lzma
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import carry  # noqa: E402
import machine  # noqa: E402
import recordings_cache  # noqa: E402
import report  # noqa: E402
import race  # noqa: E402
import stages  # noqa: E402
import torch_client  # noqa: E402

ROOT = HERE.parent.parent.parent
REAL = pathlib.Path(os.environ.get("SEMG_DATA", ROOT / "../shared/data/synapse"))
# What the binary itself, the Swift runtime in it and the scripts may take of the archive.
BINARY_SHARE = 8_000_000


def table(rows: int = 50, end: str = "\r\n", last: bool = True) -> bytes:
    values = [f"{(i - 25) / 1000:.6f},{i * 7919 % 10007 / 1e6:.6f}" for i in range(rows)]
    return (end.join(["ch1,ch2", *values]) + (end if last else "")).encode()


class Directory(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, name: str, content: bytes) -> pathlib.Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def log(self) -> machine.Log:
        log = machine.Log(self.folder / "log.txt")
        self.addCleanup(log.file.close)
        return log

    def script(self, name: str, text: str) -> pathlib.Path:
        path = self.write(name, text.encode())
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path


class Recordings(Directory):
    def round_trip(self, files: dict[str, bytes]) -> dict[str, int]:
        for name, content in files.items():
            self.write(f"data/{name}", content)
        counts = recordings_cache.pack(self.folder / "data", self.folder / "cache")
        recordings_cache.unpack(self.folder / "cache", self.folder / "again")
        found = {path.relative_to(self.folder / "again").as_posix(): path.read_bytes()
                 for path in (self.folder / "again").rglob("*.csv")}
        self.assertEqual(found, files)
        return counts

    def test_regular_files_become_integers_and_the_same_bytes_again(self):
        counts = self.round_trip({
            "Session1/crlf.csv": table(), "lf.csv": table(end="\n"), "open.csv": table(last=False),
            "minus-zero.csv": table().replace(b"-0.024000", b"-0.000000"),
            "large.csv": table().replace(b"-0.024000", b"812.345678"),
        })
        self.assertEqual(counts, {"exact": 5, "as text": 0})

    def test_whatever_would_come_back_changed_is_kept_as_it_is(self):
        counts = self.round_trip({
            "digits.csv": table().replace(b"-0.024000", b"-0.024"),
            "exponent.csv": table().replace(b"-0.024000", b"-2.4e-2"),
            "ragged.csv": table() + b"0.000001\r\n", "empty.csv": b"", "header.csv": b"ch1,ch2\r\n",
            "mixed-ends.csv": table() + b"0.000001,0.000002\n",
            "huge.csv": table().replace(b"-0.024000", b"99999999999.000000"),
            "regular.csv": table(),
        })
        self.assertEqual(counts, {"exact": 1, "as text": 7})

    def test_real_recordings_come_back_and_take_a_quarter(self):
        if not REAL.is_dir():
            self.skipTest(f"no recordings in {REAL}")
        chosen = sorted(REAL.rglob("*.csv"))[::40]
        files = {path.relative_to(REAL).as_posix(): path.read_bytes() for path in chosen}
        self.assertEqual(self.round_trip(files)["as text"], 0)
        packed = len(lzma.compress((self.folder / "cache").read_bytes(), preset=1))
        self.assertLess(packed, 0.27 * sum(map(len, files.values())))

    def test_a_cache_that_is_none_or_ends_early_is_refused(self):
        self.round_trip({"a.csv": table(), "b.csv": b"text"})
        whole = (self.folder / "cache").read_bytes()
        for content in (b"something else", whole[:-3], whole[:-150]):
            with self.assertRaises(recordings_cache.CacheError):
                recordings_cache.unpack(self.write("broken", content), self.folder / "x")


class Archive(Directory):
    LDD = """\tlinux-vdso.so.1 (0x00007ffd)
\tlibdnnl.so.2 => /lib/x86_64-linux-gnu/libdnnl.so.2 (0x00007f27)
\tlibOpenCL.so.1 => /lib/x86_64-linux-gnu/libOpenCL.so.1 (0x00007f2a)
\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f26)
\tlibresolv.so.2 => /lib/x86_64-linux-gnu/libresolv.so.2 (0x00007f26)
\tlibmd.so.0 => /lib/x86_64-linux-gnu/libmd.so.0 (0x00007f26)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f2a)
"""

    def test_all_libraries_go_along_but_the_c_librarys(self):
        found = carry.libraries(self.LDD)
        self.assertEqual(sorted(found), ["libOpenCL.so.1", "libdnnl.so.2", "libmd.so.0"])
        self.assertEqual(str(found["libdnnl.so.2"]), "/lib/x86_64-linux-gnu/libdnnl.so.2")

    def test_a_library_that_is_missing_here_is_named(self):
        with self.assertRaisesRegex(carry.CarryError, "libgone.so.1"):
            carry.libraries("\tlibgone.so.1 => not found\n")

    def test_more_than_50_megabytes_are_refused(self):
        self.assertEqual(carry.LIMIT, 50_000_000)
        archive = self.write("a.tar.xz", b"12345")
        self.assertEqual(carry.check_size(archive, 5), 5)
        with self.assertRaisesRegex(carry.CarryError, "5 bytes, more than the 4"):
            carry.check_size(archive, 4)

    def test_libraries_and_recordings_leave_room_for_the_binary(self):
        binary = os.environ.get("SEMG_BINARY")
        if not binary or not pathlib.Path(binary).exists():
            self.skipTest("SEMG_BINARY names no semg-train")
        listing = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True)
        shared = [path for path in carry.libraries(listing.stdout).values()
                  if "/swift/" not in str(path)]  # linked statically in the archive
        self.assertTrue(any("libdnnl" in path.name for path in shared))
        counter = lzma.LZMACompressor(preset=1)
        size = sum(len(counter.compress(path.read_bytes())) for path in shared)
        size += len(counter.flush())
        if REAL.is_dir():
            every = sorted(REAL.rglob("*.csv"))
            for path in every[::25]:
                self.write(f"data/{path.relative_to(REAL)}", path.read_bytes())
            recordings_cache.pack(self.folder / "data", self.folder / "cache")
            sample = lzma.compress((self.folder / "cache").read_bytes(), preset=1)
            size += len(sample) * len(every) // len(every[::25])
        self.assertLess(size, carry.LIMIT - BINARY_SHARE)

    def test_everything_a_script_there_imports_goes_along(self):
        import ast

        own = {path.stem for path in HERE.parent.glob("*.py")}
        for name in carry.SCRIPTS:
            for node in ast.walk(ast.parse((HERE.parent / name).read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module] if isinstance(node, ast.ImportFrom) else []
                for imported in own.intersection(names):
                    self.assertIn(f"{imported}.py", carry.SCRIPTS, f"imported by {name}")


FAKE_TORCH = """
import json, sys, time
print(json.dumps({"torch": "stand-in"}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if asked["mode"] == "amp":
        print(json.dumps({"error": "no such luck"}), flush=True)
    elif asked["mode"] == "fp32":
        sys.exit(3)
    elif asked["seconds"] == 0:
        print(json.dumps({"warm_up_seconds": 1}), flush=True)
    else:
        speed = 1000.0 if asked["mode"] == "compile" else 800.0
        times = {"milliseconds": [2.0, 4.0, 2.0], "samples_per_second": speed}
        print(json.dumps(times), flush=True)
"""

FAKE_SECOND_WAY = """
import json, sys
wrong = {"name": "c", "error": 7.0, "where": [0, 1], "pass": False}
print(json.dumps({
    "through": sys.argv[sys.argv.index("--through") + 1], "batch": 128, "about": {"device": "d"},
    "launches": [
        {"launch": "conv1d_forward TIME=204", "pass": True, "loaded": "00.cubin", "outputs": [],
         "registers": 96, "milliseconds": 0.05, "tflops": 12.34},
        {"launch": "conv1d_backward_input TIME=204", "pass": False, "outputs": [wrong]},
        {"launch": "attention_short_mean", "pass": False, "error": "no luck"}]}))
sys.exit(1)
"""

FAKE_SEMG_TRAIN = """#!/usr/bin/env python3
import json, os, pathlib, sys, time
arguments = sys.argv[1:]
metrics = {"accuracy": 0.5, "macro_f1": 0.4}
result = {"models": {"semg-net": metrics}, "ensemble": metrics}
kept = pathlib.Path(os.environ["XDG_CACHE_HOME"], "kept")
kept.parent.mkdir(parents=True, exist_ok=True)
kept.write_text("kept")
if arguments[0] == "--version":
    print("0.0.0")
    print("a library 1.0")
elif arguments[0] == "devices":
    chosen = pathlib.Path(os.environ["OCL_ICD_VENDORS"], "chosen.icd")
    print("[]" if "--json" in arguments else chosen.read_text())
elif arguments[0] == "parity":
    print(json.dumps({"cases": [{"name": "c", "shape": "s", "pass": False, "misses": ["off"]}],
                      "missed": 1}))
    sys.exit(69)
elif arguments[0] == "benchmark":
    model = arguments[arguments.index("--models") + 1]
    if "--seconds" in arguments and "fp16" in arguments:
        sys.exit("error: fp16 is not built yet")
    if "--seconds" in arguments and model == "inception-se":
        sys.exit("error: out of luck")
    print(json.dumps({"device": "d", "models": {model: {
        "samples_per_second": 2000.0, "milliseconds_per_step": 1.5,
        "kernels": [{"name": "k", "launches": 3, "milliseconds": 1.0}]}}}))
elif arguments[0] == "train":
    if pathlib.Path(__file__).with_name("slow").exists():
        time.sleep(6)
    data = pathlib.Path(arguments[arguments.index("--data") + 1])
    assert len(list(data.rglob("*.csv"))) == 2, "recordings are unpacked"
    folder = pathlib.Path(arguments[arguments.index("--output") + 1])
    folder.mkdir()
    (folder / "history.csv").write_text("epoch\\n")
    print(json.dumps({**result, "validation": result, "seconds": 1, "best_epoch": {"semg-net": 1}}))
elif arguments[0] == "tune":
    print(json.dumps({"products": [{}], "auto": "fp16", "precisions": [
        {"precision": "fp32", "milliseconds": 3.0}, {"precision": "fp16", "milliseconds": 2.0}]}))
elif arguments[0] == "evaluate":
    print(json.dumps(result))
"""


class Race(Directory):
    """run.py as it is packed, with a binary and a PyTorch that only say what they would."""

    def setUp(self):
        super().setUp()
        for name in carry.SCRIPTS:
            shutil.copy(HERE.parent / name, self.folder / name)
        self.write("torch_worker.py", FAKE_TORCH.encode())
        self.write("second_way.py", FAKE_SECOND_WAY.encode())
        self.script("bin/semg-train", FAKE_SEMG_TRAIN)
        self.write("data/Session1/a.csv", table())
        self.write("data/Session1/b.csv", table(end="\n"))
        recordings_cache.pack(self.folder / "data", self.folder / "recordings.cache")
        self.opencl = self.write("driver/libnvidia-opencl.so.1", b"\x7fELF\x02")

    def race(self, *words: str) -> tuple[int, dict, str]:
        minutes = [] if "--minutes" in words else ["--minutes", "2"]
        done = subprocess.run(
            [sys.executable, "run.py", "--out", "out", *minutes, *words], cwd=self.folder,
            env={"PATH": os.environ["PATH"], "OUT": "unused"}, capture_output=True, text=True,
            timeout=120)
        self.assertTrue((self.folder / "out/report.json").exists(), done.stderr)
        document = json.loads((self.folder / "out/report.json").read_text())
        return done.returncode, document, (self.folder / "out/report.md").read_text()

    def test_every_stage_runs_and_one_side_that_fails_stops_no_other(self):
        code, document, text = self.race("--opencl-library", str(self.opencl))
        self.assertEqual(code, 0)
        self.assertEqual({stage["state"] for stage in document["stages"].values()}, {"done"})
        self.assertEqual(len(document["stages"]), 14)
        self.assertNotIn("tune", document["stages"])
        self.assertIn(str(self.opencl), document["devices_text"])
        semg, inception = (document["speed"][f"train 128 {model}"]
                           for model in ("semg-net", "inception-se"))
        # In the first of two rounds, and once more beside PyTorch's other modes.
        self.assertEqual(len(semg["ours"]["runs"]), 2)
        self.assertEqual(inception["ours"]["runs"], [])
        self.assertIn("out of luck", inception["ours"]["problem"])
        for sides in (semg, inception):
            self.assertEqual(len(sides["compile"]["runs"]), 2)
            self.assertEqual(sides["amp"]["problem"], "no such luck")
            self.assertIn("process ended", sides["fp32"]["problem"])
        self.assertIn("| semg-train FP32 | 2,000 | 2,000–2,000 | 1.500 | 2 | – |", text)
        self.assertIn("max-autotune | 1,000 | 1,000–1,000 | 2.000 | 2 | **2.00** |", text)
        self.assertIn("fp16 is not built yet", semg["ours-fp16"]["problem"])
        self.assertIn("missed: c, s: off", text)
        self.assertIn("1 of 3 launches give NumPy's values", text)
        self.assertIn("missed: conv1d_backward_input TIME=204: c 7 times its bound at [0, 1]", text)
        self.assertIn("missed: attention_short_mean: no luck", text)
        self.assertIn("| conv1d_forward TIME=204 | cubin | 96 | 0.0500 | 12.3 |", text)
        self.assertIn("semg-net fp16, batch 128: 3 launches per step", text)
        self.assertIn("| cpu | semg-net | 50.00 | 40.00 |", text)
        for precision in ("single", "half"):
            self.assertIn(f"recordings in {precision} precision, 6 epochs: 1 s in all", text)
        self.assertIn("accuracy on validation semg-net 50.00 %, ensemble 50.00 %", text)
        self.assertLessEqual(len(list((self.folder / "out").iterdir())), 8)

    def test_smoke_runs_side_by_side_and_brings_the_caches_back(self):
        code, document, text = self.race("smoke", "--opencl-library", str(self.opencl))
        states = {name: stage["state"] for name, stage in document["stages"].items()}
        self.assertEqual(
            sorted(states), ["caches", "devices", "machine", "opencl-binary", "parity-half",
                             "parity-quick", "profile-inception-se", "profile-semg-net",
                             "second-way", "torch-inception-se", "torch-semg-net"])
        self.assertEqual(code, 1, "PyTorch's mode amp has no luck")
        for name, state in states.items():
            wanted = "failed: amp: no such luck" if name.startswith("torch-") else "done"
            self.assertEqual(state, wanted, name)
        self.assertEqual(document["torch_compile"]["semg-net graph-compile"], 1)
        self.assertIn("PTX as a binary for OpenCL, through opencl-ptx", text)
        self.assertEqual(list(document["caches"]["packed"]), ["programs"])
        pieces = [path.name for path in (self.folder / "out").glob("cache-*")]
        self.assertEqual(pieces, ["cache-programs.tar.xz.00"])

        # The next run on another machine starts from them.
        shutil.rmtree(self.folder / "work")
        (self.folder / "out").rename(self.folder / "carried")
        _, document, text = self.race("--opencl-library", str(self.opencl), "measure", "--stages",
                                      "warm-start", "--caches", "carried")
        self.assertEqual(document["caches"]["carried"]["programs"], "1 files")
        self.assertEqual((self.folder / "work/caches/programs/kept").read_text(), "kept")
        self.assertIn("Caches that were carried: programs 1 files, cuda not there", text)
        self.assertIn("Seconds of our command for one step, with the caches: inception-se ", text)

    def test_measure_names_what_it_leaves_out_for_lack_of_time(self):
        # Of fifteen seconds training takes six, and a stage begins only where ten are left.
        self.write("bin/slow", b"")
        code, document, text = self.race("measure", "--opencl-library", str(self.opencl),
                                         "--minutes", "0.25", "--no-torch")
        self.assertEqual(code, 1)
        stages = list(document["stages"])
        self.assertEqual(stages[:4], ["machine", "warm-start", "speed-small", "train-long"])
        self.assertEqual(stages[-1], "tune")
        self.assertEqual(document["stages"]["tune"]["state"], "not begun: the time was up")
        self.assertIn("| tune | – | not begun: the time was up |", text)

    def test_what_pytorch_has_not_compiled_in_time_is_not_compiled_among_the_measurements(self):
        done = race.Race.__new__(race.Race)
        done.result, done.sizes, done.log = {"speed": {}}, race.Sizes(), self.log()
        done.out, done.saving = self.folder, threading.Lock()
        done.end = done.stage_end = race.time.monotonic() + 100
        done.options = argparse.Namespace(no_torch=False)
        done.record = functools.partial(stages.Stages.record, done)
        done.ready = {("semg-net", 128, "compile")}
        done.torch = torch_client.TorchWorker([sys.executable, "-c", FAKE_TORCH], done.log)
        self.addCleanup(done.torch.stop)
        for mode in ("graph-compile", "compile"):
            stages.Stages.theirs(done, "semg-net", 128, mode)
        sides = done.result["speed"]["train 128 semg-net"]
        self.assertEqual(sides["graph-compile"]["problem"],
                         "it was not compiled when the measurements began")
        self.assertEqual(sides["compile"]["runs"][0]["samples_per_second"], 1000)

    def test_a_run_that_a_stage_has_no_time_for_is_named(self):
        done = race.Race.__new__(race.Race)
        done.result, done.options = {"stages": {}, "speed": {}}, None
        done.sizes, done.log, done.out = race.Sizes(), self.log(), self.folder
        done.saving, done.end = threading.Lock(), race.time.monotonic() + 100
        def stage():
            done.stage_end = race.time.monotonic() + 5
            stages.Stages.record(done, "graph", 128, "train", "semg-net", lambda: self.fail("ran"))
        done.perform("speed-small", 50, stage)
        self.assertEqual(done.result["stages"]["speed-small"]["state"],
                         "done; left out, the time was up: graph of semg-net")

    def test_without_opencl_it_says_so_and_pytorch_still_runs(self):
        _, document, text = self.race("--stages", "machine,speed-small")
        if document["machine"]["opencl_library"] is None:
            self.assertIn("brings no OpenCL library", text)
        self.assertEqual(len(document["speed"]["train 128 semg-net"]["compile"]["runs"]), 2)

    def test_stages_asked_for_later_join_the_report(self):
        self.race("--opencl-library", str(self.opencl), "--stages", "machine,speed-small")
        _, document, text = self.race(
            "--opencl-library", str(self.opencl), "--stages", "devices,tune")
        self.assertIn("fp32 3.000 ms, fp16 2.000 ms; `--precision auto` takes fp16", text)
        self.assertIn("devices_text", document)
        self.assertEqual(len(document["speed"]["train 128 semg-net"]["compile"]["runs"]), 2)

    def test_a_command_that_hangs_is_stopped_and_the_next_stage_runs(self):
        self.script("bin/semg-train", "#!/bin/sh\n[ $1 = devices ] && sleep 100\necho 0.0.0\n")
        done = race.Race.__new__(race.Race)
        done.sizes, done.work = race.Sizes(wait=0.01), self.folder
        done.end = done.stage_end = race.time.monotonic() + 60
        done.log = self.log()
        done.bundle, done.environment = self.folder, dict(os.environ)
        with self.assertRaisesRegex(machine.StageError, "was stopped after 5 s"):
            done.semg_train(60, "devices")
        self.assertEqual(done.semg_train(60, "else"), "0.0.0\n")

    def test_what_is_not_measured_has_no_figure(self):
        text = report.markdown({"stages": {"machine": {"state": "failed: x", "seconds": 1}},
                                "speed": {"train 128 semg-net": {"ours": {"runs": []}}}})
        self.assertIn("| semg-net | semg-train FP32 | – | not measured | – | 0 | – |", text)
        self.assertNotIn("Computed", text)

    def test_a_worker_that_prints_nothing_is_given_up(self):
        worker = torch_client.TorchWorker(
            [sys.executable, "-c", "import time; time.sleep(60)"], self.log())
        with self.assertRaisesRegex(machine.StageError, "no answer"):
            worker.ask(1.0, model="semg-net")
        self.assertIsNone(worker.process)


class Drivers(Directory):
    def test_the_64_bit_library_is_found_anywhere_below_the_drivers_folder(self):
        self.write("nvidia/lib32/libnvidia-opencl.so.1", b"\x7fELF\x01")
        wanted = self.write("nvidia/deep/lib64/libnvidia-opencl.so.1", b"\x7fELF\x02")
        self.write("nvidia/deep/lib64/libnvidia-opencl.so.580.1", b"\x7fELF\x02")
        found, searched = machine.find_opencl([str(self.folder / "nvidia")])
        self.assertEqual(found, wanted)
        self.assertEqual(searched, [f"{self.folder}/nvidia: libnvidia-opencl.so.1, "
                                    "libnvidia-opencl.so.580.1"])

    def test_where_there_is_none_every_place_that_was_searched_is_named(self):
        self.write("driver/libOpenCL.so.1", b"\x7fELF\x02")
        folders = [str(self.folder / name) for name in ("driver", "absent")]
        found, searched = machine.find_opencl(folders)
        if found is None:  # the machine itself may have one
            self.assertEqual(searched[:2], [f"{folders[0]}: libOpenCL.so.1",
                                            f"{folders[1]}: no such folder"])
            self.assertTrue(searched[2].startswith("ldconfig -p: "))

    def test_our_own_icd_list_names_the_library_and_our_libraries_come_first(self):
        library = self.folder / "driver" / "libnvidia-opencl.so.1"
        environment = machine.prepare_environment(self.folder, self.folder / "work", library)
        listed = list(pathlib.Path(environment["OCL_ICD_VENDORS"]).glob("*.icd"))
        self.assertEqual([path.read_text() for path in listed], [f"{library}\n"])
        self.assertEqual(environment["LD_LIBRARY_PATH"].split(":")[:2],
                         [str(self.folder / "lib"), str(library.parent)])

    def test_our_libstdcxx_is_taken_only_where_the_machine_has_none_that_serves(self):
        self.script("bin/semg-train", "#!/bin/sh\n"
                    "case $LD_LIBRARY_PATH in *lib-common) echo 1.0;; *) exit 127;; esac\n")
        environment = {**os.environ, "LD_LIBRARY_PATH": "x"}
        self.assertEqual(machine.choose_libraries(self.folder, environment), "1.0")
        self.assertEqual(environment["LD_LIBRARY_PATH"], f"x:{self.folder / 'lib-common'}")
        self.script("bin/semg-train", "#!/bin/sh\necho 1.0\n")
        environment = {**os.environ, "LD_LIBRARY_PATH": "x"}
        machine.choose_libraries(self.folder, environment)
        self.assertEqual(environment["LD_LIBRARY_PATH"], "x")
        self.script("bin/semg-train", "#!/bin/sh\necho GLIBC_2.99 not found >&2; exit 1\n")
        with self.assertRaisesRegex(machine.StageError, "GLIBC_2.99"):
            machine.choose_libraries(self.folder, environment)


if __name__ == "__main__":
    unittest.main()
