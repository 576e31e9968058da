/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte-pair encoding of one word: a short one by looking for the lowest rank again and again, a long one with a heap of
 * candidate merges over a linked list of tokens.
 *
 * A candidate whose neighbours have changed since it was pushed is recognised by their ids and
 * dropped when it is popped.
 */
#include "model/bpe.h"
#include "base/base.h"
#include <stdlib.h>

enum { SHORT = 24, MAX_WORD = 1 << 28, MAX_PROBES = 512, MAX_SEEDS = 8 };

typedef struct node {
  int32_t id; /* −1 once merged into its left neighbour */
  int32_t prev, next;
} node;

typedef struct candidate {
  int32_t rank, at; /* ordered by rank, then place */
  const isc_pair *pair;
} candidate;

typedef struct work {
  node *node;      /* [n] */
  candidate *heap; /* [2n] a merge takes one out and puts at most two in */
  size_t n_heap;
  int64_t steps;
} work;

uint32_t isc_byte_to_char(uint8_t byte) {
  if ((byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173)) return byte;
  if (byte <= 32) return 256u + byte;
  return byte == 173 ? 256u + 67 : 256u + 33 + (byte - 127u);
}

int isc_char_to_byte(uint32_t cp) {
  if (cp < 256) return isc_byte_to_char((uint8_t)cp) == cp ? (int)cp : -1;
  if (cp <= 256 + 32) return (int)(cp - 256);
  if (cp <= 256 + 66) return (int)(cp - 256 - 33 + 127);
  return cp == 256 + 67 ? 173 : -1;
}

/* ---- the table of pairs. It is untrusted as text_table is: made to collide, it is built under another seed. */

