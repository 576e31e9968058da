/* SPDX-License-Identifier: Apache-2.0
 *
 * All-pairs search, a chunk of the support at a time against blocks of centres.
 *
 * Rows are scaled to unit length before they go to the device, so the product of two is their cosine with
 * an error below the backend's tolerance of 4e-6 whatever the activations' scale; everything is then derived
 * from cosines and norms.
 */
#include "eval/ball.h"
#include "base/base.h"
#include "tensor/count.h"
#include <math.h>
#include <stdlib.h>

enum { CHUNK = 2048, BLOCK = 256 };
static const double COSINE_ERROR =
    1e-5; /* twice the backend's 4e-6, and the rounding of the unit rows */

typedef struct search {
  const isc_ball *b;
  double *norm, *norm_hat;             /* [n_support], [n_centre]                             */
  float *unit;                         /* host [max(CHUNK, n_centre), width]                  */
  float *cosine;                       /* host [BLOCK, CHUNK]                                 */
  void *d_centre, *d_chunk, *d_cosine; /* the same on the device                    */
  int64_t row[CHUNK];                  /* rows and distances of one visit                     */
  double d[CHUNK];
} search;

static void search_close(search *s) {
  const isc_device *dev = s->b->device;
  void *on_device[] = {s->d_centre, s->d_chunk, s->d_cosine};
  for (int i = 0; i < 3; i++)
    if (on_device[i]) dev->ops->free(dev->impl, on_device[i]);
  free(s->norm);
  free(s->norm_hat);
  free(s->unit);
  free(s->cosine);
  free(s);
}

static isc_status norms(int64_t n, int64_t width, const float *y, double **out) {
  ISC_TRY(isc_calloc((size_t)n, sizeof **out, "norms of activations", (void **)out));
  for (int64_t i = 0; i < n; i++) {
    (*out)[i] = isc_norm(width, y + i * width);
    if (!isfinite((*out)[i]))
      return isc_fail(ISC_E_NUMERIC, "ball search: activation %lld holds a NaN or an infinity",
                      (long long)i);
  }
  return ISC_OK;
}

static isc_status search_open(const isc_ball *b, search **out) {
  search *s;
  ISC_TRY(isc_calloc(1, sizeof *s, "a ball search", (void **)&s));
  s->b = b;
  *out = s;
  ISC_TRY(norms(b->n_support, b->width, b->support, &s->norm));
  ISC_TRY(norms(b->n_centre, b->width, b->centre, &s->norm_hat));
  if (!b->device) return ISC_OK;
  size_t rows = b->n_centre > CHUNK ? (size_t)b->n_centre : CHUNK, width = (size_t)b->width, unit;
  ISC_TRY(isc_mul_size(rows, width, "unit activations", &unit));
  ISC_TRY(isc_calloc(unit, sizeof *s->unit, "unit activations", (void **)&s->unit));
  ISC_TRY(isc_calloc((size_t)BLOCK * CHUNK, sizeof *s->cosine, "cosines", (void **)&s->cosine));
  const isc_backend_ops *ops = b->device->ops;
  void *impl = b->device->impl;
  ISC_TRY(ops->alloc(impl, (size_t)b->n_centre * width * sizeof(float), &s->d_centre));
  ISC_TRY(ops->alloc(impl, (size_t)CHUNK * width * sizeof(float), &s->d_chunk));
  return ops->alloc(impl, (size_t)BLOCK * CHUNK * sizeof(float), &s->d_cosine);
}

static isc_status upload_unit(search *s, int64_t n, const float *y, const double *norm, void *to) {
  int64_t width = s->b->width;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < width; j++)
      s->unit[i * width + j] = norm[i] > 0 ? (float)(y[i * width + j] / norm[i]) : 0;
  return s->b->device->ops->upload(s->b->device->impl, to, s->unit,
                                   (size_t)(n * width) * sizeof(float));
}

