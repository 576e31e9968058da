/* SPDX-License-Identifier: Apache-2.0
 *
 * The plain test backend: the reference of the conformance checks, rounded to f32, on host memory.
 *
 * It knows nothing of the fast backends, so that it can stand as an independent answer to them.
 */
#include "support_backend.h"
#include "base/half.h"
#include "conform/reference.h"
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

/* ---- outputs: the reference's numbers, rounded once */

typedef struct output {
  float *to; /* [n] */
  isc_exact *value;
  int64_t n;
} output;

/* Room for the reference of an output of n floats; NULL for NULL. Elements that it leaves alone stay as they are. */
static isc_exact *room(output *o, float *to, int64_t n) {
  *o = (output){.to = to, .n = n};
  if (!to) return NULL;
  o->value = malloc((size_t)(n + 1) * sizeof *o->value);
  if (!o->value) abort();
  for (int64_t i = 0; i < n; i++)
    o->value[i].slack = ISC_EXACT_KEPT;
  return o->value;
}

static isc_status give(output *o, int count) {
  for (int k = 0; k < count; k++) {
    for (int64_t i = 0; o[k].to && i < o[k].n; i++)
      if (o[k].value[i].slack != ISC_EXACT_KEPT) o[k].to[i] = (float)o[k].value[i].value;
    free(o[k].value);
  }
  return ISC_OK;
}

static isc_status p_gemm(void *impl, const isc_gemm *a) {
  output o[2];
  int64_t item = (a->m - 1) * a->ldc + a->n;
  (void)impl;
  if (a->batch < 1 || a->m < 1 || a->n < 1) return ISC_OK;
  isc_exact *c = room(&o[0], a->c, (a->batch - 1) * a->stride_c + item);
  isc_reference_gemm(a, 1, c, room(&o[1], a->pre, item));
  return give(o, 2);
}

static isc_status p_act(void *impl, isc_act act, int64_t n, const float *x, float *y) {
  output o;
  (void)impl;
  isc_reference_acts(act, n, x, room(&o, y, n));
  return give(&o, 1);
}

static isc_status p_act_grad(void *impl, isc_act act, int64_t n, const float *pre, const float *dy,
                             float *dx) {
  output o;
  (void)impl;
  isc_reference_act_grad(act, n, pre, dy, room(&o, dx, n));
  return give(&o, 1);
}

static isc_status p_col_sum(void *impl, int64_t rows, int64_t n, const float *x, float *out) {
  output o;
  (void)impl;
  isc_reference_col_sum(rows, n, x, out, room(&o, out, n));
  return give(&o, 1);
}

static isc_status p_layernorm(void *impl, const isc_layernorm *a) {
  output o[3];
  (void)impl;
  int64_t groups = a->group && a->rows ? (a->rows - 1) / a->group : 0;
  int64_t n = a->group ? groups * a->stride + a->group * a->d : a->rows * a->d;
  isc_exact *y = room(&o[0], a->y, n), *mean = room(&o[1], a->mean, a->rows);
  isc_reference_layernorm(a, y, mean, room(&o[2], a->rstd, a->rows));
  return give(o, 3);
}

static isc_status p_layernorm_grad(void *impl, const isc_layernorm *a) {
  output o[3];
  (void)impl;
  isc_exact *dx = room(&o[0], a->dx, a->rows * a->d), *dg = room(&o[1], a->dg, a->d);
  isc_reference_layernorm_grad(a, dx, dg, room(&o[2], a->db, a->d));
  return give(o, 3);
}

static isc_status p_embed(void *impl, const isc_embed *a) {
  output o;
  (void)impl;
  isc_reference_embed(a, room(&o, a->out, a->rows * a->d));
  return give(&o, 1);
}

static isc_status p_embed_grad(void *impl, const isc_embed *a) {
  output o[2];
  (void)impl;
  isc_exact *dwte = room(&o[0], a->dwte, a->vocab * a->d);
  isc_reference_embed_grad(a, dwte, room(&o[1], a->dwpe, a->n_ctx * a->d));
  return give(o, 2);
}

static isc_status p_rotary(void *impl, const isc_rotary *a) {
  output o;
  (void)impl;
  isc_reference_rotary(a, room(&o, a->y, a->rows * a->width));
  return give(&o, 1);
}

static isc_status p_gate(void *impl, const isc_gate *a) {
  output o;
  (void)impl;
  isc_reference_gate(a, room(&o, a->y, a->rows * a->d));
  return give(&o, 1);
}

static isc_status p_gate_grad(void *impl, const isc_gate *a) {
  output o;
  (void)impl;
  isc_reference_gate_grad(a, room(&o, a->dx, 2 * a->rows * a->d));
  return give(&o, 1);
}

static isc_status p_jumprelu(void *impl, const isc_jumprelu *a) {
  output o[2];
  (void)impl;
  isc_exact *y = room(&o[0], a->y, a->rows * a->d);
  isc_reference_jumprelu(a, y, room(&o[1], a->l0, a->rows));
  return give(o, 2);
}

static isc_status p_jumprelu_grad(void *impl, const isc_jumprelu *a) {
  output o[2];
  (void)impl;
  isc_exact *dx = room(&o[0], a->dx, a->rows * a->d);
  isc_reference_jumprelu_grad(a, dx, room(&o[1], a->dtheta, a->d));
  return give(o, 2);
}

