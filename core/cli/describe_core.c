/* SPDX-License-Identifier: Apache-2.0
 *
 * The groups of a config that the core reads itself: their names and tables.
 *
 * A group is named for its key, so `describe core/evaluate` is about `evaluate = { … };`.
 */
#include "cli/describe.h"
#include "method/pretrain.h"
#include "run/settings.h"

#include "config/config.h"
#include <stdlib.h>
#include <string.h>

const isc_core_group isc_core_groups[] = {
    {"run", "The run itself: its name, directory, seed and device", {isc_run_options}},
    {"target",
     "Which activations are studied; beside the target plugin's own settings",
     {isc_target_options}},
    {"prior",
     "How many inputs a study takes; beside the prior plugin's own settings",
     {isc_prior_options}},
    {"baselines",
     "In each group of the list, beside the method plugin's own settings",
     {isc_baseline_options}},
    {"features",
     "In each group of the list, beside the feature plugin's own settings",
     {isc_feature_options}},
    {"evaluate",
     "How many activations are inverted, and how they are judged",
     {isc_evaluate_options}},
    {"report", "What the report shows", {isc_report_options}},
    {"plugin_path", "At the top level, in no group", {isc_path_options}},
    {"pretrain",
     "The target that `inversescope pretrain` makes; no setting of a study",
     {isc_output_options, isc_pretrain_options}},
    {0}};

isc_status isc_core_group_options(const isc_core_group *g, isc_option **out) {
  size_t n = 0;
  void *all = NULL;
  for (int t = 0; t < 3 && g->tables[t]; t++)
    for (const isc_option *o = g->tables[t]; o->name; o++)
      n++;
  ISC_TRY(isc_calloc(n + 1, sizeof **out, "a group's options", &all));
  *out = all;
  n = 0;
  for (int t = 0; t < 3 && g->tables[t]; t++)
    for (const isc_option *o = g->tables[t]; o->name; o++)
      (*out)[n++] = *o;
  return ISC_OK;
}

isc_status isc_core_group_find(const char *name, const isc_core_group **out) {
  const char *names[sizeof isc_core_groups / sizeof *isc_core_groups] = {NULL};
  char list[256] = "";
  size_t len = 0;
  for (int i = 0; isc_core_groups[i].name; i++) {
    *out = &isc_core_groups[i];
    if (!strcmp((*out)->name, name)) return ISC_OK;
    names[i] = (*out)->name;
    len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "", names[i]);
    if (len >= sizeof list) len = sizeof list - 1;
  }
  const char *near = isc_nearest_name(name, names);
  if (near)
    return isc_fail(ISC_E_MISSING, "core/%s: no such group; did you mean \"core/%s\"?", name, near);
  return isc_fail(ISC_E_MISSING, "core/%s: no such group; the core's are %s", name, list);
}

/* The lines between the braces of "name = {" and "};": what stands at the top level. */
static void print_inside(char *stanza) {
  char *from = strchr(stanza, '\n'), *to = strrchr(stanza, '}');
  if (!from || !to) return;
  *to = '\0';
  memmove(stanza, from + 1, strlen(from + 1) + 1);
}

isc_status isc_core_group_stanza(const isc_core_group *g, const isc_option *options, char **text) {
  ISC_TRY(isc_option_stanza(g->name, NULL, options, text));
  if (g->tables[0] == isc_path_options) print_inside(*text);
  return ISC_OK;
}
