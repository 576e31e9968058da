/* SPDX-License-Identifier: Apache-2.0
 *
 * The matrix product of bf16 operands against sums in double over the rounded operands, for every kernel that the
 * processor has; how it rounds; and that a row's bits depend on that row alone.
 */
#include "backend_fixture.h"
#include "conform/reference.h"

/* For each kernel that runs here: a `backend b` with that many threads. */
#define EACH_KERNEL(b, threads)                                                                    \
  for (int kernel_ = 0; kernel_ < BE_KERNELS; kernel_++)                                           \
    for (backend b = {0}; !b.ops && be_open(kernel_, threads, &b); be_close(&b))

/* n numbers of bf16 as they lie in memory, of the given floats. */
static uint16_t *narrow(const float *x, int64_t n) {
  uint16_t *out = malloc((size_t)(n + 1) * sizeof *out);
  for (int64_t i = 0; i < n; i++) {
    uint32_t bits;
    const float r = isc_reference_bf16(x[i]);
    memcpy(&bits, &r, sizeof bits);
    out[i] = (uint16_t)(bits >> 16);
  }
  return out;
}

typedef struct problem {
  isc_gemm g;
  float *a, *b, *bias, *c0, *c, *pre;
  uint16_t *half; /* b as bf16 */
} problem;

static problem make(int64_t batch, int64_t m, int64_t n, int64_t k, bool ta, bool tb) {
  problem p = {.g = {.batch = batch, .m = m, .n = n, .k = k, .trans_a = ta, .trans_b = tb}};
  p.g.alpha = 1;
  p.g.product = ISC_BF16;
  p.g.lda = (ta ? m : k) + 3;
  p.g.ldb = (tb ? k : n) + 1;
  p.g.ldc = n + 2;
  p.g.stride_a = (ta ? k : m) * p.g.lda + 5;
  p.g.stride_b = (tb ? n : k) * p.g.ldb;
  p.g.stride_c = m * p.g.ldc + 1;
  p.g.a = p.a = be_floats(batch * p.g.stride_a, 1);
  p.g.b = p.b = be_floats(batch * p.g.stride_b, 2);
  p.half = narrow(p.b, batch * p.g.stride_b);
  p.bias = be_floats(n, 3);
  p.c0 = be_floats(batch * p.g.stride_c, 4);
  p.g.c = p.c = be_copy(p.c0, batch * p.g.stride_c);
  p.pre = be_floats(batch * p.g.stride_c, 0);
  return p;
}

static void done(problem *p) {
  float *all[] = {p->a, p->b, p->bias, p->c0, p->c, p->pre};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    be_free(all[i]);
  free(p->half);
}

static double exact(const problem *p, int64_t item, int64_t i, int64_t j, double *terms) {
  const isc_gemm *g = &p->g;
  const float *a = p->a + item * g->stride_a, *b = p->b + item * g->stride_b;
  double s = 0, t = 0;
  for (int64_t k = 0; k < g->k; k++) {
    const double x = (double)isc_reference_bf16(a[g->trans_a ? k * g->lda + i : i * g->lda + k]) *
                     (double)isc_reference_bf16(b[g->trans_b ? j * g->ldb + k : k * g->ldb + j]);
    s += x;
    t += fabs(x);
  }
  const double c = (double)g->beta * (double)p->c0[item * g->stride_c + i * g->ldc + j],
               bias = g->bias ? (double)p->bias[j] : 0;
  *terms = t * fabs((double)g->alpha) + fabs(c) + fabs(bias);
  return s * (double)g->alpha + c + bias;
}

