/* SPDX-License-Identifier: Apache-2.0
 *
 * The text that tokens add to a prompt, and the stop strings in it.
 */
#include "model/continuation.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

void isc_continuation_free(isc_continuation *c) {
  isc_text_free(&c->before);
  isc_text_free(&c->whole);
  free(c->ids);
  *c = (isc_continuation){0};
}

static int64_t known(const isc_continuation *c, const int32_t *from, int64_t n, int32_t *to) {
  int64_t m = 0;
  for (int64_t i = 0; i < n; i++)
    if (isc_tokenizer_token(c->tok, from[i])) to[m++] = from[i];
  return m;
}

static isc_status make_room(isc_continuation *c, int64_t n) {
  void *ids = c->ids;
  if (n <= c->cap) return ISC_OK;
  ISC_TRY(isc_realloc(&ids, (size_t)n, sizeof *c->ids, "a continuation"));
  c->ids = ids;
  c->cap = n;
  return ISC_OK;
}

isc_status isc_continuation_write(isc_continuation *c, const int32_t *prompt, int64_t n_prompt,
                                  const int32_t *ids, int64_t n) {
  size_t at = 0;
  ISC_TRY(make_room(c, n_prompt + n));
  const int64_t m = known(c, prompt, n_prompt, c->ids);
  ISC_TRY(isc_tokenizer_decode(c->tok, c->ids, m, &c->before));
  ISC_TRY(isc_tokenizer_decode(c->tok, c->ids, m + known(c, ids, n, c->ids + m), &c->whole));
  while (at < c->before.len && at < c->whole.len && c->before.data[at] == c->whole.data[at])
    at++;
  c->text = c->whole.data + at;
  c->len = c->whole.len - at;
  return ISC_OK;
}

void isc_continuation_stop(isc_continuation *c, const char *const *stop, int64_t n_stop,
                           int32_t last, bool *found) {
  const char *token = isc_tokenizer_token(c->tok, last);
  *found = false;
  for (int64_t i = 0; i < n_stop; i++) {
    const char *hit = strstr(c->text, stop[i]);
    if (hit) c->len = (size_t)(hit - c->text);
    *found = *found || hit || (token && strcmp(token, stop[i]) == 0);
    c->whole.data[(size_t)(c->text - c->whole.data) + c->len] = '\0';
  }
}
