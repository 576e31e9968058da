/* SPDX-License-Identifier: Apache-2.0
 *
 * The feature that is a regular expression: what a group captures, or whether it matches at all.
 *
 * Steps, depth and memory of a match are bounded; a text that exceeds them is an error, because a label
 * that depends on where the search gave up would be no feature.
 */
#include <inversescope/feature.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { MAX_STEPS = 1000000, MAX_DEPTH = 100000, MAX_HEAP_KIB = 65536 };

typedef struct regex_conf {
  const char *pattern, *otherwise;
  int64_t group;
  bool ignore_case;
} regex_conf;

#define AT(field) offsetof(regex_conf, field)
static const isc_option options[] = {
    {"pattern", ISC_OPT_STRING, ISC_OPT_REQUIRED, AT(pattern), NULL, NULL, 0, 0, NULL,
     "A PCRE2 regular expression, searched for anywhere in the text."},
    {"group", ISC_OPT_INT, 0, AT(group), NULL, "-1", -1, 65535, NULL,
     "The group whose text is the label, 0 for the whole match; -1 gives the label \"match\"."},
    {"otherwise", ISC_OPT_STRING, 0, AT(otherwise), NULL, NULL, 0, 0, NULL,
     "The label of a text without a match; by default it has none."},
    {"ignore_case", ISC_OPT_BOOL, 0, AT(ignore_case), NULL, "false", 0, 0, NULL,
     "Match letters of either case."},
    ISC_OPTIONS_END};

typedef struct regex {
  pcre2_code *code;
  pcre2_match_context *limits;
  char *otherwise;
  int64_t group;
} regex;

static isc_status pcre2_fail(isc_status code, const char *what, int error) {
  PCRE2_UCHAR message[160] = "";
  pcre2_get_error_message(error, message, sizeof message);
  return isc_fail(code, "feature regex: %s: %s", what, (const char *)message);
}

static isc_status compile(regex *r, const regex_conf *c) {
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
    return isc_fail(ISC_E_CONFIG, "feature regex: group %" PRId64 ", but \"%s\" has %u groups",
                    c->group, c->pattern, (unsigned)groups);
  r->limits = pcre2_match_context_create(NULL);
  if (!r->limits) return isc_fail(ISC_E_NOMEM, "feature regex: no memory");
  pcre2_set_match_limit(r->limits, MAX_STEPS);
  pcre2_set_depth_limit(r->limits, MAX_DEPTH);
  pcre2_set_heap_limit(r->limits, MAX_HEAP_KIB);
  return ISC_OK;
}

static void regex_close(void *self) {
  regex *r = self;
  if (!r) return;
  pcre2_match_context_free(r->limits);
  pcre2_code_free(r->code);
  free(r->otherwise);
  free(r);
}

static isc_status regex_open(const void *conf, const isc_prior *prior, void **self) {
  const regex_conf *c = conf;
  isc_status st = ISC_OK;
  (void)prior;
  regex *r = calloc(1, sizeof *r);
  if (!r) return isc_fail(ISC_E_NOMEM, "feature regex: no memory");
  r->group = c->group;
  ISC_GO(compile(r, c));
  r->otherwise = strdup(c->otherwise ? c->otherwise : "");
  if (!r->otherwise) ISC_GO(isc_fail(ISC_E_NOMEM, "feature regex: no memory"));
  *self = r;
done:
  if (st != ISC_OK) regex_close(r);
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

static isc_status regex_label(void *self, const char *text, size_t len, isc_text *out) {
  const regex *r = self;
  ISC_TRY(isc_text_set(out, "", 0));
  if (!isc_text_is_utf8(text, len)) return ISC_OK;
  pcre2_match_data *m = pcre2_match_data_create_from_pattern(r->code, NULL);
  if (!m) return isc_fail(ISC_E_NOMEM, "feature regex: no memory");
  int n = pcre2_match(r->code, (PCRE2_SPTR)text, len, 0, PCRE2_NO_UTF_CHECK, m, r->limits);
  isc_status st = n > 0 ? matched(r, text, m, out)
                  : n == PCRE2_ERROR_NOMATCH
                      ? isc_text_set(out, r->otherwise, strlen(r->otherwise))
                      : pcre2_fail(ISC_E_UNSUPPORTED, "the search was given up", n);
  pcre2_match_data_free(m);
  return st;
}

static const isc_feature_ops ops = {
    .size = sizeof ops, .open = regex_open, .close = regex_close, .label = regex_label};

static const isc_class regex_class = {
    ISC_CLASS(ISC_FEATURE),
    .name = "regex",
    .version = "1.0.0",
    .summary = "What a regular expression finds in the text",
    .licence = "Apache-2.0",
    .options = options,
    .conf_size = sizeof(regex_conf),
    .ops = &ops,
};

ISC_PLUGIN("regex", "1.0.0", &regex_class);
