/* SPDX-License-Identifier: Apache-2.0
 *
 * Matching a pre-tokeniser's regular expression: backtracking over a stack of its own, every step counted.
 *
 * A run of characters of one set leaves one entry however long it is, so the stack is as deep as the pattern for all but
 * repeated groups. Recursion is as deep as the pattern nests look-aheads.
 */
#include "model/split_regex_parts.h"
#include "model/text_utf8.h"
#include "base/base.h"
#include <stdlib.h>

enum { MAX_TRACE = 1 << 20 };

/* A way not taken: go on with `op` at `pos`; a greedy run may then give back down to `low`, a lazy one take `left` more. */
struct isc_regex_trace {
  int op, run; /* run: the operation to shorten or lengthen; −1 = none */
  int left;    /* characters that a lazy run may still take, −1 = any  */
  size_t pos, low;
};

typedef struct match {
  const isc_split_regex *r;
  isc_regex_work *w;
  const char *s;
  size_t len;
} match;

static inline size_t step_forward(const char *s) {
  unsigned char c = (unsigned char)*s;
  return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

static size_t step_back(const char *s, size_t pos) {
  do
    pos--;
  while (((unsigned char)s[pos] & 0xC0u) == 0x80u);
  return pos;
}

/* Bytes of the character at pos if the set has it, else 0. */
static inline size_t in_set(const match *m, int set, size_t pos) {
  if (pos >= m->len) return 0;
  const isc_char_set *set_of = &m->r->set[set];
  uint32_t cp = (unsigned char)m->s[pos];
  size_t n = cp < 0x80 ? 1 : isc_utf8_decode(m->s + pos, m->len - pos, &cp);
  return isc_char_set_has(set_of, cp) ? n : 0;
}

static inline bool may_enter(const match *m, int filter, size_t pos) {
  if (filter == ISC_REGEX_ANY) return true;
  if (pos >= m->len) return false;
  unsigned byte = (unsigned char)m->s[pos];
  return m->r->filter[filter].bits[byte >> 6] >> (byte & 63) & 1;
}

static isc_status push(isc_regex_work *w, isc_regex_trace t) {
  if (w->n == w->cap) {
    void *grown = w->trace;
    size_t cap = w->cap ? 2 * w->cap : 32;
    if (cap > MAX_TRACE)
      return isc_fail(ISC_E_UNSUPPORTED, "the pattern remembers more than %d ways to go back",
                      MAX_TRACE);
    ISC_TRY(isc_realloc(&grown, cap, sizeof *w->trace, "matching a pattern"));
    w->trace = grown;
    w->cap = cap;
  }
  w->trace[w->n++] = t;
  return ISC_OK;
}

static isc_status spend(isc_regex_work *w, size_t steps) {
  w->steps += (int64_t)steps;
  if (w->steps <= w->budget) return ISC_OK;
  return isc_fail(ISC_E_UNSUPPORTED,
                  "the pattern takes more than %lld steps for a text: it goes back without end",
                  (long long)w->budget);
}

/* Take min … max characters; *pos is behind them. False when there are too few. */
static isc_status run(const match *m, int at, size_t *pos, bool *ok) {
  const isc_regex_op *op = &m->r->op[at];
  size_t p = *pos, low = p, n;
  bool lazy = op->greed == ISC_REGEX_LAZY;
  int count = 0, most = lazy ? op->min : op->max;
  for (; count != most && (n = in_set(m, op->set, p)) > 0; count++) {
    p += n;
    if (count < op->min) low = p;
  }
  ISC_TRY(spend(m->w, p - *pos));
  *ok = count >= op->min;
  *pos = p;
  if (!*ok) return ISC_OK;
  if (lazy)
    return push(m->w, (isc_regex_trace){at + 1, at, op->max < 0 ? -1 : op->max - op->min, p, p});
  if (op->greed == ISC_REGEX_GREEDY && p > low)
    return push(m->w, (isc_regex_trace){at + 1, at, 0, p, low});
  return ISC_OK;
}

/* Take up the latest way not taken above `base`. False when there is none. */
static bool go_back(const match *m, size_t base, int *at, size_t *pos) {
  isc_regex_work *w = m->w;
  while (w->n > base) {
    isc_regex_trace *t = &w->trace[w->n - 1];
    *at = t->op;
    if (t->run < 0) {
      *pos = t->pos;
      w->n--;
      return true;
    }
    const isc_regex_op *op = &m->r->op[t->run];
    if (op->greed == ISC_REGEX_GREEDY) {
      *pos = t->pos = step_back(m->s, t->pos);
      if (t->pos == t->low) w->n--;
      return true;
    }
    size_t n = t->left == 0 ? 0 : in_set(m, op->set, t->pos);
    if (n > 0) {
      *pos = t->pos += n;
      t->left -= t->left > 0;
      return true;
    }
    w->n--;
  }
  return false;
}

/* From operation `at` and `pos` on to an end; the stack is afterwards as it was. */
static isc_status attempt(const match *m, int at, size_t pos, bool *matched, size_t *end) {
  const isc_regex_op *ops = m->r->op;
  isc_regex_work *w = m->w;
  size_t base = w->n, n, inner_end;
  isc_status st = ISC_OK;
  bool ok, inner;
  *matched = false;
  for (;;) {
    const isc_regex_op *op = &ops[at];
    ISC_GO(spend(w, 1));
    ok = true;
    switch (op->kind) {
    case ISC_OP_SET:
      n = in_set(m, op->set, pos);
      ok = n > 0;
      pos += n;
      at++;
      break;
    case ISC_OP_RUN:
      ISC_GO(run(m, at, &pos, &ok));
      at++;
      break;
    case ISC_OP_SPLIT: {
      bool a = may_enter(m, op->filter_a, pos), b = may_enter(m, op->filter_b, pos);
      if (a && b) ISC_GO(push(w, (isc_regex_trace){op->b, -1, 0, pos, pos}));
      ok = a || b;
      at = a ? op->a : op->b;
      break;
    }
    case ISC_OP_JUMP:
      at = op->a;
      break;
    case ISC_OP_LOOK:
    case ISC_OP_ATOMIC:
      ISC_GO(attempt(m, at + 1, pos, &inner, &inner_end));
      ok = inner != op->negative;
      if (ok && op->kind == ISC_OP_ATOMIC) pos = inner_end;
      at = op->a;
      break;
    case ISC_OP_END:
      *matched = true;
      *end = pos;
      goto done;
    }
    if (!ok && !go_back(m, base, &at, &pos)) goto done;
  }
done:
  w->n = base;
  return st;
}

isc_status isc_split_regex_find(const isc_split_regex *r, isc_regex_work *w, const char *s,
                                size_t len, size_t at, size_t *begin, size_t *end) {
  const match m = {r, w, s, len};
  bool matched;
  for (; at < len; at += step_forward(s + at)) {
    ISC_TRY(attempt(&m, 0, at, &matched, end));
    if (!matched) continue;
    *begin = at;
    return ISC_OK;
  }
  *begin = *end = len;
  return ISC_OK;
}

void isc_regex_work_free(isc_regex_work *w) {
  free(w->trace);
  *w = (isc_regex_work){0};
}
