/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention, the vocabulary loss, control layers and per-head and per-group maps; and what ops refuse.
 *
 * Values are held against loops in double written here, gradients against differences; bounds as in test_ops.c.
 */
#include "support.h"
#include "support_backend.h"
#include "support_gradient.h"
#include <inversescope/ops.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double CLOSE = 2e-5;

/* ---- attention */

enum { BATCH = 2, LEN = 4, HEADS = 2, WIDTH = 6, HEAD = WIDTH / HEADS };
static const float SCALE = 0.6f;

static isc_status attention_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  (void)user;
  return isc_op_attention(s, in[0], BATCH, LEN, HEADS, SCALE, out);
}

/* out[b, t, h, e] = Σ_j≤t softmax_j(scale ⟨q_t, k_j⟩) v_j[e] */
static double attention_want(const float *qkv, int64_t i) {
  int64_t b = i / (LEN * WIDTH), t = i / WIDTH % LEN, h = i % WIDTH / HEAD, e = i % HEAD;
  double sum = 0, out = 0;
  for (int64_t j = 0; j <= t; j++) {
    const float *q = qkv + (b * LEN + t) * 3 * WIDTH + h * HEAD;
    const float *k = qkv + (b * LEN + j) * 3 * WIDTH + WIDTH + h * HEAD;
    double s = 0;
    for (int64_t c = 0; c < HEAD; c++)
      s += (double)q[c] * k[c];
    s = exp((double)SCALE * s);
    sum += s;
    out += s * k[WIDTH + e];
  }
  return out / sum;
}

ISC_TEST_ON_BOTH(ops_model, attention) {
  const isc_test_input in[] = {{3, {BATCH, LEN, 3 * WIDTH}}};
  float *qkv = isc_test_values(in, 0);
  const float *host[] = {qkv};
  int64_t n;
  float *out = isc_test_forward(dev, attention_op, NULL, in, host, 1, &n);
  cr_assert_eq(n, BATCH * LEN * WIDTH);
  for (int64_t i = 0; i < n; i++)
    cr_assert(fabs(out[i] - attention_want(qkv, i)) <= CLOSE, "element %d", (int)i);
  free(out);
  free(qkv);
  isc_test_gradients(dev, attention_op, NULL, in, 1);
}

/* A prefill of `first` positions and then one position at a time gives the whole sequence's rows. */
static void check_cached(isc_device *dev, int64_t first) {
  const int64_t shape[] = {LEN + 2, BATCH + 1, WIDTH};
  const isc_test_input in = {3, {BATCH, LEN, 3 * WIDTH}};
  float *qkv = isc_test_values(&in, 0), piece[BATCH * LEN * 3 * WIDTH], got[BATCH * LEN * WIDTH];
  isc_tensor k, v, *x, *out;
  isc_step *s;
  isc_assert_ok(isc_tensor_alloc(dev, 3, shape, &k));
  isc_assert_ok(isc_tensor_alloc(dev, 3, shape, &v));
  isc_assert_ok(isc_step_new(dev, &s));
  for (int64_t past = 0, len = first; past < LEN; past += len, len = 1) {
    for (int64_t b = 0; b < BATCH; b++)
      memcpy(piece + b * len * 3 * WIDTH, qkv + (b * LEN + past) * 3 * WIDTH,
             (size_t)(len * 3 * WIDTH) * sizeof *qkv);
    isc_step_reset(s);
    isc_assert_ok(isc_tensor_from(s, 3, (int64_t[]){BATCH, len, 3 * WIDTH}, piece, &x));
    isc_assert_ok(isc_op_attention_cached(s, x, BATCH, len, HEADS, SCALE, &k, &v, past, &out));
    isc_assert_ok(isc_tensor_download(s, out, got));
    for (int64_t i = 0; i < BATCH * len * WIDTH; i++) {
      int64_t b = i / (len * WIDTH), t = past + i / WIDTH % len;
      double want = attention_want(qkv, (b * LEN + t) * WIDTH + i % WIDTH);
      cr_assert(fabs(got[i] - want) <= CLOSE, "past %d element %d: %g against %g", (int)past,
                (int)i, got[i], want);
    }
  }
  int64_t last = x->shape[1];
  isc_assert_fails(isc_op_attention_cached(s, x, BATCH, last, HEADS, SCALE, &k, &v, LEN + 2, &out),
                   ISC_E_SHAPE, "no room");
  isc_step_free(s);
  isc_tensor_release(dev, &k);
  isc_tensor_release(dev, &v);
  free(qkv);
}

