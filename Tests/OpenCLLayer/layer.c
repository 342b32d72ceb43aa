#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include "include/semg_opencl_layer.h"

#include <CL/cl_layer.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum function {
#define INT(name, parameters, arguments) F_##name,
#define ENQUEUE INT
#define RELEASE INT
#define HANDLE(type, name, parameters, arguments) F_##name,
#include "functions.h"
#undef INT
#undef ENQUEUE
#undef RELEASE
#undef HANDLE
  FUNCTIONS,
  // What is counted beside them.
  ANY = FUNCTIONS,
  ENQUEUES,
  EVENTS,
  WAITS,
  WIDE_ARGUMENTS,
  COUNTS,
};

static const char* const names[COUNTS] = {
#define INT(name, parameters, arguments) #name,
#define ENQUEUE INT
#define RELEASE INT
#define HANDLE(type, name, parameters, arguments) #name,
#include "functions.h"
#undef INT
#undef ENQUEUE
#undef RELEASE
#undef HANDLE
    "*", "enqueues", "events", "waits", "wide arguments"};

// What a call can come to besides an answer; no status of OpenCL's.
enum { ABORT = INT_MAX - 2, SEGMENTATION_FAULT, HANG };

// A failure that is waited for: the occurrence counts from the moment it was asked for.
struct fault {
  int counter;  // index of names; COUNTS: none
  long countdown;
  cl_int status;
  int lasting;
};

static struct {
  int as_gpu, for_oclgrind;
  int capability[2];  // major and minor; major 0: none
  size_t memory;
  size_t spoils_after;  // bytes; 0: never
  const char* counts_file;
} settings;

// A call passes through `ours`, which counts and fails, and `middle`, which does what few functions
// do besides, to `next`: the platform, or another layer.
static cl_icd_dispatch next, middle, ours;
static atomic_long counts[COUNTS];
static struct fault process_fault = {.counter = COUNTS};
static atomic_flag process_fault_lock = ATOMIC_FLAG_INIT;
static atomic_size_t bytes_in_use, bytes_uploaded;

// The most that the device is said to have; 0 leaves it as it is.
enum limit { DEVICE_ITEMS, KERNEL_ITEMS, LOCAL_MEMORY, LIMITS };
static const char* const limit_names[LIMITS] = {"device items", "kernel items", "local memory"};
static size_t process_limits[LIMITS];
static _Thread_local size_t thread_limits[LIMITS];

static _Thread_local long thread_counts[COUNTS];
static _Thread_local struct fault thread_fault = {.counter = COUNTS};
static _Thread_local const char* thread_failed;

static int index_of(const char* name) {
  int index = 0;
  while (index < COUNTS && strcmp(names[index], name) != 0) ++index;
  return index;
}

static void tally(int index) {
  atomic_fetch_add(&counts[index], 1);
  thread_counts[index] += 1;
}

// The status of the failure that is due at this call, or CL_SUCCESS.
static cl_int due(struct fault* fault, int function) {
  if (fault->counter != function && fault->counter != ANY) return CL_SUCCESS;
  if (fault->countdown > 0) --fault->countdown;
  if (fault->countdown != 0) return CL_SUCCESS;
  if (!fault->lasting) fault->counter = COUNTS;
  return fault->status;
}

static cl_int enter(int function) {
  tally(function);
  tally(ANY);
  cl_int status = due(&thread_fault, function);
  if (status != CL_SUCCESS && thread_failed == NULL) thread_failed = names[function];
  if (process_fault.counter != COUNTS) {
    while (atomic_flag_test_and_set(&process_fault_lock)) {
    }
    const cl_int other = due(&process_fault, function);
    atomic_flag_clear(&process_fault_lock);
    if (status == CL_SUCCESS) status = other;
  }
  if (status == ABORT) abort();
  if (status == SEGMENTATION_FAULT) {
    signal(SIGSEGV, SIG_DFL);  // PoCL has a handler that goes on
    raise(SIGSEGV);
  }
  while (status == HANG) pause();
  return status;
}

