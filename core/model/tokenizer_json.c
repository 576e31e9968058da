/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading tokenizer.json: the model, its vocabulary and merges, and the added tokens.
 *
 * Truncation and padding are the caller's business and are not read.
 */
#include "model/tokenizer_json.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

isc_status isc_json_unsupported(const isc_json *j, const char *part, const char *what) {
  return isc_fail(ISC_E_UNSUPPORTED, "%s: %s \"%.200s\" is not supported", j->path, part, what);
}

isc_status isc_json_type(const isc_json *j, const json_t *object, const char *part,
                         const char **out) {
  if (!json_is_object(object))
    return isc_fail(ISC_E_FORMAT, "%s: %s: a member must be an object", j->path, part);
  return isc_json_child_string(j, object, part, "type", out);
}

isc_status isc_json_flag(const isc_json *j, const json_t *object, const char *part, const char *key,
                         bool fallback, bool *out) {
  json_t *v;
  ISC_TRY(isc_json_child_or_null(j, object, part, key, JSON_TRUE, &v));
  *out = v ? json_is_true(v) : fallback;
  return ISC_OK;
}

static int place_of(const char *name, const char *const *names) {
  for (int i = 0; names[i]; i++)
    if (strcmp(name, names[i]) == 0) return i;
  return -1;
}

isc_status isc_json_only(const isc_json *j, const json_t *object, const char *part,
                         const char *const *known) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)object, key, value) {
    if (place_of(key, known) < 0)
      return isc_fail(ISC_E_UNSUPPORTED, "%s: %s with \"%.100s\" is not supported", j->path, part,
                      key);
  }
  return ISC_OK;
}

isc_status isc_json_choice(const isc_json *j, const json_t *object, const char *part,
                           const char *key, const char *const *names, int fallback, int *out) {
  const char *name;
  *out = fallback;
  if (fallback >= 0 && !json_object_get(object, key)) return ISC_OK;
  ISC_TRY(isc_json_child_string(j, object, part, key, &name));
  *out = place_of(name, names);
  if (*out >= 0) return ISC_OK;
  return isc_fail(ISC_E_UNSUPPORTED, "%s: %s with %s \"%.100s\" is not supported", j->path, part,
                  key, name);
}

/* ---- models */

static isc_status read_vocab(isc_tokenizer *t, const isc_json *j, const json_t *model) {
  json_t *vocab, *id;
  const char *token;
  ISC_TRY(isc_json_child(j, model, "model", "vocab", JSON_OBJECT, &vocab));
  json_object_foreach(vocab, token, id) {
    if (!json_is_integer(id))
      return isc_fail(ISC_E_FORMAT, "%s: vocab: the id of \"%.100s\" must be an integer", j->path,
                      token);
    ISC_TRY(isc_tokenizer_set_token(t, json_integer_value(id), token));
  }
  return isc_tokenizer_index(t);
}

/* A merge is "left right" or ["left", "right"]. */
static isc_status read_merge(isc_tokenizer *t, int64_t rank, const json_t *m) {
  const json_t *left = json_array_get(m, 0), *right = json_array_get(m, 1);
  if (json_array_size(m) == 2 && json_is_string(left) && json_is_string(right))
    return isc_tokenizer_set_merge(t, rank, json_string_value(left), json_string_length(left),
                                   json_string_value(right), json_string_length(right));
  return isc_tokenizer_split_merge(t, rank, json_string_value(m), json_string_length(m));
}

static isc_status read_merges(isc_tokenizer *t, const isc_json *j, const json_t *model) {
  json_t *merges;
  ISC_TRY(isc_json_child(j, model, "model", "merges", JSON_ARRAY, &merges));
  ISC_TRY(isc_bpe_reserve(&t->bpe, (int64_t)json_array_size(merges), j->path));
  for (int64_t i = 0; i < t->bpe.n; i++)
    ISC_TRY(read_merge(t, i, json_array_get(merges, (size_t)i)));
  return isc_tokenizer_index_merges(t);
}

