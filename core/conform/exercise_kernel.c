/* SPDX-License-Identifier: Apache-2.0
 *
 * How a kernel is opened and used by the checks that know nothing of kernels.
 */
#include "conform/conform.h"
#include <inversescope/kernel.h>
#include <stdlib.h>

enum { DIMS = 3, DRAWS = 8, POINTS = 5 };
static const int64_t DIM[DIMS] = {1, 3, 64};

typedef struct kernels {
  void *self[DIMS];
} kernels;

static void close_kernels(isc_conform *c, void *instance) {
  const isc_kernel_ops *ops = c->cls->ops;
  kernels *k = instance;
  for (int i = 0; i < DIMS; i++)
    if (k->self[i]) ops->close(k->self[i]);
  free(k);
}

static isc_status open_kernels(isc_conform *c, const void *conf, uint64_t seed, int threads,
                               void **instance) {
  const isc_kernel_ops *ops = c->cls->ops;
  void *p;
  (void)seed;
  (void)threads;
  ISC_TRY(isc_calloc(1, sizeof(kernels), "opened kernels", &p));
  kernels *k = p;
  isc_status st = ISC_OK;
  for (int i = 0; i < DIMS && st == ISC_OK; i++) {
    void *self = NULL;
    st = ops->open(conf, DIM[i], &self);
    if (st == ISC_OK) k->self[i] = self;
  }
  if (st == ISC_OK)
    *instance = k;
  else
    close_kernels(c, k);
  return st;
}

static void add(isc_sb *out, double v) {
  isc_sb_addn(out, (const char *)&v, sizeof v);
}

/* Member by member: bytes between them are nobody's. */
static void add_draw(isc_sb *out, const isc_noise_draw *d) {
  add(out, d->d);
  add(out, d->radius);
  add(out, d->rho);
  add(out, d->cos);
  add(out, d->sin);
}

static isc_status use_one(isc_conform *c, void *self, uint64_t seed, uint64_t number, isc_sb *out) {
  const isc_kernel_ops *o = c->cls->ops;
  void *draw;
  add(out, (double)o->geometry(self));
  add(out, (double)o->measure(self));
  const double epsilon = o->epsilon(self);
  add(out, epsilon);
  add(out, o->band(self));
  for (int i = 0; i < POINTS; i++) {
    add(out, o->profile(self, i * 0.5));
    add(out, o->distance_cdf(self, i * 0.5 * epsilon));
    add(out, o->norm_cdf(self, 0.9 + 0.05 * i));
  }
  ISC_TRY(isc_guard_new(c, sizeof(isc_noise_draw), &draw));
  for (uint64_t i = 0; i < DRAWS; i++) {
    isc_rng r = isc_rng_at(seed, ISC_RNG_NOISE_RADIUS, number * DRAWS + i);
    o->draw(self, &r, draw);
    add_draw(out, draw);
  }
  return ISC_OK;
}

static isc_status use(isc_conform *c, void *instance, uint64_t seed, isc_sb *out) {
  const kernels *k = instance;
  for (int i = 0; i < DIMS; i++)
    ISC_TRY(use_one(c, k->self[i], seed, (uint64_t)i, out));
  return ISC_OK;
}

const isc_exercise isc_exercise_kernel = {
    .open = open_kernels, .close = close_kernels, .use = use, .seeded = true, .shared = true};
