/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts in Unicode's normal form C.
 *
 * A text is taken apart as far as it goes, marks are put in the order of their classes, and what has a character of its own is
 * put together again. Runs of marks are sorted by counting where they are long: a text may be nothing but marks.
 */
#include "model/unicode_canonical.h"
#include "base/base.h"
#include "model/text_utf8.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
  FIRST_THAT_CHANGES = 0x300, /* what is below stays as it is, unless a mark follows */
  L_BASE = 0x1100,
  V_BASE = 0x1161,
  T_BASE = 0x11A7, /* one before the first trailing consonant */
  S_BASE = 0xAC00,
  L_COUNT = 19,
  V_COUNT = 21,
  T_COUNT = 28,
  S_COUNT = L_COUNT * V_COUNT * T_COUNT,
  CLASSES = 256,
  FEW = 32 /* marks that are sorted by insertion */
};

/* Characters with their classes, which the upper bits hold. */
typedef struct characters {
  uint32_t *at, *spare; /* [cap] */
  size_t n, cap;
} characters;

static uint32_t point(uint32_t c) {
  return c & 0x1FFFFFu;
}

static uint32_t class(uint32_t c) {
  return c >> 21;
}

static uint32_t with_class(uint32_t cp) {
  size_t low = 0, high = isc_n_combining_runs;
  if (cp < FIRST_THAT_CHANGES) return cp;
  while (low < high) {
    const size_t mid = (low + high) / 2;
    if (isc_combining_runs[mid] >> 8 <= cp)
      low = mid + 1;
    else
      high = mid;
  }
  return low > 0 ? (isc_combining_runs[low - 1] & 0xFFu) << 21 | cp : cp;
}

/* ---- apart */

static const isc_canonical_parts *parts_of(uint32_t cp) {
  size_t low = 0, high = isc_n_canonical;
  while (low < high) {
    const size_t mid = (low + high) / 2;
    if (isc_canonical[mid].whole == cp) return &isc_canonical[mid];
    if (isc_canonical[mid].whole < cp)
      low = mid + 1;
    else
      high = mid;
  }
  return NULL;
}

static isc_status put(characters *c, uint32_t cp) {
  if (c->n == c->cap) {
    void *at = c->at;
    const size_t cap = c->cap ? 2 * c->cap : 256;
    ISC_TRY(isc_realloc(&at, cap, sizeof *c->at, "a normalised text"));
    c->at = at;
    c->cap = cap;
  }
  c->at[c->n++] = with_class(cp);
  return ISC_OK;
}

static isc_status put_syllable(characters *c, uint32_t s) {
  ISC_TRY(put(c, L_BASE + s / (V_COUNT * T_COUNT)));
  ISC_TRY(put(c, V_BASE + s % (V_COUNT * T_COUNT) / T_COUNT));
  return s % T_COUNT ? put(c, T_BASE + s % T_COUNT) : ISC_OK;
}

/* Only the first part can have parts again: the loop puts the seconds down from the last to the first, and turns them. */
static isc_status put_apart(characters *c, uint32_t cp) {
  uint32_t seconds[8];
  size_t n = 0;
  if (cp < 0xC0u) return put(c, cp);
  if (cp - S_BASE < S_COUNT) return put_syllable(c, cp - S_BASE);
  for (const isc_canonical_parts *p; n < 8 && (p = parts_of(cp)); cp = p->first)
    if (p->second) seconds[n++] = p->second;
  ISC_TRY(put(c, cp));
  while (n > 0)
    ISC_TRY(put(c, seconds[--n]));
  return ISC_OK;
}

/* ---- in order */

static void insert_sorted(uint32_t *at, size_t n) {
  for (size_t i = 1; i < n; i++) {
    const uint32_t mark = at[i];
    size_t k = i;
    for (; k > 0 && class(at[k - 1]) > class(mark); k--)
      at[k] = at[k - 1];
    at[k] = mark;
  }
}

static void count_sorted(uint32_t *at, uint32_t *spare, size_t n) {
  size_t first[CLASSES] = {0};
  for (size_t i = 0; i < n; i++)
    first[class(at[i])]++;
  for (size_t k = 0, sum = 0; k < CLASSES; k++) {
    const size_t these = first[k];
    first[k] = sum;
    sum += these;
  }
  for (size_t i = 0; i < n; i++)
    spare[first[class(at[i])]++] = at[i];
  memcpy(at, spare, n * sizeof *at);
}