static bool has_every_byte(const isc_tokenizer *t) {
  for (int byte = 0; byte < 256; byte++)
    if (t->bpe.byte_id[byte] < 0) return false;
  return true;
}

/* With a token for every byte nothing is unknown, and a name for it is harmless. */
static isc_status check_bytes(isc_tokenizer *t, const isc_json *j) {
  if (t->model == ISC_CHAR_BPE && t->byte_fallback && !has_every_byte(t))
    return isc_json_unsupported(
        j, "model BPE without a token <0x00> … <0xFF> for every byte but with", "byte_fallback");
  if (t->model == ISC_BYTE_BPE && t->unk_token && !has_every_byte(t))
    return isc_json_unsupported(j, "model BPE without a token for every byte but with",
                                "unk_token");
  return ISC_OK;
}

/* Switches that may only be off or empty. */
static isc_status check_absent(const isc_json *j, const json_t *model) {
  static const char *const absent[] = {"dropout", "continuing_subword_prefix",
                                       "end_of_word_suffix"};
  for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
    const json_t *v = json_object_get(model, absent[i]);
    bool empty = !v || json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0) ||
                 (json_is_number(v) && json_number_value(v) == 0);
    if (!empty) return isc_json_unsupported(j, "model BPE with", absent[i]);
  }
  return ISC_OK;
}

static isc_status read_bpe(isc_tokenizer *t, const isc_json *j, const json_t *model) {
  static const char part[] = "model BPE";
  static const char *const known[] = {"type",
                                      "dropout",
                                      "unk_token",
                                      "continuing_subword_prefix",
                                      "end_of_word_suffix",
                                      "fuse_unk",
                                      "byte_fallback",
                                      "ignore_merges",
                                      "vocab",
                                      "merges",
                                      NULL};
  json_t *unk;
  bool bytes = t->n_pre > 0 && t->pre[t->n_pre - 1].kind == ISC_PRE_BYTE_LEVEL;
  t->model = bytes ? ISC_BYTE_BPE : ISC_CHAR_BPE;
  ISC_TRY(isc_json_only(j, model, part, known));
  ISC_TRY(check_absent(j, model));
  ISC_TRY(isc_json_flag(j, model, part, "fuse_unk", false, &t->fuse_unk));
  ISC_TRY(isc_json_flag(j, model, part, "byte_fallback", false, &t->byte_fallback));
  ISC_TRY(isc_json_flag(j, model, part, "ignore_merges", false, &t->ignore_merges));
  if (bytes && t->byte_fallback)
    return isc_json_unsupported(j, "model BPE over bytes with", "byte_fallback");
  ISC_TRY(read_vocab(t, j, model));
  if (bytes)
    isc_tokenizer_byte_ids(t);
  else
    isc_tokenizer_fallback_ids(t);
  ISC_TRY(isc_json_child_or_null(j, model, "model", "unk_token", JSON_STRING, &unk));
  if (json_string_length(unk) > 0) ISC_TRY(isc_strdup(json_string_value(unk), &t->unk_token));
  ISC_TRY(check_bytes(t, j));
  return read_merges(t, j, model);
}

static isc_status read_word_level(isc_tokenizer *t, const isc_json *j, const json_t *model) {
  static const char *const known[] = {"type", "vocab", "unk_token", NULL};
  const char *unk;
  if (t->n_pre > 0 && t->pre[t->n_pre - 1].kind == ISC_PRE_BYTE_LEVEL)
    return isc_json_unsupported(j, "model", "WordLevel with the ByteLevel pre_tokenizer");
  t->model = ISC_WORD_LEVEL;
  ISC_TRY(isc_json_only(j, model, "model WordLevel", known));
  ISC_TRY(read_vocab(t, j, model));
  ISC_TRY(isc_json_child_string(j, model, "model", "unk_token", &unk));
  return isc_strdup(unk, &t->unk_token);
}

