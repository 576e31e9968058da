/* SPDX-License-Identifier: Apache-2.0
 *
 * The last steps of putting a tokenizer together, and the policy of the token that begins a text.
 *
 * What a text gets before it is part of the fingerprint, so the policy takes a new one.
 */
#include "model/tokenizer_parts.h"
#include "model/sentencepiece.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_PATTERN = 4096 }; /* of an added token, normalised */

/* GPT-2's. */
static const char byte_level_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static isc_status make_word_set(isc_char_set *out) {
  isc_char_set_builder b = {0};
  ISC_TRY(isc_char_set_begin(&b));
  isc_char_set_add_word(&b);
  return isc_char_set_finish(&b, out);
}

/* Numbers; the library that tokenizer.json comes from asks Rust's standard library, which knows those of Unicode 17. */
static isc_status make_number_set(isc_char_set *out) {
  isc_char_set_builder b = {0};
  ISC_TRY(isc_char_set_begin(&b));
  isc_char_set_add_categories(&b, isc_category_mask("N", 1));
  isc_char_set_add(&b, 0x11DE0, 0x11DE9);
  isc_char_set_add(&b, 0x16FF4, 0x16FF6);
  return isc_char_set_finish(&b, out);
}

static isc_status finish_pre(isc_pre_part *p) {
  if (p->kind == ISC_PRE_WHITESPACE) return make_word_set(&p->set);
  if (p->kind == ISC_PRE_DIGITS) return make_number_set(&p->set);
  if (p->kind == ISC_PRE_BYTE_LEVEL && p->use_regex)
    return isc_pattern_set(&p->pattern, byte_level_pattern, true);
  return ISC_OK;
}

/* ---- added tokens */

/* What a token of the second pass looks like in the normalised text. */
static isc_status normalize_added(isc_tokenizer *t, isc_regex_work *w, isc_added *a) {
  const isc_key *content = &t->key[a->id];
  isc_text text = {0};
  isc_status st = isc_tokenizer_normalize(t, w, content->p, content->len, &text);
  if (st == ISC_OK && (text.len == 0 || text.len > MAX_PATTERN))
    st = isc_fail(ISC_E_UNSUPPORTED,
                  "%s: added token \"%s\": the normalizer makes %zu bytes of it, not 1 … %d",
                  t->where, t->token[a->id], text.len, MAX_PATTERN);
  if (st == ISC_OK && (text.len != content->len || memcmp(text.data, content->p, text.len) != 0))
    st = isc_strdup(text.data, &a->pattern);
  isc_text_free(&text);
  return st;
}

static isc_status normalize_all(isc_tokenizer *t) {
  isc_regex_work w = {.budget = 65536};
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < t->n_added; i++)
    w.budget += 1024 * (int64_t)t->key[t->added[i].id].len;
  for (int64_t i = 0; i < t->n_added && st == ISC_OK; i++)
    if (t->added[i].normalized) st = normalize_added(t, &w, &t->added[i]);
  isc_regex_work_free(&w);
  return st;
}

/* In one pass or in two. */
static isc_status check_twice(const isc_tokenizer *t) {
  bool *seen;
  isc_status st = isc_calloc((size_t)t->vocab, sizeof *seen, t->where, (void **)&seen);
  for (int64_t i = 0; i < t->n_added && st == ISC_OK; i++) {
    int32_t id = t->added[i].id;
    if (seen[id])
      st = isc_fail(ISC_E_FORMAT, "%s: added token \"%s\" is there twice", t->where, t->token[id]);
    seen[id] = true;
  }
  free(seen);
  return st;
}

static isc_status build_pass(isc_tokenizer *t, isc_prefix_set *set, bool normalized) {
  const isc_prefix *twice;
  int64_t n = 0;
  for (int64_t i = 0; i < t->n_added; i++)
    n += t->added[i].normalized == normalized;
  ISC_TRY(isc_prefix_set_reserve(set, n, t->where));
  for (int64_t i = 0, k = 0; i < t->n_added; i++) {
    const isc_added *a = &t->added[i];
    if (a->normalized != normalized) continue;
    isc_key pattern = {a->pattern, a->pattern ? strlen(a->pattern) : 0};
    set->item[k++] = (isc_prefix){a->pattern ? pattern : t->key[a->id], (int32_t)i};
  }
  isc_prefix_set_sort(set, &twice);
  if (!twice) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: added token \"%s\" looks like another one once normalized",
                  t->where, t->token[t->added[twice->id].id]);
}

