/* SPDX-License-Identifier: Apache-2.0
 *
 * The vocabulary loss, the control layer and AdamW against the same formulas in double, their
 * gradients against finite differences, and that neither rows nor threads reach a row's result.
 */
#include "backend_fixture.h"

/* ---- loss over a vocabulary */

/* logp of one row in double; p (may be NULL) gets the distribution. */
static double exact_logp(int64_t d, int64_t vocab, const float *h, const float *w, int64_t target,
                         double *p) {
  double max = -INFINITY, sum = 0, *l = malloc((size_t)vocab * sizeof *l);
  for (int64_t j = 0; j < vocab; j++) {
    l[j] = 0;
    for (int64_t i = 0; i < d; i++)
      l[j] += (double)h[i] * (double)w[j * d + i];
    max = fmax(max, l[j]);
  }
  for (int64_t j = 0; j < vocab; j++)
    sum += exp(l[j] - max);
  const double out = l[target] - max - log(sum);
  for (int64_t j = 0; p && j < vocab; j++)
    p[j] = exp(l[j] - max) / sum;
  free(l);
  return out;
}

static void check_xent(const backend *be, int64_t rows, int64_t d, int64_t vocab, bool weighted,
                       int skip) {
  float *h = be_floats(rows * d, 1), *w = be_floats(vocab * d, 2), *weight = be_floats(rows, 3);
  float *logp = be_floats(rows, 0), *dh = be_floats(rows * d, 0), *dw = be_floats(vocab * d, 4);
  float *dw0 = be_copy(dw, vocab * d);
  int32_t *target = malloc((size_t)(rows + 1) * sizeof *target);
  isc_rng r = isc_rng_at(3, ISC_RNG_USER, 1);
  for (int64_t i = 0; i < rows; i++)
    target[i] = skip && i % skip == 1 ? -1 : (int32_t)isc_rng_below(&r, (uint64_t)vocab);
  isc_xent a = {.rows = rows,
                .d = d,
                .vocab = vocab,
                .h = h,
                .w = w,
                .target = target,
                .weight = weighted ? weight : NULL,
                .logp = logp,
                .dh = dh,
                .dw = dw};
  isc_assert_ok(be->ops->xent(be->impl, &a));
  double *p = malloc((size_t)vocab * sizeof *p),
         *want = calloc((size_t)(vocab * d + 1), sizeof *want);
  double *terms = calloc((size_t)(vocab * d + 1), sizeof *terms);
  for (int64_t i = 0; i < rows; i++) {
    if (target[i] < 0) {
      cr_assert(logp[i] == 0);
      for (int64_t k = 0; k < d; k++)
        cr_assert(dh[i * d + k] == 0);
      continue;
    }
    const double l = exact_logp(d, vocab, h + i * d, w, target[i], p),
                 x = weighted ? (double)weight[i] : 1;
    BE_CLOSE(logp[i], l, 6 + fabs(l), "%s logp %lldx%lldx%lld", be->level, (long long)rows,
             (long long)d, (long long)vocab);
    p[target[i]] -= 1;
    for (int64_t k = 0; k < d; k++) {
      double s = 0, t = 0;
      for (int64_t j = 0; j < vocab; j++) {
        s += x * p[j] * (double)w[j * d + k];
        t += fabs(x * p[j] * (double)w[j * d + k]);
        want[j * d + k] += x * p[j] * (double)h[i * d + k];
        terms[j * d + k] += fabs(x * p[j] * (double)h[i * d + k]);
      }
      /* 4: a weight of the sum carries its logit's rounding, up to a few units of 1e-6 */
      BE_CLOSE(dh[i * d + k], s, 4 * t, "%s dh %lldx%lldx%lld", be->level, (long long)rows,
               (long long)d, (long long)vocab);
    }
  }
  for (int64_t j = 0; j < vocab * d; j++)
    BE_CLOSE(dw[j], (double)dw0[j] + want[j], fabs((double)dw0[j]) + 4 * terms[j], "%s dw",
             be->level);
  float *only =
      be_floats(rows, 0); /* without gradients; then any run of rows alone: the same bits */
  a.logp = only;
  a.dh = a.dw = NULL;
  isc_assert_ok(be->ops->xent(be->impl, &a));
  BE_SAME_BITS(only, logp, rows, "forward only");
  if (rows > 3) {
    a.h += 2 * d;
    a.target += 2;
    a.rows = rows - 3;
    isc_assert_ok(be->ops->xent(be->impl, &a));
    BE_SAME_BITS(only, logp + 2, rows - 3, "some rows");
  }
  float *all[] = {h, w, weight, logp, dh, dw, dw0, only};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    be_free(all[i]);
  free(target);
  free(p);
  free(want);
  free(terms);
}

