"""Runs the C loops (Sources/CVectorLoops) under the address and undefined-behaviour sanitizers.

usage: check_loops.py

Builds them with Tests/VectorLoopsCheck, which runs every loop over awkward sizes, by the clang of
the Swift toolchain; exits with 1 where a sanitizer or a check finds something. Seven seconds of
processor time. Without optimization: quickest to build, and nothing that a sanitizer looks for is
optimized away before it can.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOOPS = ROOT / "Sources" / "CVectorLoops"
CHECKS = ROOT / "Tests" / "VectorLoopsCheck"
OPTIONS = [
    "-std=gnu17", "-O0", "-g1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all", "-fno-omit-frame-pointer",
]


def compiler() -> str:
    """The clang beside `swift`, which compiles the loops for users too."""
    swift = shutil.which("swift")
    beside = pathlib.Path(swift).resolve().parent / "clang" if swift else None
    if beside and beside.exists():
        return str(beside)
    return shutil.which("clang") or "clang"


def main() -> int:
    sources = sorted(map(str, [*LOOPS.glob("*.c"), *CHECKS.glob("*.c")]))
    with tempfile.TemporaryDirectory() as folder:
        program = str(pathlib.Path(folder) / "check")
        built = subprocess.run(
            [compiler(), *OPTIONS, f"-I{LOOPS / 'include'}", f"-I{CHECKS}", *sources, "-o", program,
             "-lm"], capture_output=True, text=True)
        if built.returncode != 0:
            print(built.stdout + built.stderr, file=sys.stderr)
            return 1
        # The loops allocate nothing, and finding leaks is not possible in every container.
        return subprocess.run(
            [program], env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}).returncode and 1


if __name__ == "__main__":
    sys.exit(main())
