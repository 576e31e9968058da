/* SPDX-License-Identifier: Apache-2.0
 *
 * One call of a backend's operation under observation: its arrays on the device between canaries, and what is
 * expected of each element.
 *
 * A problem is written once with host pointers. Loading puts its arrays on a device, isc_bench_at gives the
 * place there of a host pointer, and after the call the arrays come back to be compared.
 */
#ifndef ISC_CORE_CONFORM_BENCH_H
#define ISC_CORE_CONFORM_BENCH_H

#include "conform/conform.h"
#include "conform/reference.h"

typedef enum isc_bench_type {
  ISC_BENCH_F32,
  ISC_BENCH_I32,
  ISC_BENCH_BF16,
  ISC_BENCH_F64, /* on the device                    */
  ISC_BENCH_HOST_F32,
  ISC_BENCH_HOST_I32,
  ISC_BENCH_HOST_I64,
  ISC_BENCH_HOST_F64 /* the operation takes host memory */
} isc_bench_type;

typedef enum isc_bench_role {
  ISC_BENCH_IN,
  ISC_BENCH_OUT,  /* begins as NaN (-1 for integers): every element must be written */
  ISC_BENCH_INOUT /* begins as numbers                                               */
} isc_bench_role;

typedef struct isc_bench {
  isc_conform *c;
  isc_device *dev; /* the one loaded on; its owner is the caller */
  const char *op;
  char shape[160];      /* for messages                     */
  uint64_t seed, drawn; /* of the numbers that arrays begin as */
  struct isc_bench_array *arrays;
} isc_bench;

/* A new problem: earlier arrays are freed. `fmt` describes its shape. */
void isc_bench_begin(isc_bench *b, const char *op, const char *fmt, ...) ISC_PRINTF(3, 4);
void isc_bench_end(isc_bench *b); /* frees all */
/* An array of n elements, which may be changed until it is loaded. Floats are standard normals, rounded where
 * they are bf16, integers 0. */
isc_status isc_bench_array_new(isc_bench *b, const char *name, isc_bench_role role,
                               isc_bench_type type, int64_t n, void *out);
isc_status isc_bench_load(isc_bench *b, isc_device *dev);
/* The place on the device, or the operation's own host memory, of a pointer into an array; NULL for NULL. */
void *isc_bench_at(const isc_bench *b, const void *host);
/* The expectations of the array at `host`: every element is KEPT until something else is said. *out = NULL for NULL. */
isc_status isc_bench_want(isc_bench *b, const void *host, isc_exact **out);
/* What is expected so far may be off by so many times more. */
void isc_bench_loosen(isc_bench *b, double times);
/* Wait, and bring the arrays back. */
isc_status isc_bench_collect(isc_bench *b);
/* Canaries and inputs are as they were. */
isc_status isc_bench_untouched(const isc_bench *b);
/* Every element is as expected. */
isc_status isc_bench_compare(isc_bench *b);
/* Outputs are appended, in the order the arrays were made. */
void isc_bench_append(const isc_bench *b, isc_sb *out);
/* Outputs have the bits they have in the transcript `whole` of an earlier call, or else those they began with, where
 * `part` says that the call was about a part. Otherwise the message names the array, the element and both values. */
isc_status isc_bench_same_bits(const isc_bench *b, const isc_sb *whole, bool part,
                               const char *what);

#endif
