/* SPDX-License-Identifier: Apache-2.0
 *
 * Template priors as a prior plugin sees them: count, draw, log P, enumerate, slots.
 *
 * Every text is addressed by an index of the support; parsing (template_parse.c) is the inverse.
 */
#include "model/template_parts.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

const isc_shape *isc_template_locate(const isc_template *t, int64_t i,
                                     int64_t value[ISC_MAX_SLOTS]) {
  int64_t low = 0, high = t->n_shapes - 1;
  while (low < high) {
    int64_t middle = low + (high - low + 1) / 2;
    if (t->shape[middle].first <= i)
      low = middle;
    else
      high = middle - 1;
  }
  const isc_shape *s = &t->shape[low];
  i -= s->first;
  for (int64_t k = t->n_slots - 1; k >= 0; k--) {
    value[k] = -1;
    if (!s->uses[k]) continue;
    value[k] = i % s->radix[k];
    i /= s->radix[k];
  }
  /* A digit counts the values that are left, so the skipped one and those after it move up. */
  for (int64_t k = 0; k < t->n_slots; k++)
    if (s->uses[k] && isc_slot_skips(t, s, k))
      value[k] += value[k] >= t->slot[k].own[value[t->slot[k].differs]];
  return s;
}

int64_t isc_template_index(const isc_template *t, const isc_shape *s,
                           const int64_t value[ISC_MAX_SLOTS]) {
  int64_t i = 0;
  for (int64_t k = 0; k < t->n_slots; k++) {
    if (!s->uses[k]) continue;
    int64_t digit = value[k];
    if (isc_slot_skips(t, s, k)) {
      int64_t skipped = t->slot[k].own[value[t->slot[k].differs]];
      if (digit == skipped) return -1;
      digit -= digit > skipped;
    }
    i = i * s->radix[k] + digit;
  }
  return s->first + i;
}

isc_status isc_template_render(const isc_template *t, const isc_shape *s,
                               const int64_t value[ISC_MAX_SLOTS], isc_text *out) {
  ISC_TRY(isc_text_set(out, "", 0));
  for (int64_t p = 0; p < s->n_pieces; p++) {
    const isc_piece *piece = &s->piece[p];
    if (piece->slot < 0)
      ISC_TRY(isc_text_append(out, s->text + piece->at, piece->len));
    else {
      const isc_key *k = &t->slot[piece->slot].key[value[piece->slot]];
      ISC_TRY(isc_text_append(out, k->p, k->len));
    }
  }
  return ISC_OK;
}

int64_t isc_template_support(void *self) {
  const isc_template *t = self;
  return t->support;
}

int64_t isc_template_count(void *self, isc_split split) {
  const isc_template *t = self;
  return isc_split_count(t->support, t->test_fraction, split);
}

isc_status isc_template_enumerate(void *self, int64_t i, isc_text *out) {
  const isc_template *t = self;
  int64_t value[ISC_MAX_SLOTS];
  if (i < 0 || i >= t->support)
    return isc_fail(ISC_E_USAGE, "the prior has %" PRId64 " texts; there is no number %" PRId64,
                    t->support, i);
  const isc_shape *s = isc_template_locate(t, i, value);
  return isc_template_render(t, s, value, out);
}

isc_status isc_template_draw(void *self, isc_split split, int64_t i, isc_text *out) {
  const isc_template *t = self;
  int64_t n = isc_template_count(self, split);
  if (i < 0 || i >= n)
    return isc_fail(ISC_E_USAGE, "the %s split has %" PRId64 " texts; there is no number %" PRId64,
                    split == ISC_TEST ? "test" : "training", n, i);
  return isc_template_enumerate(
      self, isc_split_index(t->seed, t->support, t->test_fraction, split, i), out);
}

int64_t isc_template_parse(void *self, const char *text, size_t len) {
  int64_t i;
  return isc_template_matches(self, text, len, &i, 1) == 1 ? i : -1;
}

isc_status isc_template_log_prob(void *self, const char *text, size_t len, double *out) {
  const isc_template *t = self;
  *out = isc_template_parse(self, text, len) >= 0 ? -log((double)t->support) : -INFINITY;
  return ISC_OK;
}

int64_t isc_template_n_slots(void *self) {
  const isc_template *t = self;
  return t->n_slots + 1;
}

const char *isc_template_slot_name(void *self, int64_t k) {
  const isc_template *t = self;
  if (k == t->n_slots) return "template";
  return k >= 0 && k < t->n_slots ? t->slot[k].name : NULL;
}

int64_t isc_template_slot_choices(void *self, int64_t k) {
  const isc_template *t = self;
  if (k == t->n_slots) return t->n_shapes;
  return k >= 0 && k < t->n_slots ? t->slot[k].n : 0;
}

const char *isc_template_slot_choice(void *self, int64_t k, int64_t j) {
  const isc_template *t = self;
  if (j < 0 || j >= isc_template_slot_choices(self, k)) return NULL;
  return k == t->n_slots ? t->shape[j].number : t->slot[k].value[j];
}

int64_t isc_template_max_bytes(void *self) {
  const isc_template *t = self;
  size_t most = 0;
  for (int64_t i = 0; i < t->n_shapes; i++) {
    const isc_shape *s = &t->shape[i];
    size_t n = 0;
    for (int64_t p = 0; p < s->n_pieces; p++)
      n += s->piece[p].slot < 0 ? s->piece[p].len : t->slot[s->piece[p].slot].length[0];
    most = n > most ? n : most;
  }
  return (int64_t)most;
}

isc_status isc_template_slot_value(void *self, const char *text, size_t len, int64_t k,
                                   isc_text *out) {
  const isc_template *t = self;
  int64_t value[ISC_MAX_SLOTS], i = isc_template_parse(self, text, len);
  if (k < 0 || k > t->n_slots)
    return isc_fail(ISC_E_USAGE, "the prior has no slot number %" PRId64, k);
  ISC_TRY(isc_text_set(out, "", 0));
  if (i < 0) return ISC_OK;
  const isc_shape *s = isc_template_locate(t, i, value);
  if (k == t->n_slots) return isc_text_set(out, s->number, strlen(s->number));
  if (value[k] < 0) return ISC_OK;
  return isc_text_set(out, t->slot[k].key[value[k]].p, t->slot[k].key[value[k]].len);
}

isc_status isc_template_fingerprint(void *self, char hex[33]) {
  const isc_template *t = self;
  memcpy(hex, t->fingerprint, 33);
  return ISC_OK;
}
