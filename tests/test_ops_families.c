/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations of other families than GPT-2: each against a loop in double written here, and its gradient against
 * differences.
 *
 * Values must lie within 4e-6 of the sum of their terms' magnitudes (operations.h); terms here are of order 1 and at most a
 * few dozen, so 2e-5 absolute is the bound used.
 */
#include "support.h"
#include "support_backend.h"
#include "support_gradient.h"
#include "conform/reference.h"
#include <inversescope/ops.h>
#include <inversescope/parameters.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double CLOSE = 2e-5;

typedef double (*value_fn)(int64_t i, float *const *in);

static void check(isc_device *dev, isc_test_op op, const isc_test_input *in, int64_t n,
                  int64_t expected, value_fn want) {
  float *host[4];
  int64_t count;
  for (int64_t i = 0; i < n; i++)
    host[i] = isc_test_values(&in[i], i);
  float *out = isc_test_forward(dev, op, NULL, in, (const float *const *)host, n, &count);
  cr_assert_eq(count, expected);
  for (int64_t i = 0; i < count; i++)
    cr_assert(fabs(out[i] - want(i, host)) <= CLOSE, "element %d: %.8g against %.8g", (int)i,
              out[i], want(i, host));
  free(out);
  for (int64_t i = 0; i < n; i++)
    free(host[i]);
}

/* ---- rows */

enum { ROWS = 5, D = 6 };
static const double EPS = 1e-2, ALPHA = -1.75;

static isc_status rmsnorm_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  (void)user;
  return isc_op_rmsnorm(s, in[0], in[1], EPS, out);
}

static double rmsnorm_want(int64_t i, float *const *in) {
  double square = 0;
  for (int64_t k = 0; k < D; k++)
    square += pow(in[0][i / D * D + k], 2) / D;
  return in[0][i] / sqrt(square + EPS) * in[1][i % D];
}

ISC_TEST_ON_BOTH(ops_families, rmsnorm) {
  const isc_test_input in[] = {{2, {ROWS, D}}, {1, {D}}};
  check(dev, rmsnorm_op, in, 2, ROWS * D, rmsnorm_want);
  isc_test_gradients(dev, rmsnorm_op, NULL, in, 2);
}

static isc_status scale_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  (void)user;
  return isc_op_scale(s, in[0], ALPHA, out);
}

static double scale_want(int64_t i, float *const *in) {
  return ALPHA * in[0][i];
}

ISC_TEST_ON_BOTH(ops_families, scale) {
  const isc_test_input in[] = {{2, {ROWS, D}}};
  check(dev, scale_op, in, 1, ROWS * D, scale_want);
  isc_test_gradients(dev, scale_op, NULL, in, 1);
}

static isc_status gate_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  (void)user;
  return isc_op_gate(s, ISC_ACT_SILU, in[0], out);
}

static double gate_want(int64_t i, float *const *in) {
  const float *row = in[0] + i / (D / 2) * D;
  const double gate = row[i % (D / 2)], up = row[D / 2 + i % (D / 2)];
  return gate / (1 + exp(-gate)) * up;
}

ISC_TEST_ON_BOTH(ops_families, gate) {
  const isc_test_input in[] = {{2, {ROWS, D}}};
  check(dev, gate_op, in, 1, ROWS * D / 2, gate_want);
  isc_test_gradients(dev, gate_op, NULL, in, 1);
}

static const int32_t IDS[] = {3, 0, 3, 1};

static isc_status embed_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  (void)user;
  return isc_op_embed_scaled(s, in[0], NULL, ALPHA, IDS, NULL, 4, out);
}

static double embed_want(int64_t i, float *const *in) {
  return ALPHA * in[0][IDS[i / D] * D + i % D];
}

ISC_TEST_ON_BOTH(ops_families, scaled_embedding) {
  const isc_test_input in[] = {{2, {ROWS, D}}};
  check(dev, embed_op, in, 1, 4 * D, embed_want);
  isc_test_gradients(dev, embed_op, NULL, in, 1);
}

