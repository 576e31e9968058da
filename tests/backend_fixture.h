/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of a compute backend share: opening the built module at a SIMD level and a number
 * of threads, guarded arrays, reproducible numbers and the tolerance of backend.h.
 *
 * Guarded arrays have canaries on both sides, so that an operation writing past a row's tail is
 * seen.
 */
#ifndef ISC_TESTS_BACKEND_FIXTURE_H
#define ISC_TESTS_BACKEND_FIXTURE_H

#include "support.h"
#include <inversescope/backend.h>
#include <inversescope/rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Levels that this machine can run; level 0 is the best. */
enum { BE_LEVELS = 3, BE_AUTO = 3 }; /* BE_AUTO: what a run uses, with oneDNN */
/* Levels too, but told apart by products of bf16 alone. */
enum { BE_KERNELS = 6 };
typedef struct backend {
  const isc_backend_ops *ops;
  void *impl;
  const char *level;
  int index; /* the level be_open was given */
} backend;

/* The class in the built module. */
const isc_class *be_class(void);
/* Open at level 0 … BE_LEVELS-1 (avx512, avx2, generic), at BE_AUTO or another up to BE_KERNELS-1; false where the
 * processor lacks it. */
bool be_open(int level, int threads, backend *out);
void be_close(backend *b);

/* For each level that runs here: a `backend b` with that many threads. */
#define BE_EACH_LEVEL(b, threads)                                                                  \
  for (int level_ = 0; level_ < BE_LEVELS; level_++)                                               \
    for (backend b = {0}; !b.ops && be_open(level_, threads, &b); be_close(&b))

/* A guarded array of n floats: standard normals of stream `stream`, or NaN when stream is 0 (an
 * output that must be written). */
float *be_floats(int64_t n, uint64_t stream);
float *be_copy(const float *x, int64_t n);
/* Aborts the test when a canary was touched; then frees. */
void be_free(float *x);

/* |got − exact| ≤ 4e-6 · terms, the tolerance of backend.h; `terms` is Σ|terms| of the element's sum. */
#define BE_CLOSE(got, exact, terms, ...)                                                           \
  do {                                                                                             \
    const double got_ = (double)(got), exact_ = (exact), most_ = 4e-6 * (terms) + 1e-37;           \
    cr_assert(fabs(got_ - exact_) <= most_,                                                        \
              "got %.9g, exact %.9g, off by %.2g of %.2g allowed; %s", got_, exact_,               \
              fabs(got_ - exact_), most_, be_text(__VA_ARGS__));                                   \
  } while (0)
const char *be_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define BE_SAME_BITS(a, b, n, ...)                                                                 \
  cr_assert(memcmp(a, b, (size_t)(n) * sizeof *(a)) == 0, "the bits differ; %s",                   \
            be_text(__VA_ARGS__))

#endif
