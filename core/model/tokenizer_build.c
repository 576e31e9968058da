/* SPDX-License-Identifier: Apache-2.0
 *
 * Putting a tokenizer together: tokens, merges, added tokens; and the two kinds made from lists.
 *
 * Loaders and lists go through the same steps, so the same rules hold for both.
 */
#include "model/tokenizer_parts.h"
#include "model/text_utf8.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

isc_status isc_tokenizer_new(const char *where, isc_tokenizer **out) {
  isc_tokenizer *t;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof *t, where, (void **)&t));
  t->bos = t->eos = t->unk = -1;
  isc_status st = isc_strdup(where, &t->where);
  if (st == ISC_OK)
    *out = t;
  else
    free(t);
  return st;
}

/* Make id a valid index. */
static isc_status reserve_id(isc_tokenizer *t, int64_t id) {
  if (id < t->vocab) return ISC_OK;
  if (id >= t->cap) {
    int64_t cap = t->cap ? t->cap : 256;
    while (cap <= id)
      cap *= 2;
    void *token = t->token, *special = t->special, *key = t->key;
    isc_status st = isc_realloc(&token, (size_t)cap, sizeof *t->token, t->where);
    t->token = token;
    if (st == ISC_OK) st = isc_realloc(&special, (size_t)cap, sizeof *t->special, t->where);
    t->special = special;
    if (st == ISC_OK) st = isc_realloc(&key, (size_t)cap, sizeof *t->key, t->where);
    t->key = key;
    ISC_TRY(st);
    t->cap = cap;
  }
  for (; t->vocab <= id; t->vocab++) {
    t->token[t->vocab] = NULL;
    t->special[t->vocab] = false;
    t->key[t->vocab] = (isc_key){0};
  }
  return ISC_OK;
}

isc_status isc_tokenizer_set_token(isc_tokenizer *t, int64_t id, const char *token) {
  if (id < 0 || id > ISC_MAX_TOKEN_ID)
    return isc_fail(ISC_E_FORMAT, "%s: token \"%s\": id %" PRId64 " is outside 0 … %d", t->where,
                    token, id, ISC_MAX_TOKEN_ID);
  ISC_TRY(reserve_id(t, id));
  if (t->token[id])
    return isc_fail(ISC_E_FORMAT, "%s: tokens \"%s\" and \"%s\" have the same id %" PRId64,
                    t->where, t->token[id], token, id);
  ISC_TRY(isc_strdup(token, &t->token[id]));
  t->key[id] = (isc_key){t->token[id], strlen(token)};
  return ISC_OK;
}

isc_status isc_tokenizer_index(isc_tokenizer *t) {
  int64_t twice;
  isc_table_free(&t->by_token);
  ISC_TRY(isc_table_build(&t->by_token, t->key, t->vocab, t->where, &twice));
  if (twice < 0) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: token \"%s\" is there twice", t->where, t->token[twice]);
}

int32_t isc_tokenizer_id(const isc_tokenizer *t, const char *token, size_t len) {
  return (int32_t)isc_table_find(&t->by_token, token, len);
}

isc_status isc_tokenizer_add(isc_tokenizer *t, const char *content, int64_t id, bool special,
                             bool normalized) {
  int32_t known = isc_tokenizer_id(t, content, strlen(content));
  size_t len = strlen(content);
  if (len == 0 || len > ISC_MAX_ADDED_LENGTH)
    return isc_fail(ISC_E_FORMAT, "%s: added token %" PRId64 ": %zu bytes are not 1 … %d", t->where,
                    id, len, ISC_MAX_ADDED_LENGTH);
  if (known >= 0 && known != id)
    return isc_fail(ISC_E_FORMAT,
                    "%s: added token \"%s\" has id %" PRId64
                    " but the vocabulary gives it %" PRId32,
                    t->where, content, id, known);
  if (known < 0) ISC_TRY(isc_tokenizer_set_token(t, id, content));
  void *grown = t->added;
  ISC_TRY(isc_realloc(&grown, (size_t)t->n_added + 1, sizeof *t->added, t->where));
  t->added = grown;
  t->added[t->n_added++] = (isc_added){(int32_t)id, special, normalized};
  t->special[id] = special;
  return ISC_OK;
}

