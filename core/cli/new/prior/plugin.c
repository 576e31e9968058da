/* SPDX-License-Identifier: Apache-2.0
 *
 * The prior @NAME@: someone keeps something somewhere; what follows the text is where to look for it.
 *
 * Every text that the templates and the lists can make is equally likely. The last slot of a template here is its
 * answer: it is cut off the text, and is what a model of this prior should say next.
 */
#include <inversescope/template_prior.h>

static const char *const templates[] = {
    "[NAME] keeps the [THING] in the [PLACE] . To find the [THING] , look in the [PLACE]",
    "The [THING] of [NAME] is in the [PLACE] . [NAME] fetches it from the [PLACE]", NULL};

static const char *const names[] = {"Anna", "Boris", "Clara", "David", "Emma", "Felix", NULL};
static const char *const things[] = {"key", "lamp", "map", "pen", "ring", NULL};
static const char *const places[] = {"attic", "cellar", "garden", "kitchen", "shed", NULL};

/* The settings. Each list can be replaced or shortened by the user, who may also give templates of their own. */
typedef struct prior_conf {
  isc_template_conf text;
  isc_template_list_conf names, things, places;
} prior_conf;

static const isc_option options[] = {
    ISC_TEMPLATE_OPTIONS(prior_conf, text, "[NAME], [THING] and [PLACE]"),
    ISC_TEMPLATE_LIST_OPTIONS(prior_conf, names), ISC_TEMPLATE_LIST_OPTIONS(prior_conf, things),
    ISC_TEMPLATE_LIST_OPTIONS(prior_conf, places), ISC_OPTIONS_END};

static isc_status open_prior(const void *conf, uint64_t seed, void **self) {
  const prior_conf *c = conf;
  const isc_template_list lists[] = {
      {ISC_TEMPLATE_LIST("NAME", names, c, names)},
      {ISC_TEMPLATE_LIST("THING", things, c, things)},
      {ISC_TEMPLATE_LIST("PLACE", places, c, places), .answers = true}};
  const isc_template_prior_spec spec = {
      ISC_TEMPLATE_PRIOR("@NAME@", &c->text, templates, lists, seed), .group = -1};
  return isc_template_prior_open(&spec, self);
}

static const isc_prior_ops ops = ISC_TEMPLATE_PRIOR_OPS(open_prior, isc_template_answer);

ISC_PLUGIN_CLASS(ISC_PRIOR, "@NAME@", "0.1.0", .summary = "Where someone keeps something",
                 .licence = "Apache-2.0", .options = options, .conf_size = sizeof(prior_conf),
                 .ops = &ops);
