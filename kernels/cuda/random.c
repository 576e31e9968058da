/* SPDX-License-Identifier: Apache-2.0
 *
 * The two operations that draw random numbers: tokens and noise directions.
 */
#include "cuda_backend.h"
#include <inversescope/rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- tokens */

/* What the device found, added to the caller's arrays. */
static isc_status deliver(const isc_sample *a, const double *logp, const int32_t *id) {
  isc_status st = ISC_OK;
  for (int64_t r = 0; r < a->rows; r++) {
    if (id[r] < 0) {
      if (st == ISC_OK)
        st = isc_fail(ISC_E_NUMERIC, "sample: the logits of row %lld hold NaN or infinity",
                      (long long)r);
      continue;
    }
    a->id[r] = id[r];
    if (a->temperature != 0) a->logp[r] += logp[r];
  }
  return st;
}

/* Into id and logp on the device; rows without a distribution get the id `none`. */
static isc_status sample_into(cuda *c, const isc_sample *a, int32_t none, int32_t *id,
                              double *logp) {
  if (!(a->temperature >= 0) || isinf(a->temperature))
    return isc_fail(ISC_E_USAGE, "sample: temperature %g; it must be finite and not negative",
                    a->temperature);
  const cuda_size grid = {.x = a->rows}, threads = {.x = SAMPLE_THREADS};
  const void *index;
  ISC_TRY(cuda_argument(c, a->index, (size_t)a->rows * sizeof *a->index, &index));
  const sample_args x = {.rows = a->rows,
                         .vocab = a->vocab,
                         .tile = SAMPLE_THREADS *
                                 cuda_ceil(a->vocab, (int64_t)SAMPLE_THREADS * SAMPLE_TILES),
                         .logits = a->logits,
                         .temperature = a->temperature,
                         .key = isc_rng_at(a->seed, ISC_RNG_SAMPLE, 0).key,
                         .draw = a->draw,
                         .index = index,
                         .logp = logp,
                         .id = id,
                         .none = none};
  return a->temperature == 0 ? CUDA_LAUNCH(c, sample_greedy, grid, threads, 0, &x)
                             : CUDA_LAUNCH(c, sample, grid, threads, 0, &x);
}

isc_status cuda_sample_there(cuda *c, const isc_sample *a) {
  if (a->rows <= 0 || a->vocab <= 0) return ISC_OK;
  return sample_into(c, a, 0, a->device_id, a->device_logp);
}

isc_status cuda_sample(cuda *c, const isc_sample *a) {
  if (a->rows <= 0 || a->vocab <= 0) return ISC_OK;
  const size_t rows = (size_t)a->rows, bytes = rows * (sizeof(double) + sizeof(int32_t));
  void *result;
  ISC_TRY(cuda_scratch(c, CUDA_OUTER, bytes, &result));
  ISC_TRY(sample_into(c, a, -1, (int32_t *)(void *)((double *)result + rows), result));
  double *host = malloc(bytes);
  if (!host) return isc_fail(ISC_E_NOMEM, "sample: no host memory for %zu bytes", bytes);
  isc_status st = cuda_download(c, host, result, bytes);
  if (st == ISC_OK) st = deliver(a, host, (const int32_t *)(const void *)(host + rows));
  free(host);
  return st;
}

/* ---- noise */

/* The rows' own numbers, one array after the other: index, then radius or rho, cos, sin. */
static isc_status row_numbers(cuda *c, const isc_noise *a, noise_args *out) {
  const size_t rows = (size_t)a->rows, arrays = a->angular ? 3 : 1;
  const float *from[3] = {a->angular ? a->rho : a->radius, a->cos, a->sin};
  const size_t bytes = rows * (sizeof *a->index + arrays * sizeof(float));
  const void *device = NULL;
  char *host = malloc(bytes);
  if (!host) return isc_fail(ISC_E_NOMEM, "noise: no host memory for %zu bytes", bytes);
  memcpy(host, a->index, rows * sizeof *a->index);
  for (size_t k = 0; k < arrays; k++)
    memcpy(host + rows * (sizeof *a->index + k * sizeof(float)), from[k], rows * sizeof(float));
  const isc_status st = cuda_argument(c, host, bytes, &device);
  free(host);
  if (st != ISC_OK) return st;
  out->index = device;
  const float *numbers = (const float *)(const void *)(out->index + rows);
  if (!a->angular) {
    out->radius = numbers;
    return ISC_OK;
  }
  out->rho = numbers;
  out->cosine = numbers + rows;
  out->sine = numbers + 2 * rows;
  return ISC_OK;
}

isc_status cuda_noise(cuda *c, const isc_noise *a) {
  if (a->rows <= 0 || a->dim <= 0) return ISC_OK;
  noise_args x = {.rows = a->rows,
                  .dim = a->dim,
                  .key = isc_rng_at(a->seed, ISC_RNG_NOISE_DIRECTION, 0).key,
                  .z = a->z,
                  .out = a->out};
  ISC_TRY(row_numbers(c, a, &x));
  return CUDA_LAUNCH(c, noise, ((cuda_size){.x = a->rows}), ((cuda_size){.x = NOISE_THREADS}), 0,
                     &x);
}
