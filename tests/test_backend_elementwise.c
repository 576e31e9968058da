/* SPDX-License-Identifier: Apache-2.0
 *
 * Activations, their gradients, elementwise arithmetic, indexed copies and sums, memory and the
 * backend's description.
 */
#include "backend_fixture.h"
#include "conform/reference.h"

/* Central difference in double: its own error is about 1e-10. */
static double exact_slope(isc_act act, double x) {
  const double h = 1e-5;
  return (isc_reference_act(act, x + h) - isc_reference_act(act, x - h)) / (2 * h);
}

/* Every activation on a grid of both signs and all magnitudes. Where the value is a difference (gelu, silu
 * for x < 0) the terms are its own size, which is stricter than the contract. */
Test(backend_elementwise, activations_are_accurate_everywhere) {
  enum { N = 8003 };
  float *x = be_floats(N, 0), *y = be_floats(N, 0);
  for (int i = 0; i < N; i++)
    x[i] = i < 4000 ? (float)(i - 2000) * 0.005f
                    : (float)((i % 2 ? 1 : -1) * pow(10.0, (i - 6000) / 1600.0));
  BE_EACH_LEVEL(b, 2)
  for (int act = ISC_ACT_NONE; act <= ISC_ACT_TANH; act++) {
    isc_assert_ok(b.ops->act(b.impl, (isc_act)act, N, x, y));
    for (int i = 0; i < N; i++) {
      const double want = isc_reference_act((isc_act)act, (double)x[i]);
      BE_CLOSE(y[i], want, fabs(want) + 1e-30 + (x[i] < -6 ? 1e-9 : 0), "%s act %d at %g", b.level,
               act, (double)x[i]);
    }
  }
  be_free(x);
  be_free(y);
}

Test(backend_elementwise, slopes_match_finite_differences) {
  enum { N = 4001 };
  float *x = be_floats(N, 0), *dy = be_floats(N, 5), *dx = be_floats(N, 0);
  for (int i = 0; i < N; i++)
    x[i] = (float)(i - 2000) * 0.006f + 0.001f;
  BE_EACH_LEVEL(b, 2)
  for (int act = ISC_ACT_NONE; act <= ISC_ACT_TANH; act++) {
    isc_assert_ok(b.ops->act_grad(b.impl, (isc_act)act, N, x, dy, dx));
    for (int i = 0; i < N; i++)
      BE_CLOSE(dx[i], (double)dy[i] * exact_slope((isc_act)act, (double)x[i]), fabs((double)dy[i]),
               "%s act %d at %g", b.level, act, (double)x[i]);
    float *same = be_copy(dy, N); /* dx may alias dy */
    isc_assert_ok(b.ops->act_grad(b.impl, (isc_act)act, N, x, same, same));
    BE_SAME_BITS(same, dx, N, "aliased");
    be_free(same);
  }
  be_free(x);
  be_free(dy);
  be_free(dx);
}

Test(backend_elementwise, nan_and_infinity_go_through) {
  BE_EACH_LEVEL(b, 1) {
    float x[3] = {NAN, INFINITY, -INFINITY}, y[3];
    for (int act = ISC_ACT_NONE; act <= ISC_ACT_TANH; act++) {
      isc_assert_ok(b.ops->act(b.impl, (isc_act)act, 3, x, y));
      cr_assert(isnan(y[0]), "%s act %d hides NaN", b.level, act);
      cr_assert(y[1] == (act == ISC_ACT_TANH ? 1.0f : INFINITY), "%s act %d of infinity: %g",
                b.level, act, (double)y[1]);
    }
  }
}

Test(backend_elementwise, arithmetic_is_exact_on_all_lengths_and_may_alias) {
  BE_EACH_LEVEL(b, 2)
  for (int64_t n = 0; n < 70; n = n < 40 ? n + 1 : n + 29) {
    float *x = be_floats(n, 1), *y = be_floats(n, 2), *z = be_floats(n, 0);
    isc_assert_ok(b.ops->add(b.impl, n, x, y, z));
    for (int64_t i = 0; i < n; i++)
      cr_assert(z[i] == x[i] + y[i]);
    isc_assert_ok(b.ops->mul(b.impl, n, x, y, z));
    for (int64_t i = 0; i < n; i++)
      cr_assert(z[i] == x[i] * y[i]);
    isc_assert_ok(b.ops->axpy(b.impl, n, 0.3f, x, z));
    for (int64_t i = 0; i < n; i++)
      BE_CLOSE(z[i], (double)(x[i] * y[i]) + (double)0.3f * (double)x[i],
               fabs((double)x[i]) + fabs((double)z[i]), "axpy");
    isc_assert_ok(b.ops->add(b.impl, n, x, x, x));
    isc_assert_ok(b.ops->mul(b.impl, n, y, x, x));
    isc_assert_ok(b.ops->act(b.impl, ISC_ACT_TANH, n, y, y));
    be_free(x);
    be_free(y);
    be_free(z);
  }
}

Test(backend_elementwise, threads_change_no_bit_of_long_arrays) {
  enum { N = 200003 };
  BE_EACH_LEVEL(one, 1) {
    backend two;
    cr_assert(be_open(level_, 3, &two));
    float *x = be_floats(N, 1), *y = be_floats(N, 0), *z = be_floats(N, 0);
    isc_assert_ok(one.ops->act(one.impl, ISC_ACT_GELU_TANH, N, x, y));
    isc_assert_ok(two.ops->act(two.impl, ISC_ACT_GELU_TANH, N, x, z));
    BE_SAME_BITS(y, z, N, "act");
    double s1, s2, s = 0;
    isc_assert_ok(one.ops->sum_squares(one.impl, N, x, &s1));
    isc_assert_ok(two.ops->sum_squares(two.impl, N, x, &s2));
    for (int i = 0; i < N; i++)
      s += (double)x[i] * (double)x[i];
    cr_assert(s1 == s2, "sum of squares depends on threads");
    cr_assert(fabs(s1 - s) < 1e-12 * s, "%.17g against %.17g", s1, s);
    be_free(x);
    be_free(y);
    be_free(z);
    be_close(&two);
  }
}

