"""An OpenCL driver through ctypes: runs kernels from source, or from what another compiler made of
them, in the way that `driver_cuda.Cuda` runs modules."""

import ctypes
import time

import numpy as np

from driver_cuda import KINDS, DriverError

LIBRARY = "libOpenCL.so.1"
# Of CL/cl.h.
ALL_DEVICES = 0xFFFFFFFF
DEVICE_NAME, DEVICE_VERSION, DRIVER_VERSION = 0x102B, 0x102F, 0x102D
BUILD_LOG, COPIES = 0x1183, 0x21  # of program build info; READ_WRITE and COPY_HOST_PTR
VOID = ctypes.c_void_p


class OpenCL:
    """The first device of the first platform."""

    name = "opencl"

    def __init__(self, library: str = LIBRARY, options: str = ""):
        try:
            self.library = ctypes.CDLL(library)
        except OSError as error:
            raise DriverError(f"no {library}: {error}", ends=True) from error
        self.options = options
        platform, self.device = VOID(), VOID()
        self.check("clGetPlatformIDs", 1, ctypes.byref(platform), None)
        self.check("clGetDeviceIDs", platform, ctypes.c_uint64(ALL_DEVICES), 1,
                   ctypes.byref(self.device), None)
        self.context = self.make("clCreateContext", None, 1, ctypes.byref(self.device), None, None)
        self.queue = self.make("clCreateCommandQueue", self.context, self.device,
                               ctypes.c_uint64(0))

    def check(self, function: str, *arguments) -> None:
        if status := getattr(self.library, function)(*arguments):
            raise DriverError(f"{function}: error {status}", ends=status in (-5, -6, -36))

    def make(self, function: str, *arguments):
        """What a call returns whose last argument is a place for the status."""
        status = ctypes.c_int(0)
        call = getattr(self.library, function)
        call.restype = VOID
        made = call(*arguments, ctypes.byref(status))
        if status.value or not made:
            raise DriverError(f"{function}: error {status.value}")
        return VOID(made)

    def about(self) -> dict:
        found = {}
        for name, what in (("device", DEVICE_NAME), ("version", DEVICE_VERSION),
                           ("driver", DRIVER_VERSION)):
            text = ctypes.create_string_buffer(1024)
            self.check("clGetDeviceInfo", self.device, what, ctypes.c_size_t(1024), text, None)
            found[name] = text.value.decode(errors="replace")
        return found

    def module(self, content: bytes, is_source: bool = False):
        """Of OpenCL C, else of a binary that the driver knows: NVIDIA's are PTX."""
        pointer, length = ctypes.c_char_p(content), ctypes.c_size_t(len(content))
        if is_source:
            program = self.make("clCreateProgramWithSource", self.context, 1,
                                ctypes.byref(pointer), ctypes.byref(length))
        else:
            status = ctypes.c_int(0)
            program = self.make(
                "clCreateProgramWithBinary", self.context, 1, ctypes.byref(self.device),
                ctypes.byref(length), ctypes.byref(pointer), ctypes.byref(status))
        try:
            self.check("clBuildProgram", program, 1, ctypes.byref(self.device),
                       self.options.encode(), None, None)
        except DriverError as error:
            raise DriverError(f"{error}: {self.log(program)}", error.ends) from None
        return program

    def log(self, program) -> str:
        text = ctypes.create_string_buffer(16_384)
        self.library.clGetProgramBuildInfo(
            program, self.device, BUILD_LOG, ctypes.c_size_t(16_384), text, None)
        return text.value.decode(errors="replace").strip()

    def function(self, module, kernel: str):
        return self.make("clCreateKernel", module, ctypes.c_char_p(kernel.encode()))

    def attributes(self, function) -> dict:
        return {}

    def upload(self, array: np.ndarray):
        array = np.ascontiguousarray(array)
        return self.make("clCreateBuffer", self.context, ctypes.c_uint64(COPIES),
                         ctypes.c_size_t(array.nbytes), array.ctypes.data_as(VOID))

    def download(self, place, array: np.ndarray) -> np.ndarray:
        found = np.empty_like(array, order="C")
        self.check("clEnqueueReadBuffer", self.queue, place, 1, ctypes.c_size_t(0),
                   ctypes.c_size_t(found.nbytes), found.ctypes.data_as(VOID), 0, None, None)
        return found

    def free(self, place) -> None:
        self.check("clReleaseMemObject", place)

    def launcher(self, function, grid, items: int, arguments: list[tuple[str, object]]):
        for index, (kind, value) in enumerate(arguments):
            value = value if kind == "array" else KINDS[kind](value)
            self.check("clSetKernelArg", function, index, ctypes.c_size_t(ctypes.sizeof(value)),
                       ctypes.byref(value))
        sizes = (ctypes.c_size_t * 3)(grid[0] * items, grid[1], grid[2])
        local = (ctypes.c_size_t * 3)(items, 1, 1)

        def launch() -> None:
            self.check("clEnqueueNDRangeKernel", self.queue, function, 3, None, sizes, local, 0,
                       None, None)

        return launch

    def wait(self) -> None:
        self.check("clFinish", self.queue)

    def milliseconds(self, launch, count: int) -> float:
        """Of one of `count` launches, by the host's clock."""
        self.wait()
        start = time.perf_counter()
        for _ in range(count):
            launch()
        self.wait()
        return 1000 * (time.perf_counter() - start) / count
