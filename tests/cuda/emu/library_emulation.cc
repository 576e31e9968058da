/* SPDX-License-Identifier: Apache-2.0
 *
 * cuBLAS and cuBLASLt on the host: plain products, and all the refusals of wrong arguments that the real ones are known for.
 *
 * As with the real ones a row's bits depend on how many there are, and on which of the two made it: cuBLAS rounds the
 * elements of an even number of rows up in their last place, cuBLASLt those of an odd number. INVERSESCOPE_EMULATED_LIBRARY in
 * the environment says what is amiss: "absent" (neither is there), "old" (no cuBLASLt), "refusing" (cuBLASLt has a kernel for
 * nothing), "unable" (cuBLAS does not start on this device) or "failing" (products fail).
 */
#include "library_emulation.h"
#include "cublas_lt.h"
#include "driver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

namespace {

bool is_amiss(const char *what) {
  const char *mode = getenv("INVERSESCOPE_EMULATED_LIBRARY");
  return mode && !strcmp(mode, what);
}

/* ---- the product, on the device */

float element(const void *x, int type, int64_t at) {
  if (type == CUBLAS_F32) return static_cast<const float *>(x)[at];
  const uint32_t u = (uint32_t) static_cast<const uint16_t *>(x)[at] << 16;
  float f;
  memcpy(&f, &u, sizeof f);
  return f;
}

double dot(const emulated_product &g, int64_t item, int64_t row, int64_t col) {
  const int64_t a = item * g.stride_a + row * (g.op_a ? g.lda : 1), a_k = g.op_a ? 1 : g.lda,
                b = item * g.stride_b + col * (g.op_b ? 1 : g.ldb), b_k = g.op_b ? g.ldb : 1;
  double s = 0;
  for (int64_t k = 0; k < g.k; k++)
    s += (double)element(g.a, g.type, a + k * a_k) * (double)element(g.b, g.type, b + k * b_k);
  return s;
}

} // namespace

extern "C" void isc_emulated_product(const void *args) {
  const emulated_product &g = *static_cast<const emulated_product *>(args);
  for (int64_t i = 0; i < g.batch; i++)
    for (int64_t col = 0; col < g.n; col++)
      for (int64_t row = 0; row < g.m; row++) {
        float *c = g.c + i * g.stride_c + row + col * g.ldc;
        double x = (double)g.alpha * dot(g, i, row, col);
        if (g.beta != 0) x += (double)g.beta * (double)*c;
        if (g.bias) x += (double)g.bias[row];
        *c = g.nudge != 0 && x != 0 ? nextafterf((float)x, g.nudge) : (float)x;
      }
}

namespace {

/* Asks it of the stream, as a kernel is asked for. */
cublas_status ask(cu_stream stream, emulated_product *g) {
  const cuda_driver *d;
  cu_function f;
  void *parameters[] = {g};
  if (is_amiss("failing")) return CUBLAS_SAYS_EXECUTION_FAILED;
  if (g->m == 0 || g->n == 0 || g->batch == 0) return CUBLAS_SAYS_SUCCESS;
  if (cuda_driver_open(&d) != ISC_OK) return CUBLAS_SAYS_NOT_INITIALIZED;
  if (d->module_function(&f, NULL, EMULATED_PRODUCT) != CU_OK) return CUBLAS_SAYS_INTERNAL_ERROR;
  return d->launch(f, 1, 1, 1, 1, 1, 1, 0, stream, parameters, NULL) == CU_OK
             ? CUBLAS_SAYS_SUCCESS
             : CUBLAS_SAYS_EXECUTION_FAILED;
}

bool is_operation(int op) {
  return op == CUBLAS_NO_TRANSPOSE || op == CUBLAS_TRANSPOSE;
}

bool is_type(int type) {
  return type == CUBLAS_F32 || type == CUBLAS_BF16;
}

/* f32 only as f32, bf16 with sums in f32. */
bool is_computed(int type, int compute) {
  return compute == (type == CUBLAS_F32 ? CUBLAS_SUMS_F32_PEDANTIC : CUBLAS_SUMS_F32);
}

/* ---- cuBLAS */

} // namespace

