/* SPDX-License-Identifier: Apache-2.0
 *
 * The two sides of a comparison: their files, and what they have in common.
 */
#ifndef ISC_CORE_COMPARE_SIDES_H
#define ISC_CORE_COMPARE_SIDES_H

#include "run/conditions.h"
#include <jansson.h>

typedef struct isc_side {
  const char *dir;
  char *name;
  json_t *score;  /* score.json                          */
  json_t *spent;  /* of all training stages, or null      */
  json_t *sample; /* of the sample stage, or null         */
  isc_conditions conditions;
} isc_side;

/* Something both have: where it is on each side. */
typedef struct isc_shared {
  const char *name; /* of the documents */
  json_t *json_name;
  int64_t a, b;
} isc_shared;

typedef struct isc_sides {
  isc_side a, b;
  int64_t n_sites, n_features, n;
  isc_shared *site;      /* [n_sites]    */
  isc_shared *feature;   /* [n_features] */
  isc_shared *condition; /* [n] without names */
} isc_sides;

/* isc_sides_close afterwards, also on failure. */
isc_status isc_sides_open(const char *a, const char *b, const char *name_a, const char *name_b,
                          isc_sides *out);
void isc_sides_close(isc_sides *s);

typedef enum isc_side_score {
  ISC_SIDE_REFUSAL, /* `which` = isc_convention */
  ISC_SIDE_VALIDITY,
  ISC_SIDE_COPIES,
  ISC_SIDE_REJECT, /* `which` = common feature */
  ISC_SIDE_EXACT
} isc_side_score;
/* A score of both at the common sites and conditions: a, b [n_sites, n]. */
void isc_sides_take(const isc_sides *s, isc_side_score what, int64_t which, double *a, double *b);

/* {"name", "method", "plugin", "parameters", "training", "sampling"} */
json_t *isc_side_part(const isc_side *s);
/* To `list`, the settings of the documents that are not the same: {"key", "a", "b"} each. */
isc_status isc_sides_differences(const isc_sides *s, json_t *list);

#endif
