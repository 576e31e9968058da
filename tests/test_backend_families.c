/* SPDX-License-Identifier: Apache-2.0
 *
 * What model families beyond GPT-2 add: the RMS norm, norms of the heads of a fused row, rotary positions, gates and
 * scaled or narrow embeddings, against double precision, finite differences and closed forms.
 */
#include "backend_fixture.h"
#include "conform/reference.h"

static const int64_t widths[] = {1, 2, 15, 16, 17, 64, 100, 131};
enum { WIDEST = 131 };

/* ---- RMS norm */

static void exact_rms(int64_t d, const double *x, const float *g, double eps, double *y) {
  double square = 0;
  for (int64_t i = 0; i < d; i++)
    square += x[i] * x[i] / (double)d;
  for (int64_t i = 0; i < d; i++)
    y[i] = x[i] / sqrt(square + eps) * (g ? (double)g[i] : 1);
}

Test(backend_families, rms_norm_agrees_with_double_alone_and_in_place) {
  BE_EACH_LEVEL(be, 2)
  for (size_t k = 0; k < sizeof widths / sizeof *widths; k++)
    for (int plain = 0; plain < 2; plain++) {
      const int64_t d = widths[k], rows = 9;
      float *x = be_floats(rows * d, 1), *g = be_floats(d, 2), *y = be_floats(rows * d, 0);
      float *rstd = be_floats(rows, 0), *alone = be_floats(d, 0);
      isc_layernorm a = {.rows = rows,
                         .d = d,
                         .eps = 1e-6,
                         .rms = true,
                         .x = x,
                         .g = plain ? NULL : g,
                         .y = y,
                         .rstd = rstd};
      isc_assert_ok(be.ops->layernorm(be.impl, &a));
      for (int64_t r = 0; r < rows; r++) {
        double in[WIDEST], want[WIDEST], square = 0;
        for (int64_t i = 0; i < d; i++) {
          in[i] = (double)x[r * d + i];
          square += in[i] * in[i] / (double)d;
        }
        exact_rms(d, in, a.g, a.eps, want);
        BE_CLOSE(rstd[r], 1 / sqrt(square + a.eps), 1 / sqrt(square + a.eps), "rstd");
        for (int64_t i = 0; i < d; i++)
          BE_CLOSE(y[r * d + i], want[i], fabs(want[i]), "%s d %lld", be.level, (long long)d);
      }
      a.rows = 1; /* row 4 alone, forward only */
      a.x = x + 4 * d;
      a.y = alone;
      a.rstd = NULL;
      isc_assert_ok(be.ops->layernorm(be.impl, &a));
      BE_SAME_BITS(alone, y + 4 * d, d, "one row of %lld", (long long)d);
      a.rows = rows;
      a.x = a.y = x;
      isc_assert_ok(be.ops->layernorm(be.impl, &a));
      BE_SAME_BITS(x, y, rows * d, "in place, d %lld", (long long)d);
      float *all[] = {x, g, y, rstd, alone};
      for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        be_free(all[i]);
    }
}

/* dL/dx by central differences of L = Σ dy·y in double. */
static double rms_slope(int64_t d, const double *x, const float *g, const float *dy, int64_t at) {
  double y[2][WIDEST], in[WIDEST], s = 0;
  const double h = 1e-5;
  for (int k = 0; k < 2; k++) {
    memcpy(in, x, (size_t)d * sizeof *in);
    in[at] += k ? h : -h;
    exact_rms(d, in, g, 1e-6, y[k]);
  }
  for (int64_t i = 0; i < d; i++)
    s += (double)dy[i] * (y[1][i] - y[0][i]) / (2 * h);
  return s;
}

