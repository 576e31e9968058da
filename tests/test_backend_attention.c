/* SPDX-License-Identifier: Apache-2.0
 *
 * Causal attention and its gradient against double precision and finite differences; and that a
 * query's bits do not depend on the batch, on later positions, on the threads, or on a cache.
 */
#include "backend_fixture.h"

typedef struct problem {
  isc_attention a;
  int64_t nq, nk, no; /* floats of q, of k and of out */
  float *q, *k, *v, *out, *lse;
} problem;

/* Strides leave gaps, as in a fused qkv or a cache longer than the sequence. */
static problem make(int64_t batch, int64_t len, int64_t past, int64_t heads, int64_t kv_heads,
                    int64_t d) {
  problem p = {.a = {.batch = batch,
                     .q_len = len,
                     .past = past,
                     .n_head = heads,
                     .n_kv_head = kv_heads,
                     .d_head = d,
                     .scale = 0.37f}};
  p.a.q_row = heads * d + 3;
  p.a.q_batch = len * p.a.q_row + 1;
  p.a.kv_row = kv_heads * d + 2;
  p.a.kv_batch = (past + len + 2) * p.a.kv_row;
  p.a.out_row = heads * d;
  p.a.out_batch = len * p.a.out_row + 4;
  p.nq = batch * p.a.q_batch;
  p.nk = batch * p.a.kv_batch;
  p.no = batch * p.a.out_batch;
  p.a.q = p.q = be_floats(p.nq, 1);
  p.a.k = p.k = be_floats(p.nk, 2);
  p.a.v = p.v = be_floats(p.nk, 3);
  p.a.out = p.out = be_floats(p.no, 0);
  p.a.lse = p.lse = be_floats(batch * heads * len, 0);
  for (int64_t i = 0; i < p.nk; i++) /* what lies beyond the sequence must not be used */
    if (i % p.a.kv_batch >= (past + len) * p.a.kv_row) p.k[i] = p.v[i] = NAN;
  return p;
}

static void done(problem *p) {
  be_free(p->q);
  be_free(p->k);
  be_free(p->v);
  be_free(p->out);
  be_free(p->lse);
}

/* out of one query in double; returns its log-sum-exp. */
static double exact_query(const isc_attention *a, const float *q, const float *k, const float *v,
                          int64_t b, int64_t h, int64_t t, double *out, double *terms) {
  static double p[4096];
  const int64_t n = a->past + t + 1, kh = h * a->n_kv_head / a->n_head;
  const int64_t from = a->window && n > a->window ? n - a->window : 0;
  double max = -INFINITY, sum = 0;
  for (int64_t j = from; j < n; j++) {
    p[j] = 0;
    for (int64_t i = 0; i < a->d_head; i++)
      p[j] += (double)q[b * a->q_batch + t * a->q_row + h * a->d_head + i] *
              (double)k[b * a->kv_batch + j * a->kv_row + kh * a->d_head + i];
    p[j] *= (double)a->scale;
    if (a->soft_cap > 0) p[j] = (double)a->soft_cap * tanh(p[j] / (double)a->soft_cap);
    max = fmax(max, p[j]);
  }
  for (int64_t j = from; j < n; j++)
    sum += exp(p[j] - max);
  for (int64_t i = 0; i < a->d_head; i++) {
    out[i] = terms[i] = 0;
    for (int64_t j = from; j < n; j++) {
      const double x =
          exp(p[j] - max) / sum * (double)v[b * a->kv_batch + j * a->kv_row + kh * a->d_head + i];
      out[i] += x;
      terms[i] += fabs(x);
    }
  }
  return max + log(sum);
}

/* The scores are sums too: their rounding, of a few units of 1e-7 of |score| ≤ 20, goes into each weight. */
static const double weight_error = 5;

