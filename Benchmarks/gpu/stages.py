"""The stages. Each stores what it found under its own name and may raise."""

import contextlib
import datetime
import json
import os
import pathlib
import platform
import shutil
import sys
import threading
import time
from collections.abc import Callable

from machine import StageError, choose_libraries
from race import MODELS, MODES, Race

# Exit code of `parity` where a case is missed: a result, not a failure.
MISSED = (0, 69)


class Stages(Race):
    def machine(self) -> None:
        about = self.result.setdefault("machine", {})
        about |= {
            "date": datetime.date.today().isoformat(), "system": platform.platform(),
            "libc": " ".join(platform.libc_ver()), "python": platform.python_version(),
            "cores": os.cpu_count(), "rehearsal": self.options.rehearse,
            "opencl_library": str(self.opencl) if self.opencl else None,
            "searched": self.searched, "command": " ".join(["python3", *sys.argv]),
        }
        with contextlib.suppress(OSError, ValueError):
            about["manifest"] = json.loads((self.bundle / "manifest.json").read_text())
        self.save()
        with contextlib.suppress(StageError, OSError):
            self.command(20, "/bin/sh", "-c", "ls -lR /usr/local/nvidia; ldconfig -p | grep -iE "
                         "'opencl|nvidia|cuda'; ls -l /etc/OpenCL/vendors; free -g; true")
        try:
            about["semg_train"] = choose_libraries(self.bundle, self.environment)
        finally:
            with contextlib.suppress(StageError, OSError):
                text = self.command(20, "nvidia-smi", "-q", environment=None)
                wanted = ("Product Name", "Driver Version", "CUDA Version", "VBIOS Version")
                about["gpu"] = dict(
                    (key.strip(), value.strip()) for key, colon, value in
                    (line.partition(":") for line in text.splitlines())
                    if colon and key.strip() in wanted)

    def devices(self) -> None:
        self.result["devices_text"] = self.semg_train(120, "devices", "--verbose")
        with contextlib.suppress(StageError, ValueError):
            self.result["devices"] = json.loads(self.semg_train(60, "devices", "--json"))

    # MARK: Comparisons

    def parity_quick(self) -> None:
        self.parity("parity_quick", 150, "--quick")

    def parity_half(self) -> None:
        self.parity("parity_half", 150, "--quick", "--precision", "fp16")

    def parity_full(self) -> None:
        self.parity("parity", 120)

    def parity_full_half(self) -> None:
        self.parity("parity_full_half", 120, "--precision", "fp16")

    def parity(self, name: str, limit: float, *words: str) -> None:
        words = ("--device", self.device, *words)
        if self.options.rehearse and "--quick" not in words:
            words = (*words, "--quick")
        try:
            said = self.semg_train(limit, "parity", "--json", *words, accepted=MISSED)
        except StageError:
            # The document comes at the end; the table comes line by line and says where it ended.
            if self.left() > 20:
                with contextlib.suppress(StageError):
                    self.semg_train(30, "parity", *words, accepted=MISSED)
            raise
        if not said.strip():
            raise StageError("parity printed nothing; log.txt has what it said")
        self.result[name] = json.loads(said)

    def second_way(self) -> None:
        """The kernels that were compiled beforehand, through the CUDA driver."""
        if self.options.rehearse:
            # On whatever device OpenCL has, the instructions emulated: as few as show every kernel.
            return self.prepared("second_way", 150, "--through", "opencl-emulated", "--batch", "1",
                                 "--one-each")
        return self.prepared("second_way", 130, "--through", "cuda")

    def opencl_binary(self) -> None:
        """Whether NVIDIA's OpenCL takes PTX for a program's binary."""
        self.prepared("opencl_binary", 60, "--through", "opencl-ptx", "--one-each")

    def prepared(self, name: str, limit: float, *words: str) -> None:
        seconds = max(5.0, min(limit * self.sizes.wait, self.left()) - 5)
        library = self.bundle / "lib" / "libOpenCL.so.1"
        if "cuda" not in words and library.exists():
            words = (*words, "--library", str(library))
        said = self.script(limit, "second_way.py", *words, "--seconds", f"{seconds:.0f}",
                           accepted=(0, 1))
        if not said.strip():
            raise StageError("second_way.py printed nothing; log.txt has what it said")
        self.result[name] = found = json.loads(said)
        if found.get("dropped"):
            self.drop(f"{found['dropped']} launches")

    # MARK: Speed

    def prepare_torch(self) -> None:
        """Compiles in the background what is going to be timed, the smaller batch first."""
        if self.options.no_torch:
            return
        self.ready = ready = set()
        count = 1 if self.options.set == "measure" else 2
        work = [(model, batch, mode) for batch in self.sizes.batches[:count] for mode in MODES
                for model in MODELS]
        def prepare() -> None:
            for model, batch, mode in work:
                if self.stop_preparing.is_set():
                    return
                with contextlib.suppress(StageError):
                    self.torch.ask(240 * self.sizes.wait, model=model, batch=batch, mode=mode,
                                   work="train", seconds=0)
                    ready.add((model, batch, mode))
        self.helpers["torch"] = threading.Thread(target=prepare, daemon=True)
        self.helpers["torch"].start()

    def record(self, side: str, batch: int, work: str, model: str, function: Callable) -> None:
        key = f"{work} {batch} {model}"
        if self.left() < 10:
            return self.drop(f"{side} of {model}")
        place = self.result["speed"].setdefault(key, {}).setdefault(side, {"runs": []})
        try:
            place["runs"].append(function())
            place.pop("problem", None)
        except (StageError, ValueError, KeyError) as error:
            place["problem"] = str(error)
            self.log.write(f"{key}, {side}: {error}", say=True)
        self.save()
        return None

    def ours(self, model: str, batch: int, *precisions: str) -> None:
        """One that is refused costs a moment."""
        for precision in precisions or ("fp16", "fp32"):
            def measure() -> dict:
                words = ["benchmark", "--device", self.device, "--models", model, "--batch-size",
                         str(batch), "--seconds", str(self.sizes.seconds), "--precision", precision,
                         "--json"]
                document = json.loads(self.semg_train(60, *words))
                return {**document["models"][model], "device": document["device"]}
            side = "ours" if precision == "fp32" else f"ours-{precision}"
            self.record(side, batch, "train", model, measure)

    def profile(self, model: str, precision: str = "fp16") -> None:
        """Where a step's time goes, kernel by kernel; its times are not for the table of speeds."""
        said = self.semg_train(
            120, "benchmark", "--profile", "--device", self.device, "--models", model,
            "--batch-size", str(self.sizes.batches[0]), "--steps", str(self.sizes.steps),
            "--precision", precision, "--json")
        place = self.result.setdefault("profiles", {})
        place[f"{model} {precision}"] = {
            **json.loads(said)["models"][model], "batch": self.sizes.batches[0]}

    def profiles(self) -> None:
        for model in MODELS:
            self.profile(model)

    def theirs(self, model: str, batch: int, mode: str, work: str = "train") -> None:
        if self.options.no_torch:
            return
        def measure() -> dict:
            # To compile it now would take the time of all others.
            late = self.ready is not None and (model, batch, mode) not in self.ready
            if late and "compile" in mode and work == "train" and mode in MODES:
                raise StageError("it was not compiled when the measurements began")
            limit = min(60 * self.sizes.wait, self.left() - 5)
            return self.torch.ask(limit, model=model, batch=batch, mode=mode, work=work,
                                  seconds=self.sizes.seconds)
        self.record(mode, batch, work, model, measure)
        self.result["torch"] = self.torch.about or self.result.get("torch", {})

    def speed(self, batch: int, rounds: int, modes: tuple[str, ...], *precisions: str) -> None:
        """Rounds of ours, then PyTorch's modes, a model at a time."""
        self.settle("torch", "recordings")
        self.clocks(f"before batch {batch}")
        for turn in range(rounds):
            for model in MODELS:
                # Single precision once: it runs against nothing that is close to it.
                self.ours(model, batch, *(precisions or ("fp16", "fp32")[: 1 if turn else 2]))
                for mode in modes:
                    self.theirs(model, batch, mode)
        self.clocks(f"after batch {batch}")

    def speed_small(self) -> None:
        self.speed(self.sizes.batches[0], self.sizes.rounds,
                   ("graph-compile", "graph", "compile", "amp"))

    def speed_large(self) -> None:
        self.speed(self.sizes.batches[1], 1, ("amp", "graph"))

    def speed_more(self) -> None:
        """PyTorch's other modes, with ours once more beside them."""
        self.settle("torch", "recordings")
        for batch in self.sizes.batches:
            for model in MODELS:
                self.ours(model, batch)
                for mode in ("fp32", "tf32", "amp-last", "compile-last"):
                    self.theirs(model, batch, mode)

    def predict(self) -> None:
        self.settle("torch", "recordings")
        for batch in self.sizes.batches:
            for model in MODELS:
                for mode in ("compile", "amp", "fp32"):
                    self.theirs(model, batch, mode, work="predict")

    def clocks(self, when: str) -> None:
        fields = "clocks.sm,clocks.mem,power.draw,temperature.gpu,utilization.gpu"
        with contextlib.suppress(StageError, OSError):
            said = self.command(15, "nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader")
            self.result.setdefault("clocks", {})[when] = said.strip()

    def warm_start(self) -> None:
        """What a run spends before its first step, with the caches as they were carried."""
        for model in MODELS:
            start = time.monotonic()
            self.semg_train(
                60, "benchmark", "--device", self.device, "--models", model, "--batch-size",
                str(self.sizes.batches[0]), "--steps", "1", "--precision", "fp16", "--json")
            self.result.setdefault("warm_start", {})[model] = round(time.monotonic() - start, 1)

    # MARK: Recordings

    def unpack_recordings(self) -> None:
        cache = self.bundle / "recordings.cache"
        if not cache.exists():
            return
        def unpack() -> None:
            with contextlib.suppress(StageError):
                self.command(
                    200, sys.executable, str(self.bundle / "recordings_cache.py"), "unpack",
                    str(cache), str(self.work / "data"))
        self.helpers["recordings"] = threading.Thread(target=unpack, daemon=True)
        self.helpers["recordings"].start()

    def recordings(self) -> pathlib.Path:
        """Those to train on; a subject's alone in a rehearsal, where an hour would go into all."""
        data = self.options.data or self.work / "data"
        if not data.is_dir():
            raise StageError("no recordings: the archive holds none, or they were not unpacked")
        if not self.options.rehearse:
            return data
        few = self.work / "few"
        for session in sorted(path for path in data.iterdir() if path.is_dir()):
            subjects = sorted(path for path in session.iterdir() if path.is_dir())
            if subjects:
                target = few / session.name / subjects[0].name
                shutil.copytree(subjects[0], target, dirs_exist_ok=True)
        return few

    def train(self) -> None:
        self.train_in("train", "fp32", self.sizes.epochs)

    def train_half(self) -> None:
        self.train_in("train_half", "fp16", self.sizes.epochs)

    def train_long(self) -> None:
        """Both networks as a user trains them."""
        self.train_in("train_long", "fp16", self.sizes.long_epochs)

    def train_in(self, name: str, precision: str, epochs: int) -> None:
        self.settle("torch", "recordings")
        data, artifacts = self.recordings(), self.work / f"artifacts-{name}"
        minutes = 0.2 if self.options.rehearse else max(0.5, self.left() - 30) / 60
        said = self.semg_train(
            240, "train", "--device", self.device, "--precision", precision, "--data", str(data),
            "--output", str(artifacts), "--epochs", str(epochs), "--max-minutes",
            f"{minutes:.2f}", "--json")
        self.result[name] = {"epochs": epochs, "precision": precision, **json.loads(said)}
        history = artifacts / "history.csv"
        if history.exists():
            shutil.copy(history, self.out / f"history-{name}.csv")

    def evaluate(self) -> None:
        self.settle("torch", "recordings")
        folders = [self.work / f"artifacts-{name}" for name in ("train_long", "train")]
        artifacts = next((folder for folder in folders if folder.is_dir()), None)
        if artifacts is None:
            raise StageError("no artifacts: no training made any")
        data = str(self.recordings())
        for device in dict.fromkeys((self.device, "cpu")):
            said = self.semg_train(90, "evaluate", str(artifacts), "--data", data, "--part",
                                   "validation", "--device", device, "--json")
            self.result.setdefault("evaluate", {})[device] = json.loads(said)

    def tune(self) -> None:
        """What it finds is kept with the caches: later stages, and later calls, run with it."""
        self.settle("torch", "recordings")
        words = ["--precisions-only", "--batch-size", "2"] if self.options.rehearse else []
        self.result["tune"] = json.loads(
            self.semg_train(540, "tune", "--device", self.device, "--json", *words))
