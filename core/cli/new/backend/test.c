/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about @KIND@/@NAME@: a product of small whole numbers, which no rounding can blur.
 */
#include "plugin_test.h"

#include <inversescope/tensor.h>

int main(void) {
  static const float a[2 * 3] = {1, 2, 3, 4, 5, 6}, b[3 * 2] = {7, 8, 9, 10, 11, 12};
  static const float want[2 * 2] = {58, 64, 139, 154};
  float got[2 * 2];
  isc_device *dev = NULL;
  void *x, *y, *z;
  CHECK(strcmp(plugin_class(ISC_BACKEND)->name, "@NAME@") == 0);
  CHECK_OK(isc_device_open("@NAME@", NULL, &dev, NULL)); /* found on INVERSESCOPE_PLUGIN_PATH */
  CHECK(dev->description[0] != 0);
  CHECK_OK(dev->ops->alloc(dev->impl, sizeof a, &x));
  CHECK_OK(dev->ops->alloc(dev->impl, sizeof b, &y));
  CHECK_OK(dev->ops->alloc(dev->impl, sizeof got, &z));
  CHECK_OK(dev->ops->upload(dev->impl, x, a, sizeof a));
  CHECK_OK(dev->ops->upload(dev->impl, y, b, sizeof b));
  const isc_gemm product = {.batch = 1,
                            .m = 2,
                            .n = 2,
                            .k = 3,
                            .a = x,
                            .b = y,
                            .c = z,
                            .lda = 3,
                            .ldb = 2,
                            .ldc = 2,
                            .alpha = 1};
  CHECK_OK(dev->ops->gemm(dev->impl, &product));
  CHECK_OK(dev->ops->sync(dev->impl));
  CHECK_OK(dev->ops->download(dev->impl, got, z, sizeof got));
  CHECK(memcmp(got, want, sizeof want) == 0);
  dev->ops->free(dev->impl, x);
  dev->ops->free(dev->impl, y);
  dev->ops->free(dev->impl, z);
  isc_device_close(dev);
  return 0;
}
