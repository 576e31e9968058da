/* SPDX-License-Identifier: Apache-2.0
 *
 * The part "scatter" of the score document. Many points are thinned evenly in their order by condition.
 */
#include "run/scatter.h"

#include <math.h>

static json_t *points(const isc_scatter_panel *p) {
  const int64_t shown = p->n < ISC_SCATTER_POINTS ? p->n : ISC_SCATTER_POINTS;
  json_t *list = json_array();
  for (int64_t k = 0; k < shown; k++) {
    const isc_scatter_point *x = &p->point[k * p->n / shown];
    json_t *j = json_array();
    json_array_append_new(j, isc_score_number(x->d));
    json_array_append_new(j, isc_score_integer(x->match));
    json_array_append_new(j, isc_score_number(x->noise));
    json_array_append_new(list, j);
  }
  return list;
}

static json_t *curve(const isc_scatter_panel *p) {
  json_t *list = json_array();
  if (p->n < ISC_SCATTER_NEAREST || !(p->bandwidth > 0)) return list;
  for (int k = 0; k < ISC_SCATTER_CURVE; k++) {
    json_t *j = json_array();
    json_array_append_new(j, isc_score_number(p->reach * k / (ISC_SCATTER_CURVE - 1)));
    json_array_append_new(j, isc_score_number(p->rate[k]));
    json_array_append_new(j, isc_score_number(p->ess[k]));
    json_array_append_new(list, j);
  }
  return list;
}

/* The first d at which the curve falls through one half; NaN when it never does. */
static double half(const isc_scatter_panel *p) {
  for (int k = 1; k < ISC_SCATTER_CURVE; k++) {
    const double a = p->rate[k - 1], b = p->rate[k];
    if (!(a >= 0.5 && b < 0.5)) continue;
    return p->reach * (k - 1 + (a - 0.5) / (a - b)) / (ISC_SCATTER_CURVE - 1);
  }
  return NAN;
}

json_t *isc_scatter_part(const isc_score *s, const isc_scatter *sc) {
  const isc_list *noise = &s->study->evaluate.scatter_noise;
  json_t *j = json_object(), *scales = json_array(), *panels = json_array();
  for (int64_t k = 0; k < noise->count; k++)
    json_array_append_new(scales, isc_score_number(noise->at.f[k]));
  for (int64_t i = 0; i < sc->n; i++) {
    const isc_scatter_panel *p = &sc->panel[i];
    json_t *panel = json_object();
    json_object_set_new(panel, "site", isc_score_string(s->study->sites.site[p->site].name));
    json_object_set_new(panel, "feature", isc_score_string(s->study->feature[p->feature].name));
    json_object_set_new(panel, "why", isc_score_string(p->why));
    json_object_set_new(panel, "n", isc_score_integer(p->n));
    json_object_set_new(panel, "bandwidth", isc_score_number(p->bandwidth));
    json_object_set_new(panel, "half", isc_score_number(half(p)));
    json_object_set_new(panel, "points", points(p));
    json_object_set_new(panel, "curve", curve(p));
    json_array_append_new(panels, panel);
  }
  json_object_set_new(j, "noise", scales);
  json_object_set_new(j, "panels", panels);
  return j;
}
