/* SPDX-License-Identifier: Apache-2.0
 *
 * P(f(x) = f(x̂) | d): how consistency falls with distance (paper, figure 8).
 *
 * The run's own samples lie near ẑ, so further ones may be drawn from ẑ + noise. They do not follow P(x; ẑ): they have a file
 * of their own, scatter.db beside samples.db, and no rate is ever computed from them.
 */
#ifndef ISC_CORE_SCATTER_H
#define ISC_CORE_SCATTER_H

#include "run/score.h"

#define ISC_SCATTER_FILE "scatter.db"
/* Fewer than ISC_SCATTER_NEAREST points within an ISC_SCATTER_FAR-th of the axis say nothing of what is between them. */
enum {
  ISC_SCATTER_CURVE = 101,
  ISC_SCATTER_POINTS = 1500,
  ISC_SCATTER_NEAREST = 30,
  ISC_SCATTER_FAR = 10
};

typedef struct isc_scatter_point {
  double d;     /* the kernel's distance without its norm band   */
  double noise; /* relative scale of the noise on ẑ; 0 = none    */
  bool match;   /* f(x) = f(x̂)                                   */
} isc_scatter_point;

/* A feature at a site. Samples outside the prior, or of an x̂ without a label, are left out. */
typedef struct isc_scatter_panel {
  int64_t site, feature;
  const char *why; /* "highest" or "lowest" FCR */
  isc_scatter_point *point;
  int64_t n, room;
  double bandwidth; /* of the curve, at least; 0 = all d are the same: no curve */
  double reach;     /* the curve's last d: 99 % of the points lie below */
  double rate[ISC_SCATTER_CURVE],
      ess[ISC_SCATTER_CURVE]; /* at d = reach·k/(ISC_SCATTER_CURVE − 1); NaN where points are too far off */
} isc_scatter_panel;

typedef struct isc_scatter {
  isc_scatter_panel *panel;
  int64_t n;
} isc_scatter;

/* Whether evaluate.scatter_noise is one that can be sampled: ISC_E_CONFIG says why not. */
isc_status isc_scatter_check(const isc_study *s);
/* The noisy samples of the stage in progress, when evaluate.scatter_noise asks for any. Row (site, condition, j) of the file
 * has the noise scatter_noise[j / evaluate.samples]. */
isc_status isc_scatter_sample(isc_run_state *r);
/* After the evaluation. */
isc_status isc_scatter_find(isc_score *s, isc_scatter **out);
void isc_scatter_close(isc_scatter *sc); /* NULL is fine */
/* scatter_json.c: the part "scatter" of the document. */
json_t *isc_scatter_part(const isc_score *s, const isc_scatter *sc);

#endif
