"""ldmatrix and mma.m16n8k16: which thread of a warp holds which elements of a matrix.

As the tables of PTX ISA 8.0 have it: §9.7.13.4.8 for the fragments of mma.m16n8k16 with halves,
§9.7.13.4.15 for ldmatrix. Threads of a warp are counted from zero; groups are four of them.
"""

import numpy as np

from .memory import Memory

WARP = 32
LANE = np.arange(WARP)
GROUP, IN_GROUP = LANE // 4, LANE % 4

# Row and column of each half of A [16, 16], by register, half of it, thread.
A_ROWS = np.stack([np.stack([GROUP + 8 * (register % 2)] * 2) for register in range(4)])
A_COLUMNS = np.stack([
    np.stack([IN_GROUP * 2 + half + 8 * (register // 2) for half in range(2)])
    for register in range(4)])
# The same of B [16, 8], in two registers.
B_ROWS = np.stack([
    np.stack([IN_GROUP * 2 + half + 8 * register for half in range(2)]) for register in range(2)])
B_COLUMNS = np.stack([np.stack([GROUP] * 2)] * 2)
# Row and column of each of four floats of C and D [16, 8], by register and thread.
C_ROWS = np.stack([GROUP + 8 * (register // 2) for register in range(4)])
C_COLUMNS = np.stack([IN_GROUP * 2 + register % 2 for register in range(4)])


def halves_of(registers: list[np.ndarray]) -> np.ndarray:
    """[registers, 2, warps, 32] floats of registers that hold a pair of halves a thread."""
    pairs = np.stack([register.view(np.float16).reshape(-1, WARP, 2) for register in registers])
    return pairs.transpose(0, 3, 1, 2).astype(np.float64)


def matrix(
    values: np.ndarray, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """[warps, rows, columns] from fragments [registers, 2, warps, 32]."""
    whole = np.zeros((values.shape[2], *shape))
    whole[:, rows, columns] = values.transpose(2, 0, 1, 3)
    return whole


def multiply_add(
    a: list[np.ndarray], b: list[np.ndarray], c: list[np.ndarray]
) -> list[np.ndarray]:
    """D = A·B + C of whole warps, registers [threads] of each; rounded once, at the end, which is
    more exact than a GPU must be."""
    left = matrix(halves_of(a), A_ROWS, A_COLUMNS, (16, 16))
    right = matrix(halves_of(b), B_ROWS, B_COLUMNS, (16, 8))
    sums = np.zeros((left.shape[0], 16, 8))
    sums[:, C_ROWS, C_COLUMNS] = np.stack(
        [register.reshape(-1, WARP) for register in c]).transpose(1, 0, 2)
    result = (left @ right + sums).astype(np.float32)
    found = result[:, C_ROWS, C_COLUMNS]  # [warps, registers, 32]
    return [np.ascontiguousarray(found[:, register]).reshape(-1) for register in range(4)]


def load_matrices(
    shared: Memory, places: np.ndarray, lanes: np.ndarray, count: int, turned: bool
) -> list[np.ndarray]:
    """Registers [threads] of `count` matrices of 8×8 halves a warp: threads 8j … 8j + 7 say where
    the rows of matrix j are. A thread has elements 2(i % 4) and the next of row i / 4; of matrices
    that are turned, of column i / 4."""
    which = (np.arange(len(lanes)) % WARP) < 8 * count
    rows = shared.read(places[which], 16, lanes[which]).reshape(-1, count, 8, 8)
    if turned:
        rows = rows.swapaxes(2, 3)
    low = rows[:, :, GROUP, IN_GROUP * 2].astype(np.uint32)
    high = rows[:, :, GROUP, IN_GROUP * 2 + 1].astype(np.uint32)
    pairs = low | high << np.uint32(16)
    return [np.ascontiguousarray(pairs[:, each]).reshape(-1) for each in range(count)]
