"""Packs all that a bare machine with a GPU needs into one archive, build/carry/carry.tar.xz.

usage: carry.py [--data DIR] [--binary FILE] [--output DIR]       (make carry)

Inside: the stripped release binary with the Swift runtime linked statically, the shared libraries
it needs but the C library's own and the driver's, the scripts that run there, the tensor-core
kernels compiled for NVIDIA's GPU by compile_launches.py, the recordings. Fails where the archive is
larger than 50 MB.
"""

import argparse
import datetime
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

import recordings_cache

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIMIT = 50_000_000  # bytes
SCRIPTS = (
    "run.py", "race.py", "stages.py", "smoke.py", "machine.py", "caches.py", "report.py",
    "recordings_cache.py", "torch_client.py", "torch_graph.py", "torch_models.py",
    "torch_worker.py", "second_way.py", "driver_cuda.py", "driver_opencl.py",
    "kernel_launches.py", "attention_launches.py")
# Of glibc, hence of the machine that runs it, like the dynamic loader.
SYSTEM = re.compile(
    r"^(linux-vdso|ld-linux[\w-]*|lib(c|m|dl|rt|pthread|resolv|util|anl|nsl|nss_\w+|mvec"
    r"|BrokenLocale|thread_db))\.so")
# Taken from here only where the machine has none that serves: a newer one is likely there.
COMMON = re.compile(r"^lib(stdc\+\+|gcc_s|gomp)\.so")


class CarryError(Exception):
    """The archive cannot be made as it should be."""


def libraries(ldd: str) -> dict[str, pathlib.Path]:
    """Name and place of every library in what `ldd` prints that the machine will not have."""
    found = {}
    for line in ldd.splitlines():
        name, arrow, place = line.strip().partition(" => ")
        if not arrow or SYSTEM.match(name):
            continue
        if place.startswith("not found"):
            raise CarryError(f"{name} is needed and not installed here")
        found[name] = pathlib.Path(place.rpartition(" (")[0])
    return found


def check_size(archive: pathlib.Path, limit: int = LIMIT) -> int:
    size = archive.stat().st_size
    if size > limit:
        raise CarryError(f"{archive}: {size:,} bytes, more than the {limit:,} allowed")
    return size


def build() -> pathlib.Path:
    """The binary that `make install` installs."""
    scratch = ROOT / "build" / "install"
    subprocess.run(
        ["swift", "build", "-c", "release", "--product", "semg-train", "--static-swift-stdlib",
         "--scratch-path", str(scratch)], cwd=ROOT, check=True)
    return scratch / "release" / "semg-train"


def output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def compile_kernels(folder: pathlib.Path) -> dict:
    """The second way in, compiled by what the tests are run with: it has NumPy and ptxas."""
    python = ROOT / "build" / "venv" / "bin" / "python"
    done = subprocess.run(
        [str(python if python.exists() else sys.executable), str(HERE / "compile_launches.py"),
         str(folder)], capture_output=True, text=True)
    if done.returncode:
        raise CarryError(f"{done.stderr.strip()}\n`make carry` installs what compiles them; "
                         "--no-kernels leaves them out")
    return json.loads(done.stdout)


def gather(binary: pathlib.Path, data: pathlib.Path | None, folder: pathlib.Path,
           with_kernels: bool = True) -> dict:
    """Fills `folder` with what the archive holds; returns what manifest.json says."""
    for name in SCRIPTS:
        shutil.copy(HERE / name, folder / name)
    (folder / "bin").mkdir()
    program = folder / "bin" / "semg-train"
    subprocess.run(["strip", "-o", str(program), str(binary)], check=True)
    program.chmod(0o755)
    needed = libraries(subprocess.run(
        ["ldd", str(binary)], capture_output=True, text=True, check=True).stdout)
    for name, place in needed.items():
        target = folder / ("lib-common" if COMMON.match(name) else "lib") / name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(place, target)
    manifest = {
        "made": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": output("git", "-c", "safe.directory=*", "rev-parse", "--short", "HEAD"),
        "changed": bool(output("git", "-c", "safe.directory=*", "status", "--porcelain")),
        "libraries": sorted(needed), "recordings": None, "kernels": None,
    }
    if with_kernels:
        manifest["kernels"] = compile_kernels(folder / "second-way")
    if data is not None:
        manifest["recordings"] = recordings_cache.pack(data, folder / "recordings.cache")
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def compress(folder: pathlib.Path, archive: pathlib.Path) -> None:
    """Level 1: most of it is noise, which a higher one would only take longer over."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_suffix(".part")
    with tarfile.open(unfinished, "w:xz", preset=1) as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    unfinished.replace(archive)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "../shared/data/synapse")
    parser.add_argument("--no-data", action="store_true", help="leave the recordings out")
    parser.add_argument("--no-kernels", action="store_true", help="leave the compiled kernels out")
    parser.add_argument("--binary", type=pathlib.Path, help="take this one, build none")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/carry")
    options = parser.parse_args()
    data = None if options.no_data else options.data
    if data is not None and not data.is_dir():
        sys.exit(f"{data}: no directory of recordings; name one by --data, or give --no-data")
    archive = options.output / "carry.tar.xz"
    try:
        with tempfile.TemporaryDirectory() as folder:
            manifest = gather(options.binary or build(), data, pathlib.Path(folder),
                              not options.no_kernels)
            compress(pathlib.Path(folder), archive)
        size = check_size(archive)
    except CarryError as error:
        sys.exit(f"carry.py: {error}")
    print(f"{archive}: {size:,} bytes; recordings: {manifest['recordings']}; "
          f"kernels: {manifest['kernels']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
