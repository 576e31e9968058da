/* SPDX-License-Identifier: Apache-2.0
 *
 * The prior that a check looks at, or works with: opening it, texts from it, and a toy prior where none is given.
 */
#ifndef ISC_CORE_CONFORM_PRIOR_USE_H
#define ISC_CORE_CONFORM_PRIOR_USE_H

#include "conform/conform.h"
#include "conform/texts.h"

/* The class under check, on `conf`. */
isc_status isc_conform_prior_open(isc_conform *c, const void *conf, uint64_t seed, isc_prior *out);
void isc_conform_prior_close(isc_prior *p); /* also of a zeroed one */

/* Draw with the call in front of an error's message; fails when there is no text in `out` afterwards. */
isc_status isc_conform_draw(const isc_prior *p, isc_split split, int64_t i, isc_text *out);
const char *isc_split_name(isc_split split);

/* Up to `each` texts of both splits: half of them the first ones, the others from anywhere. */
isc_status isc_conform_samples(const isc_prior *p, int64_t each, uint64_t seed, isc_texts *out);

/* A small template prior: names A and B, a NUMBER, a PLACE and three templates; A stands first. */
isc_status isc_toy_prior_open(uint64_t seed, isc_prior *out);
void isc_toy_prior_close(isc_prior *p);

#endif
