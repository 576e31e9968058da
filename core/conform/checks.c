/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of all conformance checks, and what the kinds have in common.
 */
#include "conform/conform.h"
#include <stdarg.h>
#include <string.h>

enum { MAX_CHECKS = 256 };

static const isc_check *const PARTS[] = {
    isc_checks_any_static,      isc_checks_any_dynamic,   isc_checks_any_options,
    isc_checks_any_memory,      isc_checks_any_process,   isc_checks_target,
    isc_checks_target_forward,  isc_checks_target_sites,  isc_checks_target_patch,
    isc_checks_target_limits,   isc_checks_target_golden, isc_checks_prior,
    isc_checks_prior_texts,     isc_checks_prior_law,     isc_checks_prior_frequencies,
    isc_checks_prior_slots,     isc_checks_kernel,        isc_checks_kernel_law,
    isc_checks_kernel_backends, isc_checks_feature,       isc_checks_feature_text,
    isc_checks_method,          isc_checks_backend,       isc_checks_backend_ops,
    isc_checks_backend_repeat,  isc_checks_backend_later, isc_checks_backend_lane};

const isc_check *const *isc_checks_all(int64_t *n) {
  static const isc_check *all[MAX_CHECKS];
  *n = 0;
  for (size_t p = 0; p < sizeof PARTS / sizeof *PARTS; p++)
    for (const isc_check *c = PARTS[p]; c->id && *n < MAX_CHECKS; c++)
      all[(*n)++] = c;
  return all;
}

const isc_check *isc_check_find(const char *id) {
  int64_t n;
  const isc_check *const *all = isc_checks_all(&n);
  for (int64_t i = 0; i < n; i++)
    if (strcmp(all[i]->id, id) == 0) return all[i];
  return NULL;
}

const isc_exercise *isc_exercise_of(isc_kind kind) {
  static const isc_exercise *const of[] = {
      [ISC_TARGET] = &isc_exercise_target, [ISC_PRIOR] = &isc_exercise_prior,
      [ISC_KERNEL] = &isc_exercise_kernel, [ISC_FEATURE] = &isc_exercise_feature,
      [ISC_METHOD] = &isc_exercise_method, [ISC_BACKEND] = &isc_exercise_backend,
  };
  return of[kind];
}

isc_status isc_conform_skip(isc_conform *c, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(c->why, sizeof c->why, fmt, ap);
  va_end(ap);
  c->skipped = true;
  return ISC_OK;
}
