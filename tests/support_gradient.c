/* SPDX-License-Identifier: Apache-2.0
 *
 * The finite-difference harness for op gradients.
 *
 * Error of the five-point difference at h = 1/32: truncation h⁴/30·f⁽⁵⁾ ≈ 3e-8·f⁽⁵⁾, rounding about
 * 1.5/h · 6e-8 · |r·out| ≈ 3e-6 · √(elements), below 5e-5 for the sizes here; 4e-4 leaves room for steep functions.
 */
#include "support_gradient.h"
#include "support.h"
#include "support_backend.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_INPUTS = 8 };
static const double H = 1.0 / 32, TOLERANCE = 4e-4;

int64_t isc_test_count(const isc_test_input *in) {
  int64_t n = 1;
  for (int32_t i = 0; i < in->ndim; i++)
    n *= in->shape[i];
  return n;
}

float *isc_test_values(const isc_test_input *in, int64_t i) {
  int64_t n = isc_test_count(in);
  float *x = malloc((size_t)(n + 1) * sizeof *x);
  isc_test_normals(1000 + (uint64_t)i, x, n);
  return x;
}

static void upload_all(isc_step *s, const isc_test_input *in, const float *const *host, int64_t n,
                       isc_tensor **t) {
  for (int64_t i = 0; i < n; i++)
    isc_assert_ok(isc_tensor_from(s, in[i].ndim, in[i].shape, host[i], &t[i]));
}

float *isc_test_forward(isc_device *dev, isc_test_op op, void *user, const isc_test_input *in,
                        const float *const *host, int64_t n, int64_t *count) {
  isc_tensor *t[MOST_INPUTS], *out;
  isc_step *s;
  isc_assert_ok(isc_step_new(dev, &s));
  upload_all(s, in, host, n, t);
  isc_assert_ok(op(s, t, user, &out));
  *count = isc_tensor_size(out);
  float *x = malloc((size_t)(*count + 1) * sizeof *x);
  isc_assert_ok(isc_tensor_download(s, out, x));
  isc_step_free(s);
  return x;
}

static double loss_of(isc_device *dev, isc_test_op op, void *user, const isc_test_input *in,
                      const float *const *host, int64_t n) {
  int64_t count;
  float *out = isc_test_forward(dev, op, user, in, host, n, &count);
  float *r = malloc((size_t)count * sizeof *r);
  double sum = 0;
  isc_test_normals(77, r, count);
  for (int64_t i = 0; i < count; i++)
    sum += (double)r[i] * out[i];
  free(r);
  free(out);
  return sum;
}

/* loss = ⟨out, r⟩ as a product with r [count, 1]. */
static void seed_with_r(isc_step *s, isc_tensor *out, isc_tensor **loss) {
  int64_t count = isc_tensor_size(out);
  isc_tensor *flat, *rt;
  float *r = malloc((size_t)count * sizeof *r);
  isc_test_normals(77, r, count);
  isc_assert_ok(isc_tensor_reshape(s, out, 2, (int64_t[]){1, count}, &flat));
  isc_assert_ok(isc_tensor_from(s, 2, (int64_t[]){count, 1}, r, &rt));
  isc_assert_ok(isc_op_linear(s, flat, rt, ISC_IN_OUT, NULL, ISC_ACT_NONE, loss));
  free(r);
}

typedef enum consumers { ONE, TWO } consumers;

/* Gradients of the inputs in `mask`; grad[i] malloc'd or NULL. */
static void tape_gradients(isc_device *dev, isc_test_op op, void *user, const isc_test_input *in,
                           const float *const *host, int64_t n, unsigned mask, consumers uses,
                           float **grad) {
  isc_tensor *t[MOST_INPUTS], *out, *again, *loss;
  isc_step *s;
  isc_assert_ok(isc_step_new(dev, &s));
  upload_all(s, in, host, n, t);
  for (int64_t i = 0; i < n; i++)
    t[i]->needs_grad = mask >> i & 1;
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(op(s, t, user, &out));
  if (uses == TWO) {
    isc_assert_ok(op(s, t, user, &again));
    isc_assert_ok(isc_op_add(s, out, again, &out));
  }
  cr_assert(out->needs_grad);
  seed_with_r(s, out, &loss);
  isc_assert_ok(isc_tape_backward(s, loss));
  for (int64_t i = 0; i < n; i++) {
    grad[i] = NULL;
    if (!(mask >> i & 1)) {
      cr_assert_null(t[i]->grad, "input %d is frozen and has a gradient", (int)i);
      continue;
    }
    cr_assert_not_null(t[i]->grad, "input %d has no gradient", (int)i);
    int64_t count = isc_test_count(&in[i]);
    grad[i] = malloc((size_t)count * sizeof **grad);
    isc_assert_ok(
        dev->ops->download(dev->impl, grad[i], t[i]->grad, (size_t)count * sizeof **grad));
  }
  isc_step_free(s);
}

static void compare_with_differences(isc_device *dev, isc_test_op op, void *user,
                                     const isc_test_input *in, float **host, int64_t n, int64_t i,
                                     const float *grad) {
  for (int64_t j = 0; j < isc_test_count(&in[i]); j++) {
    const float x = host[i][j];
    double at[4];
    const double shift[4] = {H, -H, 2 * H, -2 * H};
    for (int k = 0; k < 4; k++) {
      host[i][j] = (float)(x + shift[k]);
      at[k] = loss_of(dev, op, user, in, (const float *const *)host, n);
    }
    host[i][j] = x;
    double slope = (8 * (at[0] - at[1]) - (at[2] - at[3])) / (12 * H);
    cr_assert(fabs(slope - grad[j]) <= TOLERANCE * (1 + fabs(slope)),
              "input %d element %d: tape %.7g, difference %.7g", (int)i, (int)j, grad[j], slope);
  }
}

/* Two f32 sums of the same terms in another order: a few units in the last place of the largest. */
static void compare(const float *a, double factor, const float *b, int64_t n, const char *what) {
  double most = 1e-3;
  for (int64_t j = 0; j < n; j++)
    most = fmax(most, fabs(b[j]));
  for (int64_t j = 0; j < n; j++)
    cr_assert(fabs(factor * a[j] - b[j]) <= 4e-6 * most, "%s: element %d: %.8g against %.8g", what,
              (int)j, factor * a[j], b[j]);
}

void isc_test_gradients(isc_device *dev, isc_test_op op, void *user, const isc_test_input *in,
                        int64_t n) {
  float *host[MOST_INPUTS] = {0}, *all[MOST_INPUTS], *part[MOST_INPUTS];
  const float *const *values = (const float *const *)host;
  unsigned everything = (1u << n) - 1;
  for (int64_t i = 0; i < n; i++)
    host[i] = isc_test_values(&in[i], i);
  tape_gradients(dev, op, user, in, values, n, everything, ONE, all);
  for (int64_t i = 0; i < n; i++)
    compare_with_differences(dev, op, user, in, host, n, i, all[i]);
  tape_gradients(dev, op, user, in, values, n, everything, TWO, part);
  for (int64_t i = 0; i < n; i++) {
    compare(all[i], 2, part[i], isc_test_count(&in[i]), "two consumers");
    free(part[i]);
  }
  for (int64_t i = 0; i < n; i++) {
    tape_gradients(dev, op, user, in, values, n, 1u << i, ONE, part);
    compare(all[i], 1, part[i], isc_test_count(&in[i]), "the others frozen");
    free(part[i]);
  }
  for (int64_t i = 0; i < n; i++) {
    free(host[i]);
    free(all[i]);
  }
}
