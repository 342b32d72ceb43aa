"""One process of semg-kernel-check that judges mutants, which share a program, one after another."""

import os
import pathlib
import queue
import subprocess
import threading
import time

HANGS = "hangs"
DAMAGED = 3  # exit status: judges no further, since memory is not as it was
PATIENCE = 20  # so much longer by the clock than by the processor


def processor_seconds(pid: int) -> float:
    """That a process has used; 0 where there is none."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(
    command: list[str], environment: dict[str, str], seconds: float
) -> tuple[dict[int, str | None], str]:
    """Which case caught each mutant that was judged, in their order, and how the process ended if
    before its end: it may say nothing for so many seconds of processor time."""
    process = subprocess.Popen(
        command, env=environment, text=True, errors="replace", stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout:
            lines.put(line.rstrip("\n"))
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    verdicts: dict[int, str | None] = {}
    is_done, ended = False, ""
    used, heard = 0.0, time.monotonic()
    while True:
        try:
            line = lines.get(timeout=1)
        except queue.Empty:
            if processor_seconds(process.pid) - used > seconds \
                    or time.monotonic() - heard > PATIENCE * seconds:
                ended = HANGS
                break
            continue
        if line is None:
            break
        used, heard = processor_seconds(process.pid), time.monotonic()
        kind, _, rest = line.partition(" ")
        number, _, name = rest.partition(" ")
        if kind == "caught":
            verdicts[int(number)] = name
        elif kind == "survives":
            verdicts[int(number)] = None
        is_done = is_done or line == "done"
    if ended:
        process.kill()
    status = process.wait()
    if not is_done and not ended:
        ended = "damaged" if status == DAMAGED else f"ends with {status}"
    return verdicts, ended
