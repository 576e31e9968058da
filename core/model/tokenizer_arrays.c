/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokenizers from arrays of tokens, merges and scores, such as a GGUF file holds.
 *
 * Such a file names its pre-tokeniser by a word; the parts behind the words known here are those of the models' own
 * tokenizer.json.
 */
#include "model/sentencepiece.h"
#include <inttypes.h>
#include <string.h>

static const char llama3_pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char qwen2_pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char tekken_pattern[] =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|"
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|"
    "\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static const struct {
  const char *name;
  bool nfc;            /* normalised first                 */
  bool digits;         /* each number apart                */
  const char *pattern; /* cut at first; NULL = GPT-2's own */
  bool ignore_merges;
} pre_tokenizers[] = {{.name = "gpt-2"},
                      {.name = "smollm", .digits = true},
                      {.name = "starcoder", .digits = true},
                      {.name = "refact", .digits = true},
                      {.name = "qwen2", .nfc = true, .pattern = qwen2_pattern},
                      {.name = "llama-bpe", .pattern = llama3_pattern, .ignore_merges = true},
                      {.name = "tekken", .pattern = tekken_pattern, .ignore_merges = true}};
static const char known[] = "gpt-2, smollm, starcoder, refact, qwen2, llama-bpe and tekken";

static isc_status set_pre_tokenizer(isc_tokenizer *t, const char *name) {
  const size_t n = sizeof pre_tokenizers / sizeof *pre_tokenizers;
  isc_normalize_part *normalize;
  isc_pre_part *p;
  size_t k = 0;
  while (k < n && (!name || strcmp(name, pre_tokenizers[k].name) != 0))
    k++;
  if (k == n)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "%s: pre-tokenizer \"%s\" is not supported; %s are. Give the directory of the "
                    "model's own tokenizer by the setting \"tokenizer\"",
                    t->where, name ? name : "", known);
  if (pre_tokenizers[k].nfc) {
    ISC_TRY(isc_tokenizer_add_normalizer(t, &normalize));
    normalize->kind = ISC_NORMALIZE_NFC;
  }
  if (pre_tokenizers[k].digits) {
    ISC_TRY(isc_tokenizer_add_pre(t, ISC_PRE_DIGITS, &p));
    p->individual_digits = true;
  }
  if (pre_tokenizers[k].pattern) {
    ISC_TRY(isc_tokenizer_add_pre(t, ISC_PRE_SPLIT, &p));
    ISC_TRY(isc_pattern_set(&p->pattern, pre_tokenizers[k].pattern, true));
  }
  ISC_TRY(isc_tokenizer_add_pre(t, ISC_PRE_BYTE_LEVEL, &p));
  p->use_regex = !pre_tokenizers[k].pattern;
  t->ignore_merges = pre_tokenizers[k].ignore_merges;
  return ISC_OK;
}

/* ---- byte-level BPE */

static isc_status set_token(isc_tokenizer *t, int64_t id, const isc_key *token) {
  isc_text copy = {0};
  if (token->len == 0 || memchr(token->p, '\0', token->len) ||
      !isc_text_is_utf8(token->p, token->len))
    return isc_fail(ISC_E_FORMAT, "%s: token %" PRId64 " is empty, holds a NUL or is not UTF-8",
                    t->where, id);
  isc_status st = isc_text_set(&copy, token->p, token->len);
  if (st == ISC_OK) st = isc_tokenizer_set_token(t, id, copy.data);
  isc_text_free(&copy);
  return st;
}

/* Control tokens are special, user-defined ones are only matched first. */
static isc_status add_by_type(isc_tokenizer *t, const isc_tokenizer_arrays *a) {
  for (int64_t i = 0; a->type && i < a->n; i++) {
    bool special = a->type[i] == ISC_PIECE_CONTROL || a->type[i] == ISC_PIECE_UNKNOWN;
    const isc_added added = {.id = (int32_t)i, .special = special};
    if (special || a->type[i] == ISC_PIECE_USER_DEFINED)
      ISC_TRY(isc_tokenizer_add(t, t->token[i], &added));
  }
  return ISC_OK;
}

