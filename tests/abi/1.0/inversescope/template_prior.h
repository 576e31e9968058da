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
#include <inversescope/template_options.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A slot and its built-in values. */
typedef struct isc_template_list {
  const char *slot;                   /* "A" is written [A] in a template                     */
  const char *what;                   /* "names": its values in messages, and n_names         */
  const char *const *values;          /* NULL-terminated; distinct, non-empty                 */
  const isc_template_list_conf *conf; /* the user's say; NULL = always `values`               */
  const char *differs_from;           /* as in isc_template_slot                              */
  bool answers;                       /* cut off the end of a template, where it is the answer */
} isc_template_list;

/* The first members of a list whose options are `member` of the conf struct *conf_. */
#define ISC_TEMPLATE_LIST(slot_, values_, conf_, member)                                           \
  .slot = (slot_), .what = #member, .values = (values_), .conf = &(conf_)->member

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
  const char *const *templates;   /* the built-in ones, NULL-terminated            */
  const isc_template_list *lists; /* [n_lists] the slots                           */
  size_t list_size;               /* sizeof(isc_template_list)                     */
  int64_t n_lists;
  const char *percent_s; /* the slot a "%s" stands for; NULL = "%s" is text */
  /* What kind of template `text` is, and its answer: a function of the text alone. `text` has no answer slot and no
   * blanks at its ends. A failure's message is put behind the place of the template. NULL = one group; the answer is
   * the slot cut off. */
  isc_status (*read)(const char *text, isc_template_reading *out);
  const char *const *groups; /* their names, NULL-terminated; NULL = one group */
  int64_t group;             /* the only group to use, −1 = all                */
  uint64_t seed;
} isc_template_prior_spec;

/* The first members of a spec, from an array of lists; .read and what else there is may follow. */
#define ISC_TEMPLATE_PRIOR(name_, conf_, templates_, lists_, seed_)                                \
  .size = sizeof(isc_template_prior_spec), .name = (name_), .conf = (conf_), .seed = (seed_),      \
  .templates = (templates_), .lists = (lists_), .list_size = sizeof *(lists_),                     \
  .n_lists = sizeof(lists_) / sizeof *(lists_)

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
    .slot_choice = isc_template_slot_choice, .max_bytes = isc_template_max_bytes                   \
  }

#ifdef __cplusplus
}
#endif
#endif
