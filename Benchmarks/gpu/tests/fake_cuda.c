// Stands in for libcuda.so.1: memory is the host's, a launch writes down what it was given and fills
// the buffer of its last argument but one. What goes wrong is said by FAKE_CUDA.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t pointer;

static int launches;

static int is(const char* what) {
  const char* said = getenv("FAKE_CUDA");
  return said && strcmp(said, what) == 0;
}

int cuInit(unsigned flags) { return is("no device") ? 100 : (int)flags; }
int cuDeviceGet(int* device, int ordinal) { return *device = ordinal, 0; }
int cuDevicePrimaryCtxRetain(void** context, int device) { return *context = &launches, device; }
int cuCtxSetCurrent(void* context) { return context == &launches ? 0 : 201; }
int cuDriverGetVersion(int* version) { return *version = 12040, 0; }
int cuDeviceGetName(char* name, int length, int device) {
  snprintf(name, length, "pretended GPU %d", device);
  return 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  *value = attribute == 75 ? 9 : attribute == 76 ? 0 : -1;
  return device;
}
int cuGetErrorName(int error, const char** name) {
  *name = error == 100 ? "CUDA_ERROR_NO_DEVICE" : error == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS"
        : error == 200 ? "CUDA_ERROR_INVALID_IMAGE" : NULL;
  return *name ? 0 : 1;
}

int cuModuleLoadDataEx(void** module, const char* image, unsigned count, int* names, void** values) {
  for (unsigned i = 0; i < count; ++i) {
    if (names[i] == 5) {
      snprintf((char*)values[i], (size_t)values[i + 1], is("no cubin") ? "not of this age" : "");
    }
  }
  if (is("no cubin") && image[0] == 'C') return 200;
  return *module = strdup(image), 0;
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
  *function = strdup(name);
  return module ? 0 : 1;
}
int cuFuncGetAttribute(int* value, int attribute, void* function) {
  *value = attribute == 4 ? 96 : 0;
  return function ? 0 : 1;
}

int cuMemAlloc_v2(pointer* place, size_t bytes) { return *place = (pointer)malloc(bytes), 0; }
int cuMemFree_v2(pointer place) { return free((void*)place), 0; }
int cuMemcpyHtoD_v2(pointer to, const void* from, size_t bytes) {
  return memcpy((void*)to, from, bytes), 0;
}
int cuMemcpyDtoH_v2(void* to, pointer from, size_t bytes) {
  return memcpy(to, (void*)from, bytes), 0;
}

// The arguments of the kernel that the test declares: (int count, float scale, pointer to, ulong at).
int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned across,
                   unsigned down, unsigned deep, unsigned shared, void* stream, void** arguments,
                   void** extra) {
  if (is("dies")) abort();
  if (is("bad address")) return 700;
  const int count = *(int*)arguments[0];
  const float scale = *(float*)arguments[1];
  float* to = *(float**)arguments[2];
  const uint64_t at = *(uint64_t*)arguments[3];
  for (int i = 0; i < count; ++i) to[at + i] = scale * i;
  if (++launches == 1) {
    fprintf(stderr, "%s <<<%u %u %u, %u %u %u, %u>>> %d %g %llu %d %d\n", (char*)function, x, y, z,
            across, down, deep, shared, count, scale, (unsigned long long)at, stream == NULL,
            extra == NULL);
  }
  return 0;
}

int cuCtxSynchronize(void) { return 0; }
int cuEventCreate(void** event, unsigned flags) { return *event = malloc(sizeof(int)), (int)flags; }
int cuEventRecord(int* event, void* stream) { return *event = launches, stream != NULL; }
int cuEventSynchronize(int* event) { return *event < 0; }
// Two milliseconds a launch.
int cuEventElapsedTime(float* milliseconds, int* first, int* last) {
  return *milliseconds = 2.0f * (*last - *first), 0;
}
int cuEventDestroy_v2(void* event) { return free(event), 0; }
