/* SPDX-License-Identifier: Apache-2.0
 *
 * Putting a tokenizer together: tokens, merges, added tokens, what is added to a text.
 *
 * Loaders and lists go through the same steps, so the same rules hold for both.
 */
#include "model/tokenizer_parts.h"
#include "model/sentencepiece.h"
#include "model/text_utf8.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

isc_status isc_tokenizer_new(const char *where, isc_tokenizer **out) {
  isc_tokenizer *t;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof *t, where, (void **)&t));
  t->bos = t->eos = t->unk = -1;
  t->joins_with_spaces = true;
  isc_status st = isc_strdup(where, &t->where);
  if (st == ISC_OK)
    *out = t;
  else
    free(t);
  return st;
}

/* ---- tokens */

static isc_status grow(isc_tokenizer *t, int64_t cap) {
  void *token = t->token, *special = t->special, *in_model = t->in_model, *key = t->key;
  isc_status st = isc_realloc(&token, (size_t)cap, sizeof *t->token, t->where);
  t->token = token;
  if (st == ISC_OK) st = isc_realloc(&special, (size_t)cap, sizeof *t->special, t->where);
  t->special = special;
  if (st == ISC_OK) st = isc_realloc(&in_model, (size_t)cap, sizeof *t->in_model, t->where);
  t->in_model = in_model;
  if (st == ISC_OK) st = isc_realloc(&key, (size_t)cap, sizeof *t->key, t->where);
  t->key = key;
  ISC_TRY(st);
  t->cap = cap;
  return ISC_OK;
}

/* Make id a valid index. */
static isc_status reserve_id(isc_tokenizer *t, int64_t id) {
  int64_t cap = t->cap ? t->cap : 256;
  while (cap <= id)
    cap *= 2;
  if (cap > t->cap) ISC_TRY(grow(t, cap));
  for (; t->vocab <= id; t->vocab++) {
    t->token[t->vocab] = NULL;
    t->special[t->vocab] = t->in_model[t->vocab] = false;
    t->key[t->vocab] = (isc_key){0};
  }
  return ISC_OK;
}

isc_status isc_tokenizer_set_token(isc_tokenizer *t, int64_t id, const char *token) {
  size_t len = strlen(token);
  if (id < 0 || id > ISC_MAX_TOKEN_ID)
    return isc_fail(ISC_E_FORMAT, "%s: token \"%.100s\": id %" PRId64 " is outside 0 … %d",
                    t->where, token, id, ISC_MAX_TOKEN_ID);
  ISC_TRY(reserve_id(t, id));
  if (t->token[id])
    return isc_fail(ISC_E_FORMAT, "%s: tokens \"%.100s\" and \"%.100s\" have the same id %" PRId64,
                    t->where, t->token[id], token, id);
  ISC_TRY(isc_strdup(token, &t->token[id]));
  t->key[id] = (isc_key){t->token[id], len};
  t->in_model[id] = true;
  if (len > t->longest) t->longest = len;
  return ISC_OK;
}

isc_status isc_tokenizer_index(isc_tokenizer *t) {
  int64_t twice;
  isc_table_free(&t->by_token);
  ISC_TRY(isc_table_build(&t->by_token, t->key, t->vocab, t->where, &twice));
  if (twice < 0) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: token \"%.100s\" is there twice", t->where, t->token[twice]);
}

int32_t isc_tokenizer_id(const isc_tokenizer *t, const char *token, size_t len) {
  return (int32_t)isc_table_find(&t->by_token, token, len);
}

int32_t isc_tokenizer_model_id(const isc_tokenizer *t, const char *token, size_t len) {
  if (len > t->longest) return -1;
  int32_t id = isc_tokenizer_id(t, token, len);
  return id >= 0 && t->in_model[id] ? id : -1;
}

isc_status isc_tokenizer_add(isc_tokenizer *t, const char *content, const isc_added *added) {
  size_t len = strlen(content);
  int32_t known = isc_tokenizer_id(t, content, len), id = added->id;
  void *grown = t->added;
  if (len == 0 || len > ISC_MAX_ADDED_LENGTH)
    return isc_fail(ISC_E_FORMAT, "%s: added token %" PRId32 ": %zu bytes are not 1 … %d", t->where,
                    id, len, ISC_MAX_ADDED_LENGTH);
  if (known >= 0 && known != id)
    return isc_fail(ISC_E_FORMAT,
                    "%s: added token \"%s\" has id %" PRId32
                    " but the vocabulary gives it %" PRId32,
                    t->where, content, id, known);
  if (known < 0) {
    ISC_TRY(isc_tokenizer_set_token(t, id, content));
    t->in_model[id] = false;
  }
  ISC_TRY(isc_realloc(&grown, (size_t)t->n_added + 1, sizeof *t->added, t->where));
  t->added = grown;
  t->added[t->n_added] = *added;
  t->added[t->n_added++].pattern = NULL;
  t->special[id] = added->special;
  return ISC_OK;
}

/* ---- bytes and merges */

void isc_tokenizer_byte_ids(isc_tokenizer *t) {
  for (int byte = 0; byte < 256; byte++) {
    char s[4];
    size_t n = isc_utf8_encode(isc_byte_to_char((uint8_t)byte), s);
    t->bpe.byte_id[byte] = isc_tokenizer_id(t, s, n);
  }
}

