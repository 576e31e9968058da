/* SPDX-License-Identifier: Apache-2.0
 *
 * Layer normalisation, embedding and their gradients against double precision and finite differences.
 */
#include "backend_fixture.h"

/* y of one row in double. */
static void exact_row(int64_t d, const double *x, const float *g, const float *b, double eps,
                      double *y) {
  double mean = 0, var = 0;
  for (int64_t i = 0; i < d; i++)
    mean += x[i] / (double)d;
  for (int64_t i = 0; i < d; i++)
    var += (x[i] - mean) * (x[i] - mean) / (double)d;
  for (int64_t i = 0; i < d; i++)
    y[i] = (x[i] - mean) / sqrt(var + eps) * (g ? (double)g[i] : 1) + (b ? (double)b[i] : 0);
}

static const int64_t widths[] = {1, 2, 15, 16, 17, 64, 100, 131};

Test(backend_rows, layernorm_agrees_with_double) {
  BE_EACH_LEVEL(be, 2)
  for (size_t k = 0; k < sizeof widths / sizeof *widths; k++)
    for (int plain = 0; plain < 2; plain++) {
      const int64_t d = widths[k], rows = 9;
      float *x = be_floats(rows * d, 1), *g = be_floats(d, 2), *b = be_floats(d, 3),
            *y = be_floats(rows * d, 0);
      float *mean = be_floats(rows, 0), *rstd = be_floats(rows, 0);
      for (int64_t i = 0; i < d; i++)
        x[i] += 3; /* a mean that matters */
      isc_layernorm a = {
          .rows = rows, .d = d, .eps = 1e-5, .x = x, .y = y, .mean = mean, .rstd = rstd};
      if (!plain) {
        a.g = g;
        a.b = b;
      }
      isc_assert_ok(be.ops->layernorm(be.impl, &a));
      for (int64_t r = 0; r < rows; r++) {
        double in[131], want[131], sum = 0, square = 0;
        for (int64_t i = 0; i < d; i++) {
          in[i] = (double)x[r * d + i];
          sum += in[i] / (double)d;
        }
        for (int64_t i = 0; i < d; i++)
          square += (in[i] - sum) * (in[i] - sum) / (double)d;
        const double s = 1 / sqrt(square + 1e-5);
        exact_row(d, in, a.g, a.b, a.eps, want);
        BE_CLOSE(mean[r], sum, 4, "mean");
        /* the variance is a sum of squares, each with the mean's rounding in it */
        BE_CLOSE(rstd[r], s, 4 * s, "rstd %lld", (long long)d);
        for (int64_t i = 0; i < d; i++)
          BE_CLOSE(y[r * d + i], want[i],
                   (fabs(in[i]) + fabs(sum)) * s * fabs(a.g ? (double)g[i] : 1) +
                       fabs(a.b ? (double)b[i] : 0),
                   "%s d %lld row %lld", be.level, (long long)d, (long long)r);
      }
      float *again = be_floats(rows * d, 0);
      a.y = again;
      a.mean = a.rstd = NULL;
      isc_assert_ok(be.ops->layernorm(be.impl, &a)); /* forward-only */
      BE_SAME_BITS(y, again, rows * d, "forward only");
      a.x += 4 * d;
      a.rows = 1;
      isc_assert_ok(be.ops->layernorm(be.impl, &a)); /* row 4 alone */
      BE_SAME_BITS(y + 4 * d, again, d, "one row of %lld", (long long)d);
      float *all[] = {x, g, b, y, mean, rstd, again};
      for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        be_free(all[i]);
    }
}

/* dL/dx by central differences of L = Σ dy·y in double. */
static double slope_x(int64_t d, const double *x, const float *g, const float *b, const float *dy,
                      int64_t at) {
  double y[2][131], in[131], s = 0;
  const double h = 1e-5;
  for (int k = 0; k < 2; k++) {
    memcpy(in, x, (size_t)d * sizeof *in);
    in[at] += k ? h : -h;
    exact_row(d, in, g, b, 1e-5, y[k]);
  }
  for (int64_t i = 0; i < d; i++)
    s += (double)dy[i] * (y[1][i] - y[0][i]) / (2 * h);
  return s;
}

