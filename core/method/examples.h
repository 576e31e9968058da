/* SPDX-License-Identifier: Apache-2.0
 *
 * The control layers' training examples: pairs (x, ẑ + r) over all sites (paper 3.2, appendix B).
 *
 * Example number e = step·batch + row decides everything about an example: its input (a permutation of the training
 * set each epoch), its site (in turn, so that a batch holds every site equally often) and its noise. One thread.
 */
#ifndef ISC_CORE_EXAMPLES_H
#define ISC_CORE_EXAMPLES_H

#include "method/control.h"
#include "method/factors.h"

typedef enum isc_example_noise {
  ISC_NOISE_KERNEL,     /* r from the kernel's law (the paper)                                   */
  ISC_NOISE_NEIGHBOURS, /* clean ẑ_i, x drawn from P(x; ẑ_i) among the training inputs          */
  ISC_NOISE_MIXED       /* each example one or the other, `neighbour_share` of them neighbours   */
} isc_example_noise;

typedef struct isc_examples_spec {
  uint64_t seed;
  int64_t batch;
  isc_example_noise noise;
  double neighbour_share;
  int64_t candidates; /* see isc_neighbours_new */
} isc_examples_spec;

typedef struct isc_examples isc_examples;

/* `f` and `l` (whose scales are used) must outlive it. */
ISC_API isc_status isc_examples_new(const isc_factors *f, const isc_control_layers *l,
                                    const isc_examples_spec *spec, isc_examples **out);
ISC_API void isc_examples_free(isc_examples *x);

typedef struct isc_example_batch { /* step memory; rows sorted by site */
  int64_t n;
  int64_t *text;    /* [n] the training input whose text is the target      */
  int64_t *site;    /* [n]                                                  */
  int64_t *start;   /* [n_sites + 1] rows of each site                      */
  double *distance; /* [n] d between the condition and the text's activation */
  isc_tensor *z;    /* [n, d_z] scaled conditions                           */
} isc_example_batch;

/* The batch of training step `k`. */
ISC_API isc_status isc_examples_take(const isc_examples *x, isc_step *s, int64_t k,
                                     isc_example_batch *out);

/* Distances of the first `n` examples, as training had them, to `path` as safetensors: "distance" f64 [n], "site" i64 [n]. */
ISC_API isc_status isc_examples_save_distances(const isc_examples *x, int64_t n, const char *path);

#endif
