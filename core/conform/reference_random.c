/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference of token draws and noise.
 */
#include "base/base.h"
#include "conform/reference.h"
#include <inversescope/rng.h>
#include <stdlib.h>

/* The first id whose cumulative probability exceeds the uniform; at temperature 0 the first of the largest. */
int32_t isc_reference_sample(const isc_sample *a, int64_t row, double *logp) {
  const float *l = a->logits + row * a->vocab;
  long double sum = 0, seen = 0;
  int64_t best = 0;
  for (int64_t j = 1; j < a->vocab; j++)
    if (l[j] > l[best]) best = j;
  *logp = 0;
  if (a->temperature == 0) return (int32_t)best;
  double u = isc_sample_uniform(a->seed, a->index[row], a->draw);
  for (int64_t j = 0; j < a->vocab; j++)
    sum += expl(((long double)l[j] - (long double)l[best]) / (long double)a->temperature);
  for (int64_t j = 0; j < a->vocab; j++) {
    long double e = expl(((long double)l[j] - (long double)l[best]) / (long double)a->temperature);
    seen += e;
    if (seen <= (long double)u * sum) continue;
    *logp = (double)logl(e / sum);
    return (int32_t)j;
  }
  return -1;
}

static void radial(const isc_noise *a, int64_t row, const float *g, isc_exact *out) {
  const float *z = a->z + row * a->dim;
  double norm = 0, radius = (double)a->radius[row];
  for (int64_t i = 0; i < a->dim; i++)
    norm += (double)g[i] * (double)g[i];
  norm = sqrt(norm);
  for (int64_t i = 0; i < a->dim; i++)
    out[row * a->dim + i] =
        (isc_exact){(double)z[i] + radius * (double)g[i] / norm,
                    fabs((double)z[i]) + 2 * radius * (fabs((double)g[i]) + 1) / norm};
}

/* What is left of g beside z may be small: its rounding then counts as much more. */
static void angular(const isc_noise *a, int64_t row, const float *g, isc_exact *out) {
  const float *z = a->z + row * a->dim;
  double zz = 0, gz = 0, gg = 0, vv = 0, rho = (double)a->rho[row];
  for (int64_t i = 0; i < a->dim; i++) {
    zz += (double)z[i] * (double)z[i];
    gz += (double)g[i] * (double)z[i];
    gg += (double)g[i] * (double)g[i];
  }
  bool plain = zz == 0 || a->dim == 1;
  for (int64_t i = 0; !plain && i < a->dim; i++)
    vv += ((double)g[i] - gz / zz * (double)z[i]) * ((double)g[i] - gz / zz * (double)z[i]);
  for (int64_t i = 0; i < a->dim; i++) {
    double x = (double)z[i], v = (double)g[i] - gz / zz * x;
    double along = rho * (plain ? 1 : (double)a->cos[row]) * x;
    double aside = plain ? 0 : rho * (double)a->sin[row] * sqrt(zz / vv) * v;
    double loss = plain ? 0 : fabs(rho * (double)a->sin[row]) * sqrt(zz) * (1 + sqrt(gg / vv));
    out[row * a->dim + i] = (isc_exact){along + aside, fabs(along) + fabs(aside) + loss};
  }
}

isc_status isc_reference_noise(const isc_noise *a, isc_exact *out) {
  void *memory;
  ISC_TRY(isc_calloc((size_t)a->dim, sizeof(float), "a direction", &memory));
  float *g = memory;
  for (int64_t r = 0; r < a->rows; r++) {
    isc_rng rng = isc_rng_at(a->seed, ISC_RNG_NOISE_DIRECTION, a->index[r]);
    isc_rng_normals(&rng, g, a->dim);
    if (a->angular)
      angular(a, r, g, out);
    else
      radial(a, r, g, out);
  }
  free(memory);
  return ISC_OK;
}
