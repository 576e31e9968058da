/* SPDX-License-Identifier: Apache-2.0
 *
 * The control layers' formula as the paper writes it: queries of every position, sums over heads.
 */
#include "support_control.h"
#include "support.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const isc_site control_sites[SITES] = {
    {"a", 7, 7, NULL}, {"b", 7, 7, NULL}, {"narrow", 4, 4, NULL}};

double *control_get(isc_control_layers *l, const char *fmt, int64_t layer) {
  char name[64];
  snprintf(name, sizeof name, fmt, (int)layer);
  isc_param *p = isc_params_find(l->params, name);
  cr_assert(p, "no parameter %s", name);
  int64_t n = isc_tensor_size(&p->value);
  float *x = malloc((size_t)n * sizeof *x);
  double *d = malloc((size_t)n * sizeof *d);
  isc_assert_ok(isc_param_get(l->params, p, x));
  for (int64_t i = 0; i < n; i++)
    d[i] = x[i];
  free(x);
  return d;
}

/* y [n] = W x + b with W [in, n], as PyTorch's Linear of Wᵀ. */
static void linear(const double *x, int64_t in, const double *w, const double *b, int64_t n,
                   double *y) {
  for (int64_t j = 0; j < n; j++) {
    y[j] = b[j];
    for (int64_t i = 0; i < in; i++)
      y[j] += x[i] * w[i * n + j];
  }
}

static void normalise(const float *x, int64_t n, const double *g, const double *b, double *y) {
  double mean = 0, var = 0;
  for (int64_t i = 0; i < n; i++)
    mean += x[i] / (double)n;
  for (int64_t i = 0; i < n; i++)
    var += (x[i] - mean) * (x[i] - mean) / (double)n;
  for (int64_t i = 0; i < n; i++)
    y[i] = (x[i] - mean) / sqrt(var + 1e-5) * (g ? g[i] : 1) + (b ? b[i] : 0);
}

/* Control of one position, added to h [MODEL] (paper 3.1). z' [LATENT] is the projected condition. */
void control_reference(isc_control_layers *l, int64_t layer, const float *h, const double *z,
                       double *out) {
  bool full = l->spec.value == ISC_VALUE_FULL;
  int64_t width = full ? MODEL : KEY;
  double *g = control_get(l, "control.%d.ln.weight", layer),
         *b = control_get(l, "control.%d.ln.bias", layer);
  double *wq = control_get(l, "control.%d.query.weight", layer),
         *bq = control_get(l, "control.%d.query.bias", layer);
  double *wk = control_get(l, "control.%d.key.weight", layer),
         *bk = control_get(l, "control.%d.key.bias", layer);
  double *wv = control_get(l, "control.%d.value.weight", layer),
         *bv = control_get(l, "control.%d.value.bias", layer);
  double *wo = full ? NULL : control_get(l, "control.%d.output.weight", layer);
  double hn[MODEL], k[HEADS * KEY], v[HEADS * MODEL];
  normalise(h, MODEL, g, b, hn);
  linear(z, LATENT, wk, bk, HEADS * KEY, k);
  linear(z, LATENT, wv, bv, HEADS * width, v);
  for (int64_t i = 0; i < MODEL; i++)
    out[i] = h[i];
  for (int64_t m = 0; m < HEADS; m++) {
    double score = 0;
    for (int64_t e = 0; e < KEY; e++) {
      double q = bq[m * KEY + e];
      for (int64_t i = 0; i < MODEL; i++)
        q += wq[(m * KEY + e) * MODEL + i] * hn[i];
      score += q * k[m * KEY + e];
    }
    double omega = tanh(0.3 * score);
    for (int64_t i = 0; i < MODEL; i++)
      for (int64_t e = 0; e < (full ? 1 : KEY); e++)
        out[i] +=
            omega * (full ? v[m * MODEL + i] : v[m * KEY + e] * wo[(m * KEY + e) * MODEL + i]);
  }
  double *all[] = {g, b, wq, bq, wk, bk, wv, bv, wo};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    free(all[i]);
}

static double gelu(double x) {
  return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

/* z' + W₂ gelu(W₁ LN(z')), block by block. */
static void run_blocks(isc_control_layers *l, double *z) {
  enum { WIDE = 4 * LATENT };
  for (int64_t i = 0; i < l->spec.blocks; i++) {
    double *g = control_get(l, "block.%d.ln.weight", i), *b = control_get(l, "block.%d.ln.bias", i),
           *w1 = control_get(l, "block.%d.in.weight", i),
           *b1 = control_get(l, "block.%d.in.bias", i),
           *w2 = control_get(l, "block.%d.out.weight", i),
           *b2 = control_get(l, "block.%d.out.bias", i);
    float x[LATENT];
    double normal[LATENT], inner[WIDE], more[LATENT];
    for (int64_t k = 0; k < LATENT; k++)
      x[k] = (float)z[k];
    normalise(x, LATENT, g, b, normal);
    linear(normal, LATENT, w1, b1, WIDE, inner);
    for (int64_t k = 0; k < WIDE; k++)
      inner[k] = gelu(inner[k]);
    linear(inner, WIDE, w2, b2, LATENT, more);
    for (int64_t k = 0; k < LATENT; k++)
      z[k] += more[k];
    double *all[] = {g, b, w1, b1, w2, b2};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
      free(all[k]);
  }
}

/* z' of batch row b of z [BATCH, LATENT]. */
void control_project(isc_control_layers *l, const float *z, int64_t b, double *out) {
  const char *name = b == 0 ? "a" : "narrow";
  char weight[32], bias[32];
  double x[LATENT];
  snprintf(weight, sizeof weight, "site.%s.weight", name);
  snprintf(bias, sizeof bias, "site.%s.bias", name);
  double *w = control_get(l, weight, 0), *s = control_get(l, bias, 0);
  if (l->spec.normalise == ISC_CONDITION_LAYERNORM)
    normalise(z + b * LATENT, LATENT, NULL, NULL, x);
  else
    for (int64_t i = 0; i < LATENT; i++)
      x[i] = z[b * LATENT + i];
  linear(x, LATENT, w, s, LATENT, out);
  run_blocks(l, out);
  free(w);
  free(s);
}
