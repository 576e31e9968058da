/* SPDX-License-Identifier: Apache-2.0
 *
 * Arrays of a problem: made on the host, put on a device between canaries, brought back.
 */
#include "conform/bench.h"
#include "conform/bench_array.h"
#include <inversescope/rng.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { CANARY = 0x5A };

size_t isc_bench_size(isc_bench_type type) {
  if (type == ISC_BENCH_BF16) return 2;
  return type == ISC_BENCH_F64 || type >= ISC_BENCH_HOST_I64 ? 8 : 4;
}

bool isc_bench_on_host(isc_bench_type type) {
  return type >= ISC_BENCH_HOST_F32;
}

static void unload(isc_bench *b, isc_bench_array *a) {
  if (a->region) b->dev->ops->free(b->dev->impl, a->region);
  a->region = NULL;
}

void isc_bench_end(isc_bench *b) {
  while (b->arrays) {
    isc_bench_array *a = b->arrays;
    b->arrays = a->next;
    unload(b, a);
    free(a->want);
    free(a);
  }
}

void isc_bench_begin(isc_bench *b, const char *op, const char *fmt, ...) {
  va_list ap;
  isc_bench_end(b);
  b->op = op;
  b->drawn = 0;
  va_start(ap, fmt);
  vsnprintf(b->shape, sizeof b->shape, fmt, ap);
  va_end(ap);
}

static void begin_narrow(isc_rng *r, isc_bench_array *a) {
  for (int64_t i = 0; i < a->n; i++) {
    uint32_t bits;
    float x;
    isc_rng_normals(r, &x, 1);
    x = isc_reference_bf16(x);
    memcpy(&bits, &x, sizeof bits);
    memcpy(a->before + 2 * i, &(uint16_t){(uint16_t)(bits >> 16)}, 2);
  }
}

static void begin_as(isc_bench *b, isc_bench_array *a) {
  isc_rng r = isc_rng_at(b->seed, ISC_RNG_USER + 77, b->drawn++);
  bool poison = a->role == ISC_BENCH_OUT;
  if (a->type == ISC_BENCH_F32 || a->type == ISC_BENCH_HOST_F32) {
    float *x = (void *)a->before;
    isc_rng_normals(&r, x, a->n);
    for (int64_t i = 0; poison && i < a->n; i++)
      x[i] = NAN;
  } else if (poison) {
    memset(a->before, 0xFF, a->bytes); /* a NaN as f64 and as bf16, -1 as an integer */
  } else if (a->type == ISC_BENCH_BF16) {
    begin_narrow(&r, a);
  }
}

isc_status isc_bench_array_new(isc_bench *b, const char *name, isc_bench_role role,
                               isc_bench_type type, int64_t n, void *out) {
  void *memory, **to = out;
  ISC_TRY(isc_calloc(1, sizeof(isc_bench_array), "an array", &memory));
  isc_bench_array *a = memory, **end = &b->arrays;
  while (*end)
    end = &(*end)->next;
  *end = a;
  a->name = name;
  a->role = role;
  a->type = type;
  a->n = n;
  a->bytes = (size_t)n * isc_bench_size(type);
  a->margin = isc_bench_on_host(type) ? 0 : ISC_BENCH_MARGIN;
  ISC_TRY(isc_guard_new(b->c, a->bytes + 2 * a->margin, &memory));
  memset(memory, CANARY, a->bytes + 2 * a->margin);
  a->whole = memory;
  a->before = a->whole + a->margin;
  memset(a->before, 0, a->bytes);
  begin_as(b, a);
  *to = a->before;
  return ISC_OK;
}

static isc_status load_one(isc_bench *b, isc_bench_array *a) {
  size_t all = a->bytes + 2 * a->margin;
  void *memory;
  unload(b, a);
  if (!a->back) {
    ISC_TRY(isc_guard_new(b->c, all, &memory));
    a->back = memory;
    ISC_TRY(isc_guard_seal(b->c, a->whole));
  }
  memcpy(a->back, a->whole, all);
  if (isc_bench_on_host(a->type)) return ISC_OK;
  ISC_TRY(b->dev->ops->alloc(b->dev->impl, all, &a->region));
  return b->dev->ops->upload(b->dev->impl, a->region, a->whole, all);
}

isc_status isc_bench_load(isc_bench *b, isc_device *dev) {
  for (isc_bench_array *a = b->arrays; a; a = a->next)
    unload(b, a);
  b->dev = dev;
  for (isc_bench_array *a = b->arrays; a; a = a->next)
    ISC_TRY(load_one(b, a));
  return ISC_OK;
}

isc_bench_array *isc_bench_find(const isc_bench *b, const void *host) {
  const char *p = host;
  for (isc_bench_array *a = b->arrays; p && a; a = a->next)
    if (p >= a->before && p <= a->before + a->bytes) return a;
  return NULL;
}

/* Inputs in host memory are the sealed originals. */
void *isc_bench_at(const isc_bench *b, const void *host) {
  const isc_bench_array *a = isc_bench_find(b, host);
  if (!a) return NULL;
  size_t offset = (size_t)((const char *)host - a->before);
  if (!isc_bench_on_host(a->type)) return (char *)a->region + a->margin + offset;
  return (a->role == ISC_BENCH_IN ? a->before : a->back) + offset;
}

static isc_status canaries(const isc_bench *b, const isc_bench_array *a) {
  const char *edge[2] = {a->back, a->back + a->margin + a->bytes};
  for (int side = 0; side < 2; side++)
    for (size_t i = 0; i < a->margin; i++)
      if (edge[side][i] != CANARY)
        return isc_fail(ISC_E_INTERNAL, "%s, %s: byte %zu %s \"%s\" [%lld] was written", b->op,
                        b->shape, side ? i : a->margin - i,
                        side ? "behind the end of" : "before the start of", a->name,
                        (long long)a->n);
  return ISC_OK;
}

isc_status isc_bench_collect(isc_bench *b) {
  const isc_backend_ops *ops = b->dev->ops;
  ISC_TRY(ops->sync(b->dev->impl));
  for (isc_bench_array *a = b->arrays; a; a = a->next)
    if (!isc_bench_on_host(a->type))
      ISC_TRY(ops->download(b->dev->impl, a->back, a->region, a->bytes + 2 * a->margin));
  return ISC_OK;
}

isc_status isc_bench_untouched(const isc_bench *b) {
  for (const isc_bench_array *a = b->arrays; a; a = a->next) {
    ISC_TRY(canaries(b, a));
    if (a->role == ISC_BENCH_IN && memcmp(a->back + a->margin, a->before, a->bytes) != 0)
      return isc_fail(ISC_E_INTERNAL, "%s, %s: the input \"%s\" was changed", b->op, b->shape,
                      a->name);
  }
  return ISC_OK;
}

void isc_bench_append(const isc_bench *b, isc_sb *out) {
  for (const isc_bench_array *a = b->arrays; a; a = a->next)
    if (a->role != ISC_BENCH_IN) isc_sb_addn(out, a->back + a->margin, a->bytes);
}
