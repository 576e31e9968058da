/* SPDX-License-Identifier: Apache-2.0
 *
 * Labels by a regular expression (PCRE2): what a group captures, or whether there is a match at all.
 *
 * Steps, depth and memory of a match are bounded. A text that exceeds them is an error, because a label
 * that depends on where the search gave up would be no feature.
 */
#ifndef ISC_REGEX_H
#define ISC_REGEX_H

#include <inversescope/option.h>
#include <inversescope/text.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The settings of an expression, a member of a plugin's conf struct. Frozen. */
typedef struct isc_regex_conf {
  const char *pattern;   /* searched for anywhere in the text, as UTF-8             */
  int64_t group;         /* whose text is the label, 0 = the whole match; −1: "match" */
  const char *otherwise; /* the label without a match; NULL = none                    */
  bool ignore_case;
} isc_regex_conf;

/* In an option table: pattern, group, otherwise and ignore_case of the member. */
#define ISC_REGEX_OPTIONS(conf, member)                                                            \
  {"pattern",                                                                                      \
   ISC_OPT_STRING,                                                                                 \
   ISC_OPT_REQUIRED,                                                                               \
   offsetof(conf, member.pattern),                                                                 \
   NULL,                                                                                           \
   NULL,                                                                                           \
   0,                                                                                              \
   0,                                                                                              \
   NULL,                                                                                           \
   "A PCRE2 regular expression, searched for anywhere in the text."},                              \
      {"group",                                                                                    \
       ISC_OPT_INT,                                                                                \
       0,                                                                                          \
       offsetof(conf, member.group),                                                               \
       NULL,                                                                                       \
       "-1",                                                                                       \
       -1,                                                                                         \
       65535,                                                                                      \
       NULL,                                                                                       \
       "The group whose text is the label, 0 for the whole match; -1 gives the label \"match\"."}, \
      {"otherwise", ISC_OPT_STRING,                                                                \
       0,           offsetof(conf, member.otherwise),                                              \
       NULL,        NULL,                                                                          \
       0,           0,                                                                             \
       NULL,        "The label of a text without a match; by default it has none."},               \
  {                                                                                                \
    "ignore_case", ISC_OPT_BOOL, 0, offsetof(conf, member.ignore_case), NULL, "false", 0, 0, NULL, \
        "Match letters of either case."                                                            \
  }

/* Compile the expression; nothing of the settings is kept. ISC_E_CONFIG with the place in the pattern for one that does
 * not compile, and for a group that it lacks. A compiled expression never changes. Any thread. */
ISC_API isc_status isc_regex_open(const isc_regex_conf *conf, void **regex);
ISC_API void isc_regex_close(void *regex); /* NULL is fine */
/* The label of a text: empty where it is not UTF-8, or where the group took no part in the match. ISC_E_UNSUPPORTED when
 * the search exceeds its bounds (10^6 steps, depth 10^5, 64 MiB). Any thread. */
ISC_API isc_status isc_regex_label(void *regex, const char *text, size_t len, isc_text *out);

#ifdef __cplusplus
}
#endif
#endif
