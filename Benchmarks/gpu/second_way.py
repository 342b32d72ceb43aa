"""Runs the tensor-core kernels that were compiled beforehand, compares them with NumPy, times them.

usage: second_way.py [FOLDER] [--through cuda|opencl-ptx|opencl-emulated] [--batch N] [--one-each]

The way in where NVIDIA's compiler of OpenCL refuses the kernels or is not there: FOLDER (default:
second-way beside this file) holds cubins and PTX. Each launch of launches.txt is loaded through the
CUDA driver, run on random halves, compared, and timed by the driver's events. `opencl-ptx` asks
NVIDIA's OpenCL to take the PTX as a program's binary, `opencl-emulated` builds the source with the
instructions emulated, on whatever device OpenCL has.

Standard output is a JSON document. Launches run in a process of their own, which is started again
behind a launch that it does not survive.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import threading
import time

import numpy as np

import kernel_launches
from driver_cuda import Cuda, DriverError
from driver_opencl import OpenCL
from kernel_launches import BATCH, LaunchError

HERE = pathlib.Path(__file__).resolve().parent
WAYS = ("cuda", "opencl-ptx", "opencl-emulated")
# For one launch, loading and comparing included; an emulated one is compiled for minutes.
SECONDS = {"cuda": 60.0, "opencl-ptx": 60.0, "opencl-emulated": 600.0}
TARGET = re.compile(rb"(?m)^(\.target sm_\w+)$")
TIMED = (10, 50)  # launches to warm up, and to time


def files(folder: pathlib.Path, entry: dict, way: str) -> list[pathlib.Path]:
    """What the way loads, the best first."""
    if way == "opencl-emulated":
        return [folder / entry["source"]]
    endings = {"cuda": ("cubin", "ptx"), "opencl-ptx": ("ptx",)}[way]
    found = [folder / f"{entry['binary']}.{ending}" for ending in endings]
    return [path for path in found if path.exists()]


def images(path: pathlib.Path, way: str) -> list[tuple[str, bytes]]:
    """A file as it is; for OpenCL also as NVIDIA's compiler of OpenCL has it, which says of every
    module how textures are meant."""
    image = path.read_bytes()
    if way != "opencl-ptx":
        return [(path.name, image)]
    marked = TARGET.sub(rb"\1, texmode_independent", image)
    return [(path.name, image), (f"{path.name}, texmode_independent", marked)]


def driver(way: str, folder: pathlib.Path, entry: dict, library: str | None):
    given = [library] if library else []
    if way == "cuda":
        return Cuda(*given)
    options = ["-cl-std=CL1.2", "-cl-mad-enable", *entry["defines"]]
    if way == "opencl-emulated":
        options += ["-DEMULATED=2", f"-I {folder / 'kernels'}"]
    return OpenCL(*given, options=" ".join(options))


def load(device, folder: pathlib.Path, entry: dict, way: str):
    """(function, what it was loaded from, what was refused before)"""
    refused = []
    for path in files(folder, entry, way):
        for name, image in images(path, way):
            try:
                module = device.module(image, is_source=path.suffix == ".cl")
                return device.function(module, entry["kernel"]), name, refused
            except DriverError as error:
                refused.append(f"{name}: {error}")
                if error.ends:
                    raise
    raise DriverError("; ".join(refused) or "there is nothing to load")


def measure(device, folder: pathlib.Path, entry: dict, way: str, batch: int) -> dict:
    """One launch: {"launch", "loaded", "pass", "outputs", "milliseconds", "tflops", …}."""
    launch = kernel_launches.Launch.of_entry(entry)
    function, loaded, refused = load(device, folder, entry, way)
    case = launch.case(batch)
    places = {name: device.upload(array) for name, array in case.arrays.items()}
    bound = [(kind, places[value] if kind == "array" else value)
             for kind, value in kernel_launches.bind(entry["parameters"], case)]
    run = device.launcher(function, case.grid, launch.items, bound)
    run()
    device.wait()
    outputs = [
        kernel_launches.judge(output, device.download(places[output.name],
                                                      case.arrays[output.name]))
        for output in case.outputs()]
    result = {
        "launch": launch.text, "loaded": loaded, "refused": refused,
        "pass": all(output["pass"] for output in outputs), "outputs": outputs,
        **device.attributes(function)}
    if way != "opencl-emulated":
        device.milliseconds(run, TIMED[0])
        milliseconds = device.milliseconds(run, TIMED[1])
        result |= {"milliseconds": milliseconds,
                   "tflops": launch.operations(batch) / milliseconds * 1e-9}
    for place in places.values():
        device.free(place)
    return result


def work(options: argparse.Namespace, entries: list[dict]) -> None:
    """Launches from number `--first` on, a line each; an error that ends the process is its last."""
    device = None
    for entry in entries[options.first :]:
        try:
            if device is None or options.through != "cuda":
                device = driver(options.through, options.folder, entry, options.library)
            if entry is entries[0]:
                print(json.dumps({"about": device.about()}), flush=True)
            reply = measure(device, options.folder, entry, options.through, options.batch)
        except (DriverError, LaunchError, OSError) as error:
            launch = kernel_launches.Launch.of_entry(entry)
            reply = {"launch": launch.text, "pass": False, "error": str(error)[:2000]}
            if device is None or getattr(error, "ends", False):
                reply["ends"] = True
        print(json.dumps(reply), flush=True)
        if reply.get("ends"):
            return


def attempt(command: list[str], limit: float, seconds: float) -> tuple[list[dict], str]:
    """Lines of a worker, and why it ended: "" where it was done. It is stopped where `seconds` pass
    without a line, or `limit` in all."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lines: list[dict] = []
    last, reason = time.monotonic(), ""
    end = last + limit

    def watch() -> None:
        nonlocal reason
        while process.poll() is None:
            now = time.monotonic()
            if now - last > seconds or now > end:
                reason = f"was stopped after {now - last:.0f} s"
                process.kill()
                return
            time.sleep(0.05)

    threading.Thread(target=watch, daemon=True).start()
    for line in process.stdout:
        lines.append(json.loads(line))
        last = time.monotonic()
    code = process.wait()
    return lines, reason or (f"died of signal {-code}" if code < 0 else
                             f"exited with {code}" if code else "")


