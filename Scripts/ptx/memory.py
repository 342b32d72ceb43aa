"""Memory that knows what lies where, what was written, and who touched it last."""

import dataclasses

import numpy as np

UNIT = 2  # bytes that are watched together: nothing smaller is accessed
NOBODY, SEVERAL = -1, -2


class Fault(Exception):
    """What a kernel must not do. `lane` is the first thread of those that do it, if one does."""

    def __init__(self, message: str, lane: int | None = None) -> None:
        super().__init__(message)
        self.lane = lane


@dataclasses.dataclass
class Clock:
    """How many barriers each thread's group and warp have passed; threads in their order."""

    group: np.ndarray  # of each thread
    warp: np.ndarray
    group_barriers: np.ndarray  # of each thread's group
    warp_barriers: np.ndarray

    @staticmethod
    def of(groups: int, items: int) -> "Clock":
        threads = np.arange(groups * items)
        return Clock(
            threads // items, threads // 32, np.zeros(len(threads), np.int32),
            np.zeros(len(threads), np.int32))


class Touches:
    """Who touched each unit last, and when: to tell a race."""

    def __init__(self, units: int) -> None:
        self.lane = np.full(units, NOBODY, np.int32)
        self.warp = np.full(units, NOBODY, np.int32)
        self.group = np.full(units, NOBODY, np.int32)
        self.group_time = np.zeros(units, np.int32)
        self.warp_time = np.zeros(units, np.int32)

    def conflicts(self, units: np.ndarray, lanes: np.ndarray, clock: Clock) -> np.ndarray:
        """Where another thread touched a unit and no barrier came in between."""
        before = self.lane[units]
        others = (before != NOBODY) & (before != lanes)
        if not others.any():
            return others
        same_warp = self.warp[units] == clock.warp[lanes]
        same_group = self.group[units] == clock.group[lanes]
        since = np.where(
            same_warp, self.warp_time[units] == clock.warp_barriers[lanes],
            self.group_time[units] == clock.group_barriers[lanes])
        return others & (since | ~same_group)

    def touch(self, units: np.ndarray, lanes: np.ndarray, clock: Clock, adds: bool) -> None:
        """Where it `adds`, those that touched a unit since the last barrier remain in mind."""
        if adds:
            remain = self.conflicts(units, lanes, clock)
            other_warp = remain & (self.warp[units] != clock.warp[lanes])
            other_group = remain & (self.group[units] != clock.group[lanes])
        self.lane[units] = lanes
        several = self.lane[units] != lanes
        self.warp[units] = clock.warp[lanes]
        several_warps = self.warp[units] != clock.warp[lanes]
        self.group[units] = clock.group[lanes]
        several_groups = self.group[units] != clock.group[lanes]
        if adds:
            several |= remain
            several_warps |= other_warp
            several_groups |= other_group
        self.lane[units[several]] = SEVERAL
        self.warp[units[several_warps]] = SEVERAL
        self.group[units[several_groups]] = SEVERAL
        self.group_time[units] = clock.group_barriers[lanes]
        self.warp_time[units] = clock.warp_barriers[lanes]


