/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte-level BPE of one word with a heap of candidate merges over a linked list of tokens.
 *
 * A candidate whose neighbours have changed since it was pushed is recognised by their ids and
 * dropped when it is popped.
 */
#include "model/bpe.h"
#include "base/base.h"
#include <stdlib.h>

enum { SMALL = 64, MAX_WORD = 1 << 28 };

typedef struct node {
  int32_t id; /* −1 once merged into its left neighbour */
  int32_t prev, next;
} node;

typedef struct candidate {
  int32_t rank, at; /* ordered by rank, then place */
  isc_merge pair;
} candidate;

typedef struct work {
  node *node;      /* [n]  */
  candidate *heap; /* [3n]: n − 1 at first, two more for each of the n − 1 merges */
  size_t n_heap;
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

isc_status isc_bpe_reserve(isc_bpe *b, int64_t n, const char *what) {
  ISC_TRY(isc_calloc((size_t)n, sizeof *b->merge, what, (void **)&b->merge));
  ISC_TRY(isc_calloc((size_t)n, sizeof *b->merged, what, (void **)&b->merged));
  ISC_TRY(isc_calloc((size_t)n, sizeof *b->key, what, (void **)&b->key));
  b->n = n;
  return ISC_OK;
}

isc_status isc_bpe_index(isc_bpe *b, const char *what, int64_t *duplicate) {
  for (int64_t i = 0; i < b->n; i++)
    b->key[i] = (isc_key){&b->merge[i], sizeof *b->merge};
  return isc_table_build(&b->table, b->key, b->n, what, duplicate);
}

void isc_bpe_free(isc_bpe *b) {
  isc_table_free(&b->table);
  free(b->merge);
  free(b->merged);
  free(b->key);
  *b = (isc_bpe){0};
}

static bool before(const candidate *x, const candidate *y) {
  return x->rank != y->rank ? x->rank < y->rank : x->at < y->at;
}

static void push(work *w, candidate c) {
  size_t i = w->n_heap++;
  while (i > 0 && before(&c, &w->heap[(i - 1) / 2])) {
    w->heap[i] = w->heap[(i - 1) / 2];
    i = (i - 1) / 2;
  }
  w->heap[i] = c;
}

static candidate pop(work *w) {
  candidate top = w->heap[0], last = w->heap[--w->n_heap];
  size_t i = 0;
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= w->n_heap) break;
    if (child + 1 < w->n_heap && before(&w->heap[child + 1], &w->heap[child])) child++;
    if (!before(&w->heap[child], &last)) break;
    w->heap[i] = w->heap[child];
    i = child;
  }
  w->heap[i] = last;
  return top;
}

/* Consider merging the token at `at` with its right neighbour. */
static void consider(const isc_bpe *b, work *w, int32_t at) {
  if (at < 0 || w->node[at].next < 0) return;
  isc_merge pair = {w->node[at].id, w->node[w->node[at].next].id};
  int64_t rank = isc_table_find(&b->table, &pair, sizeof pair);
  if (rank >= 0) push(w, (candidate){(int32_t)rank, at, pair});
}

static void merge_all(const isc_bpe *b, work *w) {
  while (w->n_heap > 0) {
    candidate c = pop(w);
    node *left = &w->node[c.at];
    if (left->id != c.pair.left || left->next < 0) continue;
    node *right = &w->node[left->next];
    if (right->id != c.pair.right) continue;
    left->id = b->merged[c.rank];
    right->id = -1;
    left->next = right->next;
    if (left->next >= 0) w->node[left->next].prev = c.at;
    consider(b, w, left->prev);
    consider(b, w, c.at);
  }
}

static isc_status load_bytes(const isc_bpe *b, work *w, const char *word, size_t len) {
  for (size_t i = 0; i < len; i++) {
    int32_t id = b->byte_id[(uint8_t)word[i]];
    if (id < 0)
      return isc_fail(ISC_E_SHAPE, "the vocabulary has no token for byte 0x%02x",
                      (unsigned)(uint8_t)word[i]);
    w->node[i] = (node){id, (int32_t)i - 1, i + 1 < len ? (int32_t)i + 1 : -1};
  }
  for (size_t i = 0; i < len; i++)
    consider(b, w, (int32_t)i);
  return ISC_OK;
}

static isc_status encode_in(const isc_bpe *b, work *w, const char *word, size_t len, isc_ids *out) {
  ISC_TRY(load_bytes(b, w, word, len));
  merge_all(b, w);
  for (int32_t i = 0; i >= 0; i = w->node[i].next)
    isc_ids_add(out, w->node[i].id);
  return ISC_OK;
}

isc_status isc_bpe_encode(const isc_bpe *b, const char *word, size_t len, isc_ids *out) {
  node nodes[SMALL];
  candidate heap[3 * SMALL];
  work w = {.node = nodes, .heap = heap};
  isc_status st = ISC_OK;
  if (len == 0) return ISC_OK;
  if (len <= SMALL) return encode_in(b, &w, word, len, out);
  if (len > MAX_WORD)
    return isc_fail(ISC_E_SHAPE, "a word of %zu bytes is too long to encode", len);
  w = (work){0};
  ISC_GO(isc_calloc(len, sizeof *w.node, "a long word", (void **)&w.node));
  ISC_GO(isc_calloc(3 * len, sizeof *w.heap, "a long word", (void **)&w.heap));
  ISC_GO(encode_in(b, &w, word, len, out));
done:
  free(w.node);
  free(w.heap);
  return st;
}
