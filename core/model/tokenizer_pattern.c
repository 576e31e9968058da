/* SPDX-License-Identifier: Apache-2.0
 *
 * What a Split or a Replace looks for.
 */
#include "model/tokenizer_parts.h"
#include <stdlib.h>
#include <string.h>

isc_status isc_pattern_set(isc_pattern *p, const char *text, bool is_regex) {
  isc_pattern_free(p);
  if (text[0] == '\0') return isc_fail(ISC_E_UNSUPPORTED, "an empty pattern");
  ISC_TRY(isc_strdup(text, &p->text));
  return is_regex ? isc_split_regex_open(text, &p->regex) : ISC_OK;
}

void isc_pattern_free(isc_pattern *p) {
  free(p->text);
  isc_split_regex_close(p->regex);
  *p = (isc_pattern){0};
}

isc_status isc_pattern_find(const isc_pattern *p, isc_regex_work *w, const char *s, size_t len,
                            size_t at, size_t *begin, size_t *end) {
  if (p->regex) return isc_split_regex_find(p->regex, w, s, len, at, begin, end);
  size_t n = strlen(p->text);
  const char *found = at < len ? memmem(s + at, len - at, p->text, n) : NULL;
  *begin = found ? (size_t)(found - s) : len;
  *end = found ? *begin + n : len;
  return ISC_OK;
}