/* Both kinds of B give the same bits, because the rounded one is rounded already. */
static void check(const backend *be, problem *p) {
  isc_gemm *g = &p->g;
  const int64_t n = g->batch * g->stride_c;
  isc_assert_ok(be->ops->gemm(be->impl, g));
  for (int64_t item = 0; item < g->batch; item++)
    for (int64_t i = 0; i < g->m; i++) {
      const int64_t row = item * g->stride_c + i * g->ldc;
      for (int64_t j = 0; j < g->n; j++) {
        double terms;
        const double want = exact(p, item, i, j, &terms);
        BE_CLOSE(p->c[row + j], isc_reference_act(g->act, want), 1.2 * terms,
                 "%s %lldx%lldx%lldx%lld ta %d tb %d act %d at %lld %lld", be->level,
                 (long long)g->batch, (long long)g->m, (long long)g->n, (long long)g->k, g->trans_a,
                 g->trans_b, g->act, (long long)i, (long long)j);
        if (g->pre) BE_CLOSE(p->pre[row + j], want, terms, "pre");
      }
      BE_SAME_BITS(p->c + row + g->n, p->c0 + row + g->n, g->ldc - g->n, "between rows");
    }
  float *first = be_copy(p->c, n);
  memcpy(p->c, p->c0, (size_t)n * sizeof *p->c);
  g->b = (const float *)(const void *)p->half;
  g->b_dtype = ISC_BF16;
  isc_assert_ok(be->ops->gemm(be->impl, g));
  BE_SAME_BITS(p->c, first, n, "%s, b of bf16, %lldx%lldx%lld ta %d tb %d", be->level,
               (long long)g->m, (long long)g->n, (long long)g->k, g->trans_a, g->trans_b);
  be_free(first);
}

static void check_shape(const backend *be, int64_t m, int64_t n, int64_t k) {
  for (int t = 0; t < 4; t++) {
    problem p = make(1, m, n, k, t & 1, t & 2);
    check(be, &p);
    done(&p);
  }
}

Test(backend_bf16, agrees_with_double_for_every_transposition_on_odd_shapes) {
  const int64_t sizes[] = {1, 2, 7, 17, 33, 65};
  EACH_KERNEL(b, 2)
  for (size_t i = 0; i < 6; i++)
    for (size_t j = 0; j < 6; j++)
      for (size_t k = (i + j) % 2; k < 6; k += 2)
        check_shape(&b, sizes[i], sizes[j], sizes[k]);
}

Test(backend_bf16, agrees_with_double_across_its_inner_blocks) {
  EACH_KERNEL(b, 2) {
    check_shape(&b, 3, 5, 3001);
    check_shape(&b, 16, 70, 1100);
    check_shape(&b, 29, 200, 513);
    check_shape(&b, 130, 40, 1025);
    check_shape(&b, 40, 600, 64);
    check_shape(&b, 300, 30, 90);
  }
}

/* One thread has all of a product, so that it comes to the ends of what is packed at once. */
Test(backend_bf16, agrees_with_double_where_one_thread_has_many_rows_and_columns) {
  EACH_KERNEL(b, 1)
  check_shape(&b, 2101, 530, 9);
}

Test(backend_bf16, epilogues_and_batches) {
  EACH_KERNEL(b, 2)
  for (int act = ISC_ACT_NONE; act <= ISC_ACT_TANH; act++)
    for (int x = 0; x < 8; x++) {
      problem p = make(x == 6 ? 5 : 1, x & 4 ? 19 : 37, 37, x & 1 ? 1200 : 45, false, x & 2);
      p.g.alpha = x & 1 ? 0.25f : -1.0f;
      p.g.beta = x & 2 ? 0.5f : 0.0f;
      p.g.bias = x & 4 ? p.bias : NULL;
      p.g.pre = x & 1 ? p.pre : NULL;
      p.g.act = (isc_act)act;
      check(&b, &p);
      done(&p);
    }
}

