/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the training activations once: their factors, norms, scale and isometric coordinates.
 *
 * Sums run over the inputs in order in float64, so the scales have the same bits in every run.
 */
#include "method/factors.h"
#include "base/base.h"
#include "tensor/count.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 4096 };

void isc_cholesky(double *g, int64_t n) {
  double top = 0;
  for (int64_t i = 0; i < n; i++)
    if (g[i * n + i] > top) top = g[i * n + i];
  for (int64_t j = 0; j < n; j++) {
    double pivot = g[j * n + j];
    for (int64_t k = 0; k < j; k++)
      pivot -= g[j * n + k] * g[j * n + k];
    bool empty = pivot <= 1e-12 * top;
    double root = empty ? 0 : sqrt(pivot);
    g[j * n + j] = root;
    for (int64_t i = j + 1; i < n; i++) {
      double x = g[i * n + j];
      for (int64_t k = 0; k < j; k++)
        x -= g[i * n + k] * g[j * n + k];
      g[i * n + j] = empty ? 0 : x / root;
      g[j * n + i] = 0;
    }
  }
}

static isc_status to_device(isc_device *dev, const float *host, int64_t n, float **out) {
  void *p;
  ISC_TRY(dev->ops->alloc(dev->impl, (size_t)n * sizeof *host, &p));
  *out = p;
  return dev->ops->upload(dev->impl, p, host, (size_t)n * sizeof *host);
}

/* M and L of a site on the device. */
static isc_status place_map(isc_factors *f, int64_t g) {
  isc_status st = ISC_OK;
  const isc_site *site = &f->env->sites[g];
  int64_t n = site->stored, d = site->dim;
  double *gram = NULL;
  float *lower = NULL;
  if (!site->map) return ISC_OK;
  ISC_GO(isc_calloc((size_t)(n * n), sizeof *gram, "a site's Gram matrix", (void **)&gram));
  ISC_GO(isc_calloc((size_t)(n * n), sizeof *lower, "a site's Gram matrix", (void **)&lower));
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      double sum = 0;
      for (int64_t k = 0; k < d; k++)
        sum += (double)site->map[i * d + k] * site->map[j * d + k];
      gram[i * n + j] = gram[j * n + i] = sum;
    }
  isc_cholesky(gram, n);
  for (int64_t i = 0; i < n * n; i++)
    lower[i] = (float)gram[i];
  ISC_GO(to_device(f->env->device, site->map, n * d, &f->map[g]));
  ISC_GO(to_device(f->env->device, lower, n * n, &f->iso[g]));
done:
  free(gram);
  free(lower);
  return st;
}

isc_status isc_factors_isometric(const isc_factors *f, int64_t site, const float *a, int64_t n,
                                 float *y) {
  isc_device *dev = f->env->device;
  int64_t w = f->env->sites[site].stored;
  if (!f->iso[site]) return dev->ops->copy(dev->impl, y, a, (size_t)(n * w) * sizeof *a);
  const isc_gemm g = {.batch = 1,
                      .m = n,
                      .n = w,
                      .k = w,
                      .a = a,
                      .b = f->iso[site],
                      .c = y,
                      .lda = w,
                      .ldb = w,
                      .ldc = w,
                      .alpha = 1};
  return isc_device_gemm(dev, &g);
}

isc_status isc_factors_rows(const isc_factors *f, int64_t site, const int64_t *row, int64_t n,
                            float *out) {
  int64_t w = f->env->sites[site].stored;
  if (!f->a[site]) return f->env->activations(f->env, site, row, n, out);
  for (int64_t i = 0; i < n; i++)
    memcpy(out + i * w, f->a[site] + row[i] * w, (size_t)w * sizeof *out);
  return ISC_OK;
}

/* ---- norms and scales */

typedef struct scratch {
  float *host;  /* [CHUNK, widest]  */
  int64_t *row; /* [CHUNK]          */
  void *a, *y;  /* device, the same */
} scratch;

static isc_status measure_chunk(isc_factors *f, scratch *t, int64_t site, int64_t first, int64_t n,
                                double *sum) {
  isc_device *dev = f->env->device;
  int64_t w = f->env->sites[site].stored;
  size_t bytes = (size_t)(n * w) * sizeof(float);
  for (int64_t i = 0; i < n; i++)
    t->row[i] = first + i;
  ISC_TRY(isc_factors_rows(f, site, t->row, n, t->host));
  ISC_TRY(dev->ops->upload(dev->impl, t->a, t->host, bytes));
  ISC_TRY(isc_factors_isometric(f, site, t->a, n, t->y));
  ISC_TRY(dev->ops->download(dev->impl, t->host, t->y, bytes));
  for (int64_t i = 0; i < n; i++) {
    double square = 0;
    for (int64_t k = 0; k < w; k++)
      square += (double)t->host[i * w + k] * t->host[i * w + k];
    if (!isfinite(square))
      return isc_fail(ISC_E_NUMERIC, "site %s: the activation of training input %lld is not finite",
                      f->env->sites[site].name, (long long)(first + i));
    f->norm[site][first + i] = (float)sqrt(square);
    *sum += square;
  }
  return ISC_OK;
}

