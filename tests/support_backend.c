/* SPDX-License-Identifier: Apache-2.0
 *
 * The plain test backend: memory, products, elementwise work and AdamW.
 *
 * Written from the formulas of backend.h alone, so that it can stand as an independent answer to the
 * fast backends.
 */
#include "support_backend.h"
#include <inversescope/rng.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static isc_status p_probe(char *why, size_t n) {
  snprintf(why, n, "plain C for tests");
  return ISC_OK;
}

static isc_status p_open(const void *conf, void **impl) {
  (void)conf;
  *impl = NULL;
  return ISC_OK;
}

static void p_close(void *impl) {
  (void)impl;
}

static isc_status p_alloc(void *impl, size_t bytes, void **out) {
  (void)impl;
  *out = NULL;
  if (bytes > (size_t)1 << 34 || posix_memalign(out, 64, bytes ? bytes : 1))
    return isc_fail(ISC_E_NOMEM, "plain: no %zu bytes", bytes);
  return ISC_OK;
}

static void p_free(void *impl, void *p) {
  (void)impl;
  free(p);
}

static isc_status p_upload(void *impl, void *dst, const void *host, size_t bytes) {
  (void)impl;
  memcpy(dst, host, bytes);
  return ISC_OK;
}

static isc_status p_zero(void *impl, void *dst, size_t bytes) {
  (void)impl;
  memset(dst, 0, bytes);
  return ISC_OK;
}

static isc_status p_sync(void *impl) {
  (void)impl;
  return ISC_OK;
}

double isc_test_act(isc_act act, double x) {
  switch (act) {
  case ISC_ACT_RELU:
    return x > 0 ? x : 0;
  case ISC_ACT_GELU:
    return 0.5 * x * (1 + erf(x / sqrt(2)));
  case ISC_ACT_GELU_TANH:
    return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  case ISC_ACT_SILU:
    return x / (1 + exp(-x));
  case ISC_ACT_TANH:
    return tanh(x);
  default:
    return x;
  }
}

/* By central differences in double: good to 1e-9, and independent of any derived formula. */
double isc_test_act_slope(isc_act act, double x) {
  const double h = 1e-4;
  if (act == ISC_ACT_RELU) return x > 0;
  double near = isc_test_act(act, x + h) - isc_test_act(act, x - h);
  double far = isc_test_act(act, x + 2 * h) - isc_test_act(act, x - 2 * h);
  return (8 * near - far) / (12 * h);
}

static isc_status p_gemm(void *impl, const isc_gemm *a) {
  (void)impl;
  for (int64_t i = 0; i < a->batch; i++)
    for (int64_t r = 0; r < a->m; r++)
      for (int64_t c = 0; c < a->n; c++) {
        const float *x = a->a + i * a->stride_a, *y = a->b + i * a->stride_b;
        int64_t at = r * a->ldc + c;
        float *z = a->c + i * a->stride_c + at;
        double sum = 0;
        for (int64_t k = 0; k < a->k; k++)
          sum += (double)(a->trans_a ? x[k * a->lda + r] : x[r * a->lda + k]) *
                 (double)(a->trans_b ? y[c * a->ldb + k] : y[k * a->ldb + c]);
        sum = a->alpha * sum + (a->beta != 0 ? a->beta * *z : 0) + (a->bias ? a->bias[c] : 0);
        if (a->pre) a->pre[at] = (float)sum;
        *z = (float)isc_test_act(a->act, sum);
      }
  return ISC_OK;
}

static isc_status p_act(void *impl, isc_act act, int64_t n, const float *x, float *y) {
  (void)impl;
  for (int64_t i = 0; i < n; i++)
    y[i] = (float)isc_test_act(act, x[i]);
  return ISC_OK;
}

static isc_status p_act_grad(void *impl, isc_act act, int64_t n, const float *pre, const float *dy,
                             float *dx) {
  (void)impl;
  for (int64_t i = 0; i < n; i++)
    dx[i] = (float)(dy[i] * isc_test_act_slope(act, pre[i]));
  return ISC_OK;
}

static isc_status p_col_sum(void *impl, int64_t rows, int64_t n, const float *x, float *out) {
  (void)impl;
  for (int64_t c = 0; c < n; c++) {
    double sum = out[c];
    for (int64_t r = 0; r < rows; r++)
      sum += x[r * n + c];
    out[c] = (float)sum;
  }
  return ISC_OK;
}

