/* SPDX-License-Identifier: Apache-2.0
 *
 * The feature Object(x) of indirect object identification: the name that comes once.
 *
 * The rule is ioi_label.c's.
 */
#include "ioi_label.h"

static isc_status label(void *self, const char *text, size_t len, isc_text *out) {
  return ioi_label(self, text, len, 1, out);
}

static const isc_feature_ops ops = {
    .size = sizeof ops, .open = ioi_label_open, .close = ioi_label_close, .label = label};

static const isc_class ioi_object = {
    ISC_CLASS(ISC_FEATURE),
    .name = "ioi-object",
    .version = "1.0.0",
    .summary = "The indirect object of an IOI prompt: the name that comes once",
    .licence = "Apache-2.0",
    .source = "InverseScope, appendix D.1.2",
    .options = ioi_label_options,
    .conf_size = sizeof(ioi_label_conf),
    .ops = &ops,
};

ISC_PLUGIN("ioi-object", "1.0.0", &ioi_object);
