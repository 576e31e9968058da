/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about @KIND@/@NAME@.
 */
#include "plugin_test.h"

#include <inversescope/feature.h>

static const isc_feature_ops *feature;
static void *self;

static bool has_label(const char *text, const char *want) {
  isc_text label = {0};
  CHECK_OK(feature->label(self, text, strlen(text), &label));
  const bool same = strcmp(label.data, want) == 0;
  isc_text_free(&label);
  return same;
}

int main(void) {
  const isc_class *cls = plugin_class(ISC_FEATURE);
  void *conf = plugin_conf(cls);
  feature = cls->ops;
  CHECK_OK(feature->open(conf, NULL, &self));
  CHECK(has_label("Anna went home .", "Anna"));
  CHECK(has_label("one", "one"));
  CHECK(has_label(" two", "")); /* no first word: no label */
  CHECK(has_label("", ""));
  CHECK(has_label("caf\xe9 au lait", "")); /* not UTF-8 */
  feature->close(self);
  free(conf);
  return 0;
}