/* The first files of GPT-2 have no type, but merges. */
static isc_status read_model(isc_tokenizer *t, const isc_json *j) {
  json_t *m;
  const char *type;
  ISC_TRY(isc_json_child(j, j->root, "", "model", JSON_OBJECT, &m));
  if (!json_object_get(m, "type") && json_object_get(m, "merges")) return read_bpe(t, j, m);
  ISC_TRY(isc_json_type(j, m, "model", &type));
  if (strcmp(type, "WordLevel") == 0) return read_word_level(t, j, m);
  if (strcmp(type, "BPE") == 0) return read_bpe(t, j, m);
  return isc_json_unsupported(j, "model", type);
}

/* ---- added tokens */

static isc_status read_added_token(isc_tokenizer *t, const isc_json *j, const json_t *a) {
  static const char part[] = "added_tokens";
  static const char *const known[] = {"id",     "content", "single_word", "lstrip",
                                      "rstrip", "special", "normalized",  NULL};
  isc_added added = {0};
  const char *content;
  json_t *id;
  ISC_TRY(isc_json_only(j, a, part, known));
  ISC_TRY(isc_json_child_string(j, a, part, "content", &content));
  ISC_TRY(isc_json_child(j, a, part, "id", JSON_INTEGER, &id));
  json_int_t n = json_integer_value(id);
  if (n < 0 || n > ISC_MAX_TOKEN_ID)
    return isc_fail(ISC_E_FORMAT, "%s: added token \"%.100s\": id %" PRId64 " is outside 0 … %d",
                    j->path, content, (int64_t)n, ISC_MAX_TOKEN_ID);
  added.id = (int32_t)n;
  ISC_TRY(isc_json_flag(j, a, part, "single_word", false, &added.single_word));
  ISC_TRY(isc_json_flag(j, a, part, "lstrip", false, &added.lstrip));
  ISC_TRY(isc_json_flag(j, a, part, "rstrip", false, &added.rstrip));
  ISC_TRY(isc_json_flag(j, a, part, "special", false, &added.special));
  ISC_TRY(isc_json_flag(j, a, part, "normalized", !added.special, &added.normalized));
  return isc_tokenizer_add(t, content, &added);
}

static isc_status read_added(isc_tokenizer *t, const isc_json *j) {
  json_t *list, *a;
  size_t i;
  ISC_TRY(isc_json_child_or_null(j, j->root, "", "added_tokens", JSON_ARRAY, &list));
  json_array_foreach(list, i, a) {
    if (!json_is_object(a))
      return isc_fail(ISC_E_FORMAT, "%s: added_tokens: entry %zu must be an object", j->path, i);
    ISC_TRY(read_added_token(t, j, a));
  }
  return isc_tokenizer_index(t);
}

/* ---- the file */

static isc_status check_version(const isc_json *j) {
  static const char *const known[] = {
      "version",       "truncation", "padding",        "added_tokens", "normalizer",
      "pre_tokenizer", "model",      "post_processor", "decoder",      NULL};
  json_t *version;
  ISC_TRY(isc_json_only(j, j->root, "a tokenizer", known));
  ISC_TRY(isc_json_child_or_null(j, j->root, "", "version", JSON_STRING, &version));
  if (!version || strcmp(json_string_value(version), "1.0") == 0) return ISC_OK;
  return isc_json_unsupported(j, "version", json_string_value(version));
}

isc_status isc_tokenizer_read_json(isc_tokenizer *t, const char *path) {
  isc_status st = ISC_OK;
  isc_json *j = NULL;
  ISC_GO(isc_json_open(path, &j));
  ISC_GO(check_version(j));
  ISC_GO(isc_tokenizer_json_normalizer(t, j));
  ISC_GO(isc_tokenizer_json_pre(t, j));
  ISC_GO(read_model(t, j));
  ISC_GO(read_added(t, j));
  ISC_GO(isc_tokenizer_json_decoder(t, j));
  ISC_GO(isc_tokenizer_json_post(t, j));
done:
  isc_json_close(j);
  return st;
}