static size_t limited(enum limit kind, size_t value) {
  const size_t most = thread_limits[kind] > 0 ? thread_limits[kind] : process_limits[kind];
  return most > 0 && most < value ? most : value;
}

// MARK: What some functions do besides

static cl_int CL_API_CALL get_device_ids(
    cl_platform_id platform, cl_device_type type, cl_uint number, cl_device_id* found,
    cl_uint* found_number) {
  if (settings.as_gpu && type != CL_DEVICE_TYPE_ALL && type != CL_DEVICE_TYPE_DEFAULT) {
    if (!(type & CL_DEVICE_TYPE_GPU)) return CL_DEVICE_NOT_FOUND;
    type = CL_DEVICE_TYPE_ALL;
  }
  return next.clGetDeviceIDs(platform, type, number, found, found_number);
}

// Questions of cl_nv_device_attribute_query.
enum { CAPABILITY_MAJOR = 0x4000, CAPABILITY_MINOR = 0x4001 };

static cl_int answer(
    const void* found, size_t needed, size_t size, void* value, size_t* size_out) {
  if (value != NULL && size < needed) return CL_INVALID_VALUE;
  if (value != NULL) memcpy(value, found, needed);
  if (size_out != NULL) *size_out = needed;
  return CL_SUCCESS;
}

// A device's extensions, and that which says how capable it is.
static cl_int extensions(cl_device_id device, size_t size, void* value, size_t* size_out) {
  static const char added[] = " cl_nv_device_attribute_query";
  char text[16384] = "";
  const cl_int status = next.clGetDeviceInfo(
      device, CL_DEVICE_EXTENSIONS, sizeof text - sizeof added, text, NULL);
  if (status != CL_SUCCESS) return status;
  strcat(text, added);
  return answer(text, strlen(text) + 1, size, value, size_out);
}

static cl_int CL_API_CALL get_device_info(
    cl_device_id device, cl_device_info what, size_t size, void* value, size_t* size_out) {
  if (settings.capability[0] > 0) {
    const cl_uint major = settings.capability[0], minor = settings.capability[1];
    if (what == CAPABILITY_MAJOR) return answer(&major, sizeof major, size, value, size_out);
    if (what == CAPABILITY_MINOR) return answer(&minor, sizeof minor, size, value, size_out);
    if (what == CL_DEVICE_EXTENSIONS) return extensions(device, size, value, size_out);
  }
  const cl_int status = next.clGetDeviceInfo(device, what, size, value, size_out);
  if (status == CL_SUCCESS && what == CL_DEVICE_MAX_WORK_GROUP_SIZE && value != NULL)
    *(size_t*)value = limited(DEVICE_ITEMS, *(size_t*)value);
  if (status == CL_SUCCESS && what == CL_DEVICE_LOCAL_MEM_SIZE && value != NULL)
    *(cl_ulong*)value = limited(LOCAL_MEMORY, *(cl_ulong*)value);
  if (settings.as_gpu && status == CL_SUCCESS && what == CL_DEVICE_TYPE && value != NULL)
    *(cl_device_type*)value = CL_DEVICE_TYPE_GPU;
  return status;
}

static size_t size_of(cl_mem memory) {
  size_t size = 0;
  next.clGetMemObjectInfo(memory, CL_MEM_SIZE, sizeof size, &size, NULL);
  return size;
}

static cl_mem CL_API_CALL create_buffer(
    cl_context context, cl_mem_flags flags, size_t size, void* host, cl_int* status) {
  if (settings.memory > 0 && atomic_fetch_add(&bytes_in_use, size) + size > settings.memory) {
    atomic_fetch_sub(&bytes_in_use, size);
    if (status != NULL) *status = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    return NULL;
  }
  cl_mem made = next.clCreateBuffer(context, flags, size, host, status);
  if (made == NULL && settings.memory > 0) atomic_fetch_sub(&bytes_in_use, size);
  return made;
}

