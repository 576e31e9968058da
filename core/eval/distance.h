/* SPDX-License-Identifier: Apache-2.0
 *
 * Distances between activations (paper 2, appendix B), from the factors in which they are stored.
 *
 * A site keeps z as a factor a with z = a·map. Its isometry turns a into coordinates y of the same or a
 * smaller width with ‖y − y'‖ = ‖z − z'‖ and ⟨y, y'⟩ = ⟨z, z'⟩, so that distances are exact without z.
 * All functions may be called from any thread.
 */
#ifndef ISC_CORE_DISTANCE_H
#define ISC_CORE_DISTANCE_H

#include <inversescope/kernel.h>
#include <inversescope/method.h>

typedef struct isc_isometry {
  int64_t stored, dim; /* of the site                                                     */
  int64_t width;       /* of the coordinates: min(stored, dim), or stored without a map   */
  double *r;           /* [stored, width], zero right of the diagonal; NULL = the identity */
} isc_isometry;

/* Keeps nothing of the site. ISC_E_SHAPE, ISC_E_NUMERIC (a map that is not finite), ISC_E_NOMEM. */
ISC_API isc_status isc_isometry_open(const isc_site *site, isc_isometry *out);
ISC_API void isc_isometry_close(isc_isometry *iso);
ISC_API void isc_isometry_apply(const isc_isometry *iso, int64_t n,
                                const float *a /* [n, stored] */, float *y /* [n, width] */);

/* z = a·map, summed in double. */
ISC_API void isc_site_expand(const isc_site *site, int64_t n, const float *a /* [n, stored] */,
                             float *z /* [n, dim] */);

/* Everything a kernel can ask about z and ẑ: any geometry, ε and δ can be judged again from these three. */
typedef struct isc_separation {
  double angular;    /* 1 − cos(z, ẑ)  */
  double norm_ratio; /* ‖z‖/‖ẑ‖        */
  double normalised; /* ‖z − ẑ‖/‖ẑ‖    */
} isc_separation;

/* In double from coordinates [width], or from the activations themselves. A zero ẑ makes norm_ratio and
 * normalised INFINITY; the angle of one zero vector counts as a right one (1); two zeros do not differ (0, 1, 0). */
ISC_API isc_separation isc_separate(int64_t width, const float *z, const float *zhat);

/* d(z, ẑ), with band δ (0 = none) and norm_hat = ‖ẑ‖ (euclidean only):
 *   euclidean ‖z − ẑ‖ · normalised ‖z − ẑ‖/‖ẑ‖ · angular 1 − cos, INFINITY where |‖z‖ − ‖ẑ‖| ≥ δ‖ẑ‖.
 * NaN members (an activation that could not be had) give INFINITY. */
ISC_API double isc_separation_distance(const isc_separation *s, isc_geometry geometry, double band,
                                       double norm_hat);

/* The two above at once. */
ISC_API double isc_distance(isc_geometry geometry, double band, int64_t width, const float *z,
                            const float *zhat);

ISC_API double isc_norm(int64_t width, const float *y);

#endif