/* 1·x: what comes out is how x was rounded. */
Test(backend_bf16, rounds_to_nearest_even_and_keeps_what_is_no_number) {
  const struct {
    float x, rounded;
  } cases[] = {{1, 1},
               {1 + 0x1p-8f, 1}, /* ties */
               {1 + 0x3p-8f, 1 + 0x1p-6f},
               {-1 - 0x3p-8f, -1 - 0x1p-6f},
               {1 + 0x1p-8f + 0x1p-23f, 1 + 0x1p-7f},
               {1 + 0x1p-8f - 0x1p-23f, 1},
               {0x1.fffffep-100f, 0x1p-99f},
               {0x1.fffffep127f, INFINITY},
               {-INFINITY, -INFINITY},
               {0, 0}};
  enum { N = sizeof cases / sizeof *cases };
  float x[N], one = 1, c[N], back[N];
  for (int i = 0; i < N; i++)
    x[i] = cases[i].x;
  EACH_KERNEL(b, 1) {
    isc_gemm g = {.batch = 1, .m = N, .n = 1, .k = 1, .a = x, .b = &one, .c = c, .alpha = 1};
    g.lda = g.ldb = g.ldc = 1;
    g.product = ISC_BF16;
    isc_assert_ok(b.ops->gemm(b.impl, &g));
    g.m = 1; /* and as the other factor */
    g.n = N;
    g.ldb = g.ldc = N;
    g.a = &one;
    g.b = x;
    g.c = back;
    isc_assert_ok(b.ops->gemm(b.impl, &g));
    for (int i = 0; i < N; i++) {
      cr_assert(c[i] == cases[i].rounded, "%s: %a became %a", b.level, (double)x[i], (double)c[i]);
      cr_assert(back[i] == cases[i].rounded, "%s: %a became %a", b.level, (double)x[i],
                (double)back[i]);
    }
    const uint32_t patterns[] = {0x7F800001, 0x7FFFFFFF, 0xFFC00000, 0xFF80FFFF};
    for (int i = 0; i < 4; i++) { /* all NaN, some of which would round to infinity or to zero */
      memcpy(&x[i], &patterns[i], sizeof *x);
      g.n = 1;
      g.b = &x[i];
      isc_assert_ok(b.ops->gemm(b.impl, &g));
      cr_assert(isnan(back[0]), "%s: NaN %08x became %g", b.level, patterns[i], (double)back[0]);
      x[i] = cases[i].x;
    }
  }
}

/* An array rounded by itself, at every length around a vector: each element as a product takes it, and none beyond. */
Test(backend_bf16, an_array_is_rounded_as_operands_are) {
  enum { MOST = 70 };
  float *x = be_floats(MOST, 7);
  uint16_t out[MOST + 1];
  x[0] = 1 + 0x1p-8f;
  x[1] = 1 + 0x3p-8f;
  x[2] = 0x1.fffffep127f;
  x[3] = -INFINITY;
  x[4] = -0.0f;
  x[5] = 0x1p-130f;
  x[6] = NAN;
  EACH_KERNEL(b, 2)
  for (int64_t n = 0; n <= MOST; n++) {
    memset(out, 0xA5, sizeof out);
    isc_assert_ok(b.ops->to_bf16(b.impl, n, x, out));
    for (int64_t i = 0; i < n; i++) {
      const uint32_t widened = (uint32_t)out[i] << 16;
      const float want = isc_reference_bf16(x[i]);
      float got;
      memcpy(&got, &widened, sizeof got);
      cr_assert(memcmp(&got, &want, sizeof got) == 0 || (isnan(got) && isnan(want)),
                "%s: %a became %a", b.level, (double)x[i], (double)got);
    }
    cr_assert_eq(out[n], 0xA5A5, "%s: more than %d elements", b.level, (int)n);
  }
  be_free(x);
}

/* Any run of rows has the bits it has among 70, whatever the number of threads. */
static void rows_alone(int kernel, int64_t n, int64_t k, bool tb, bool half) {
  backend one, two;
  if (!be_open(kernel, 1, &one)) return;
  cr_assert(be_open(kernel, 2, &two));
  problem p = make(1, 70, n, k, false, tb);
  if (half) {
    p.g.b = (const float *)(const void *)p.half;
    p.g.b_dtype = ISC_BF16;
  }
  p.g.bias = p.bias;
  p.g.act = ISC_ACT_GELU_TANH;
  isc_assert_ok(one.ops->gemm(one.impl, &p.g));
  isc_gemm some = p.g;
  some.c = p.pre;
  for (some.m = 1; some.m <= 70; some.m += some.m < 36 ? 1 : 11) {
    const backend *use = some.m % 2 ? &one : &two;
    const int64_t from = (70 - some.m) / 2;
    some.a = p.a + from * some.lda;
    isc_assert_ok(use->ops->gemm(use->impl, &some));
    for (int64_t i = 0; i < some.m; i++)
      BE_SAME_BITS(p.pre + i * some.ldc, p.c + (from + i) * some.ldc, n, "%s m %lld of %lldx%lld",
                   one.level, (long long)some.m, (long long)n, (long long)k);
  }
  done(&p);
  be_close(&one);
  be_close(&two);
}

