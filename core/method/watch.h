/* SPDX-License-Identifier: Apache-2.0
 *
 * A look at a generator while it trains: what share of its samples the prior could have made.
 *
 * The loss hardly shows it: a backbone near its data's entropy may still write one sentence in five that the prior never
 * would, and control training may spoil what the backbone could do.
 */
#ifndef ISC_CORE_WATCH_H
#define ISC_CORE_WATCH_H

#include "method/factors.h"
#include "method/sampler.h"

typedef struct isc_watch {
  const isc_method_env *env;
  isc_sampler sampler;
  const isc_factors *factors; /* activations to sample from; unused without sampler.control */
  int64_t every;              /* steps between looks; 0 = never                             */
  double valid;               /* what the latest look saw                                   */
} isc_watch;

/* Looks `looks` times in `steps` steps; never when the prior cannot tell its texts from others. */
ISC_API isc_watch isc_watch_new(const isc_method_env *env, const isc_sampler *sampler,
                                const isc_factors *factors, int64_t looks, int64_t steps);
/* At a step of a look, sets `valid`: the share with P(x) > 0 of ISC_WATCH_SAMPLES texts: unconditional ones, or one for each
 * of as many clean training activations, over all sites in turn. Then appends the metric "valid" to m[*n]. */
enum { ISC_WATCH_SAMPLES = 256 };
ISC_API isc_status isc_watch_step(isc_watch *w, int64_t step, isc_metric *m, int64_t *n);

#endif
