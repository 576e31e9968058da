/* SPDX-License-Identifier: Apache-2.0
 *
 * The general category of every code point of Unicode 16.
 */
#ifndef ISC_CORE_UNICODE_CATEGORIES_H
#define ISC_CORE_UNICODE_CATEGORIES_H

#include <stddef.h>
#include <stdint.h>

enum { ISC_CATEGORIES = 30, ISC_CODE_POINTS = 0x110000 };

/* [isc_n_category_runs] ascending: first code point << 5 | category; a run ends where the next begins. */
extern const uint32_t isc_category_runs[];
extern const size_t isc_n_category_runs;
/* Bit c for each category c of a name such as "L" or "Lu"; 0 for a name that is none. */
uint32_t isc_category_mask(const char *name, size_t len);

#endif