ISC_TEST_ON_BOTH(ops_model, cached_attention_equals_whole) {
  check_cached(dev, 1);
  check_cached(dev, 3);
  check_cached(dev, LEN);
}

/* ---- vocabulary loss */

enum { ROWS = 4, VOCAB = 7, D = 3 };
static const int32_t TARGET[] = {6, -1, 0, 3};
static const float WEIGHT[] = {0.5f, 9, 0.25f, 2};

/* −Σ weight logp in double. */
static double xent_want(const float *h, const float *w, const float *weight, double *logp) {
  double loss = 0;
  for (int r = 0; r < ROWS; r++) {
    double sum = 0, hit = 0;
    for (int k = 0; k < VOCAB; k++) {
      double z = 0;
      for (int j = 0; j < D; j++)
        z += (double)h[r * D + j] * w[k * D + j];
      sum += exp(z);
      if (k == TARGET[r]) hit = z;
    }
    logp[r] = TARGET[r] < 0 ? 0 : hit - log(sum);
    loss -= weight[r] * logp[r];
  }
  return loss;
}

typedef struct xent_run {
  float loss, logp[ROWS], dh[ROWS * D], dw[VOCAB * D];
} xent_run;

static void run_xent(isc_device *dev, const float *h, const float *w, const float *weight,
                     xent_run *r) {
  isc_tensor *ht, *wt, *loss;
  isc_step *s;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_tensor_from(s, 2, (int64_t[]){ROWS, D}, h, &ht));
  isc_assert_ok(isc_tensor_from(s, 2, (int64_t[]){VOCAB, D}, w, &wt));
  ht->needs_grad = wt->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_op_xent(s, ht, wt, TARGET, weight, r->logp, &loss));
  isc_assert_ok(isc_tape_backward(s, loss));
  isc_assert_ok(isc_tensor_download(s, loss, &r->loss));
  isc_assert_ok(dev->ops->download(dev->impl, r->dh, ht->grad, sizeof r->dh));
  isc_assert_ok(dev->ops->download(dev->impl, r->dw, wt->grad, sizeof r->dw));
  isc_step_free(s);
}

/* The reference here is in double, so plain differences of it are good to 1e-8 and CLOSE is the f32 bound. */
static void check_xent_gradient(float *x, const float *got, int64_t n, const float *h,
                                const float *w, const float *weight) {
  const double step = 1.0 / 1024;
  double logp[ROWS];
  for (int64_t i = 0; i < n; i++) {
    float kept = x[i];
    x[i] = (float)(kept + step);
    double up = xent_want(h, w, weight, logp), a = x[i];
    x[i] = (float)(kept - step);
    double slope = (up - xent_want(h, w, weight, logp)) / (a - x[i]);
    x[i] = kept;
    cr_assert(fabs(slope - got[i]) <= CLOSE, "element %d: %g against %g", (int)i, got[i], slope);
  }
}

ISC_TEST_ON_BOTH(ops_model, xent) {
  const float even[] = {1 / 3.0f, 0, 1 / 3.0f, 1 / 3.0f};
  float h[ROWS * D], w[VOCAB * D];
  double logp[ROWS];
  isc_test_normals(1, h, ROWS * D);
  isc_test_normals(2, w, VOCAB * D);
  for (int weighted = 0; weighted < 2; weighted++) {
    const float *weight = weighted ? WEIGHT : even;
    xent_run r;
    run_xent(dev, h, w, weighted ? WEIGHT : NULL, &r);
    cr_assert(fabs(r.loss - xent_want(h, w, weight, logp)) <= CLOSE);
    for (int i = 0; i < ROWS; i++)
      cr_assert(fabs(r.logp[i] - logp[i]) <= CLOSE, "row %d", i);
    for (int j = 0; j < D; j++)
      cr_assert_eq(r.dh[D + j], 0.0f, "a row without a target has a gradient");
    check_xent_gradient(h, r.dh, ROWS * D, h, w, weight);
    check_xent_gradient(w, r.dw, VOCAB * D, h, w, weight);
  }
}

ISC_TEST_ON_BOTH(ops_model, xent_is_the_loss_or_nothing) {
  const float one[] = {2};
  float h[ROWS * D], w[VOCAB * D];
  isc_tensor *ht, *wt, *loss, *scaled, *by;
  isc_step *s;
  isc_test_normals(1, h, ROWS * D);
  isc_test_normals(2, w, VOCAB * D);
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_tensor_from(s, 2, (int64_t[]){ROWS, D}, h, &ht));
  isc_assert_ok(isc_tensor_from(s, 2, (int64_t[]){VOCAB, D}, w, &wt));
  isc_assert_ok(isc_tensor_from(s, 1, (int64_t[]){1}, one, &by));
  ht->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_op_xent(s, ht, wt, TARGET, NULL, NULL, &loss));
  isc_assert_ok(isc_op_mul(s, loss, by, &scaled));
  isc_assert_fails(isc_tape_backward(s, scaled), ISC_E_USAGE, "must be the loss itself");
  isc_step_free(s);
}

