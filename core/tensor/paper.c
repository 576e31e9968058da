/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of a device of paper is an address and a size; its operations leave every result as it is.
 */
#include "tensor/paper.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

/* Addresses must differ and be aligned as a device's; only this is behind them. */
typedef struct sheet {
  _Alignas(64) size_t bytes;
} sheet;

static isc_status paper_alloc(void *impl, size_t bytes, void **out) {
  isc_paper *p = impl;
  sheet *s = aligned_alloc(64, sizeof *s);
  if (!s) return isc_fail(ISC_E_NOMEM, "no memory for a plan");
  s->bytes = bytes;
  p->bytes += (double)bytes;
  if (p->bytes > p->peak) p->peak = p->bytes;
  *out = s;
  return ISC_OK;
}

static void paper_free(void *impl, void *at) {
  sheet *s = at;
  if (s) ((isc_paper *)impl)->bytes -= (double)s->bytes;
  free(s);
}

static isc_status paper_upload(void *impl, void *dst, const void *host, size_t bytes) {
  (void)impl, (void)dst, (void)host, (void)bytes;
  return ISC_OK;
}

static isc_status paper_download(void *impl, void *host, const void *src, size_t bytes) {
  (void)impl, (void)src;
  memset(host, 0, bytes);
  return ISC_OK;
}

static isc_status paper_copy(void *impl, void *dst, const void *src, size_t bytes) {
  (void)impl, (void)dst, (void)src, (void)bytes;
  return ISC_OK;
}

static isc_status paper_zero(void *impl, void *dst, size_t bytes) {
  (void)impl, (void)dst, (void)bytes;
  return ISC_OK;
}

static isc_status paper_sync(void *impl) {
  (void)impl;
  return ISC_OK;
}

#define PAPER_OP(name, type)                                                                       \
  static isc_status paper_##name(void *impl, const type *a) {                                      \
    (void)impl, (void)a;                                                                           \
    return ISC_OK;                                                                                 \
  }

PAPER_OP(gemm, isc_gemm)
PAPER_OP(layernorm, isc_layernorm)
PAPER_OP(embed, isc_embed)
PAPER_OP(attention, isc_attention)
PAPER_OP(xent, isc_xent)
PAPER_OP(control, isc_control)
PAPER_OP(noise, isc_noise)
PAPER_OP(rotary, isc_rotary)
PAPER_OP(gate, isc_gate)
PAPER_OP(jumprelu, isc_jumprelu)
PAPER_OP(distances, isc_distances)

static isc_status paper_to_bf16(void *impl, int64_t n, const float *x, uint16_t *out) {
  (void)impl, (void)n, (void)x, (void)out;
  return ISC_OK;
}

static isc_status paper_act(void *impl, isc_act act, int64_t n, const float *x, float *y) {
  (void)impl, (void)act, (void)n, (void)x, (void)y;
  return ISC_OK;
}

static isc_status paper_act_grad(void *impl, isc_act act, int64_t n, const float *pre,
                                 const float *dy, float *dx) {
  (void)impl, (void)act, (void)n, (void)pre, (void)dy, (void)dx;
  return ISC_OK;
}

static isc_status paper_col_sum(void *impl, int64_t rows, int64_t n, const float *x, float *out) {
  (void)impl, (void)rows, (void)n, (void)x, (void)out;
  return ISC_OK;
}

static isc_status paper_adamw(void *impl, const isc_adamw *const *list, int64_t count) {
  (void)impl, (void)list, (void)count;
  return ISC_OK;
}

static isc_status paper_sum_squares(void *impl, int64_t n, const float *x, double *host_out) {
  (void)impl, (void)n, (void)x;
  *host_out = 0;
  return ISC_OK;
}

/* A token from the middle of the vocabulary: special ones, the end of a text among them, are at its ends. */
static isc_status paper_sample(void *impl, const isc_sample *a) {
  (void)impl;
  for (int64_t i = 0; i < a->rows; i++) {
    a->id[i] = (int32_t)(a->vocab / 2);
    if (a->logp) a->logp[i] = 0;
  }
  return ISC_OK;
}

static isc_status paper_add(void *impl, int64_t n, const float *a, const float *b, float *out) {
  (void)impl, (void)n, (void)a, (void)b, (void)out;
  return ISC_OK;
}

static isc_status paper_axpy(void *impl, int64_t n, float alpha, const float *x, float *y) {
  (void)impl, (void)n, (void)alpha, (void)x, (void)y;
  return ISC_OK;
}

static isc_status paper_gather(void *impl, int64_t n, int64_t width, const float *x,
                               const int64_t *row, float *out) {
  (void)impl, (void)n, (void)width, (void)x, (void)row, (void)out;
  return ISC_OK;
}

static isc_status paper_scatter(void *impl, int64_t n, int64_t width, const float *in,
                                const int64_t *row, float *x) {
  (void)impl, (void)n, (void)width, (void)in, (void)row, (void)x;
  return ISC_OK;
}

static const isc_backend_ops PAPER = {.size = sizeof PAPER,
                                      .alloc = paper_alloc,
                                      .free = paper_free,
                                      .upload = paper_upload,
                                      .download = paper_download,
                                      .copy = paper_copy,
                                      .zero = paper_zero,
                                      .sync = paper_sync,
                                      .gemm = paper_gemm,
                                      .act = paper_act,
                                      .act_grad = paper_act_grad,
                                      .col_sum = paper_col_sum,
                                      .layernorm = paper_layernorm,
                                      .layernorm_grad = paper_layernorm,
                                      .embed = paper_embed,
                                      .embed_grad = paper_embed,
                                      .attention = paper_attention,
                                      .attention_grad = paper_attention,
                                      .xent = paper_xent,
                                      .control = paper_control,
                                      .control_grad = paper_control,
                                      .adamw = paper_adamw,
                                      .sum_squares = paper_sum_squares,
                                      .sample = paper_sample,
                                      .noise = paper_noise,
                                      .add = paper_add,
                                      .axpy = paper_axpy,
                                      .mul = paper_add,
                                      .gather = paper_gather,
                                      .scatter_add = paper_scatter,
                                      .rotary = paper_rotary,
                                      .gate = paper_gate,
                                      .gate_grad = paper_gate,
                                      .jumprelu = paper_jumprelu,
                                      .jumprelu_grad = paper_jumprelu,
                                      .distances = paper_distances,
                                      .to_bf16 = paper_to_bf16};

isc_device isc_paper_device(isc_paper *p) {
  static const isc_class cls = {.size = sizeof cls,
                                .kind = ISC_BACKEND,
                                .name = "paper",
                                .version = "1.0.0",
                                .summary = "Counts and computes nothing"};
  return (isc_device){.ops = &PAPER, .impl = p, .cls = &cls, .description = "paper", .paper = true};
}