/* The order of operations of torch.optim.AdamW, in double. */
static isc_status p_adamw(void *impl, const isc_adamw *const *list, int64_t count) {
  (void)impl;
  for (int64_t k = 0; k < count; k++) {
    const isc_adamw *a = list[k];
    double c1 = 1 - pow(a->beta1, (double)a->step), c2 = 1 - pow(a->beta2, (double)a->step);
    for (int64_t i = 0; i < a->n; i++) {
      double g = a->g[i] * a->grad_scale, p = a->p[i] * (1 - a->lr * a->weight_decay);
      double m = a->beta1 * a->m[i] + (1 - a->beta1) * g,
             v = a->beta2 * a->v[i] + (1 - a->beta2) * g * g;
      a->m[i] = (float)m;
      a->v[i] = (float)v;
      a->p[i] = (float)(p - a->lr * (m / c1) / (sqrt(v / c2) + a->eps));
    }
  }
  return ISC_OK;
}

static isc_status p_sum_squares(void *impl, int64_t n, const float *x, double *host_out) {
  (void)impl;
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    sum += (double)x[i] * x[i];
  *host_out = sum;
  return ISC_OK;
}

static isc_status p_sample(void *impl, const isc_sample *a) {
  (void)impl;
  (void)a;
  return isc_fail(ISC_E_UNSUPPORTED, "plain: no sampling");
}

static isc_status p_noise(void *impl, const isc_noise *a) {
  (void)impl;
  (void)a;
  return isc_fail(ISC_E_UNSUPPORTED, "plain: no noise");
}

static isc_status p_add(void *impl, int64_t n, const float *a, const float *b, float *out) {
  (void)impl;
  for (int64_t i = 0; i < n; i++)
    out[i] = a[i] + b[i];
  return ISC_OK;
}

static isc_status p_axpy(void *impl, int64_t n, float alpha, const float *x, float *y) {
  (void)impl;
  for (int64_t i = 0; i < n; i++)
    y[i] += alpha * x[i];
  return ISC_OK;
}

static isc_status p_mul(void *impl, int64_t n, const float *a, const float *b, float *out) {
  (void)impl;
  for (int64_t i = 0; i < n; i++)
    out[i] = a[i] * b[i];
  return ISC_OK;
}

static isc_status p_gather(void *impl, int64_t n, int64_t width, const float *x, const int64_t *row,
                           float *out) {
  (void)impl;
  for (int64_t i = 0; i < n; i++)
    memcpy(out + i * width, x + row[i] * width, (size_t)width * sizeof *x);
  return ISC_OK;
}

static isc_status p_scatter_add(void *impl, int64_t n, int64_t width, const float *in,
                                const int64_t *row, float *x) {
  (void)impl;
  for (int64_t i = 0; i < n * width; i++)
    x[row[i / width] * width + i % width] += in[i];
  return ISC_OK;
}

const isc_backend_ops isc_test_plain_ops = {
    .size = sizeof(isc_backend_ops),
    .probe = p_probe,
    .open = p_open,
    .close = p_close,
    .alloc = p_alloc,
    .free = p_free,
    .upload = p_upload,
    .download = p_upload,
    .copy = p_upload,
    .zero = p_zero,
    .sync = p_sync,
    .gemm = p_gemm,
    .act = p_act,
    .act_grad = p_act_grad,
    .col_sum = p_col_sum,
    .layernorm = isc_test_layernorm,
    .layernorm_grad = isc_test_layernorm_grad,
    .embed = isc_test_embed,
    .embed_grad = isc_test_embed_grad,
    .attention = isc_test_attention,
    .attention_grad = isc_test_attention_grad,
    .xent = isc_test_xent,
    .control = isc_test_control,
    .control_grad = isc_test_control_grad,
    .adamw = p_adamw,
    .sum_squares = p_sum_squares,
    .sample = p_sample,
    .noise = p_noise,
    .add = p_add,
    .axpy = p_axpy,
    .mul = p_mul,
    .gather = p_gather,
    .scatter_add = p_scatter_add,
};

isc_device isc_test_plain_device(void) {
  return (isc_device){.ops = &isc_test_plain_ops, .description = "plain"};
}

isc_device *isc_test_cpu_device(void) {
  isc_device *dev = NULL;
  return isc_device_open("cpu", NULL, &dev, NULL) == ISC_OK ? dev : NULL;
}

void isc_test_normals(uint64_t index, float *out, int64_t n) {
  isc_rng r = isc_rng_at(20240229, ISC_RNG_USER + 7, index);
  isc_rng_normals(&r, out, n);
}
