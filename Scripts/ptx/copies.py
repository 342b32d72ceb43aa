"""cp.async: copies from global into shared memory that arrive some time before they are awaited.

PTX leaves open when. They are made at once (EARLY) or when their thread waits for them (LATE): a
kernel must be right with both. In either case what they write is out of bounds until then.
"""

import dataclasses

import numpy as np

from .memory import NOBODY, UNIT, Fault, Memory

EARLY, LATE = "early", "late"
BYTES = 16
HALVES = BYTES // UNIT


@dataclasses.dataclass
class Batch:
    """Copies that one instruction began, a thread each: by thread, the units that they write, where
    they are from, how many bytes are from there (zeros follow), and the number of their group."""

    lanes: np.ndarray
    units: np.ndarray
    sources: np.ndarray
    sizes: np.ndarray
    groups: np.ndarray

    def where(self, which: np.ndarray) -> "Batch":
        return Batch(self.lanes[which], self.units[which], self.sources[which], self.sizes[which],
                     self.groups[which])


class Copies:
    def __init__(self, mode: str, threads: int, shared: Memory, memory: Memory) -> None:
        self.mode, self.shared, self.memory = mode, shared, memory
        self.committed = np.zeros(threads, np.int64)  # groups of each thread
        self.under_way: list[Batch] = []

    def begin(
        self, lanes: np.ndarray, places: np.ndarray, sources: np.ndarray, sizes: np.ndarray
    ) -> None:
        """Begins a copy a thread, of 16 bytes to a place in shared memory."""
        too_long = (sizes > BYTES) | (sizes % UNIT != 0)
        if too_long.any():
            first = int(np.argmax(too_long))
            raise Fault(f"copies {sizes[first]} bytes to 16", int(lanes[first]))
        odd = sources % BYTES != 0
        if odd.any():
            first = int(np.argmax(odd))
            raise Fault(f"copies from byte {sources[first]} of global memory, which is not a multiple"
                        f" of 16", int(lanes[first]))
        units = self.shared.units(places, BYTES, lanes)
        batch = Batch(lanes, units, sources, sizes, self.committed[lanes])
        values = self.values(batch)
        writers = np.broadcast_to(lanes[:, None], units.shape)
        is_coming = self.shared.coming[units] != NOBODY
        self.shared.refuse(
            is_coming & (self.shared.incoming[units] != values), writers, units,
            "two copies that differ are under way to it")
        self.shared.demand_writable(units, writers, values)
        self.shared.coming[units] = lanes[:, None]
        self.shared.incoming[units] = values
        self.shared.refuse(
            self.shared.incoming[units] != values, writers, units,
            "two copies that differ are under way to it")
        if self.mode == EARLY:
            self.shared.put(units, values, writers)
        self.under_way.append(batch)

    def values(self, batch: Batch) -> np.ndarray:
        """What comes from global memory, zeros behind it."""
        found = np.zeros((len(batch.lanes), HALVES), np.uint16)
        for size in np.unique(batch.sizes):
            if size > 0:
                which = batch.sizes == size
                width = BYTES if size == BYTES else UNIT
                for at in range(0, int(size), width):
                    found[which, at // UNIT:(at + width) // UNIT] = self.memory.read(
                        batch.sources[which] + at, width, batch.lanes[which])
        return found

    def commit(self, lanes: np.ndarray) -> None:
        self.committed[lanes] += 1

    def wait(self, lanes: np.ndarray, count: int) -> None:
        """Lets all copies of these threads arrive but those of their latest `count` groups."""
        waits = np.zeros(len(self.committed), bool)
        waits[lanes] = True
        left: list[Batch] = []
        for batch in self.under_way:
            arrives = waits[batch.lanes] & (
                batch.groups < self.committed[batch.lanes] - count)
            if arrives.all():
                self.arrive(batch)
                continue
            if arrives.any():
                self.arrive(batch.where(arrives))
                batch = batch.where(~arrives)
            left.append(batch)
        self.under_way = left

    def arrive(self, batch: Batch) -> None:
        writers = np.broadcast_to(batch.lanes[:, None], batch.units.shape)
        values = self.values(batch) if self.mode == LATE else self.shared.incoming[batch.units]
        self.shared.put(batch.units, values, writers)
        own = self.shared.coming[batch.units] == writers
        self.shared.coming[batch.units[own]] = NOBODY
