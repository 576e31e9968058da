/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about @KIND@/@NAME@.
 */
#include "plugin_test.h"

#include <inversescope/prior.h>
#include <math.h>

int main(void) {
  static const char text[] = "Anna keeps the map in the shed . To find the map , look in the";
  const isc_class *cls = plugin_class(ISC_PRIOR);
  const isc_prior_ops *p = cls->ops;
  void *conf = plugin_conf(cls), *self = NULL;
  isc_text out = {0};
  double log_p = 0;
  CHECK_OK(p->open(conf, 1, &self));

  const int64_t support = 2 * 6 * 5 * 5; /* templates, names, things, places */
  CHECK(p->support(self) == support);
  CHECK(p->count(self, ISC_TRAIN) + p->count(self, ISC_TEST) == support);

  CHECK_OK(p->log_prob(self, text, strlen(text), &log_p));
  CHECK(fabs(log_p + log((double)support)) < 1e-12);
  CHECK_OK(p->log_prob(self, "Anna keeps", 10, &log_p));
  CHECK(log_p == -INFINITY);

  CHECK_OK(p->slot(self, text, strlen(text), 1, &out));
  CHECK(strcmp(p->slot_name(self, 1), "THING") == 0 && strcmp(out.data, "map") == 0);
  CHECK_OK(p->answer(self, text, strlen(text), &out));
  CHECK(strcmp(out.data, " shed") == 0);

  isc_text_free(&out);
  p->close(self);
  free(conf);
  return 0;
}