static isc_status multiply(search *s, int64_t centre, int64_t m, int64_t n) {
  isc_device *dev = s->b->device;
  int64_t width = s->b->width;
  const isc_gemm g = {.batch = 1,
                      .m = m,
                      .n = n,
                      .k = width,
                      .a = (const float *)s->d_centre + centre * width,
                      .lda = width,
                      .b = s->d_chunk,
                      .ldb = width,
                      .trans_b = true,
                      .c = s->d_cosine,
                      .ldc = n,
                      .alpha = 1};
  ISC_TRY(isc_device_gemm(dev, &g));
  return dev->ops->download(dev->impl, s->cosine, s->d_cosine, (size_t)(m * n) * sizeof(float));
}

typedef enum verdict { OUTSIDE, INSIDE, UNCLEAR } verdict;

/* d lies within `off` of an estimate that is below `reach`: is that all that is asked? */
static verdict settle(const isc_ball *b, double d, double off) {
  bool clear = d + off < b->reach && off <= b->tolerance && !(fabs(d - b->edge) <= off);
  return clear ? INSIDE : UNCLEAR;
}

/* What the cosine settles; *d is set when INSIDE. */
static verdict judge(const isc_ball *b, double norm, double norm_hat, double cosine, double *d) {
  if (norm == 0 || norm_hat == 0) return UNCLEAR;
  if (b->geometry == ISC_ANGULAR) {
    if (1 - cosine - COSINE_ERROR >= b->reach) return OUTSIDE;
    if (b->band > 0 && !(fabs(norm / norm_hat - 1) < b->band)) return OUTSIDE;
    *d = fmax(1 - cosine, 0);
    return settle(b, *d, COSINE_ERROR);
  }
  double unit = b->geometry == ISC_NORMALISED ? norm_hat : 1, a = norm / unit, h = norm_hat / unit;
  double square = fmax(a * a + h * h - 2 * a * h * cosine, 0), error = 2 * a * h * COSINE_ERROR;
  if (square - error >= b->reach * b->reach) return OUTSIDE;
  *d = sqrt(square);
  /* |√s − √t| is at most |s − t|/√s, and at most √|s − t|. */
  return settle(b, *d, fmin(error / *d, sqrt(error)));
}

/* `cosine` [n] of a centre against support rows first … first + n − 1, or NULL. */
static isc_status visit(search *s, int64_t centre, int64_t first, int64_t n, const float *cosine) {
  const isc_ball *b = s->b;
  int64_t kept = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t row = first + i;
    double d = 0;
    verdict v = cosine ? judge(b, s->norm[row], s->norm_hat[centre], cosine[i], &d) : UNCLEAR;
    if (v == UNCLEAR) {
      d = isc_distance(b->geometry, b->band, b->width, b->support + row * b->width,
                       b->centre + centre * b->width);
      v = d < b->reach ? INSIDE : OUTSIDE;
    }
    s->row[kept] = row;
    s->d[kept] = d;
    kept += v == INSIDE;
  }
  return kept ? b->visit(b->user, centre, kept, s->row, s->d) : ISC_OK;
}

static isc_status search_chunk(search *s, int64_t first, int64_t n) {
  const isc_ball *b = s->b;
  if (b->device)
    ISC_TRY(upload_unit(s, n, b->support + first * b->width, s->norm + first, s->d_chunk));
  for (int64_t c = 0; c < b->n_centre; c += BLOCK) {
    int64_t m = b->n_centre - c < BLOCK ? b->n_centre - c : BLOCK;
    if (b->device) ISC_TRY(multiply(s, c, m, n));
    for (int64_t i = 0; i < m; i++)
      ISC_TRY(visit(s, c + i, first, n, b->device ? s->cosine + i * n : NULL));
  }
  return ISC_OK;
}

isc_status isc_ball_search(const isc_ball *b) {
  if (b->n_support < 1 || b->n_centre < 1) return ISC_OK;
  search *s = NULL;
  isc_status st;
  ISC_GO(search_open(b, &s));
  if (b->device) ISC_GO(upload_unit(s, b->n_centre, b->centre, s->norm_hat, s->d_centre));
  for (int64_t first = 0; first < b->n_support; first += CHUNK) {
    int64_t n = b->n_support - first < CHUNK ? b->n_support - first : CHUNK;
    ISC_GO(search_chunk(s, first, n));
  }
done:
  if (s) search_close(s);
  return st;
}
