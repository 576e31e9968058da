/* SPDX-License-Identifier: Apache-2.0
 *
 * The matrix product against sums in double: every transposition, leading dimension, epilogue and
 * batch, on odd, one-sized and empty shapes; and its promise that a row's bits depend on that row alone.
 */
#include "backend_fixture.h"
#include "conform/reference.h"

/* Argument of act at (i, j) of batch item b, and the sum of its terms' magnitudes. */
static double exact(const isc_gemm *g, const float *c0, int64_t b, int64_t i, int64_t j,
                    double *terms) {
  const float *pa = g->a + b * g->stride_a, *pb = g->b + b * g->stride_b;
  double s = 0, t = 0;
  for (int64_t k = 0; k < g->k; k++) {
    const double x = (double)pa[g->trans_a ? k * g->lda + i : i * g->lda + k] *
                     (double)pb[g->trans_b ? j * g->ldb + k : k * g->ldb + j];
    s += x;
    t += fabs(x);
  }
  s *= (double)g->alpha;
  t *= fabs((double)g->alpha);
  if (g->beta != 0) {
    const double x = (double)g->beta * (double)c0[b * g->stride_c + i * g->ldc + j];
    s += x;
    t += fabs(x);
  }
  if (g->bias) {
    s += (double)g->bias[j];
    t += fabs((double)g->bias[j]);
  }
  *terms = t;
  return s;
}

typedef struct shape {
  int64_t batch, m, n, k;
} shape;

/* Run g with padded leading dimensions at this shape and compare; slopes of the activations are ≤ 1.13. */
static void check(const backend *b, shape s, bool ta, bool tb, float alpha, float beta, bool bias,
                  isc_act act, bool pre) {
  isc_gemm g = {.batch = s.batch,
                .m = s.m,
                .n = s.n,
                .k = s.k,
                .trans_a = ta,
                .trans_b = tb,
                .alpha = alpha,
                .beta = beta,
                .act = act};
  g.lda = (ta ? s.m : s.k) + 3;
  g.ldb = (tb ? s.k : s.n) + 1;
  g.ldc = s.n + 2;
  g.stride_a = (ta ? s.k : s.m) * g.lda + 5;
  g.stride_b = (tb ? s.n : s.k) * g.ldb;
  g.stride_c = s.m * g.ldc + 1;
  float *pa = be_floats(s.batch * g.stride_a, 1), *pb = be_floats(s.batch * g.stride_b, 2);
  float *pbias = be_floats(s.n, 3), *c0 = be_floats(s.batch * g.stride_c, beta != 0 ? 4 : 0);
  float *c = be_copy(c0, s.batch * g.stride_c), *ppre = be_copy(c0, s.batch * g.stride_c);
  g.a = pa;
  g.b = pb;
  g.c = c;
  g.bias = bias ? pbias : NULL;
  g.pre = pre ? ppre : NULL;
  isc_assert_ok(b->ops->gemm(b->impl, &g));
  for (int64_t x = 0; x < s.batch; x++)
    for (int64_t i = 0; i < s.m; i++) {
      for (int64_t j = 0; j < s.n; j++) {
        double terms;
        const double want = exact(&g, c0, x, i, j, &terms);
        const int64_t at = x * g.stride_c + i * g.ldc + j;
        BE_CLOSE(c[at], isc_reference_act(act, want), 1.2 * terms,
                 "%s %lldx%lldx%lldx%lld ta %d tb %d act %d at %lld %lld", b->level,
                 (long long)s.batch, (long long)s.m, (long long)s.n, (long long)s.k, ta, tb, act,
                 (long long)i, (long long)j);
        if (pre) BE_CLOSE(ppre[at], want, terms, "pre");
      }
      for (int64_t j = s.n; j < g.ldc; j++)
        cr_assert(
            memcmp(&c[x * g.stride_c + i * g.ldc + j], &c0[x * g.stride_c + i * g.ldc + j], 4) == 0,
            "written between rows");
    }
  be_free(pa);
  be_free(pb);
  be_free(pbias);
  be_free(c0);
  be_free(c);
  be_free(ppre);
}

static const int64_t sizes[] = {1, 2, 7, 17, 33, 50};

