/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference of what is done to each row: normalisation, embedding, rotary positions and gates.
 *
 * Each forward is the formula of operations.h. Each gradient is the textbook one; the library's tests hold it against
 * finite differences of the forward.
 */
#include "conform/reference_math.h"

/* ---- normalisation */

/* Where row r of x and of y begins. */
static int64_t row_at(const isc_layernorm *a, int64_t r) {
  return a->group ? r / a->group * a->stride + r % a->group * a->d : r * a->d;
}

/* The mean of an RMS norm is 0. */
static void row_moments(const isc_layernorm *a, const float *x, isc_exact *mean, isc_exact *rstd) {
  isc_exact sum = {0, 0}, squares = {0, 0};
  int64_t d = a->d;
  for (int64_t j = 0; !a->rms && j < d; j++)
    isc_exact_add(&sum, isc_exact_of((double)x[j]));
  *mean = isc_exact_scaled(sum, 1 / (double)d);
  for (int64_t j = 0; j < d; j++) {
    isc_exact centred = isc_exact_minus(isc_exact_of((double)x[j]), *mean);
    isc_exact_add(&squares, isc_exact_times(centred, centred));
  }
  double r = 1 / sqrt(squares.value / (double)d + a->eps);
  *rstd = (isc_exact){r, r + 0.5 * r * r * r * squares.slack / (double)d};
}

void isc_reference_layernorm(const isc_layernorm *a, isc_exact *y, isc_exact *mean,
                             isc_exact *rstd) {
  for (int64_t r = 0; a->d && r < a->rows; r++) {
    const float *x = a->x + row_at(a, r);
    isc_exact m, s;
    row_moments(a, x, &m, &s);
    for (int64_t j = 0; j < a->d; j++) {
      isc_exact normal = isc_exact_times(isc_exact_minus(isc_exact_of((double)x[j]), m), s),
                sum = {0, 0};
      isc_exact_add(&sum, a->g ? isc_exact_by_float(normal, a->g[j]) : normal);
      if (a->b) isc_exact_add(&sum, isc_exact_of((double)a->b[j]));
      y[row_at(a, r) + j] = sum;
    }
    if (mean) mean[r] = m;
    if (rstd) rstd[r] = s;
  }
}

/* x̂ = (x − mean) rstd; dx = rstd (t − mean(t) − x̂ mean(t x̂)), t = dy g; an RMS norm has neither mean. */
static void layernorm_row_grad(const isc_layernorm *a, int64_t r, isc_exact *dx, isc_exact *dg,
                               isc_exact *db) {
  const float *x = a->x + r * a->d, *dy = a->dy + r * a->d;
  isc_exact mean = isc_exact_of(a->rms ? 0 : (double)a->mean[r]);
  isc_exact rstd = isc_exact_of((double)a->rstd[r]);
  isc_exact s = {0, 0}, sx = {0, 0};
  for (int64_t j = 0; j < a->d; j++) {
    isc_exact t = isc_exact_of((double)dy[j] * (a->g ? (double)a->g[j] : 1));
    isc_exact normal = isc_exact_times(isc_exact_minus(isc_exact_of((double)x[j]), mean), rstd);
    if (!a->rms) isc_exact_add(&s, t);
    isc_exact_add(&sx, isc_exact_times(t, normal));
    if (dg) isc_exact_add(&dg[j], isc_exact_by_float(normal, dy[j]));
    if (db) isc_exact_add(&db[j], isc_exact_of((double)dy[j]));
  }
  for (int64_t j = 0; dx && j < a->d; j++) {
    isc_exact t = isc_exact_of((double)dy[j] * (a->g ? (double)a->g[j] : 1));
    isc_exact normal = isc_exact_times(isc_exact_minus(isc_exact_of((double)x[j]), mean), rstd);
    isc_exact inner =
        isc_exact_minus(isc_exact_minus(t, isc_exact_scaled(s, 1 / (double)a->d)),
                        isc_exact_times(normal, isc_exact_scaled(sx, 1 / (double)a->d)));
    isc_exact_add(&dx[r * a->d + j], isc_exact_times(rstd, inner));
  }
}

