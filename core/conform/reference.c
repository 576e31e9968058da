/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference of products, elementwise work and AdamW.
 */
#include "conform/reference_math.h"
#include <string.h>

float isc_reference_bf16(float x) {
  uint32_t bits;
  if (isnan(x)) return x;
  memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000;
  memcpy(&x, &bits, sizeof x);
  return x;
}

double isc_reference_element(const void *x, isc_dtype type, int64_t i) {
  uint16_t half;
  float value;
  if (type == ISC_F32) return (double)((const float *)x)[i];
  memcpy(&half, (const uint16_t *)x + i, sizeof half);
  uint32_t bits = (uint32_t)half << 16;
  memcpy(&value, &bits, sizeof value);
  return (double)value;
}

double isc_reference_act(isc_act act, double x) {
  switch (act) {
  case ISC_ACT_RELU:
    return x > 0 ? x : 0;
  case ISC_ACT_GELU:
    return 0.5 * x * erfc(-x / sqrt(2));
  case ISC_ACT_GELU_TANH:
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
  case ISC_ACT_SILU:
    return x / (1 + exp(-x));
  case ISC_ACT_TANH:
    return tanh(x);
  case ISC_ACT_NONE:
    break;
  }
  return x;
}

/* By central differences in double: good to 1e-9, and independent of any derived formula. */
double isc_reference_act_slope(isc_act act, double x) {
  const double h = 1e-4;
  if (act == ISC_ACT_RELU) return x > 0;
  double near = isc_reference_act(act, x + h) - isc_reference_act(act, x - h);
  double far = isc_reference_act(act, x + 2 * h) - isc_reference_act(act, x - 2 * h);
  return (8 * near - far) / (12 * h);
}

static double rounded(isc_dtype product, double x) {
  return product == ISC_BF16 ? (double)isc_reference_bf16((float)x) : x;
}

static isc_exact gemm_at(const isc_gemm *a, int64_t item, int64_t row, int64_t col) {
  const float *x = a->a + item * a->stride_a + (a->trans_a ? row : row * a->lda);
  int64_t y = item * a->stride_b + (a->trans_b ? col * a->ldb : col);
  int64_t x_step = a->trans_a ? a->lda : 1, y_step = a->trans_b ? 1 : a->ldb;
  isc_exact sum = {0, 0};
  for (int64_t k = 0; k < a->k; k++)
    isc_exact_add(&sum, isc_exact_of(rounded(a->product, (double)x[k * x_step]) *
                                     rounded(a->product, isc_reference_element(a->b, a->b_dtype,
                                                                               y + k * y_step))));
  sum.value *= (double)a->alpha;
  sum.slack *= fabs((double)a->alpha);
  if (a->beta != 0)
    isc_exact_add(&sum, isc_exact_of((double)a->beta *
                                     (double)a->c[item * a->stride_c + row * a->ldc + col]));
  if (a->bias) isc_exact_add(&sum, isc_exact_of((double)a->bias[col]));
  return sum;
}

void isc_reference_gemm(const isc_gemm *a, int64_t every, isc_exact *c, isc_exact *pre) {
  for (int64_t n = 0; n < a->batch * a->m * a->n; n++) {
    int64_t item = n / (a->m * a->n), row = n / a->n % a->m, col = n % a->n;
    int64_t at = item * a->stride_c + row * a->ldc + col;
    if (n % every) {
      c[at].slack = ISC_EXACT_ANY;
      if (pre) pre[at].slack = ISC_EXACT_ANY;
      continue;
    }
    isc_exact sum = gemm_at(a, item, row, col);
    if (pre) pre[at] = sum;
    c[at] = isc_exact_act(a->act, sum);
  }
}

void isc_reference_acts(isc_act act, int64_t n, const float *x, isc_exact *y) {
  for (int64_t i = 0; i < n; i++)
    y[i] = isc_exact_act(act, isc_exact_of((double)x[i]));
}

