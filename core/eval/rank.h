/* SPDX-License-Identifier: Apache-2.0
 *
 * Do two lists of numbers have the same sites at their top? Their correlation is isc_spearman.
 *
 * May be called from any thread.
 */
#ifndef ISC_CORE_RANK_H
#define ISC_CORE_RANK_H

#include <inversescope/status.h>
#include <stdint.h>

/* How many of the `most` highest of x are among the `most` highest of y (ties: the earlier). NaN in either list = the site is
 * left out. */
ISC_API int64_t isc_rank_overlap(int64_t n, const double *x /* [n] */, const double *y /* [n] */,
                                 int64_t most);

#endif
