/* SPDX-License-Identifier: Apache-2.0
 *
 * The normalisers: what a text becomes before it is cut.
 *
 * A file may ask for replacements of replacements, so how much a text may grow is bounded.
 */
#include "model/tokenizer_parts.h"
#include "model/unicode_canonical.h"
#include <string.h>

/* Every occurrence of the pattern by the content. */
static isc_status replace(const isc_normalize_part *p, isc_regex_work *w, const isc_text *in,
                          isc_text *out) {
  size_t begin, end, content = strlen(p->content);
  for (size_t at = 0; at < in->len; at = end) {
    ISC_TRY(isc_pattern_find(&p->pattern, w, in->data, in->len, at, &begin, &end));
    ISC_TRY(isc_text_append(out, in->data + at, begin - at));
    if (begin < in->len) ISC_TRY(isc_text_append(out, p->content, content));
  }
  return ISC_OK;
}

static isc_status normalize(const isc_normalize_part *p, isc_regex_work *w, const isc_text *in,
                            isc_text *out) {
  isc_text_clear(out);
  if (in->len == 0) return ISC_OK;
  if (p->kind == ISC_NORMALIZE_NFC) return isc_text_compose(in->data, in->len, out);
  if (p->kind == ISC_NORMALIZE_REPLACE) return replace(p, w, in, out);
  ISC_TRY(isc_text_append(out, p->content, strlen(p->content)));
  return isc_text_append(out, in->data, in->len);
}

isc_status isc_tokenizer_normalize(const isc_tokenizer *t, isc_regex_work *w, const char *s,
                                   size_t len, isc_text *out) {
  isc_text other = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_text_set(out, s, len));
  for (int64_t i = 0; i < t->n_normalize; i++) {
    ISC_GO(normalize(&t->normalize[i], w, out, &other));
    if (other.len / 64 > len + 1024)
      ISC_GO(isc_fail(ISC_E_UNSUPPORTED,
                      "the normalizer makes %zu bytes of a text of %zu; at most 64 times as "
                      "many are accepted",
                      other.len, len));
    isc_text swap = *out;
    *out = other;
    other = swap;
  }
done:
  isc_text_free(&other);
  return st;
}