struct cublasContext {
  cu_stream stream;
  void *workspace;
  int math;
};

namespace {

cublas_status create(cublas_handle *handle) {
  *handle = NULL;
  if (is_amiss("unable")) return CUBLAS_SAYS_NOT_INITIALIZED;
  *handle = static_cast<cublas_handle>(calloc(1, sizeof **handle));
  return *handle ? CUBLAS_SAYS_SUCCESS : CUBLAS_SAYS_ALLOC_FAILED;
}
cublas_status destroy(cublas_handle handle) {
  free(handle);
  return CUBLAS_SAYS_SUCCESS;
}
/* It puts the workspace back to one of the library's own, as the manual says. */
cublas_status set_stream(cublas_handle handle, cu_stream stream) {
  handle->stream = stream;
  handle->workspace = NULL;
  return CUBLAS_SAYS_SUCCESS;
}
cublas_status set_workspace(cublas_handle handle, void *p, size_t bytes) {
  if (!p || bytes == 0 || (uintptr_t)p % 256 != 0) return CUBLAS_SAYS_INVALID_VALUE;
  handle->workspace = p;
  return CUBLAS_SAYS_SUCCESS;
}
cublas_status set_math(cublas_handle handle, int mode) {
  if (mode != CUBLAS_PEDANTIC && mode != CUBLAS_NO_REDUCED_SUMS) return CUBLAS_SAYS_INVALID_VALUE;
  handle->math = mode;
  return CUBLAS_SAYS_SUCCESS;
}

cublas_status gemm(cublas_handle handle, int op_a, int op_b, int m, int n, int k, const void *alpha,
                   const void *a, int a_type, int lda, long long stride_a, const void *b,
                   int b_type, int ldb, long long stride_b, const void *beta, void *c, int c_type,
                   int ldc, long long stride_c, int batch, int compute, int algorithm) {
  const int most = 1;
  if (!is_operation(op_a) || !is_operation(op_b) || m < 0 || n < 0 || k < 0 || batch < 0 ||
      lda < (op_a ? k : m) || lda < most || ldb < (op_b ? n : k) || ldb < most || ldc < m ||
      ldc < most || algorithm != CUBLAS_DEFAULT || !handle->workspace)
    return CUBLAS_SAYS_INVALID_VALUE;
  if (!is_type(a_type) || a_type != b_type || c_type != CUBLAS_F32 ||
      !is_computed(a_type, compute) ||
      handle->math != (a_type == CUBLAS_F32 ? CUBLAS_PEDANTIC : CUBLAS_NO_REDUCED_SUMS))
    return CUBLAS_SAYS_NOT_SUPPORTED;
  emulated_product g = {};
  g.op_a = op_a;
  g.op_b = op_b;
  g.type = a_type;
  g.m = m;
  g.n = n;
  g.k = k;
  g.batch = batch;
  g.alpha = *static_cast<const float *>(alpha);
  g.beta = *static_cast<const float *>(beta);
  g.a = a;
  g.b = b;
  g.c = static_cast<float *>(c);
  g.lda = lda;
  g.ldb = ldb;
  g.ldc = ldc;
  g.stride_a = stride_a;
  g.stride_b = stride_b;
  g.stride_c = stride_c;
  g.nudge = n % 2 == 0 ? INFINITY : 0.0f;
  return ask(handle->stream, &g);
}

const cublas_functions cublas = {
#define MEMBER(member, symbol, parameters) member,
    CUBLAS_FUNCTIONS(MEMBER)};
#undef MEMBER

} // namespace

/* ---- cuBLASLt */