Test(backend_train, xent_agrees_with_double) {
  BE_EACH_LEVEL(be, 2) {
    check_xent(&be, 1, 1, 1, false, 0);
    check_xent(&be, 5, 3, 2, true, 0);
    check_xent(&be, 9, 17, 33, true, 2);
    check_xent(&be, 70, 24, 130, true, 3);
    check_xent(&be, 40, 8, 2000, false, 0);
    check_xent(&be, 300, 2, 9000, true, 5); /* several blocks of rows */
  }
}

Test(backend_train, xent_with_other_threads_gives_the_same_bits) {
  BE_EACH_LEVEL(be, 1) {
    const int64_t rows = 700, d = 33, vocab = 5000;
    float *h = be_floats(rows * d, 1), *w = be_floats(vocab * d, 2), *logp[2], *dh[2], *dw[2];
    int32_t *target = malloc((size_t)rows * sizeof *target);
    for (int64_t i = 0; i < rows; i++)
      target[i] = (int32_t)(i * 7 % vocab);
    for (int k = 0; k < 2; k++) {
      backend b;
      cr_assert(be_open(level_, 1 + 2 * k, &b));
      logp[k] = be_floats(rows, 0);
      dh[k] = be_floats(rows * d, 0);
      dw[k] = be_floats(vocab * d, 3);
      const isc_xent a = {.rows = rows,
                          .d = d,
                          .vocab = vocab,
                          .h = h,
                          .w = w,
                          .target = target,
                          .logp = logp[k],
                          .dh = dh[k],
                          .dw = dw[k]};
      isc_assert_ok(b.ops->xent(b.impl, &a));
      be_close(&b);
    }
    BE_SAME_BITS(logp[0], logp[1], rows, "logp");
    BE_SAME_BITS(dh[0], dh[1], rows * d, "dh");
    BE_SAME_BITS(dw[0], dw[1], vocab * d, "dw");
    float *all[] = {h, w, logp[0], logp[1], dh[0], dh[1], dw[0], dw[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
      be_free(all[i]);
    free(target);
  }
}

Test(backend_train, xent_refuses_targets_outside_the_vocabulary) {
  BE_EACH_LEVEL(be, 1) {
    float x[4] = {0}, logp[1];
    int32_t target[1] = {2};
    const isc_xent a = {
        .rows = 1, .d = 2, .vocab = 2, .h = x, .w = x, .target = target, .logp = logp};
    isc_assert_fails(be.ops->xent(be.impl, &a), ISC_E_SHAPE, "target 2");
    const isc_xent none = {.rows = 0, .d = 2, .vocab = 2};
    isc_assert_ok(be.ops->xent(be.impl, &none));
  }
}

/* ---- control layer */

typedef struct control_case {
  isc_control a;
  float *x, *hn, *u, *v, *c, *out, *omega, *dout, *dhn, *du, *dv, *dc;
  int64_t td, hd, th;
} control_case;

static control_case control_make(int64_t batch, int64_t len, int64_t heads, int64_t d) {
  control_case k = {.td = batch * len * d, .hd = batch * heads * d, .th = batch * len * heads};
  k.a = (isc_control){.batch = batch, .len = len, .heads = heads, .d = d, .scale = 0.2f};
  k.a.x = k.x = be_floats(k.td, 1);
  k.a.hn = k.hn = be_floats(k.td, 2);
  k.a.u = k.u = be_floats(k.hd, 3);
  k.a.v = k.v = be_floats(k.hd, 4);
  k.a.c = k.c = be_floats(batch * heads, 5);
  k.a.out = k.out = be_floats(k.td, 0);
  k.a.omega = k.omega = be_floats(k.th, 0);
  k.a.dout = k.dout = be_floats(k.td, 6);
  k.a.dhn = k.dhn = be_floats(k.td, 7);
  k.a.du = k.du = be_floats(k.hd, 0);
  k.a.dv = k.dv = be_floats(k.hd, 0);
  k.a.dc = k.dc = be_floats(batch * heads, 0);
  return k;
}

static void control_done(control_case *k) {
  float *all[] = {k->x,     k->hn,   k->u,   k->v,  k->c,  k->out,
                  k->omega, k->dout, k->dhn, k->du, k->dv, k->dc};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    be_free(all[i]);
}

/* L = Σ dout·(Σ_m ω v) of item b, in double; out and Σ|terms| of each element when asked. */
static double control_exact(const isc_control *a, int64_t b, double *out, double *terms) {
  double loss = 0;
  for (int64_t t = 0; t < a->len; t++) {
    double w[64], score_terms = 0;
    const float *hn = a->hn + (b * a->len + t) * a->d;
    for (int64_t m = 0; m < a->heads; m++) {
      double s = (double)a->c[b * a->heads + m];
      for (int64_t i = 0; i < a->d; i++) {
        s += (double)hn[i] * (double)a->u[(b * a->heads + m) * a->d + i];
        score_terms = fmax(score_terms, fabs(s));
      }
      w[m] = tanh((double)a->scale * s);
    }
    for (int64_t i = 0; i < a->d; i++) {
      double s = 0, n = 0;
      for (int64_t m = 0; m < a->heads; m++) {
        s += w[m] * (double)a->v[(b * a->heads + m) * a->d + i];
        n += fabs((double)a->v[(b * a->heads + m) * a->d + i]) * (1 + score_terms);
      }
      const int64_t at = (b * a->len + t) * a->d + i;
      loss += (double)a->dout[at] * s;
      if (out) {
        out[t * a->d + i] = (double)a->x[at] + s;
        terms[t * a->d + i] = fabs((double)a->x[at]) + n;
      }
    }
  }
  return loss;
}

static double control_slope(const isc_control *a, int64_t b, float *x) {
  const float keep = *x;
  *x = keep + 0x1p-9f;
  const double up = control_exact(a, b, NULL, NULL), hi = (double)*x;
  *x = keep - 0x1p-9f;
  const double down = control_exact(a, b, NULL, NULL), lo = (double)*x;
  *x = keep;
  return (up - down) / (hi - lo);
}

static const int64_t control_shapes[][4] = {
    {1, 1, 1, 1}, {2, 3, 2, 5}, {3, 24, 32, 64}, {2, 17, 8, 33}, {5, 2, 33, 100}};

Test(backend_train, control_agrees_with_double_and_may_work_in_place) {
  BE_EACH_LEVEL(be, 2)
  for (size_t s = 0; s < sizeof control_shapes / sizeof *control_shapes; s++) {
    const int64_t *n = control_shapes[s];
    control_case k = control_make(n[0], n[1], n[2], n[3]);
    isc_assert_ok(be.ops->control(be.impl, &k.a));
    double *out = malloc((size_t)(n[1] * n[3]) * sizeof *out),
           *terms = malloc((size_t)(n[1] * n[3]) * sizeof *terms);
    for (int64_t b = 0; b < n[0]; b++) {
      control_exact(&k.a, b, out, terms);
      for (int64_t i = 0; i < n[1] * n[3]; i++)
        BE_CLOSE(k.out[b * n[1] * n[3] + i], out[i], terms[i], "%s control case %zu", be.level, s);
    }
    float *before = be_copy(k.out, k.td), *last = be_floats(n[3], 0), *omega = be_floats(n[2], 0);
    isc_control one = k.a; /* the last position of the last item alone, as in sampling */
    one.batch = one.len = 1;
    one.x += k.td - n[3];
    one.hn += k.td - n[3];
    one.u += k.hd - n[2] * n[3];
    one.v += k.hd - n[2] * n[3];
    one.c += (n[0] - 1) * n[2];
    one.out = last;
    one.omega = omega;
    isc_assert_ok(be.ops->control(be.impl, &one));
    BE_SAME_BITS(last, before + k.td - n[3], n[3], "last row of case %zu", s);
    k.a.out = k.x;
    isc_assert_ok(be.ops->control(be.impl, &k.a));
    BE_SAME_BITS(k.x, before, k.td, "in place, case %zu", s);
    be_free(before);
    be_free(last);
    be_free(omega);
    free(out);
    free(terms);
    control_done(&k);
  }
}

Test(backend_train, control_gradients_match_finite_differences) {
  BE_EACH_LEVEL(be, 2)
  for (size_t s = 0; s < sizeof control_shapes / sizeof *control_shapes; s++) {
    const int64_t *n = control_shapes[s];
    control_case k = control_make(n[0], n[1], n[2], n[3]);
    float *dhn0 = be_copy(k.dhn, k.td);
    isc_assert_ok(be.ops->control(be.impl, &k.a));
    isc_assert_ok(be.ops->control_grad(be.impl, &k.a));
    isc_rng r = isc_rng_at(8, ISC_RNG_USER, s);
    /* the differences are good to about 1e-5 of the gradient's scale, of which 4e-6 · `scale` is more */
    const double scale = 60 + 3 * sqrt((double)(n[1] * n[2] * n[3]));
    for (int i = 0; i < 16; i++) {
      const int64_t h = (int64_t)isc_rng_below(&r, (uint64_t)k.hd),
                    t = (int64_t)isc_rng_below(&r, (uint64_t)k.td);
      const int64_t m = h / n[3], bh = h / (n[2] * n[3]), bt = t / (n[1] * n[3]);
      BE_CLOSE(k.du[h], control_slope(&k.a, bh, k.u + h), scale, "%s du case %zu", be.level, s);
      BE_CLOSE(k.dv[h], control_slope(&k.a, bh, k.v + h), scale, "%s dv case %zu", be.level, s);
      BE_CLOSE(k.dc[m], control_slope(&k.a, bh, k.c + m), scale, "%s dc case %zu", be.level, s);
      BE_CLOSE((double)k.dhn[t] - (double)dhn0[t], control_slope(&k.a, bt, k.hn + t), scale,
               "%s dhn case %zu", be.level, s);
    }
    be_free(dhn0);
    control_done(&k);
  }
}

/* ---- AdamW */

/* PyTorch's order in double, from the same float state. */
static void adamw_exact(const isc_adamw *a, double *p, double *m, double *v) {
  const double fix1 = 1 - pow(a->beta1, (double)a->step), fix2 = 1 - pow(a->beta2, (double)a->step);
  for (int64_t i = 0; i < a->n; i++) {
    const double g = (double)a->g[i] * a->grad_scale;
    p[i] *= 1 - a->lr * a->weight_decay;
    m[i] += (g - m[i]) * (1 - a->beta1);
    v[i] = a->beta2 * v[i] + (1 - a->beta2) * g * g;
    p[i] -= a->lr / fix1 * m[i] / (sqrt(v[i]) / sqrt(fix2) + a->eps);
  }
}

Test(backend_train, adamw_follows_a_double_precision_run) {
  const int64_t sizes[] = {1, 7, 16, 5003, 0, 4096, 9000};
  enum { COUNT = 7, STEPS = 8 };
  BE_EACH_LEVEL(be, 3) {
    isc_adamw list[COUNT];
    const isc_adamw *at[COUNT];
    float *p[COUNT], *m[COUNT], *v[COUNT], *g[COUNT];
    double *ep[COUNT], *em[COUNT], *ev[COUNT];
    for (int k = 0; k < COUNT; k++) {
      const int64_t n = sizes[k];
      p[k] = be_floats(n, 10);
      m[k] = be_floats(n, 0);
      v[k] = be_floats(n, 0);
      g[k] = be_floats(n, 0);
      ep[k] = calloc((size_t)n + 1, sizeof(double));
      em[k] = calloc((size_t)n + 1, sizeof(double));
      ev[k] = calloc((size_t)n + 1, sizeof(double));
      for (int64_t i = 0; i < n; i++) {
        ep[k][i] = (double)p[k][i];
        m[k][i] = v[k][i] = 0;
      }
      list[k] = (isc_adamw){.n = n,
                            .p = p[k],
                            .m = m[k],
                            .v = v[k],
                            .g = g[k],
                            .lr = 1e-3 * (k + 1),
                            .beta1 = 0.9,
                            .beta2 = 0.999,
                            .eps = 1e-8,
                            .weight_decay = k % 2 ? 0.01 : 0,
                            .grad_scale = 0.5};
    }
    for (int k = 0; k < COUNT; k++)
      at[k] = &list[k];
    for (int step = 1; step <= STEPS; step++) {
      for (int k = 0; k < COUNT; k++) {
        isc_rng r = isc_rng_at(4, ISC_RNG_USER, (uint64_t)(step * 10 + k));
        isc_rng_normals(&r, g[k], sizes[k]);
        list[k].step = step;
        adamw_exact(&list[k], ep[k], em[k], ev[k]);
      }
      isc_assert_ok(be.ops->adamw(be.impl, at, COUNT));
    }
    for (int k = 0; k < COUNT; k++) {
      for (int64_t i = 0; i < sizes[k]; i++) {
        /* each step rounds p once and moves it by at most about lr; m and v carry eight roundings */
        BE_CLOSE(p[k][i], ep[k][i], fabs(ep[k][i]) + 8 * list[k].lr, "%s p step 8 size %lld",
                 be.level, (long long)sizes[k]);
        BE_CLOSE(m[k][i], em[k][i], 1, "m");
        BE_CLOSE(v[k][i], ev[k][i], ev[k][i], "v");
      }
      be_free(p[k]);
      be_free(m[k]);
      be_free(v[k]);
      be_free(g[k]);
      free(ep[k]);
      free(em[k]);
      free(ev[k]);
    }
    isc_assert_ok(be.ops->adamw(be.impl, NULL, 0));
  }
}
