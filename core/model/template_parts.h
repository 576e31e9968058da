/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a set of templates, shared by its builder, its addressing and its parser.
 *
 * A text has an address: the template's first index plus a mixed-radix number whose digits are the
 * slots' values, one value fewer where a slot must differ from another.
 */
#ifndef ISC_CORE_TEMPLATE_PARTS_H
#define ISC_CORE_TEMPLATE_PARTS_H

#include "model/text_table.h"
#include <inversescope/template.h>

enum { ISC_MAX_SLOTS = 64, ISC_MAX_PIECES = 256 };

typedef struct isc_slot {
  char *name;
  char **value; /* [n]                                             */
  isc_key *key; /* [n] the same, for the table                     */
  int64_t n;
  isc_table table;
  size_t *length; /* [n_lengths] the distinct lengths, longest first */
  int64_t n_lengths;
  int64_t differs; /* slot this one never equals, −1 = none        */
  int64_t *own;    /* [n of that slot] its values' places in this list; NULL when none is in it */
} isc_slot;

typedef struct isc_piece {
  int64_t slot;   /* −1: literal text */
  size_t at, len; /* of the literal, in the template's text */
} isc_piece;

typedef struct isc_shape { /* one template */
  char *text, *number;     /* as given; its number as text */
  isc_piece *piece;        /* [n_pieces] */
  int64_t n_pieces;
  bool uses[ISC_MAX_SLOTS];
  int64_t radix[ISC_MAX_SLOTS]; /* choices of each used slot */
  int64_t first, count;         /* its part of the support   */
} isc_shape;

typedef struct isc_template_rule { /* of a template's answer */
  int64_t slot;                    /* −1: no answer                     */
  bool glued;                      /* no space between it and the text  */
} isc_template_rule;

struct isc_template {
  isc_slot *slot; /* [n_slots]  */
  int64_t n_slots;
  isc_shape *shape; /* [n_shapes] */
  int64_t n_shapes;
  int64_t support;
  double test_fraction;
  uint64_t seed;
  char fingerprint[33];
  isc_template_rule
      *answer; /* [n_shapes], of a template prior (template_prior.c frees it); else NULL */
};

/* Must `slot` skip a value in this template, and which: the place in its own list of the other slot's value. */
static inline bool isc_slot_skips(const isc_template *t, const isc_shape *s, int64_t slot) {
  const isc_slot *k = &t->slot[slot];
  return k->differs >= 0 && k->own && s->uses[k->differs];
}

/* Template and values (−1 for unused slots) of index i of the support. */
const isc_shape *isc_template_locate(const isc_template *t, int64_t i,
                                     int64_t value[ISC_MAX_SLOTS]);
/* The inverse; −1 when a value is one it must differ from. */
int64_t isc_template_index(const isc_template *t, const isc_shape *s,
                           const int64_t value[ISC_MAX_SLOTS]);
isc_status isc_template_render(const isc_template *t, const isc_shape *s,
                               const int64_t value[ISC_MAX_SLOTS], isc_text *out);
/* Up to `max` distinct indexes whose text this is; returns their number. */
int64_t isc_template_matches(const isc_template *t, const char *text, size_t len, int64_t *out,
                             int64_t max);

#endif
