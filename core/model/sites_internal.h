/* SPDX-License-Identifier: Apache-2.0
 *
 * Site names and patterns, and which sites lie at a place, for selection, harvest and patching.
 */
#ifndef ISC_CORE_SITES_INTERNAL_H
#define ISC_CORE_SITES_INTERNAL_H

#include "model/sites.h"

enum { ISC_SITE_NAME_SIZE = 64 };

typedef struct isc_site_range {
  int64_t lo, hi; /* both included */
} isc_site_range;

typedef struct isc_site_pattern {
  bool place[ISC_PLACE_COUNT];
  isc_site_range layer, head;
  bool names_head; /* a head index was given: only head sites match */
} isc_site_pattern;

/* Any accepted name or pattern; false when `text` is neither. A part left out matches everything. */
bool isc_site_pattern_parse(const char *text, isc_site_pattern *out);
/* head −1 unless the place is ISC_HEADS. */
bool isc_site_pattern_has(const isc_site_pattern *p, isc_place place, int64_t layer, int64_t head);
/* Does it name one site of any model, whatever its size? */
bool isc_site_pattern_is_one(const isc_site_pattern *p);
/* "head", "attn_out", … */
const char *isc_place_name(isc_place place);

/* The sites at a place are neighbours in a set: [*first, *first + returned). */
int64_t isc_sites_at(const isc_site_set *s, isc_place place, int64_t layer, int64_t *first);
/* Where site i's values begin in a row of the tensor at its place. */
int64_t isc_site_column(const isc_site_set *s, int64_t i);
/* ISC_E_INTERNAL unless x is [rows, width] with room for every site at the place: a target's forward pass is a plugin's. */
isc_status isc_sites_check_tensor(const isc_site_set *s, int64_t first, int64_t n, int64_t rows,
                                  const isc_tensor *x);

#endif