Test(backend_elementwise, sum_squares_of_short_arrays) {
  BE_EACH_LEVEL(b, 2)
  for (int64_t n = 0; n < 40; n++) {
    float *x = be_floats(n, 1);
    double got = -1, s = 0;
    for (int64_t i = 0; i < n; i++)
      s += (double)x[i] * (double)x[i];
    isc_assert_ok(b.ops->sum_squares(b.impl, n, x, &got));
    cr_assert(fabs(got - s) <= 1e-14 * s);
    be_free(x);
  }
}

Test(backend_elementwise, col_sum_adds_rows_in_order) {
  const int64_t shapes[][2] = {{1, 1}, {5, 3}, {0, 4}, {4, 0}, {700, 33}, {1500, 100}, {40, 700}};
  BE_EACH_LEVEL(b, 2)
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
    const int64_t rows = shapes[k][0], n = shapes[k][1];
    float *x = be_floats(rows * n, 1), *out = be_floats(n, 2), *before = be_copy(out, n);
    float *single = be_copy(out, n);
    backend one;
    cr_assert(be_open(level_, 1, &one));
    isc_assert_ok(b.ops->col_sum(b.impl, rows, n, x, out));
    isc_assert_ok(one.ops->col_sum(one.impl, rows, n, x, single));
    BE_SAME_BITS(out, single, n, "col_sum %lldx%lld", (long long)rows, (long long)n);
    for (int64_t j = 0; j < n; j++) {
      double s = (double)before[j], t = fabs(s);
      for (int64_t i = 0; i < rows; i++) {
        s += (double)x[i * n + j];
        t += fabs((double)x[i * n + j]);
      }
      BE_CLOSE(out[j], s, t, "%s col_sum %lldx%lld column %lld", b.level, (long long)rows,
               (long long)n, (long long)j);
    }
    be_close(&one);
    be_free(x);
    be_free(out);
    be_free(before);
    be_free(single);
  }
}

Test(backend_elementwise, gather_and_scatter_are_each_others_transpose) {
  const int64_t row[] = {3, 0, 3, 6, 3, 1, 0};
  BE_EACH_LEVEL(b, 2)
  for (int64_t width = 0; width < 40; width += width < 3 ? 1 : 9) {
    float *x = be_floats(7 * width, 1), *out = be_floats(7 * width, 0);
    isc_assert_ok(b.ops->gather(b.impl, 7, width, x, row, out));
    for (int i = 0; i < 7; i++)
      BE_SAME_BITS(out + i * width, x + row[i] * width, width, "row %d", i);
    float *want = be_copy(x, 7 * width);
    for (int i = 0; i < 7; i++)
      for (int64_t j = 0; j < width; j++)
        want[row[i] * width + j] += out[i * width + j]; /* in the order of i, as promised */
    isc_assert_ok(b.ops->scatter_add(b.impl, 7, width, out, row, x));
    BE_SAME_BITS(x, want, 7 * width, "scatter, width %lld", (long long)width);
    be_free(x);
    be_free(out);
    be_free(want);
  }
}

Test(backend_elementwise, memory_is_aligned_and_a_failure_leaves_the_device_usable) {
  backend b;
  cr_assert(be_open(BE_LEVELS - 1, 1, &b));
  void *p = NULL, *q = NULL;
  isc_assert_ok(b.ops->alloc(b.impl, 0, &p));
  b.ops->free(b.impl, p);
  isc_assert_ok(b.ops->alloc(b.impl, 1000, &p));
  cr_assert((uintptr_t)p % 64 == 0);
  isc_assert_fails(b.ops->alloc(b.impl, SIZE_MAX - 5, &q), ISC_E_NOMEM,
                   "18446744073709551610 bytes");
#if !defined(__SANITIZE_ADDRESS__) /* which aborts on sizes beyond its own limit */
  isc_assert_fails(b.ops->alloc(b.impl, (size_t)1 << 55, &q), ISC_E_NOMEM,
                   "36028797018963968 bytes");
#endif
  char host[1000], back[1000];
  memset(host, 7, sizeof host);
  isc_assert_ok(b.ops->upload(b.impl, p, host, sizeof host));
  isc_assert_ok(b.ops->zero(b.impl, p, 10));
  isc_assert_ok(b.ops->copy(b.impl, (char *)p + 500, p, 20));
  isc_assert_ok(b.ops->sync(b.impl));
  isc_assert_ok(b.ops->download(b.impl, back, p, sizeof back));
  cr_assert(back[9] == 0 && back[10] == 7 && back[509] == 0 && back[510] == 7 && back[520] == 7);
  b.ops->free(b.impl, p);
  b.ops->free(b.impl, NULL);
  be_close(&b);
}

Test(backend_elementwise, probe_names_the_processor) {
  char why[160] = "";
  isc_assert_ok(be_class()->ops ? ((const isc_backend_ops *)be_class()->ops)->probe(why, sizeof why)
                                : ISC_E_INTERNAL);
  cr_assert(strncmp(why, "CPU: ", 5) == 0 && strstr(why, "thread"), "\"%s\"", why);
}
