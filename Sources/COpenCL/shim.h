// OpenCL 1.2 is what every platform offers; what is newer is asked for at run time, never linked.
#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
#include <CL/cl_ext.h>

// Macros with casts do not reach Swift: these do, as constants.
static const cl_device_type semg_CL_DEVICE_TYPE_CPU = CL_DEVICE_TYPE_CPU;
static const cl_device_type semg_CL_DEVICE_TYPE_GPU = CL_DEVICE_TYPE_GPU;
static const cl_device_type semg_CL_DEVICE_TYPE_ACCELERATOR = CL_DEVICE_TYPE_ACCELERATOR;
static const cl_device_type semg_CL_DEVICE_TYPE_ALL = CL_DEVICE_TYPE_ALL;
static const cl_mem_flags semg_CL_MEM_READ_WRITE = CL_MEM_READ_WRITE;
static const cl_mem_flags semg_CL_MEM_COPY_HOST_PTR = CL_MEM_COPY_HOST_PTR;
static const cl_command_queue_properties semg_CL_QUEUE_PROFILING_ENABLE = CL_QUEUE_PROFILING_ENABLE;
static const cl_context_properties semg_CL_CONTEXT_PLATFORM = CL_CONTEXT_PLATFORM;
