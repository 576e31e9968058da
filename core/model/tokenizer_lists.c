/* SPDX-License-Identifier: Apache-2.0
 *
 * The two kinds of tokenizer made from lists: of words, and of characters.
 */
#include "model/tokenizer_parts.h"
#include "model/text_utf8.h"
#include <stdlib.h>
#include <string.h>

/* The format wants an unk_token; one outside the vocabulary makes unknown words an error. */
static isc_status name_absent_unk(isc_tokenizer *t) {
  char name[40] = "<unk>";
  for (int i = 1; isc_tokenizer_id(t, name, strlen(name)) >= 0; i++)
    snprintf(name, sizeof name, "<unk%d>", i);
  return isc_strdup(name, &t->unk_token);
}

/* After the list's own tokens: the end token, special, and the rest. */
static isc_status finish_list(isc_tokenizer *t, const char *eos, int64_t eos_id) {
  const isc_added added = {.id = (int32_t)eos_id, .special = true};
  ISC_TRY(isc_tokenizer_add(t, eos, &added));
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
  isc_pre_part *pre;
  *out = NULL;
  ISC_GO(isc_tokenizer_new("a word list", &t));
  ISC_GO(isc_tokenizer_add_pre(t, ISC_PRE_WHITESPACE_SPLIT, &pre));
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
  isc_pre_part *pre;
  isc_decode_part *decode;
  *out = NULL;
  ISC_GO(isc_tokenizer_new("a character list", &t));
  ISC_GO(isc_tokenizer_add_pre(t, ISC_PRE_CHARS, &pre));
  ISC_GO(isc_tokenizer_add_decoder(t, ISC_DECODE_FUSE, &decode));
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