/* ---- control layer */

enum { M = 3 };
static isc_status control_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  (void)user;
  return isc_op_control(s, in[0], in[1], in[2], in[3], in[4], 0.4f, out, NULL);
}

static double control_want(int64_t i, float *const *in) {
  int64_t row = i / D, b = row / LEN;
  double out = in[0][i];
  for (int64_t m = 0; m < M; m++) {
    double score = in[3][b * M + m];
    for (int64_t j = 0; j < D; j++)
      score += (double)in[1][row * D + j] * in[2][(b * M + m) * D + j];
    out += tanh((double)0.4f * score) * in[4][(b * M + m) * D + i % D];
  }
  return out;
}

ISC_TEST_ON_BOTH(ops_model, control) {
  const isc_test_input in[] = {{3, {BATCH, LEN, D}},
                               {3, {BATCH, LEN, D}},
                               {3, {BATCH, M, D}},
                               {2, {BATCH, M}},
                               {3, {BATCH, M, D}}};
  float *host[5];
  int64_t n;
  for (int64_t i = 0; i < 5; i++)
    host[i] = isc_test_values(&in[i], i);
  float *out = isc_test_forward(dev, control_op, NULL, in, (const float *const *)host, 5, &n);
  for (int64_t i = 0; i < n; i++)
    cr_assert(fabs(out[i] - control_want(i, host)) <= CLOSE, "element %d", (int)i);
  free(out);
  for (int64_t i = 0; i < 5; i++)
    free(host[i]);
  isc_test_gradients(dev, control_op, NULL, in, 5);
}

/* ---- per-head maps */

enum { DK = 2 };
static isc_status headwise_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  (void)user;
  return isc_op_headwise(s, in[0], in[1], out);
}
static isc_status headdot_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  (void)user;
  return isc_op_headdot(s, in[0], in[1], out);
}

static void check_headwise(isc_device *dev, isc_test_op op, const isc_test_input *in,
                           int64_t width) {
  float *k = isc_test_values(&in[0], 0), *w = isc_test_values(&in[1], 1);
  const float *host[] = {k, w};
  int64_t n;
  float *out = isc_test_forward(dev, op, NULL, in, host, 2, &n);
  cr_assert_eq(n, BATCH * M * width);
  for (int64_t i = 0; i < n; i++) {
    double sum = 0;
    for (int64_t c = 0; c < DK; c++)
      sum += (double)k[i / width * DK + c] * w[(i / width % M * DK + c) * width + i % width];
    cr_assert(fabs(out[i] - sum) <= CLOSE, "element %d", (int)i);
  }
  free(out);
  free(k);
  free(w);
  isc_test_gradients(dev, op, NULL, in, 2);
}

ISC_TEST_ON_BOTH(ops_model, headwise) {
  const isc_test_input in[] = {{3, {BATCH, M, DK}}, {3, {M, DK, D}}};
  check_headwise(dev, headwise_op, in, D);
}

ISC_TEST_ON_BOTH(ops_model, headdot) {
  const isc_test_input in[] = {{3, {BATCH, M, DK}}, {2, {M, DK}}};
  check_headwise(dev, headdot_op, in, 1);
}

/* ---- one weight per group of rows: sizes 2, 0, 3 */

static const int64_t START[] = {0, 2, 2, 5};
static isc_status grouped_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  isc_tensor *const w[] = {in[1], NULL, in[3]}, *const b[] = {in[2], NULL, NULL};
  (void)user;
  return isc_op_grouped_linear(s, in[0], START, 3, w, b, out);
}

ISC_TEST_ON_BOTH(ops_model, grouped_linear) {
  const isc_test_input in[] = {{2, {5, D}}, {2, {D, 4}}, {1, {4}}, {2, {D, 4}}};
  float *host[4];
  int64_t n;
  for (int64_t i = 0; i < 4; i++)
    host[i] = isc_test_values(&in[i], i);
  float *out = isc_test_forward(dev, grouped_op, NULL, in, (const float *const *)host, 4, &n);
  for (int64_t i = 0; i < 20; i++) {
    double sum = i < 8 ? host[2][i % 4] : 0;
    for (int64_t j = 0; j < D; j++)
      sum += (double)host[0][i / 4 * D + j] * host[i < 8 ? 1 : 3][j * 4 + i % 4];
    cr_assert(fabs(out[i] - sum) <= CLOSE, "element %d", (int)i);
  }
  free(out);
  for (int64_t i = 0; i < 4; i++)
    free(host[i]);
  isc_test_gradients(dev, grouped_op, NULL, in, 4);
}