/* ---- heads */

enum { BATCH = 2, LEN = 5, HEADS = 4, KV = 2, HEAD = 4, WIDTH = (HEADS + 2 * KV) * HEAD, PAST = 3 };
static const double SCALE = 0.6, CAP = 1.3;
enum { WINDOW = 3 };

static isc_heads heads(int64_t window) {
  return (isc_heads){.size = sizeof(isc_heads),
                     .batch = BATCH,
                     .len = LEN,
                     .n_head = HEADS,
                     .n_kv_head = KV,
                     .d_head = HEAD,
                     .scale = (float)SCALE,
                     .soft_cap = window ? (float)CAP : 0,
                     .window = window};
}

static double angle(int64_t position, int64_t pair) {
  return 0.3 * (double)position * (double)(pair + 1) + 0.1;
}

/* Tables for positions 0 … PAST + LEN − 1 of 2·half rotating columns. */
static isc_status tables(isc_step *s, int64_t half, isc_tensor **cosines, isc_tensor **sines) {
  float c[(PAST + LEN) * HEAD], n[(PAST + LEN) * HEAD];
  for (int64_t p = 0; p < PAST + LEN; p++)
    for (int64_t j = 0; j < half; j++) {
      c[p * half + j] = (float)cos(angle(p, j));
      n[p * half + j] = (float)sin(angle(p, j));
    }
  ISC_TRY(isc_tensor_from(s, 2, (int64_t[]){PAST + LEN, half}, c, cosines));
  return isc_tensor_from(s, 2, (int64_t[]){PAST + LEN, half}, n, sines);
}

enum { HALF = 1 }; /* of each head's 4 columns, the first 2 are turned */

static isc_status rotary_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  const isc_heads h = heads(0);
  isc_tensor *c, *n;
  (void)user;
  ISC_TRY(tables(s, HALF, &c, &n));
  return isc_op_rotary(s, in[0], &h, PAST, c, n, out);
}

static double rotary_want(int64_t i, float *const *in) {
  const int64_t column = i % WIDTH, at = column % HEAD, position = PAST + i / WIDTH % LEN;
  const float *x = in[0] + i - at;
  if (column >= (HEADS + KV) * HEAD || at >= 2 * HALF) return in[0][i];
  const double c = cos(angle(position, 0)), s = sin(angle(position, 0));
  return at == 0 ? x[0] * c - x[HALF] * s : x[HALF] * c + x[0] * s;
}

ISC_TEST_ON_BOTH(ops_families, rotary) {
  const isc_test_input in[] = {{2, {BATCH * LEN, WIDTH}}};
  check(dev, rotary_op, in, 1, BATCH * LEN * WIDTH, rotary_want);
  isc_test_gradients(dev, rotary_op, NULL, in, 1);
}

static isc_status attend_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  const isc_heads h = heads(WINDOW);
  (void)user;
  return isc_op_attend(s, in[0], &h, NULL, NULL, 0, out);
}

static double attend_want(int64_t i, float *const *in) {
  const int64_t width = HEADS * HEAD, b = i / (LEN * width), t = i / width % LEN,
                head = i % width / HEAD, kv = head / (HEADS / KV), e = i % HEAD;
  const float *rows = in[0] + b * LEN * WIDTH, *q = rows + t * WIDTH + head * HEAD;
  double sum = 0, out = 0;
  for (int64_t j = t < WINDOW ? 0 : t - WINDOW + 1; j <= t; j++) {
    const float *k = rows + j * WIDTH + (HEADS + kv) * HEAD, *v = k + KV * HEAD;
    double score = 0;
    for (int64_t c = 0; c < HEAD; c++)
      score += SCALE * q[c] * k[c];
    const double p = exp(CAP * tanh(score / CAP));
    sum += p;
    out += p * v[e];
  }
  return out / sum;
}

