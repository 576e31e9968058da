/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about @KIND@/@NAME@.
 */
#include "plugin_test.h"

#include <inversescope/target.h>
#include <math.h>

enum { D = 32, LEN = 4 }; /* d_model by default; characters of the texts below */

static const isc_target_ops *target;

/* The last layer's output at each character. */
static void hidden_of(isc_device *dev, void *self, const char *text, float out[LEN * D]) {
  int32_t ids[2 * LEN];
  int64_t n = 0;
  isc_step *step = NULL;
  isc_tensor *hidden = NULL;
  CHECK_OK(isc_tokenizer_encode_plain(target->tokenizer(self), text, strlen(text), ids, LEN, &n));
  CHECK(n == LEN);
  CHECK_OK(isc_step_new(dev, &step));
  const isc_decoder_input in = {.size = sizeof in, .batch = 1, .len = LEN, .ids = ids};
  CHECK_OK(target->forward(self, step, &in, NULL, &hidden));
  CHECK(isc_tensor_size(hidden) == LEN * D);
  CHECK_OK(isc_tensor_download(step, hidden, out));
  isc_step_free(step);
}

int main(void) {
  const isc_class *cls = plugin_class(ISC_TARGET);
  void *conf = plugin_conf(cls), *self = NULL;
  float a[LEN * D], b[LEN * D];
  isc_device *dev = NULL;
  target = cls->ops;
  CHECK_OK(isc_device_open("cpu", NULL, &dev, NULL));
  CHECK_OK(target->open(conf, dev, &self));

  /* A character changes what comes from it on, and nothing before it. */
  hidden_of(dev, self, "cats", a);
  hidden_of(dev, self, "cabs", b);
  CHECK(memcmp(a, b, 2 * D * sizeof *a) == 0);
  CHECK(memcmp(a + 2 * D, b + 2 * D, D * sizeof *a) != 0);
  CHECK(memcmp(a + 3 * D, b + 3 * D, D * sizeof *a) != 0);
  for (int i = 0; i < LEN * D; i++)
    CHECK(isfinite(a[i]));
  target->close(self);

  plugin_set(cls, conf, "n_head", "5"); /* 32 is no multiple of it */
  CHECK(target->open(conf, dev, &self) == ISC_E_CONFIG);
  isc_device_close(dev);
  free(conf);
  return 0;
}