Test(backend_bf16, a_rows_bits_do_not_depend_on_the_other_rows_or_the_threads) {
  const int64_t shapes[][2] = {{64, 64}, {50, 500}, {192, 128}, {7, 1025}, {300, 1500}};
  for (int kernel = 0; kernel < BE_KERNELS; kernel++)
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
      for (int t = 0; t < 4; t++)
        rows_alone(kernel, shapes[i][0], shapes[i][1], t & 1, t & 2);
}

Test(backend_bf16, gradient_products_do_not_depend_on_the_threads) {
  EACH_KERNEL(b, 1)
  for (int threads = 2; threads <= 5; threads++) {
    backend other;
    cr_assert(be_open(kernel_, threads, &other));
    problem p = make(1, 200, 330, 700, true, false);
    isc_assert_ok(b.ops->gemm(b.impl, &p.g));
    p.g.c = p.pre;
    isc_assert_ok(other.ops->gemm(other.impl, &p.g));
    for (int64_t i = 0; i < 200; i++)
      BE_SAME_BITS(p.c + i * p.g.ldc, p.pre + i * p.g.ldc, 330, "%s, %d threads", b.level, threads);
    done(&p);
    be_close(&other);
  }
}

Test(backend_bf16, empty_shapes_write_nothing_and_an_empty_sum_is_zero) {
  EACH_KERNEL(b, 2) {
    problem p = make(2, 5, 9, 0, false, false);
    check(&b, &p);
    done(&p);
    const isc_gemm none[] = {{.batch = 0, .m = 3, .n = 3, .k = 3, .product = ISC_BF16},
                             {.batch = 1, .m = 0, .n = 3, .k = 3, .product = ISC_BF16},
                             {.batch = 1, .m = 3, .n = 0, .k = 3, .product = ISC_BF16}};
    for (int i = 0; i < 3; i++)
      isc_assert_ok(b.ops->gemm(b.impl, &none[i]));
  }
}

/* ---- loss over a vocabulary */