static isc_status measure(isc_factors *f, scratch *t, int64_t site) {
  int64_t n = f->env->n_train;
  double sum = 0;
  for (int64_t i = 0; i < n; i += CHUNK)
    ISC_TRY(measure_chunk(f, t, site, i, n - i < CHUNK ? n - i : CHUNK, &sum));
  f->rms[site] = sqrt(sum / ((double)n * (double)f->env->sites[site].dim));
  return ISC_OK;
}

static isc_status read_site(isc_factors *f, int64_t g, int64_t *budget) {
  const isc_method_env *env = f->env;
  size_t numbers;
  ISC_TRY(
      isc_calloc((size_t)env->n_train, sizeof(float), "activation norms", (void **)&f->norm[g]));
  ISC_TRY(
      isc_mul_size((size_t)env->n_train, (size_t)env->sites[g].stored, "activations", &numbers));
  if ((int64_t)(numbers * sizeof(float)) <= *budget) {
    *budget -= (int64_t)(numbers * sizeof(float));
    ISC_TRY(isc_calloc(numbers, sizeof(float), "activations", (void **)&f->a[g]));
    ISC_TRY(env->activations(env, g, NULL, env->n_train, f->a[g]));
  }
  return place_map(f, g);
}

static isc_status read_all(isc_factors *f, int64_t budget) {
  isc_status st = ISC_OK;
  isc_device *dev = f->env->device;
  scratch t = {0};
  int64_t widest = 1;
  for (int64_t g = 0; g < f->env->n_sites; g++)
    if (f->env->sites[g].stored > widest) widest = f->env->sites[g].stored;
  size_t bytes = (size_t)(CHUNK * widest) * sizeof(float);
  ISC_GO(isc_malloc(bytes, "activations", (void **)&t.host));
  ISC_GO(isc_calloc(CHUNK, sizeof *t.row, "activations", (void **)&t.row));
  ISC_GO(dev->ops->alloc(dev->impl, bytes, &t.a));
  ISC_GO(dev->ops->alloc(dev->impl, bytes, &t.y));
  for (int64_t g = 0; g < f->env->n_sites; g++) {
    ISC_GO(read_site(f, g, &budget));
    ISC_GO(measure(f, &t, g));
  }
done:
  free(t.host);
  free(t.row);
  if (t.a) dev->ops->free(dev->impl, t.a);
  if (t.y) dev->ops->free(dev->impl, t.y);
  return st;
}

isc_status isc_factors_new(const isc_method_env *env, int64_t budget, isc_factors **out) {
  isc_status st = ISC_OK;
  isc_factors *f = NULL;
  size_t n = (size_t)env->n_sites;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof *f, "activations", (void **)&f));
  f->env = env;
  ISC_GO(isc_calloc(n, sizeof *f->a, "activations", (void **)&f->a));
  ISC_GO(isc_calloc(n, sizeof *f->norm, "activations", (void **)&f->norm));
  ISC_GO(isc_calloc(n, sizeof *f->rms, "activations", (void **)&f->rms));
  ISC_GO(isc_calloc(n, sizeof *f->map, "activations", (void **)&f->map));
  ISC_GO(isc_calloc(n, sizeof *f->iso, "activations", (void **)&f->iso));
  ISC_GO(read_all(f, budget));
  *out = f;
  f = NULL;
done:
  isc_factors_free(f);
  return st;
}

void isc_factors_free(isc_factors *f) {
  if (!f) return;
  isc_device *dev = f->env->device;
  for (int64_t g = 0; g < f->env->n_sites; g++) {
    if (f->a) free(f->a[g]);
    if (f->norm) free(f->norm[g]);
    if (f->map && f->map[g]) dev->ops->free(dev->impl, f->map[g]);
    if (f->iso && f->iso[g]) dev->ops->free(dev->impl, f->iso[g]);
  }
  free(f->a);
  free(f->norm);
  free(f->rms);
  free(f->map);
  free(f->iso);
  free(f);
}