static void check_limited(const backend *be, int64_t batch, int64_t len, int64_t past,
                          int64_t heads, int64_t kv_heads, int64_t d, float soft_cap,
                          int64_t window) {
  problem p = make(batch, len, past, heads, kv_heads, d);
  p.a.soft_cap = soft_cap;
  p.a.window = window;
  if (window && past > window) /* no query sees the first keys: they must not be used */
    for (int64_t i = 0; i < p.nk; i++)
      if (i % p.a.kv_batch < (past - window) * p.a.kv_row) p.k[i] = p.v[i] = NAN;
  isc_assert_ok(be->ops->attention(be->impl, &p.a));
  double out[300], terms[300];
  for (int64_t b = 0; b < batch; b++)
    for (int64_t h = 0; h < heads; h++)
      for (int64_t t = 0; t < len; t += 1 + len / 40) {
        const double lse = exact_query(&p.a, p.q, p.k, p.v, b, h, t, out, terms);
        BE_CLOSE(p.lse[(b * heads + h) * len + t], lse, 3 + fabs(lse), "lse");
        for (int64_t i = 0; i < d; i++)
          BE_CLOSE(p.out[b * p.a.out_batch + t * p.a.out_row + h * d + i], out[i],
                   weight_error * terms[i],
                   "%s batch %lld len %lld past %lld heads %lld/%lld d %lld cap %g window %lld at "
                   "%lld %lld %lld",
                   be->level, (long long)batch, (long long)len, (long long)past, (long long)heads,
                   (long long)kv_heads, (long long)d, (double)soft_cap, (long long)window,
                   (long long)b, (long long)h, (long long)t);
      }
  done(&p);
}

static void check_forward(const backend *be, int64_t batch, int64_t len, int64_t past,
                          int64_t heads, int64_t kv_heads, int64_t d) {
  check_limited(be, batch, len, past, heads, kv_heads, d, 0, 0);
}

Test(backend_attention, agrees_with_double) {
  const int64_t lens[] = {1, 2, 3, 5, 24, 33, 65}, ds[] = {1, 3, 8, 16, 17, 32, 64, 100};
  BE_EACH_LEVEL(be, 2) {
    for (size_t i = 0; i < 7; i++)
      for (size_t j = 0; j < 8; j++)
        check_forward(&be, 1 + (int64_t)(i + j) % 3, lens[i], 0, 2, 2, ds[j]);
    check_forward(&be, 2, 7, 0, 6, 2, 16); /* grouped heads */
    check_forward(&be, 2, 7, 0, 3, 1, 5);
    check_forward(&be, 3, 1, 40, 4, 4, 16); /* one query after a cache */
    check_forward(&be, 1, 6, 19, 4, 2, 8);
    check_forward(&be, 1, 1500, 0, 1, 1, 16); /* long */
    check_forward(&be, 1, 300, 500, 2, 1, 64);
  }
}

Test(backend_attention, with_a_cap_and_a_window_agrees_with_double) {
  const int64_t windows[] = {0, 1, 2, 3, 4, 5, 16, 17, 63, 64, 1000};
  BE_EACH_LEVEL(be, 2)
  for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
    const float cap = i % 2 ? 0.0f : 1.5f; /* scores reach a few times that */
    check_limited(&be, 2, 70, 0, 2, 1, 17, cap, windows[i]);
    check_limited(&be, 1, 7, 0, 2, 2, 8, 1.5f, windows[i]);
    check_limited(&be, 2, 6, 150, 4, 2, 16, cap, windows[i]);
    check_limited(&be, 1, 1, 150, 2, 2, 64, 1.5f, windows[i]);
    check_limited(&be, 1, 300, 0, 1, 1, 16, cap, windows[i]); /* several spans of queries */
  }
}

