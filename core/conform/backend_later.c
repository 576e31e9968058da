/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of what a backend may offer beside waiting: results that stay on the device, copies that are waited for
 * later, and work that is put together. Each must give the bits of the operation that waits.
 */
#include "conform/conform.h"
#include "tensor/optional.h"
#include <inversescope/rng.h>
#include <inversescope/tensor.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ARRAYS = 5, LARGEST = 20011, ROWS = 9, VOCAB = 301 };
static const int64_t SIZES[ARRAYS] = {7, LARGEST, 0, 1, 8193};

typedef struct bench {
  isc_device *dev;
  float *host;                        /* [LARGEST] */
  float *x[ARRAYS], *m, *v, *p, *old; /* gradients; a parameter and its moments */
  double *out;                        /* [ARRAYS + 2] on the device */
  float *logits;                      /* [ROWS, VOCAB] */
  double *logp;                       /* [ROWS] on the device, and behind it … */
  int32_t *id;                        /* … [ROWS] */
} bench;

static isc_status on_device(bench *b, int64_t bytes, void **out) {
  return b->dev->ops->alloc(b->dev->impl, (size_t)bytes, out);
}

static isc_status floats(bench *b, int64_t n, float **out) {
  ISC_TRY(on_device(b, n * (int64_t)sizeof **out, (void **)out));
  return b->dev->ops->zero(b->dev->impl, *out, (size_t)n * sizeof **out);
}

/* Normals of stream k, also left in b->host. */
static isc_status fill(bench *b, uint64_t k, int64_t n, float *there) {
  isc_rng r = isc_rng_at(17, ISC_RNG_USER, k);
  isc_rng_normals(&r, b->host, n);
  return b->dev->ops->upload(b->dev->impl, there, b->host, (size_t)n * sizeof(float));
}

static isc_status bench_open(isc_conform *c, bench *b) {
  *b = (bench){0};
  void *drawn;
  ISC_TRY(isc_conform_device(c, 2, &b->dev));
  b->host = malloc((size_t)LARGEST * sizeof(float));
  if (!b->host) return isc_fail(ISC_E_NOMEM, "no memory for a check");
  for (int i = 0; i < ARRAYS; i++)
    ISC_TRY(floats(b, SIZES[i], &b->x[i]));
  ISC_TRY(floats(b, LARGEST, &b->m));
  ISC_TRY(floats(b, LARGEST, &b->v));
  ISC_TRY(floats(b, LARGEST, &b->p));
  ISC_TRY(floats(b, LARGEST, &b->old));
  ISC_TRY(floats(b, (int64_t)ROWS * VOCAB, &b->logits));
  ISC_TRY(on_device(b, (ARRAYS + 2) * (int64_t)sizeof(double), (void **)&b->out));
  ISC_TRY(on_device(b, ROWS * (int64_t)(sizeof(double) + sizeof(int32_t)), &drawn));
  b->logp = drawn;
  b->id = (int32_t *)(void *)(b->logp + ROWS);
  return ISC_OK;
}

static void bench_close(bench *b) {
  if (b->dev) {
    void *const all[] = {b->m, b->v, b->p, b->old, b->logits, b->out, b->logp};
    for (int i = 0; i < ARRAYS; i++)
      b->dev->ops->free(b->dev->impl, b->x[i]);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
      b->dev->ops->free(b->dev->impl, all[i]);
  }
  free(b->host);
  isc_device_close(b->dev);
}

static isc_status fetch(bench *b, void *host, const void *there, size_t bytes) {
  return b->dev->ops->download(b->dev->impl, host, there, bytes);
}

/* ---- the norm and what clips it */

static isc_status clip(bench *b, double most, double out[ARRAYS + 2]) {
  const float *x[ARRAYS];
  memcpy(x, b->x, sizeof x);
  const isc_clip a = {.count = ARRAYS, .x = x, .n = SIZES, .most = most, .out = b->out};
  ISC_TRY(b->dev->ops->clip(b->dev->impl, &a));
  return fetch(b, out, b->out, (ARRAYS + 2) * sizeof *out);
}

static isc_status expect(const char *what, double got, double want) {
  if (fabs(got - want) <= 4e-6 * fabs(want)) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "clip: %s is %.9g; it should be %.9g", what, got, want);
}

