/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference decoder: loops in double straight from the formulas, sharing no code with the library's pass.
 */
#include "support_decoder.h"
#include "support.h"
#include "support_backend.h"
#include "conform/reference.h"

#include <inversescope/rng.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

isc_decoder_spec isc_test_spec(void) {
  return (isc_decoder_spec){.size = sizeof(isc_decoder_spec),
                            .n_layer = 3,
                            .n_head = 2,
                            .d_model = 12,
                            .d_head = 6,
                            .d_mlp = 20,
                            .vocab = 17,
                            .n_ctx = 9,
                            .act = ISC_ACT_GELU_TANH,
                            .norm_eps = 1e-5};
}

isc_decoder *isc_test_decoder(isc_device *dev, const isc_decoder_spec *spec, uint64_t seed) {
  isc_decoder *d;
  isc_assert_ok(isc_decoder_new(dev, spec, &d));
  isc_params *p = isc_decoder_params(d);
  for (int64_t i = 0; i < isc_params_count(p); i++) {
    isc_param *q = isc_params_at(p, i);
    int64_t n = isc_tensor_size(&q->value);
    float *x = malloc((size_t)n * sizeof *x);
    isc_rng r = isc_rng_at(seed, ISC_RNG_USER, (uint64_t)i);
    isc_rng_normals(&r, x, n);
    double scale = q->value.ndim == 2 ? 0.4 : 0.3;
    for (int64_t k = 0; k < n; k++)
      x[k] = (float)(x[k] * scale + (strstr(q->name, "ln_") && strstr(q->name, "weight") ? 1 : 0));
    isc_assert_ok(isc_param_set(p, q, x));
    free(x);
  }
  return d;
}

int64_t isc_test_width(const isc_decoder_spec *s, isc_place place) {
  return place == ISC_HEADS ? s->n_head * s->d_head : s->d_model;
}

static double *doubles(int64_t n) {
  return calloc((size_t)n + 1, sizeof(double));
}

static double *weight(isc_decoder *d, int64_t layer, const char *name) {
  char full[64];
  if (layer < 0)
    snprintf(full, sizeof full, "%s", name);
  else
    snprintf(full, sizeof full, "h.%d.%s", (int)layer, name);
  isc_params *p = isc_decoder_params(d);
  isc_param *q = isc_params_find(p, full);
  cr_assert(q, "no parameter %s", full);
  int64_t n = isc_tensor_size(&q->value);
  float *x = malloc((size_t)n * sizeof *x);
  double *out = doubles(n);
  isc_assert_ok(isc_param_get(p, q, x));
  for (int64_t i = 0; i < n; i++)
    out[i] = x[i];
  free(x);
  return out;
}

static double *norm(isc_decoder *d, int64_t layer, const char *name, const double *x,
                    int64_t rows) {
  int64_t n = isc_decoder_get_spec(d)->d_model;
  char g_name[32], b_name[32];
  snprintf(g_name, sizeof g_name, "%s.weight", name);
  snprintf(b_name, sizeof b_name, "%s.bias", name);
  double *g = weight(d, layer, g_name), *b = weight(d, layer, b_name), *y = doubles(rows * n);
  for (int64_t r = 0; r < rows; r++) {
    double mean = 0, var = 0;
    for (int64_t i = 0; i < n; i++)
      mean += x[r * n + i] / (double)n;
    for (int64_t i = 0; i < n; i++)
      var += pow(x[r * n + i] - mean, 2) / (double)n;
    for (int64_t i = 0; i < n; i++)
      y[r * n + i] =
          (x[r * n + i] - mean) / sqrt(var + isc_decoder_get_spec(d)->norm_eps) * g[i] + b[i];
  }
  free(g);
  free(b);
  return y;
}

static double *linear(isc_decoder *d, int64_t layer, const char *name, const double *x,
                      int64_t rows, int64_t in, int64_t out, isc_act act) {
  char w_name[40], b_name[40];
  snprintf(w_name, sizeof w_name, "%s.weight", name);
  snprintf(b_name, sizeof b_name, "%s.bias", name);
  double *w = weight(d, layer, w_name), *b = weight(d, layer, b_name), *y = doubles(rows * out);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < out; j++) {
      double sum = b[j];
      for (int64_t i = 0; i < in; i++)
        sum += x[r * in + i] * w[i * out + j];
      y[r * out + j] = isc_reference_act(act, sum);
    }
  free(w);
  free(b);
  return y;
}

