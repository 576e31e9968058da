/* SPDX-License-Identifier: Apache-2.0
 *
 * Key/value slots before the first token: the pass is the float64 one that attends to them, whole or through a cache, and
 * their gradients are those of finite differences.
 */
#include "support.h"
#include "support_backend.h"
#include "support_decoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 4, LEN = 5, SLOTS = 2, LAYERS = 3, WIDTH = 12, EACH = SLOTS * WIDTH };
/* f32 against float64 over three layers. */
static const double TOLERANCE = 2e-5;

typedef struct fixture {
  isc_decoder *d;
  isc_step *s;
  int32_t *ids; /* [BATCH, LEN] */
  float k[LAYERS][BATCH * EACH], v[LAYERS][BATCH * EACH];
  isc_tensor *tk[LAYERS], *tv[LAYERS];
  isc_kv_prefix prefix;
  int64_t rows; /* of the slots' tensors; the values above repeat them for each sequence */
} fixture;

/* Rows of sequence b's slots are those of b / (BATCH / rows). */
static void fill(float *x, uint64_t index, int64_t rows) {
  float made[BATCH * EACH];
  isc_test_normals(index, made, (size_t)(rows * EACH));
  for (int64_t b = 0; b < BATCH; b++)
    memcpy(x + b * EACH, made + b / (BATCH / rows) * EACH, EACH * sizeof *x);
}

/* The tensors anew in the fixture's step, which has just been reset. */
static void upload(fixture *f) {
  const int64_t shape[] = {f->rows, SLOTS, WIDTH}, each = BATCH / f->rows;
  for (int l = 0; l < LAYERS; l++) {
    float k[BATCH * EACH], v[BATCH * EACH];
    for (int64_t r = 0; r < f->rows; r++) {
      memcpy(k + r * EACH, f->k[l] + r * each * EACH, EACH * sizeof *k);
      memcpy(v + r * EACH, f->v[l] + r * each * EACH, EACH * sizeof *v);
    }
    isc_assert_ok(isc_tensor_from(f->s, 3, shape, k, &f->tk[l]));
    isc_assert_ok(isc_tensor_from(f->s, 3, shape, v, &f->tv[l]));
  }
  f->prefix = (isc_kv_prefix){.size = sizeof f->prefix, .n = SLOTS, .k = f->tk, .v = f->tv};
}

static void setup(fixture *f, isc_device *dev, int64_t rows) {
  isc_decoder_spec spec = isc_test_spec();
  *f = (fixture){.rows = rows, .ids = isc_test_ids(5, BATCH * LEN, spec.vocab)};
  f->d = isc_test_decoder(dev, &spec, 3);
  isc_assert_ok(isc_step_new(dev, &f->s));
  for (int l = 0; l < LAYERS; l++) {
    fill(f->k[l], 100 + (uint64_t)l, rows);
    fill(f->v[l], 200 + (uint64_t)l, rows);
  }
  upload(f);
}

static void teardown(fixture *f) {
  isc_step_free(f->s);
  isc_decoder_free(f->d);
  free(f->ids);
}

static isc_test_pass reference(const fixture *f) {
  isc_test_slots slots = {.n = SLOTS};
  for (int l = 0; l < LAYERS; l++) {
    slots.k[l] = f->k[l];
    slots.v[l] = f->v[l];
  }
  return isc_test_reference_behind(f->d, f->ids, BATCH, LEN, &slots);
}

static isc_decoder_input input(const fixture *f) {
  return (isc_decoder_input){.size = sizeof(isc_decoder_input),
                             .batch = BATCH,
                             .len = LEN,
                             .ids = f->ids,
                             .prefix = &f->prefix};
}

static void check_whole(isc_device *dev, int64_t rows) {
  fixture f;
  isc_tensor *hidden;
  float got[BATCH * LEN * WIDTH];
  setup(&f, dev, rows);
  isc_test_pass want = reference(&f), without = isc_test_reference(f.d, f.ids, BATCH, LEN);
  const isc_decoder_input in = input(&f);
  isc_assert_ok(isc_decoder_forward(f.d, f.s, &in, NULL, &hidden));
  isc_assert_ok(isc_tensor_download(f.s, hidden, got));
  cr_assert_lt(isc_test_relative(got, want.hidden, BATCH * LEN * WIDTH), TOLERANCE);
  cr_assert_gt(isc_test_relative(got, without.hidden, BATCH * LEN * WIDTH), 0.01,
               "the slots are not seen");
  isc_test_pass_free(&want);
  isc_test_pass_free(&without);
  teardown(&f);
}

ISC_TEST_ON_BOTH(prefix, is_attended_to) {
  check_whole(dev, BATCH);
}

ISC_TEST_ON_BOTH(prefix, is_shared_by_sequences_in_a_row) {
  check_whole(dev, 2);
}

/* ---- with a cache */