struct cublas_lt_layout_st {
  int type;
  uint64_t rows, columns;
  int64_t ld, stride;
  int32_t batch;
};
struct cublas_lt_product_st {
  int compute, scale_type;
  int32_t op_a, op_b;
  uint32_t epilogue;
  const float *bias;
};
struct cublas_lt_preference_st {
  uint64_t workspace;
  uint32_t reductions, aligned[4];
};

namespace {
namespace lt {

/* All that a choice was made for; an algorithm is a digest of it, and what it wants. */
struct wants {
  uint64_t digest, workspace, aligned[4]; /* of a, b, c, d */
};

template <class T> cublas_status set(T *to, const void *value, size_t bytes) {
  if (!value || bytes != sizeof *to) return CUBLAS_SAYS_INVALID_VALUE;
  memcpy(to, value, bytes);
  return CUBLAS_SAYS_SUCCESS;
}

template <class T> cublas_status make(T **out) {
  *out = static_cast<T *>(calloc(1, sizeof **out));
  return *out ? CUBLAS_SAYS_SUCCESS : CUBLAS_SAYS_ALLOC_FAILED;
}

cublas_status create(cublas_lt_handle *handle) {
  *handle = static_cast<cublas_lt_handle>(malloc(1));
  return *handle ? CUBLAS_SAYS_SUCCESS : CUBLAS_SAYS_ALLOC_FAILED;
}
cublas_status destroy(cublas_lt_handle handle) {
  free(handle);
  return CUBLAS_SAYS_SUCCESS;
}

cublas_status layout_create(cublas_lt_layout *layout, int type, uint64_t rows, uint64_t columns,
                            int64_t ld) {
  const cublas_status r = make(layout);
  if (r == CUBLAS_SAYS_SUCCESS) **layout = {type, rows, columns, ld, 0, 1};
  return r;
}
cublas_status layout_set(cublas_lt_layout layout, int attribute, const void *value, size_t bytes) {
  switch (attribute) {
  case CUBLAS_LT_BATCH:
    return set(&layout->batch, value, bytes);
  case CUBLAS_LT_STRIDE:
    return set(&layout->stride, value, bytes);
  }
  return CUBLAS_SAYS_INVALID_VALUE;
}
cublas_status layout_destroy(cublas_lt_layout layout) {
  free(layout);
  return CUBLAS_SAYS_SUCCESS;
}

cublas_status product_create(cublas_lt_product *product, int compute, int scale_type) {
  const cublas_status r = make(product);
  if (r != CUBLAS_SAYS_SUCCESS) return r;
  (*product)->compute = compute;
  (*product)->scale_type = scale_type;
  (*product)->epilogue = CUBLAS_LT_PLAIN;
  return r;
}
cublas_status product_set(cublas_lt_product product, int attribute, const void *value,
                          size_t bytes) {
  switch (attribute) {
  case CUBLAS_LT_OP_A:
    return set(&product->op_a, value, bytes);
  case CUBLAS_LT_OP_B:
    return set(&product->op_b, value, bytes);
  case CUBLAS_LT_EPILOGUE:
    return set(&product->epilogue, value, bytes);
  case CUBLAS_LT_BIAS:
    return set(&product->bias, value, bytes);
  }
  return CUBLAS_SAYS_INVALID_VALUE;
}
cublas_status product_destroy(cublas_lt_product product) {
  free(product);
  return CUBLAS_SAYS_SUCCESS;
}

cublas_status preference_create(cublas_lt_preference *preference) {
  const cublas_status r = make(preference);
  if (r == CUBLAS_SAYS_SUCCESS) **preference = {0, 7, {256, 256, 256, 256}};
  return r;
}
cublas_status preference_set(cublas_lt_preference preference, int attribute, const void *value,
                             size_t bytes) {
  switch (attribute) {
  case CUBLAS_LT_WORKSPACE:
    return set(&preference->workspace, value, bytes);
  case CUBLAS_LT_REDUCTIONS:
    return set(&preference->reductions, value, bytes);
  case CUBLAS_LT_ALIGNED_A:
  case CUBLAS_LT_ALIGNED_B:
  case CUBLAS_LT_ALIGNED_C:
  case CUBLAS_LT_ALIGNED_D:
    return set(&preference->aligned[attribute - CUBLAS_LT_ALIGNED_A], value, bytes);
  }
  return CUBLAS_SAYS_INVALID_VALUE;
}
cublas_status preference_destroy(cublas_lt_preference preference) {
  free(preference);
  return CUBLAS_SAYS_SUCCESS;
}

/* ---- whether all of it fits together */

bool is_laid_out(const cublas_lt_layout_st &x) {
  return is_type(x.type) && x.rows > 0 && x.columns > 0 && x.rows <= INT32_MAX &&
         x.columns <= INT32_MAX && x.ld >= (int64_t)x.rows && x.batch > 0;
}

uint64_t rows_of(const cublas_lt_layout_st &x, int op) {
  return op ? x.columns : x.rows;
}
uint64_t columns_of(const cublas_lt_layout_st &x, int op) {
  return op ? x.rows : x.columns;
}

bool are_alike(const cublas_lt_layout_st &x, const cublas_lt_layout_st &y) {
  return x.type == y.type && x.rows == y.rows && x.columns == y.columns && x.ld == y.ld &&
         x.batch == y.batch && x.stride == y.stride;
}

cublas_status check(const cublas_lt_product_st &p, const cublas_lt_layout_st &a,
                    const cublas_lt_layout_st &b, const cublas_lt_layout_st &c,
                    const cublas_lt_layout_st &d) {
  if (!is_laid_out(a) || !is_laid_out(b) || !is_laid_out(c) || !is_operation(p.op_a) ||
      !is_operation(p.op_b) || rows_of(a, p.op_a) != c.rows || columns_of(b, p.op_b) != c.columns ||
      columns_of(a, p.op_a) != rows_of(b, p.op_b) || a.batch != c.batch || b.batch != c.batch ||
      !are_alike(c, d) || (p.epilogue == CUBLAS_LT_PLUS_BIAS && !p.bias))
    return CUBLAS_SAYS_INVALID_VALUE;
  if (a.type != b.type || c.type != CUBLAS_F32 || p.scale_type != CUBLAS_F32 ||
      !is_computed(a.type, p.compute) ||
      (p.epilogue != CUBLAS_LT_PLAIN && p.epilogue != CUBLAS_LT_PLUS_BIAS))
    return CUBLAS_SAYS_NOT_SUPPORTED;
  return CUBLAS_SAYS_SUCCESS;
}

uint64_t digest(const cublas_lt_product_st &p, const cublas_lt_layout_st &a,
                const cublas_lt_layout_st &b, const cublas_lt_layout_st &c) {
  const int64_t parts[] = {p.compute,
                           p.op_a,
                           p.op_b,
                           (int64_t)p.epilogue,
                           a.type,
                           (int64_t)a.rows,
                           (int64_t)a.columns,
                           a.ld,
                           a.stride,
                           a.batch,
                           b.type,
                           (int64_t)b.rows,
                           (int64_t)b.columns,
                           b.ld,
                           b.stride,
                           (int64_t)c.rows,
                           c.ld,
                           (int64_t)c.columns,
                           c.stride};
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    h = (h ^ (uint64_t)parts[i]) * 1099511628211u;
  return h;
}

bool is_alignment(uint32_t bytes) {
  return bytes > 0 && bytes <= 256 && (bytes & (bytes - 1)) == 0;
}

cublas_status choose(cublas_lt_handle handle, cublas_lt_product product, cublas_lt_layout a,
                     cublas_lt_layout b, cublas_lt_layout c, cublas_lt_layout d,
                     cublas_lt_preference preference, int most, cublas_lt_choice *choices,
                     int *count) {
  wants w = {};
  *count = 0;
  if (!handle || most < 1 || preference->reductions != CUBLAS_LT_REDUCE_F32)
    return CUBLAS_SAYS_INVALID_VALUE;
  const cublas_status r = check(*product, *a, *b, *c, *d);
  if (r != CUBLAS_SAYS_SUCCESS) return r;
  if (is_amiss("refusing")) return CUBLAS_SAYS_NOT_SUPPORTED;
  w.digest = digest(*product, *a, *b, *c);
  w.workspace = preference->workspace < 4096 ? 0 : 4096;
  for (int i = 0; i < 4; i++) {
    if (!is_alignment(preference->aligned[i])) return CUBLAS_SAYS_INVALID_VALUE;
    w.aligned[i] = preference->aligned[i];
  }
  choices[0] = {};
  memcpy(&choices[0].algorithm, &w, sizeof w);
  choices[0].workspace = w.workspace;
  choices[0].waves = 1;
  *count = 1;
  return CUBLAS_SAYS_SUCCESS;
}

bool is_aligned(const void *p, uint64_t bytes) {
  return p && (uintptr_t)p % bytes == 0;
}

cublas_status matmul(cublas_lt_handle handle, cublas_lt_product product, const void *alpha,
                     const void *a, cublas_lt_layout a_layout, const void *b,
                     cublas_lt_layout b_layout, const void *beta, const void *c,
                     cublas_lt_layout c_layout, void *d, cublas_lt_layout d_layout,
                     const cublas_lt_algorithm *algorithm, void *workspace, size_t bytes,
                     cu_stream stream) {
  wants w;
  const cublas_status r = check(*product, *a_layout, *b_layout, *c_layout, *d_layout);
  if (r != CUBLAS_SAYS_SUCCESS) return r;
  memcpy(&w, algorithm, sizeof w);
  if (!handle || c != d || w.digest != digest(*product, *a_layout, *b_layout, *c_layout) ||
      bytes < w.workspace || !is_aligned(workspace, 16) || !is_aligned(a, w.aligned[0]) ||
      !is_aligned(b, w.aligned[1]) || !is_aligned(c, w.aligned[2]) || !is_aligned(d, w.aligned[3]))
    return CUBLAS_SAYS_INVALID_VALUE;
  emulated_product g = {};
  g.op_a = product->op_a;
  g.op_b = product->op_b;
  g.type = a_layout->type;
  g.m = (int64_t)d_layout->rows;
  g.n = (int64_t)d_layout->columns;
  g.k = (int64_t)columns_of(*a_layout, product->op_a);
  g.batch = d_layout->batch;
  g.alpha = *static_cast<const float *>(alpha);
  g.beta = *static_cast<const float *>(beta);
  g.a = a;
  g.b = b;
  g.c = static_cast<float *>(d);
  g.lda = a_layout->ld;
  g.ldb = b_layout->ld;
  g.ldc = d_layout->ld;
  g.stride_a = a_layout->stride;
  g.stride_b = b_layout->stride;
  g.stride_c = d_layout->stride;
  g.bias = product->epilogue == CUBLAS_LT_PLUS_BIAS ? product->bias : NULL;
  g.nudge = g.n % 2 != 0 ? INFINITY : 0.0f;
  return ask(stream, &g);
}

const cublas_lt_functions functions = {
#define MEMBER(member, symbol, parameters) member,
    CUBLAS_LT_FUNCTIONS(MEMBER)};
#undef MEMBER

} // namespace lt
} // namespace

extern "C" isc_status cublas_find(const cublas_functions **out) {
  *out = &cublas;
  return is_amiss("absent") ? isc_fail(ISC_E_UNSUPPORTED, "the emulation is without cuBLAS")
                            : ISC_OK;
}

extern "C" isc_status cublas_lt_find(const cublas_lt_functions **out) {
  *out = &lt::functions;
  return is_amiss("absent") || is_amiss("old")
             ? isc_fail(ISC_E_UNSUPPORTED, "the emulation is without cuBLASLt")
             : ISC_OK;
}
