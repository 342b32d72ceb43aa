"""Makes 2,625 recordings of 17 decimals from the five real subjects, for the reading benchmark.

usage: python make_recordings.py SYNAPSE_DIRECTORY OUTPUT_DIRECTORY

Each real recording is written under five subjects' names, its six decimals followed by eleven
random ones (seeded by the file's number), so that every value is as long as an exporter of doubles
writes it and no two files are the same.
"""

import pathlib
import re
import sys

import numpy as np

COPIES = 5
DIGITS = 11


def lengthen(text: bytes, generator: np.random.Generator) -> bytes:
    """Puts DIGITS random digits behind each number of a CSV with a header line and CRLF."""
    header, rows = text.split(b"\r\n", 1)
    cells = rows.rstrip(b"\r\n").replace(b"\r\n", b",\r\n").split(b",")
    random = generator.integers(10 ** (DIGITS - 1), 10**DIGITS, size=len(cells))
    longer = b",".join(cell + b"%d" % digits for cell, digits in zip(cells, random.tolist()))
    return header + b"\r\n" + longer.replace(b",\r\n", b"\r\n") + b"\r\n"


def make(source: pathlib.Path, target: pathlib.Path) -> None:
    files = sorted(source.rglob("*.csv"))
    if len(files) != 525:
        sys.exit(f"{source}: found {len(files)} recordings, expected the 525 of five subjects")
    subjects = sorted({re.search(r"subject_(\d+)", str(file)).group(1) for file in files})
    for number, file in enumerate(files):
        text = file.read_bytes()
        subject = subjects.index(re.search(r"subject_(\d+)", str(file)).group(1))
        for copy in range(COPIES):
            name = f"subject_{subject + 1 + len(subjects) * copy}"
            path = target / re.sub(r"subject_\d+", name, str(file.relative_to(source)))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(lengthen(text, np.random.default_rng([number, copy])))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    make(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