static isc_status sort_marks(characters *c, size_t begin, size_t end) {
  if (end - begin <= FEW) {
    insert_sorted(c->at + begin, end - begin);
    return ISC_OK;
  }
  if (!c->spare)
    ISC_TRY(isc_calloc(c->n, sizeof *c->spare, "a normalised text", (void **)&c->spare));
  count_sorted(c->at + begin, c->spare, end - begin);
  return ISC_OK;
}

static isc_status order(characters *c) {
  for (size_t i = 0, end; i < c->n; i = end) {
    end = i + 1;
    if (class(c->at[i]) == 0) continue;
    while (end < c->n && class(c->at[end]) != 0)
      end++;
    ISC_TRY(sort_marks(c, i, end));
  }
  return ISC_OK;
}

/* ---- together */

/* The character that two are, 0 if none. */
static uint32_t together(uint32_t a, uint32_t b) {
  size_t low = 0, high = isc_n_canonical_pairs;
  if (a - L_BASE < L_COUNT && b - V_BASE < V_COUNT)
    return S_BASE + ((a - L_BASE) * V_COUNT + (b - V_BASE)) * T_COUNT;
  if (a - S_BASE < S_COUNT && (a - S_BASE) % T_COUNT == 0 && b - T_BASE - 1 < T_COUNT - 1)
    return a + (b - T_BASE);
  while (low < high) {
    const size_t mid = (low + high) / 2;
    const isc_canonical_parts *p = &isc_canonical[isc_canonical_pairs[mid]];
    if (p->first == a && p->second == b) return p->whole;
    if (p->first < a || (p->first == a && p->second < b))
      low = mid + 1;
    else
      high = mid;
  }
  return 0;
}

/* Each character goes into the last one of class 0 before it, unless one of its class or a higher one is between them. */
static void compose(characters *c) {
  size_t starter = 0, n = 0;
  bool any = false;
  for (size_t i = 0; i < c->n; i++) {
    const uint32_t x = c->at[i];
    const bool next_to = any && n == starter + 1;
    const bool blocked = !any || (!next_to && class(c->at[n - 1]) >= class(x));
    const uint32_t both = blocked ? 0 : together(point(c->at[starter]), point(x));
    if (both) {
      c->at[starter] = both;
      continue;
    }
    if (class(x) == 0) {
      starter = n;
      any = true;
    }
    c->at[n++] = x;
  }
  c->n = n;
}

/* ---- texts */

static bool stays(const char *s, size_t len) {
  uint32_t cp = 0;
  for (size_t i = 0; i < len;) {
    const size_t n = isc_utf8_decode(s + i, len - i, &cp);
    if (n == 0 || cp >= FIRST_THAT_CHANGES) return false;
    i += n;
  }
  return true;
}

static isc_status take_apart(const char *s, size_t len, characters *c) {
  uint32_t cp = 0;
  for (size_t i = 0, n; i < len; i += n) {
    n = isc_utf8_decode(s + i, len - i, &cp);
    if (n == 0) return isc_fail(ISC_E_FORMAT, "a text to be normalised is not UTF-8");
    ISC_TRY(put_apart(c, cp));
  }
  return ISC_OK;
}

static isc_status write_text(const characters *c, isc_text *out) {
  char bytes[256];
  size_t n = 0;
  for (size_t i = 0; i < c->n; i++) {
    n += isc_utf8_encode(point(c->at[i]), bytes + n);
    if (n < sizeof bytes - 4 && i + 1 < c->n) continue;
    ISC_TRY(isc_text_append(out, bytes, n));
    n = 0;
  }
  return ISC_OK;
}

isc_status isc_text_compose(const char *s, size_t len, isc_text *out) {
  isc_status st = ISC_OK;
  characters c = {0};
  if (stays(s, len)) return isc_text_set(out, s, len);
  isc_text_clear(out);
  ISC_GO(take_apart(s, len, &c));
  ISC_GO(order(&c));
  compose(&c);
  ISC_GO(write_text(&c, out));
done:
  free(c.at);
  free(c.spare);
  return st;
}
