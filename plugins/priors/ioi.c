/* SPDX-License-Identifier: Apache-2.0
 *
 * The prior of indirect object identification (Wang et al. 2022; paper 4.1, D.1): two people do something
 * together and one gives something to the other, who is the answer. Templates and word lists are our own.
 */
#include "ioi_lists.h"
#include <inversescope/template_prior.h>
#include <string.h>

typedef struct ioi_conf {
  isc_template_conf templates;
  isc_template_list_conf names, places, objects;
  int32_t order; /* index into orders */
} ioi_conf;

static const char *const orders[] = {"both", "abba", "baba", NULL};
static const isc_option options[] = {
    ISC_TEMPLATE_OPTIONS(ioi_conf, templates, "[A], [B], [PLACE] and [OBJECT]"),
    {"order", ISC_OPT_ENUM, 0, offsetof(ioi_conf, order), NULL, "both", 0, 0, orders,
     "Which templates: abba names the indirect object first, baba the subject."},
    ISC_TEMPLATE_LIST_OPTIONS(ioi_conf, names),
    ISC_TEMPLATE_LIST_OPTIONS(ioi_conf, places),
    ISC_TEMPLATE_LIST_OPTIONS(ioi_conf, objects),
    ISC_OPTIONS_END};

/* The subject comes twice, the object once; which is named first is the template's group. */
static isc_status read_template(const char *text, isc_template_reading *out) {
  int64_t n_a = isc_template_occurrences(text, "A"), n_b = isc_template_occurrences(text, "B");
  const char *object = n_a < n_b ? "A" : "B";
  if (n_a + n_b != 3 || n_a * n_b == 0)
    return isc_fail(ISC_E_CONFIG, "one of [A] and [B] must come twice and the other once");
  if (out->answer && strcmp(out->answer, object) != 0)
    return isc_fail(ISC_E_CONFIG, "ends with the subject [%s], not the object", out->answer);
  bool a_first = strstr(text, "[A]") < strstr(text, "[B]");
  out->group = a_first == (n_a < n_b) ? 0 : 1;
  out->answer = object;
  return ISC_OK;
}

static isc_status open_ioi(const void *conf, uint64_t seed, void **self) {
  static const char *const groups[] = {"ABBA", "BABA", NULL};
  const ioi_conf *c = conf;
  const isc_template_list lists[] = {
      {ISC_TEMPLATE_LIST("A", ioi_names, c, names), .answers = true},
      {ISC_TEMPLATE_LIST("B", ioi_names, c, names), .answers = true, .differs_from = "A"},
      {ISC_TEMPLATE_LIST("PLACE", ioi_places, c, places)},
      {ISC_TEMPLATE_LIST("OBJECT", ioi_objects, c, objects)}};
  const isc_template_prior_spec spec = {
      ISC_TEMPLATE_PRIOR("ioi", &c->templates, ioi_templates, lists, seed), .read = read_template,
      .groups = groups, .group = c->order - 1};
  return isc_template_prior_open(&spec, self);
}

static const isc_prior_ops ops = ISC_TEMPLATE_PRIOR_OPS(open_ioi, isc_template_answer);
ISC_PLUGIN_CLASS(
    ISC_PRIOR, "ioi", "1.0.0",
    .summary = "Indirect object identification: who is given something by whom",
    .licence = "Apache-2.0",
    .source = "Wang et al. 2022, arXiv:2211.00593 (the task; templates and lists are our own)",
    .options = options, .conf_size = sizeof(ioi_conf), .ops = &ops);
