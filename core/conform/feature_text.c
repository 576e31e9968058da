/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of features: any text at all, and texts that went through a tokenizer.
 *
 * What is labelled comes out of a generator, which may write anything; and it comes out of a tokenizer, which may write
 * white space otherwise than the prior did.
 */
#include "conform/feature_use.h"
#include <inversescope/tokenizer.h>
#include <stdlib.h>
#include <string.h>

enum { FEW = 32, HUGE_TEXT = 1 << 20, SLACK = 4096 };

/* ---- feature.text */

static isc_status repeated(isc_texts *out, const char *s, size_t len) {
  isc_text x = {0};
  isc_status st = ISC_OK;
  while (st == ISC_OK && len > 0 && x.len < HUGE_TEXT)
    st = isc_text_append(&x, s, len);
  if (st == ISC_OK) st = isc_texts_add(out, x.data ? x.data : "", x.len);
  isc_text_free(&x);
  return st;
}

static isc_status add_odd(isc_texts *out, const isc_texts *usual) {
  static const char blanks[] = " \t\n\v\f\r", signs[] = "%s%n\\0\\\"'\x1b[31m";
  char bytes[256];
  for (int i = 0; i < 256; i++)
    bytes[i] = (char)i;
  const isc_text *x = usual->n ? &usual->at[0] : NULL;
  ISC_TRY(isc_texts_add_foreign(out, x));
  ISC_TRY(isc_texts_add(out, bytes, 256));
  ISC_TRY(isc_texts_add(out, bytes, 32));
  ISC_TRY(isc_texts_add(out, blanks, sizeof blanks - 1));
  ISC_TRY(isc_texts_add(out, signs, sizeof signs - 1));
  ISC_TRY(repeated(out, "a", 1));
  ISC_TRY(repeated(out, " ", 1));
  ISC_TRY(repeated(out, "\xff", 1));
  ISC_TRY(repeated(out, "a b, ", 5));
  for (size_t cut = 1; x && cut < x->len; cut += 1 + x->len / 16)
    ISC_TRY(isc_texts_add(out, x->data, cut));
  return x ? repeated(out, x->data, x->len) : ISC_OK;
}

static isc_status labels_odd(const isc_feature_trial *t, void *self, const isc_text *x,
                             isc_text *label) {
  ISC_TRY(isc_feature_label(t, self, x, label));
  if (!isc_text_is_utf8(label->data, label->len))
    return isc_fail(ISC_E_INTERNAL, "the label of %s is %s, which is not UTF-8", isc_shown_text(x),
                    isc_shown_text(label));
  if (label->len <= x->len + SLACK) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "the label of %s has %zu bytes", isc_shown_text(x), label->len);
}

static isc_status any_text(isc_conform *c) {
  isc_feature_trial t = {0};
  isc_texts odd = {0};
  isc_text label = {0};
  void *self = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_feature_trial_open(c, FEW, &t));
  ISC_GO(add_odd(&odd, &t.texts));
  ISC_GO(isc_feature_instance(&t, &self));
  for (int64_t i = 0; i < odd.n && st == ISC_OK; i++)
    st = labels_odd(&t, self, &odd.at[i], &label);
  for (int64_t i = 0; i < t.texts.n && st == ISC_OK; i++)
    st = labels_odd(&t, self, &t.texts.at[i], &label);
  t.ops->close(self);
done:
  isc_text_free(&label);
  isc_texts_free(&odd);
  isc_feature_trial_close(&t);
  return st;
}

/* ---- feature.retokenised */

static const char EOS[] = "<|end|>";

typedef struct vocabulary {
  const char **at; /* [n], in `texts` */
  isc_texts texts;
  int64_t n;
} vocabulary;

static isc_status add_once(vocabulary *v, const char *s, size_t len) {
  const isc_text x = {(char *)(uintptr_t)s, len, len};
  for (int64_t i = 0; i < v->texts.n; i++)
    if (isc_same_text(&v->texts.at[i], &x)) return ISC_OK;
  return isc_texts_add(&v->texts, s, len);
}

static bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

static isc_status add_words(vocabulary *v, const isc_text *x) {
  for (size_t i = 0; i < x->len;) {
    size_t end = i;
    while (end < x->len && !is_space(x->data[end]))
      end++;
    if (end > i) ISC_TRY(add_once(v, x->data + i, end - i));
    i = end + (end == i);
  }
  return ISC_OK;
}

static isc_status add_characters(vocabulary *v, const isc_text *x) {
  for (size_t i = 0; i < x->len;) {
    size_t end = i + 1;
    while (end < x->len && ((unsigned char)x->data[end] & 0xC0) == 0x80)
      end++;
    ISC_TRY(add_once(v, x->data + i, end - i));
    i = end;
  }
  return ISC_OK;
}

