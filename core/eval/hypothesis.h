/* SPDX-License-Identifier: Apache-2.0
 *
 * Labels of hypotheses nobody asked for: that two slots are equal, and which of them say anything new.
 *
 * A hypothesis is judged on n draws of the prior: one that is the same on all of them says nothing, and two that part the
 * draws alike are one. All functions may be called from any thread.
 */
#ifndef ISC_CORE_HYPOTHESIS_H
#define ISC_CORE_HYPOTHESIS_H

#include "eval/labels.h"
#include <stdbool.h>

/* 1 where both labels are there and equal, 0 where they differ, ISC_LABEL_NULL where one is missing. */
ISC_API void isc_hypothesis_equal(int64_t n, const int32_t *a /* [n] */, const int32_t *b /* [n] */,
                                  int32_t *out /* [n] */);
/* Is it one label, or none, on all draws? Labels that are missing do not count. */
ISC_API bool isc_hypothesis_constant(int64_t n, const int32_t *label /* [n] */);
/* Are the labels the same up to their names, missing ones included? count: labels are < count. ISC_E_NOMEM. */
ISC_API isc_status isc_hypothesis_alike(int64_t n, const int32_t *a /* [n] */,
                                        const int32_t *b /* [n] */, int32_t count, bool *alike);

#endif
