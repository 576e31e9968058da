/* SPDX-License-Identifier: Apache-2.0
 *
 * The feature that is a regular expression: what a group captures, or whether it matches at all.
 */
#include <inversescope/feature.h>
#include <inversescope/regex.h>

typedef struct regex_conf {
  isc_regex_conf regex;
} regex_conf;

static const isc_option options[] = {ISC_REGEX_OPTIONS(regex_conf, regex), ISC_OPTIONS_END};

static isc_status open_regex(const void *conf, const isc_prior *prior, void **self) {
  const regex_conf *c = conf;
  (void)prior;
  return isc_regex_open(&c->regex, self) == ISC_OK ? ISC_OK : isc_fail_in("feature regex");
}

static const isc_feature_ops ops = {
    .size = sizeof ops, .open = open_regex, .close = isc_regex_close, .label = isc_regex_label};

ISC_PLUGIN_CLASS(ISC_FEATURE, "regex", "1.0.0",
                 .summary = "What a regular expression finds in the text", .licence = "Apache-2.0",
                 .options = options, .conf_size = sizeof(regex_conf), .ops = &ops);