/* A tokenizer of the words, or the characters, of these texts. */
static isc_status make_tokenizer(const isc_texts *texts, bool words, isc_tokenizer **out) {
  vocabulary v = {0};
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < texts->n; i++)
    ISC_GO(words ? add_words(&v, &texts->at[i]) : add_characters(&v, &texts->at[i]));
  ISC_GO(add_once(&v, EOS, sizeof EOS - 1));
  v.n = v.texts.n;
  ISC_GO(isc_calloc((size_t)v.n, sizeof *v.at, "words", (void **)&v.at));
  for (int64_t i = 0; i < v.n; i++)
    v.at[i] = v.texts.at[i].data;
  /* The end is one of the words, but no character; from_chars adds it. */
  st = words ? isc_tokenizer_from_words(v.at, v.n, EOS, out)
             : isc_tokenizer_from_chars(v.at, v.n - 1, EOS, out);
done:
  free(v.at);
  isc_texts_free(&v.texts);
  return st;
}

static isc_status there_and_back(const isc_tokenizer *k, const isc_text *x, isc_text *out) {
  int64_t n = 0;
  void *ids = NULL;
  ISC_TRY(isc_tokenizer_encode_plain(k, x->data, x->len, NULL, 0, &n));
  ISC_TRY(isc_calloc((size_t)n, sizeof(int32_t), "tokens", &ids));
  isc_status st = isc_tokenizer_encode_plain(k, x->data, x->len, ids, n, &n);
  if (st == ISC_OK) st = isc_tokenizer_decode(k, ids, n, out);
  free(ids);
  return st;
}

static isc_status stable(const isc_feature_trial *t, void *self, const isc_tokenizer *k,
                         const isc_text *x, const char *which) {
  isc_text again = {0}, a = {0}, b = {0};
  isc_status st = ISC_OK;
  ISC_GO(there_and_back(k, x, &again));
  if (isc_same_text(x, &again)) goto done;
  ISC_GO(isc_feature_label(t, self, x, &a));
  ISC_GO(isc_feature_label(t, self, &again, &b));
  if (!isc_same_text(&a, &b))
    st = isc_fail(ISC_E_INTERNAL,
                  "the label of %s is %s; a %s-level tokenizer writes it %s, whose label is %s",
                  isc_shown_text(x), isc_shown_text(&a), which, isc_shown_text(&again),
                  isc_shown_text(&b));
done:
  isc_text_free(&again);
  isc_text_free(&a);
  isc_text_free(&b);
  return st;
}

/* Only what a tokenizer can have for input: text. */
static isc_status keep_texts(const isc_texts *from, isc_texts *out) {
  for (int64_t i = 0; i < from->n; i++) {
    const isc_text *x = &from->at[i];
    if (x->len > 0 && isc_text_is_utf8(x->data, x->len) && !memchr(x->data, 0, x->len))
      ISC_TRY(isc_texts_add(out, x->data, x->len));
  }
  return ISC_OK;
}

static isc_status retokenised(isc_conform *c) {
  isc_feature_trial t = {0};
  isc_texts texts = {0};
  void *self = NULL;
  bool open = false;
  isc_tokenizer *k = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_feature_trial_open(c, FEW, &t));
  ISC_GO(keep_texts(&t.texts, &texts));
  ISC_GO(isc_feature_instance(&t, &self));
  open = true;
  for (int words = 0; words < 2; words++) {
    ISC_GO(make_tokenizer(&texts, words, &k));
    for (int64_t i = 0; i < texts.n; i++)
      ISC_GO(stable(&t, self, k, &texts.at[i], words ? "word" : "character"));
    isc_tokenizer_close(k);
    k = NULL;
  }
done:
  isc_tokenizer_close(k);
  if (open) t.ops->close(self);
  isc_texts_free(&texts);
  isc_feature_trial_close(&t);
  return st;
}

const isc_check isc_checks_feature_text[] = {
    {"feature.text", ISC_OF(ISC_FEATURE), ISC_PER_CASE, 20,
     "Any bytes, empty, huge, with NULs or broken UTF-8, get a label, the null label or an error "
     "with a message; a label is UTF-8 and no longer than the text has reason for.",
     "Use the length, never a NUL; test isc_text_is_utf8 first if the rule needs characters; bound "
     "the work a text can cause.",
     any_text},
    {"feature.retokenised", ISC_OF(ISC_FEATURE), ISC_PER_CASE, 20,
     "A text that a tokenizer took apart and put together again keeps its label.",
     "A word-level tokenizer puts one space between words, so runs of white space must not matter.",
     retokenised},
    {0}};
