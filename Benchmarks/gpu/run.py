"""semg-train and PyTorch side by side on a bare Linux machine with a GPU and no network.

usage: run.py [SET] [--out DIR] [--minutes M] [--stages a,b,…] [--caches DIR] [--rehearse]

SET says what is done, and within how long:
  smoke    first contact, 2.5 minutes: every kind of thing once, side by side; brings back the
           compilers' caches in pieces, cache-*.tar.xz.NN
  measure  8.3 minutes, in the order of their worth, with the caches that lie in --caches DIR
  all      9.3 minutes, without caches; what is meant where none is named

Unpacked from build/carry/carry.tar.xz it finds its binary, libraries and compiled kernels beside
it, the GPU's OpenCL library in the driver's folder, and PyTorch in the interpreter that runs it. A
stage that fails stops no other. After each, report.json, report.md and log.txt in DIR (default:
$OUT, else ./out) hold what there is. A report.json that lies in DIR already is gone on with: name by
--stages what is to be done again.

Elsewhere: --opencl-library FILE takes that OpenCL implementation, --device cpu none, --torch-python
FILE another interpreter; --rehearse does a few small steps in place of measurements, takes eight
times as long if it must, and its times mean nothing.
"""

import argparse
import os
import pathlib
import sys
from collections.abc import Callable

from race import REHEARSAL
from smoke import Smoke

HERE = pathlib.Path(__file__).resolve().parent
MINUTES = {"smoke": 2.5, "measure": 8.3, "all": 9.3}
Plan = dict[str, tuple[float, Callable[[], None]]]


def measure(race: Smoke) -> Plan:
    """Seconds at most and stage, in the order of their worth."""
    return {
        "machine": (20, race.machine), "warm-start": (45, race.warm_start),
        "speed-small": (150, race.speed_small), "train-long": (170, race.train_long),
        "parity-full-half": (60, race.parity_full_half), "parity": (60, race.parity_full),
        "train": (45, race.train), "speed-large": (60, race.speed_large),
        "evaluate": (40, race.evaluate), "tune": (400, race.tune)}


def everything(race: Smoke) -> Plan:
    return {
        "machine": (60, race.machine), "devices": (120, race.devices),
        "parity-quick": (180, race.parity_quick), "second-way": (90, race.second_way),
        "profiles": (120, race.profiles), "speed-small": (200, race.speed_small),
        "parity-half": (180, race.parity_half), "train": (150, race.train),
        "evaluate": (90, race.evaluate), "train-half": (150, race.train_half),
        "speed-large": (120, race.speed_large), "parity": (150, race.parity_full),
        "predict": (150, race.predict), "speed-more": (200, race.speed_more)}


def on_demand(race: Smoke) -> Plan:
    """Run where --stages names them."""
    return {"opencl-binary": (60, race.opencl_binary), "caches": (60, race.pack_caches)}


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", nargs="?", choices=list(MINUTES), default="all")
    parser.add_argument("--out", type=pathlib.Path,
                        default=pathlib.Path(os.environ.get("OUT") or "out"))
    parser.add_argument("--work", type=pathlib.Path, default=HERE / "work")
    parser.add_argument("--bundle", type=pathlib.Path, default=HERE)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--stages", help="of those of any set, in this order; default: the set's")
    parser.add_argument("--caches", type=pathlib.Path, help="where pieces of caches lie")
    parser.add_argument("--data", type=pathlib.Path, help="recordings in place of the archive's")
    parser.add_argument("--device", default="gpu", help="of semg-train; cpu to rehearse")
    parser.add_argument("--opencl-library", type=pathlib.Path)
    parser.add_argument("--torch-python", type=pathlib.Path)
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--rehearse", action="store_true")
    return parser


def main() -> int:
    parser = arguments()
    options = parser.parse_args()
    if options.caches and not options.caches.is_dir():
        parser.error(f"--caches {options.caches}: no such folder")
    if options.minutes is None:
        options.minutes = MINUTES[options.set] * (REHEARSAL.wait if options.rehearse else 1)
    race = Smoke(options)
    if options.set == "smoke" and not options.stages:
        return race.finish(race.smoke())
    plan = {"all": everything, "measure": measure, "smoke": measure}[options.set](race)
    known = {**on_demand(race), **measure(race), **everything(race), **plan}
    wanted = options.stages.split(",") if options.stages else list(plan)
    if unknown := [name for name in wanted if name not in known]:
        parser.error(f"no stage {', '.join(unknown)}: there are {', '.join(known)}")
    race.unpack_recordings()
    race.prepare_torch()
    # Which libraries the binary starts with is known in one process only.
    for name in wanted if wanted[0] == "machine" else ["machine", *wanted]:
        race.perform(name, *known[name])
    return race.finish(wanted)


if __name__ == "__main__":
    sys.exit(main())
