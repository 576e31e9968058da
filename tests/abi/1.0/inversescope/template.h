/* SPDX-License-Identifier: Apache-2.0
 *
 * Template priors: texts made from templates with slots, uniform over the distinct texts.
 *
 * Does the work of most priors: counting, addressing by index, train/test split, log P, enumeration,
 * and the inverse (text → slots, or "not of this prior"). Immutable once built; any thread.
 */
#ifndef ISC_TEMPLATE_H
#define ISC_TEMPLATE_H

#include <inversescope/prior.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A slot and the values it takes. */
typedef struct isc_template_slot {
  const char *name;          /* "A" is written [A] in a template                        */
  const char *const *values; /* [n] distinct, non-empty                                 */
  int64_t n;
  const char *
      differs_from; /* name of an earlier slot this one never equals, or NULL; its values must be those of
                                 this slot, or none of them */
} isc_template_slot;

/* What a template prior is made of. */
typedef struct isc_template_spec {
  size_t size; /* sizeof(isc_template_spec) */
  const char *const
      *templates; /* [n_templates] "Then , [A] and [B] went to the [PLACE] ."; a slot may occur
                                   several times, and then has one value */
  int64_t n_templates;
  const isc_template_slot *slots;
  int64_t n_slots;
  double test_fraction; /* of the support held out as the test split, in (0, 1)  */
  uint64_t seed;        /* of the split and of the order                         */
} isc_template_spec;

typedef struct isc_template isc_template; /* a prior made of a spec */

/* Everything is copied. Fails on an unknown [SLOT], an unused template, two templates that make the same text (the
 * message shows the text; checked by parsing), a support that overflows. */
ISC_API isc_status isc_template_new(const isc_template_spec *spec, isc_template **out);
ISC_API void isc_template_free(isc_template *t); /* NULL is fine */

/* The members of isc_prior_ops of the same names (slot_value is `slot`), with the isc_template as `self`; `slot` 0 … n_slots−1 are the slots, slot n_slots is "template" (its
 * number from 0). In a template without a given slot its value is empty. */
ISC_API int64_t isc_template_count(void *t, isc_split split);
ISC_API isc_status isc_template_draw(void *t, isc_split split, int64_t i, isc_text *out);
ISC_API isc_status isc_template_log_prob(void *t, const char *text, size_t len, double *out);
ISC_API int64_t isc_template_support(void *t);
ISC_API isc_status isc_template_enumerate(void *t, int64_t i, isc_text *out);
ISC_API int64_t isc_template_n_slots(void *t);
ISC_API const char *isc_template_slot_name(void *t, int64_t k);
ISC_API isc_status isc_template_slot_value(void *t, const char *text, size_t len, int64_t k,
                                           isc_text *out);
ISC_API isc_status isc_template_fingerprint(void *t, char hex[33]);
ISC_API int64_t isc_template_slot_choices(void *t, int64_t k);
ISC_API const char *isc_template_slot_choice(void *t, int64_t k, int64_t j);
ISC_API int64_t isc_template_max_bytes(void *t);
/* Index in the support of a text, −1 if it is not of this prior. */
ISC_API int64_t isc_template_parse(void *t, const char *text, size_t len);

#ifdef __cplusplus
}
#endif
#endif
