/* SPDX-License-Identifier: Apache-2.0
 *
 * The feature that is a slot of the prior: a name, a place, a digit, the template's number. A text that is
 * not of the prior, or whose template lacks the slot, has the null label.
 */
#include <inversescope/slot.h>

typedef struct slot_conf {
  const char *slot;
} slot_conf;

static const isc_option options[] = {
    {"slot", ISC_OPT_STRING, ISC_OPT_REQUIRED, offsetof(slot_conf, slot), NULL, NULL, 0, 0, NULL,
     "The slot of the prior whose value is the label, \"template\" for the template's number."},
    ISC_OPTIONS_END};

static isc_status open_slot(const void *conf, const isc_prior *prior, void **self) {
  const slot_conf *c = conf;
  return isc_slot_open(prior, c->slot, self) == ISC_OK ? ISC_OK : isc_fail_in("feature slot");
}

static const isc_feature_ops ops = {.size = sizeof ops,
                                    .open = open_slot,
                                    .close = isc_slot_close,
                                    .label = isc_slot_label,
                                    .slot = isc_slot_name};

ISC_PLUGIN_CLASS(ISC_FEATURE, "slot", "1.0.0", .summary = "The value of a slot of the prior",
                 .licence = "Apache-2.0", .options = options, .conf_size = sizeof(slot_conf),
                 .ops = &ops);