static isc_status check_clip(bench *b, double most) {
  double out[ARRAYS + 2], sum = 0;
  for (int i = 0; i < ARRAYS; i++)
    ISC_TRY(fill(b, (uint64_t)i, SIZES[i], b->x[i]));
  ISC_TRY(clip(b, most, out));
  for (int i = 0; i < ARRAYS; i++) {
    double squares = 0;
    ISC_TRY(fill(b, (uint64_t)i, SIZES[i], b->x[i]));
    for (int64_t k = 0; k < SIZES[i]; k++)
      squares += (double)b->host[k] * (double)b->host[k];
    ISC_TRY(expect("a sum of squares", out[i], squares));
    sum += squares;
  }
  const double norm = sqrt(sum);
  ISC_TRY(expect("the norm", out[ARRAYS], norm));
  return expect("the factor", out[ARRAYS + 1], most > 0 ? fmin(1, most / (norm + 1e-6)) : 1);
}

/* The same update by a factor on the device and by the host's: p, m and v must have the same bits. */
static isc_status update(bench *b, double grad_scale, const double *scale, float *p) {
  const isc_adamw a = {.n = LARGEST,
                       .p = p,
                       .m = b->m,
                       .v = b->v,
                       .g = b->x[1],
                       .lr = 0.01,
                       .beta1 = 0.9,
                       .beta2 = 0.99,
                       .eps = 1e-8,
                       .weight_decay = 0.1,
                       .grad_scale = grad_scale,
                       .step = 1,
                       .scale = scale};
  const isc_adamw *list[] = {&a};
  ISC_TRY(fill(b, 90, LARGEST, p));
  ISC_TRY(b->dev->ops->zero(b->dev->impl, b->m, LARGEST * sizeof(float)));
  ISC_TRY(b->dev->ops->zero(b->dev->impl, b->v, LARGEST * sizeof(float)));
  return b->dev->ops->adamw(b->dev->impl, list, 1);
}

static isc_status same_floats(bench *b, const float *x, const float *y, const char *what) {
  isc_status st = ISC_OK;
  float *other = malloc(LARGEST * sizeof(float));
  if (!other) return isc_fail(ISC_E_NOMEM, "no memory for a check");
  ISC_GO(fetch(b, b->host, x, LARGEST * sizeof(float)));
  ISC_GO(fetch(b, other, y, LARGEST * sizeof(float)));
  for (int i = 0; i < LARGEST && st == ISC_OK; i++)
    if (memcmp(&b->host[i], &other[i], sizeof(float)) != 0)
      st = isc_fail(ISC_E_INTERNAL, "%s: element %d is %.9g and %.9g", what, i, (double)b->host[i],
                    (double)other[i]);
done:
  free(other);
  return st;
}

static isc_status check_update(bench *b) {
  double out[ARRAYS + 2];
  ISC_TRY(clip(b, 0.5, out));
  ISC_TRY(update(b, 123, b->out + ARRAYS + 1, b->p));
  ISC_TRY(update(b, out[ARRAYS + 1], NULL, b->old));
  return same_floats(b, b->p, b->old, "adamw by a factor on the device and by the host's");
}

/* A gradient that is not a number clips to nothing, and the update leaves all as it is. */
static isc_status check_not_finite(bench *b, float bad) {
  double out[ARRAYS + 2];
  ISC_TRY(fill(b, 1, LARGEST, b->x[1]));
  ISC_TRY(b->dev->ops->upload(b->dev->impl, b->x[1] + 4321, &bad, sizeof bad));
  ISC_TRY(clip(b, 0.5, out));
  if (isfinite(out[1]) || isfinite(out[ARRAYS]) || !isnan(out[ARRAYS + 1]) || !isfinite(out[0]))
    return isc_fail(ISC_E_INTERNAL,
                    "clip of a gradient that holds %g: its sum is %g, the norm %g, the factor %g, "
                    "which should be NaN, and the sum before it %g",
                    (double)bad, out[1], out[ARRAYS], out[ARRAYS + 1], out[0]);
  ISC_TRY(update(b, 1, b->out + ARRAYS + 1, b->p));
  ISC_TRY(fill(b, 90, LARGEST, b->old));
  return same_floats(b, b->p, b->old, "adamw with a factor of NaN, and before");
}

/* ---- draws that stay there */