static void same_bits_alone(int64_t window, float soft_cap) {
  BE_EACH_LEVEL(be, 1) {
    backend two;
    cr_assert(be_open(level_, 2, &two));
    for (int64_t len = 1; len < 150; len += len < 40 ? 1 : 37) {
      problem p = make(3, len, 0, 4, 2, 16);
      p.a.window = window;
      p.a.soft_cap = soft_cap;
      isc_assert_ok(be.ops->attention(be.impl, &p.a));
      for (int64_t t = 0; t < len;
           t += 1 + len / 7) { /* query t of sequence 1, its past as a cache */
        isc_attention a = p.a;
        float *alone = be_floats(64, 0);
        a.batch = a.q_len = 1;
        a.past = t;
        a.q += p.a.q_batch + t * a.q_row;
        a.k += p.a.kv_batch;
        a.v += p.a.kv_batch;
        a.out = alone;
        a.lse = NULL;
        isc_assert_ok(two.ops->attention(two.impl, &a));
        BE_SAME_BITS(alone, p.out + p.a.out_batch + t * a.out_row, 64, "%s query %lld of %lld",
                     be.level, (long long)t, (long long)len);
        be_free(alone);
      }
      float *all = be_copy(p.out, p.no);
      for (int64_t i = 0; i < p.nk;
           i++) /* poison the last position: earlier queries must not notice */
        if (i % p.a.kv_batch >= (len - 1) * p.a.kv_row) p.k[i] = p.v[i] = NAN;
      isc_assert_ok(two.ops->attention(two.impl, &p.a));
      for (int64_t b = 0; b < 3; b++)
        BE_SAME_BITS(all + b * p.a.out_batch, p.out + b * p.a.out_batch, (len - 1) * p.a.out_row,
                     "poisoned");
      be_free(all);
      done(&p);
    }
    be_close(&two);
  }
}

Test(backend_attention, a_query_has_the_same_bits_alone_from_a_cache_and_in_any_batch) {
  same_bits_alone(0, 0);
  same_bits_alone(21, 2);
}

/* L = Σ dout·out of sequence b, in double, with q, k, v given as doubles of that sequence's floats. */
static double loss(const isc_attention *a, const float *q, const float *k, const float *v,
                   int64_t b, const float *dout) {
  double out[300], terms[300], s = 0;
  for (int64_t h = 0; h < a->n_head; h++)
    for (int64_t t = 0; t < a->q_len; t++) {
      exact_query(a, q, k, v, b, h, t, out, terms);
      for (int64_t i = 0; i < a->d_head; i++)
        s += (double)dout[b * a->out_batch + t * a->out_row + h * a->d_head + i] * out[i];
    }
  return s;
}

/* Difference of L for a step of ±h at *x. A float step h = 2^-10 is exact here to 2^-24·|x|; the
 * actual step is measured, and the O(h²) error is about 1e-6 of the gradient's scale. */
static double slope(const isc_attention *a, const float *q, const float *k, const float *v,
                    int64_t b, const float *dout, float *x) {
  const float keep = *x;
  *x = keep + 0x1p-10f;
  const double up = loss(a, q, k, v, b, dout), hi = (double)*x;
  *x = keep - 0x1p-10f;
  const double down = loss(a, q, k, v, b, dout), lo = (double)*x;
  *x = keep;
  return (up - down) / (hi - lo);
}

