"""Makes a Python virtual environment from a requirements file, or leaves a finished one alone.

usage: make_venv.py DIRECTORY REQUIREMENTS

A stamp in the directory names what it was made from: an interrupted or outdated one is made anew,
and a finished one costs nothing.
"""

import hashlib
import pathlib
import shutil
import subprocess
import sys
import time

ATTEMPTS = 3


def fingerprint(requirements: pathlib.Path) -> str:
    """What the environment depends on: the interpreter and the files' text, `-r` included."""
    digest = hashlib.sha256(f"{sys.version}\n{sys.prefix}\n".encode())
    for line in requirements.read_text().splitlines():
        digest.update(line.encode() + b"\n")
        if line.startswith("-r "):
            digest.update(fingerprint(requirements.parent / line[3:].strip()).encode())
    return digest.hexdigest()


def make(directory: pathlib.Path, requirements: pathlib.Path) -> pathlib.Path:
    """Returns the environment's interpreter; raises CalledProcessError when pip gives up."""
    python = directory / "bin" / "python"
    stamp = directory / "made-from.sha256"
    wanted = fingerprint(requirements)
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    shutil.rmtree(directory, ignore_errors=True)
    print(f"Making {directory} from {requirements} (once; some 3 GB)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    install = [
        str(python), "-m", "pip", "install", "--quiet", "--no-input",
        "--disable-pip-version-check", "--requirement", str(requirements),
    ]
    for attempt in range(1, ATTEMPTS + 1):
        if subprocess.run(install).returncode == 0:
            break
        if attempt == ATTEMPTS:
            raise subprocess.CalledProcessError(1, install)
        print(f"pip failed; trying again ({attempt} of {ATTEMPTS - 1})", flush=True)
        time.sleep(5 * attempt)
    stamp.write_text(wanted)
    return python


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        make(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"could not make {sys.argv[1]}: {error}")
