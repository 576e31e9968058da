/* SPDX-License-Identifier: Apache-2.0
 *
 * The feature @NAME@: the first word of a text.
 *
 * A feature is pure: the same text always has the same label. The empty label says "nothing to say of this text".
 */
#include <inversescope/feature.h>

/* A feature with settings has a conf struct and a table of options, see inversescope/option.h, and makes *self here; one
 * that reads the prior's slots keeps a copy of *prior. */
static isc_status open_feature(const void *conf, const isc_prior *prior, void **self) {
  (void)conf, (void)prior;
  *self = NULL;
  return ISC_OK;
}

static void close_feature(void *self) {
  (void)self;
}

/* Texts come from a model that may write anything: no words at all, or broken UTF-8. May run in several threads. */
static isc_status label(void *self, const char *text, size_t len, isc_text *out) {
  size_t n = 0;
  (void)self;
  while (n < len && text[n] != ' ')
    n++;
  return isc_text_set(out, text, isc_text_is_utf8(text, len) ? n : 0);
}

static const isc_feature_ops ops = {
    .size = sizeof ops, .open = open_feature, .close = close_feature, .label = label};

ISC_PLUGIN_CLASS(ISC_FEATURE, "@NAME@", "0.1.0", .summary = "The first word of a text",
                 .licence = "Apache-2.0", .ops = &ops);
