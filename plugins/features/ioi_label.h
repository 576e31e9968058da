/* SPDX-License-Identifier: Apache-2.0
 *
 * The two IOI features as one rule: count the names, take the one that comes so often (paper D.1.2).
 *
 * A text has labels when exactly one name comes twice, exactly one once, and no other at all; texts
 * outside the prior are judged by the same rule.
 */
#ifndef ISC_FEATURE_IOI_LABEL_H
#define ISC_FEATURE_IOI_LABEL_H

#include <inversescope/feature.h>
#include <stdint.h>

typedef struct ioi_label_conf {
  isc_list names; /* empty: the values of the prior's slots A and B */
} ioi_label_conf;

extern const isc_option ioi_label_options[];

isc_status ioi_label_open(const void *conf, const isc_prior *prior, void **self);
void ioi_label_close(void *self);
/* The name that comes `times` times: 1 is the indirect object, 2 the subject. */
isc_status ioi_label(void *self, const char *text, size_t len, int times, isc_text *out);

#endif
