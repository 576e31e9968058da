/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes: their size, and the message when two of them do not agree.
 *
 * Shapes come from model files, so the product is overflow-checked before anything is allocated.
 */
#include "tensor/internal.h"
#include "base/base.h"

int64_t isc_tensor_size(const isc_tensor *t) {
  int64_t n = 1;
  for (int32_t i = 0; i < t->ndim; i++)
    n *= t->shape[i];
  return n;
}

isc_status isc_shape_bytes(int32_t ndim, const int64_t *shape, size_t *bytes) {
  if (ndim < 1 || ndim > 4)
    return isc_fail(ISC_E_SHAPE, "tensor: %d dimensions; 1 to 4 are possible", ndim);
  size_t n = sizeof(float);
  for (int32_t i = 0; i < ndim; i++) {
    if (shape[i] < 0)
      return isc_fail(ISC_E_SHAPE, "tensor: dimension %d is %lld", i, (long long)shape[i]);
    ISC_TRY(isc_mul_size(n, (size_t)shape[i], "tensor", &n));
  }
  if (n > INT64_MAX)
    return isc_fail(ISC_E_SHAPE, "tensor: %zu bytes are more than can be addressed", n);
  *bytes = n;
  return ISC_OK;
}

const char *isc_shape_text(const isc_tensor *t, char text[96]) {
  size_t at = 0;
  for (int32_t i = 0; i < t->ndim && at < 90; i++)
    at += (size_t)snprintf(text + at, 96 - at, "%s%lld", i ? ", " : "[", (long long)t->shape[i]);
  snprintf(text + at, 96 - at, "]");
  return text;
}

isc_status isc_shape_misfit(const char *op, const char *a_name, const isc_tensor *a,
                            const char *b_name, const isc_tensor *b) {
  char at[96], bt[96];
  return isc_fail(ISC_E_SHAPE, "%s: %s %s does not fit %s %s", op, a_name, isc_shape_text(a, at),
                  b_name, isc_shape_text(b, bt));
}

bool isc_shape_is(const isc_tensor *t, int32_t ndim, int64_t a, int64_t b, int64_t c) {
  if (t->ndim != ndim) return false;
  return t->shape[0] == a && (ndim < 2 || t->shape[1] == b) && (ndim < 3 || t->shape[2] == c);
}
