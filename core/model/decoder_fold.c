/* SPDX-License-Identifier: Apache-2.0
 *
 * The rewriting of a decoder's weights that TransformerLens applies by default.
 *
 * A head's output depends on it, so results published for "processed" weights can only be compared with
 * activations of the same weights. Sums are in f64: folding must not be seen in the logits.
 */
#include "base/base.h"
#include "model/decoder_internal.h"
#include <stdlib.h>

/* A parameter on the host while it is rewritten. */
typedef struct host {
  isc_param *param;
  float *x; /* [rows, cols]; a vector is one row */
  int64_t rows, cols;
} host;

static isc_status take(isc_decoder *d, isc_param *q, host *out) {
  int64_t n = isc_tensor_size(&q->value), cols = q->value.shape[q->value.ndim - 1];
  *out = (host){.param = q, .rows = n / cols, .cols = cols};
  ISC_TRY(isc_calloc((size_t)n, sizeof(float), q->name, (void **)&out->x));
  return isc_param_get(d->params, q, out->x);
}

/* Put back what `st` did not spoil, and let go. */
static isc_status give(isc_decoder *d, host *list, int n, isc_status st) {
  for (int i = 0; i < n; i++) {
    if (st == ISC_OK) st = isc_param_set(d->params, list[i].param, list[i].x);
    free(list[i].x);
  }
  return st;
}

/* c[j] += Σ_i b[i] w[i, j] */
static isc_status add_product(const float *b, const host *w, float *c) {
  double *sum;
  ISC_TRY(isc_calloc((size_t)w->cols, sizeof *sum, "a bias", (void **)&sum));
  for (int64_t i = 0; i < w->rows; i++)
    for (int64_t j = 0; j < w->cols; j++)
      sum[j] += (double)b[i] * w->x[i * w->cols + j];
  for (int64_t j = 0; j < w->cols; j++)
    c[j] = (float)(c[j] + sum[j]);
  free(sum);
  return ISC_OK;
}

/* norm(x)·g + b read by (w, c) becomes norm(x) read by (g·w, c + b w). */
static isc_status fold_norm(isc_decoder *d, isc_param *gain, isc_param *bias, isc_param *weight,
                            isc_param *offset) {
  enum { G, B, W, C, N };
  host h[N] = {0};
  isc_status st = ISC_OK;
  ISC_GO(take(d, gain, &h[G]));
  ISC_GO(take(d, bias, &h[B]));
  ISC_GO(take(d, weight, &h[W]));
  ISC_GO(take(d, offset, &h[C]));
  ISC_GO(add_product(h[B].x, &h[W], h[C].x));
  for (int64_t i = 0; i < h[W].rows; i++) {
    for (int64_t j = 0; j < h[W].cols; j++)
      h[W].x[i * h[W].cols + j] *= h[G].x[i];
    h[G].x[i] = 1;
    h[B].x[i] = 0;
  }
done:
  return give(d, h, N, st);
}

/* A head's weights over positions add to one, so its value bias is a constant: it moves to b_O. */
static isc_status fold_values(isc_decoder *d, isc_decoder_layer *l) {
  enum { QKV, O, OUT, N };
  host h[N] = {0};
  isc_status st = ISC_OK;
  ISC_GO(take(d, l->qkv_b, &h[QKV]));
  ISC_GO(take(d, l->o_w, &h[O]));
  ISC_GO(take(d, l->o_b, &h[OUT]));
  int64_t heads = h[O].rows;
  float *values = h[QKV].x + 2 * heads;
  ISC_GO(add_product(values, &h[O], h[OUT].x));
  for (int64_t i = 0; i < heads; i++)
    values[i] = 0;
done:
  return give(d, h, N, st);
}

/* Subtract each row's mean over d_model: every reader begins with a norm that does so anyway. */
static isc_status centre(isc_decoder *d, isc_param *q) {
  host h = {0};
  isc_status st = ISC_OK;
  ISC_GO(take(d, q, &h));
  for (int64_t r = 0; r < h.rows; r++) {
    float *row = h.x + r * h.cols;
    double sum = 0;
    for (int64_t j = 0; j < h.cols; j++)
      sum += row[j];
    for (int64_t j = 0; j < h.cols; j++)
      row[j] = (float)(row[j] - sum / (double)h.cols);
  }
done:
  return give(d, &h, 1, st);
}

static isc_status fold_layer(isc_decoder *d, isc_decoder_layer *l) {
  ISC_TRY(fold_norm(d, l->ln_1_w, l->ln_1_b, l->qkv_w, l->qkv_b));
  ISC_TRY(fold_norm(d, l->ln_2_w, l->ln_2_b, l->fc_w, l->fc_b));
  ISC_TRY(fold_values(d, l));
  ISC_TRY(centre(d, l->o_w));
  ISC_TRY(centre(d, l->o_b));
  ISC_TRY(centre(d, l->proj_w));
  return centre(d, l->proj_b);
}

isc_status isc_decoder_fold(isc_decoder *d) {
  if (!d->spec.untied_head)
    return isc_fail(ISC_E_USAGE,
                    "folding centres wte, which must not be the head too: untie the head");
  if (isc_decoder_is_streamed(d))
    return isc_fail(ISC_E_UNSUPPORTED,
                    "folding rewrites all weights, and a streamed decoder has one layer's: use "
                    "resident = \"all\"");
  if (d->spec.norm != ISC_LAYERNORM || d->spec.out_in || d->spec.no_qkv_bias ||
      d->spec.no_attn_out_bias || d->spec.no_mlp_bias ||
      isc_spec_kv_heads(&d->spec) != d->spec.n_head || d->spec.weights != ISC_F32)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "folding is for GPT-2's kind of decoder: layer norms, biases everywhere, f32");
  ISC_TRY(centre(d, d->wte));
  ISC_TRY(centre(d, d->wpe));
  for (int64_t l = 0; l < d->spec.n_layer; l++)
    ISC_TRY(fold_layer(d, &d->layer[l]));
  return ISC_OK;
}
