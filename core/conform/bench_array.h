/* SPDX-License-Identifier: Apache-2.0
 *
 * An array of a problem, for the files that implement bench.h.
 */
#ifndef ISC_CORE_CONFORM_BENCH_ARRAY_H
#define ISC_CORE_CONFORM_BENCH_ARRAY_H

#include "conform/bench.h"

/* Bytes of canaries on either side; keeps the alignment of a backend's memory. */
enum { ISC_BENCH_MARGIN = 256 };

typedef struct isc_bench_array {
  struct isc_bench_array *next;
  const char *name;
  isc_bench_role role;
  isc_bench_type type;
  int64_t n;
  size_t bytes, margin;
  char *whole, *before; /* margin, elements, margin; its elements as they begin    */
  char *back;           /* the same as it came back; NULL until loaded             */
  void *region;         /* on the device, margins included; NULL for host arrays   */
  isc_exact *want;      /* [n] or NULL                                             */
} isc_bench_array;

size_t isc_bench_size(isc_bench_type type);
bool isc_bench_on_host(isc_bench_type type);
/* The array that a pointer to its start, inside it, or to its end belongs to; NULL for NULL. */
isc_bench_array *isc_bench_find(const isc_bench *b, const void *host);

#endif
