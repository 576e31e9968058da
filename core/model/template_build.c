/* SPDX-License-Identifier: Apache-2.0
 *
 * Building a set of templates: slots, pieces, counts, and the check that every text has one address.
 *
 * The support must hold distinct texts, or P would not be uniform over them; texts are made and parsed
 * back here, all of them when there are few, a shuffled share of each template otherwise.
 */
#include "model/template_parts.h"
#include "base/base.h"
#include <inversescope/rng.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CHECKED = 20000 };

static isc_status copy_values(isc_slot *k, const isc_template_slot *from) {
  if (from->n < 1) return isc_fail(ISC_E_CONFIG, "slot %s has no values", k->name);
  ISC_TRY(isc_calloc((size_t)from->n, sizeof *k->value, k->name, (void **)&k->value));
  k->n = from->n;
  ISC_TRY(isc_calloc((size_t)k->n, sizeof *k->key, k->name, (void **)&k->key));
  for (int64_t i = 0; i < k->n; i++) {
    size_t len = strlen(from->values[i]);
    if (len == 0 || !isc_text_is_utf8(from->values[i], len))
      return isc_fail(ISC_E_CONFIG, "slot %s: value %" PRId64 " is %s", k->name, i + 1,
                      len ? "not UTF-8" : "empty");
    ISC_TRY(isc_strdup(from->values[i], &k->value[i]));
    k->key[i] = (isc_key){k->value[i], len};
  }
  return ISC_OK;
}

static int longest_first(const void *a, const void *b) {
  size_t x = *(const size_t *)a, y = *(const size_t *)b;
  return (x < y) - (x > y);
}

static isc_status index_values(isc_slot *k) {
  int64_t twice;
  ISC_TRY(isc_table_build(&k->table, k->key, k->n, k->name, &twice));
  if (twice >= 0)
    return isc_fail(ISC_E_CONFIG, "slot %s: \"%s\" is there twice", k->name, k->value[twice]);
  ISC_TRY(isc_calloc((size_t)k->n, sizeof *k->length, k->name, (void **)&k->length));
  for (int64_t i = 0; i < k->n; i++)
    k->length[i] = k->key[i].len;
  qsort(k->length, (size_t)k->n, sizeof *k->length, longest_first);
  for (int64_t i = 0; i < k->n; i++)
    if (i == 0 || k->length[k->n_lengths - 1] != k->length[i])
      k->length[k->n_lengths++] = k->length[i];
  return ISC_OK;
}

static int64_t find_slot(const isc_template *t, int64_t n, const char *name, size_t len) {
  for (int64_t i = 0; i < n; i++)
    if (strlen(t->slot[i].name) == len && memcmp(t->slot[i].name, name, len) == 0) return i;
  return -1;
}

/* Where the values of the slot it differs from stand in its own list: all of them, or none. */
static isc_status link_difference(isc_template *t, int64_t slot, const char *other_name) {
  isc_slot *k = &t->slot[slot];
  k->differs = find_slot(t, slot, other_name, strlen(other_name));
  if (k->differs < 0)
    return isc_fail(ISC_E_CONFIG, "slot %s differs from %s, which is not an earlier slot", k->name,
                    other_name);
  const isc_slot *other = &t->slot[k->differs];
  int64_t shared = 0;
  ISC_TRY(isc_calloc((size_t)other->n, sizeof *k->own, k->name, (void **)&k->own));
  for (int64_t i = 0; i < other->n; i++) {
    k->own[i] = isc_table_find(&k->table, other->key[i].p, other->key[i].len);
    shared += k->own[i] >= 0;
  }
  if (shared == other->n) return ISC_OK;
  free(k->own);
  k->own = NULL;
  if (shared == 0) return ISC_OK;
  return isc_fail(ISC_E_CONFIG,
                  "slots %s and %s must differ and share some values but not all: give them the "
                  "same list",
                  k->name, other->name);
}

