/* SPDX-License-Identifier: Apache-2.0
 *
 * The training inputs' activations as the generator's training reads them.
 *
 * A site's activation is kept as a factor a with z = a·M. With M Mᵀ = L Lᵀ, y = a·L has the norms and the angles
 * of z in fewer numbers; distances are taken there. One thread.
 */
#ifndef ISC_CORE_FACTORS_H
#define ISC_CORE_FACTORS_H

#include <inversescope/method.h>

typedef struct isc_factors {
  const isc_method_env *env;
  float **a;    /* [n_sites] host [n_train, stored]; NULL where they are read as needed */
  float **norm; /* [n_sites] host [n_train]: ‖z‖                                         */
  double *rms;  /* [n_sites] root mean square of z's numbers over the training inputs    */
  float **map;  /* [n_sites] device [stored, dim]: M; NULL = a is z                      */
  float **iso;  /* [n_sites] device [stored, stored]: L; NULL = a is y                   */
} isc_factors;

/* Read everything once. Sites that together exceed `budget` bytes are left on the core's side. */
ISC_API isc_status isc_factors_new(const isc_method_env *env, int64_t budget, isc_factors **out);
ISC_API void isc_factors_free(isc_factors *f);
/* Factors of inputs `row` [n] at a site: host out [n, stored]. */
ISC_API isc_status isc_factors_rows(const isc_factors *f, int64_t site, const int64_t *row,
                                    int64_t n, float *out);
/* y of factors a, device [n, stored] → device [n, stored]. */
ISC_API isc_status isc_factors_isometric(const isc_factors *f, int64_t site, const float *a,
                                         int64_t n, float *y);

/* Lower L [n, n] with L Lᵀ = g, g [n, n] positive semi-definite; a column that g has no room for is 0. In place. */
ISC_API void isc_cholesky(double *g, int64_t n);

#endif
