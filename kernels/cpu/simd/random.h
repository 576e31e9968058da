/* SPDX-License-Identifier: Apache-2.0
 *
 * The two operations that draw random numbers: tokens and noise directions.
 *
 * Each row has its own Philox address and is worked by one thread in double, so neither the batch
 * nor the threads reach its result.
 */
#ifndef ISC_CPU_RANDOM_H
#define ISC_CPU_RANDOM_H

#include "rows.h"
#include <inversescope/rng.h>

/* ---- tokens */

typedef struct sample_args {
  const isc_sample *a;
  char *own; /* of a thread: [vocab] doubles */
  size_t own_size;
  bool *bad; /* [rows]: no distribution there */
} sample_args;

static float sample_max(const float *l, int64_t n) {
  vf m = vset1(-INFINITY);
  for (int64_t j = 0; j < n; j += W)
    m = vmax(m, vload_part(l + j, n - j, -INFINITY));
  return vmaxlane(m);
}

/* Lowest id of the largest logit; -1 where there is none or one is NaN or +infinity. */
static int32_t sample_greedy(const float *l, int64_t n) {
  int64_t best = -1;
  for (int64_t j = 0; j < n; j++) {
    if (!(l[j] < INFINITY)) return -1;
    if (l[j] > (best < 0 ? -INFINITY : l[best])) best = j;
  }
  return (int32_t)best;
}

/* e[j] = exp((l[j] − max)/T); returns their sum in id order. */
static double sample_exp(const float *l, int64_t n, float max, double inverse, double *e) {
  const vd top = vset1d((double)max), scale = vset1d(inverse);
  int64_t j = 0;
  for (; j + WD <= n; j += WD) {
    const vd v = vexpd((vwiden(l + j) - top) * scale);
    memcpy(e + j, &v, sizeof v);
  }
  if (j < n) {
    float t[WD] = {0};
    memcpy(t, l + j, (size_t)(n - j) * sizeof *t);
    const vd v = vexpd((vwiden(t) - top) * scale);
    memcpy(e + j, &v, (size_t)(n - j) * sizeof *e);
  }
  double sum = 0;
  for (j = 0; j < n; j++)
    sum += e[j];
  return sum;
}

static bool sample_row(const isc_sample *a, int64_t r, double *e) {
  const float *l = a->logits + r * a->vocab;
  if (a->temperature == 0) return (a->id[r] = sample_greedy(l, a->vocab)) >= 0;
  const float max = sample_max(l, a->vocab);
  const double sum = sample_exp(l, a->vocab, max, 1.0 / a->temperature, e);
  if (!(sum >= 1.0 && sum < INFINITY)) return false;
  const double goal = sum * isc_sample_uniform(a->seed, a->index[r], a->draw);
  double reached = 0;
  int64_t id = 0;
  while (id < a->vocab && (reached += e[id]) <= goal)
    id++;
  if (id == a->vocab) /* rounding kept the sum short: the last possible id */
    do
      id--;
    while (e[id] == 0);
  a->id[r] = (int32_t)id;
  a->logp[r] += log(e[id] / sum);
  return true;
}

static void sample_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const sample_args *s = ctx;
  for (int64_t r = begin; r < end; r++)
    s->bad[r] = !sample_row(s->a, r, (double *)(void *)(s->own + (size_t)thread * s->own_size));
}

static isc_status sample(cpu *c, const isc_sample *a) {
  if (a->rows <= 0 || a->vocab <= 0) return ISC_OK;
  if (!(a->temperature >= 0) || isinf(a->temperature))
    return isc_fail(ISC_E_USAGE, "sample: temperature %g; it must be finite and not negative",
                    a->temperature);
  sample_args s = {.a = a, .own_size = cpu_round64((size_t)a->vocab * sizeof(double))};
  void *bad;
  ISC_TRY(cpu_scratch(c, CPU_OUTER, (size_t)a->rows * sizeof(bool), s.own_size, &bad, &s.own));
  s.bad = bad;
  cpu_for(c, a->rows, 1 + 2048 / a->vocab, sample_job, &s);
  for (int64_t r = 0; r < a->rows; r++)
    if (s.bad[r])
      return isc_fail(ISC_E_NUMERIC, "sample: the logits of row %lld hold NaN or infinity",
                      (long long)r);
  return ISC_OK;
}

/* ---- noise */

typedef struct noise_args {
  const isc_noise *a;
  char *own; /* of a thread: [dim] floats */
  size_t own_size;
} noise_args;

/* Σ x y in double, in order. */
static double dot_double(const float *x, const float *y, int64_t n) {
  double s = 0;
  for (int64_t i = 0; i < n; i++)
    s += (double)x[i] * (double)y[i];
  return s;
}

static void noise_radial(const isc_noise *a, int64_t r, const float *g) {
  const float *z = a->z + r * a->dim;
  float *out = a->out + r * a->dim;
  const double norm = sqrt(dot_double(g, g, a->dim));
  const double f = norm > 0 ? (double)a->radius[r] / norm : 0;
  for (int64_t i = 0; i < a->dim; i++)
    out[i] = (float)((double)z[i] + f * (double)g[i]);
}

/* With û = z/‖z‖, the part of g across z is g − ⟨g, û⟩ û, of squared norm ‖g‖² − ⟨g, û⟩². */
static void noise_angular(const isc_noise *a, int64_t r, const float *g) {
  const float *z = a->z + r * a->dim;
  float *out = a->out + r * a->dim;
  const double rho = (double)a->rho[r], norm = sqrt(dot_double(z, z, a->dim));
  const double along = norm > 0 ? dot_double(g, z, a->dim) / norm : 0;
  const double across2 = dot_double(g, g, a->dim) - along * along;
  double fz = rho, fg = 0;
  if (norm > 0 && a->dim > 1 && across2 > 0) {
    fg = rho * norm * (double)a->sin[r] / sqrt(across2);
    fz = rho * (double)a->cos[r] - fg * along / norm;
  }
  for (int64_t i = 0; i < a->dim; i++)
    out[i] = (float)(fz * (double)z[i] + fg * (double)g[i]);
}

static void noise_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const noise_args *t = ctx;
  const isc_noise *a = t->a;
  float *g = (float *)(void *)(t->own + (size_t)thread * t->own_size);
  for (int64_t r = begin; r < end; r++) {
    isc_rng rng = isc_rng_at(a->seed, ISC_RNG_NOISE_DIRECTION, a->index[r]);
    isc_rng_normals(&rng, g, a->dim);
    if (a->angular)
      noise_angular(a, r, g);
    else
      noise_radial(a, r, g);
  }
}

static isc_status noise(cpu *c, const isc_noise *a) {
  if (a->rows <= 0 || a->dim <= 0) return ISC_OK;
  noise_args t = {.a = a, .own_size = cpu_round64((size_t)a->dim * sizeof(float))};
  ISC_TRY(cpu_scratch(c, CPU_OUTER, 0, t.own_size, NULL, &t.own));
  cpu_for(c, a->rows, row_grain(a->dim, 512), noise_job, &t);
  return ISC_OK;
}

#endif
