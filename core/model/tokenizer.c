/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokenizer's public face: encode, decode, and what it knows of its tokens.
 *
 * Nothing here changes a tokenizer, which is what makes it usable from any number of threads.
 */
#include "model/tokenizer_parts.h"
#include "model/text_utf8.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Enough of an unknown word to recognise it by. */
static isc_status unknown_word(const isc_tokenizer *t, const char *s, size_t len) {
  size_t shown = len < 60 ? len : 60;
  while (shown < len && shown > 0 && ((unsigned char)s[shown] & 0xC0u) == 0x80u)
    shown--;
  return isc_fail(ISC_E_SHAPE, "%s: the vocabulary has no \"%.*s\"%s", t->where, (int)shown, s,
                  shown < len ? "…" : "");
}

static isc_status encode_word(const isc_tokenizer *t, const char *s, size_t len, isc_ids *out) {
  if (t->model == ISC_BYTE_BPE) {
    isc_status st = isc_bpe_encode(&t->bpe, s, len, out);
    return st == ISC_OK ? st : isc_fail_in("%s", t->where);
  }
  int32_t id = isc_tokenizer_id(t, s, len);
  if (id < 0) id = t->unk;
  if (id < 0) return unknown_word(t, s, len);
  isc_ids_add(out, id);
  return ISC_OK;
}

static isc_status encode(const isc_tokenizer *t, const char *text, size_t len, isc_ids *out) {
  const isc_splitter s = {encode_word, out};
  return isc_tokenizer_split(t, &s, text, len);
}

isc_status isc_tokenizer_encode_plain(const isc_tokenizer *t, const char *text, size_t len,
                                      int32_t *ids, int64_t max, int64_t *n) {
  isc_ids out = {ids, max, 0};
  isc_status st = encode(t, text, len, &out);
  *n = out.n;
  return st;
}

isc_status isc_tokenizer_encode(const isc_tokenizer *t, const char *text, size_t len, int32_t *ids,
                                int64_t max, int64_t *n) {
  isc_ids out = {ids, max, 0};
  for (int64_t i = 0; i < t->n_prefix; i++)
    isc_ids_add(&out, t->prefix[i]);
  isc_status st = encode(t, text, len, &out);
  for (int64_t i = 0; i < t->n_suffix; i++)
    isc_ids_add(&out, t->suffix[i]);
  *n = out.n;
  return st;
}

/* Bytes of a token written in GPT-2's printable characters; of any other token its own. */
static isc_status append_bytes(const char *token, isc_text *out) {
  size_t len = strlen(token), start = out->len, n;
  uint32_t cp = 0;
  for (size_t i = 0; i < len; i += n) {
    n = isc_utf8_decode(token + i, len - i, &cp);
    int byte = n ? isc_char_to_byte(cp) : -1;
    if (byte < 0) {
      out->len = start;
      return isc_text_append(out, token, len);
    }
    char c = (char)byte;
    ISC_TRY(isc_text_append(out, &c, 1));
  }
  return ISC_OK;
}

/* Length of the ill-formed piece at s that one U+FFFD stands for: the longest start of a well-formed
 * sequence, else one byte (Unicode 15, 3.9, as Rust's lossy conversion does). */
static size_t ill_formed(const unsigned char *s, size_t n) {
  size_t want = s[0] >= 0xF0u ? 4 : s[0] >= 0xE0u ? 3 : 2, have = 1;
  if (s[0] < 0xC2u || s[0] > 0xF4u) return 1;
  unsigned low = s[0] == 0xE0u ? 0xA0u : s[0] == 0xF0u ? 0x90u : 0x80u;
  unsigned high = s[0] == 0xEDu ? 0x9Fu : s[0] == 0xF4u ? 0x8Fu : 0xBFu;
  while (have < want && have < n && s[have] >= low && s[have] <= high) {
    have++;
    low = 0x80u;
    high = 0xBFu;
  }
  return have;
}

/* A sampled text may end in the middle of a character: what is not UTF-8 becomes U+FFFD. */
static isc_status make_valid(isc_text *t) {
  isc_text fixed = {0};
  isc_status st = ISC_OK;
  if (isc_text_is_utf8(t->data, t->len)) return ISC_OK;
  for (size_t i = 0, n; i < t->len; i += n) {
    uint32_t cp;
    n = isc_utf8_decode(t->data + i, t->len - i, &cp);
    if (n) {
      ISC_GO(isc_text_append(&fixed, t->data + i, n));
      continue;
    }
    n = ill_formed((const unsigned char *)t->data + i, t->len - i);
    ISC_GO(isc_text_append(&fixed, "\xEF\xBF\xBD", 3));
  }
  ISC_GO(isc_text_set(t, fixed.data, fixed.len));
done:
  isc_text_free(&fixed);
  return st;
}

isc_status isc_tokenizer_decode(const isc_tokenizer *t, const int32_t *ids, int64_t n,
                                isc_text *out) {
  bool first = true;
  ISC_TRY(isc_text_set(out, "", 0));
  for (int64_t i = 0; i < n; i++) {
    const char *token = isc_tokenizer_token(t, ids[i]);
    if (!token)
      return isc_fail(ISC_E_SHAPE, "%s: there is no token with id %" PRId32, t->where, ids[i]);
    if (t->special[ids[i]]) continue;
    if (t->decode == ISC_DECODE_SPACES && !first) ISC_TRY(isc_text_append(out, " ", 1));
    first = false;
    ISC_TRY(t->decode == ISC_DECODE_BYTES ? append_bytes(token, out)
                                          : isc_text_append(out, token, strlen(token)));
  }
  return make_valid(out);
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

void isc_tokenizer_close(isc_tokenizer *t) {
  if (!t) return;
  for (int64_t i = 0; i < t->vocab; i++)
    free(t->token[i]);
  for (int pass = 0; pass < 2; pass++) {
    isc_table_free(&t->pass[pass].table);
    free(t->pass[pass].key);
    free(t->pass[pass].id);
  }
  isc_table_free(&t->by_token);
  isc_bpe_free(&t->bpe);
  pcre2_code_free(t->regex);
  free(t->token);
  free(t->special);
  free(t->key);
  free(t->added);
  free(t->prefix);
  free(t->suffix);
  free(t->unk_token);
  free(t->where);
  free(t);
}
