/* SPDX-License-Identifier: Apache-2.0
 *
 * Draws from P(x; ẑ) as the training set knows it: inputs j with probability ∝ k(d(z_j, ẑ_i)/ε).
 *
 * Training on (x_j, ẑ_i) fits the generator to the distribution itself instead of to a noise model: the noise
 * ẑ_i − z_j is then a difference of real activations. One thread.
 */
#ifndef ISC_CORE_NEIGHBOURS_H
#define ISC_CORE_NEIGHBOURS_H

#include "method/factors.h"

typedef struct isc_neighbours isc_neighbours;

/* The first `candidates` training inputs are those that can be drawn (0 = all). */
ISC_API isc_status isc_neighbours_new(const isc_factors *f, int64_t candidates,
                                      isc_neighbours **out);
ISC_API void isc_neighbours_free(isc_neighbours *nb);

/* For each of n conditions at a site, the activations of inputs `row`: draw one candidate or the input itself with
 * the numbers of the stream rng[i]. drawn[i] is its number, d[i] its distance (all host [n]). */
ISC_API isc_status isc_neighbours_draw(isc_neighbours *nb, int64_t site, const int64_t *row,
                                       isc_rng *rng, int64_t n, int64_t *drawn, double *d);

#endif