static inline uint64_t pair_of(int32_t left, int32_t right) {
  return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static inline size_t first_slot(const isc_bpe *b, uint64_t pair) {
  uint64_t h = (pair ^ b->seed) * UINT64_C(0x9E3779B97F4A7C15);
  h ^= h >> 32;
  h *= UINT64_C(0xD6E8FEB86659FD93);
  return (size_t)(h ^ h >> 32) & b->mask;
}

static inline const isc_pair *find(const isc_bpe *b, int32_t left, int32_t right) {
  uint64_t pair = pair_of(left, right);
  if (b->n == 0) return NULL;
  size_t at = first_slot(b, pair);
  for (int probe = 0; probe < MAX_PROBES; probe++, at = (at + 1) & b->mask) {
    const isc_pair *s = &b->slot[at];
    if (s->rank < 0) return NULL;
    if (s->pair == pair) return s;
  }
  return NULL;
}

typedef enum insertion { INSERTED, IS_DUPLICATE, TOO_FAR } insertion;

static insertion insert(isc_bpe *b, int64_t rank) {
  uint64_t pair = pair_of(b->merge[rank].left, b->merge[rank].right);
  size_t at = first_slot(b, pair);
  for (int probe = 0; probe < MAX_PROBES; probe++, at = (at + 1) & b->mask) {
    isc_pair *s = &b->slot[at];
    if (s->rank >= 0 && s->pair == pair) return IS_DUPLICATE;
    if (s->rank >= 0) continue;
    *s = (isc_pair){pair, (int32_t)rank, b->merged[rank]};
    return INSERTED;
  }
  return TOO_FAR;
}

static insertion insert_all(isc_bpe *b, int64_t *at) {
  for (size_t i = 0; i <= b->mask; i++)
    b->slot[i].rank = -1;
  for (int64_t i = 0; i < b->n; i++) {
    insertion r = insert(b, i);
    *at = i;
    if (r != INSERTED) return r;
  }
  return INSERTED;
}

isc_status isc_bpe_reserve(isc_bpe *b, int64_t n, const char *what) {
  if (n > INT32_MAX / 4) return isc_fail(ISC_E_SHAPE, "%s: too many merges", what);
  ISC_TRY(isc_calloc((size_t)n, sizeof *b->merge, what, (void **)&b->merge));
  ISC_TRY(isc_calloc((size_t)n, sizeof *b->merged, what, (void **)&b->merged));
  b->n = n;
  return ISC_OK;
}

isc_status isc_bpe_index(isc_bpe *b, const char *what, int64_t *duplicate) {
  size_t slots = 4;
  int64_t at = -1;
  *duplicate = -1;
  while (slots < (size_t)b->n * 2)
    slots *= 2;
  ISC_TRY(isc_calloc(slots, sizeof *b->slot, what, (void **)&b->slot));
  b->mask = slots - 1;
  for (int i = 0; i < MAX_SEEDS; i++) {
    b->seed = (uint64_t)i * UINT64_C(0xC2B2AE3D27D4EB4F);
    insertion r = insert_all(b, &at);
    if (r == IS_DUPLICATE) *duplicate = at;
    if (r != TOO_FAR) return ISC_OK;
  }
  return isc_fail(ISC_E_FORMAT, "%s: its merges were made to collide", what);
}

void isc_bpe_free(isc_bpe *b) {
  free(b->slot);
  free(b->merge);
  free(b->merged);
  *b = (isc_bpe){0};
}

/* ---- short words */

static void merge_short(const isc_bpe *b, int32_t *id, size_t *n, int64_t *steps) {
  const isc_pair *pair[SHORT]; /* of each token with the next; NULL = none */
  size_t len = *n;
  for (size_t i = 0; i + 1 < len; i++)
    pair[i] = find(b, id[i], id[i + 1]);
  for (;;) {
    const isc_pair *best = NULL;
    size_t at = 0;
    for (size_t i = 0; i + 1 < len; i++)
      if (pair[i] && (!best || pair[i]->rank < best->rank)) {
        best = pair[i];
        at = i;
      }
    *steps += (int64_t)len;
    if (!best) break;
    id[at] = best->merged;
    len--;
    for (size_t i = at + 1; i < len; i++) {
      id[i] = id[i + 1];
      pair[i - 1] = pair[i];
    }
    if (at > 0) pair[at - 1] = find(b, id[at - 1], id[at]);
    if (at + 1 < len) pair[at] = find(b, id[at], id[at + 1]);
  }
  *n = len;
}

/* ---- long words */

static bool before(const candidate *x, const candidate *y) {
  return x->rank != y->rank ? x->rank < y->rank : x->at < y->at;
}

static void push(work *w, candidate c) {
  size_t i = w->n_heap++;
  for (; i > 0 && before(&c, &w->heap[(i - 1) / 2]); i = (i - 1) / 2) {
    w->heap[i] = w->heap[(i - 1) / 2];
    w->steps++;
  }
  w->heap[i] = c;
  w->steps++;
}

static candidate pop(work *w) {
  candidate top = w->heap[0], last = w->heap[--w->n_heap];
  size_t i = 0;
  for (;; w->steps++) {
    size_t child = 2 * i + 1;
    if (child >= w->n_heap) break;
    if (child + 1 < w->n_heap && before(&w->heap[child + 1], &w->heap[child])) child++;
    if (!before(&w->heap[child], &last)) break;
    w->heap[i] = w->heap[child];
    i = child;
  }
  w->heap[i] = last;
  w->steps++;
  return top;
}

/* Consider merging the token at `at` with its right neighbour. */
static void consider(const isc_bpe *b, work *w, int32_t at) {
  if (at < 0 || w->node[at].next < 0) return;
  const isc_pair *p = find(b, w->node[at].id, w->node[w->node[at].next].id);
  if (p) push(w, (candidate){p->rank, at, p});
}

static void merge_long(const isc_bpe *b, work *w) {
  while (w->n_heap > 0) {
    candidate c = pop(w);
    node *left = &w->node[c.at];
    if (left->id < 0 || left->next < 0) continue;
    node *right = &w->node[left->next];
    if (pair_of(left->id, right->id) != c.pair->pair) continue;
    left->id = c.pair->merged;
    right->id = -1;
    left->next = right->next;
    if (left->next >= 0) w->node[left->next].prev = c.at;
    consider(b, w, left->prev);
    consider(b, w, c.at);
  }
}

static void merge_in(const isc_bpe *b, work *w, int32_t *id, size_t *n) {
  size_t out = 0;
  for (size_t i = 0; i < *n; i++)
    w->node[i] = (node){id[i], (int32_t)i - 1, i + 1 < *n ? (int32_t)i + 1 : -1};
  for (size_t i = 0; i < *n; i++)
    consider(b, w, (int32_t)i);
  merge_long(b, w);
  for (int32_t i = 0; i >= 0; i = w->node[i].next)
    id[out++] = w->node[i].id;
  *n = out;
}

isc_status isc_bpe_merge(const isc_bpe *b, int32_t *id, size_t *n, int64_t *steps) {
  work w = {0};
  isc_status st = ISC_OK;
  if (*n < 2) return ISC_OK;
  if (*n <= SHORT) {
    merge_short(b, id, n, steps);
    return ISC_OK;
  }
  if (*n > MAX_WORD) return isc_fail(ISC_E_SHAPE, "a word of %zu pieces is too long to encode", *n);
  ISC_GO(isc_calloc(*n, sizeof *w.node, "a long word", (void **)&w.node));
  ISC_GO(isc_calloc(2 * *n, sizeof *w.heap, "a long word", (void **)&w.heap));
  merge_in(b, &w, id, n);
  *steps += w.steps;
done:
  free(w.node);
  free(w.heap);
  return st;
}