static void check_backward(const backend *be, int64_t batch, int64_t len, int64_t heads,
                           int64_t kv_heads, int64_t d, float soft_cap, int64_t window) {
  problem p = make(batch, len, 0, heads, kv_heads, d);
  p.a.soft_cap = soft_cap;
  p.a.window = window;
  float *dout = be_floats(p.no, 5), *dq = be_floats(p.nq, 0), *dk = be_floats(p.nk, 0),
        *dv = be_floats(p.nk, 0);
  p.a.dout = dout;
  p.a.dq = dq;
  p.a.dk = dk;
  p.a.dv = dv;
  isc_assert_ok(be->ops->attention(be->impl, &p.a));
  isc_assert_ok(be->ops->attention_grad(be->impl, &p.a));
  isc_rng r = isc_rng_at(7, ISC_RNG_USER, 99);
  for (int n = 0; n < 24; n++) {
    const int64_t b = (int64_t)isc_rng_below(&r, (uint64_t)batch),
                  t = (int64_t)isc_rng_below(&r, (uint64_t)len);
    const int64_t i = (int64_t)isc_rng_below(&r, (uint64_t)(heads * d)),
                  j = (int64_t)isc_rng_below(&r, (uint64_t)(kv_heads * d));
    const int64_t at = b * p.a.q_batch + t * p.a.q_row + i,
                  kt = b * p.a.kv_batch + t * p.a.kv_row + j;
    /* 2e-5 absolute per unit of gradient scale (sqrt(d) terms of size ~1): the difference's own error */
    const double scale = 8 + 2 * sqrt((double)(len * d));
    BE_CLOSE(dq[at], slope(&p.a, p.q, p.k, p.v, b, dout, p.q + at), scale, "%s dq len %lld d %lld",
             be->level, (long long)len, (long long)d);
    BE_CLOSE(dk[kt], slope(&p.a, p.q, p.k, p.v, b, dout, p.k + kt), scale, "%s dk len %lld d %lld",
             be->level, (long long)len, (long long)d);
    BE_CLOSE(dv[kt], slope(&p.a, p.q, p.k, p.v, b, dout, p.v + kt), scale, "%s dv len %lld d %lld",
             be->level, (long long)len, (long long)d);
  }
  for (int64_t i = 0; i < p.nq; i++) /* overwritten inside the rows, untouched in the gaps */
    cr_assert(isnan(dq[i]) ==
              (i % p.a.q_batch >= len * p.a.q_row || i % p.a.q_batch % p.a.q_row >= heads * d));
  for (int64_t i = 0; i < p.nk; i++)
    cr_assert(isnan(dk[i]) == (i % p.a.kv_batch >= len * p.a.kv_row ||
                               i % p.a.kv_batch % p.a.kv_row >= kv_heads * d));
  backend other; /* the same bits with other threads */
  cr_assert(be_open(be->index, 3, &other));
  float *dq2 = be_floats(p.nq, 0), *dk2 = be_floats(p.nk, 0);
  p.a.dq = dq2;
  p.a.dk = dk2;
  isc_assert_ok(other.ops->attention_grad(other.impl, &p.a));
  BE_SAME_BITS(dq, dq2, p.nq, "dq");
  BE_SAME_BITS(dk, dk2, p.nk, "dk");
  be_close(&other);
  float *all[] = {dout, dq, dk, dv, dq2, dk2};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    be_free(all[i]);
  done(&p);
}

Test(backend_attention, gradients_match_finite_differences) {
  BE_EACH_LEVEL(be, 2) {
    check_backward(&be, 2, 1, 2, 2, 8, 0, 0);
    check_backward(&be, 2, 24, 4, 4, 16, 0, 0);
    check_backward(&be, 1, 37, 2, 2, 17, 0, 0);
    check_backward(&be, 3, 6, 6, 2, 64, 0, 0);
    check_backward(&be, 1, 70, 1, 1, 100, 0, 0);
    check_backward(&be, 2, 24, 4, 2, 16, 2, 0);
    check_backward(&be, 2, 24, 4, 4, 16, 0, 7);
    check_backward(&be, 1, 70, 4, 2, 8, 1.5f, 16);
    check_backward(&be, 1, 37, 2, 1, 17, 1.5f, 1);
    check_backward(&be, 3, 6, 6, 2, 64, 3, 3);
  }
}

Test(backend_attention, refuses_what_it_cannot_do_and_does_nothing_for_nothing) {
  BE_EACH_LEVEL(be, 1) {
    isc_attention a = {.batch = 0, .q_len = 3, .n_head = 1, .n_kv_head = 1, .d_head = 4};
    isc_assert_ok(be.ops->attention(be.impl, &a));
    isc_assert_ok(be.ops->attention_grad(be.impl, &a));
    a.batch = 1;
    a.n_head = 3;
    a.n_kv_head = 2;
    isc_assert_fails(be.ops->attention(be.impl, &a), ISC_E_SHAPE, "3 heads");
    a.n_kv_head = 3;
    a.past = 2;
    isc_assert_fails(be.ops->attention_grad(be.impl, &a), ISC_E_USAGE, "cached");
  }
}
