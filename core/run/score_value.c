/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of the score document: what JSON cannot say is null, and no byte of a text is one that JSON cannot hold.
 */
#include "run/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *isc_score_number(double x) {
  if (isnan(x)) return json_null();
  if (isinf(x)) return json_real(x > 0 ? 1e308 : -1e308);
  return json_real(x);
}

json_t *isc_score_integer(int64_t x) {
  return json_integer((json_int_t)x);
}

json_t *isc_score_string(const char *s) {
  json_t *j = json_string(s ? s : "");
  if (j) return j;
  isc_sb b = {0};
  char *clean = NULL;
  isc_sb_add_json(&b, s, strlen(s));
  if (isc_sb_finish(&b, &clean) != ISC_OK) return NULL;
  j = json_loads(clean, JSON_DECODE_ANY, NULL);
  free(clean);
  return j;
}

json_t *isc_score_interval(const isc_interval *i) {
  if (i->n == 0) return json_null();
  json_t *j = json_object();
  json_object_set_new(j, "value", isc_score_number(i->estimate));
  json_object_set_new(j, "lo", isc_score_number(i->lo));
  json_object_set_new(j, "hi", isc_score_number(i->hi));
  json_object_set_new(j, "n", isc_score_integer(i->n));
  return j;
}