static cl_int CL_API_CALL release_mem_object(cl_mem memory) {
  cl_uint references = 0;
  if (settings.memory > 0 && memory != NULL &&
      next.clGetMemObjectInfo(
          memory, CL_MEM_REFERENCE_COUNT, sizeof references, &references, NULL) == CL_SUCCESS &&
      references == 1)
    atomic_fetch_sub(&bytes_in_use, size_of(memory));
  return settings.for_oclgrind ? CL_SUCCESS : next.clReleaseMemObject(memory);
}

static cl_int CL_API_CALL set_kernel_arg(
    cl_kernel kernel, cl_uint index, size_t size, const void* value) {
  if (size != 4) tally(WIDE_ARGUMENTS);
  return next.clSetKernelArg(kernel, index, size, value);
}

static cl_int CL_API_CALL get_kernel_work_group_info(
    cl_kernel kernel, cl_device_id device, cl_kernel_work_group_info what, size_t size,
    void* value, size_t* size_out) {
  const cl_int status =
      next.clGetKernelWorkGroupInfo(kernel, device, what, size, value, size_out);
  if (status == CL_SUCCESS && what == CL_KERNEL_WORK_GROUP_SIZE && value != NULL)
    *(size_t*)value = limited(DEVICE_ITEMS, limited(KERNEL_ITEMS, *(size_t*)value));
  return status;
}

static cl_int CL_API_CALL enqueue_kernel(
    cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t* first,
    const size_t* global, const size_t* local, cl_uint number, const cl_event* events,
    cl_event* event) {
  size_t items = 1;
  for (cl_uint i = 0; local != NULL && i < dimensions; ++i) items *= local[i];
  if (items > limited(DEVICE_ITEMS, limited(KERNEL_ITEMS, items)))
    return CL_INVALID_WORK_GROUP_SIZE;
  return next.clEnqueueNDRangeKernel(
      queue, kernel, dimensions, first, global, local, number, events, event);
}

static cl_int CL_API_CALL wait_for_events(cl_uint number, const cl_event* events) {
  tally(WAITS);
  return next.clWaitForEvents(number, events);
}

static cl_int CL_API_CALL finish(cl_command_queue queue) {
  tally(WAITS);
  return next.clFinish(queue);
}

static cl_int CL_API_CALL read_buffer(
    cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size,
    void* values, cl_uint number, const cl_event* events, cl_event* event) {
  if (blocking) tally(WAITS);
  const cl_int status = next.clEnqueueReadBuffer(
      queue, buffer, blocking, offset, size, values, number, events, event);
  // A bit of the first number, where numbers are wide enough to have it in their middle.
  if (settings.spoils_after > 0 && atomic_load(&bytes_uploaded) > settings.spoils_after &&
      blocking && size >= 4)
    ((unsigned char*)values)[2] ^= 0x40;
  return status;
}

// Writes the whole buffer, `size` bytes at `offset` anew: a period of `period` bytes at `values`.
static cl_int rewrite(
    cl_command_queue queue, cl_mem buffer, size_t offset, size_t size, const char* values,
    size_t period, cl_uint number, const cl_event* events, cl_event* event) {
  const size_t whole = size_of(buffer);
  if (size > whole || offset > whole - size) return CL_INVALID_VALUE;
  char* copy = malloc(whole);
  if (copy == NULL) return CL_OUT_OF_HOST_MEMORY;
  cl_int status = next.clEnqueueReadBuffer(
      queue, buffer, CL_TRUE, 0, whole, copy, number, events, NULL);
  for (size_t done = 0; done < size; done += period)
    memcpy(copy + offset + done, values, size - done < period ? size - done : period);
  if (status == CL_SUCCESS)
    status = next.clEnqueueWriteBuffer(
        queue, buffer, CL_TRUE, 0, whole, copy, 0, NULL, event);
  free(copy);
  return status;
}

