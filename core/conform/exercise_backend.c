/* SPDX-License-Identifier: Apache-2.0
 *
 * How a backend is opened and used by the checks that know nothing of backends: one small problem of each operation.
 */
#include "conform/ops.h"
#include <inversescope/tensor.h>

static isc_status open_backend(isc_conform *c, const void *conf, uint64_t seed, int threads,
                               void **instance) {
  isc_device *dev = NULL;
  isc_conform own = *c;
  own.conf = conf;
  (void)seed;
  *instance = NULL;
  ISC_TRY(isc_conform_device(&own, threads, &dev));
  *instance = dev;
  return ISC_OK;
}

static void close_backend(isc_conform *c, void *instance) {
  (void)c;
  isc_device_close(instance);
}

static isc_status use_op(isc_bench *b, const isc_op *op, isc_device *dev, isc_sb *out) {
  isc_op_call call = {0};
  ISC_TRY(op->make(b, 0, 0, &call));
  ISC_TRY(isc_op_call_on(op, b, &call, dev));
  isc_bench_append(b, out);
  return ISC_OK;
}

static isc_status use_backend(isc_conform *c, void *instance, uint64_t seed, isc_sb *out) {
  isc_bench b = {.c = c, .seed = seed};
  isc_status st = ISC_OK;
  for (const isc_op *const *part = isc_ops_all; *part && st == ISC_OK; part++)
    for (const isc_op *op = *part; op->name && st == ISC_OK; op++)
      if (isc_op_known(op, c->cls)) st = use_op(&b, op, instance, out);
  isc_bench_end(&b);
  return st;
}

const isc_exercise isc_exercise_backend = {
    .open = open_backend, .close = close_backend, .use = use_backend, .seeded = true};