Test(backend_families, rms_norm_gradients_match_finite_differences) {
  const int64_t sizes[][2] = {{1, 2}, {3, 15}, {70, 17}, {5, 131}, {300, 33}};
  BE_EACH_LEVEL(be, 2)
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (int plain = 0; plain < 2; plain++) {
      const int64_t rows = sizes[k][0], d = sizes[k][1], n = rows * d;
      float *x = be_floats(n, 1), *g = be_floats(d, 2), *y = be_floats(n, 0);
      float *rstd = be_floats(rows, 0), *dy = be_floats(n, 4), *dx = be_floats(n, 5);
      float *dx0 = be_copy(dx, n), *dg = be_floats(d, 6), *dg0 = be_copy(dg, d);
      isc_layernorm a = {.rows = rows,
                         .d = d,
                         .eps = 1e-6,
                         .rms = true,
                         .x = x,
                         .y = y,
                         .g = plain ? NULL : g,
                         .rstd = rstd,
                         .dy = dy,
                         .dx = dx,
                         .dg = plain ? NULL : dg};
      isc_assert_ok(be.ops->layernorm(be.impl, &a));
      isc_assert_ok(be.ops->layernorm_grad(be.impl, &a));
      for (int64_t r = 0; r < rows; r += 1 + rows / 8) {
        double in[WIDEST], terms = 0;
        for (int64_t i = 0; i < d; i++) {
          in[i] = (double)x[r * d + i];
          terms += fabs((double)dy[r * d + i]) * (plain ? 1 : fabs((double)g[i]));
        }
        for (int64_t i = 0; i < d; i++)
          BE_CLOSE((double)dx[r * d + i] - (double)dx0[r * d + i],
                   rms_slope(d, in, a.g, dy + r * d, i), (double)rstd[r] * terms * 4 + 1,
                   "%s dx %lldx%lld", be.level, (long long)rows, (long long)d);
      }
      for (int64_t i = 0; i < d && !plain; i++) {
        double sum = (double)dg0[i], terms = fabs(sum);
        for (int64_t r = 0; r < rows; r++) {
          const double t = (double)dy[r * d + i] * (double)x[r * d + i] * (double)rstd[r];
          sum += t;
          terms += fabs(t);
        }
        BE_CLOSE(dg[i], sum, terms, "%s dg", be.level);
      }
      float *all[] = {x, g, y, rstd, dy, dx, dx0, dg, dg0};
      for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        be_free(all[i]);
    }
}

/* Two heads of each of three rows of a fused [q | k | v]: what a gathered copy gives, and nothing else is touched. */
Test(backend_families, a_norm_of_some_heads_of_a_fused_row_is_that_of_a_copy) {
  enum { ROWS = 3, HEADS = 2, STRIDE = 90 };
  BE_EACH_LEVEL(be, 2)
  for (int rms = 0; rms < 2; rms++) {
    const int64_t d = 19;
    float *fused = be_floats(ROWS * STRIDE, 1), *g = be_floats(d, 2), *b = be_floats(d, 3);
    float *out = be_floats(ROWS * STRIDE, 4), *out0 = be_copy(out, ROWS * STRIDE);
    float *copy = be_floats(ROWS * HEADS * d, 0), *want = be_floats(ROWS * HEADS * d, 0);
    for (int64_t i = 0; i < ROWS * HEADS; i++)
      memcpy(copy + i * d, fused + i / HEADS * STRIDE + i % HEADS * d, (size_t)d * sizeof *copy);
    isc_layernorm a = {.rows = ROWS * HEADS,
                       .d = d,
                       .eps = 1e-5,
                       .x = copy,
                       .g = g,
                       .b = rms ? NULL : b,
                       .y = want,
                       .rms = rms};
    isc_assert_ok(be.ops->layernorm(be.impl, &a));
    a.x = fused;
    a.y = out;
    a.group = HEADS;
    a.stride = STRIDE;
    isc_assert_ok(be.ops->layernorm(be.impl, &a));
    for (int64_t i = 0; i < ROWS; i++) {
      BE_SAME_BITS(out + i * STRIDE, want + i * HEADS * d, HEADS * d, "row %lld", (long long)i);
      BE_SAME_BITS(out + i * STRIDE + HEADS * d, out0 + i * STRIDE + HEADS * d, STRIDE - HEADS * d,
                   "the rest of row %lld", (long long)i);
    }
    float *all[] = {fused, g, b, out, out0, copy, want};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
      be_free(all[i]);
  }
}

/* ---- rotary positions */

enum { PLACES = 11 };

static void angles(int64_t half, float *cosine, float *sine) {
  for (int64_t p = 0; p < PLACES; p++)
    for (int64_t j = 0; j < half; j++) {
      const double t = (double)p * pow(10000, -(double)j / (double)half);
      cosine[p * half + j] = (float)cos(t);
      sine[p * half + j] = (float)sin(t);
    }
}

