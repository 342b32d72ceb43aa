"""The first contact with a machine: everything once and side by side, since nothing is timed."""

import threading
import time
from collections.abc import Callable

import caches
from machine import StageError
from race import MODELS, MODES
from stages import Stages

PACKING = 20.0  # seconds kept for the caches


class Smoke(Stages):
    def side_by_side(self) -> dict[str, Callable[[], None]]:
        """What runs at once, after `machine`."""
        work: dict[str, Callable[[], None]] = {
            "devices": self.devices, "parity-quick": self.parity_quick,
            "parity-half": self.parity_half, "second-way": self.second_way,
            "opencl-binary": self.opencl_binary}
        for model in MODELS:
            work[f"profile-{model}"] = lambda model=model: self.profile(model)
        if not self.options.no_torch:
            for model in MODELS:
                work[f"torch-{model}"] = lambda model=model: self.compile_torch(model)
        return work

    def compile_torch(self, model: str) -> None:
        """Every mode that `measure` times: compiled for the first time, or found broken."""
        worker = self.torch_worker()
        place = self.result.setdefault("torch_compile", {})
        failed = []
        try:
            for mode in MODES:
                limit = self.left() - 2
                if limit < 5:
                    failed.append(f"{mode}: the time was up")
                    continue
                try:
                    answer = worker.ask(limit, model=model, batch=self.sizes.batches[0], mode=mode,
                                        work="train", seconds=0)
                    place[f"{model} {mode}"] = round(answer["warm_up_seconds"], 1)
                except StageError as error:
                    failed.append(f"{mode}: {error}")
            self.result["torch"] = worker.about or self.result.get("torch", {})
        finally:
            worker.stop()
        if failed:
            raise StageError("; ".join(failed))

    def smoke(self) -> list[str]:
        """Runs all; returns the stages' names."""
        self.perform("machine", 60, self.machine)
        self.stage_end = self.end - PACKING
        # Only their limits bind these: what `perform` keeps for a stage alone is not touched.
        work = self.side_by_side()
        threads = {name: threading.Thread(target=self.note, args=(name, stage), daemon=True)
                   for name, stage in work.items()}
        for thread in threads.values():
            thread.start()
        for name, thread in threads.items():
            thread.join(timeout=max(0.1, self.left() + 3))
            if thread.is_alive():
                self.result["stages"][name] = {"state": "failed: it did not end in time"}
        self.stage_end = self.end + PACKING
        self.perform("caches", PACKING, self.pack_caches)
        return ["machine", *work, "caches"]

    def note(self, name: str, stage: Callable[[], None]) -> None:
        """A stage beside others."""
        started = time.monotonic()
        self.log.write(f"== {name}, beside others", say=True)
        try:
            stage()
            state = "done"
        except Exception as error:  # a thread that dies in silence would pass for one that hangs
            state = f"failed: {error}"
        seconds = round(time.monotonic() - started, 1)
        self.result["stages"][name] = {"state": state, "seconds": seconds}
        self.log.write(f"   {name}: {state} ({seconds} s)", say=True)
        self.save()

    def pack_caches(self) -> None:
        self.result["caches"]["packed"] = caches.pack(self.caches, self.out)
