/* SPDX-License-Identifier: Apache-2.0
 *
 * A template prior as one description: what a prior plugin made of templates and word lists needs.
 *
 * The plugin writes its lists, names its slots and, where templates differ in kind, says how to read one; the
 * library does the rest: the usual options, the user's own lists and template file, answers, and every
 * member of isc_prior_ops, as in template.h. plugins/priors/ioi.c is an example.
 */
#ifndef ISC_TEMPLATE_PRIOR_H
#define ISC_TEMPLATE_PRIOR_H

#include <inversescope/template.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Options. A conf struct has one isc_template_conf, and an isc_template_list_conf for each list the user may
 * replace; both structs are frozen. */
typedef struct isc_template_conf {
  const char *file;      /* the user's templates, NULL = the built-in ones            */
  int64_t n_templates;   /* the first so many of each group, 0 = all                  */
  int32_t spacing;       /* index into isc_template_spacings                          */
  double test_fraction;  /* of the support                                            */
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
  {"file", ISC_OPT_PATH, ISC_OPT_MUST_EXIST, offsetof(conf, member.file), NULL, NULL, 0, 0, NULL,  \
   "A file of templates to use instead of the built-in ones: one a line, with " slots "."},        \
      {"spacing", ISC_OPT_ENUM, 0, offsetof(conf, member.spacing), NULL, "natural", 0, 0,          \
       isc_template_spacings,                                                                      \
       "words puts spaces around the punctuation of the built-in templates, for word-level "       \
       "tokenizers."},                                                                             \
      {"n_templates", ISC_OPT_INT, 0, offsetof(conf, member.n_templates), "templates", "0", 0,     \
       100000, NULL, "How many templates of each kind to use, from the first on; 0 is all."},      \
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

/* ---- The description */

/* A slot and its built-in values. */
typedef struct isc_template_list {
  const char *slot;          /* "A" is written [A] in a template                                       */
  const char *what;          /* "names": what messages call its values, and n_names                    */
  const char *const *values; /* the built-in ones, NULL-terminated; distinct, non-empty                */
  const isc_template_list_conf *conf; /* what the user said of them; NULL = always `values`                 */
  const char *differs_from;           /* as in isc_template_slot                                            */
  bool answers; /* at the end of a template it is the answer, not part of the text              */
} isc_template_list;

/* What a template says of itself. */
typedef struct isc_template_reading {
  size_t size;        /* set by the library                                                     */
  const char *answer; /* the slot whose value follows the text, NULL = none; on entry the one cut
                         off the template's end                                                 */
  int64_t group;      /* the kind of template it is, on entry 0                                 */
} isc_template_reading;

/* A template prior. */
typedef struct isc_template_prior_spec {
  size_t size;      /* sizeof(isc_template_prior_spec)               */
  const char *name; /* of the class; begins every message            */
  const isc_template_conf *conf;
  const char *const *templates; /* the built-in ones, NULL-terminated            */
  const isc_template_list *lists; /* [n_lists] the slots                           */
  size_t list_size;               /* sizeof(isc_template_list)                     */
  int64_t n_lists;
  const char *percent_s; /* the slot a "%s" stands for; NULL = "%s" is text */
  /* What kind of template `text` is, and its answer: a function of the text alone. `text` has no answer slot and no
   * blanks at its ends. A failure's message is put behind the template's place. NULL = one group; the answer is
   * the slot cut off. */
  isc_status (*read)(const char *text, isc_template_reading *out);
  const char *const *groups; /* their names, NULL-terminated; NULL = one group */
  int64_t group;             /* the only group to use, −1 = all                */
  uint64_t seed;
} isc_template_prior_spec;

/* In an isc_template_prior_spec: an array of lists. */
#define ISC_TEMPLATE_LISTS(array)                                                                  \
  .lists = (array), .list_size = sizeof *(array), .n_lists = sizeof(array) / sizeof *(array)

/* A set of templates for the functions of template.h and the two below; nothing of the spec is kept. In a file, a line
 * that begins with # is a comment; blanks at a template's ends do not count. The texts are numbered by template
 * (in the order given, those left out skipped), then by slot, the last of `lists` running fastest. ISC_E_CONFIG for
 * what isc_template_new refuses, an n_templates or n_… beyond what there is, or what `read` refuses. Any thread; an opened
 * prior never changes. */
ISC_API isc_status isc_template_prior_open(const isc_template_prior_spec *spec, void **self);
ISC_API void isc_template_prior_close(void *self); /* NULL is fine */
/* The value of the template's answer slot in a text, behind a space unless the slot was glued to the text; empty when
 * the text is not of the prior, or its template has no answer. Any thread. */
ISC_API isc_status isc_template_answer(void *self, const char *text, size_t len, isc_text *out);
/* How often [slot] occurs in a template. Any thread. */
ISC_API int64_t isc_template_occurrences(const char *text, const char *slot);

/* The isc_prior_ops of a plugin whose `open_` ends in isc_template_prior_open; `answer_` is isc_template_answer, or a function
 * of its own (a count, a sum), given the same `self`. */
#define ISC_TEMPLATE_PRIOR_OPS(open_, answer_)                                                     \
  {                                                                                                \
    .size = sizeof(isc_prior_ops), .open = (open_), .close = isc_template_prior_close,             \
    .count = isc_template_count, .draw = isc_template_draw, .answer = (answer_),                   \
    .log_prob = isc_template_log_prob, .support = isc_template_support,                            \
    .enumerate = isc_template_enumerate, .n_slots = isc_template_n_slots,                          \
    .slot_name = isc_template_slot_name, .slot = isc_template_slot_value,                          \
    .fingerprint = isc_template_fingerprint, .slot_choices = isc_template_slot_choices,            \
    .slot_choice = isc_template_slot_choice                                                        \
  }

#ifdef __cplusplus
}
#endif
#endif
