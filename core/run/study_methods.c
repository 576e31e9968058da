/* SPDX-License-Identifier: Apache-2.0
 *
 * The methods of a study: its own, and the baselines it is held against.
 *
 * The own method's stages lie in the run directory, each baseline's in a directory of its name below it, and
 * otherwise nothing tells them apart: the same stages, the same files.
 */
#include "run/study_open.h"

#include <stdlib.h>
#include <string.h>

static isc_status must_invert(const isc_study *s, const isc_study_method *m) {
  if (m->ops->invert) return ISC_OK;
  return isc_fail(ISC_E_CONFIG,
                  "%s: method \"%s\" does not invert activations: it classifies them, and a run is "
                  "made of inputs that a method samples",
                  isc_config_where(s->config, m->group), m->cls->name);
}

static isc_status fill_own(isc_study *s, isc_study_method *m) {
  snprintf(m->group, sizeof m->group, "method");
  ISC_TRY(isc_strdup("", &m->below));
  ISC_TRY(isc_study_fill(s->config, m->group, ISC_METHOD, "inversescope", NULL, NULL, &m->cls,
                         &m->conf));
  m->ops = m->cls->ops;
  m->name = m->cls->name;
  return must_invert(s, m);
}

enum { LONGEST_NAME = 32 };

/* A directory's name that needs no quoting and hides nothing. */
static bool is_plain(const char *name) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz", more[] = "0123456789-";
  if (!*name || !strchr(letters, *name) || strlen(name) > LONGEST_NAME) return false;
  for (; *name; name++)
    if (!strchr(letters, *name) && !strchr(more, *name)) return false;
  return true;
}

static isc_status fill_baseline(isc_study *s, int64_t i, isc_study_method *m) {
  isc_baseline_settings extra = {0};
  isc_sb below = {0};
  snprintf(m->group, sizeof m->group, "baselines.[%lld]", (long long)i);
  ISC_TRY(isc_study_fill(s->config, m->group, ISC_METHOD, NULL, isc_baseline_options, &extra,
                         &m->cls, &m->conf));
  m->ops = m->cls->ops;
  m->name = extra.name ? extra.name : m->cls->name;
  m->budget = (isc_budget)extra.budget;
  if (!is_plain(m->name))
    return isc_fail(ISC_E_CONFIG,
                    "%s: a baseline's name is made of at most %d lower case letters, digits and -, "
                    "beginning with a letter; \"%s\" is not",
                    isc_config_where(s->config, m->group), LONGEST_NAME, m->name);
  isc_sb_addf(&below, "%s/", m->name);
  ISC_TRY(isc_sb_finish(&below, &m->below));
  return must_invert(s, m);
}

isc_status isc_study_fill_methods(isc_study *s) {
  const int64_t n = isc_config_count(s->config, "baselines");
  ISC_TRY(isc_calloc((size_t)n + 1, sizeof *s->method, "methods", (void **)&s->method));
  s->n_methods = n + 1;
  ISC_TRY(fill_own(s, &s->method[0]));
  for (int64_t i = 0; i < n; i++)
    ISC_TRY(fill_baseline(s, i, &s->method[i + 1]));
  return ISC_OK;
}

static bool is_taken(const isc_study *s, int64_t i, const char *name) {
  static const char *const kept[] = {"harvest", "sample", "score", "report", "compare"};
  for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
    if (!strcmp(name, kept[k])) return true;
  for (int64_t k = 0; isc_method_stage(&s->method[0], k); k++)
    if (!strcmp(name, isc_method_stage(&s->method[0], k))) return true;
  for (int64_t k = 0; k < i; k++)
    if (!strcmp(name, s->method[k].name)) return true;
  return false;
}

isc_status isc_study_check_methods(const isc_study *s) {
  for (int64_t i = 1; i < s->n_methods; i++)
    if (is_taken(s, i, s->method[i].name))
      return isc_fail(ISC_E_CONFIG,
                      "%s: the name \"%s\" is a stage's or another method's; give the baseline "
                      "another `name`",
                      isc_config_where(s->config, s->method[i].group), s->method[i].name);
  return ISC_OK;
}

void isc_study_close_methods(isc_study *s) {
  for (int64_t i = 0; s->method && i < s->n_methods; i++) {
    isc_study_method *m = &s->method[i];
    if (m->self) m->ops->close(m->self);
    free(m->conf);
    free(m->below);
  }
  free(s->method);
}
