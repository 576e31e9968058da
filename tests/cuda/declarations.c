/* SPDX-License-Identifier: Apache-2.0
 *
 * The CUDA backend's own declarations of the driver, of cuBLAS and of cuBLASLt against those of a toolkit: compiled where there
 * is one, and it is an error of the build if they differ.
 */
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda.h>

#include "cublas_lt.h"
#include "driver.h"
#include <stddef.h>

#define SAME(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), #ours)
SAME(CU_OK, CUDA_SUCCESS);
SAME(CU_INVALID_VALUE, CUDA_ERROR_INVALID_VALUE);
SAME(CU_OUT_OF_MEMORY, CUDA_ERROR_OUT_OF_MEMORY);
SAME(CU_NO_DEVICE, CUDA_ERROR_NO_DEVICE);
SAME(CU_NO_BINARY, CUDA_ERROR_NO_BINARY_FOR_GPU);
SAME(CU_NOT_FOUND, CUDA_ERROR_NOT_FOUND);
SAME(CU_ILLEGAL_ADDRESS, CUDA_ERROR_ILLEGAL_ADDRESS);
SAME(CU_OUT_OF_RESOURCES, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
SAME(CU_LAUNCH_FAILED, CUDA_ERROR_LAUNCH_FAILED);
SAME(CU_NOT_SUPPORTED, CUDA_ERROR_NOT_SUPPORTED);
SAME(CU_CAPTURE_UNSUPPORTED, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
SAME(CU_CAPTURE_WRONG_THREAD, CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
SAME(CU_GRAPH_UPDATE_FAILED, CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
SAME(CU_CAPTURE_RELAXED, CU_STREAM_CAPTURE_MODE_RELAXED);
SAME(sizeof(cu_graph_update_info), sizeof(CUgraphExecUpdateResultInfo));
SAME(offsetof(cu_graph_update_info, node), offsetof(CUgraphExecUpdateResultInfo, errorNode));
SAME(CU_STREAM_APART, CU_STREAM_NON_BLOCKING);
SAME(CU_EVENT_UNTIMED, CU_EVENT_DISABLE_TIMING);
SAME(CU_FUNCTION_DYNAMIC_SHARED, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
SAME(CU_ATTRIBUTE_MULTIPROCESSORS, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
SAME(CU_ATTRIBUTE_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
SAME(CU_ATTRIBUTE_MINOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
SAME(CU_ATTRIBUTE_SHARED_OPTIN, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
SAME(CUBLAS_NO_TRANSPOSE, CUBLAS_OP_N);
SAME(CUBLAS_TRANSPOSE, CUBLAS_OP_T);
SAME(CUBLAS_F32, CUDA_R_32F);
SAME(CUBLAS_BF16, CUDA_R_16BF);
SAME(CUBLAS_SUMS_F32, CUBLAS_COMPUTE_32F);
SAME(CUBLAS_SUMS_F32_PEDANTIC, CUBLAS_COMPUTE_32F_PEDANTIC);
SAME(CUBLAS_PEDANTIC, CUBLAS_PEDANTIC_MATH);
SAME(CUBLAS_NO_REDUCED_SUMS,
     CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);
SAME(CUBLAS_DEFAULT, CUBLAS_GEMM_DEFAULT);
SAME(sizeof(cu_result), sizeof(CUresult));
SAME(sizeof(cu_device), sizeof(CUdevice));
SAME(sizeof(cu_pointer), sizeof(CUdeviceptr));
SAME(sizeof(cublas_status), sizeof(cublasStatus_t));
#define SAME_STATUS(name, number) SAME(number, CUBLAS_STATUS_##name);
CUBLAS_STATUSES(SAME_STATUS)
SAME(CUBLAS_LT_BATCH, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT);
SAME(CUBLAS_LT_STRIDE, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);
SAME(CUBLAS_LT_OP_A, CUBLASLT_MATMUL_DESC_TRANSA);
SAME(CUBLAS_LT_OP_B, CUBLASLT_MATMUL_DESC_TRANSB);
SAME(CUBLAS_LT_EPILOGUE, CUBLASLT_MATMUL_DESC_EPILOGUE);
SAME(CUBLAS_LT_BIAS, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
SAME(CUBLAS_LT_WORKSPACE, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
SAME(CUBLAS_LT_REDUCTIONS, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
SAME(CUBLAS_LT_ALIGNED_A, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
SAME(CUBLAS_LT_ALIGNED_B, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
SAME(CUBLAS_LT_ALIGNED_C, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
SAME(CUBLAS_LT_ALIGNED_D, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
SAME(CUBLAS_LT_PLAIN, CUBLASLT_EPILOGUE_DEFAULT);
SAME(CUBLAS_LT_PLUS_BIAS, CUBLASLT_EPILOGUE_BIAS);
SAME(CUBLAS_LT_REDUCE_F32, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
SAME(sizeof(cublas_lt_algorithm), sizeof(cublasLtMatmulAlgo_t));
SAME(sizeof(cublas_lt_choice), sizeof(cublasLtMatmulHeuristicResult_t));
SAME(offsetof(cublas_lt_choice, algorithm), offsetof(cublasLtMatmulHeuristicResult_t, algo));
SAME(offsetof(cublas_lt_choice, workspace),
     offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
SAME(offsetof(cublas_lt_choice, state), offsetof(cublasLtMatmulHeuristicResult_t, state));
SAME(offsetof(cublas_lt_choice, waves), offsetof(cublasLtMatmulHeuristicResult_t, wavesCount));
SAME(sizeof(cudaDataType), sizeof(int));
SAME(sizeof(cublasComputeType_t), sizeof(int));
SAME(sizeof(cublasLtMatmulDescAttributes_t), sizeof(int));

/* The toolkit's functions take enumerations where ours take int; otherwise they are called as ours are. */
CUresult isc_declared_calls(CUdeviceptr p, void *host, CUstream s, CUevent e, CUfunction f,
                            CUmodule m, CUdevice d, CUcontext c, void **list);
CUresult isc_declared_calls(CUdeviceptr p, void *host, CUstream s, CUevent e, CUfunction f,
                            CUmodule m, CUdevice d, CUcontext c, void **list) {
  const char *text;
  size_t n = 8;
  int i = 0;
  CUresult r = cuInit(0);
  r |= cuDeviceGetCount(&i) | cuDeviceGet(&d, 0) | cuDeviceTotalMem(&n, d);
  r |= cuDevicePrimaryCtxRetain(&c, d) | cuCtxSetCurrent(c) | cuCtxGetCurrent(&c);
  r |= cuModuleLoadData(&m, host) | cuModuleGetFunction(&f, m, "name");
  r |= cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, list, NULL);
  r |= cuMemGetInfo(&n, &n) | cuMemAlloc(&p, n) | cuMemFree(p);
  r |= cuMemHostAlloc(&host, n, 0) | cuMemFreeHost(host);
  r |= cuMemcpyHtoDAsync(p, host, n, s) | cuMemcpyDtoHAsync(host, p, n, s);
  r |= cuMemcpyDtoDAsync(p, p, n, s) | cuMemsetD8Async(p, 0, n, s);
  r |= cuStreamCreate(&s, 1) | cuStreamSynchronize(s) | cuStreamDestroy(s);
  r |= cuStreamWaitEvent(s, e, 0);
  r |= cuEventCreate(&e, 2) | cuEventRecord(e, s) | cuEventSynchronize(e) | cuEventDestroy(e);
  CUgraph g;
  CUgraphExec x;
  CUgraphExecUpdateResultInfo info;
  r |= cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED) | cuStreamEndCapture(s, &g);
  r |= cuGraphInstantiateWithFlags(&x, g, 0) | cuGraphExecUpdate(x, g, &info);
  r |= cuGraphLaunch(x, s) | cuGraphDestroy(g) | cuGraphExecDestroy(x);
  return r | cuGetErrorName(r, &text) | cuGetErrorString(r, &text);
}

cublasStatus_t isc_declared_products(cublasHandle_t b, cublasLtHandle_t h, cublasLtMatmulDesc_t p,
                                     cublasLtMatrixLayout_t x, cublasLtMatmulPreference_t f,
                                     void *m, cudaStream_t s);
cublasStatus_t isc_declared_products(cublasHandle_t b, cublasLtHandle_t h, cublasLtMatmulDesc_t p,
                                     cublasLtMatrixLayout_t x, cublasLtMatmulPreference_t f,
                                     void *m, cudaStream_t s) {
  cublasLtMatmulHeuristicResult_t found;
  const size_t n = 8;
  int i = 0;
  cublasStatus_t r = cublasCreate(&b) | cublasDestroy(b) | cublasSetStream(b, s);
  r |= cublasSetWorkspace(b, m, n) | cublasSetMathMode(b, CUBLAS_PEDANTIC_MATH);
  r |= cublasGemmStridedBatchedEx(b, CUBLAS_OP_N, CUBLAS_OP_T, i, i, i, m, m, CUDA_R_32F, i, 1LL, m,
                                  CUDA_R_32F, i, 1LL, m, m, CUDA_R_32F, i, 1LL, i,
                                  CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
  r |= cublasLtCreate(&h) | cublasLtDestroy(h);
  r |= cublasLtMatrixLayoutCreate(&x, CUDA_R_32F, (uint64_t)n, (uint64_t)n, (int64_t)n);
  r |= cublasLtMatrixLayoutSetAttribute(x, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, m, n);
  r |= cublasLtMatrixLayoutDestroy(x);
  r |= cublasLtMatmulDescCreate(&p, CUBLAS_COMPUTE_32F, CUDA_R_32F);
  r |= cublasLtMatmulDescSetAttribute(p, CUBLASLT_MATMUL_DESC_EPILOGUE, m, n);
  r |= cublasLtMatmulDescDestroy(p) | cublasLtMatmulPreferenceCreate(&f);
  r |= cublasLtMatmulPreferenceSetAttribute(f, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, m, n);
  r |= cublasLtMatmulPreferenceDestroy(f);
  r |= cublasLtMatmulAlgoGetHeuristic(h, p, x, x, x, x, f, i, &found, &i);
  return r | cublasLtMatmul(h, p, m, m, x, m, x, m, m, x, m, x, &found.algo, m, n, s);
}
