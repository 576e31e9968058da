/* SPDX-License-Identifier: Apache-2.0
 *
 * What `generate` prints: continuations or scores, for people or as JSON.
 */
#ifndef ISC_CORE_CLI_GENERATE_SHOW_H
#define ISC_CORE_CLI_GENERATE_SHOW_H

#include "model/generate.h"
#include "run/model.h"

typedef struct isc_show {
  const isc_model *model; /* opened */
  bool json;
} isc_show;

/* Generate as *q says and print the texts in order; when stopped on request, those that there are. */
isc_status isc_show_texts(const isc_show *s, const isc_generation *q);
/* Print the log-probabilities of the texts of *q. */
isc_status isc_show_scores(const isc_show *s, const isc_generation *q);

#endif
