/* SPDX-License-Identifier: Apache-2.0
 *
 * What came back from a device against what was expected, element by element.
 */
#include "conform/bench_array.h"
#include <stdlib.h>
#include <string.h>

isc_status isc_bench_want(isc_bench *b, const void *host, isc_exact **out) {
  isc_bench_array *a = isc_bench_find(b, host);
  *out = NULL;
  if (!a) return ISC_OK;
  if (!a->want) {
    ISC_TRY(isc_calloc((size_t)a->n, sizeof *a->want, "expectations", (void **)&a->want));
    for (int64_t i = 0; i < a->n; i++)
      a->want[i].slack = ISC_EXACT_KEPT;
  }
  *out = a->want + ((const char *)host - a->before) / (ptrdiff_t)isc_bench_size(a->type);
  return ISC_OK;
}

void isc_bench_loosen(isc_bench *b, double times) {
  for (isc_bench_array *a = b->arrays; a; a = a->next)
    for (int64_t i = 0; a->want && i < a->n; i++)
      if (a->want[i].slack > 0) a->want[i].slack *= times;
}

static double number(isc_bench_type type, const char *at) {
  float f;
  double d;
  int32_t i;
  int64_t l;
  switch (type) {
  case ISC_BENCH_F32:
  case ISC_BENCH_HOST_F32:
    memcpy(&f, at, sizeof f);
    return (double)f;
  case ISC_BENCH_I32:
  case ISC_BENCH_HOST_I32:
    memcpy(&i, at, sizeof i);
    return i;
  case ISC_BENCH_BF16:
    return isc_reference_element(at, ISC_BF16, 0);
  case ISC_BENCH_HOST_I64:
    memcpy(&l, at, sizeof l);
    return (double)l;
  case ISC_BENCH_F64:
  case ISC_BENCH_HOST_F64:
    break;
  }
  memcpy(&d, at, sizeof d);
  return d;
}

/* The floor is the smallest normal f32: below it results may be flushed to 0. */
static isc_status compare_one(const isc_bench *b, const isc_bench_array *a, int64_t i) {
  size_t size = isc_bench_size(a->type), at = (size_t)i * size;
  double got = number(a->type, a->back + a->margin + at), allowed;
  const isc_exact *want = &a->want[i];
  if (want->slack == ISC_EXACT_ANY) return ISC_OK;
  if (want->slack == ISC_EXACT_KEPT) {
    if (memcmp(a->back + a->margin + at, a->before + at, size) == 0) return ISC_OK;
    return isc_fail(ISC_E_INTERNAL,
                    "%s, %s: \"%s\"[%lld] is no part of the result and was overwritten with %.9g",
                    b->op, b->shape, a->name, (long long)i, got);
  }
  allowed = ISC_EXACT_UNIT * want->slack + (want->slack > 0 ? 1.2e-38 : 0);
  if (fabs(got - want->value) <= allowed) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL,
                  "%s, %s: \"%s\"[%lld] is %.9g; in double it is %.9g, and it may be off by %.3g",
                  b->op, b->shape, a->name, (long long)i, got, want->value, allowed);
}

isc_status isc_bench_compare(isc_bench *b) {
  for (const isc_bench_array *a = b->arrays; a; a = a->next)
    for (int64_t i = 0; a->want && i < a->n; i++)
      ISC_TRY(compare_one(b, a, i));
  return ISC_OK;
}

isc_status isc_bench_same_bits(const isc_bench *b, const isc_sb *whole, bool part,
                               const char *what) {
  size_t at = 0;
  for (const isc_bench_array *a = b->arrays; a; a = a->next) {
    size_t size = isc_bench_size(a->type);
    for (int64_t i = 0; a->role != ISC_BENCH_IN && i < a->n; i++, at += size) {
      const char *now = a->back + a->margin + (size_t)i * size;
      if (memcmp(whole->s + at, now, size) == 0) continue;
      if (part && memcmp(a->before + (size_t)i * size, now, size) == 0) continue;
      return isc_fail(ISC_E_INTERNAL, "%s, %s: %s: \"%s\"[%lld] is %.9g and then %.9g", b->op,
                      b->shape, what, a->name, (long long)i, number(a->type, whole->s + at),
                      number(a->type, now));
    }
  }
  return ISC_OK;
}