static isc_status add_slot(isc_template *t, const isc_template_slot *from) {
  size_t len = strlen(from->name);
  int64_t at = t->n_slots;
  if (len == 0 || strpbrk(from->name, "[]") || strcmp(from->name, "template") == 0 ||
      find_slot(t, at, from->name, len) >= 0)
    return isc_fail(ISC_E_CONFIG, "\"%s\" cannot name a slot: empty, reserved or used twice",
                    from->name);
  isc_slot *k = &t->slot[t->n_slots++];
  k->differs = -1;
  ISC_TRY(isc_strdup(from->name, &k->name));
  ISC_TRY(copy_values(k, from));
  ISC_TRY(index_values(k));
  return from->differs_from ? link_difference(t, at, from->differs_from) : ISC_OK;
}

static isc_status add_piece(isc_shape *s, isc_piece p) {
  if (p.slot < 0 && p.len == 0) return ISC_OK;
  if (s->n_pieces == ISC_MAX_PIECES)
    return isc_fail(ISC_E_CONFIG, "template \"%s\" has more than %d pieces", s->text,
                    ISC_MAX_PIECES);
  s->piece[s->n_pieces++] = p;
  if (p.slot >= 0) s->uses[p.slot] = true;
  return ISC_OK;
}

static isc_status cut_pieces(const isc_template *t, isc_shape *s) {
  size_t at = 0, len = strlen(s->text);
  while (at < len) {
    size_t open = at + strcspn(s->text + at, "[");
    ISC_TRY(add_piece(s, (isc_piece){-1, at, open - at}));
    if (open == len) break;
    size_t close = open + strcspn(s->text + open, "]");
    int64_t slot = find_slot(t, t->n_slots, s->text + open + 1, close - open - 1);
    if (close == len || slot < 0)
      return isc_fail(ISC_E_CONFIG, "template \"%s\": there is no slot %.*s", s->text,
                      (int)(close - open + (close < len)), s->text + open);
    ISC_TRY(add_piece(s, (isc_piece){slot, 0, 0}));
    at = close + 1;
  }
  return ISC_OK;
}

static isc_status count_texts(isc_template *t, isc_shape *s) {
  s->count = 1;
  s->first = t->support;
  for (int64_t k = 0; k < t->n_slots; k++) {
    if (!s->uses[k]) continue;
    s->radix[k] = t->slot[k].n - isc_slot_skips(t, s, k);
    if (s->radix[k] == 0)
      return isc_fail(
          ISC_E_CONFIG,
          "template \"%s\" makes no text: slot %s has no value but \"%s\", and must differ "
          "from %s",
          s->text, t->slot[k].name, t->slot[k].value[0], t->slot[t->slot[k].differs].name);
    if (__builtin_mul_overflow(s->count, s->radix[k], &s->count))
      return isc_fail(ISC_E_CONFIG, "template \"%s\" makes more texts than can be counted",
                      s->text);
  }
  if (__builtin_add_overflow(t->support, s->count, &t->support))
    return isc_fail(ISC_E_CONFIG, "the templates make more texts than can be counted");
  return ISC_OK;
}

static isc_status add_shape(isc_template *t, const char *text) {
  isc_shape *s = &t->shape[t->n_shapes++];
  if (!text[0] || !isc_text_is_utf8(text, strlen(text)))
    return isc_fail(ISC_E_CONFIG, "template %" PRId64 " is %s", t->n_shapes,
                    text[0] ? "not UTF-8" : "empty");
  ISC_TRY(isc_strdup(text, &s->text));
  ISC_TRY(isc_asprintf(&s->number, "%" PRId64, t->n_shapes - 1));
  ISC_TRY(isc_calloc(ISC_MAX_PIECES, sizeof *s->piece, text, (void **)&s->piece));
  ISC_TRY(cut_pieces(t, s));
  return count_texts(t, s);
}

static isc_status check_one(const isc_template *t, int64_t i, isc_text *text) {
  int64_t found[2], value[ISC_MAX_SLOTS];
  const isc_shape *s = isc_template_locate(t, i, value);
  ISC_TRY(isc_template_render(t, s, value, text));
  int64_t n = isc_template_matches(t, text->data, text->len, found, 2);
  if (n == 1 && found[0] == i) return ISC_OK;
  if (n < 2) return isc_fail(ISC_E_INTERNAL, "the text \"%s\" does not parse back", text->data);
  const isc_shape *other = isc_template_locate(t, found[found[0] == i], value);
  return isc_fail(ISC_E_CONFIG, "the text \"%s\" can be made in two ways, by templates %s and %s",
                  text->data, s->number, other->number);
}

