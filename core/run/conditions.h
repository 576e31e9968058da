/* SPDX-License-Identifier: Apache-2.0
 *
 * What each held-out condition came to at each site: the numbers that comparisons pair.
 *
 * Kept as conditions.safetensors beside the score document, which has their means and intervals only.
 */
#ifndef ISC_CORE_CONDITIONS_H
#define ISC_CORE_CONDITIONS_H

#include <inversescope/status.h>
#include <stdint.h>

#define ISC_CONDITIONS_FILE "conditions.safetensors"

/* When a sample counts as refused: where its activation is taken, and how its distance to ẑ is. */
typedef enum isc_convention {
  ISC_FIXED_KERNEL, /* at the position that is studied, by the kernel's own distance (the paper) */
  ISC_FIXED_COSINE, /* there, 1 − cos ≥ ε                                                       */
  ISC_FIXED_L2, /* there, ‖z − ẑ‖/‖ẑ‖ ≥ ε                                                   */
  ISC_ANY_KERNEL, /* at the best of all positions (InversionView); the same three distances    */
  ISC_ANY_COSINE,
  ISC_ANY_L2
} isc_convention;
enum { ISC_CONVENTIONS = 6 };
ISC_API const char *isc_convention_position(isc_convention c); /* "fixed", "any"            */
ISC_API const char *isc_convention_distance(isc_convention c); /* "kernel", "cosine", "l2"  */

typedef struct isc_conditions {
  int64_t n_sites, n_features, n;
  int64_t *text;                   /* [n] hash of x̂                                        */
  float *refusal[ISC_CONVENTIONS]; /* [n_sites, n] shares of samples; NaN = not asked for   */
  float *validity;                 /* [n_sites, n] NaN = the prior cannot tell              */
  float *copies;                   /* [n_sites, n] share of samples that are x̂ itself       */
  float *reject, *exact;           /* [n_features, n_sites, n] FCR; NaN = nothing to say    */
} isc_conditions;

/* Everything NaN. isc_conditions_free afterwards, also on failure. */
ISC_API isc_status isc_conditions_new(int64_t n_sites, int64_t n_features, int64_t n,
                                      isc_conditions *out);
ISC_API void isc_conditions_free(isc_conditions *c);
ISC_API isc_status isc_conditions_write(const isc_conditions *c, const char *path);
/* ISC_E_FORMAT when the file is not of so many sites and features, or a number in it is no share. */
ISC_API isc_status isc_conditions_read(const char *path, int64_t n_sites, int64_t n_features,
                                       isc_conditions *out);

#endif