ISC_TEST_ON_BOTH(ops_families, attention_with_grouped_heads_a_window_and_a_cap) {
  const isc_test_input in[] = {{2, {BATCH * LEN, WIDTH}}};
  check(dev, attend_op, in, 1, BATCH * LEN * HEADS * HEAD, attend_want);
  isc_test_gradients(dev, attend_op, NULL, in, 1);
}

/* One position at a time over caches gives the whole sequence's rows. */
ISC_TEST_ON_BOTH(ops_families, cached_attention_equals_whole) {
  const isc_test_input in = {2, {BATCH * LEN, WIDTH}};
  const int64_t shape[] = {LEN, BATCH, KV * HEAD};
  float *qkv = isc_test_values(&in, 0), piece[BATCH * WIDTH], got[BATCH * HEADS * HEAD];
  isc_heads h = heads(WINDOW);
  isc_tensor k, v, *x, *out;
  isc_step *s;
  h.len = 1;
  isc_assert_ok(isc_tensor_alloc(dev, 3, shape, &k));
  isc_assert_ok(isc_tensor_alloc(dev, 3, shape, &v));
  isc_assert_ok(isc_step_new(dev, &s));
  for (int64_t t = 0; t < LEN; t++) {
    for (int64_t b = 0; b < BATCH; b++)
      memcpy(piece + b * WIDTH, qkv + (b * LEN + t) * WIDTH, WIDTH * sizeof *qkv);
    isc_step_reset(s);
    isc_assert_ok(isc_tensor_from(s, 2, (int64_t[]){BATCH, WIDTH}, piece, &x));
    isc_assert_ok(isc_op_attend(s, x, &h, &k, &v, t, &out));
    isc_assert_ok(isc_tensor_download(s, out, got));
    for (int64_t i = 0; i < BATCH * HEADS * HEAD; i++) {
      const int64_t row = i / (HEADS * HEAD) * LEN + t;
      const double want = attend_want(row * HEADS * HEAD + i % (HEADS * HEAD), &qkv);
      cr_assert(fabs(got[i] - want) <= CLOSE, "position %d element %d: %g against %g", (int)t,
                (int)i, got[i], want);
    }
  }
  isc_assert_fails(isc_op_attend(s, x, &h, &k, NULL, 0, &out), ISC_E_USAGE, "together");
  isc_assert_fails(isc_op_attend(s, x, &h, &k, &v, LEN, &out), ISC_E_SHAPE, "no room");
  isc_step_free(s);
  isc_tensor_release(dev, &k);
  isc_tensor_release(dev, &v);
  free(qkv);
}

static isc_status norm_heads_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  const isc_heads h = heads(0);
  (void)user;
  return isc_op_norm_heads(s, in[0], &h, in[1], in[2], EPS, out);
}

static double norm_heads_want(int64_t i, float *const *in) {
  const int64_t column = i % WIDTH, at = column % HEAD;
  double square = 0;
  if (column >= (HEADS + KV) * HEAD) return in[0][i];
  for (int64_t k = 0; k < HEAD; k++)
    square += pow(in[0][i - at + k], 2) / HEAD;
  return in[0][i] / sqrt(square + EPS) * in[column < HEADS * HEAD ? 1 : 2][at];
}

ISC_TEST_ON_BOTH(ops_families, norm_of_heads) {
  const isc_test_input in[] = {{2, {BATCH * LEN, WIDTH}}, {1, {HEAD}}, {1, {HEAD}}};
  check(dev, norm_heads_op, in, 3, BATCH * LEN * WIDTH, norm_heads_want);
}

/* ---- bf16 */

