"""semg-train and PyTorch side by side on a bare Linux machine with a GPU and no network.

usage: run.py [--out DIR] [--minutes 9.3] [--stages a,b,…] [--rehearse]

Unpacked from build/carry/carry.tar.xz it finds its binary and libraries beside it, the GPU's OpenCL
library in the driver's folder, and PyTorch in the interpreter that runs it. Stages run in the order
of their worth, each within a limit; one that fails stops no other. After each, report.json,
report.md and log.txt in DIR (default: $OUT, else ./out) hold what there is. A report.json that lies
in DIR already is gone on with: name by --stages what is to be done again.

Elsewhere: --opencl-library FILE takes that OpenCL implementation, --device cpu none, --torch-python
FILE another interpreter; --rehearse does a few small steps in place of measurements: its times mean
nothing.
"""

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import report as report_text
from machine import Log, StageError, choose_libraries, find_opencl, prepare_environment, shortened
from torch_client import TorchWorker

HERE = pathlib.Path(__file__).resolve().parent
MODELS = ("inception-se", "semg-net")
# Run where --stages names them: minutes that nothing else waits for.
ON_DEMAND = ("tune",)


@dataclasses.dataclass
class Sizes:
    """How much is measured: for real, or to see that everything works."""

    batches: tuple[int, int] = (128, 1024)
    steps: int = 200  # of ours, a round
    seconds: float = 1.5  # of PyTorch, a round
    rounds: int = 2
    epochs: int = 6
    wait: float = 1.0  # multiplies each limit


REHEARSAL = Sizes(batches=(4, 8), steps=2, seconds=0.01, rounds=2, epochs=1, wait=6.0)


