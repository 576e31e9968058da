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

#endif