class Memory:
    """Bytes with their watch. Places are bytes from the beginning; `name` is for messages, which
    count bytes anew after each `span`: of a group, or a thread."""

    def __init__(self, name: str, size: int, clock: Clock | None, span: int = 0) -> None:
        self.name, self.clock, self.span = name, clock, span or max(1, size)
        size = -(-size // 16) * 16
        self.bytes = np.zeros(size, np.uint8)
        self.exists = np.zeros(size // UNIT, bool)
        self.is_constant = np.zeros(size // UNIT, bool)
        self.is_defined = np.zeros(size // UNIT, bool)
        self.begin_watch()

    def begin_watch(self) -> None:
        """Forgets who touched what: a kernel begins."""
        units = len(self.exists)
        self.reads, self.writes = Touches(units), Touches(units)
        # Threads whose copies are under way, and what comes with them.
        self.coming = np.full(units, NOBODY, np.int32)
        self.incoming = np.zeros(units, np.uint16)

    def units(self, places: np.ndarray, width: int, lanes: np.ndarray) -> np.ndarray:
        """Those of `width` bytes at each place, [places, units]; all there and aligned."""
        wrong = (places < 0) | (places + width > len(self.bytes))
        if not wrong.any():
            wrong = places % width != 0
            if wrong.any():
                first = int(np.argmax(wrong))
                raise Fault(
                    f"{self.name} at byte {places[first] % self.span}: {width} bytes must lie at a"
                    f" multiple of {width}", int(lanes[first]))
            units = (places // UNIT)[:, None] + np.arange(max(1, width // UNIT))
            wrong = ~self.exists[units].all(axis=1)
            if not wrong.any():
                return units
        first = int(np.argmax(wrong))
        raise Fault(
            f"{self.name}: {width} bytes at byte {places[first] % self.span} are out of bounds",
            int(lanes[first]))

    def refuse(self, wrong: np.ndarray, lanes: np.ndarray, units: np.ndarray, why: str) -> None:
        """A fault where anything is wrong; all three are [accesses, units]."""
        if wrong.any():
            first = int(np.argmax(wrong.reshape(-1)))
            place = int(units.reshape(-1)[first]) * UNIT
            raise Fault(f"{self.name} at byte {place % self.span}: {why}",
                        int(lanes.reshape(-1)[first]))

    def read(self, places: np.ndarray, width: int, lanes: np.ndarray) -> np.ndarray:
        """`width` bytes at each place as halves, [places, width / 2]."""
        units = self.units(places, width, lanes)
        readers = np.broadcast_to(lanes[:, None], units.shape)
        self.refuse(self.coming[units] != NOBODY, readers, units, "read while a copy is under way")
        self.refuse(~self.is_defined[units], readers, units, "read, but nothing was written there")
        if self.clock:
            self.refuse(
                self.writes.conflicts(units, readers, self.clock), readers, units,
                "read with no barrier after another thread's write")
            self.reads.touch(units.reshape(-1), readers.reshape(-1), self.clock, adds=True)
        return self.bytes.view(np.uint16)[units]

    def demand_writable(self, units: np.ndarray, writers: np.ndarray, values: np.ndarray) -> None:
        self.refuse(self.is_constant[units], writers, units, "written, but it is constant")
        if self.clock:
            changes = self.bytes.view(np.uint16)[units] != values
            matters = changes | ~self.is_defined[units]
            self.refuse(
                self.writes.conflicts(units, writers, self.clock) & matters, writers, units,
                "written with no barrier after another thread's write")
            self.refuse(
                self.reads.conflicts(units, writers, self.clock) & changes, writers, units,
                "written with no barrier after another thread's read")

    def write(self, places: np.ndarray, values: np.ndarray, lanes: np.ndarray) -> None:
        """Halves [places, count] to each place. Threads that write to one place write the same."""
        units = self.units(places, values.shape[1] * UNIT, lanes)
        writers = np.broadcast_to(lanes[:, None], units.shape)
        self.refuse(
            self.coming[units] != NOBODY, writers, units, "written while a copy is under way")
        self.demand_writable(units, writers, values)
        self.put(units, values, writers)
        self.refuse(
            self.bytes.view(np.uint16)[units] != values, writers, units,
            "written by two threads at once, which differ")

    def put(self, units: np.ndarray, values: np.ndarray, writers: np.ndarray) -> None:
        self.bytes.view(np.uint16)[units] = values
        self.is_defined[units] = True
        if self.clock:
            self.writes.touch(units.reshape(-1), writers.reshape(-1), self.clock, adds=False)


class GlobalMemory:
    """Buffers at addresses as a GPU might give them, far apart."""

    BASE = 0x7F5A_0000_0000
    GAP = 4096

    def __init__(self) -> None:
        self.arrays: dict[str, tuple[int, np.ndarray, bool, bool]] = {}
        self.end = self.GAP
        self.memory: Memory | None = None

    def add(
        self, name: str, array: np.ndarray, writable: bool = False, defined: bool = True
    ) -> int:
        """The address of a copy of the array; `defined` says whether it may be read as it is."""
        place = self.end
        self.arrays[name] = (place, np.ascontiguousarray(array), writable, defined)
        self.end = -(-(place + array.nbytes + self.GAP) // 256) * 256
        return self.BASE + place

    def begin(self, clock: Clock) -> Memory:
        """The memory for a kernel that begins now; what the one before left is in it."""
        if self.memory is None or len(self.memory.bytes) < self.end:
            before, self.memory = self.memory, Memory("global memory", self.end, clock)
            for place, array, writable, defined in self.arrays.values():
                span = slice(place // UNIT, (place + array.nbytes) // UNIT)
                self.memory.bytes[place:place + array.nbytes] = array.reshape(-1).view(np.uint8)
                self.memory.exists[span] = True
                self.memory.is_constant[span] = not writable
                self.memory.is_defined[span] = defined
            if before is not None:
                self.memory.bytes[:len(before.bytes)] = before.bytes
                self.memory.is_defined[:len(before.is_defined)] |= before.is_defined
        self.memory.clock = clock
        self.memory.begin_watch()
        return self.memory

    def array(self, name: str) -> np.ndarray:
        """What the buffer holds now."""
        place, array, _, _ = self.arrays[name]
        assert self.memory is not None, "no kernel has run"
        found = self.memory.bytes[place:place + array.nbytes]
        return found.view(array.dtype).reshape(array.shape).copy()

    def undefined(self, name: str) -> np.ndarray:
        """Which elements of the buffer nobody wrote, or not whole."""
        place, array, _, _ = self.arrays[name]
        assert self.memory is not None, "no kernel has run"
        span = slice(place // UNIT, (place + array.nbytes) // UNIT)
        units = self.memory.is_defined[span].reshape(*array.shape, array.itemsize // UNIT)
        return ~units.all(axis=-1)
