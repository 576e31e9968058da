/* SPDX-License-Identifier: Apache-2.0
 *
 * The backend tests' module loading and guarded arrays.
 */
#include "backend_fixture.h"
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>

enum { GUARD = 16 };

const isc_class *be_class(void) {
  static const isc_class *cls;
  if (cls) return cls;
  const char *path = isc_test_build("kernels/.libs/backend_cpu.so");
  void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  cr_assert(so, "%s", dlerror());
  const isc_plugin *p = dlsym(so, "isc_plugin_v1");
  cr_assert(p && p->classes[0], "%s exports no class", path);
  return cls = p->classes[0];
}

/* The class's conf, filled through its own option table. */
bool be_open(int level, int threads, backend *out) {
  static const char *const simd[] = {"avx512", "avx2", "generic", "auto", "avx512-bf16", "amx"};
  const isc_class *cls = be_class();
  char *conf = calloc(1, cls->conf_size);
  for (const isc_option *o = cls->options; o->name; o++) {
    if (strcmp(o->name, "threads") == 0) *(int64_t *)(void *)(conf + o->offset) = threads;
    if (strcmp(o->name, "simd") == 0)
      for (int32_t i = 0; o->choices[i]; i++)
        if (strcmp(o->choices[i], simd[level]) == 0) *(int32_t *)(void *)(conf + o->offset) = i;
  }
  *out = (backend){.ops = cls->ops, .level = simd[level], .index = level};
  const isc_status st = out->ops->open(conf, &out->impl);
  free(conf);
  cr_assert(st == ISC_OK || st == ISC_E_UNSUPPORTED, "%s", isc_error());
  return st == ISC_OK;
}

void be_close(backend *b) {
  b->ops->close(b->impl);
}

float *be_floats(int64_t n, uint64_t stream) {
  float *p = malloc((size_t)(n + 2 * GUARD) * sizeof *p), *x = p + GUARD;
  cr_assert(p, "no memory for %lld floats", (long long)n);
  memcpy(p, &n, sizeof n);
  memset(p + 2, 0x5A, (GUARD - 2) * sizeof *p);
  if (stream == 0)
    for (int64_t i = 0; i < n; i++)
      x[i] = NAN;
  else {
    isc_rng r = isc_rng_at(20240601, ISC_RNG_USER, stream);
    isc_rng_normals(&r, x, n);
  }
  memset(x + n, 0x5A, GUARD * sizeof *p);
  return x;
}

float *be_copy(const float *x, int64_t n) {
  float *y = be_floats(n, 0);
  memcpy(y, x, (size_t)n * sizeof *x);
  return y;
}

void be_free(float *x) {
  if (!x) return;
  int64_t n;
  unsigned char guard[GUARD * sizeof *x];
  memset(guard, 0x5A, sizeof guard);
  memcpy(&n, x - GUARD, sizeof n);
  cr_assert(memcmp(x - GUARD + 2, guard, (GUARD - 2) * sizeof *x) == 0,
            "written before an array of %lld", (long long)n);
  cr_assert(memcmp(x + n, guard, sizeof guard) == 0, "written past an array of %lld", (long long)n);
  free(x - GUARD);
}

const char *be_text(const char *fmt, ...) {
  static char text[256];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  return text;
}
