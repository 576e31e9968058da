/* SPDX-License-Identifier: Apache-2.0
 *
 * Lenient reads of the score document and the formatting of its numbers.
 */
#include "report/document.h"

#include <math.h>
#include <string.h>

json_t *isc_doc_get(const json_t *j, const char *key) {
  return json_object_get(j, key);
}

double isc_doc_num(const json_t *j, const char *key) {
  const json_t *v = json_object_get(j, key);
  return json_is_number(v) ? json_number_value(v) : NAN;
}

const char *isc_doc_str(const json_t *j, const char *key) {
  const char *s = json_string_value(json_object_get(j, key));
  return s ? s : "";
}

const json_t *isc_doc_named(const json_t *list, const char *name) {
  size_t i;
  const json_t *j;
  json_array_foreach(list, i, j) if (!strcmp(isc_doc_str(j, "name"), name)) return j;
  return NULL;
}

isc_shown isc_doc_interval(const json_t *j, const char *key) {
  const json_t *v = json_object_get(j, key);
  return (isc_shown){isc_doc_num(v, "value"), isc_doc_num(v, "lo"), isc_doc_num(v, "hi"),
                     isc_doc_num(v, "ess")};
}

isc_shown isc_doc_fcr(const json_t *site, const char *feature, const char *estimator) {
  return isc_doc_interval(json_object_get(json_object_get(site, "fcr"), feature), estimator);
}

void isc_show_percent(double x, char out[16]) {
  if (isnan(x))
    strcpy(out, "–");
  else
    snprintf(out, 16, "%.1f %%", 100 * x);
}

void isc_show_number(double x, char out[16]) {
  if (isnan(x))
    strcpy(out, "–");
  else if (fabs(x) >= 1e300)
    strcpy(out, "∞");
  else if (fabs(x) >= 1000)
    snprintf(out, 16, "%.0f", x);
  else
    snprintf(out, 16, "%.3f", x);
}

void isc_show_distance(double x, char out[16]) {
  if (fabs(x) < 0.01 && x != 0)
    snprintf(out, 16, "%.2g", x);
  else
    isc_show_number(x, out);
}

double isc_shown_sign(double x, double least) {
  return fabs(x) < least ? 0 : x;
}

int isc_doc_top(const json_t *doc) {
  const size_t n = json_array_size(json_object_get(doc, "sites"));
  return n > ISC_TOP_SITES ? ISC_TOP_SITES : 0;
}

void isc_show_small(double x, char out[16]) {
  if (isnan(x))
    strcpy(out, "–");
  else
    snprintf(out, 16, x < 1e-4 ? "%.0e" : "%.4f", x);
}