def run_all(options: argparse.Namespace, entries: list[dict]) -> dict:
    """All launches; a worker that dies or hangs costs its own launch."""
    result: dict = {"through": options.through, "batch": options.batch, "launches": []}
    end = time.monotonic() + options.seconds
    while len(result["launches"]) < len(entries):
        done = len(result["launches"])
        if time.monotonic() > end:
            result["dropped"] = len(entries) - done
            break
        command = [sys.executable, __file__, *options.words, "--worker", "--first", str(done)]
        lines, reason = attempt(command, end - time.monotonic(),
                                SECONDS[options.through])
        for line in lines:
            if "about" in line:
                result |= line
            else:
                result["launches"].append(line)
        if len(result["launches"]) == done or (reason and len(result["launches"]) < len(entries)):
            entry = entries[len(result["launches"])]
            launch = kernel_launches.Launch.of_entry(entry)
            result["launches"].append({
                "launch": launch.text, "pass": False,
                "error": f"the process {reason or 'said nothing'}"})
        if "about" not in result:  # the driver itself is not there: no other launch will find it
            result["dropped"] = len(entries) - len(result["launches"])
            break
    result["passed"] = sum(launch["pass"] for launch in result["launches"])
    result["missed"] = len(result["launches"]) - result["passed"]
    return result


def one_each(entries: list[dict]) -> list[dict]:
    """The first launch of each kernel."""
    return list({entry["kernel"]: entry for entry in reversed(entries)}.values())[::-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=HERE / "second-way")
    parser.add_argument("--through", choices=WAYS, default="cuda")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--one-each", action="store_true", help="one launch of each kernel")
    parser.add_argument("--library", help="of the driver, in place of the usual one")
    parser.add_argument("--seconds", type=float, default=300, help="for all launches")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.words = sys.argv[1:]
    try:
        entries = json.loads((options.folder / "manifest.json").read_text())["launches"]
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"{options.folder}: no manifest of compiled kernels: {error}")
    if options.one_each:
        entries = one_each(entries)
    # What overflows is told apart by its bound.
    np.seterr(all="ignore")
    if options.worker:
        work(options, entries)
        return 0
    result = run_all(options, entries)
    print(json.dumps(result))
    return 1 if result["missed"] or result.get("dropped") else 0


if __name__ == "__main__":
    sys.exit(main())
