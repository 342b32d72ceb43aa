"""What the stages share: time left, commands with limits, the report as it grows."""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import caches
import report as report_text
from machine import Log, StageError, find_opencl, prepare_environment, shortened
from torch_client import TorchWorker

MODELS = ("inception-se", "semg-net")
# PyTorch's, what compiles longest at the end.
MODES = ("amp", "graph", "graph-compile", "compile")


@dataclasses.dataclass
class Sizes:
    """How much is measured: for real, or to see that everything works."""

    batches: tuple[int, int] = (128, 1024)
    seconds: float = 2.0  # a run: to warm up, and again to measure
    rounds: int = 2
    epochs: int = 6
    long_epochs: int = 60
    steps: int = 20  # of a profile
    patience: float = 45.0  # for what PyTorch still compiles, before the first measurement
    wait: float = 1.0  # multiplies each limit


REHEARSAL = Sizes(
    batches=(4, 8), seconds=0.01, rounds=1, epochs=1, long_epochs=1, steps=2, wait=8.0)


class Race:
    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.bundle = options.bundle.resolve()
        self.out = options.out.resolve()
        self.work = options.work.resolve()
        for folder in (self.out, self.work):
            folder.mkdir(parents=True, exist_ok=True)
        self.sizes = REHEARSAL if options.rehearse else Sizes()
        self.end = self.stage_end = time.monotonic() + 60 * options.minutes
        self.log = Log(self.out / "log.txt")
        self.saving = threading.Lock()
        self.result: dict = {"stages": {}, "speed": {}}
        with contextlib.suppress(OSError, ValueError):
            self.result |= json.loads((self.out / "report.json").read_text())
        self.opencl, self.searched = (
            (options.opencl_library, []) if options.opencl_library else find_opencl())
        self.device = options.device
        self.caches = self.work / "caches"
        self.result.setdefault("caches", {})["carried"] = (
            caches.unpack(options.caches, self.caches) if options.caches else {})
        self.environment = prepare_environment(self.bundle, self.work, self.opencl)
        self.environment |= caches.environment(self.caches)
        if options.rehearse:
            # A processor's OpenCL compiles for minutes what a GPU's does in seconds.
            self.environment["SEMG_SELF_CHECK_SECONDS"] = f"{180 * self.sizes.wait:.0f}"
        self.torch = self.torch_worker()
        self.stop_preparing = threading.Event()
        self.helpers: dict[str, threading.Thread] = {}
        self.dropped: list[str] = []
        # (model, batch, mode) that PyTorch has compiled before the measurements; None: nobody tried.
        self.ready: set[tuple[str, int, str]] | None = None

    def torch_worker(self) -> TorchWorker:
        python = str(self.options.torch_python or sys.executable)
        return TorchWorker([python, str(self.bundle / "torch_worker.py")], self.log,
                           {**os.environ, **caches.environment(self.caches)})

    def left(self) -> float:
        """Seconds of the stage, and of all."""
        return min(self.end, self.stage_end) - time.monotonic()

    def save(self) -> None:
        with self.saving:
            for name, text in (("report.json", json.dumps(self.result, indent=1)),
                               ("report.md", report_text.markdown(self.result))):
                unfinished = self.out / f"{name}.part"
                unfinished.write_text(text + "\n")
                unfinished.replace(self.out / name)

    def drop(self, what: str) -> None:
        """What a stage leaves out, since its time is up; the report says so."""
        self.dropped.append(what)
        self.log.write(f"   left out, the time was up: {what}", say=True)

    def command(self, limit: float, *words: str, environment: dict | None = None,
                accepted: tuple[int, ...] = (0,)) -> str:
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
        if process.returncode not in accepted:
            last = "\n".join((complained or said).strip().splitlines()[-6:])
            raise StageError(f"`{name}` exited with {process.returncode}: {last}")
        return said

    def semg_train(self, limit: float, *words: str, accepted: tuple[int, ...] = (0,)) -> str:
        """Standard output of our program, on the chosen OpenCL device where that is named gpu."""
        return self.command(limit, str(self.bundle / "bin" / "semg-train"), *words,
                            environment=self.environment, accepted=accepted)

    def script(self, limit: float, name: str, *words: str, accepted: tuple[int, ...] = (0,)) -> str:
        """Standard output of one of our scripts, with PyTorch's interpreter: it has NumPy."""
        python = str(self.options.torch_python or sys.executable)
        return self.command(limit, python, str(self.bundle / name), *words,
                            environment=self.environment, accepted=accepted)

    def settle(self, *names: str) -> None:
        """Nothing of ours runs beside a measurement. PyTorch's preparation is waited for, since its
        fastest modes need it; then what is under way ends, and no more begins."""
        if "torch" in names and (helper := self.helpers.get("torch")):
            patience = min(self.sizes.patience * self.sizes.wait, self.left() / 3)
            helper.join(timeout=max(0.0, patience))
        self.stop_preparing.set()
        for name in names:
            if helper := self.helpers.get(name):
                helper.join(timeout=max(1.0, min(60 * self.sizes.wait, self.left() / 4)))
                if helper.is_alive() and name == "torch":
                    self.drop("what PyTorch was still compiling")
                    self.torch.stop()

    def perform(self, name: str, limit: float, stage: Callable[[], None]) -> None:
        """One stage, whatever becomes of it."""
        started = time.monotonic()
        self.stage_end = started + limit * self.sizes.wait
        self.dropped = []
        if self.left() < 10:
            self.result["stages"][name] = {"state": "not begun: the time was up"}
            return
        self.log.write(f"== {name} ({self.end - started:.0f} s left)", say=True)
        try:
            stage()
            state = "done"
        except (StageError, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            state = f"failed: {error}"
        if self.dropped:
            state += f"; left out, the time was up: {', '.join(self.dropped)}"
        seconds = time.monotonic() - started
        self.result["stages"][name] = {"state": state, "seconds": round(seconds, 1)}
        self.log.write(f"   {name}: {state} ({seconds:.1f} s)", say=True)
        self.save()

    def finish(self, wanted: list[str]) -> int:
        """The report; 1 where a stage is not done."""
        self.stop_preparing.set()
        self.torch.stop()
        self.save()
        print(report_text.markdown(self.result))
        states = [self.result["stages"].get(name, {}).get("state", "") for name in wanted]
        return 0 if all(state.startswith("done") for state in states) else 1
