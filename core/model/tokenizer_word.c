/* SPDX-License-Identifier: Apache-2.0
 *
 * The models: from one word to its ids.
 */
#include "model/tokenizer_parts.h"
#include "model/text_utf8.h"
#include <stdlib.h>
#include <string.h>

static _Thread_local int64_t steps_taken;

int64_t isc_tokenizer_steps(void) {
  int64_t n = steps_taken;
  steps_taken = 0;
  return n;
}

void isc_encoding_begin(const isc_tokenizer *t, const char *text, size_t len, isc_ids *out,
                        isc_encoding *e) {
  *e = (isc_encoding){.t = t, .out = out, .text = text};
  e->work.budget = (int64_t)(len < SIZE_MAX / 4096 ? len : SIZE_MAX / 4096) * 1024 + 65536;
}

void isc_encoding_end(isc_encoding *e) {
  steps_taken += e->steps + e->work.steps;
  isc_regex_work_free(&e->work);
  free(e->id);
}

/* Room for the pieces of a word of `len` bytes, and one more. */
static isc_status reserve(isc_encoding *e, size_t len) {
  size_t cap = e->cap ? e->cap : 256;
  if (len < e->cap) return ISC_OK;
  while (cap <= len && cap <= SIZE_MAX / 2)
    cap *= 2;
  void *grown = e->id;
  ISC_TRY(isc_realloc(&grown, cap, sizeof *e->id, "a word"));
  e->id = grown;
  e->cap = cap;
  return ISC_OK;
}

/* Enough of an unknown word to recognise it by. */
static isc_status unknown(const isc_tokenizer *t, const char *s, size_t len) {
  size_t shown = len < 60 ? len : 60;
  while (shown < len && shown > 0 && ((unsigned char)s[shown] & 0xC0u) == 0x80u)
    shown--;
  return isc_fail(ISC_E_SHAPE, "%s: the vocabulary has no \"%.*s\"%s", t->where, (int)shown, s,
                  shown < len ? "…" : "");
}

/* ---- merges */

static isc_status merge(isc_encoding *e, size_t n) {
  isc_status st = isc_bpe_merge(&e->t->bpe, e->id, &n, &e->steps);
  if (st != ISC_OK) return isc_fail_in("%s", e->t->where);
  for (size_t i = 0; i < n; i++)
    isc_ids_add(e->out, e->id[i]);
  return ISC_OK;
}

/* A word that is a token is that token, whatever the merges would make of it. −1 when it is none. The scratch of ids has
 * four bytes for each of the word's, of which at most two are needed to print it. */
static int32_t whole_word(isc_encoding *e, const char *s, size_t len) {
  const isc_tokenizer *t = e->t;
  char *printed = (char *)e->id;
  size_t n = 0;
  if (!t->ignore_merges || len > t->longest) return -1;
  if (t->model == ISC_CHAR_BPE) return isc_tokenizer_model_id(t, s, len);
  for (size_t i = 0; i < len; i++)
    n += isc_utf8_encode(isc_byte_to_char((uint8_t)s[i]), printed + n);
  return isc_tokenizer_model_id(t, printed, n);
}

static isc_status encode_bytes(isc_encoding *e, const char *s, size_t len) {
  const isc_tokenizer *t = e->t;
  for (size_t i = 0; i < len; i++) {
    e->id[i] = t->bpe.byte_id[(uint8_t)s[i]];
    if (e->id[i] < 0)
      return isc_fail(ISC_E_SHAPE, "%s: the vocabulary has no token for byte 0x%02x", t->where,
                      (unsigned)(uint8_t)s[i]);
  }
  return merge(e, len);
}

/* Of each character its token, else its bytes', else <unk>; one <unk> for several in a row when they are fused. */
static isc_status encode_chars(isc_encoding *e, const char *s, size_t len) {
  const isc_tokenizer *t = e->t;
  size_t n = 0, size;
  bool was_unknown = false;
  for (size_t i = 0; i < len; i += size) {
    uint32_t cp;
    size = isc_utf8_decode(s + i, len - i, &cp);
    int32_t id = isc_tokenizer_model_id(t, s + i, size);
    if (id < 0 && t->byte_fallback) {
      for (size_t k = 0; k < size; k++)
        e->id[n++] = t->bpe.byte_id[(uint8_t)s[i + k]];
      continue;
    }
    if (id < 0 && t->unk < 0) return unknown(t, s + i, size);
    if (id < 0 && was_unknown && t->fuse_unk) continue;
    was_unknown = id < 0;
    e->id[n++] = id < 0 ? t->unk : id;
  }
  return merge(e, n);
}

isc_status isc_encode_word(isc_encoding *e, const char *s, size_t len) {
  const isc_tokenizer *t = e->t;
  if (t->model == ISC_WORD_LEVEL) {
    int32_t id = isc_tokenizer_model_id(t, s, len);
    if (id < 0) id = t->unk;
    if (id < 0) return unknown(t, s, len);
    isc_ids_add(e->out, id);
    return ISC_OK;
  }
  ISC_TRY(reserve(e, len));
  int32_t whole = whole_word(e, s, len);
  if (whole >= 0) {
    isc_ids_add(e->out, whole);
    return ISC_OK;
  }
  return t->model == ISC_BYTE_BPE ? encode_bytes(e, s, len) : encode_chars(e, s, len);
}
