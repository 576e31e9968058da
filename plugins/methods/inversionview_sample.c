/* SPDX-License-Identifier: Apache-2.0
 *
 * Inversion with inversionview: texts drawn behind an activation, to which noise may be added first.
 *
 * The noise is a function of the seed, the site and the activation: all samples of a condition have the same, so that q(x | ẑ)
 * is one law, of which log q tells.
 */
#include "inversionview.h"
#include <inversescope/rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RNG_NOISE = ISC_RNG_USER + 16 }; /* purpose */

typedef struct inversion {
  const iv_method *m;
  const isc_invert *req;     /* of the decoding */
  iv_condition *first, *now; /* [layers] of the rows at first, and of those left */
  isc_tensor **slots;        /* [2 layers] */
  float *std;                /* [n_sites, d_z] host, or NULL */
  iv_taps taps;
} inversion;

/* ---- noise */

/* A coordinate's standard deviation under noise = "epsilon", so that the mean square of the norm is ε², or (ε‖z‖)². */
static double epsilon_std(const iv_method *m, int64_t site, const float *z, int64_t dim) {
  const isc_kernel *k = m->env->kernels[site];
  double square = 0;
  for (int64_t d = 0; d < dim; d++)
    square += (double)z[d] * z[d];
  const double unit = k->ops->geometry(k->self) == ISC_EUCLIDEAN ? 1 : sqrt(square);
  return k->ops->epsilon(k->self) * unit / sqrt((double)dim);
}

/* Which of the seed's draws is this condition's: 64 bits of the hash of site and activation. */
static isc_status noise_index(int64_t site, const float *z, int64_t dim, uint64_t *out) {
  isc_text bytes = {0};
  char hex[33];
  isc_status st = ISC_OK;
  ISC_GO(isc_text_append(&bytes, (const char *)&site, sizeof site));
  ISC_GO(isc_text_append(&bytes, (const char *)z, (size_t)dim * sizeof *z));
  ISC_GO(isc_text_hash(bytes.data, bytes.len, hex));
  hex[16] = '\0';
  *out = strtoull(hex, NULL, 16);
done:
  isc_text_free(&bytes);
  return st;
}

/* A draw of the kernel's own law, as InverseScope trains with: z becomes what a text of P(x; z) may have given. */
static void add_kernel_noise(const isc_kernel *k, isc_rng *rng, int64_t dim, float *z) {
  const isc_geometry geometry = k->ops->geometry(k->self);
  isc_noise_draw draw = {0};
  double square = 0, along = 0, across = 0;
  k->ops->draw(k->self, rng, &draw);
  const isc_rng from = *rng; /* the direction is drawn twice rather than kept */
  for (int64_t d = 0; d < dim; d++) {
    const double g = isc_rng_normal(rng);
    square += (double)z[d] * z[d];
    along += g * z[d];
    across += g * g;
  }
  if (!(square > 0) && geometry != ISC_EUCLIDEAN) return;
  const double norm = sqrt(square);
  const bool angular = geometry == ISC_ANGULAR;
  /* angular: the unit vector of g's part across z; else of g */
  if (angular) across -= along * along / square;
  if (!(across > 0)) return;
  const double radius = draw.radius * (geometry == ISC_NORMALISED ? norm : 1),
               keep = angular ? draw.rho * draw.cos : 1,
               add = (angular ? draw.rho * norm * draw.sin : radius) / sqrt(across);
  *rng = from;
  for (int64_t d = 0; d < dim; d++) {
    const double g = isc_rng_normal(rng) - (angular ? along / square * z[d] : 0);
    z[d] = (float)(keep * z[d] + add * g);
  }
}

static isc_status add_noise(const inversion *v, int64_t site, float *z) {
  const iv_method *m = v->m;
  const int64_t dim = isc_method_site(m->env, site)->dim;
  const double each =
      m->conf->noise == IV_NOISE_EPSILON ? epsilon_std(m, site, z, dim) : m->conf->noise_scale;
  uint64_t index;
  ISC_TRY(noise_index(site, z, dim, &index));
  isc_rng rng = isc_rng_at(v->req->seed, RNG_NOISE, index);
  if (m->conf->noise == IV_NOISE_KERNEL) {
    add_kernel_noise(m->env->kernels[site], &rng, dim, z);
    return ISC_OK;
  }
  for (int64_t d = 0; d < dim; d++)
    z[d] += (float)(each * (v->std ? v->std[site * m->d_z + d] : 1) * isc_rng_normal(&rng));
  return ISC_OK;
}