/* A token that is matched in normalised text decodes to that text. */
static isc_status show_patterns(isc_tokenizer *t) {
  for (int64_t i = 0; i < t->n_added; i++) {
    const isc_added *a = &t->added[i];
    if (!a->pattern) continue;
    if (!t->shown) {
      ISC_TRY(isc_calloc((size_t)t->vocab, sizeof *t->shown, t->where, (void **)&t->shown));
      for (int64_t id = 0; id < t->vocab; id++)
        t->shown[id] = t->token[id];
    }
    t->shown[a->id] = a->pattern;
  }
  return ISC_OK;
}

static isc_status finish_added(isc_tokenizer *t) {
  bool words = false;
  ISC_TRY(check_twice(t));
  for (int64_t i = 0; i < t->n_added; i++)
    words |= t->added[i].single_word;
  if (t->n_normalize > 0) ISC_TRY(normalize_all(t));
  if (words) ISC_TRY(make_word_set(&t->word));
  for (int pass = 0; pass < 2; pass++)
    ISC_TRY(build_pass(t, &t->pass[pass], pass == 1));
  return show_patterns(t);
}

/* ---- the fingerprint */

/* The canonical file and the ids that it does not hold. */
static isc_status take_fingerprint(isc_tokenizer *t) {
  isc_hash h;
  char *json = NULL;
  isc_text model = {0};
  isc_status st = isc_hash_begin(&h);
  ISC_TRY(st);
  st = t->model == ISC_SENTENCEPIECE ? isc_sentencepiece_write(t, &model)
                                     : isc_tokenizer_to_json(t, &json);
  if (json) isc_hash_str(&h, json);
  if (model.len) {
    isc_hash_add(&h, model.data, model.len);
    isc_hash_add(&h, t->prefix, (size_t)t->n_prefix * sizeof *t->prefix);
    isc_hash_add(&h, t->suffix, (size_t)t->n_suffix * sizeof *t->suffix);
  }
  isc_hash_add(&h, &t->bos, sizeof t->bos);
  isc_hash_add(&h, &t->eos, sizeof t->eos);
  isc_digest d = isc_hash_end(&h);
  if (st == ISC_OK) isc_digest_hex(d, t->fingerprint);
  isc_text_free(&model);
  free(json);
  return st;
}

isc_status isc_tokenizer_finish(isc_tokenizer *t) {
  for (int64_t i = 0; i < t->n_pre; i++)
    ISC_TRY(finish_pre(&t->pre[i]));
  ISC_TRY(finish_added(t));
  if (t->unk_token) t->unk = isc_tokenizer_id(t, t->unk_token, strlen(t->unk_token));
  return take_fingerprint(t);
}

/* ---- the token that begins a text */

static bool begins_with_bos(const isc_tokenizer *t, const int32_t *id, int64_t n) {
  return t->bos >= 0 && n > 0 && id[0] == t->bos;
}

/* Remember what the files say before it is changed for the first time. */
static isc_status keep_file_prefix(isc_tokenizer *t) {
  if (t->file_prefix) return ISC_OK;
  size_t n = (size_t)t->n_prefix;
  ISC_TRY(isc_calloc(n, sizeof *t->file_prefix, t->where, (void **)&t->file_prefix));
  if (n) memcpy(t->file_prefix, t->prefix, n * sizeof *t->prefix);
  t->n_file_prefix = t->n_prefix;
  return ISC_OK;
}

isc_status isc_tokenizer_set_bos(isc_tokenizer *t, isc_bos_policy policy) {
  int32_t *prefix;
  if (policy != ISC_BOS_MODEL && policy != ISC_BOS_ALWAYS && policy != ISC_BOS_NEVER)
    return isc_fail(ISC_E_USAGE, "isc_tokenizer_set_bos: there is no policy %d", (int)policy);
  if (policy == ISC_BOS_ALWAYS && t->bos < 0)
    return isc_fail(ISC_E_CONFIG,
                    "%s: bos = \"always\", but no file here names the token that begins a text",
                    t->where);
  ISC_TRY(keep_file_prefix(t));
  ISC_TRY(isc_calloc((size_t)t->n_file_prefix + 1, sizeof *prefix, t->where, (void **)&prefix));
  bool has = begins_with_bos(t, t->file_prefix, t->n_file_prefix);
  int64_t n = 0, from = policy == ISC_BOS_NEVER && has;
  if (policy == ISC_BOS_ALWAYS && !has) prefix[n++] = t->bos;
  while (from < t->n_file_prefix)
    prefix[n++] = t->file_prefix[from++];
  free(t->prefix);
  t->prefix = prefix;
  t->n_prefix = n;
  t->bos_policy = policy;
  return take_fingerprint(t);
}