Test(backend_gemm, agrees_with_double_for_every_transposition_on_odd_shapes) {
  BE_EACH_LEVEL(b, 2)
  for (int t = 0; t < 4; t++)
    for (size_t i = 0; i < 6; i++)
      for (size_t j = 0; j < 6; j++)
        for (size_t k = 0; k < 6; k += 1 + (i + j) % 2)
          check(&b, (shape){1, sizes[i], sizes[j], sizes[k]}, t & 1, t & 2, 1, 0, false,
                ISC_ACT_NONE, false);
}

Test(backend_gemm, agrees_with_double_across_its_inner_blocks) {
  const shape s[] = {
      {1, 200, 40, 1000}, {1, 30, 450, 390}, {1, 400, 70, 64}, {1, 3, 5, 5000}, {1, 170, 200, 385}};
  BE_EACH_LEVEL(b, 2)
  for (size_t i = 0; i < sizeof s / sizeof *s; i++)
    for (int t = 0; t < 4; t++)
      check(&b, s[i], t & 1, t & 2, 1, t == 1 ? 1 : 0, t == 2, ISC_ACT_NONE, t == 3);
}

Test(backend_gemm, epilogues) {
  BE_EACH_LEVEL(b, 2)
  for (int act = ISC_ACT_NONE; act <= ISC_ACT_TANH; act++)
    for (int x = 0; x < 8; x++)
      check(&b, (shape){1, 19, 37, 45 + (x & 1) * 400}, false, true, x & 1 ? 0.25f : -1.0f,
            x & 2 ? 0.5f : 0.0f, x & 4, (isc_act)act, x & 1);
}

Test(backend_gemm, batches) {
  BE_EACH_LEVEL(b, 2)
  for (int t = 0; t < 4; t++) {
    check(&b, (shape){37, 24, 32, 64}, t & 1, t & 2, 1, 0, true, ISC_ACT_TANH, false);
    check(&b, (shape){3, 130, 70, 20}, t & 1, t & 2, 2, 1, false, ISC_ACT_NONE, false);
  }
}

Test(backend_gemm, a_shared_input_has_stride_zero) {
  BE_EACH_LEVEL(b, 2) {
    float *a = be_floats(4 * 6, 1), *w = be_floats(6 * 5, 2), *c = be_floats(3 * 20, 0);
    const isc_gemm g = {.batch = 3,
                        .m = 4,
                        .n = 5,
                        .k = 6,
                        .a = a,
                        .b = w,
                        .c = c,
                        .lda = 6,
                        .ldb = 5,
                        .ldc = 5,
                        .stride_c = 20,
                        .alpha = 1};
    isc_assert_ok(b.ops->gemm(b.impl, &g));
    BE_SAME_BITS(c, c + 20, 20, "item 1");
    BE_SAME_BITS(c, c + 40, 20, "item 2");
    be_free(a);
    be_free(w);
    be_free(c);
  }
}

Test(backend_gemm, empty_shapes_write_nothing_and_an_empty_sum_is_zero) {
  BE_EACH_LEVEL(b, 2) {
    const shape s[] = {{0, 3, 3, 3}, {1, 0, 3, 3}, {1, 3, 0, 3}};
    for (size_t i = 0; i < 3; i++)
      check(&b, s[i], false, false, 1, 0, true, ISC_ACT_RELU, false);
    check(&b, (shape){2, 5, 9, 0}, false, false, 1, 0, true, ISC_ACT_RELU, false);
    check(&b, (shape){1, 5, 9, 0}, false, false, 1, 0.5f, false, ISC_ACT_NONE, false);
  }
}