/* ---- decoding */

static isc_status begin(void *user, isc_step *s, const int64_t *row, int64_t n,
                        isc_kv_prefix *prefix) {
  inversion *v = user;
  const iv_method *m = v->m;
  void *p;
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * sizeof(int64_t), &p));
  int64_t *site = p;
  ISC_TRY(isc_step_host_alloc(s, (size_t)(n * m->d_z) * sizeof(float), &p));
  float *z = p;
  memset(z, 0, (size_t)(n * m->d_z) * sizeof *z);
  for (int64_t i = 0; i < n; i++) {
    site[i] = v->req->site[row[i]];
    memcpy(z + i * m->d_z, v->req->z[row[i]],
           (size_t)isc_method_site(m->env, site[i])->dim * sizeof *z);
    if (m->conf->noise != IV_NOISE_NONE) ISC_TRY(add_noise(v, site[i], z + i * m->d_z));
  }
  ISC_TRY(iv_condition_rows(m, s, z, site, n, v->first));
  memcpy(v->now, v->first, (size_t)m->conf->layers * sizeof *v->now);
  if (m->conf->variant != IV_CROSS_ATTENTION)
    iv_condition_prefix(m, v->first, v->slots, v->slots + m->conf->layers, prefix);
  return ISC_OK;
}

static isc_status select_rows(void *user, isc_step *s, const int64_t *left, int64_t n) {
  inversion *v = user;
  return iv_condition_select(v->m, s, v->first, left, n, v->now);
}

static isc_status prepare(inversion *v) {
  const iv_method *m = v->m;
  const size_t layers = (size_t)m->conf->layers;
  v->first = calloc(layers, sizeof *v->first);
  v->now = calloc(layers, sizeof *v->now);
  v->slots = calloc(2 * layers, sizeof(isc_tensor *));
  if (!v->first || !v->now || !v->slots) return iv_no_memory("sampling");
  v->taps = (iv_taps){.m = m, .cond = v->now};
  if (m->conf->noise != IV_NOISE_STD) return ISC_OK;
  v->std = calloc((size_t)isc_tensor_size(&m->std->value), sizeof *v->std);
  if (!v->std) return iv_no_memory("sampling");
  return isc_param_get(m->params, m->std, v->std);
}

static isc_status decode(const iv_method *m, const isc_invert *req) {
  isc_status st = ISC_OK;
  inversion v = {.m = m, .req = req};
  const bool cross = m->conf->variant == IV_CROSS_ATTENTION;
  const isc_taps taps = iv_taps_of(&v.taps);
  isc_decoding d = {.size = sizeof d,
                    .device = m->env->device,
                    .decoder = m->decoder,
                    .tokenizer = m->env->target_tokenizer,
                    .bos = m->bos,
                    .eos = m->eos,
                    .max_tokens = m->max_tokens,
                    .n_prefix = cross ? 0 : 1,
                    .user = &v,
                    .begin = begin,
                    .product = (isc_dtype)m->conf->sampling_precision};
  if (cross) {
    d.select = select_rows;
    d.taps = &taps;
  }
  ISC_GO(prepare(&v));
  ISC_GO(isc_decode(&d, req));
done:
  free(v.first);
  free(v.now);
  free(v.slots);
  free(v.std);
  return st;
}

isc_status iv_invert(const iv_method *m, const isc_invert *req) {
  if (!m->decoder) return isc_fail(ISC_E_USAGE, "inversionview: nothing is trained or loaded");
  for (int64_t i = 0; i < req->n; i++)
    if (req->site[i] < 0 || req->site[i] >= m->env->n_sites)
      return isc_fail(ISC_E_USAGE, "inversionview: row %lld asks for site %lld of %lld",
                      (long long)i, (long long)req->site[i], (long long)m->env->n_sites);
  return decode(m, req);
}
