/* SPDX-License-Identifier: Apache-2.0
 *
 * What a device counts: two operations for each multiplication and addition of a product, forwards and backwards.
 */
#include "support.h"
#include "support_backend.h"
#include <inversescope/ops.h>

enum { ROWS = 6, IN = 5, OUT = 7, BATCH = 2, LEN = 4, HEADS = 2, WIDE = 6, VOCAB = 11 };

static isc_tensor *leaf(isc_step *s, int64_t rows, int64_t columns, bool needs_grad) {
  const int64_t shape[] = {rows, columns};
  isc_tensor *t;
  isc_assert_ok(isc_tensor_zeros(s, 2, shape, &t));
  t->needs_grad = needs_grad;
  return t;
}

ISC_TEST_ON_BOTH(count, a_linear_map_and_its_gradients) {
  isc_step *s;
  isc_tensor *y;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_tensor *x = leaf(s, ROWS, IN, false), *w = leaf(s, IN, OUT, false);
  double before = dev->flops;
  isc_assert_ok(isc_op_linear(s, x, w, ISC_IN_OUT, NULL, ISC_ACT_NONE, &y));
  cr_assert_eq(dev->flops - before, 2.0 * ROWS * IN * OUT);
  /* With the loss over the rows of a vocabulary: its own three products, and two more of the map. */
  isc_tensor *head = leaf(s, VOCAB, OUT, true), *loss;
  const int32_t target[ROWS] = {0, 1, 2, 3, 4, -1};
  x->needs_grad = w->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  before = dev->flops;
  isc_assert_ok(isc_op_linear(s, x, w, ISC_IN_OUT, NULL, ISC_ACT_NONE, &y));
  isc_assert_ok(isc_op_xent(s, y, head, target, NULL, NULL, &loss));
  isc_assert_ok(isc_tape_backward(s, loss));
  cr_assert_eq(dev->flops - before, 2.0 * (3 * ROWS * IN * OUT + 3 * ROWS * OUT * VOCAB + ROWS),
               "the last: the loss is a product of weights and log-probabilities");
  isc_step_free(s);
}

ISC_TEST_ON_BOTH(count, attention_counts_the_pairs_that_see_each_other) {
  isc_step *s;
  isc_tensor *out;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_tensor *qkv = leaf(s, BATCH * LEN, 3 * WIDE, false);
  const double before = dev->flops;
  isc_assert_ok(isc_op_attention(s, qkv, BATCH, LEN, HEADS, 1, &out));
  const double pairs = LEN * (LEN + 1) / 2; /* of a head */
  cr_assert_eq(dev->flops - before, 2 * 2.0 * BATCH * pairs * WIDE);
  isc_step_free(s);
}