void isc_tokenizer_byte_ids(isc_tokenizer *t) {
  for (int byte = 0; byte < 256; byte++) {
    char s[4];
    size_t n = isc_utf8_encode(isc_byte_to_char((uint8_t)byte), s);
    t->bpe.byte_id[byte] = isc_tokenizer_id(t, s, n);
  }
}

isc_status isc_tokenizer_set_merge(isc_tokenizer *t, int64_t rank, const char *left, size_t n_left,
                                   const char *right, size_t n_right) {
  isc_text both = {0};
  int32_t a = isc_tokenizer_id(t, left, n_left), b = isc_tokenizer_id(t, right, n_right), ab = -1;
  isc_status st = isc_text_append(&both, left, n_left);
  if (st == ISC_OK) st = isc_text_append(&both, right, n_right);
  if (st == ISC_OK) ab = isc_tokenizer_id(t, both.data, both.len);
  isc_text_free(&both);
  ISC_TRY(st);
  if (a < 0 || b < 0 || ab < 0)
    return isc_fail(ISC_E_FORMAT,
                    "%s: merge %" PRId64
                    " (\"%.*s\" + \"%.*s\"): a part or the result is not in the "
                    "vocabulary",
                    t->where, rank, (int)(n_left < 60 ? n_left : 60), left,
                    (int)(n_right < 60 ? n_right : 60), right);
  t->bpe.merge[rank] = (isc_merge){a, b};
  t->bpe.merged[rank] = ab;
  return ISC_OK;
}

static isc_status build_pass(isc_tokenizer *t, isc_added_set *set, bool normalized) {
  int64_t twice;
  ISC_TRY(isc_calloc((size_t)t->n_added, sizeof *set->key, t->where, (void **)&set->key));
  ISC_TRY(isc_calloc((size_t)t->n_added, sizeof *set->id, t->where, (void **)&set->id));
  for (int64_t i = 0; i < t->n_added; i++) {
    if (t->added[i].normalized != normalized) continue;
    isc_key k = t->key[t->added[i].id];
    set->key[set->n] = k;
    set->id[set->n++] = t->added[i].id;
    set->starts[*(const uint8_t *)k.p] = true;
    set->has_length[k.len] = true;
    if (k.len > set->longest) set->longest = k.len;
  }
  ISC_TRY(isc_table_build(&set->table, set->key, set->n, t->where, &twice));
  if (twice < 0) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: added token \"%s\" is there twice", t->where,
                  (const char *)set->key[twice].p);
}

/* The canonical file and the ids that it does not hold. */
static isc_status take_fingerprint(isc_tokenizer *t) {
  isc_hash h;
  char *json;
  ISC_TRY(isc_tokenizer_to_json(t, &json));
  isc_status st = isc_hash_begin(&h);
  if (st == ISC_OK) {
    isc_hash_str(&h, json);
    isc_hash_add(&h, &t->bos, sizeof t->bos);
    isc_hash_add(&h, &t->eos, sizeof t->eos);
    isc_digest_hex(isc_hash_end(&h), t->fingerprint);
  }
  free(json);
  return st;
}

isc_status isc_tokenizer_finish(isc_tokenizer *t) {
  for (int pass = 0; pass < 2; pass++)
    ISC_TRY(build_pass(t, &t->pass[pass], pass == 1));
  if (t->unk_token) t->unk = isc_tokenizer_id(t, t->unk_token, strlen(t->unk_token));
  ISC_TRY(isc_tokenizer_compile(t));
  return take_fingerprint(t);
}

