// An OpenCL layer for tests: between the loader and whatever platform there is, it counts calls,
// makes one fail, passes a CPU off as a GPU, and limits memory and work-groups. The loader (ocl-icd 2.3 or later)
// takes it in where the environment says `OPENCL_LAYERS=…/libsemg-opencl-layer.so`; nothing else
// changes until one of these is set:
//
//   SEMG_LAYER_AS_GPU=1             every device calls itself a GPU
//   SEMG_LAYER_COUNTS=FILE          calls by function, written when the process ends
//   SEMG_LAYER_FAIL=NAME:N:STATUS   the N-th call (from 1) of NAME, or of any function (`*`),
//                                   answers STATUS and does nothing; `N+`: every one from the N-th.
//                                   Releases are counted under their names alone: no caller can
//                                   do anything about their failures. STATUS `abort` and `segv`
//                                   end the process by that signal, `hang` never comes back.
//   SEMG_LAYER_SPOIL_AFTER=BYTES    once more than that was written into buffers, a bit of every
//                                   read is wrong
//   SEMG_LAYER_CAPABILITY=8.0       every device says that it is NVIDIA's, of that capability
//   SEMG_LAYER_MEMORY=BYTES         buffers beyond this sum are refused for want of memory
//   SEMG_LAYER_DEVICE_ITEMS=N       no group may have more items, as the device says
//   SEMG_LAYER_KERNEL_ITEMS=N       the same as each kernel says once it is built, not the device
//   SEMG_LAYER_LOCAL_MEMORY=BYTES   the device says that a group has no more local memory
//   SEMG_LAYER_FOR_OCLGRIND=1       for Oclgrind 21.10's search for uninitialised values, which
//                                   forgets what it knew of a buffer that the host writes in part,
//                                   and remembers the size of a released one under the number of
//                                   the next: writes and fills become whole, nothing is released
//
// The same from within a process, for the calling thread alone, so that tests can run side by side:
// found by dlsym, since a program that links this library would not know whether it is in use.
#pragma once

#include <stddef.h>

// Forgets this thread's counts, its limits and the failure it waits for.
void semg_layer_reset(void);

// Calls of this thread since the reset: of a function by its name, or of
//   *                all functions but releases
//   enqueues         kernels, copies, fills, and all else that is put into a queue
//   events           calls that were given an event to make
//   waits            blocking reads and writes, clFinish, clWaitForEvents
//   wide arguments   kernel arguments that are not four bytes wide: buffers and offsets
// -1 for a name that is not known.
long semg_layer_count(const char* name);

// As SEMG_LAYER_FAIL, for this thread's calls from here on; `lasting` is the `+`.
void semg_layer_fail(const char* name, long occurrence, int status, int lasting);

// A limit for this thread's calls from here on; 0 lifts it: `device items`, `kernel items`,
// `local memory` as above. 0 for a name that is not known.
int semg_layer_limit(const char* name, size_t most);

// Name of the function that was first made to fail in this thread since the reset, or null.
const char* semg_layer_failed(void);