/* Feed tokens [from, from + n) of sequences source[0 … batch) and hold each against the reference. */
static void feed(fixture *f, isc_kv_cache *c, const isc_test_pass *want, const int64_t *source,
                 int64_t batch, int64_t from, int64_t n) {
  int32_t ids[BATCH * LEN];
  float got[BATCH * LEN * WIDTH];
  isc_tensor *hidden;
  for (int64_t b = 0; b < batch; b++)
    memcpy(ids + b * n, f->ids + source[b] * LEN + from, (size_t)n * sizeof *ids);
  const isc_decoder_input in = {.size = sizeof in,
                                .batch = batch,
                                .len = n,
                                .ids = ids,
                                .cache = c,
                                .prefix = from == 0 ? &f->prefix : NULL};
  isc_assert_ok(isc_decoder_forward(f->d, f->s, &in, NULL, &hidden));
  isc_assert_ok(isc_tensor_download(f->s, hidden, got));
  for (int64_t b = 0; b < batch; b++) {
    const double *row = want->hidden + (source[b] * LEN + from) * WIDTH;
    cr_assert_lt(isc_test_relative(got + b * n * WIDTH, row, n * WIDTH), TOLERANCE,
                 "row %d behind position %d", (int)b, (int)from);
  }
  cr_assert_eq(isc_kv_cache_len(c), from + n);
}

ISC_TEST_ON_BOTH(prefix, is_kept_by_a_cache) {
  fixture f;
  isc_kv_cache *c;
  setup(&f, dev, 2);
  isc_test_pass want = reference(&f);
  isc_assert_ok(isc_kv_cache_new_prefixed(f.d, BATCH, LEN, SLOTS, &c));
  feed(&f, c, &want, (int64_t[]){0, 1, 2, 3}, BATCH, 0, 2);
  feed(&f, c, &want, (int64_t[]){0, 1, 2, 3}, BATCH, 2, 1);
  isc_assert_ok(isc_kv_cache_select(c, (int64_t[]){3, 1}, 2));
  feed(&f, c, &want, (int64_t[]){3, 1}, 2, 3, 2);
  isc_kv_cache_free(c);
  teardown(&f);
  isc_test_pass_free(&want);
}

/* A cache that begins again without slots has none. */
ISC_TEST_ON_BOTH(prefix, is_forgotten_at_a_new_beginning) {
  fixture f;
  isc_kv_cache *c;
  isc_tensor *hidden;
  float got[BATCH * LEN * WIDTH];
  setup(&f, dev, BATCH);
  isc_test_pass want = isc_test_reference(f.d, f.ids, BATCH, LEN);
  isc_decoder_input in = input(&f);
  isc_assert_ok(isc_kv_cache_new_prefixed(f.d, BATCH, LEN, SLOTS, &c));
  in.cache = c;
  isc_assert_ok(isc_decoder_forward(f.d, f.s, &in, NULL, &hidden));
  isc_kv_cache_rewind(c, 0);
  in.prefix = NULL;
  isc_assert_ok(isc_decoder_forward(f.d, f.s, &in, NULL, &hidden));
  isc_assert_ok(isc_tensor_download(f.s, hidden, got));
  cr_assert_lt(isc_test_relative(got, want.hidden, BATCH * LEN * WIDTH), TOLERANCE);
  isc_kv_cache_free(c);
  teardown(&f);
  isc_test_pass_free(&want);
}

/* ---- gradients */

static const int32_t TARGET[BATCH * LEN] = {1, 2,  0, -1, 3, 2, 2, 1, 0, 4,
                                            1, -1, 0, 3,  2, 1, 1, 0, 2, 4};

static double loss(fixture *f, bool with_gradient) {
  isc_tensor *hidden, *value;
  float logp[BATCH * LEN];
  double sum = 0;
  isc_step_reset(f->s);
  upload(f);
  for (int l = 0; l < LAYERS; l++)
    f->tk[l]->needs_grad = f->tv[l]->needs_grad = with_gradient;
  if (with_gradient) isc_assert_ok(isc_tape_begin(f->s));
  const isc_decoder_input in = input(f);
  isc_assert_ok(isc_decoder_forward(f->d, f->s, &in, NULL, &hidden));
  isc_assert_ok(isc_op_xent(f->s, hidden, isc_decoder_head(f->d), TARGET, NULL, logp, &value));
  for (int i = 0; i < BATCH * LEN; i++)
    sum -= TARGET[i] < 0 ? 0 : logp[i];
  if (with_gradient) isc_assert_ok(isc_tape_backward(f->s, value));
  return sum / (BATCH * LEN - 2);
}