/* logp is that of logits over rounded rows, and its gradients differ from the unrounded ones by what rounding does. */
Test(backend_bf16, the_loss_rounds_what_its_products_multiply) {
  enum { ROWS = 40, D = 33, VOCAB = 300 };
  EACH_KERNEL(be, 2) {
    float *h = be_floats(ROWS * D, 1), *w = be_floats(VOCAB * D, 2), *logp = be_floats(ROWS, 0);
    float *dh = be_floats(ROWS * D, 0), *dw = be_floats(VOCAB * D, 4), *only = be_floats(ROWS, 0);
    float *dw0 = be_copy(dw, VOCAB * D);
    int32_t target[ROWS];
    double *want = calloc(VOCAB * D, sizeof *want), *terms = calloc(VOCAB * D, sizeof *terms);
    for (int i = 0; i < ROWS; i++)
      target[i] = i % 5 == 3 ? -1 : i * 7 % VOCAB;
    for (int i = 0; i < ROWS * D; i++)
      h[i] *= 0.3f;
    isc_xent a = {.rows = ROWS, .d = D, .vocab = VOCAB, .h = h, .w = w, .target = target};
    a.logp = logp;
    a.dh = dh;
    a.dw = dw;
    a.product = ISC_BF16;
    isc_assert_ok(be.ops->xent(be.impl, &a));
    for (int i = 0; i < ROWS; i++) {
      double l[VOCAB], sum = 0;
      for (int j = 0; j < VOCAB; j++) {
        l[j] = 0;
        for (int e = 0; e < D; e++)
          l[j] +=
              (double)isc_reference_bf16(h[i * D + e]) * (double)isc_reference_bf16(w[j * D + e]);
        sum += exp(l[j]);
      }
      const double lp = target[i] < 0 ? 0 : l[target[i]] - log(sum);
      BE_CLOSE(logp[i], lp, 6 + fabs(lp), "%s logp", be.level);
      for (int e = 0; e < D; e++) {
        double s = 0, t = 0;
        for (int j = 0; j < VOCAB && target[i] >= 0; j++) {
          const double x = exp(l[j]) / sum - (j == target[i]);
          s += x * (double)w[j * D + e];
          t += fabs(x * (double)w[j * D + e]);
          want[j * D + e] += x * (double)h[i * D + e];
          terms[j * D + e] += fabs(x * (double)h[i * D + e]);
        }
        /* two factors rounded to 2^-9 of themselves each */
        cr_assert(fabs((double)dh[i * D + e] - s) <= 0x1p-7 * t, "%s dh", be.level);
      }
    }
    for (int i = 0; i < VOCAB * D; i++)
      cr_assert(fabs((double)dw[i] - (double)dw0[i] - want[i]) <= 0x1p-7 * terms[i] + 1e-6, "%s dw",
                be.level);
    a.logp = only; /* some rows alone, and forward only: the same bits */
    a.dh = a.dw = NULL;
    a.h += 2 * D;
    a.target += 2;
    a.rows -= 3;
    isc_assert_ok(be.ops->xent(be.impl, &a));
    BE_SAME_BITS(only, logp + 2, ROWS - 3, "%s, some rows", be.level);
    float *all[] = {h, w, logp, dh, dw, only, dw0};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
      be_free(all[i]);
    free(want);
    free(terms);
  }
}

/* Weights that are rounded already are what its products read. */
Test(backend_bf16, the_loss_reads_rounded_weights_in_place_of_its_own) {
  enum { ROWS = 40, D = 33, VOCAB = 300 };
  EACH_KERNEL(be, 2) {
    float *h = be_floats(ROWS * D, 1), *w = be_floats(VOCAB * D, 2), *dw = be_floats(VOCAB * D, 4);
    float *nothing = calloc(VOCAB * D, sizeof *nothing), *dw2 = be_copy(dw, VOCAB * D);
    float logp[2][ROWS], dh[2][ROWS * D];
    uint16_t *half = calloc(VOCAB * D, sizeof *half);
    int32_t target[ROWS];
    for (int i = 0; i < ROWS; i++)
      target[i] = i % 5 == 3 ? -1 : i * 7 % VOCAB;
    isc_assert_ok(be.ops->to_bf16(be.impl, VOCAB * D, w, half));
    isc_xent a = {.rows = ROWS, .d = D, .vocab = VOCAB, .h = h, .w = w, .target = target};
    a.product = ISC_BF16;
    a.logp = logp[0];
    a.dh = dh[0];
    a.dw = dw;
    isc_assert_ok(be.ops->xent(be.impl, &a));
    a.w = nothing;
    a.w_bf16 = half;
    a.logp = logp[1];
    a.dh = dh[1];
    a.dw = dw2;
    isc_assert_ok(be.ops->xent(be.impl, &a));
    BE_SAME_BITS(logp[1], logp[0], ROWS, "%s logp", be.level);
    BE_SAME_BITS(dh[1], dh[0], ROWS * D, "%s dh", be.level);
    BE_SAME_BITS(dw2, dw, VOCAB * D, "%s dw", be.level);
    a.product = ISC_F32; /* and a product of f32 does not */
    isc_assert_ok(be.ops->xent(be.impl, &a));
    cr_assert_float_eq(logp[1][0], -logf(VOCAB), 1e-5, "%s", be.level);
    float *all[] = {h, w, dw, dw2};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
      be_free(all[i]);
    free(nothing);
    free(half);
  }
}