/* As complex numbers: (x[j] + i x[j + half]) e^{iθ}; the inverse undoes it. */
Test(backend_families, rotary_turns_pairs_of_columns_and_its_inverse_turns_them_back) {
  const int64_t shapes[][4] = {{3, 4, 4, 12}, {1, 2, 2, 2}, {2, 34, 20, 70}, {4, 64, 64, 300},
                               {2, 7, 6, 14}, {0, 8, 4, 5}}; /* heads, d_head, d_rot, width */
  const int32_t pos[] = {0, 10, 3, 3, 7};
  enum { ROWS = 5 };
  BE_EACH_LEVEL(be, 2)
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
    const int64_t *s = shapes[k], half = s[2] / 2, n = ROWS * s[3];
    float *x = be_floats(n, 1), *y = be_floats(n, 0), *back = be_floats(n, 0);
    float *cosine = be_floats(PLACES * half, 0), *sine = be_floats(PLACES * half, 0);
    angles(half, cosine, sine);
    isc_rotary a = {.rows = ROWS,
                    .width = s[3],
                    .heads = s[0],
                    .d_head = s[1],
                    .d_rot = s[2],
                    .x = x,
                    .y = y,
                    .pos = pos,
                    .cos = cosine,
                    .sin = sine};
    isc_assert_ok(be.ops->rotary(be.impl, &a));
    for (int64_t r = 0; r < ROWS; r++)
      for (int64_t i = 0; i < s[3]; i++) {
        const int64_t at = r * s[3] + i, column = i % s[1], j = column % half;
        if (i >= s[0] * s[1] || column >= s[2]) {
          cr_assert(y[at] == x[at], "a column that stays");
          continue;
        }
        const double c = (double)cosine[pos[r] * half + j], t = (double)sine[pos[r] * half + j];
        const double re = (double)x[at - column + j], im = (double)x[at - column + j + half];
        BE_CLOSE(y[at], column < half ? re * c - im * t : im * c + re * t, fabs(re) + fabs(im),
                 "%s shape %zu", be.level, k);
      }
    a.inverse = true;
    a.x = y;
    a.y = back;
    isc_assert_ok(be.ops->rotary(be.impl, &a));
    for (int64_t i = 0; i < n; i++) /* cos² + sin² = 1 to the rounding of the table */
      BE_CLOSE(back[i], (double)x[i], 4, "%s there and back, shape %zu", be.level, k);
    a.inverse = false; /* in place, and the last row alone */
    a.y = back;
    a.x = x + (ROWS - 1) * s[3];
    a.rows = 1;
    a.pos = pos + ROWS - 1;
    isc_assert_ok(be.ops->rotary(be.impl, &a));
    BE_SAME_BITS(back, y + (ROWS - 1) * s[3], s[3], "alone");
    a.x = a.y = x;
    a.rows = ROWS;
    a.pos = pos;
    isc_assert_ok(be.ops->rotary(be.impl, &a));
    BE_SAME_BITS(x, y, n, "in place");
    float *all[] = {x, y, back, cosine, sine};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
      be_free(all[i]);
  }
}

/* ---- gates */

Test(backend_families, a_gate_is_an_activation_times_a_value_and_its_gradient_that_of_the_product) {
  enum { ROWS = 5 };
  BE_EACH_LEVEL(be, 2)
  for (size_t k = 0; k < sizeof widths / sizeof *widths; k++)
    for (int act = ISC_ACT_NONE; act <= ISC_ACT_TANH; act++) {
      const int64_t d = widths[k];
      float *x = be_floats(ROWS * 2 * d, 1), *y = be_floats(ROWS * d, 0),
            *dy = be_floats(ROWS * d, 2);
      float *dx = be_floats(ROWS * 2 * d, 0), *alone = be_floats(d, 0);
      isc_gate a = {.rows = ROWS, .d = d, .act = (isc_act)act, .x = x, .y = y, .dy = dy, .dx = dx};
      isc_assert_ok(be.ops->gate(be.impl, &a));
      isc_assert_ok(be.ops->gate_grad(be.impl, &a));
      for (int64_t i = 0; i < ROWS * d; i++) {
        const int64_t at = i / d * 2 * d + i % d;
        const double g = (double)x[at], up = (double)x[at + d], t = (double)dy[i];
        const double value = isc_reference_act((isc_act)act, g),
                     slope = isc_reference_act_slope((isc_act)act, g);
        BE_CLOSE(y[i], value * up, fabs(g * up), "%s act %d", be.level, act);
        BE_CLOSE(dx[at], t * up * slope, fabs(t * up) * 1.2, "%s act %d, gate", be.level, act);
        BE_CLOSE(dx[at + d], t * value, fabs(t * g), "%s act %d, up", be.level, act);
      }
      a.rows = 1;
      a.x = x + 3 * 2 * d;
      a.y = alone;
      isc_assert_ok(be.ops->gate(be.impl, &a));
      BE_SAME_BITS(alone, y + 3 * d, d, "row 3 alone");
      float *all[] = {x, y, dy, dx, alone};
      for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        be_free(all[i]);
    }
}

