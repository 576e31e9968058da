/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about @KIND@/@NAME@.
 */
#include "plugin_test.h"

#include <inversescope/kernel.h>
#include <math.h>

int main(void) {
  const isc_class *cls = plugin_class(ISC_KERNEL);
  const isc_kernel_ops *k = cls->ops;
  void *conf = plugin_conf(cls), *self = NULL;
  plugin_set(cls, conf, "epsilon", "0.5");
  CHECK_OK(k->open(conf, 2, &self));
  CHECK(k->profile(self, 0) == 1);
  CHECK(fabs(k->profile(self, 0.5) - 0.75) < 1e-15);
  CHECK(k->profile(self, 1) == 0);
  /* In the plane the density of r = d/epsilon is proportional to r (1 - r^2), so P(d <= r epsilon) = 2 r^2 - r^4. The
   * tolerance is what noise_law.h promises, with room. */
  for (double r = 0; r <= 1; r += 0.125)
    CHECK(fabs(k->distance_cdf(self, r * 0.5) - (2 * r * r - r * r * r * r)) < 1e-12);
  k->close(self);
  free(conf);
  return 0;
}