void isc_reference_layernorm_grad(const isc_layernorm *a, isc_exact *dx, isc_exact *dg,
                                  isc_exact *db) {
  isc_exact_begin(dx, a->dx, a->rows * a->d);
  isc_exact_begin(dg, a->dg, a->d);
  isc_exact_begin(db, a->db, a->d);
  for (int64_t r = 0; a->d && r < a->rows; r++)
    layernorm_row_grad(a, r, dx, dg, db);
}

/* ---- embedding */

static double embed_scale(const isc_embed *a) {
  return a->scale != 0 ? (double)a->scale : 1;
}

void isc_reference_embed(const isc_embed *a, isc_exact *out) {
  for (int64_t i = 0; i < a->rows * a->d; i++) {
    int64_t r = i / a->d, j = i % a->d;
    double w = isc_reference_element(a->wte, a->wte_dtype, a->id[r] * a->d + j);
    isc_exact sum = {0, 0};
    isc_exact_add(&sum, isc_exact_of(embed_scale(a) * w));
    if (a->pos) isc_exact_add(&sum, isc_exact_of((double)a->wpe[a->pos[r] * a->d + j]));
    out[i] = sum;
  }
}

void isc_reference_embed_grad(const isc_embed *a, isc_exact *dwte, isc_exact *dwpe) {
  isc_exact *sum[2] = {dwte, a->pos ? dwpe : NULL};
  const float *before[2] = {a->dwte, a->dwpe};
  const int32_t *row[2] = {a->id, a->pos};
  const double scale[2] = {embed_scale(a), 1};
  for (int k = 0; k < 2; k++) {
    for (int64_t r = 0; sum[k] && r < a->rows; r++)
      isc_exact_begin(sum[k] + row[k][r] * a->d, before[k] + row[k][r] * a->d, a->d);
    for (int64_t i = 0; sum[k] && i < a->rows * a->d; i++)
      isc_exact_add(&sum[k][row[k][i / a->d] * a->d + i % a->d],
                    isc_exact_of(scale[k] * (double)a->dout[i]));
  }
}

/* ---- rotary positions */

static void turn_pair(const isc_rotary *a, int64_t r, int64_t at, int64_t j, isc_exact *y) {
  int64_t half = a->d_rot / 2, entry = a->pos[r] * half + j;
  double c = (double)a->cos[entry], s = (double)a->sin[entry] * (a->inverse ? -1 : 1);
  double first = (double)a->x[at], second = (double)a->x[at + half];
  y[at] = y[at + half] = (isc_exact){0, 0};
  isc_exact_add(&y[at], isc_exact_of(first * c));
  isc_exact_add(&y[at], isc_exact_of(-second * s));
  isc_exact_add(&y[at + half], isc_exact_of(second * c));
  isc_exact_add(&y[at + half], isc_exact_of(first * s));
}

void isc_reference_rotary(const isc_rotary *a, isc_exact *y) {
  for (int64_t i = 0; i < a->rows * a->width; i++)
    y[i] = isc_exact_of((double)a->x[i]);
  for (int64_t r = 0; r < a->rows; r++)
    for (int64_t h = 0; h < a->heads; h++)
      for (int64_t j = 0; j < a->d_rot / 2; j++)
        turn_pair(a, r, r * a->width + h * a->d_head + j, j, y);
}

/* ---- gates */

void isc_reference_gate(const isc_gate *a, isc_exact *y) {
  for (int64_t i = 0; i < a->rows * a->d; i++) {
    const float *x = a->x + i / a->d * 2 * a->d + i % a->d;
    y[i] = isc_exact_by_float(isc_exact_act(a->act, isc_exact_of((double)x[0])), x[a->d]);
  }
}

void isc_reference_gate_grad(const isc_gate *a, isc_exact *dx) {
  for (int64_t i = 0; i < a->rows * a->d; i++) {
    int64_t at = i / a->d * 2 * a->d + i % a->d;
    double gate = (double)a->x[at], slope = isc_reference_act_slope(a->act, gate);
    double up = (double)a->dy[i] * (double)a->x[at + a->d];
    dx[at] = (isc_exact){up * slope, fabs(up) * (1 + fabs(slope))};
    dx[at + a->d] = isc_exact_by_float(isc_exact_act(a->act, isc_exact_of(gate)), a->dy[i]);
  }
}