/* ---- embedding */

/* A table of numbers that bf16 holds exactly is the same table in either type. */
Test(backend_families, an_embedding_is_scaled_and_may_be_bf16) {
  const int32_t id[] = {4, 0, 4, 9}, pos[] = {0, 1, 2, 0};
  BE_EACH_LEVEL(be, 2)
  for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
    const int64_t d = widths[k];
    float *wte = be_floats(10 * d, 1), *wpe = be_floats(3 * d, 2), *out = be_floats(4 * d, 0);
    float *narrow = be_floats(5 * d, 0), *from = be_floats(4 * d, 0), *dwte = be_floats(10 * d, 3);
    float *dwte0 = be_copy(dwte, 10 * d);
    for (int64_t i = 0; i < 10 * d; i++) {
      uint32_t bits;
      memcpy(&bits, &wte[i], sizeof bits);
      bits &= 0xFFFF0000;
      memcpy(&wte[i], &bits, sizeof bits);
      memcpy((uint16_t *)(void *)narrow + i, &(uint16_t){(uint16_t)(bits >> 16)}, 2);
    }
    isc_embed a = {.rows = 4, .d = d, .id = id, .pos = pos, .wte = wte, .wpe = wpe, .out = out};
    a.vocab = 10;
    a.n_ctx = 3;
    a.scale = 3.5f;
    isc_assert_ok(be.ops->embed(be.impl, &a));
    for (int64_t i = 0; i < 4 * d; i++) {
      const double w = 3.5 * (double)wte[id[i / d] * d + i % d],
                   p = (double)wpe[pos[i / d] * d + i % d];
      BE_CLOSE(out[i], w + p, fabs(w) + fabs(p), "%s d %lld", be.level, (long long)d);
    }
    a.wte = narrow;
    a.wte_dtype = ISC_BF16;
    a.out = from;
    isc_assert_ok(be.ops->embed(be.impl, &a));
    BE_SAME_BITS(out, from, 4 * d, "bf16, d %lld", (long long)d);
    a.dout = out;
    a.dwte = dwte;
    isc_assert_ok(be.ops->embed_grad(be.impl, &a));
    for (int64_t i = 0; i < 10 * d; i++) {
      double sum = (double)dwte0[i], terms = fabs(sum);
      for (int r = 0; r < 4; r++)
        if (id[r] == i / d) {
          sum += 3.5 * (double)out[r * d + i % d];
          terms += 3.5 * fabs((double)out[r * d + i % d]);
        }
      BE_CLOSE(dwte[i], sum, terms, "%s dwte", be.level);
    }
    float *all[] = {wte, wpe, out, narrow, from, dwte, dwte0};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
      be_free(all[i]);
  }
}

Test(backend_families, nothing_to_do_is_done) {
  BE_EACH_LEVEL(be, 1) {
    const isc_rotary r = {.rows = 0, .width = 4, .heads = 1, .d_head = 4, .d_rot = 4},
                     r2 = {.rows = 3, .width = 0};
    const isc_gate g = {.rows = 0, .d = 4}, g2 = {.rows = 4, .d = 0};
    isc_assert_ok(be.ops->rotary(be.impl, &r));
    isc_assert_ok(be.ops->rotary(be.impl, &r2));
    isc_assert_ok(be.ops->gate(be.impl, &g));
    isc_assert_ok(be.ops->gate(be.impl, &g2));
    isc_assert_ok(be.ops->gate_grad(be.impl, &g));
    isc_assert_ok(be.ops->gate_grad(be.impl, &g2));
  }
}
