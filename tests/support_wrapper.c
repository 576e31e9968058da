/* SPDX-License-Identifier: Apache-2.0
 *
 * A device that forwards to another, counts what it forwards, and can fail any one call.
 *
 * Counting shows that frozen weights cost nothing; failing shows that every error on the way is carried out
 * and nothing leaks.
 */
#include "support_backend.h"
#include <string.h>

static isc_status pass(isc_test_wrapper *w, int64_t *counter) {
  w->n.calls++;
  if (counter) ++*counter;
  if (w->n.calls == w->n.fail_at)
    return isc_fail(ISC_E_DEVICE, "injected failure of call %lld", (long long)w->n.calls);
  return ISC_OK;
}

#define INNER(w) (w)->inner.ops
#define FORWARD(name, counter, params, ...)                                                        \
  static isc_status w_##name params {                                                              \
    isc_test_wrapper *w = impl;                                                                    \
    ISC_TRY(pass(w, counter));                                                                     \
    return INNER(w)->name(w->inner.impl, __VA_ARGS__);                                             \
  }

static isc_status w_probe(char *why, size_t n) {
  return isc_test_plain_ops.probe(why, n);
}
static isc_status w_open(const void *conf, void **impl) {
  return isc_test_plain_ops.open(conf, impl);
}
static void w_close(void *impl) {
  (void)impl;
}

static isc_status w_alloc(void *impl, size_t bytes, void **out) {
  isc_test_wrapper *w = impl;
  ISC_TRY(pass(w, NULL));
  ISC_TRY(INNER(w)->alloc(w->inner.impl, bytes, out));
  w->n.alloc++;
  w->n.last_alloc = (int64_t)bytes;
  if (w->n.poison) memset(*out, 0xFF, bytes);
  return ISC_OK;
}

static void w_free(void *impl, void *p) {
  isc_test_wrapper *w = impl;
  w->n.free++;
  INNER(w)->free(w->inner.impl, p);
}

static isc_status w_sync(void *impl) {
  isc_test_wrapper *w = impl;
  ISC_TRY(pass(w, NULL));
  return INNER(w)->sync(w->inner.impl);
}

static isc_status w_gemm(void *impl, const isc_gemm *a) {
  isc_test_wrapper *w = impl;
  ISC_TRY(pass(w, &w->n.gemm));
  w->n.weight_gemm += a->trans_a;
  return INNER(w)->gemm(w->inner.impl, a);
}

static isc_status w_adamw(void *impl, const isc_adamw *const *list, int64_t count) {
  isc_test_wrapper *w = impl;
  ISC_TRY(pass(w, NULL));
  w->n.adamw += count;
  return INNER(w)->adamw(w->inner.impl, list, count);
}

FORWARD(upload, &w->n.upload, (void *impl, void *d, const void *h, size_t n), d, h, n)
FORWARD(download, &w->n.download, (void *impl, void *h, const void *s, size_t n), h, s, n)
FORWARD(copy, &w->n.copy, (void *impl, void *d, const void *s, size_t n), d, s, n)
FORWARD(zero, &w->n.zero, (void *impl, void *d, size_t n), d, n)
FORWARD(act, NULL, (void *impl, isc_act act, int64_t n, const float *x, float *y), act, n, x, y)
FORWARD(act_grad, NULL,
        (void *impl, isc_act act, int64_t n, const float *x, const float *dy, float *dx), act, n, x,
        dy, dx)
FORWARD(col_sum, &w->n.col_sum, (void *impl, int64_t rows, int64_t n, const float *x, float *o),
        rows, n, x, o)
FORWARD(layernorm, NULL, (void *impl, const isc_layernorm *a), a)
FORWARD(layernorm_grad, NULL, (void *impl, const isc_layernorm *a), a)
FORWARD(embed, NULL, (void *impl, const isc_embed *a), a)
FORWARD(embed_grad, NULL, (void *impl, const isc_embed *a), a)
FORWARD(attention, NULL, (void *impl, const isc_attention *a), a)
FORWARD(attention_grad, NULL, (void *impl, const isc_attention *a), a)
FORWARD(xent, NULL, (void *impl, const isc_xent *a), a)
FORWARD(control, NULL, (void *impl, const isc_control *a), a)
FORWARD(control_grad, NULL, (void *impl, const isc_control *a), a)
FORWARD(sum_squares, NULL, (void *impl, int64_t n, const float *x, double *out), n, x, out)
FORWARD(sample, NULL, (void *impl, const isc_sample *a), a)
FORWARD(noise, NULL, (void *impl, const isc_noise *a), a)
FORWARD(add, NULL, (void *impl, int64_t n, const float *a, const float *b, float *o), n, a, b, o)
FORWARD(axpy, &w->n.axpy, (void *impl, int64_t n, float s, const float *x, float *y), n, s, x, y)
FORWARD(mul, NULL, (void *impl, int64_t n, const float *a, const float *b, float *o), n, a, b, o)
FORWARD(gather, NULL,
        (void *impl, int64_t n, int64_t d, const float *x, const int64_t *r, float *o), n, d, x, r,
        o)
FORWARD(scatter_add, NULL,
        (void *impl, int64_t n, int64_t d, const float *i, const int64_t *r, float *x), n, d, i, r,
        x)
FORWARD(rotary, NULL, (void *impl, const isc_rotary *a), a)
FORWARD(gate, NULL, (void *impl, const isc_gate *a), a)
FORWARD(gate_grad, NULL, (void *impl, const isc_gate *a), a)
FORWARD(jumprelu, NULL, (void *impl, const isc_jumprelu *a), a)
FORWARD(jumprelu_grad, &w->n.jumprelu_grad, (void *impl, const isc_jumprelu *a), a)
FORWARD(distances, NULL, (void *impl, const isc_distances *a), a)
FORWARD(to_bf16, &w->n.to_bf16, (void *impl, int64_t n, const float *x, uint16_t *out), n, x, out)

static const isc_backend_ops wrapper_ops = {
    .size = sizeof(isc_backend_ops),
    .probe = w_probe,
    .open = w_open,
    .close = w_close,
    .alloc = w_alloc,
    .free = w_free,
    .upload = w_upload,
    .download = w_download,
    .copy = w_copy,
    .zero = w_zero,
    .sync = w_sync,
    .gemm = w_gemm,
    .act = w_act,
    .act_grad = w_act_grad,
    .col_sum = w_col_sum,
    .layernorm = w_layernorm,
    .layernorm_grad = w_layernorm_grad,
    .embed = w_embed,
    .embed_grad = w_embed_grad,
    .attention = w_attention,
    .attention_grad = w_attention_grad,
    .xent = w_xent,
    .control = w_control,
    .control_grad = w_control_grad,
    .adamw = w_adamw,
    .sum_squares = w_sum_squares,
    .sample = w_sample,
    .noise = w_noise,
    .add = w_add,
    .axpy = w_axpy,
    .mul = w_mul,
    .gather = w_gather,
    .scatter_add = w_scatter_add,
    .rotary = w_rotary,
    .gate = w_gate,
    .gate_grad = w_gate_grad,
    .jumprelu = w_jumprelu,
    .jumprelu_grad = w_jumprelu_grad,
    .distances = w_distances,
    .to_bf16 = w_to_bf16,
};

void isc_test_wrap(isc_test_wrapper *w, isc_device inner) {
  *w = (isc_test_wrapper){.inner = inner,
                          .device = {.ops = &wrapper_ops, .impl = w, .description = "wrapper"}};
}