/* One query of one head: qkv rows of a sequence, out [d_head]. */
/* What a query may attend to: slots, then tokens; rows of keys and values, [n_head·d_head] each. */
typedef struct visible {
  int64_t n;
  const double *k[64], *v[64];
} visible;

static void attend(const isc_decoder_spec *s, double scale, const double *q, const visible *seen,
                   int64_t head, double *out) {
  int64_t at = head * s->d_head;
  double p[64], top = -INFINITY, sum = 0;
  for (int64_t k = 0; k < seen->n; k++) {
    p[k] = 0;
    for (int64_t i = 0; i < s->d_head; i++)
      p[k] += scale * q[at + i] * seen->k[k][at + i];
    top = fmax(top, p[k]);
  }
  for (int64_t k = 0; k < seen->n; k++)
    sum += p[k] = exp(p[k] - top);
  for (int64_t i = 0; i < s->d_head; i++)
    for (int64_t k = 0; k < seen->n; k++)
      out[i] += p[k] / sum * seen->v[k][at + i];
}

static double *widened(const float *x, int64_t n) {
  double *y = doubles(n);
  for (int64_t i = 0; x && i < n; i++)
    y[i] = x[i];
  return y;
}

static double *heads(isc_decoder *d, int64_t layer, const double *x, int64_t batch, int64_t len,
                     const isc_test_slots *slots) {
  const isc_decoder_spec *s = isc_decoder_get_spec(d);
  int64_t width = s->n_head * s->d_head, n = slots ? slots->n : 0;
  double *h = norm(d, layer, "ln_1", x, batch * len), *out = doubles(batch * len * width);
  double *qkv =
      linear(d, layer, "attn.c_attn", h, batch * len, s->d_model, 3 * width, ISC_ACT_NONE);
  double *sk = widened(n ? slots->k[layer] : NULL, batch * n * width),
         *sv = widened(n ? slots->v[layer] : NULL, batch * n * width);
  double scale = s->attn_scale != 0 ? s->attn_scale : 1 / sqrt((double)s->d_head);
  if (s->scale_by_layer) scale /= (double)(layer + 1);
  for (int64_t b = 0; b < batch; b++) {
    visible seen = {.n = n};
    for (int64_t i = 0; i < n; i++) {
      seen.k[i] = sk + (b * n + i) * width;
      seen.v[i] = sv + (b * n + i) * width;
    }
    for (int64_t t = 0; t < len; t++) {
      const double *row = qkv + (b * len + t) * 3 * width;
      seen.k[seen.n] = row + width;
      seen.v[seen.n++] = row + 2 * width;
      for (int64_t m = 0; m < s->n_head; m++)
        attend(s, scale, row, &seen, m, out + (b * len + t) * width + m * s->d_head);
    }
  }
  free(h);
  free(qkv);
  free(sk);
  free(sv);
  return out;
}

static double *sum(const double *a, const double *b, int64_t n) {
  double *y = doubles(n);
  for (int64_t i = 0; i < n; i++)
    y[i] = a[i] + b[i];
  return y;
}

static double *embed(isc_decoder *d, const int32_t *ids, int64_t batch, int64_t len) {
  int64_t n = isc_decoder_get_spec(d)->d_model;
  double *wte = weight(d, -1, "wte.weight"), *wpe = weight(d, -1, "wpe.weight"),
         *x = doubles(batch * len * n);
  for (int64_t r = 0; r < batch * len; r++)
    for (int64_t i = 0; i < n; i++)
      x[r * n + i] = wte[ids[r] * n + i] + wpe[r % len * n + i];
  free(wte);
  free(wpe);
  return x;
}

static double *unembed(isc_decoder *d, const double *h, int64_t rows) {
  const isc_decoder_spec *s = isc_decoder_get_spec(d);
  double *w = weight(d, -1, s->untied_head ? "lm_head.weight" : "wte.weight"),
         *y = doubles(rows * s->vocab);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t j = 0; j < s->vocab; j++)
      for (int64_t i = 0; i < s->d_model; i++)
        y[r * s->vocab + j] += h[r * s->d_model + i] * w[j * s->d_model + i];
  free(w);
  return y;
}