Test(backend_rows, layernorm_gradients_match_finite_differences) {
  const int64_t sizes[][2] = {{1, 2}, {3, 15}, {7, 64}, {70, 17}, {5, 131}, {300, 33}};
  BE_EACH_LEVEL(be, 2)
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (int plain = 0; plain < 2; plain++) {
      const int64_t rows = sizes[k][0], d = sizes[k][1], n = rows * d;
      float *x = be_floats(n, 1), *g = be_floats(d, 2), *b = be_floats(d, 3), *y = be_floats(n, 0);
      float *mean = be_floats(rows, 0), *rstd = be_floats(rows, 0), *dy = be_floats(n, 4);
      float *dx = be_floats(n, 5), *dx0 = be_copy(dx, n), *dg = be_floats(d, 6),
            *dg0 = be_copy(dg, d);
      float *db = be_floats(d, 7), *db0 = be_copy(db, d);
      isc_layernorm a = {.rows = rows,
                         .d = d,
                         .eps = 1e-5,
                         .x = x,
                         .y = y,
                         .mean = mean,
                         .rstd = rstd,
                         .dy = dy,
                         .dx = dx,
                         .dg = dg,
                         .db = db,
                         .g = plain ? NULL : g,
                         .b = plain ? NULL : b};
      if (plain) a.dg = a.db = NULL;
      isc_assert_ok(be.ops->layernorm(be.impl, &a));
      isc_assert_ok(be.ops->layernorm_grad(be.impl, &a));
      for (int64_t r = 0; r < rows; r += 1 + rows / 8) {
        double in[131], terms = 0;
        for (int64_t i = 0; i < d; i++) {
          in[i] = (double)x[r * d + i];
          terms += fabs((double)dy[r * d + i]) * (plain ? 1 : fabs((double)g[i]));
        }
        for (int64_t i = 0; i < d; i++)
          BE_CLOSE((double)dx[r * d + i] - (double)dx0[r * d + i],
                   slope_x(d, in, a.g, a.b, dy + r * d, i), (double)rstd[r] * terms * 4 + 1,
                   "%s dx %lldx%lld", be.level, (long long)rows, (long long)d);
      }
      for (int64_t i = 0; i < d && !plain; i++) {
        double sg = (double)dg0[i], sb = (double)db0[i], tg = fabs(sg), tb = fabs(sb);
        for (int64_t r = 0; r < rows; r++) {
          const double xh = ((double)x[r * d + i] - (double)mean[r]) * (double)rstd[r],
                       t = (double)dy[r * d + i];
          sg += t * xh;
          sb += t;
          tg += fabs(t) * (fabs(xh) + 1);
          tb += fabs(t);
        }
        BE_CLOSE(dg[i], sg, tg, "%s dg", be.level);
        BE_CLOSE(db[i], sb, tb, "%s db", be.level);
      }
      if (!plain) { /* another number of threads, the same bits */
        backend other;
        cr_assert(be_open(level_, 5, &other));
        a.dx = be_copy(dx0, n);
        a.dg = be_copy(dg0, d);
        a.db = be_copy(db0, d);
        isc_assert_ok(other.ops->layernorm_grad(other.impl, &a));
        BE_SAME_BITS(a.dx, dx, n, "dx");
        BE_SAME_BITS(a.dg, dg, d, "dg");
        BE_SAME_BITS(a.db, db, d, "db");
        be_free(a.dx);
        be_free(a.dg);
        be_free(a.db);
        be_close(&other);
      }
      float *all[] = {x, g, b, y, mean, rstd, dy, dx, dx0, dg, dg0, db, db0};
      for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        be_free(all[i]);
    }
}

Test(backend_rows, embedding_adds_two_rows_and_its_gradient_sums_in_order) {
  const int32_t id[] = {4, 0, 4, 4, 2, 9}, pos[] = {0, 1, 2, 0, 1, 2};
  BE_EACH_LEVEL(be, 3)
  for (size_t k = 0; k < sizeof widths / sizeof *widths; k++)
    for (int with = 0; with < 2; with++) {
      const int64_t d = widths[k];
      float *wte = be_floats(10 * d, 1), *wpe = be_floats(3 * d, 2), *out = be_floats(6 * d, 0);
      float *dwte = be_floats(10 * d, 3), *dwpe = be_floats(3 * d, 4), *t = be_copy(dwte, 10 * d),
            *p = be_copy(dwpe, 3 * d);
      const isc_embed a = {.rows = 6,
                           .d = d,
                           .id = id,
                           .pos = with ? pos : NULL,
                           .wte = wte,
                           .wpe = with ? wpe : NULL,
                           .out = out,
                           .vocab = 10,
                           .n_ctx = 3,
                           .dout = out,
                           .dwte = dwte,
                           .dwpe = with ? dwpe : NULL};
      isc_assert_ok(be.ops->embed(be.impl, &a));
      isc_assert_ok(be.ops->embed_grad(be.impl, &a));
      for (int r = 0; r < 6; r++)
        for (int64_t i = 0; i < d; i++) {
          const float want = with ? wte[id[r] * d + i] + wpe[pos[r] * d + i] : wte[id[r] * d + i];
          cr_assert(out[r * d + i] == want);
          t[id[r] * d + i] += want;
          p[pos[r] * d + i] += with ? want : 0;
        }
      BE_SAME_BITS(dwte, t, 10 * d, "dwte, d %lld", (long long)d);
      BE_SAME_BITS(dwpe, p, 3 * d, "dwpe, d %lld", (long long)d);
      float *all[] = {wte, wpe, out, dwte, dwpe, t, p};
      for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        be_free(all[i]);
    }
}

Test(backend_rows, nothing_to_do_is_done) {
  BE_EACH_LEVEL(be, 2) {
    const isc_layernorm ln = {.rows = 0, .d = 5}, ln2 = {.rows = 5, .d = 0};
    isc_assert_ok(be.ops->layernorm(be.impl, &ln));
    isc_assert_ok(be.ops->layernorm_grad(be.impl, &ln));
    isc_assert_ok(be.ops->layernorm(be.impl, &ln2));
    isc_assert_ok(be.ops->layernorm_grad(be.impl, &ln2));
    const isc_embed e = {.rows = 0, .d = 4};
    isc_assert_ok(be.ops->embed(be.impl, &e));
    isc_assert_ok(be.ops->embed_grad(be.impl, &e));
  }
}