static isc_status draw(bench *b, double temperature, bool there, double *logp, int32_t *id) {
  uint64_t index[ROWS];
  for (int i = 0; i < ROWS; i++)
    index[i] = (uint64_t)i * 77;
  const isc_sample a = {.rows = ROWS,
                        .vocab = VOCAB,
                        .logits = b->logits,
                        .temperature = temperature,
                        .seed = 5,
                        .index = index,
                        .draw = 3,
                        .id = there ? NULL : id,
                        .logp = there ? NULL : logp,
                        .device_id = b->id,
                        .device_logp = b->logp};
  if (!there) return b->dev->ops->sample(b->dev->impl, &a);
  ISC_TRY(b->dev->ops->sample_there(b->dev->impl, &a));
  ISC_TRY(fetch(b, logp, b->logp, ROWS * sizeof *logp));
  return fetch(b, id, b->id, ROWS * sizeof *id);
}

static isc_status check_draws(bench *b, double temperature) {
  double here[ROWS] = {0}, there[ROWS];
  int32_t id[ROWS], id_there[ROWS];
  ISC_TRY(fill(b, 50, (int64_t)ROWS * VOCAB, b->logits));
  ISC_TRY(draw(b, temperature, false, here, id));
  ISC_TRY(draw(b, temperature, true, there, id_there));
  for (int i = 0; i < ROWS; i++)
    if (id[i] != id_there[i] || memcmp(&here[i], &there[i], sizeof here[i]) != 0)
      return isc_fail(ISC_E_INTERNAL,
                      "row %d at temperature %g: sample gives token %d, log P %.17g, and "
                      "sample_there %d, %.17g",
                      i, temperature, (int)id[i], here[i], (int)id_there[i], there[i]);
  return ISC_OK;
}

static isc_status check_no_distribution(bench *b, double temperature) {
  const float nan = NAN;
  double logp[ROWS];
  int32_t id[ROWS];
  ISC_TRY(b->dev->ops->upload(b->dev->impl, b->logits + 2 * VOCAB + 9, &nan, sizeof nan));
  ISC_TRY(draw(b, temperature, true, logp, id));
  for (int i = 0; i < ROWS; i++)
    if (isnan(logp[i]) != (i == 2) || id[i] < 0 || id[i] >= VOCAB)
      return isc_fail(ISC_E_INTERNAL,
                      "row %d of sample_there, where row 2's logits hold NaN: token %d, log P %g",
                      i, (int)id[i], logp[i]);
  return ISC_OK;
}

/* ---- reads */

/* What a copy brings is what was there when it was begun. */
static isc_status check_reads(bench *b) {
  const isc_backend_ops *o = b->dev->ops;
  void *impl = b->dev->impl;
  const size_t bytes = LARGEST * sizeof(float);
  for (int64_t t = 0; t < ISC_READS; t++) {
    ISC_TRY(o->read_begin(impl, t, b->p, 4)); /* forgotten */
    ISC_TRY(fill(b, 60 + (uint64_t)t, LARGEST, b->p));
    ISC_TRY(o->read_begin(impl, t, b->p, bytes));
  }
  ISC_TRY(o->zero(impl, b->p, bytes));
  for (int64_t t = ISC_READS; t-- > 0;) {
    isc_rng r = isc_rng_at(17, ISC_RNG_USER, 60 + (uint64_t)t);
    ISC_TRY(o->read_end(impl, t, b->host));
    float *want = malloc(bytes);
    if (!want) return isc_fail(ISC_E_NOMEM, "no memory for a check");
    isc_rng_normals(&r, want, LARGEST);
    const bool same = memcmp(want, b->host, bytes) == 0;
    free(want);
    if (!same)
      return isc_fail(ISC_E_INTERNAL, "read %lld brought other bytes than were there when it began",
                      (long long)t);
  }
  if (o->read_end(impl, 0, b->host) == ISC_E_USAGE) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "read 0 ended twice, and the second time was no ISC_E_USAGE");
}

static isc_status all_later(bench *b) {
  const double most[] = {0, 0.5, 1e9}, temperature[] = {1, 0.4, 0};
  for (int i = 0; i < 3; i++)
    ISC_TRY(check_clip(b, most[i]));
  ISC_TRY(check_update(b));
  ISC_TRY(check_not_finite(b, NAN));
  ISC_TRY(check_not_finite(b, INFINITY));
  for (int i = 0; i < 3; i++) {
    ISC_TRY(check_draws(b, temperature[i]));
    ISC_TRY(check_no_distribution(b, temperature[i]));
  }
  return check_reads(b);
}

