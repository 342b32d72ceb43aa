"""Runs a few lines of PTX: what the tests of the interpreter share."""

import pathlib
import sys

import numpy as np

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SCRIPTS))

from ptx.copies import LATE  # noqa: E402
from ptx.execute import Launch, Program  # noqa: E402
from ptx.memory import GlobalMemory  # noqa: E402
from ptx.parse import parse  # noqa: E402

MODULE = """
.version 8.0
.target sm_80
.address_size 64

.visible .entry k({parameters}
)
{{
	.reg .pred 	%p<9>;
	.reg .b16 	%rs<9>;
	.reg .b32 	%r<60>;
	.reg .f32 	%f<60>;
	.reg .b64 	%rd<60>;
	.shared .align 16 .b8 tiles[{shared}];
{body}
	ret;

}}
"""


def program(body: str, parameters: int = 0, shared: int = 4096) -> Program:
    """A kernel of these lines; parameters are 64-bit, %r0 is %tid.x."""
    listed = ",".join(f"\n\t.param .u64 k_param_{index}" for index in range(parameters))
    loads = "\n".join(f"ld.param.u64 %rd{50 + index}, [k_param_{index}];"
                      for index in range(parameters))
    text = MODULE.format(parameters=listed, shared=shared,
                         body=f"mov.u32 %r0, %tid.x;\n{loads}\n{body}")
    return Program(parse(text)["k"])


def run(
    body: str, inputs: list[np.ndarray] = (), outputs: list[np.ndarray] = (), items: int = 32,
    groups: int = 1, copies: str = LATE, shared: int = 4096
) -> list[np.ndarray]:
    """What the lines leave of the outputs. %rd50 and so on are where inputs are, then outputs."""
    memory = GlobalMemory()
    addresses = [memory.add(f"input {i}", array) for i, array in enumerate(inputs)]
    addresses += [memory.add(f"output {i}", array, writable=True)
                  for i, array in enumerate(outputs)]
    program(body, len(addresses), shared).run(
        Launch((groups, 1, 1), items, addresses, copies), memory)
    return [memory.array(f"output {i}") for i in range(len(outputs))]


def of_lane(name: str, base: str, size: int) -> str:
    """Lines that put the address of a thread's own element into a register."""
    return f"mul.wide.u32 {name}, %r0, {size};\nadd.s64 {name}, {name}, {base};\n"