/* A bf16 weight and an f32 one of the same values give the same products when the step rounds to bf16. */
ISC_TEST_ON_BOTH(ops_families, a_bf16_weight_is_its_rounded_values) {
  const isc_test_input shape = {2, {D, ROWS}}, rows = {2, {3, D}};
  float *w = isc_test_values(&shape, 0), *x = isc_test_values(&rows, 1), got[2][3 * ROWS],
        back[D * ROWS];
  isc_params *p;
  isc_param *half, *full;
  isc_step *s;
  isc_tensor *in, *out;
  isc_assert_ok(isc_params_new(dev, &p));
  isc_assert_ok(isc_params_add_typed(p, "half", 2, shape.shape, 0, ISC_BF16, &half));
  isc_assert_ok(isc_params_add(p, "full", 2, shape.shape, 0, &full));
  isc_assert_ok(isc_param_set(p, half, w));
  isc_assert_ok(isc_param_get(p, half, back));
  for (int i = 0; i < D * ROWS; i++) {
    cr_assert(fabs(back[i] - w[i]) <= ldexp(fabs(w[i]), -8), "%g became %g", w[i], back[i]);
    cr_assert(back[i] != 0);
  }
  isc_assert_ok(isc_param_set(p, full, back));
  isc_params_train(p, true);
  cr_assert(full->value.needs_grad && !half->value.needs_grad);
  isc_assert_ok(isc_step_new(dev, &s));
  isc_step_set_product(s, ISC_BF16);
  isc_assert_ok(isc_tensor_from(s, 2, rows.shape, x, &in));
  isc_assert_ok(isc_op_linear(s, in, &half->value, ISC_IN_OUT, NULL, ISC_ACT_NONE, &out));
  isc_assert_ok(isc_tensor_download(s, out, got[0]));
  isc_assert_ok(isc_op_linear(s, in, &full->value, ISC_IN_OUT, NULL, ISC_ACT_NONE, &out));
  isc_assert_ok(isc_tensor_download(s, out, got[1]));
  cr_assert_arr_eq(got[0], got[1], sizeof got[0]);
  isc_step_free(s);
  isc_params_free(p);
  free(w);
  free(x);
}

/* ---- misfits */

Test(ops_families, misfits_are_named) {
  isc_device dev = isc_test_plain_device();
  isc_heads h = heads(0), odd = h, old = h;
  isc_tensor *qkv, *row, *c, *n, *out;
  isc_step *s;
  isc_assert_ok(isc_step_new(&dev, &s));
  isc_assert_ok(isc_tensor_zeros(s, 2, (int64_t[]){BATCH * LEN, WIDTH}, &qkv));
  isc_assert_ok(isc_tensor_zeros(s, 2, (int64_t[]){2, 3}, &row));
  isc_assert_ok(tables(s, 3, &c, &n));
  odd.n_kv_head = 3;
  old.size = 8;
  isc_assert_fails(isc_op_rotary(s, qkv, &h, 0, c, n, &out), ISC_E_SHAPE, "heads of width 4");
  isc_assert_ok(tables(s, HALF, &c, &n));
  isc_assert_fails(isc_op_rotary(s, qkv, &h, PAST + 1, c, n, &out), ISC_E_SHAPE,
                   "positions 4 to 8");
  isc_assert_fails(isc_op_rotary(s, row, &h, 0, c, n, &out), ISC_E_SHAPE, "[2, 3]");
  isc_assert_fails(isc_op_attend(s, qkv, &odd, NULL, NULL, 0, &out), ISC_E_SHAPE, "multiple");
  isc_assert_fails(isc_op_attend(s, qkv, &old, NULL, NULL, 0, &out), ISC_E_USAGE, "8");
  isc_assert_fails(isc_op_gate(s, ISC_ACT_SILU, row, &out), ISC_E_SHAPE, "two halves");
  isc_assert_fails(isc_op_rmsnorm(s, row, qkv, 0, &out), ISC_E_SHAPE, "rmsnorm");
  isc_assert_fails(isc_op_norm_heads(s, qkv, &h, row, row, 0, &out), ISC_E_SHAPE, "queries' gain");
  isc_step_free(s);
}
