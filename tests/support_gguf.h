/* SPDX-License-Identifier: Apache-2.0
 *
 * GGUF files made byte by byte, so that a test can break any one rule.
 */
#ifndef ISC_TESTS_SUPPORT_GGUF_H
#define ISC_TESTS_SUPPORT_GGUF_H

#include "model/gguf.h"
#include <criterion/criterion.h>
#include <string.h>

typedef struct bytes {
  uint8_t at[1 << 14];
  size_t n;
} bytes;

static inline void raw(bytes *b, const void *p, size_t n) {
  cr_assert_leq(b->n + n, sizeof b->at);
  if (n) memcpy(b->at + b->n, p, n);
  b->n += n;
}

static inline void u32(bytes *b, uint32_t v) {
  raw(b, &v, sizeof v);
}

static inline void u64(bytes *b, uint64_t v) {
  raw(b, &v, sizeof v);
}

static inline void text(bytes *b, const char *s) {
  u64(b, strlen(s));
  raw(b, s, strlen(s));
}

static inline bytes start(uint64_t tensors, uint64_t pairs) {
  bytes b = {.n = 0};
  raw(&b, "GGUF", 4);
  u32(&b, 3);
  u64(&b, tensors);
  u64(&b, pairs);
  return b;
}

static inline void pair_u32(bytes *b, const char *key, uint32_t v) {
  text(b, key);
  u32(b, ISC_GGUF_U32);
  u32(b, v);
}

static inline void tensor(bytes *b, const char *name, uint32_t ndim, const uint64_t *dims,
                          uint32_t type, uint64_t offset) {
  text(b, name);
  u32(b, ndim);
  for (uint32_t i = 0; i < ndim; i++)
    u64(b, dims[i]);
  u32(b, type);
  u64(b, offset);
}

/* Zeros up to a multiple of `to`, and n more. */
static inline void data(bytes *b, size_t to, size_t n) {
  size_t end = (b->n + to - 1) / to * to + n;
  cr_assert_leq(end, sizeof b->at);
  b->n = end;
}

#endif