static isc_status check_unique(const isc_template *t) {
  isc_text text = {0};
  isc_status st = ISC_OK;
  int64_t share = MAX_CHECKED / t->n_shapes + 1;
  for (int64_t k = 0; k < t->n_shapes; k++) {
    const isc_shape *s = &t->shape[k];
    int64_t n = t->support <= MAX_CHECKED || s->count < share ? s->count : share;
    for (int64_t i = 0; i < n; i++) {
      uint64_t at = isc_rng_permute(0, ISC_RNG_SPLIT, (uint64_t)s->count, (uint64_t)i);
      ISC_GO(check_one(t, s->first + (int64_t)at, &text));
    }
  }
done:
  isc_text_free(&text);
  return st;
}

static isc_status take_fingerprint(isc_template *t) {
  isc_hash h;
  ISC_TRY(isc_hash_begin(&h));
  for (int64_t k = 0; k < t->n_slots; k++) {
    isc_hash_str(&h, t->slot[k].name);
    isc_hash_add(&h, &t->slot[k].differs, sizeof t->slot[k].differs);
    isc_hash_add(&h, &t->slot[k].n, sizeof t->slot[k].n);
    for (int64_t i = 0; i < t->slot[k].n; i++)
      isc_hash_str(&h, t->slot[k].value[i]);
  }
  for (int64_t i = 0; i < t->n_shapes; i++)
    isc_hash_str(&h, t->shape[i].text);
  isc_hash_add(&h, &t->test_fraction, sizeof t->test_fraction);
  isc_hash_add(&h, &t->seed, sizeof t->seed);
  isc_digest_hex(isc_hash_end(&h), t->fingerprint);
  return ISC_OK;
}

static isc_status build(isc_template *t, const isc_template_spec *spec) {
  if (spec->n_templates < 1) return isc_fail(ISC_E_CONFIG, "there are no templates");
  if (spec->n_slots > ISC_MAX_SLOTS)
    return isc_fail(ISC_E_CONFIG, "more than %d slots", ISC_MAX_SLOTS);
  ISC_TRY(isc_calloc((size_t)spec->n_slots, sizeof *t->slot, "slots", (void **)&t->slot));
  for (int64_t i = 0; i < spec->n_slots; i++)
    ISC_TRY(add_slot(t, &spec->slots[i]));
  ISC_TRY(isc_calloc((size_t)spec->n_templates, sizeof *t->shape, "templates", (void **)&t->shape));
  for (int64_t i = 0; i < spec->n_templates; i++)
    ISC_TRY(add_shape(t, spec->templates[i]));
  ISC_TRY(check_unique(t));
  ISC_TRY(isc_split_check(t->support, t->test_fraction));
  return take_fingerprint(t);
}

isc_status isc_template_new(const isc_template_spec *given, isc_template **out) {
  isc_template *t;
  isc_template_spec full, *spec = &full;
  *out = NULL;
  ISC_TRY(isc_struct_read(given, "a template spec", ISC_SIZE_TO(isc_template_spec, seed),
                          sizeof full, &full));
  if (spec->n_slots < 0) return isc_fail(ISC_E_USAGE, "a template spec with a negative n_slots");
  ISC_TRY(isc_calloc(1, sizeof *t, "templates", (void **)&t));
  t->test_fraction = spec->test_fraction;
  t->seed = spec->seed;
  isc_status st = build(t, spec);
  if (st == ISC_OK)
    *out = t;
  else
    isc_template_free(t);
  return st;
}

static void free_slot(isc_slot *k) {
  for (int64_t i = 0; k->value && i < k->n; i++)
    free(k->value[i]);
  isc_table_free(&k->table);
  free(k->name);
  free(k->value);
  free(k->key);
  free(k->length);
  free(k->own);
}

void isc_template_free(isc_template *t) {
  if (!t) return;
  for (int64_t i = 0; i < t->n_slots; i++)
    free_slot(&t->slot[i]);
  for (int64_t i = 0; i < t->n_shapes; i++) {
    free(t->shape[i].text);
    free(t->shape[i].number);
    free(t->shape[i].piece);
  }
  free(t->slot);
  free(t->shape);
  free(t);
}
