/* SPDX-License-Identifier: Apache-2.0
 *
 * The CUDA backend on the emulated device, opened by hand, and arrays on it.
 */
#ifndef ISC_TESTS_CUDA_EMULATED_DEVICE_H
#define ISC_TESTS_CUDA_EMULATED_DEVICE_H

#include "support.h"

#include <dlfcn.h>
#include <inversescope/backend.h>
#include <inversescope/rng.h>
#include <stdlib.h>
#include <string.h>

static inline const isc_class *class_of_module(void) {
  const char *path = isc_test_build("tests/cuda/.libs/backend_cuda.so");
  void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  cr_assert(so, "%s", dlerror());
  const isc_plugin *p = dlsym(so, "isc_plugin_v1");
  return p->classes[0];
}

/* Opened by `open` of its operations, with `products` as that option says, on the device of that number. */
static inline isc_status open_device_by(isc_status (*open)(const void *conf, void **impl),
                                        const char *products, int64_t number, isc_device *out) {
  const isc_class *cls = class_of_module();
  char *conf = calloc(1, cls->conf_size);
  for (const isc_option *o = cls->options; o->name; o++) {
    if (!strcmp(o->name, "device")) memcpy(conf + o->offset, &number, sizeof number);
    for (int32_t i = 0; !strcmp(o->name, "products") && o->choices[i]; i++)
      if (!strcmp(o->choices[i], products)) memcpy(conf + o->offset, &i, sizeof i);
  }
  *out = (isc_device){.ops = cls->ops, .cls = cls};
  const isc_status st = open(conf, &out->impl);
  free(conf);
  return st;
}

static inline const isc_backend_ops *emulated_ops(void) {
  return class_of_module()->ops;
}

static inline isc_status open_device(const char *products, int64_t number, isc_device *out) {
  return open_device_by(emulated_ops()->open, products, number, out);
}

static inline isc_device exact(void) {
  isc_device d;
  isc_assert_ok(open_device("exact", 0, &d));
  return d;
}

static inline void *on_device(const isc_device *d, const void *host, size_t bytes) {
  void *p;
  isc_assert_ok(d->ops->alloc(d->impl, bytes, &p));
  isc_assert_ok(d->ops->upload(d->impl, p, host, bytes));
  return p;
}

static inline float *normals(uint64_t stream, int64_t n) {
  float *x = malloc((size_t)n * sizeof *x);
  isc_rng r = isc_rng_at(7, ISC_RNG_USER, stream);
  isc_rng_normals(&r, x, n);
  return x;
}

#endif
