/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding with SentencePiece's byte-pair encoding: the normaliser, and a heap of joins over a linked list of symbols.
 *
 * Joins are looked up by their text, not by their parts' ids, because a part may be no piece itself. The longest piece
 * bounds a look-up, and the heap keeps a text of n characters at n log n.
 */
#include "model/sentencepiece.h"
#include "model/text_utf8.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 1 << 28 };

/* ---- the normaliser */

typedef struct normalizer {
  const isc_sentencepiece *sp;
  const char *space; /* what a space becomes */
  isc_text *out;
} normalizer;

/* Bytes of the user-defined piece or the character at s. */
static size_t unit_at(const isc_sentencepiece *sp, const char *s, size_t len, bool *user) {
  const isc_prefix *found = isc_prefix_set_longest(&sp->user, s, len);
  uint32_t cp;
  *user = found != NULL;
  return found ? found->key.len : isc_utf8_decode(s, len, &cp);
}

static isc_status append_unit(const normalizer *m, const char *s, size_t len) {
  for (size_t i = 0, end; i < len; i = end) {
    const char *space = memchr(s + i, ' ', len - i);
    end = space ? (size_t)(space - s) : len;
    ISC_TRY(isc_text_append(m->out, s + i, end - i));
    if (!space) break;
    ISC_TRY(isc_text_append(m->out, m->space, strlen(m->space)));
    end++;
  }
  return ISC_OK;
}

static isc_status normalize(const normalizer *m, const char *s, size_t len) {
  const isc_sentencepiece *sp = m->sp;
  bool trim = sp->remove_extra_whitespaces, after_space = trim, user;
  size_t n = strlen(m->space), i = 0;
  while (trim && i < len && s[i] == ' ' && unit_at(sp, s + i, len - i, &user) == 1)
    i++;
  if (i == len) return ISC_OK;
  if (sp->add_dummy_prefix) ISC_TRY(isc_text_append(m->out, m->space, n));
  for (size_t unit; i < len; i += unit) {
    unit = unit_at(sp, s + i, len - i, &user);
    size_t skip = 0;
    while (after_space && skip < unit && s[i + skip] == ' ')
      skip++;
    ISC_TRY(append_unit(m, s + i + skip, unit - skip));
    if (skip < unit) after_space = trim && s[i + unit - 1] == ' ';
  }
  isc_text *out = m->out;
  while (trim && out->len >= n && memcmp(out->data + out->len - n, m->space, n) == 0)
    out->data[out->len -= n] = '\0';
  return ISC_OK;
}

/* ---- joins */

typedef struct symbol {
  uint32_t at, len; /* in the normalised text; 0 long once joined to its left neighbour */
  int32_t prev, next;
  bool frozen;
} symbol;

typedef struct join {
  float score; /* the largest first, the leftmost of equals */
  int32_t left, right;
  uint32_t len; /* of both together */
} join;

/* How an unused piece was made: it is taken apart again. */
typedef struct origin {
  uint32_t at, left; /* where in the text, and bytes of its left part */
} origin;

typedef struct joiner {
  isc_encoding *e;
  const char *s;
  symbol *symbol; /* [n] */
  size_t n;
  join *heap; /* [2n] a join takes one out and puts at most two in */
  size_t n_heap;
  origin *origin; /* [vocab] when there are unused pieces */
  bool was_unknown;
} joiner;

static bool before(const join *x, const join *y) {
  return x->score != y->score ? x->score > y->score : x->left < y->left;
}

static void push(joiner *w, join c) {
  size_t i = w->n_heap++;
  for (; i > 0 && before(&c, &w->heap[(i - 1) / 2]); i = (i - 1) / 2) {
    w->heap[i] = w->heap[(i - 1) / 2];
    w->e->steps++;
  }
  w->heap[i] = c;
  w->e->steps++;
}

static join pop(joiner *w) {
  join top = w->heap[0], last = w->heap[--w->n_heap];
  size_t i = 0;
  for (;; w->e->steps++) {
    size_t child = 2 * i + 1;
    if (child >= w->n_heap) break;
    if (child + 1 < w->n_heap && before(&w->heap[child + 1], &w->heap[child])) child++;
    if (!before(&w->heap[child], &last)) break;
    w->heap[i] = w->heap[child];
    i = child;
  }
  w->heap[i] = last;
  w->e->steps++;
  return top;
}

/* Id of a text that joins may make; −1 if it is none. */
static int32_t joined_id(const isc_tokenizer *t, const char *s, size_t len) {
  if (len > t->longest) return -1;
  int32_t id = isc_tokenizer_id(t, s, len);
  if (id < 0) return -1;
  isc_piece_type type = (isc_piece_type)t->sp->type[id];
  return type == ISC_PIECE_NORMAL || type == ISC_PIECE_USER_DEFINED || type == ISC_PIECE_UNUSED
             ? id
             : -1;
}

