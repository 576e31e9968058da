/* SPDX-License-Identifier: Apache-2.0
 *
 * Labels by a regular expression.
 *
 * PCRE2 stays in the library, so that every plugin that matches keeps the same bounds.
 */
#include "base/base.h"
#include <inversescope/regex.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { MAX_STEPS = 1000000, MAX_DEPTH = 100000, MAX_HEAP_KIB = 65536 };

typedef struct regex {
  pcre2_code *code;
  pcre2_match_context *limits;
  char *otherwise;
  int64_t group;
} regex;

static isc_status pcre2_fail(isc_status code, const char *what, int error) {
  PCRE2_UCHAR message[160] = "";
  pcre2_get_error_message(error, message, sizeof message);
  return isc_fail(code, "%s: %s", what, (const char *)message);
}

static isc_status compile(regex *r, const isc_regex_conf *c) {
  int error;
  PCRE2_SIZE at;
  uint32_t groups = 0, flags = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
  if (c->ignore_case) flags |= PCRE2_CASELESS;
  r->code = pcre2_compile((PCRE2_SPTR)c->pattern, strlen(c->pattern), flags, &error, &at, NULL);
  if (!r->code) {
    pcre2_fail(ISC_E_CONFIG, c->pattern, error);
    return isc_fail(ISC_E_CONFIG, "%s (at byte %zu of the pattern)", isc_error(), at);
  }
  pcre2_pattern_info(r->code, PCRE2_INFO_CAPTURECOUNT, &groups);
  if (c->group > (int64_t)groups)
    return isc_fail(ISC_E_CONFIG, "group %" PRId64 ", but \"%s\" has %u groups", c->group,
                    c->pattern, (unsigned)groups);
  r->limits = pcre2_match_context_create(NULL);
  if (!r->limits) return isc_fail(ISC_E_NOMEM, "no memory");
  pcre2_set_match_limit(r->limits, MAX_STEPS);
  pcre2_set_depth_limit(r->limits, MAX_DEPTH);
  pcre2_set_heap_limit(r->limits, MAX_HEAP_KIB);
  return ISC_OK;
}

void isc_regex_close(void *self) {
  regex *r = self;
  if (!r) return;
  pcre2_match_context_free(r->limits);
  pcre2_code_free(r->code);
  free(r->otherwise);
  free(r);
}

isc_status isc_regex_open(const isc_regex_conf *conf, void **self) {
  isc_status st = ISC_OK;
  void *p;
  ISC_TRY(isc_calloc(1, sizeof(regex), "a regular expression", &p));
  regex *r = p;
  r->group = conf->group;
  ISC_GO(compile(r, conf));
  ISC_GO(isc_strdup(conf->otherwise ? conf->otherwise : "", &r->otherwise));
  *self = r;
done:
  if (st != ISC_OK) isc_regex_close(r);
  return st;
}

static isc_status matched(const regex *r, const char *text, pcre2_match_data *m, isc_text *out) {
  const PCRE2_SIZE *span = pcre2_get_ovector_pointer(m);
  if (r->group < 0) return isc_text_set(out, "match", 5);
  size_t begin = span[2 * r->group], end = span[2 * r->group + 1];
  if (begin == PCRE2_UNSET || begin > end)
    return ISC_OK; /* the group took no part, or \K moved past it */
  return isc_text_set(out, text + begin, end - begin);
}

isc_status isc_regex_label(void *self, const char *text, size_t len, isc_text *out) {
  const regex *r = self;
  ISC_TRY(isc_text_set(out, "", 0));
  if (!isc_text_is_utf8(text, len)) return ISC_OK;
  pcre2_match_data *m = pcre2_match_data_create_from_pattern(r->code, NULL);
  if (!m) return isc_fail(ISC_E_NOMEM, "no memory");
  int n = pcre2_match(r->code, (PCRE2_SPTR)text, len, 0, PCRE2_NO_UTF_CHECK, m, r->limits);
  isc_status st = n > 0 ? matched(r, text, m, out)
                  : n == PCRE2_ERROR_NOMATCH
                      ? isc_text_set(out, r->otherwise, strlen(r->otherwise))
                      : pcre2_fail(ISC_E_UNSUPPORTED, "the search was given up", n);
  pcre2_match_data_free(m);
  return st;
}
