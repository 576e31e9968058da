/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of many activations lie near each of a few: all pairs, with the products on the device.
 *
 * Products in f32 settle the pairs that are clearly inside or outside; the rest are decided in double,
 * so that membership is that of isc_distance.
 */
#ifndef ISC_CORE_BALL_H
#define ISC_CORE_BALL_H

#include "eval/distance.h"
#include <inversescope/backend.h>

typedef struct isc_ball {
  isc_geometry geometry;
  double band;  /* δ, 0 = none                                                        */
  double reach; /* pairs with d < reach are visited; INFINITY = all at finite distance */
  double
      tolerance; /* how far a visited d may be from the truth; INFINITY = only membership matters */
  double edge;   /* d < edge is also true of exactly those pairs of which it should be; 0 = none */
  int64_t width, n_support, n_centre;
  const float *support; /* host [n_support, width] coordinates */
  const float *centre;  /* host [n_centre, width]              */
  isc_device *device;   /* NULL = everything in double here    */
  void *user;
  /* Support rows near `centre`, ascending; called again for later ranges of rows. The arrays live for the call.
   * A failure stops the search. */
  isc_status (*visit)(void *user, int64_t centre, int64_t n, const int64_t *row /* [n] */,
                      const double *d /* [n] */);
} isc_ball;

/* One thread (the device's). */
ISC_API isc_status isc_ball_search(const isc_ball *b);

#endif