static void consider(joiner *w, int32_t left, int32_t right) {
  if (left < 0 || right < 0) return;
  const symbol *a = &w->symbol[left], *b = &w->symbol[right];
  if (a->frozen || b->frozen) return;
  int32_t id = joined_id(w->e->t, w->s + a->at, (size_t)a->len + b->len);
  if (id < 0) return;
  push(w, (join){w->e->t->sp->score[id], left, right, a->len + b->len});
  if (w->origin) w->origin[id] = (origin){a->at, a->len};
}

static void join_all(joiner *w) {
  for (size_t i = 1; i < w->n; i++)
    consider(w, (int32_t)i - 1, (int32_t)i);
  while (w->n_heap > 0) {
    join c = pop(w);
    symbol *a = &w->symbol[c.left], *b = &w->symbol[c.right];
    if (a->len == 0 || b->len == 0 || a->len + b->len != c.len) continue;
    a->len = c.len;
    b->len = 0;
    a->next = b->next;
    if (a->next >= 0) w->symbol[a->next].prev = c.left;
    consider(w, a->prev, c.left);
    consider(w, c.left, a->next);
  }
}

/* ---- ids */

static void add_unknown(joiner *w, const char *s, size_t len) {
  const isc_tokenizer *t = w->e->t;
  if (t->sp->byte_fallback) {
    for (size_t i = 0; i < len; i++)
      isc_ids_add(w->e->out, t->bpe.byte_id[(uint8_t)s[i]]);
  } else if (!w->was_unknown)
    isc_ids_add(w->e->out, t->unk);
  w->was_unknown = true;
}

/* As deep as an unused piece has characters. */
static void add_ids(joiner *w, uint32_t at, uint32_t len) {
  const isc_tokenizer *t = w->e->t;
  int32_t id = len <= t->longest ? isc_tokenizer_id(t, w->s + at, len) : -1;
  if (id < 0 || id == t->unk) {
    add_unknown(w, w->s + at, len);
    return;
  }
  const origin *o = w->origin ? &w->origin[id] : NULL;
  if (t->sp->type[id] == ISC_PIECE_UNUSED && o && o->left > 0) {
    add_ids(w, o->at, o->left);
    add_ids(w, o->at + o->left, len - o->left);
    return;
  }
  w->was_unknown = false;
  isc_ids_add(w->e->out, id);
}

/* Count the symbols of a text, and set them once there is room for them. */
static size_t cut(const joiner *w, size_t len) {
  const isc_sentencepiece *sp = w->e->t->sp;
  size_t n = 0;
  for (size_t i = 0, unit; i < len; i += unit, n++) {
    bool user;
    unit = unit_at(sp, w->s + i, len - i, &user);
    if (w->symbol)
      w->symbol[n] = (symbol){(uint32_t)i, (uint32_t)unit, (int32_t)n - 1,
                              i + unit < len ? (int32_t)n + 1 : -1, user};
  }
  return n;
}

static isc_status join_text(isc_encoding *e, const char *s, size_t len) {
  static const char what[] = "a text to encode";
  isc_status st = ISC_OK;
  joiner w = {.e = e, .s = s};
  if (len == 0) return ISC_OK;
  if (len > MAX_TEXT)
    return isc_fail(ISC_E_SHAPE, "a text of %zu bytes is too long to encode", len);
  w.n = cut(&w, len);
  ISC_GO(isc_calloc(w.n, sizeof *w.symbol, what, (void **)&w.symbol));
  cut(&w, len);
  ISC_GO(isc_calloc(2 * w.n, sizeof *w.heap, what, (void **)&w.heap));
  if (e->t->sp->has_unused)
    ISC_GO(isc_calloc((size_t)e->t->vocab, sizeof *w.origin, what, (void **)&w.origin));
  join_all(&w);
  for (int32_t i = 0; i >= 0; i = w.symbol[i].next)
    add_ids(&w, w.symbol[i].at, w.symbol[i].len);
done:
  free(w.symbol);
  free(w.heap);
  free(w.origin);
  return st;
}

isc_status isc_sentencepiece_encode(isc_encoding *e, const char *text, size_t len) {
  isc_text out = {0};
  const normalizer m = {e->t->sp, e->t->sp->escape_whitespaces ? "\xE2\x96\x81" : " ", &out};
  isc_status st = normalize(&m, text, len);
  if (st == ISC_OK) st = join_text(e, out.data, out.len);
  isc_text_free(&out);
  return st;
}
