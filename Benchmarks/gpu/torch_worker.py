"""PyTorch's side of the race: a process that times what it is asked for, a JSON line each way.

usage: torch_worker.py [--device cuda|cpu]

Asked {"model", "batch", "mode", "work": "train"|"predict", "seconds": s}, it answers
{"milliseconds": [of a step, one a block], "warm_up_seconds", …} or {"error"}. What was once made
(and compiled, and recorded) is kept. With "seconds" 0 it only makes it; else it runs s seconds to
warm up, and s seconds in blocks, as `semg-train benchmark --seconds` does. Batches lie on the device
already, drawn in turn from eight; no augmentation. The batch's size over the median is the speed.
"""

import argparse
import json
import os
import statistics
import sys
import time

import torch
import torch._dynamo

import torch_models
from torch_graph import RecordedStep, record, run_plainly

BLOCKS = 5
# How a mode computes: precision, memory order, compiled how, the whole step recorded or not. TF32 is on in "tf32" alone, though
# products in half precision never use it; what AMP leaves in float32 runs as float32.
MODES = {
    "fp32": {},
    "tf32": {"tf32": True},
    "amp": {"half": True},
    "amp-last": {"half": True, "channels_last": True},
    "compile": {"half": True, "compiled": "max-autotune"},
    "compile-last": {"half": True, "channels_last": True, "compiled": "max-autotune"},
    # In one CUDA graph: PyTorch's own kernels, and those that are compiled for these shapes.
    "graph": {"half": True, "recorded": True},
    "graph-compile": {
        "half": True, "compiled": "max-autotune-no-cudagraphs", "recorded": True},
}


class Work:
    """One network, its batches, and the function that does a step."""

    def __init__(self, device: torch.device, model: str, batch: int, mode: str, work: str):
        settings = MODES[mode]
        self.device, self.mode = device, settings
        self.on_gpu = device.type == "cuda"
        planar = settings.get("channels_last", False)
        torch.manual_seed(42)
        # Made on the device: the memory order of the kernels stays as built.
        self.model = torch_models.build(model, channels_last=planar).to(device)
        self.batches = [self.draw(batch, planar) for _ in range(8)]
        self.turn = 0
        training = work == "train"
        self.model.train(training)
        function = self.forward_loss if training else self.probabilities
        self.set_switches()
        if how := settings.get("compiled"):
            # Whole, and for this batch alone: anything less fails and is reported.
            function = torch.compile(function, mode=how, fullgraph=True, dynamic=False)
        self.function = function
        if training:
            self.optimizer = torch_models.optimizer(
                self.model, fused=self.on_gpu,
                capturable=self.on_gpu and settings.get("recorded", False))
            # The loss scale belongs to float16; the processor's AMP is bfloat16.
            scaled = self.on_gpu and settings.get("half", False)
            self.scaler = torch.amp.GradScaler(device.type, enabled=scaled)
        self.step = self.train if training else self.predict
        if settings.get("recorded"):
            recorder = record if self.on_gpu else run_plainly
            self.step = RecordedStep(torch, self.step, self.batches[0], recorder)

    def draw(self, batch: int, planar: bool):
        shape = (batch, torch_models.WINDOW, torch_models.CHANNELS)
        x = torch_models.arrange(torch.randn(shape, device=self.device), planar)
        label = torch.randint(torch_models.CLASSES, (batch,), device=self.device)
        y = torch.nn.functional.one_hot(label, torch_models.CLASSES).float()
        weights = torch.tensor([1.0, 1.5, 1.5, 1.0, 1.0], device=self.device)
        return x, y, y @ weights

    def precision(self):
        kind = torch.float16 if self.on_gpu else torch.bfloat16
        return torch.autocast(self.device.type, kind, enabled=self.mode.get("half", False))

    def forward_loss(self, x, y, weight):
        with self.precision():
            logits = self.model(x)
        return torch_models.loss(logits, y, weight)

    def probabilities(self, x):
        with self.precision():
            logits = self.model(x)
        return torch.softmax(logits.float(), 1)

    def train(self, x, y, weight):
        self.optimizer.zero_grad(set_to_none=True)
        value = self.function(x, y, weight)
        self.scaler.scale(value).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return value

    def predict(self, x, y, weight):
        with torch.no_grad():
            return self.function(x)

    def run(self, steps: int):
        """Does `steps` steps; returns the last one's result, which still may be under way."""
        self.set_switches()
        result = None
        for _ in range(steps):
            if self.mode.get("compiled") == "max-autotune":
                torch.compiler.cudagraph_mark_step_begin()
            result = self.step(*self.batches[self.turn % len(self.batches)])
            self.turn += 1
        return result

    def set_switches(self):
        """These are the process's, so each work sets them anew."""
        torch.backends.cuda.matmul.allow_tf32 = self.mode.get("tf32", False)
        torch.backends.cudnn.allow_tf32 = self.mode.get("tf32", False)
        torch.backends.cudnn.benchmark = True

    def wait(self):
        if self.on_gpu:
            torch.cuda.synchronize()

    def block(self, steps: int) -> float:
        """Milliseconds a step, by the device's clock where it has one."""
        self.wait()
        if not self.on_gpu:
            start = time.perf_counter()
            self.run(steps)
            return 1000 * (time.perf_counter() - start) / steps
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        self.run(steps)
        last.record()
        self.wait()
        return first.elapsed_time(last) / steps


def answer(request: dict, device: torch.device, works: dict) -> dict:
    key = tuple(request[name] for name in ("model", "batch", "mode", "work"))
    result: dict = {}
    if key not in works:
        start = time.perf_counter()
        made = Work(device, *key)
        # The first run compiles, the next ones record and replay the graphs.
        weights = next(made.model.parameters())
        before = weights.detach().clone()
        value = made.run(12 if made.on_gpu else 2)
        made.wait()
        if made.model.training and torch.equal(weights, before):
            raise ValueError(f"{key}: the weights have not moved")
        if not torch.isfinite(value).all():
            raise ValueError(f"{key}: not finite after the first steps")
        works[key] = made
        result["warm_up_seconds"] = time.perf_counter() - start
    work = works[key]
    if request["seconds"] > 0:
        wanted = 1000 * request["seconds"]
        steps = max(1, round(wanted / BLOCKS / max(warm_up(work, wanted), 1e-3)))
        times = [work.block(steps) for _ in range(BLOCKS)]
        result |= {"milliseconds": times, "steps": steps,
                   "samples_per_second": 1000 * request["batch"] / statistics.median(times)}
    return result


def warm_up(work: Work, wanted: float) -> float:
    """Runs for so many milliseconds at least; returns those of a step at the end."""
    steps, total = 1, 0.0
    while True:
        each = work.block(steps)
        total += each * steps
        if total >= wanted:
            return each
        steps = max(1, min(2 * steps, int(wanted / 4 / max(each, 1e-3))))


def description(device: torch.device) -> dict:
    about = {"torch": torch.__version__, "device": device.type, "cuda": torch.version.cuda,
             "threads": torch.get_num_threads()}
    if device.type == "cuda":
        about |= {"name": torch.cuda.get_device_name(), "cudnn": torch.backends.cudnn.version()}
    return about


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(parser.parse_args().device)
    # Whatever a library or a compiler prints goes to the log: the pipe holds answers alone.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # Every compiled network is a version of the same function; the default is too few.
    torch._dynamo.config.recompile_limit = 64
    print(json.dumps(description(device)), file=replies, flush=True)
    works: dict = {}
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), device, works)
        except Exception as error:  # whatever one mode fails of, the others are still wanted
            reply = {"error": f"{type(error).__name__}: {error}"[:2000]}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
