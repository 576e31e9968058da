/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings to check a class with: its options, and what else it needs to be tried (a prior, texts, a golden file).
 *
 * They come from a case file, because a class may need a path or a prior that no default can name:
 *
 *   cases = (
 *     { class = "kernel/cosine-band"; name = "invariant"; options = { measure = "invariant"; }; },
 *     { class = "feature/slot"; options = { slot = "A"; }; prior = { plugin = "ioi"; n_names = 5; }; },
 *     { class = "target/gpt2"; options = { path = "models/tiny"; }; golden = "tiny.safetensors"; texts = [ "a b" ]; }
 *   );
 *
 * Paths are relative to the file. A class without a case is checked with its defaults, as the case "default".
 */
#ifndef ISC_CORE_CONFORM_CASE_H
#define ISC_CORE_CONFORM_CASE_H

#include "config/config.h"
#include <inversescope/plugin.h>
#include <inversescope/prior.h>

typedef struct isc_case {
  const char *name;         /* unique within its class; "default", "case-1" when not given        */
  const isc_prior *prior;   /* opened with the check's seed; NULL = the case names none           */
  const char *const *texts; /* [n_texts] inputs to try: prompts of a target, texts for a feature  */
  int64_t n_texts;
  const char *golden; /* absolute path of a safetensors file with expected values, or NULL  */
  /* Fill a conf struct anew, with `changes` ("measure=\"profile\"", …) on top of the case's options: for checks of options.
   * Freed with free(); its strings live as long as the case. */
  isc_status (*fill)(const struct isc_case *cs, const char *const *changes, int64_t n_changes,
                     void **conf);
  void *own; /* the case's config and class */
} isc_case;

/* The cases of a plugin's classes. */
typedef struct isc_cases isc_cases;

/* Read the case file of the plugin at `plugin` ("kind/name" for a class of the library itself): `given`, or <stem>.cfg in
 * it when it is a directory; else <stem>.conform.cfg beside the plugin, or beside the .libs it lies in; else the install's
 * conf/conform/<stem>.cfg. Without any, every class has its default case. */
isc_status isc_cases_open(const char *plugin, const char *given, isc_cases **out);
void isc_cases_free(isc_cases *s);
const char *isc_cases_file(const isc_cases *s); /* absolute path; NULL without one */
/* The cases of a class, at least one. */
int64_t isc_cases_count(const isc_cases *s, const isc_class *cls);
const char *isc_cases_name(const isc_cases *s, const isc_class *cls, int64_t i);
/* The next class that the file names and that is not among `classes` [n], from entry *at on; NULL at the end. `message` gets
 * "file:line: …" with the nearest of them. */
const char *isc_cases_stranger(const isc_cases *s, const isc_class *const *classes, int64_t n,
                               int64_t *at, char *message, size_t room);
/* Can the case's settings be filled? ISC_E_MISSING when it is the default case and an option is required, else the error of
 * the file. Runs no code of the class; may load the plugin of the case's prior. */
isc_status isc_cases_try(const isc_cases *s, const isc_class *cls, const char *name);

/* Open a case for use; `s` and `cls` must outlive it. */
isc_status isc_case_open(const isc_cases *s, const isc_class *cls, const char *name, uint64_t seed,
                         isc_case *out);
void isc_case_close(isc_case *cs);

#endif
