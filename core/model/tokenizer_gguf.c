/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokenizer in a GGUF file: its arrays, and what the format leaves to be known.
 *
 * Where a setting is absent, the format's first implementation has a default by the kind of model; those are here.
 */
#include "model/tokenizer_gguf.h"
#include "model/tokenizer_parts.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define KEY(name) "tokenizer.ggml." name

/* What is borrowed by isc_tokenizer_arrays. */
typedef struct arrays {
  isc_key *token, *merge;
  int32_t *type;
  float *score;
} arrays;

static void arrays_free(arrays *a) {
  free(a->token);
  free(a->merge);
  free(a->type);
  free(a->score);
}

static isc_status take_strings(const isc_gguf *g, const char *key, isc_key **out, int64_t *n) {
  const isc_gguf_array *a;
  ISC_TRY(isc_gguf_strings(g, key, &a));
  ISC_TRY(isc_calloc((size_t)a->n, sizeof **out, isc_gguf_path(g), (void **)out));
  for (int64_t i = 0; i < a->n; i++) {
    const isc_gguf_text t = isc_gguf_string_at(a, i);
    (*out)[i] = (isc_key){t.s, t.len};
  }
  *n = a->n;
  return ISC_OK;
}

static isc_status check_length(const isc_gguf *g, const char *key, int64_t n, int64_t tokens) {
  if (n == tokens) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: \"%s\" has %" PRId64 " values for %" PRId64 " tokens",
                  isc_gguf_path(g), key, n, tokens);
}

static isc_status take_types(const isc_gguf *g, int64_t n, int32_t **out) {
  const char *key = KEY("token_type");
  const isc_gguf_array *a;
  if (!isc_gguf_has(g, key)) return ISC_OK;
  ISC_TRY(isc_gguf_ints(g, key, &a));
  ISC_TRY(check_length(g, key, a->n, n));
  ISC_TRY(isc_calloc((size_t)n, sizeof **out, isc_gguf_path(g), (void **)out));
  for (int64_t i = 0; i < n; i++) {
    const int64_t type = isc_gguf_int_at(a, i);
    if (type < ISC_PIECE_NORMAL || type > ISC_PIECE_BYTE)
      return isc_fail(ISC_E_FORMAT,
                      "%s: \"%s\": token %" PRId64 " is of type %" PRId64 ", not 1 … 6",
                      isc_gguf_path(g), key, i, type);
    (*out)[i] = (int32_t)type;
  }
  return ISC_OK;
}

static isc_status take_scores(const isc_gguf *g, int64_t n, float **out) {
  const char *key = KEY("scores");
  const isc_gguf_array *a;
  ISC_TRY(isc_gguf_floats(g, key, &a));
  ISC_TRY(check_length(g, key, a->n, n));
  ISC_TRY(isc_calloc((size_t)n, sizeof **out, isc_gguf_path(g), (void **)out));
  for (int64_t i = 0; i < n; i++)
    (*out)[i] = (float)isc_gguf_float_at(a, i);
  return ISC_OK;
}

/* −1 = none. */
static isc_status take_id(const isc_gguf *g, const char *key, int64_t n, int32_t *out) {
  int64_t id;
  ISC_TRY(isc_gguf_int_or(g, key, 0, n - 1, -1, &id));
  *out = (int32_t)id;
  return ISC_OK;
}

static isc_status take_ids(const isc_gguf *g, bool add_bos, isc_tokenizer_arrays *a) {
  if (a->n < 1 || a->n > ISC_MAX_TOKEN_ID)
    return isc_fail(ISC_E_FORMAT, "%s: %" PRId64 " tokens are not 1 … %d", a->where, a->n,
                    ISC_MAX_TOKEN_ID);
  ISC_TRY(take_id(g, KEY("bos_token_id"), a->n, &a->bos));
  ISC_TRY(take_id(g, KEY("eos_token_id"), a->n, &a->eos));
  ISC_TRY(take_id(g, KEY("unknown_token_id"), a->n, &a->unk));
  ISC_TRY(isc_gguf_bool_or(g, KEY("add_bos_token"), add_bos, &a->add_bos));
  return isc_gguf_bool_or(g, KEY("add_eos_token"), false, &a->add_eos);
}

/* LLaMA 3's has had three names. */
static const char *one_name(const char *pre) {
  return strcmp(pre, "llama3") == 0 || strcmp(pre, "llama-v3") == 0 ? "llama-bpe" : pre;
}

static isc_status byte_level(const isc_gguf *g, arrays *own, isc_tokenizer_arrays *a) {
  const char *pre;
  ISC_TRY(take_strings(g, KEY("merges"), &own->merge, &a->n_merge));
  a->merge = own->merge;
  ISC_TRY(isc_gguf_string_or(g, KEY("pre"), "default", &pre));
  a->pre = one_name(pre);
  return take_ids(g, strcmp(a->pre, "llama-bpe") == 0 || strcmp(a->pre, "tekken") == 0, a);
}

static isc_status by_score(const isc_gguf *g, arrays *own, isc_tokenizer_arrays *a) {
  ISC_TRY(take_scores(g, a->n, &own->score));
  a->score = own->score;
  ISC_TRY(isc_gguf_bool_or(g, KEY("add_space_prefix"), true, &a->add_dummy_prefix));
  ISC_TRY(
      isc_gguf_bool_or(g, KEY("remove_extra_whitespaces"), false, &a->remove_extra_whitespaces));
  return take_ids(g, true, a);
}

static isc_status take_arrays(const isc_gguf *g, arrays *own, isc_tokenizer_arrays *a) {
  const char *model;
  ISC_TRY(isc_gguf_string(g, KEY("model"), &model));
  ISC_TRY(take_strings(g, KEY("tokens"), &own->token, &a->n));
  a->token = own->token;
  ISC_TRY(take_types(g, a->n, &own->type));
  a->type = own->type;
  if (strcmp(model, "gpt2") == 0) return byte_level(g, own, a);
  if (strcmp(model, "llama") == 0) return by_score(g, own, a);
  return isc_fail(ISC_E_UNSUPPORTED, "%s: tokenizer model \"%s\"; \"gpt2\" and \"llama\" are read",
                  a->where, model);
}

isc_status isc_tokenizer_from_gguf(const isc_gguf *g, isc_tokenizer **out) {
  isc_status st = ISC_OK;
  arrays own = {0};
  isc_tokenizer_arrays a = {.where = isc_gguf_path(g)};
  *out = NULL;
  ISC_GO(take_arrays(g, &own, &a));
  ISC_GO(isc_tokenizer_from_arrays(&a, out));
done:
  arrays_free(&own);
  return st;
}