void isc_reference_act_grad(isc_act act, int64_t n, const float *pre, const float *dy,
                            isc_exact *dx) {
  for (int64_t i = 0; i < n; i++) {
    double slope = isc_reference_act_slope(act, (double)pre[i]);
    dx[i] = (isc_exact){(double)dy[i] * slope, fabs((double)dy[i]) * (1 + fabs(slope))};
  }
}

void isc_reference_col_sum(int64_t rows, int64_t n, const float *x, const float *before,
                           isc_exact *out) {
  for (int64_t c = 0; c < n; c++) {
    isc_exact sum = {0, 0};
    isc_exact_add(&sum, isc_exact_of((double)before[c]));
    for (int64_t r = 0; r < rows; r++)
      isc_exact_add(&sum, isc_exact_of((double)x[r * n + c]));
    out[c] = sum;
  }
}

void isc_reference_add(int64_t n, const float *a, const float *b, isc_exact *out) {
  isc_reference_axpy(n, 1, a, b, out);
}

void isc_reference_axpy(int64_t n, float alpha, const float *x, const float *y, isc_exact *out) {
  for (int64_t i = 0; i < n; i++) {
    isc_exact sum = {0, 0};
    isc_exact_add(&sum, isc_exact_of((double)y[i]));
    isc_exact_add(&sum, isc_exact_of((double)alpha * (double)x[i]));
    out[i] = sum;
  }
}

void isc_reference_mul(int64_t n, const float *a, const float *b, isc_exact *out) {
  for (int64_t i = 0; i < n; i++) {
    double product = (double)a[i] * (double)b[i];
    out[i] = (isc_exact){product, fabs(product)};
  }
}

void isc_reference_gather(int64_t n, int64_t width, const float *x, const int64_t *row,
                          isc_exact *out) {
  for (int64_t i = 0; i < n * width; i++)
    out[i] = isc_exact_of((double)x[row[i / width] * width + i % width]);
}

void isc_reference_scatter_add(int64_t n, int64_t width, const float *in, const int64_t *row,
                               const float *x, isc_exact *out) {
  for (int64_t i = 0; i < n * width; i++) {
    int64_t at = row[i / width] * width + i % width;
    out[at] = (isc_exact){(double)x[at], fabs((double)x[at])};
  }
  for (int64_t i = 0; i < n * width; i++)
    isc_exact_add(&out[row[i / width] * width + i % width], isc_exact_of((double)in[i]));
}

/* Summed in double, so the slack stands for a far smaller tolerance than that of f32. */
isc_exact isc_reference_sum_squares(int64_t n, const float *x) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    sum += (double)x[i] * (double)x[i];
  return (isc_exact){sum, sum * 1e-10 / ISC_EXACT_UNIT};
}

/* The order of operations of torch.optim.AdamW. */
void isc_reference_adamw(const isc_adamw *a, isc_exact *p, isc_exact *m, isc_exact *v) {
  double fix1 = 1 - pow(a->beta1, (double)a->step), fix2 = 1 - pow(a->beta2, (double)a->step);
  for (int64_t i = 0; i < a->n; i++) {
    double g = (double)a->g[i] * a->grad_scale, m0 = (double)a->m[i], v0 = (double)a->v[i];
    double m1 = a->beta1 * m0 + (1 - a->beta1) * g, v1 = a->beta2 * v0 + (1 - a->beta2) * g * g;
    double decayed = (double)a->p[i] * (1 - a->lr * a->weight_decay);
    double root = sqrt(v1 / fix2) + a->eps, move = a->lr * (m1 / fix1) / root;
    m[i] = (isc_exact){m1, fabs(m0) + (1 - a->beta1) * fabs(g)};
    v[i] = (isc_exact){v1, v1};
    p[i] = (isc_exact){decayed - move,
                       fabs((double)a->p[i]) + 2 * fabs(move) + a->lr / fix1 / root * m[i].slack};
  }
}