class Race:
    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.bundle = options.bundle.resolve()
        self.out = options.out.resolve()
        self.work = options.work.resolve()
        for folder in (self.out, self.work):
            folder.mkdir(parents=True, exist_ok=True)
        self.sizes = REHEARSAL if options.rehearse else Sizes()
        self.end = time.monotonic() + 60 * options.minutes
        self.log = Log(self.out / "log.txt")
        self.result: dict = {"stages": {}, "speed": {}}
        with contextlib.suppress(OSError, ValueError):
            self.result |= json.loads((self.out / "report.json").read_text())
        self.opencl = options.opencl_library or find_opencl()
        self.device = options.device
        self.environment = prepare_environment(self.bundle, self.work, self.opencl)
        python = str(options.torch_python or sys.executable)
        self.torch = TorchWorker([python, str(self.bundle / "torch_worker.py")], self.log)
        self.stop_preparing = threading.Event()
        self.helpers: dict[str, threading.Thread] = {}

    def left(self) -> float:
        return self.end - time.monotonic()

    def save(self) -> None:
        for name, text in (("report.json", json.dumps(self.result, indent=1)),
                           ("report.md", report_text.markdown(self.result))):
            unfinished = self.out / f"{name}.part"
            unfinished.write_text(text + "\n")
            unfinished.replace(self.out / name)

    def command(self, limit: float, *words: str, environment: dict | None = None) -> str:
        """Standard output of a command; all it says goes to the log."""
        limit = max(5.0, min(limit * self.sizes.wait, self.left()))
        name = " ".join([pathlib.Path(words[0]).name, *words[1:2]])
        self.log.write(f"$ {' '.join(words)}    [{limit:.0f} s at most]")
        process = subprocess.Popen(
            words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
            cwd=self.work)
        try:
            said, complained = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            said, complained = process.communicate()
            self.log.write(shortened(said) + complained)
            raise StageError(f"`{name}` was stopped after {limit:.0f} s") from None
        self.log.write(shortened(said) + complained)
        if process.returncode:
            last = "\n".join((complained or said).strip().splitlines()[-6:])
            raise StageError(f"`{name}` exited with {process.returncode}: {last}")
        return said

    def semg_train(self, limit: float, *words: str) -> str:
        """Standard output of our program, on the chosen OpenCL device where that is named gpu."""
        return self.command(limit, str(self.bundle / "bin" / "semg-train"), *words,
                            environment=self.environment)

    # Each stage stores what it found under its own name and may raise.

    def machine(self) -> None:
        about = self.result.setdefault("machine", {})
        about |= {
            "date": datetime.date.today().isoformat(), "system": platform.platform(),
            "libc": " ".join(platform.libc_ver()), "python": platform.python_version(),
            "cores": os.cpu_count(), "rehearsal": self.options.rehearse,
            "opencl_library": str(self.opencl) if self.opencl else None,
            "command": " ".join(["python3", *sys.argv]),
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
        self.result["devices_text"] = self.semg_train(90, "devices", "--verbose")
        self.result["devices"] = json.loads(self.semg_train(60, "devices", "--json"))

    def parity_quick(self) -> None:
        self.parity("parity_quick", 150, "--quick")

    def parity_half(self) -> None:
        self.parity("parity_half", 150, "--quick", "--precision", "fp16")

    def parity_full(self) -> None:
        self.parity("parity", 150)

    def parity(self, name: str, limit: float, *words: str) -> None:
        # Its exit code says no more than the document: a missed case is a result.
        binary = str(self.bundle / "bin" / "semg-train")
        target = self.work / f"{name}.json"
        script = '"$0" parity --json "$@"; code=$?; [ $code = 69 ] && exit 0; exit $code'
        words = ("--device", self.device, *words)
        try:
            said = self.command(limit, "/bin/sh", "-c", script, binary, *words,
                                environment=self.environment)
        except StageError:
            # The document comes at the end; the table comes line by line and says where it ended.
            with contextlib.suppress(StageError):
                self.semg_train(60, "parity", *words)
            raise
        if not said.strip():
            raise StageError("parity printed nothing; log.txt has what it said")
        target.write_text(said)
        self.result[name] = json.loads(said)

    def prepare_torch(self) -> None:
        """Compiles in the background what is going to be timed."""
        if self.options.no_torch:
            return
        def prepare() -> None:
            for batch in self.sizes.batches:
                for model in MODELS:
                    if self.stop_preparing.is_set():
                        return
                    with contextlib.suppress(StageError):
                        self.torch.ask(240 * self.sizes.wait, model=model, batch=batch,
                                       mode="compile", work="train", seconds=0)
        self.helpers["torch"] = threading.Thread(target=prepare, daemon=True)
        self.helpers["torch"].start()

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

    def settle(self, *names: str) -> None:
        """Nothing of ours runs beside a measurement: what is under way ends, no more begins."""
        self.stop_preparing.set()
        for name in names:
            if helper := self.helpers.get(name):
                helper.join(timeout=max(1.0, min(240 * self.sizes.wait, self.left() - 30)))
                if helper.is_alive() and name == "torch":
                    self.torch.stop()

    def record(self, side: str, batch: int, work: str, model: str, function: Callable) -> None:
        key = f"{work} {batch} {model}"
        place = self.result["speed"].setdefault(key, {}).setdefault(side, {"runs": []})
        try:
            place["runs"].append(function())
            place.pop("problem", None)
        except (StageError, ValueError, KeyError) as error:
            place["problem"] = str(error)
            self.log.write(f"{key}, {side}: {error}", say=True)
        self.save()

    def ours(self, model: str, batch: int) -> None:
        """Both precisions; one that is refused costs a moment."""
        for precision in ("fp32", "fp16"):
            def measure() -> dict:
                words = ["benchmark", "--device", self.device, "--models", model, "--batch-size",
                         str(batch), "--steps", str(self.sizes.steps), "--precision", precision,
                         "--profile", "--json"]
                document = json.loads(self.semg_train(60, *words))
                return {**document["models"][model], "device": document["device"]}
            side = "ours" if precision == "fp32" else f"ours-{precision}"
            self.record(side, batch, "train", model, measure)

    def theirs(self, model: str, batch: int, mode: str, work: str = "train") -> None:
        if self.options.no_torch:
            return
        def measure() -> dict:
            limit = min(200 * self.sizes.wait, self.left() - 10)
            return self.torch.ask(limit, model=model, batch=batch, mode=mode, work=work,
                                  seconds=self.sizes.seconds)
        self.record(mode, batch, work, model, measure)
        self.result["torch"] = self.torch.about or self.result.get("torch", {})

    def speed(self, batch: int) -> None:
        """Rounds of ours, then PyTorch's modes, a model at a time."""
        self.settle("torch", "recordings")
        self.clocks(f"before batch {batch}")
        for _ in range(self.sizes.rounds):
            for model in MODELS:
                self.ours(model, batch)
                for mode in ("compile", "amp", "fp32"):
                    self.theirs(model, batch, mode)
        self.clocks(f"after batch {batch}")

    def speed_small(self) -> None:
        self.speed(self.sizes.batches[0])

    def speed_large(self) -> None:
        self.speed(self.sizes.batches[1])

    def speed_more(self) -> None:
        """PyTorch's other modes, with ours once more beside them."""
        self.settle("torch", "recordings")
        for batch in self.sizes.batches:
            for model in MODELS:
                self.ours(model, batch)
                for mode in ("tf32", "amp-last", "compile-last"):
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
        self.train_in("train", "fp32")

    def train_half(self) -> None:
        self.train_in("train_half", "fp16")

    def train_in(self, name: str, precision: str) -> None:
        self.settle("torch", "recordings")
        data, artifacts = self.recordings(), self.work / f"artifacts-{precision}"
        short = ["--max-minutes", "0.2"] if self.options.rehearse else []
        said = self.semg_train(
            150, "train", "--device", self.device, "--precision", precision, "--data", str(data),
            "--output", str(artifacts), "--epochs", str(self.sizes.epochs), "--json", *short)
        self.result[name] = {"epochs": self.sizes.epochs, **json.loads(said)}
        history = artifacts / "history.csv"
        if history.exists():
            shutil.copy(history, self.out / f"history-{precision}.csv")

    def tune(self) -> None:
        """What it finds is kept in --work: later stages, and later calls, run with it."""
        self.settle("torch", "recordings")
        words = ["--precisions-only", "--batch-size", "2"] if self.options.rehearse else []
        self.result["tune"] = json.loads(
            self.semg_train(540, "tune", "--device", self.device, "--json", *words))

    def evaluate(self) -> None:
        self.settle("torch", "recordings")
        artifacts = self.work / "artifacts-fp32"
        if not artifacts.is_dir():
            raise StageError("no artifacts: the stage `train` made none")
        data = str(self.recordings())
        for device in dict.fromkeys((self.device, "cpu")):
            said = self.semg_train(90, "evaluate", str(artifacts), "--data", data, "--part",
                                   "validation", "--device", device, "--json")
            self.result.setdefault("evaluate", {})[device] = json.loads(said)

    def stages(self) -> dict[str, Callable[[], None]]:
        """In the order of their worth."""
        return {
            "machine": self.machine, "devices": self.devices, "parity-quick": self.parity_quick,
            "speed-small": self.speed_small, "parity-half": self.parity_half, "train": self.train,
            "evaluate": self.evaluate, "train-half": self.train_half,
            "speed-large": self.speed_large, "parity": self.parity_full, "predict": self.predict,
            "speed-more": self.speed_more, "tune": self.tune,
        }

    def run(self, wanted: list[str]) -> int:
        stages = self.stages()
        self.unpack_recordings()
        self.prepare_torch()
        # Which libraries the binary starts with is known in one process only.
        for name in wanted if wanted[0] == "machine" else ["machine", *wanted]:
            started = time.monotonic()
            if self.left() < 15:
                self.result["stages"][name] = {"state": "not begun: the time was up"}
                continue
            self.log.write(f"== {name} ({self.left():.0f} s left)", say=True)
            try:
                stages[name]()
                state = "done"
            except (StageError, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
                state = f"failed: {error}"
            seconds = time.monotonic() - started
            self.result["stages"][name] = {"state": state, "seconds": round(seconds, 1)}
            self.log.write(f"   {name}: {state} ({seconds:.1f} s)", say=True)
            self.save()
        self.stop_preparing.set()
        self.torch.stop()
        self.save()
        print(report_text.markdown(self.result))
        failed = [name for name in wanted if self.result["stages"][name]["state"] != "done"]
        return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path,
                        default=pathlib.Path(os.environ.get("OUT") or "out"))
    parser.add_argument("--work", type=pathlib.Path, default=HERE / "work")
    parser.add_argument("--bundle", type=pathlib.Path, default=HERE)
    parser.add_argument("--minutes", type=float, default=9.3)
    parser.add_argument("--stages", help="of those in the order of the script; default: all but tune")
    parser.add_argument("--data", type=pathlib.Path, help="recordings in place of the archive's")
    parser.add_argument("--device", default="gpu", help="of semg-train; cpu to rehearse")
    parser.add_argument("--opencl-library", type=pathlib.Path)
    parser.add_argument("--torch-python", type=pathlib.Path)
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--rehearse", action="store_true")
    options = parser.parse_args()
    race = Race(options)
    known = list(race.stages())
    wanted = options.stages.split(",") if options.stages else [
        name for name in known if name not in ON_DEMAND]
    if unknown := [name for name in wanted if name not in known]:
        parser.error(f"no stage {', '.join(unknown)}: there are {', '.join(known)}")
    return race.run(wanted)


if __name__ == "__main__":
    sys.exit(main())