static isc_status p_distances(void *impl, const isc_distances *a) {
  (void)impl;
  (void)a;
  return isc_fail(ISC_E_UNSUPPORTED, "plain: no distances");
}

static isc_status p_to_bf16(void *impl, int64_t n, const float *x, uint16_t *out) {
  (void)impl;
  for (int64_t i = 0; i < n; i++)
    out[i] = isc_bf16_of_f32(x[i]);
  return ISC_OK;
}

static isc_status p_attention(void *impl, const isc_attention *a) {
  output o[2];
  (void)impl;
  isc_exact *out = room(&o[0], a->out, a->batch * a->out_batch);
  isc_status st =
      isc_reference_attention(a, out, room(&o[1], a->lse, a->batch * a->n_head * a->q_len));
  give(o, 2);
  return st;
}

static isc_status p_attention_grad(void *impl, const isc_attention *a) {
  output o[3];
  (void)impl;
  isc_exact *dq = room(&o[0], a->dq, a->batch * a->q_batch);
  isc_exact *dk = room(&o[1], a->dk, a->batch * a->kv_batch);
  isc_reference_attention_grad(a, dq, dk, room(&o[2], a->dv, a->batch * a->kv_batch));
  return give(o, 3);
}

static isc_status p_xent(void *impl, const isc_xent *a) {
  output o[3];
  (void)impl;
  isc_exact *logp = room(&o[0], a->logp, a->rows), *dh = room(&o[1], a->dh, a->rows * a->d);
  isc_status st = isc_reference_xent(a, logp, dh, room(&o[2], a->dw, a->vocab * a->d));
  give(o, 3);
  return st;
}

static isc_status p_control(void *impl, const isc_control *a) {
  output o[2];
  (void)impl;
  isc_exact *out = room(&o[0], a->out, a->batch * a->len * a->d);
  isc_reference_control(a, out, room(&o[1], a->omega, a->batch * a->len * a->heads));
  return give(o, 2);
}

static isc_status p_control_grad(void *impl, const isc_control *a) {
  output o[4];
  (void)impl;
  isc_exact *dhn = room(&o[0], a->dhn, a->batch * a->len * a->d);
  isc_exact *du = room(&o[1], a->du, a->batch * a->heads * a->d);
  isc_exact *dv = room(&o[2], a->dv, a->batch * a->heads * a->d);
  isc_reference_control_grad(a, dhn, du, dv, room(&o[3], a->dc, a->batch * a->heads));
  return give(o, 4);
}

static isc_status p_adamw(void *impl, const isc_adamw *const *list, int64_t count) {
  (void)impl;
  for (int64_t k = 0; k < count; k++) {
    const isc_adamw *a = list[k];
    output o[3];
    isc_exact *p = room(&o[0], a->p, a->n), *m = room(&o[1], a->m, a->n);
    isc_reference_adamw(a, p, m, room(&o[2], a->v, a->n));
    give(o, 3);
  }
  return ISC_OK;
}

static isc_status p_sum_squares(void *impl, int64_t n, const float *x, double *host_out) {
  (void)impl;
  *host_out = isc_reference_sum_squares(n, x).value;
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
  output o;
  (void)impl;
  isc_reference_add(n, a, b, room(&o, out, n));
  return give(&o, 1);
}

static isc_status p_axpy(void *impl, int64_t n, float alpha, const float *x, float *y) {
  output o;
  (void)impl;
  isc_reference_axpy(n, alpha, x, y, room(&o, y, n));
  return give(&o, 1);
}

static isc_status p_mul(void *impl, int64_t n, const float *a, const float *b, float *out) {
  output o;
  (void)impl;
  isc_reference_mul(n, a, b, room(&o, out, n));
  return give(&o, 1);
}

static isc_status p_gather(void *impl, int64_t n, int64_t width, const float *x, const int64_t *row,
                           float *out) {
  output o;
  (void)impl;
  isc_reference_gather(n, width, x, row, room(&o, out, n * width));
  return give(&o, 1);
}

static isc_status p_scatter_add(void *impl, int64_t n, int64_t width, const float *in,
                                const int64_t *row, float *x) {
  output o;
  int64_t rows = 0;
  (void)impl;
  for (int64_t i = 0; i < n; i++)
    if (row[i] >= rows) rows = row[i] + 1;
  isc_reference_scatter_add(n, width, in, row, x, room(&o, x, rows * width));
  return give(&o, 1);
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
    .layernorm = p_layernorm,
    .layernorm_grad = p_layernorm_grad,
    .embed = p_embed,
    .embed_grad = p_embed_grad,
    .attention = p_attention,
    .attention_grad = p_attention_grad,
    .xent = p_xent,
    .control = p_control,
    .control_grad = p_control_grad,
    .adamw = p_adamw,
    .sum_squares = p_sum_squares,
    .sample = p_sample,
    .noise = p_noise,
    .add = p_add,
    .axpy = p_axpy,
    .mul = p_mul,
    .gather = p_gather,
    .scatter_add = p_scatter_add,
    .rotary = p_rotary,
    .gate = p_gate,
    .gate_grad = p_gate_grad,
    .jumprelu = p_jumprelu,
    .jumprelu_grad = p_jumprelu_grad,
    .distances = p_distances,
    .to_bf16 = p_to_bf16,
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
