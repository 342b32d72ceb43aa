"""An interpreter of the PTX that clang makes of the kernels for NVIDIA's tensor cores.

It runs the very assembly that a GPU's driver is given, on NumPy, an element a thread: what an
instruction means, PTX ISA 8.0 says (ldmatrix, mma and cp.async in its §9.7). It is stricter than a
GPU: an address out of bounds or not aligned, a read of what was never written, a race, a copy that
nobody awaited, and lanes that are apart where an instruction wants the whole warp are faults.

parse.py reads the text, memory.py holds and watches memory, copies.py the copies under way,
instructions.py and matrices.py say what instructions do, execute.py steps through a kernel.
"""