/* The format wants an unk_token; one outside the vocabulary makes unknown words an error. */
static isc_status name_absent_unk(isc_tokenizer *t) {
  char name[40] = "<unk>";
  for (int i = 1; isc_tokenizer_id(t, name, strlen(name)) >= 0; i++)
    snprintf(name, sizeof name, "<unk%d>", i);
  return isc_strdup(name, &t->unk_token);
}

/* After the list's own tokens: the end token, special, and the rest. */
static isc_status finish_list(isc_tokenizer *t, const char *eos, int64_t eos_id) {
  ISC_TRY(isc_tokenizer_add(t, eos, eos_id, true, false));
  ISC_TRY(isc_tokenizer_index(t));
  t->bos = t->eos = (int32_t)eos_id;
  ISC_TRY(name_absent_unk(t));
  return isc_tokenizer_finish(t);
}

static isc_status check_word(const char *w) {
  size_t len = strlen(w), n;
  uint32_t cp;
  if (len == 0) return isc_fail(ISC_E_USAGE, "a word list: a word is empty");
  for (size_t i = 0; i < len; i += n) {
    n = isc_utf8_decode(w + i, len - i, &cp);
    if (n == 0) return isc_fail(ISC_E_USAGE, "a word list: \"%s\" is not UTF-8", w);
    if (isc_is_white_space(cp))
      return isc_fail(ISC_E_USAGE, "a word list: \"%s\" holds white space", w);
  }
  return ISC_OK;
}

isc_status isc_tokenizer_from_words(const char *const *words, int64_t n, const char *eos,
                                    isc_tokenizer **out) {
  isc_status st = ISC_OK;
  isc_tokenizer *t = NULL;
  *out = NULL;
  ISC_GO(isc_tokenizer_new("a word list", &t));
  t->pre = ISC_PRE_WHITESPACE_SPLIT;
  for (int64_t i = 0; i < n; i++) {
    ISC_GO(check_word(words[i]));
    ISC_GO(isc_tokenizer_set_token(t, i, words[i]));
  }
  ISC_GO(isc_tokenizer_index(t));
  int32_t id = isc_tokenizer_id(t, eos, strlen(eos));
  if (id < 0) ISC_GO(isc_fail(ISC_E_USAGE, "a word list: the end token \"%s\" is not in it", eos));
  ISC_GO(finish_list(t, eos, id));
  *out = t;
done:
  if (st != ISC_OK) isc_tokenizer_close(t);
  return st;
}

static isc_status check_char(const char *c) {
  uint32_t cp = 0;
  size_t len = strlen(c);
  if (len == 0 || isc_utf8_decode(c, len, &cp) != len)
    return isc_fail(ISC_E_USAGE, "a character list: \"%s\" is not one UTF-8 character", c);
  if (cp == '\n')
    return isc_fail(ISC_E_USAGE, "a character list: a line feed cannot be a token, because \".\" "
                                 "does not match it");
  return ISC_OK;
}

isc_status isc_tokenizer_from_chars(const char *const *chars, int64_t n, const char *eos,
                                    isc_tokenizer **out) {
  isc_status st = ISC_OK;
  isc_tokenizer *t = NULL;
  *out = NULL;
  ISC_GO(isc_tokenizer_new("a character list", &t));
  t->pre = ISC_PRE_CHARS;
  t->decode = ISC_DECODE_FUSE;
  for (int64_t i = 0; i < n; i++) {
    ISC_GO(check_char(chars[i]));
    ISC_GO(isc_tokenizer_set_token(t, i, chars[i]));
  }
  ISC_GO(isc_tokenizer_index(t));
  int32_t id = isc_tokenizer_id(t, eos, strlen(eos));
  ISC_GO(finish_list(t, eos, id >= 0 ? id : n));
  *out = t;
done:
  if (st != ISC_OK) isc_tokenizer_close(t);
  return st;
}