static isc_status later(isc_conform *c) {
  bench b;
  isc_status st = ISC_OK;
  ISC_GO(bench_open(c, &b));
  const bool any = ISC_DEVICE_HAS(b.dev, clip) || ISC_DEVICE_HAS(b.dev, sample_there) ||
                   ISC_DEVICE_HAS(b.dev, read_begin) || ISC_DEVICE_HAS(b.dev, read_end);
  if (isc_device_reads_later(b.dev))
    st = all_later(&b);
  else if (any)
    st = isc_fail(ISC_E_INTERNAL, "clip, sample_there, read_begin and read_end come together");
  else
    st = isc_conform_skip(c, "the backend's operations wait for their results");
done:
  bench_close(&b);
  return st;
}

/* ---- work put together */

/* out [n] = a bᵀ of ROWS rows, then rows drawn over it: a product, an element-wise operation and a draw. */
static isc_status work(bench *b, uint64_t round) {
  const int64_t k = 5 + (int64_t)round;
  const isc_gemm g = {.batch = 1,
                      .m = ROWS,
                      .n = VOCAB,
                      .k = k,
                      .a = b->p,
                      .b = b->old,
                      .c = b->logits,
                      .lda = k,
                      .ldb = k,
                      .ldc = VOCAB,
                      .trans_b = true,
                      .alpha = 1};
  uint64_t index[ROWS];
  for (uint64_t i = 0; i < ROWS; i++)
    index[i] = 1000 * round + i;
  const isc_sample a = {.rows = ROWS,
                        .vocab = VOCAB,
                        .logits = b->logits,
                        .temperature = 1,
                        .seed = 8,
                        .index = index,
                        .draw = (uint32_t)round,
                        .device_id = b->id,
                        .device_logp = b->logp};
  ISC_TRY(b->dev->ops->gemm(b->dev->impl, &g));
  ISC_TRY(b->dev->ops->add(b->dev->impl, ROWS * VOCAB, b->logits, b->x[1], b->logits));
  return b->dev->ops->sample_there(b->dev->impl, &a);
}

static isc_status results(bench *b, char *out /* [ROWS · 12] */) {
  return fetch(b, out, b->logp, ROWS * (sizeof(double) + sizeof(int32_t)));
}

static isc_status put_together(bench *b, uint64_t round, bool drop) {
  ISC_TRY(b->dev->ops->record(b->dev->impl));
  ISC_TRY(work(b, round));
  return b->dev->ops->play(b->dev->impl, drop);
}

static isc_status one_round(bench *b, uint64_t round) {
  char alone[ROWS * 12], together[ROWS * 12], dropped[ROWS * 12];
  ISC_TRY(work(b, round));
  ISC_TRY(results(b, alone));
  ISC_TRY(put_together(b, round + 1, true));
  ISC_TRY(results(b, dropped));
  if (memcmp(alone, dropped, sizeof alone) != 0)
    return isc_fail(ISC_E_INTERNAL, "work that was dropped left its results");
  ISC_TRY(work(b, round + 1)); /* other results, to be overwritten */
  ISC_TRY(put_together(b, round, false));
  ISC_TRY(results(b, together));
  if (memcmp(alone, together, sizeof alone) == 0) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL,
                  "work %llu put together gives other bits than the same operations one by one",
                  (unsigned long long)round);
}

static isc_status together(isc_conform *c) {
  bench b;
  isc_status st = ISC_OK;
  ISC_GO(bench_open(c, &b));
  if (!isc_device_records(b.dev) || !isc_device_reads_later(b.dev)) {
    st = isc_conform_skip(c, "the backend does not put work together");
    goto done;
  }
  ISC_GO(fill(&b, 1, LARGEST, b.p));
  ISC_GO(fill(&b, 2, LARGEST, b.old));
  ISC_GO(fill(&b, 3, LARGEST, b.x[1]));
  for (uint64_t round = 0; round < 6; round++)
    ISC_GO(one_round(&b, round));
done:
  bench_close(&b);
  return st;
}

#define ENTRY(name, rule, advice, run)                                                             \
  { "backend." name, ISC_OF(ISC_BACKEND), ISC_PER_CASE, 30, rule, advice, run }
const isc_check isc_checks_backend_later[] = {
    ENTRY("later",
          "Where a backend offers clip, sample_there, read_begin and read_end, they give the bits "
          "of the operations that wait.",
          "Offer all four or none. A read has its place in the order of what was asked: what comes "
          "after it must not change what it brings.",
          later),
    ENTRY("together",
          "Where a backend offers record and play, work put together gives the bits of its "
          "operations one by one, and dropped work does nothing.",
          "Take addresses, sizes and host arguments as they are each time, even if the work has "
          "the same shape as the last.",
          together),
    {0}};
