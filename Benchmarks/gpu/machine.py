"""The machine at hand: its OpenCL library, what our binary runs with, and the log of a run."""

import contextlib
import os
import pathlib
import subprocess
import threading

DRIVER_FOLDERS = (
    "/usr/local/nvidia", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/nvidia", "/usr/lib",
    "/usr/lib/wsl/lib", "/usr/local/cuda/lib64", "/opt/nvidia")
LARGEST_LOG = 12_000_000  # bytes


class StageError(Exception):
    """A stage went wrong; the others go on."""


class Log:
    """log.txt, and a line now and then for whoever watches."""

    def __init__(self, path: pathlib.Path):
        self.file = path.open("a", errors="replace")
        self.lock = threading.Lock()
        self.written = path.stat().st_size

    def write(self, text: str, say: bool = False) -> None:
        with self.lock:
            if self.written < LARGEST_LOG:
                self.file.write(text if text.endswith("\n") else text + "\n")
                self.file.flush()
                self.written += len(text)
        if say:
            print(text, flush=True)


def shortened(text: str, limit: int = 4000) -> str:
    """Documents are in report.json: the log has where they begin."""
    return text[:limit] + " …\n" if text.startswith(("{", "[")) and len(text) > limit else text


def is_64_bit(library: pathlib.Path) -> bool:
    with contextlib.suppress(OSError), library.open("rb") as file:
        return file.read(5) == b"\x7fELF\x02"
    return False


def find_opencl(folders=DRIVER_FOLDERS) -> tuple[pathlib.Path | None, list[str]]:
    """NVIDIA's OpenCL library: in the driver's folder, else where the dynamic loader knows it; and
    all places that were searched, with what of OpenCL was there."""
    searched: list[str] = []
    for folder in map(pathlib.Path, folders):
        below = folder.rglob if folder.name == "nvidia" else folder.glob
        names = sorted(below("lib*[oO]pen[cC][lL]*.so*"),
                       key=lambda path: (len(path.name), str(path)))
        searched.append(f"{folder}: " + (
            ", ".join(sorted({path.name for path in names})) if names
            else "nothing of OpenCL" if folder.is_dir() else "no such folder"))
        if found := [path for path in names
                     if path.name.startswith("libnvidia-opencl.so") and is_64_bit(path)]:
            return found[0], searched
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        listing = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, timeout=20)
        lines = [line.strip() for line in listing.stdout.splitlines()]
        searched.append("ldconfig -p: " + (
            ", ".join(line for line in lines if "opencl" in line.lower()) or "nothing of OpenCL"))
        for line in lines:
            name, _, place = line.partition(" => ")
            if name.startswith("libnvidia-opencl.so") and "x86-64" in name:
                return pathlib.Path(place), searched
    return None, searched


def prepare_environment(
    bundle: pathlib.Path, work: pathlib.Path, opencl: pathlib.Path | None
) -> dict[str, str]:
    """What our binary alone runs with: its libraries first, then the driver's; our own ICD list."""
    vendors = work / "vendors"
    vendors.mkdir(parents=True, exist_ok=True)
    if opencl:
        (vendors / "chosen.icd").write_text(f"{opencl}\n")
    folders = [str(bundle / "lib")] + ([str(opencl.parent)] if opencl else [])
    folders += [part for part in os.environ.get("LD_LIBRARY_PATH", "").split(":") if part]
    return {
        **os.environ, "OCL_ICD_VENDORS": str(vendors), "LD_LIBRARY_PATH": ":".join(folders),
        "HOME": os.environ.get("HOME", str(work)), "NO_COLOR": "1",
    }


def choose_libraries(bundle: pathlib.Path, environment: dict[str, str]) -> str:
    """Adds our own libstdc++ and libgomp where the binary does not start with the machine's;
    returns the binary's version, or throws what it said."""
    said = ""
    for extra in ("", f":{bundle / 'lib-common'}"):
        trial = {**environment, "LD_LIBRARY_PATH": environment["LD_LIBRARY_PATH"] + extra}
        done = subprocess.run([str(bundle / "bin" / "semg-train"), "--version"], env=trial,
                              capture_output=True, text=True, errors="replace", timeout=60)
        if done.returncode == 0:
            environment["LD_LIBRARY_PATH"] = trial["LD_LIBRARY_PATH"]
            return ", ".join(done.stdout.split("\n")).strip(", ")
        said += f"exit {done.returncode}: {done.stderr.strip()}\n"
    raise StageError(f"semg-train does not start here:\n{said}")