static cl_int CL_API_CALL write_buffer(
    cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size,
    const void* values, cl_uint number, const cl_event* events, cl_event* event) {
  if (blocking) tally(WAITS);
  atomic_fetch_add(&bytes_uploaded, size);
  if (settings.for_oclgrind && size < size_of(buffer))
    return rewrite(queue, buffer, offset, size, values, size, number, events, event);
  return next.clEnqueueWriteBuffer(
      queue, buffer, blocking, offset, size, values, number, events, event);
}

static cl_int CL_API_CALL fill_buffer(
    cl_command_queue queue, cl_mem buffer, const void* pattern, size_t pattern_size,
    size_t offset, size_t size, cl_uint number, const cl_event* events, cl_event* event) {
  if (settings.for_oclgrind && pattern_size > 0)
    return rewrite(queue, buffer, offset, size, pattern, pattern_size, number, events, event);
  return next.clEnqueueFillBuffer(
      queue, buffer, pattern, pattern_size, offset, size, number, events, event);
}

// MARK: Every function

#define INT(name, parameters, arguments)           \
  static cl_int CL_API_CALL own_##name parameters { \
    const cl_int fault = enter(F_##name);          \
    return fault != CL_SUCCESS ? fault : middle.name arguments; \
  }
#define ENQUEUE(name, parameters, arguments)       \
  static cl_int CL_API_CALL own_##name parameters { \
    if (event != NULL) tally(EVENTS);              \
    tally(ENQUEUES);                               \
    const cl_int fault = enter(F_##name);          \
    return fault != CL_SUCCESS ? fault : middle.name arguments; \
  }
#define HANDLE(type, name, parameters, arguments)  \
  static type CL_API_CALL own_##name parameters {  \
    const cl_int fault = enter(F_##name);          \
    if (fault == CL_SUCCESS) return middle.name arguments; \
    if (status != NULL) *status = fault;           \
    return NULL;                                   \
  }
#define RELEASE(name, parameters, arguments)       \
  static cl_int CL_API_CALL own_##name parameters { \
    tally(F_##name);                               \
    return middle.name arguments;                  \
  }
#include "functions.h"
#undef INT
#undef ENQUEUE
#undef HANDLE
#undef RELEASE

// MARK: The loader's side

static void read_settings(void) {
  const char* value;
  settings.as_gpu = getenv("SEMG_LAYER_AS_GPU") != NULL;
  settings.for_oclgrind = getenv("SEMG_LAYER_FOR_OCLGRIND") != NULL;
  settings.counts_file = getenv("SEMG_LAYER_COUNTS");
  static const char* const variables[LIMITS] = {
      "SEMG_LAYER_DEVICE_ITEMS", "SEMG_LAYER_KERNEL_ITEMS", "SEMG_LAYER_LOCAL_MEMORY"};
  for (int i = 0; i < LIMITS; ++i) {
    if ((value = getenv(variables[i])) != NULL) process_limits[i] = strtoull(value, NULL, 10);
  }
  if ((value = getenv("SEMG_LAYER_MEMORY")) != NULL) settings.memory = strtoull(value, NULL, 10);
  if ((value = getenv("SEMG_LAYER_SPOIL_AFTER")) != NULL)
    settings.spoils_after = strtoull(value, NULL, 10);
  if ((value = getenv("SEMG_LAYER_CAPABILITY")) != NULL)
    sscanf(value, "%d.%d", &settings.capability[0], &settings.capability[1]);
  if ((value = getenv("SEMG_LAYER_FAIL")) == NULL) return;
  char name[64], lasting[2] = "", end[16];
  long occurrence;
  // `NAME:N:STATUS` or `NAME:N+:STATUS`
  const int is_one = sscanf(value, "%63[^:]:%ld:%15s", name, &occurrence, end) == 3;
  const int are_many =
      !is_one && sscanf(value, "%63[^:]:%ld%1[+]:%15s", name, &occurrence, lasting, end) == 4;
  const int status = !is_one && !are_many ? 0
      : strcmp(end, "abort") == 0         ? ABORT
      : strcmp(end, "segv") == 0          ? SEGMENTATION_FAULT
      : strcmp(end, "hang") == 0          ? HANG
                                          : atoi(end);
  if (status == 0 || index_of(name) == COUNTS || occurrence < 1) {
    fprintf(stderr, "SEMG_LAYER_FAIL: expected NAME:N:STATUS, found %s\n", value);
    abort();
  }
  process_fault = (struct fault){index_of(name), occurrence, status, are_many};
}

