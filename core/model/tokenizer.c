/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokenizer's public face: encode, decode, and what it knows of its tokens.
 *
 * Nothing here changes a tokenizer, which is what makes it usable from any number of threads.
 */
#include "model/tokenizer_parts.h"
#include "model/sentencepiece.h"
#include "model/text_utf8.h"
#include <string.h>

static isc_status encode(const isc_tokenizer *t, const char *text, size_t len, isc_ids *out) {
  isc_encoding e;
  if (!isc_text_is_utf8(text, len)) return isc_fail(ISC_E_FORMAT, "the text is not UTF-8");
  isc_encoding_begin(t, text, len, out, &e);
  isc_status st = t->model == ISC_SENTENCEPIECE ? isc_sentencepiece_encode(&e, text, len)
                                                : isc_encode_text(&e, text, len);
  isc_encoding_end(&e);
  return st;
}

isc_status isc_tokenizer_encode_plain(const isc_tokenizer *t, const char *text, size_t len,
                                      int32_t *ids, int64_t max, int64_t *n) {
  isc_ids out = {ids, max, 0};
  isc_status st = encode(t, text, len, &out);
  *n = out.n;
  return st;
}

/* Does the text begin with the token that is put before it? White space before that counts when the token takes it. */
static bool has_bos_already(const isc_tokenizer *t, const char *text, size_t len) {
  const isc_key *bos = &t->key[t->bos];
  size_t at = 0, n;
  uint32_t cp;
  bool lstrip = false;
  for (int64_t i = 0; i < t->n_added; i++)
    lstrip |= t->added[i].id == t->bos && t->added[i].lstrip;
  while (lstrip && (n = isc_utf8_decode(text + at, len - at, &cp)) > 0 && isc_is_white_space(cp))
    at += n;
  return len - at >= bos->len && memcmp(text + at, bos->p, bos->len) == 0;
}

/* What is put before a text must be known, and must not be there already. */
static isc_status check_bos(const isc_tokenizer *t, const char *text, size_t len) {
  if (t->bos_conflict && t->bos_policy == ISC_BOS_MODEL)
    return isc_fail(ISC_E_CONFIG, "%s", t->bos_conflict);
  if (t->n_prefix == 0 || t->bos < 0 || t->prefix[0] != t->bos || !has_bos_already(t, text, len))
    return ISC_OK;
  return isc_fail(ISC_E_FORMAT,
                  "the text begins with \"%s\", which the tokenizer puts before every text: there "
                  "would be two; take it out of the text, or set bos to \"never\"",
                  t->token[t->bos]);
}

isc_status isc_tokenizer_encode(const isc_tokenizer *t, const char *text, size_t len, int32_t *ids,
                                int64_t max, int64_t *n) {
  isc_ids out = {ids, max, 0};
  *n = 0;
  ISC_TRY(check_bos(t, text, len));
  for (int64_t i = 0; i < t->n_prefix; i++)
    isc_ids_add(&out, t->prefix[i]);
  isc_status st = encode(t, text, len, &out);
  for (int64_t i = 0; i < t->n_suffix; i++)
    isc_ids_add(&out, t->suffix[i]);
  *n = out.n;
  return st;
}

/* A sampled text may end in the middle of a character: what is not UTF-8 becomes U+FFFD. */
isc_status isc_tokenizer_decode(const isc_tokenizer *t, const int32_t *ids, int64_t n,
                                isc_text *out) {
  ISC_TRY(t->model == ISC_SENTENCEPIECE ? isc_sentencepiece_decode(t, ids, n, out)
                                        : isc_tokenizer_run_decoders(t, ids, n, out));
  return isc_text_make_utf8(out);
}

int64_t isc_tokenizer_vocab(const isc_tokenizer *t) {
  return t->vocab;
}

int32_t isc_tokenizer_bos(const isc_tokenizer *t) {
  return t->bos;
}

int32_t isc_tokenizer_eos(const isc_tokenizer *t) {
  return t->eos;
}

int32_t isc_tokenizer_unk(const isc_tokenizer *t) {
  return t->unk;
}

const char *isc_tokenizer_token(const isc_tokenizer *t, int32_t id) {
  return id >= 0 && id < t->vocab ? t->token[id] : NULL;
}

void isc_tokenizer_fingerprint(const isc_tokenizer *t, char hex[33]) {
  memcpy(hex, t->fingerprint, 33);
}
