// The functions that the layer wraps. INT answers a status, ENQUEUE too and takes an event to make,
// HANDLE answers an object and leaves its status in the last parameter, RELEASE never fails.

INT(clGetPlatformIDs, (cl_uint count, cl_platform_id* found, cl_uint* found_count),
    (count, found, found_count))
INT(clGetPlatformInfo,
    (cl_platform_id platform, cl_platform_info what, size_t size, void* value, size_t* size_out),
    (platform, what, size, value, size_out))
INT(clGetDeviceIDs,
    (cl_platform_id platform, cl_device_type type, cl_uint count, cl_device_id* found,
     cl_uint* found_count),
    (platform, type, count, found, found_count))
INT(clGetDeviceInfo,
    (cl_device_id device, cl_device_info what, size_t size, void* value, size_t* size_out),
    (device, what, size, value, size_out))
HANDLE(cl_context, clCreateContext,
       (const cl_context_properties* properties, cl_uint count, const cl_device_id* devices,
        void(CL_CALLBACK* notify)(const char*, const void*, size_t, void*), void* user,
        cl_int* status),
       (properties, count, devices, notify, user, status))
INT(clRetainContext, (cl_context context), (context))
INT(clGetContextInfo,
    (cl_context context, cl_context_info what, size_t size, void* value, size_t* size_out),
    (context, what, size, value, size_out))
HANDLE(cl_command_queue, clCreateCommandQueue,
       (cl_context context, cl_device_id device, cl_command_queue_properties properties,
        cl_int* status),
       (context, device, properties, status))
INT(clRetainCommandQueue, (cl_command_queue queue), (queue))
INT(clGetCommandQueueInfo,
    (cl_command_queue queue, cl_command_queue_info what, size_t size, void* value,
     size_t* size_out),
    (queue, what, size, value, size_out))
HANDLE(cl_mem, clCreateBuffer,
       (cl_context context, cl_mem_flags flags, size_t size, void* host, cl_int* status),
       (context, flags, size, host, status))
HANDLE(cl_mem, clCreateSubBuffer,
       (cl_mem buffer, cl_mem_flags flags, cl_buffer_create_type type, const void* info,
        cl_int* status),
       (buffer, flags, type, info, status))
INT(clRetainMemObject, (cl_mem memory), (memory))
INT(clGetMemObjectInfo,
    (cl_mem memory, cl_mem_info what, size_t size, void* value, size_t* size_out),
    (memory, what, size, value, size_out))
HANDLE(cl_program, clCreateProgramWithSource,
       (cl_context context, cl_uint count, const char** texts, const size_t* lengths,
        cl_int* status),
       (context, count, texts, lengths, status))
HANDLE(cl_program, clCreateProgramWithBinary,
       (cl_context context, cl_uint count, const cl_device_id* devices, const size_t* lengths,
        const unsigned char** binaries, cl_int* binary_status, cl_int* status),
       (context, count, devices, lengths, binaries, binary_status, status))
INT(clRetainProgram, (cl_program program), (program))
INT(clBuildProgram,
    (cl_program program, cl_uint count, const cl_device_id* devices, const char* options,
     void(CL_CALLBACK* notify)(cl_program, void*), void* user),
    (program, count, devices, options, notify, user))
INT(clGetProgramInfo,
    (cl_program program, cl_program_info what, size_t size, void* value, size_t* size_out),
    (program, what, size, value, size_out))
INT(clGetProgramBuildInfo,
    (cl_program program, cl_device_id device, cl_program_build_info what, size_t size,
     void* value, size_t* size_out),
    (program, device, what, size, value, size_out))
HANDLE(cl_kernel, clCreateKernel, (cl_program program, const char* name, cl_int* status),
       (program, name, status))
INT(clRetainKernel, (cl_kernel kernel), (kernel))
INT(clSetKernelArg, (cl_kernel kernel, cl_uint index, size_t size, const void* value),
    (kernel, index, size, value))
INT(clGetKernelInfo,
    (cl_kernel kernel, cl_kernel_info what, size_t size, void* value, size_t* size_out),
    (kernel, what, size, value, size_out))
INT(clGetKernelWorkGroupInfo,
    (cl_kernel kernel, cl_device_id device, cl_kernel_work_group_info what, size_t size,
     void* value, size_t* size_out),
    (kernel, device, what, size, value, size_out))
HANDLE(cl_event, clCreateUserEvent, (cl_context context, cl_int* status), (context, status))
INT(clWaitForEvents, (cl_uint count, const cl_event* events), (count, events))
INT(clGetEventInfo,
    (cl_event event, cl_event_info what, size_t size, void* value, size_t* size_out),
    (event, what, size, value, size_out))
INT(clGetEventProfilingInfo,
    (cl_event event, cl_profiling_info what, size_t size, void* value, size_t* size_out),
    (event, what, size, value, size_out))
INT(clRetainEvent, (cl_event event), (event))
INT(clFlush, (cl_command_queue queue), (queue))
INT(clFinish, (cl_command_queue queue), (queue))
ENQUEUE(clEnqueueReadBuffer,
        (cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size,
         void* values, cl_uint count, const cl_event* events, cl_event* event),
        (queue, buffer, blocking, offset, size, values, count, events, event))
ENQUEUE(clEnqueueWriteBuffer,
        (cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size,
         const void* values, cl_uint count, const cl_event* events, cl_event* event),
        (queue, buffer, blocking, offset, size, values, count, events, event))
ENQUEUE(clEnqueueFillBuffer,
        (cl_command_queue queue, cl_mem buffer, const void* pattern, size_t pattern_size,
         size_t offset, size_t size, cl_uint count, const cl_event* events, cl_event* event),
        (queue, buffer, pattern, pattern_size, offset, size, count, events, event))
ENQUEUE(clEnqueueCopyBuffer,
        (cl_command_queue queue, cl_mem source, cl_mem target, size_t from, size_t to,
         size_t size, cl_uint count, const cl_event* events, cl_event* event),
        (queue, source, target, from, to, size, count, events, event))
ENQUEUE(clEnqueueUnmapMemObject,
        (cl_command_queue queue, cl_mem memory, void* address, cl_uint count,
         const cl_event* events, cl_event* event),
        (queue, memory, address, count, events, event))
ENQUEUE(clEnqueueNDRangeKernel,
        (cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t* first,
         const size_t* global, const size_t* local, cl_uint count, const cl_event* events,
         cl_event* event),
        (queue, kernel, dimensions, first, global, local, count, events, event))
ENQUEUE(clEnqueueMarkerWithWaitList,
        (cl_command_queue queue, cl_uint count, const cl_event* events, cl_event* event),
        (queue, count, events, event))
ENQUEUE(clEnqueueBarrierWithWaitList,
        (cl_command_queue queue, cl_uint count, const cl_event* events, cl_event* event),
        (queue, count, events, event))
HANDLE(void*, clEnqueueMapBuffer,
       (cl_command_queue queue, cl_mem buffer, cl_bool blocking, cl_map_flags flags,
        size_t offset, size_t size, cl_uint count, const cl_event* events, cl_event* event,
        cl_int* status),
       (queue, buffer, blocking, flags, offset, size, count, events, event, status))
RELEASE(clReleaseContext, (cl_context context), (context))
RELEASE(clReleaseCommandQueue, (cl_command_queue queue), (queue))
RELEASE(clReleaseMemObject, (cl_mem memory), (memory))
RELEASE(clReleaseProgram, (cl_program program), (program))
RELEASE(clReleaseKernel, (cl_kernel kernel), (kernel))
RELEASE(clReleaseEvent, (cl_event event), (event))