void isc_tokenizer_fallback_ids(isc_tokenizer *t) {
  for (int byte = 0; byte < 256; byte++) {
    char s[8];
    snprintf(s, sizeof s, "<0x%02X>", (unsigned)byte);
    t->bpe.byte_id[byte] = isc_tokenizer_id(t, s, 6);
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

isc_status isc_tokenizer_split_merge(isc_tokenizer *t, int64_t rank, const char *s, size_t len) {
  const char *space = s ? memchr(s, ' ', len) : NULL;
  size_t left = space ? (size_t)(space - s) : 0;
  if (!space || memchr(space + 1, ' ', len - left - 1))
    return isc_fail(ISC_E_FORMAT, "%s: merge %" PRId64 " is neither \"left right\" nor a pair",
                    t->where, rank);
  return isc_tokenizer_set_merge(t, rank, s, left, space + 1, len - left - 1);
}

isc_status isc_tokenizer_index_merges(isc_tokenizer *t) {
  int64_t twice;
  ISC_TRY(isc_bpe_index(&t->bpe, t->where, &twice));
  if (twice < 0) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: merge %" PRId64 " is there twice", t->where, twice);
}

/* ---- parts */

/* Room for one more in a list of parts, zeroed. */
static isc_status add_part(const isc_tokenizer *t, void **list, int64_t *n, size_t size) {
  if (*n == ISC_MAX_PARTS)
    return isc_fail(ISC_E_UNSUPPORTED, "%s: more than %d normalizers, pre_tokenizers or decoders",
                    t->where, ISC_MAX_PARTS);
  ISC_TRY(isc_realloc(list, (size_t)*n + 1, size, t->where));
  memset((char *)*list + (size_t)*n * size, 0, size);
  ++*n;
  return ISC_OK;
}

isc_status isc_tokenizer_add_normalizer(isc_tokenizer *t, isc_normalize_part **out) {
  void *list = t->normalize;
  isc_status st = add_part(t, &list, &t->n_normalize, sizeof **out);
  t->normalize = list;
  if (st == ISC_OK) *out = &t->normalize[t->n_normalize - 1];
  return st;
}

isc_status isc_tokenizer_add_pre(isc_tokenizer *t, isc_pre_kind kind, isc_pre_part **out) {
  void *list = t->pre;
  isc_status st = add_part(t, &list, &t->n_pre, sizeof **out);
  t->pre = list;
  ISC_TRY(st);
  *out = &t->pre[t->n_pre - 1];
  (*out)->kind = kind;
  return ISC_OK;
}

isc_status isc_tokenizer_add_decoder(isc_tokenizer *t, isc_decode_kind kind,
                                     isc_decode_part **out) {
  void *list = t->decode;
  isc_status st = add_part(t, &list, &t->n_decode, sizeof **out);
  t->decode = list;
  ISC_TRY(st);
  *out = &t->decode[t->n_decode - 1];
  (*out)->kind = kind;
  t->joins_with_spaces = false;
  return ISC_OK;
}

static isc_status append_id(int32_t **list, int64_t *n, int32_t id, const char *what) {
  void *grown = *list;
  if (*n == ISC_MAX_PARTS)
    return isc_fail(ISC_E_UNSUPPORTED, "%s: more than %d tokens are added to each text", what,
                    ISC_MAX_PARTS);
  ISC_TRY(isc_realloc(&grown, (size_t)*n + 1, sizeof **list, what));
  *list = grown;
  (*list)[(*n)++] = id;
  return ISC_OK;
}

isc_status isc_tokenizer_add_prefix(isc_tokenizer *t, int32_t id) {
  return append_id(&t->prefix, &t->n_prefix, id, t->where);
}

isc_status isc_tokenizer_add_suffix(isc_tokenizer *t, int32_t id) {
  return append_id(&t->suffix, &t->n_suffix, id, t->where);
}

/* ---- the end of it */

static void free_parts(isc_tokenizer *t) {
  for (int64_t i = 0; i < t->n_normalize; i++) {
    isc_pattern_free(&t->normalize[i].pattern);
    free(t->normalize[i].content);
  }
  for (int64_t i = 0; i < t->n_pre; i++) {
    isc_pattern_free(&t->pre[i].pattern);
    isc_char_set_free(&t->pre[i].set);
  }
  for (int64_t i = 0; i < t->n_decode; i++) {
    isc_pattern_free(&t->decode[i].pattern);
    free(t->decode[i].content);
  }
  free(t->normalize);
  free(t->pre);
  free(t->decode);
}

void isc_tokenizer_close(isc_tokenizer *t) {
  if (!t) return;
  for (int64_t i = 0; i < t->vocab; i++)
    free(t->token[i]);
  for (int64_t i = 0; i < t->n_added; i++)
    free(t->added[i].pattern);
  for (int pass = 0; pass < 2; pass++)
    isc_prefix_set_free(&t->pass[pass]);
  free_parts(t);
  isc_table_free(&t->by_token);
  isc_bpe_free(&t->bpe);
  isc_sentencepiece_free(t->sp);
  isc_char_set_free(&t->word);
  free(t->token);
  free(t->special);
  free(t->in_model);
  free(t->key);
  free(t->added);
  free(t->shown);
  free(t->prefix);
  free(t->suffix);
  free(t->file_prefix);
  free(t->bos_conflict);
  free(t->unk_token);
  free(t->where);
  free(t);
}
