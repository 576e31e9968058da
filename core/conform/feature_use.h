/* SPDX-License-Identifier: Apache-2.0
 *
 * The feature that a check looks at, with a prior and texts to try it on.
 *
 * The prior is the case's, or a toy with slots A, B, NUMBER and PLACE; the texts are the case's and the prior's.
 */
#ifndef ISC_CORE_CONFORM_FEATURE_USE_H
#define ISC_CORE_CONFORM_FEATURE_USE_H

#include "conform/prior_use.h"
#include <inversescope/feature.h>

typedef struct isc_feature_trial {
  isc_conform *c;
  const isc_feature_ops *ops;
  isc_prior toy;          /* open when the case names no prior */
  const isc_prior *prior; /* the case's, or the toy            */
  isc_texts texts;        /* distinct; at most `most`          */
} isc_feature_trial;

/* Zero-initialise, isc_feature_trial_close when done, also on failure. */
isc_status isc_feature_trial_open(isc_conform *c, int64_t most, isc_feature_trial *t);
void isc_feature_trial_close(isc_feature_trial *t);

/* An instance of the feature on the trial's prior; closed with t->ops->close. */
isc_status isc_feature_instance(const isc_feature_trial *t, void **self);

/* The label of a text; a refusal is a label of its own kind, "\x02" and the status, so that what a feature answers can be
 * compared. Fails when a refusal has no message. */
isc_status isc_feature_label(const isc_feature_trial *t, void *self, const isc_text *x,
                             isc_text *out);

#endif