static void __attribute__((destructor)) write_counts(void) {
  FILE* file = settings.counts_file != NULL ? fopen(settings.counts_file, "w") : NULL;
  if (file == NULL) return;
  for (int index = 0; index < COUNTS; ++index)
    fprintf(file, "%s %ld\n", names[index], atomic_load(&counts[index]));
  fclose(file);
}

cl_int clGetLayerInfo(cl_layer_info what, size_t size, void* value, size_t* size_out) {
  static const char name[] = "semg";
  static const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
  const int asks_version = what == CL_LAYER_API_VERSION;
  if (!asks_version && what != CL_LAYER_NAME) return CL_INVALID_VALUE;
  const size_t needed = asks_version ? sizeof version : sizeof name;
  if (value != NULL) {
    if (size < needed) return CL_INVALID_VALUE;
    memcpy(value, asks_version ? (const void*)&version : name, needed);
  }
  if (size_out != NULL) *size_out = needed;
  return CL_SUCCESS;
}

cl_int clInitLayer(
    cl_uint number, const cl_icd_dispatch* target, cl_uint* number_out,
    const cl_icd_dispatch** out) {
  const size_t entries = sizeof next / sizeof(void*);
  if (target == NULL || number_out == NULL || out == NULL) return CL_INVALID_VALUE;
  read_settings();
  memcpy(&next, target, sizeof(void*) * (number < entries ? number : entries));
  middle = next;
  middle.clGetDeviceIDs = get_device_ids;
  middle.clGetDeviceInfo = get_device_info;
  middle.clCreateBuffer = create_buffer;
  middle.clReleaseMemObject = release_mem_object;
  middle.clSetKernelArg = set_kernel_arg;
  middle.clGetKernelWorkGroupInfo = get_kernel_work_group_info;
  middle.clEnqueueNDRangeKernel = enqueue_kernel;
  middle.clWaitForEvents = wait_for_events;
  middle.clFinish = finish;
  middle.clEnqueueReadBuffer = read_buffer;
  middle.clEnqueueWriteBuffer = write_buffer;
  middle.clEnqueueFillBuffer = fill_buffer;
  ours = next;
#define INT(name, parameters, arguments) ours.name = own_##name;
#define ENQUEUE INT
#define RELEASE INT
#define HANDLE(type, name, parameters, arguments) ours.name = own_##name;
#include "functions.h"
  *number_out = entries;
  *out = &ours;
  return CL_SUCCESS;
}

// MARK: The tests' side

void semg_layer_reset(void) {
  memset(thread_counts, 0, sizeof thread_counts);
  memset(thread_limits, 0, sizeof thread_limits);
  thread_fault.counter = COUNTS;
  thread_failed = NULL;
}

long semg_layer_count(const char* name) {
  const int index = index_of(name);
  return index == COUNTS ? -1 : thread_counts[index];
}

void semg_layer_fail(const char* name, long occurrence, int status, int lasting) {
  thread_fault = (struct fault){index_of(name), occurrence, status, lasting};
}

int semg_layer_limit(const char* name, size_t most) {
  for (int i = 0; i < LIMITS; ++i) {
    if (strcmp(limit_names[i], name) != 0) continue;
    thread_limits[i] = most;
    return 1;
  }
  return 0;
}

const char* semg_layer_failed(void) { return thread_failed; }
