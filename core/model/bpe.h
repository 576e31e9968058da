/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte-pair encoding: the merges, applied to the tokens of one word.
 *
 * The merge of lowest rank is applied first, the leftmost of equals; a heap keeps a word of n tokens at
 * n log n, so that a long run of letters is no trap.
 */
#ifndef ISC_CORE_BPE_H
#define ISC_CORE_BPE_H

#include "model/text_table.h"

typedef struct isc_merge {
  int32_t left, right;
} isc_merge;

/* A pair and what becomes of it, together, because a look-up is a cache miss. */
typedef struct isc_pair {
  uint64_t pair; /* left << 32 | right */
  int32_t rank, merged;
} isc_pair;

typedef struct isc_bpe {
  int32_t byte_id[256]; /* token of each single byte, −1 if the vocabulary lacks it */
  isc_merge *merge;     /* [n] by rank                                              */
  int32_t *merged;      /* [n] the token a merge makes                              */
  int64_t n;
  isc_pair *slot; /* [mask + 1] rank < 0 = free */
  size_t mask;
  uint64_t seed;
} isc_bpe;

/* Where ids go: at most `max` are written, all are counted. */
typedef struct isc_ids {
  int32_t *id; /* [max] */
  int64_t max, n;
} isc_ids;
static inline void isc_ids_add(isc_ids *out, int32_t id) {
  if (out->n < out->max) out->id[out->n] = id;
  out->n++;
}

/* Room for n merges; the caller fills merge and merged, then calls isc_bpe_index. */
isc_status isc_bpe_reserve(isc_bpe *b, int64_t n, const char *what);
/* *duplicate: rank of a merge that is there twice, or −1. */
isc_status isc_bpe_index(isc_bpe *b, const char *what, int64_t *duplicate);
void isc_bpe_free(isc_bpe *b);
/* Merge the n tokens of a word in place; *n is how many are left. *steps grows by the work done. Any thread. */
isc_status isc_bpe_merge(const isc_bpe *b, int32_t *id, size_t *n, int64_t *steps);

/* GPT-2's printable character for each byte, and back: −1 for other characters. */
uint32_t isc_byte_to_char(uint8_t byte);
int isc_char_to_byte(uint32_t cp);

#endif
