/* SPDX-License-Identifier: Apache-2.0
 *
 * From a text back to its template and slot values.
 *
 * One value may begin another ("Sam", "Samuel"), so a value that fits is only tried: the search goes
 * back and takes the next shorter one when the rest of the text does not fit.
 */
#include "model/template_parts.h"
#include <string.h>

typedef struct matcher {
  const isc_template *t;
  const isc_shape *s;
  const char *text;
  size_t len;
  int64_t value[ISC_MAX_SLOTS]; /* −1: not met yet */
  int64_t *found;               /* [max] */
  int64_t n, max;
} matcher;

static void add_match(matcher *m) {
  int64_t i = isc_template_index(m->t, m->s, m->value);
  if (i < 0) return;
  for (int64_t k = 0; k < m->n; k++)
    if (m->found[k] == i) return;
  m->found[m->n++] = i;
}

static bool fits(const matcher *m, size_t at, const void *s, size_t len) {
  return len <= m->len - at && memcmp(m->text + at, s, len) == 0;
}

/* Match the pieces from p on against the text from `at` on. */
static void match(matcher *m, int64_t p, size_t at) {
  if (p == m->s->n_pieces) {
    if (at == m->len) add_match(m);
    return;
  }
  const isc_piece *piece = &m->s->piece[p];
  if (piece->slot < 0) {
    if (fits(m, at, m->s->text + piece->at, piece->len)) match(m, p + 1, at + piece->len);
    return;
  }
  const isc_slot *slot = &m->t->slot[piece->slot];
  int64_t *value = &m->value[piece->slot];
  if (*value >= 0) {
    const isc_key *k = &slot->key[*value];
    if (fits(m, at, k->p, k->len)) match(m, p + 1, at + k->len);
    return;
  }
  for (int64_t i = 0; i < slot->n_lengths && m->n < m->max; i++) {
    size_t len = slot->length[i];
    if (len > m->len - at) continue;
    *value = isc_table_find(&slot->table, m->text + at, len);
    if (*value >= 0) match(m, p + 1, at + len);
  }
  *value = -1;
}

int64_t isc_template_matches(const isc_template *t, const char *text, size_t len, int64_t *out,
                             int64_t max) {
  matcher m = {.t = t, .text = text, .len = len, .found = out, .max = max};
  for (int64_t i = 0; i < t->n_shapes && m.n < max; i++) {
    m.s = &t->shape[i];
    for (int64_t k = 0; k < t->n_slots; k++)
      m.value[k] = -1;
    match(&m, 0, 0);
  }
  return m.n;
}