isc_test_pass isc_test_reference(isc_decoder *d, const int32_t *ids, int64_t batch, int64_t len) {
  return isc_test_reference_behind(d, ids, batch, len, NULL);
}

isc_test_pass isc_test_reference_behind(isc_decoder *d, const int32_t *ids, int64_t batch,
                                        int64_t len, const isc_test_slots *slots) {
  const isc_decoder_spec *s = isc_decoder_get_spec(d);
  int64_t rows = batch * len, n = s->d_model, width = s->n_head * s->d_head;
  isc_test_pass p = {.rows = rows, .layers = s->n_layer};
  for (int64_t l = 0; l < s->n_layer; l++) {
    double *x = p.at[ISC_RESID_PRE][l] =
        l ? sum(p.at[ISC_RESID_MID][l - 1], p.at[ISC_MLP_OUT][l - 1], rows * n)
          : embed(d, ids, batch, len);
    p.at[ISC_HEADS][l] = heads(d, l, x, batch, len, slots);
    p.at[ISC_ATTN_OUT][l] =
        linear(d, l, "attn.c_proj", p.at[ISC_HEADS][l], rows, width, n, ISC_ACT_NONE);
    p.at[ISC_RESID_MID][l] = sum(x, p.at[ISC_ATTN_OUT][l], rows * n);
    double *h = norm(d, l, "ln_2", p.at[ISC_RESID_MID][l], rows);
    double *a = linear(d, l, "mlp.c_fc", h, rows, n, s->d_mlp, s->act);
    p.at[ISC_MLP_OUT][l] = linear(d, l, "mlp.c_proj", a, rows, s->d_mlp, n, ISC_ACT_NONE);
    p.at[ISC_RESID_POST][l] = sum(p.at[ISC_RESID_MID][l], p.at[ISC_MLP_OUT][l], rows * n);
    free(h);
    free(a);
  }
  p.hidden = norm(d, -1, "ln_f", p.at[ISC_RESID_POST][s->n_layer - 1], rows);
  p.logits = unembed(d, p.hidden, rows);
  return p;
}

void isc_test_pass_free(isc_test_pass *p) {
  for (int place = 0; place < ISC_PLACE_COUNT; place++)
    for (int64_t l = 0; l < p->layers; l++)
      free(p->at[place][l]);
  free(p->hidden);
  free(p->logits);
}

double isc_test_relative(const float *a, const double *b, int64_t n) {
  double diff = 0, top = 0;
  for (int64_t i = 0; i < n; i++) {
    if (!isfinite(a[i])) return INFINITY;
    diff = fmax(diff, fabs(a[i] - b[i]));
    top = fmax(top, fabs(b[i]));
  }
  return diff / top;
}

static isc_status take(void *user, isc_step *s, isc_place place, int64_t layer, isc_tensor *x,
                       isc_tensor **out) {
  isc_test_capture *c = user;
  c->calls++;
  free(c->at[place][layer]);
  c->at[place][layer] = malloc((size_t)isc_tensor_size(x) * sizeof(float));
  *out = x;
  return isc_tensor_download(s, x, c->at[place][layer]);
}

isc_taps isc_test_taps(isc_test_capture *c) {
  return (isc_taps){.size = sizeof(isc_taps), .user = c, .at = take, .stop_layer = -1};
}

void isc_test_capture_free(isc_test_capture *c) {
  for (int place = 0; place < ISC_PLACE_COUNT; place++)
    for (int l = 0; l < ISC_TEST_LAYERS; l++)
      free(c->at[place][l]);
}

int32_t *isc_test_ids(uint64_t index, int64_t n, int64_t vocab) {
  int32_t *ids = malloc((size_t)n * sizeof *ids);
  isc_rng r = isc_rng_at(5, ISC_RNG_USER + 1, index);
  for (int64_t i = 0; i < n; i++)
    ids[i] = (int32_t)isc_rng_below(&r, (uint64_t)vocab);
  return ids;
}