/* Row 0 … m-1 of a product with m rows = the same rows of the product with 70. */
Test(backend_gemm, a_rows_bits_do_not_depend_on_the_other_rows_or_the_threads) {
  const shape s[] = {{1, 70, 64, 64}, {1, 70, 50, 500}, {1, 70, 192, 128}, {1, 70, 7, 1025}};
  BE_EACH_LEVEL(b, 1) {
    backend b2;
    cr_assert(be_open(level_, 2, &b2));
    for (size_t i = 0; i < sizeof s / sizeof *s; i++)
      for (int tb = 0; tb < 2; tb++) {
        float *a = be_floats(70 * s[i].k, 1), *w = be_floats(s[i].n * s[i].k, 2),
              *bias = be_floats(s[i].n, 3);
        float *all = be_floats(70 * s[i].n, 0), *some = be_floats(70 * s[i].n, 0);
        isc_gemm g = {.batch = 1,
                      .m = 70,
                      .n = s[i].n,
                      .k = s[i].k,
                      .a = a,
                      .b = w,
                      .c = all,
                      .lda = s[i].k,
                      .ldb = tb ? s[i].k : s[i].n,
                      .ldc = s[i].n,
                      .trans_b = tb,
                      .alpha = 1,
                      .bias = bias,
                      .act = ISC_ACT_GELU_TANH};
        isc_assert_ok(b.ops->gemm(b.impl, &g));
        g.c = some;
        for (g.m = 1; g.m <= 70; g.m++) {
          const backend *use = g.m % 2 ? &b : &b2;
          const int64_t from = (70 - g.m) / 2; /* not only leading rows: any run of them */
          g.a = a + from * g.k;
          isc_assert_ok(use->ops->gemm(use->impl, &g));
          BE_SAME_BITS(some, all + from * g.n, g.m * g.n, "%s m %lld of %lldx%lld", b.level,
                       (long long)g.m, (long long)g.n, (long long)g.k);
        }
        be_free(a);
        be_free(w);
        be_free(bias);
        be_free(all);
        be_free(some);
      }
    be_close(&b2);
  }
}

Test(backend_gemm, gradient_products_do_not_depend_on_the_threads) {
  BE_EACH_LEVEL(b, 1) {
    for (int threads = 2; threads <= 5; threads++) {
      backend other;
      cr_assert(be_open(level_, threads, &other));
      float *x = be_floats(3000 * 64, 1), *dy = be_floats(3000 * 192, 2),
            *one = be_floats(64 * 192, 0);
      float *many = be_floats(64 * 192, 0);
      isc_gemm g = {.batch = 1,
                    .m = 64,
                    .n = 192,
                    .k = 3000,
                    .a = x,
                    .lda = 64,
                    .trans_a = true,
                    .b = dy,
                    .ldb = 192,
                    .c = one,
                    .ldc = 192,
                    .alpha = 1};
      isc_assert_ok(b.ops->gemm(b.impl, &g));
      g.c = many;
      isc_assert_ok(other.ops->gemm(other.impl, &g));
      BE_SAME_BITS(one, many, 64 * 192, "%s, %d threads", b.level, threads);
      be_free(x);
      be_free(dy);
      be_free(one);
      be_free(many);
      be_close(&other);
    }
  }
}

/* Those of real models' size, which oneDNN computes in blocks. Every 97th element is checked. */
Test(backend_gemm, large_gradient_products) {
  const shape shapes[] = {{1, 200, 1100, 300}, {1, 523, 192, 700}, {1, 192, 2048, 256}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (int tb = 0; tb < 2; tb++) {
      const int64_t m = shapes[s].m, n = shapes[s].n, k = shapes[s].k;
      float *a = be_floats(k * m, 1), *b = be_floats(k * n, 2), *c0 = be_floats(m * n, 3), *c[3];
      isc_gemm g = {.batch = 1,
                    .m = m,
                    .n = n,
                    .k = k,
                    .a = a,
                    .lda = m,
                    .trans_a = true,
                    .b = b,
                    .ldb = tb ? k : n,
                    .trans_b = tb,
                    .ldc = n,
                    .alpha = 0.5f,
                    .beta = 1};
      for (int t = 0; t < 3; t++) {
        backend be;
        cr_assert(be_open(BE_AUTO, t + 1, &be));
        g.c = c[t] = be_copy(c0, m * n);
        isc_assert_ok(be.ops->gemm(be.impl, &g));
        be_close(&be);
        BE_SAME_BITS(c[t], c[0], m * n, "%d threads", t + 1);
      }
      for (int64_t x = 0; x < m * n; x += 97) {
        double terms;
        const double want = exact(&g, c0, 0, x / n, x % n, &terms);
        BE_CLOSE(c[0][x], want, terms, "shape %zu tb %d", s, tb);
      }
      float *all[] = {a, b, c0, c[0], c[1], c[2]};
      for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        be_free(all[i]);
    }
}
