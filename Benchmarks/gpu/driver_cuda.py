"""NVIDIA's driver through ctypes on libcuda.so.1: all that is needed to run a kernel that was
compiled elsewhere. Nothing of the CUDA toolkit, no CuPy."""

import ctypes

import numpy as np

LIBRARY = "libcuda.so.1"
# Of CUdevice_attribute, CUfunction_attribute and CUjit_option in cuda.h.
CAPABILITY = (75, 76)
REGISTERS, LOCAL_BYTES = 4, 3
INFO_LOG, INFO_SIZE, ERROR_LOG, ERROR_SIZE = 3, 4, 5, 6
LOG_BYTES = 16_384
KINDS = {"int": ctypes.c_int32, "uint": ctypes.c_uint32, "float": ctypes.c_float,
         "ulong": ctypes.c_uint64}


class DriverError(Exception):
    """A call that the driver refused; `ends` where nothing after it can succeed."""

    def __init__(self, text: str, ends: bool = False):
        super().__init__(text)
        self.ends = ends


class Cuda:
    """The first GPU and its primary context."""

    name = "cuda"

    def __init__(self, library: str = LIBRARY):
        try:
            self.library = ctypes.CDLL(library)
        except OSError as error:
            raise DriverError(f"no {library}: {error}", ends=True) from error
        self.call("cuInit", 0)
        self.device, context = ctypes.c_int(), ctypes.c_void_p()
        self.call("cuDeviceGet", ctypes.byref(self.device), 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), self.device)
        self.call("cuCtxSetCurrent", context)

    def call(self, function: str, *arguments) -> None:
        status = getattr(self.library, function)(*arguments)
        if status:
            # From "illegal address" on, errors of kernels stay with the process.
            ends = 700 <= status < 720 or status in (214, 999)
            raise DriverError(f"{function}: {self.error_name(status)}", ends=ends)

    def error_name(self, status: int) -> str:
        text = ctypes.c_char_p()
        if self.library.cuGetErrorName(status, ctypes.byref(text)) or not text.value:
            return f"error {status}"
        return f"{text.value.decode(errors='replace')} ({status})"

    def about(self) -> dict:
        name, version, major, minor = (
            ctypes.create_string_buffer(256), ctypes.c_int(), ctypes.c_int(), ctypes.c_int())
        self.call("cuDeviceGetName", name, 256, self.device)
        self.call("cuDriverGetVersion", ctypes.byref(version))
        for place, attribute in zip((major, minor), CAPABILITY, strict=True):
            self.call("cuDeviceGetAttribute", ctypes.byref(place), attribute, self.device)
        return {"device": name.value.decode(errors="replace"), "driver": version.value,
                "capability": f"{major.value}.{minor.value}"}

    def module(self, image: bytes, is_source: bool = False):
        """Of a cubin, or of PTX, which the driver compiles."""
        assert not is_source, "the driver has no compiler of OpenCL C"
        image += b"\0"
        info, errors = (ctypes.create_string_buffer(LOG_BYTES) for _ in range(2))
        names = (ctypes.c_int * 4)(INFO_LOG, INFO_SIZE, ERROR_LOG, ERROR_SIZE)
        values = (ctypes.c_void_p * 4)(
            ctypes.addressof(info), LOG_BYTES, ctypes.addressof(errors), LOG_BYTES)
        module = ctypes.c_void_p()
        try:
            self.call("cuModuleLoadDataEx", ctypes.byref(module), image, 4, names, values)
        except DriverError as error:
            said = (errors.value + info.value).decode(errors="replace").strip()
            raise DriverError(f"{error}: {said}" if said else str(error), error.ends) from None
        return module

    def function(self, module, kernel: str):
        function = ctypes.c_void_p()
        self.call("cuModuleGetFunction", ctypes.byref(function), module, kernel.encode())
        return function

    def attributes(self, function) -> dict:
        found = {}
        for name, attribute in (("registers", REGISTERS), ("spilled_bytes", LOCAL_BYTES)):
            value = ctypes.c_int()
            self.call("cuFuncGetAttribute", ctypes.byref(value), attribute, function)
            found[name] = value.value
        return found

    def upload(self, array: np.ndarray):
        array = np.ascontiguousarray(array)
        place = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(place), ctypes.c_size_t(array.nbytes))
        self.call("cuMemcpyHtoD_v2", place, array.ctypes.data_as(ctypes.c_void_p),
                  ctypes.c_size_t(array.nbytes))
        return place

    def download(self, place, array: np.ndarray) -> np.ndarray:
        found = np.empty_like(array, order="C")
        self.call("cuMemcpyDtoH_v2", found.ctypes.data_as(ctypes.c_void_p), place,
                  ctypes.c_size_t(found.nbytes))
        return found

    def free(self, place) -> None:
        self.call("cuMemFree_v2", place)

    def launcher(self, function, grid, items: int, arguments: list[tuple[str, object]]):
        """A function that puts the kernel into the queue. Arguments: (kind, value), "array" with
        what `upload` gave."""
        values = [value if kind == "array" else KINDS[kind](value) for kind, value in arguments]
        places = (ctypes.c_void_p * len(values))(*[ctypes.addressof(value) for value in values])

        def launch() -> None:
            assert values, "kept as long as their places are"
            self.call("cuLaunchKernel", function, *grid, items, 1, 1, 0, None, places, None)

        return launch

    def wait(self) -> None:
        self.call("cuCtxSynchronize")

    def milliseconds(self, launch, count: int) -> float:
        """Of one of `count` launches, by the device's clock."""
        first, last = ctypes.c_void_p(), ctypes.c_void_p()
        for event in (first, last):
            self.call("cuEventCreate", ctypes.byref(event), 0)
        self.call("cuEventRecord", first, None)
        for _ in range(count):
            launch()
        self.call("cuEventRecord", last, None)
        self.call("cuEventSynchronize", last)
        elapsed = ctypes.c_float()
        self.call("cuEventElapsedTime", ctypes.byref(elapsed), first, last)
        for event in (first, last):
            self.call("cuEventDestroy_v2", event)
        return elapsed.value / count
