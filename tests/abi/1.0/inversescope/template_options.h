/* SPDX-License-Identifier: Apache-2.0
 *
 * The options that every template prior has: a template file, how many templates, own lists of words.
 *
 * They stand in the plugin's own option table beside its others, and fill structs that the plugin hands to
 * isc_template_prior_open (template_prior.h).
 */
#ifndef ISC_TEMPLATE_OPTIONS_H
#define ISC_TEMPLATE_OPTIONS_H

#include <inversescope/option.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A conf struct has one isc_template_conf, and an isc_template_list_conf for each list the user may
 * replace; both structs are frozen. */
typedef struct isc_template_conf {
  const char *file;     /* the user's templates, NULL = the built-in ones            */
  int64_t n_templates;  /* the first so many of each group, 0 = all                  */
  int32_t spacing;      /* index into isc_template_spacings                          */
  double test_fraction; /* of the support                                            */
} isc_template_conf;

/* The user's say in one list. */
typedef struct isc_template_list_conf {
  isc_list own; /* empty = the built-in list             */
  int64_t n;    /* the first so many of it, 0 = all      */
} isc_template_list_conf;

/* "natural", "words", NULL. Words: a space before each of , . ; : ! ? of the built-in templates. */
ISC_API extern const char *const isc_template_spacings[];

/* In an option table: file, spacing, n_templates and test_fraction. `slots`, a string literal, names the slots for the
 * user: "[A] and [PLACE]". */
#define ISC_TEMPLATE_OPTIONS(conf, member, slots)                                                  \
  {"file",                                                                                         \
   ISC_OPT_PATH,                                                                                   \
   ISC_OPT_MUST_EXIST,                                                                             \
   offsetof(conf, member.file),                                                                    \
   NULL,                                                                                           \
   NULL,                                                                                           \
   0,                                                                                              \
   0,                                                                                              \
   NULL,                                                                                           \
   "A file of templates to use instead of the built-in ones: one a line, with " slots "."},        \
      {"spacing",                                                                                  \
       ISC_OPT_ENUM,                                                                               \
       0,                                                                                          \
       offsetof(conf, member.spacing),                                                             \
       NULL,                                                                                       \
       "natural",                                                                                  \
       0,                                                                                          \
       0,                                                                                          \
       isc_template_spacings,                                                                      \
       "words puts spaces around the punctuation of the built-in templates, for word-level "       \
       "tokenizers."},                                                                             \
      {"n_templates",                                                                              \
       ISC_OPT_INT,                                                                                \
       0,                                                                                          \
       offsetof(conf, member.n_templates),                                                         \
       "templates",                                                                                \
       "0",                                                                                        \
       0,                                                                                          \
       100000,                                                                                     \
       NULL,                                                                                       \
       "How many templates of each kind to use, from the first on; 0 is all."},                    \
  {                                                                                                \
    "test_fraction", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN | ISC_OPT_OPEN_MAX,                           \
        offsetof(conf, member.test_fraction), NULL, "0.1", 0, 1, NULL,                             \
        "Share of the prompts held out as the test split."                                         \
  }

/* In an option table: the options `list` and n_`list`. `member`, the isc_template_list_conf, has the list's name, which
 * is also its isc_template_list.what: names → "names" and "n_names". */
#define ISC_TEMPLATE_LIST_OPTIONS(conf, member)                                                    \
  {"n_" #member,                                                                                   \
   ISC_OPT_INT,                                                                                    \
   0,                                                                                              \
   offsetof(conf, member.n),                                                                       \
   #member,                                                                                        \
   "0",                                                                                            \
   0,                                                                                              \
   1000000,                                                                                        \
   NULL,                                                                                           \
   "How many " #member " to use, from the first on; 0 is all."},                                   \
  {                                                                                                \
#member, ISC_OPT_STRING_LIST, 0, offsetof(conf, member.own), NULL, NULL, 0, 0, NULL,           \
        "A list of " #member " to use instead of the built-in one."                                \
  }

#ifdef __cplusplus
}
#endif
#endif
