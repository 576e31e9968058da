/* SPDX-License-Identifier: Apache-2.0
 *
 * What the CUDA backend uses of the CUDA driver, as declarations of its own and a table of functions.
 *
 * The driver's binary interface is stable and libcuda.so.1 is looked up when the backend is probed, so that the module
 * builds without CUDA's headers, loads on a machine without a driver, and can say there what is missing. Tests fill the
 * table with an emulation of the device.
 */
#ifndef ISC_KERNELS_CUDA_DRIVER_H
#define ISC_KERNELS_CUDA_DRIVER_H

#include <inversescope/status.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int cu_result;
typedef int cu_device;
typedef unsigned long long cu_pointer; /* of device memory */
typedef struct CUctx_st *cu_context;
typedef struct CUmod_st *cu_module;
typedef struct CUfunc_st *cu_function;
typedef struct CUstream_st *cu_stream;
typedef struct CUevent_st *cu_event;
typedef struct CUgraph_st *cu_graph;
typedef struct CUgraphExec_st *cu_graph_exec;
typedef struct CUgraphNode_st *cu_graph_node;

enum {
  CU_OK = 0,
  CU_INVALID_VALUE = 1,
  CU_OUT_OF_MEMORY = 2,
  CU_NO_DEVICE = 100,
  CU_NO_BINARY = 209, /* no code for this device in the module's image */
  CU_NOT_FOUND = 500,
  CU_ILLEGAL_ADDRESS = 700,
  CU_OUT_OF_RESOURCES = 701,
  CU_LAUNCH_FAILED = 719,
  CU_NOT_SUPPORTED = 801,
  CU_CAPTURE_UNSUPPORTED = 900, /* and up to … */
  CU_CAPTURE_WRONG_THREAD = 908,
  CU_GRAPH_UPDATE_FAILED = 910
};
enum { CU_CAPTURE_RELAXED = 2 };
enum { CU_STREAM_APART = 1, CU_EVENT_UNTIMED = 2 };
enum { CU_FUNCTION_DYNAMIC_SHARED = 8 };
enum {
  CU_ATTRIBUTE_MULTIPROCESSORS = 16,
  CU_ATTRIBUTE_MAJOR = 75,
  CU_ATTRIBUTE_MINOR = 76,
  CU_ATTRIBUTE_SHARED_OPTIN = 97
};

typedef struct cu_graph_update_info {
  int result; /* 0 is success */
  cu_graph_node node, from;
} cu_graph_update_info;

/* member, symbol, parameters. */
#define CUDA_DRIVER(X)                                                                             \
  X(init, "cuInit", (unsigned flags))                                                              \
  X(device_count, "cuDeviceGetCount", (int *count))                                                \
  X(device_get, "cuDeviceGet", (cu_device * device, int ordinal))                                  \
  X(device_name, "cuDeviceGetName", (char *name, int n, cu_device device))                         \
  X(device_memory, "cuDeviceTotalMem_v2", (size_t * bytes, cu_device device))                      \
  X(device_attribute, "cuDeviceGetAttribute", (int *value, int attribute, cu_device device))       \
  X(context_retain, "cuDevicePrimaryCtxRetain", (cu_context * context, cu_device device))          \
  X(context_set, "cuCtxSetCurrent", (cu_context context))                                          \
  X(context_get, "cuCtxGetCurrent", (cu_context * context))                                        \
  X(module_load, "cuModuleLoadData", (cu_module * module, const void *image))                      \
  X(module_function, "cuModuleGetFunction",                                                        \
    (cu_function * function, cu_module module, const char *name))                                  \
  X(function_set, "cuFuncSetAttribute", (cu_function function, int attribute, int value))          \
  X(launch, "cuLaunchKernel",                                                                      \
    (cu_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,    \
     unsigned block_y, unsigned block_z, unsigned shared_bytes, cu_stream stream,                  \
     void **parameters, void **extra))                                                             \
  X(memory_info, "cuMemGetInfo_v2", (size_t * free, size_t * total))                               \
  X(memory_alloc, "cuMemAlloc_v2", (cu_pointer * out, size_t bytes))                               \
  X(memory_free, "cuMemFree_v2", (cu_pointer p))                                                   \
  X(host_alloc, "cuMemHostAlloc", (void **out, size_t bytes, unsigned flags))                      \
  X(host_free, "cuMemFreeHost", (void *p))                                                         \
  X(copy_up, "cuMemcpyHtoDAsync_v2",                                                               \
    (cu_pointer dst, const void *src, size_t bytes, cu_stream stream))                             \
  X(copy_down, "cuMemcpyDtoHAsync_v2",                                                             \
    (void *dst, cu_pointer src, size_t bytes, cu_stream stream))                                   \
  X(copy_across, "cuMemcpyDtoDAsync_v2",                                                           \
    (cu_pointer dst, cu_pointer src, size_t bytes, cu_stream stream))                              \
  X(set_bytes, "cuMemsetD8Async",                                                                  \
    (cu_pointer dst, unsigned char value, size_t bytes, cu_stream stream))                         \
  X(stream_create, "cuStreamCreate", (cu_stream * stream, unsigned flags))                         \
  X(stream_destroy, "cuStreamDestroy_v2", (cu_stream stream))                                      \
  X(stream_wait, "cuStreamSynchronize", (cu_stream stream))                                        \
  X(stream_wait_event, "cuStreamWaitEvent", (cu_stream stream, cu_event event, unsigned flags))    \
  X(event_create, "cuEventCreate", (cu_event * event, unsigned flags))                             \
  X(event_destroy, "cuEventDestroy_v2", (cu_event event))                                          \
  X(event_record, "cuEventRecord", (cu_event event, cu_stream stream))                             \
  X(event_wait, "cuEventSynchronize", (cu_event event))                                            \
  X(error_name, "cuGetErrorName", (cu_result result, const char **text))                           \
  X(error_text, "cuGetErrorString", (cu_result result, const char **text))

/* Those of CUDA 12's drivers, all NULL where one is missing. */
#define CUDA_DRIVER_GRAPHS(X)                                                                      \
  X(capture_begin, "cuStreamBeginCapture_v2", (cu_stream stream, int mode))                        \
  X(capture_end, "cuStreamEndCapture", (cu_stream stream, cu_graph * graph))                       \
  X(graph_instantiate, "cuGraphInstantiateWithFlags",                                              \
    (cu_graph_exec * exec, cu_graph graph, unsigned long long flags))                              \
  X(graph_exec_update, "cuGraphExecUpdate_v2",                                                     \
    (cu_graph_exec exec, cu_graph graph, cu_graph_update_info * info))                             \
  X(graph_launch, "cuGraphLaunch", (cu_graph_exec exec, cu_stream stream))                         \
  X(graph_destroy, "cuGraphDestroy", (cu_graph graph))                                             \
  X(graph_exec_destroy, "cuGraphExecDestroy", (cu_graph_exec exec))

#define CUDA_DRIVER_MEMBER(member, symbol, parameters) cu_result(*member) parameters;
typedef struct cuda_driver {
  CUDA_DRIVER(CUDA_DRIVER_MEMBER)
  CUDA_DRIVER_GRAPHS(CUDA_DRIVER_MEMBER)
} cuda_driver;

/* Finds the driver and starts it; the table is the process's own. ISC_E_UNSUPPORTED with the reason where there is none. Any
 * thread. */
isc_status cuda_driver_open(const cuda_driver **out);

/* The images of the kernels, one for each list in kernels.h, in that order. */
extern const void *const cuda_images[];

#ifdef __cplusplus
}
#endif
#endif