/* ---- what does not fit is refused, with both shapes named */

Test(ops_model, misfits_are_named) {
  isc_device dev = isc_test_plain_device();
  isc_tensor *a, *b, *c, *out;
  isc_step *s;
  const int64_t cut[] = {0, 3}, far[] = {0, 2};
  const int32_t id[] = {1, 2}, pos[] = {0, 9};
  isc_assert_ok(isc_step_new(&dev, &s));
  isc_assert_ok(isc_tensor_zeros(s, 2, (int64_t[]){2, 3}, &a));
  isc_assert_ok(isc_tensor_zeros(s, 2, (int64_t[]){4, 5}, &b));
  isc_assert_ok(isc_tensor_zeros(s, 1, (int64_t[]){4}, &c));
  isc_assert_fails(isc_op_linear(s, a, b, ISC_IN_OUT, NULL, ISC_ACT_NONE, &out), ISC_E_SHAPE,
                   "[2, 3]");
  isc_assert_fails(isc_op_linear(s, a, b, ISC_OUT_IN, NULL, ISC_ACT_NONE, &out), ISC_E_SHAPE,
                   "[4, 5]");
  isc_assert_fails(isc_op_linear(s, c, b, ISC_IN_OUT, c, ISC_ACT_NONE, &out), ISC_E_SHAPE, "b [4]");
  isc_assert_fails(isc_op_add(s, a, b, &out), ISC_E_SHAPE, "add");
  isc_assert_fails(isc_op_mul(s, a, c, &out), ISC_E_SHAPE, "mul");
  isc_assert_fails(isc_op_layernorm(s, a, c, c, 1e-5, &out), ISC_E_SHAPE, "layernorm");
  isc_assert_fails(isc_op_layernorm(s, a, c, NULL, 1e-5, &out), ISC_E_USAGE, "together");
  isc_assert_fails(isc_op_embed(s, a, NULL, id, NULL, 2, &out), ISC_E_SHAPE, "token 2 at row 1");
  isc_assert_fails(isc_op_embed(s, b, b, id, pos, 2, &out), ISC_E_SHAPE, "position 9 at row 1");
  isc_assert_fails(isc_op_attention(s, a, 1, 2, 2, 1, &out), ISC_E_SHAPE, "2 heads");
  isc_assert_fails(isc_op_attention(s, a, 1, 3, 1, 1, &out), ISC_E_SHAPE, "[2, 3]");
  isc_assert_fails(isc_op_xent(s, a, b, id, NULL, NULL, &out), ISC_E_SHAPE, "cross-entropy");
  isc_assert_fails(isc_op_xent(s, a, a, id, NULL, NULL, &out), ISC_E_SHAPE, "target 2 at row 1");
  isc_assert_fails(isc_op_headwise(s, a, b, &out), ISC_E_SHAPE, "headwise");
  isc_assert_fails(isc_op_headdot(s, a, b, &out), ISC_E_SHAPE, "headdot");
  isc_assert_fails(isc_op_grouped_linear(s, a, cut, 1, &b, NULL, &out), ISC_E_SHAPE,
                   "runs of rows");
  isc_assert_fails(isc_op_grouped_linear(s, a, far, 1, &b, NULL, &out), ISC_E_SHAPE, "[4, 5]");
  isc_assert_fails(isc_op_gather(s, a, cut, 2, &out), ISC_E_SHAPE, "row 3");
  isc_assert_fails(isc_op_control(s, a, a, a, a, a, 1, &out, NULL), ISC_E_SHAPE, "control");
  isc_assert_fails(isc_tensor_new(s, 2, (int64_t[]){INT64_MAX, 8}, &out), ISC_E_SHAPE,
                   "does not fit");
  isc_assert_fails(isc_tensor_new(s, 1, (int64_t[]){-1}, &out), ISC_E_SHAPE, "-1");
  isc_assert_fails(isc_tensor_new(s, 5, (int64_t[]){1, 1, 1, 1, 1}, &out), ISC_E_SHAPE,
                   "5 dimensions");
  isc_assert_fails(isc_tensor_reshape(s, a, 1, (int64_t[]){7}, &out), ISC_E_SHAPE, "[7]");
  isc_step_free(s);
}