static isc_status byte_level(isc_tokenizer *t, const isc_tokenizer_arrays *a) {
  isc_decode_part *decode;
  t->model = ISC_BYTE_BPE;
  ISC_TRY(set_pre_tokenizer(t, a->pre));
  ISC_TRY(isc_tokenizer_add_decoder(t, ISC_DECODE_BYTE_LEVEL, &decode));
  for (int64_t i = 0; i < a->n; i++)
    ISC_TRY(set_token(t, i, &a->token[i]));
  ISC_TRY(isc_tokenizer_index(t));
  isc_tokenizer_byte_ids(t);
  ISC_TRY(isc_bpe_reserve(&t->bpe, a->n_merge, t->where));
  for (int64_t i = 0; i < a->n_merge; i++)
    ISC_TRY(isc_tokenizer_split_merge(t, i, a->merge[i].p, a->merge[i].len));
  ISC_TRY(isc_tokenizer_index_merges(t));
  return add_by_type(t, a);
}

/* ---- SentencePiece */

static isc_status by_score(isc_tokenizer *t, const isc_tokenizer_arrays *a) {
  ISC_TRY(isc_sentencepiece_new(t, a->n));
  for (int64_t i = 0; i < a->n; i++) {
    int64_t type = a->type ? a->type[i] : ISC_PIECE_NORMAL;
    ISC_TRY(isc_sentencepiece_add(t, a->token[i].p, a->token[i].len, a->score[i], type));
    t->sp->byte_fallback |= type == ISC_PIECE_BYTE;
  }
  t->sp->add_dummy_prefix = a->add_dummy_prefix;
  t->sp->remove_extra_whitespaces = a->remove_extra_whitespaces;
  ISC_TRY(isc_strdup(" \xE2\x81\x87 ", &t->sp->unk_surface));
  return isc_sentencepiece_check(t);
}

/* ---- both */

static isc_status take_id(const isc_tokenizer *t, const char *name, int32_t id, int32_t *out) {
  if (id < -1 || id >= t->vocab)
    return isc_fail(ISC_E_FORMAT, "%s: the %s token %" PRId32 " is outside 0 … %" PRId64, t->where,
                    name, id, t->vocab - 1);
  *out = id;
  return ISC_OK;
}

/* The unknown token is SentencePiece's, among its pieces by its type; over bytes nothing is unknown. */
static isc_status set_ids(isc_tokenizer *t, const isc_tokenizer_arrays *a) {
  int32_t unk = -1;
  ISC_TRY(take_id(t, "bos", a->bos, &t->bos));
  ISC_TRY(take_id(t, "eos", a->eos, &t->eos));
  ISC_TRY(take_id(t, "unknown", a->unk, &unk));
  if (a->add_bos && t->bos >= 0) ISC_TRY(isc_tokenizer_add_prefix(t, t->bos));
  return a->add_eos && t->eos >= 0 ? isc_tokenizer_add_suffix(t, t->eos) : ISC_OK;
}

static isc_status fill(isc_tokenizer *t, const isc_tokenizer_arrays *a) {
  if (a->n < 1 || a->n > ISC_MAX_TOKEN_ID)
    return isc_fail(ISC_E_FORMAT, "%s: %" PRId64 " tokens are not 1 … %d", t->where, a->n,
                    ISC_MAX_TOKEN_ID);
  if (!a->merge && !a->score)
    return isc_fail(ISC_E_FORMAT, "%s: the tokens have neither merges nor scores", t->where);
  ISC_TRY(a->merge ? byte_level(t, a) : by_score(t, a));
  ISC_TRY(set_ids(t, a));
  return isc_tokenizer_finish(t);
}

isc_status isc_tokenizer_from_arrays(const isc_tokenizer_arrays *a, isc_tokenizer **out) {
  isc_tokenizer *t;
  *out = NULL;
  ISC_TRY(isc_tokenizer_new(a->where, &t));
  isc_status st = fill(t, a);
  if (st == ISC_OK)
    *out = t;
  else
    isc_tokenizer_close(t);
  return st;
}
