/* SPDX-License-Identifier: Apache-2.0
 *
 * A slot of the prior, found by its name: for features that are a slot, or are computed from one.
 *
 * A slot has a value in each text of the prior whose template has it; elsewhere it is empty.
 */
#ifndef ISC_SLOT_H
#define ISC_SLOT_H

#include <inversescope/feature.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The number of the slot, for the members of isc_prior_ops. ISC_E_CONFIG when the prior has no such slot; the message
 * lists those it has. `prior` may be NULL (no prior has no slots). Any thread. */
ISC_API isc_status isc_slot_find(const isc_prior *prior, const char *name, int64_t *k);

/* The same as a feature: `slot` is what isc_feature_ops passes as `self`, and its other members are the functions below.
 * The prior must live as long as the slot does. Any thread. */
ISC_API isc_status isc_slot_open(const isc_prior *prior, const char *name, void **slot);
ISC_API void isc_slot_close(void *slot); /* NULL is fine */
/* The slot's value in a text. Any thread. */
ISC_API isc_status isc_slot_label(void *slot, const char *text, size_t len, isc_text *out);
/* Its name, as long as the slot lives. Any thread. */
ISC_API const char *isc_slot_name(void *slot);

#ifdef __cplusplus
}
#endif
#endif