/* The slots of a row of the tensors are those of every sequence that shares it. */
static double shifted(fixture *f, float *x, int64_t i, double by) {
  const int64_t each = BATCH / f->rows, first = i / EACH * each * EACH + i % EACH;
  const float before = x[first];
  for (int64_t b = 0; b < each; b++)
    x[first + b * EACH] = (float)(before + by);
  const double l = loss(f, false);
  for (int64_t b = 0; b < each; b++)
    x[first + b * EACH] = before;
  return l;
}

/* Five points: the truncation is h⁴ and f32 rounding of the logits (1e-6) over h leaves 1e-4. */
static double slope(fixture *f, float *x, int64_t i) {
  const double h = 1.0 / 64;
  return (8 * (shifted(f, x, i, h) - shifted(f, x, i, -h)) -
          (shifted(f, x, i, 2 * h) - shifted(f, x, i, -2 * h))) /
         (12 * h);
}

static void check_gradients(isc_device *dev, int64_t rows) {
  fixture f;
  float grad[2][LAYERS][BATCH * EACH];
  double largest = 0;
  setup(&f, dev, rows);
  isc_params_train(isc_decoder_params(f.d), true);
  isc_assert_ok(isc_params_zero_grad(isc_decoder_params(f.d)));
  loss(&f, true);
  for (int l = 0; l < LAYERS; l++) {
    const size_t bytes = (size_t)(rows * EACH) * sizeof(float);
    cr_assert(f.tk[l]->grad && f.tv[l]->grad, "the slots of layer %d got no gradient", l);
    isc_assert_ok(dev->ops->download(dev->impl, grad[0][l], f.tk[l]->grad, bytes));
    isc_assert_ok(dev->ops->download(dev->impl, grad[1][l], f.tv[l]->grad, bytes));
  }
  for (int l = 0; l < LAYERS; l++)
    for (int which = 0; which < 2; which++)
      for (int64_t i = which; i < rows * EACH; i += 5) {
        const double want = slope(&f, which ? f.v[l] : f.k[l], i), got = grad[which][l][i];
        cr_assert_float_eq(got, want, 2e-4 + 1e-3 * fabs(want),
                           "%s of layer %d, %d: %g, by differences %g", which ? "value" : "key", l,
                           (int)i, got, want);
        largest = fmax(largest, fabs(want));
      }
  cr_assert_gt(largest, 0.01, "nothing to see: the largest slope is %g", largest);
  teardown(&f);
}

ISC_TEST_ON_BOTH(prefix, has_the_gradient_of_differences) {
  check_gradients(dev, BATCH);
}

ISC_TEST_ON_BOTH(prefix, sums_the_gradients_of_those_that_share_it) {
  check_gradients(dev, 2);
}

/* ---- what does not fit */

ISC_TEST_ON_BOTH(prefix, is_refused_when_it_does_not_fit) {
  fixture f;
  isc_tensor *hidden;
  isc_kv_cache *c;
  setup(&f, dev, BATCH);
  isc_decoder_input in = input(&f);
  f.prefix.n = 1;
  isc_assert_fails(isc_decoder_forward(f.d, f.s, &in, NULL, &hidden), ISC_E_SHAPE, "[rows, 1, 12]");
  f.prefix.n = SLOTS;
  in.batch = 3;
  isc_assert_fails(isc_decoder_forward(f.d, f.s, &in, NULL, &hidden), ISC_E_SHAPE,
                   "divide 3 sequences");
  in.batch = BATCH;
  in.lens = (int64_t[]){LEN, LEN, LEN, LEN};
  isc_assert_fails(isc_decoder_forward(f.d, f.s, &in, NULL, &hidden), ISC_E_USAGE, "one length");
  in.lens = NULL;
  isc_assert_ok(isc_kv_cache_new_prefixed(f.d, BATCH, LEN, 1, &c));
  in.cache = c;
  isc_assert_fails(isc_decoder_forward(f.d, f.s, &in, NULL, &hidden), ISC_E_SHAPE, "room for 1");
  in.prefix = NULL;
  in.len = 1;
  isc_assert_ok(isc_decoder_forward(f.d, f.s, &in, NULL, &hidden));
  in.prefix = &f.prefix;
  isc_assert_fails(isc_decoder_forward(f.d, f.s, &in, NULL, &hidden), ISC_E_USAGE,
                   "1 positions already");
  isc_kv_cache_free(c);
  teardown(&f);
}

ISC_TEST_ON_BOTH(prefix, is_refused_by_layers_with_a_window) {
  fixture f;
  isc_tensor *hidden;
  isc_decoder_spec spec = isc_test_spec();
  setup(&f, dev, BATCH);
  spec.window = 3;
  isc_decoder *windowed = isc_test_decoder(dev, &spec, 3);
  const isc_decoder_input in = input(&f);
  isc_assert_fails(isc_decoder_forward(windowed, f.s, &in, NULL, &hidden), ISC_E_UNSUPPORTED,
                   "a window of 3 positions");
  isc_decoder_free(windowed);
  teardown(&f);
}
