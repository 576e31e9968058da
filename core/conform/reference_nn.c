/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference of normalisation, embedding, attention, loss and control layers.
 *
 * Each forward is the formula of backend.h. Each gradient is the textbook one; the library's tests hold it against
 * finite differences of the forward.
 */
#include "base/base.h"
#include "conform/reference.h"
#include <stdlib.h>

static isc_exact times_float(isc_exact a, float b) {
  return isc_exact_times(a, isc_exact_of((double)b));
}

static isc_exact scaled(isc_exact a, double by) {
  return (isc_exact){a.value * by, a.slack * fabs(by)};
}

static isc_exact minus(isc_exact a, isc_exact b) {
  isc_exact sum = {0, 0};
  isc_exact_add(&sum, a);
  isc_exact_add(&sum, scaled(b, -1));
  return sum;
}

static isc_exact dot(const float *x, const float *y, int64_t n) {
  isc_exact sum = {0, 0};
  for (int64_t i = 0; i < n; i++)
    isc_exact_add(&sum, isc_exact_of((double)x[i] * (double)y[i]));
  return sum;
}

/* e^x: what x is off by is a relative error of the result. */
static isc_exact exponential(isc_exact x) {
  double e = exp(x.value);
  return (isc_exact){e, e * (1 + fabs(x.value) + x.slack)};
}

static isc_exact logarithm(isc_exact x) {
  return (isc_exact){log(x.value), fabs(log(x.value)) + x.slack / x.value};
}

static isc_exact quotient(isc_exact a, isc_exact b) {
  double q = a.value / b.value;
  return (isc_exact){q, (a.slack + fabs(q) * b.slack) / fabs(b.value)};
}

/* ---- normalisation */

static void row_moments(const float *x, int64_t d, double eps, isc_exact *mean, isc_exact *rstd) {
  isc_exact sum = {0, 0}, squares = {0, 0};
  for (int64_t j = 0; j < d; j++)
    isc_exact_add(&sum, isc_exact_of((double)x[j]));
  *mean = scaled(sum, 1 / (double)d);
  for (int64_t j = 0; j < d; j++) {
    isc_exact centred = minus(isc_exact_of((double)x[j]), *mean);
    isc_exact_add(&squares, isc_exact_times(centred, centred));
  }
  double r = 1 / sqrt(squares.value / (double)d + eps);
  *rstd = (isc_exact){r, r + 0.5 * r * r * r * squares.slack / (double)d};
}

void isc_reference_layernorm(const isc_layernorm *a, isc_exact *y, isc_exact *mean,
                             isc_exact *rstd) {
  for (int64_t r = 0; a->d && r < a->rows; r++) {
    const float *x = a->x + r * a->d;
    isc_exact m, s;
    row_moments(x, a->d, a->eps, &m, &s);
    for (int64_t j = 0; j < a->d; j++) {
      isc_exact normal = isc_exact_times(minus(isc_exact_of((double)x[j]), m), s), sum = {0, 0};
      isc_exact_add(&sum, a->g ? times_float(normal, a->g[j]) : normal);
      if (a->b) isc_exact_add(&sum, isc_exact_of((double)a->b[j]));
      y[r * a->d + j] = sum;
    }
    if (mean) mean[r] = m;
    if (rstd) rstd[r] = s;
  }
}

/* x̂ = (x − mean) rstd; dx = rstd (t − mean(t) − x̂ mean(t x̂)), t = dy g. */
static void layernorm_row_grad(const isc_layernorm *a, int64_t r, isc_exact *dx, isc_exact *dg,
                               isc_exact *db) {
  const float *x = a->x + r * a->d, *dy = a->dy + r * a->d;
  isc_exact mean = isc_exact_of((double)a->mean[r]), rstd = isc_exact_of((double)a->rstd[r]);
  isc_exact s = {0, 0}, sx = {0, 0};
  for (int64_t j = 0; j < a->d; j++) {
    isc_exact t = isc_exact_of((double)dy[j] * (a->g ? (double)a->g[j] : 1));
    isc_exact normal = isc_exact_times(minus(isc_exact_of((double)x[j]), mean), rstd);
    isc_exact_add(&s, t);
    isc_exact_add(&sx, isc_exact_times(t, normal));
    if (dg) isc_exact_add(&dg[j], times_float(normal, dy[j]));
    if (db) isc_exact_add(&db[j], isc_exact_of((double)dy[j]));
  }
  for (int64_t j = 0; dx && j < a->d; j++) {
    isc_exact t = isc_exact_of((double)dy[j] * (a->g ? (double)a->g[j] : 1));
    isc_exact normal = isc_exact_times(minus(isc_exact_of((double)x[j]), mean), rstd);
    isc_exact inner = minus(minus(t, scaled(s, 1 / (double)a->d)),
                            isc_exact_times(normal, scaled(sx, 1 / (double)a->d)));
    isc_exact_add(&dx[r * a->d + j], isc_exact_times(rstd, inner));
  }
}

static void begin_sum(isc_exact *sum, const float *before, int64_t n) {
  for (int64_t i = 0; sum && i < n; i++)
    sum[i] = (isc_exact){(double)before[i], fabs((double)before[i])};
}

void isc_reference_layernorm_grad(const isc_layernorm *a, isc_exact *dx, isc_exact *dg,
                                  isc_exact *db) {
  begin_sum(dx, a->dx, a->rows * a->d);
  begin_sum(dg, a->dg, a->d);
  begin_sum(db, a->db, a->d);
  for (int64_t r = 0; a->d && r < a->rows; r++)
    layernorm_row_grad(a, r, dx, dg, db);
}

/* ---- embedding */

void isc_reference_embed(const isc_embed *a, isc_exact *out) {
  for (int64_t i = 0; i < a->rows * a->d; i++) {
    int64_t r = i / a->d, j = i % a->d;
    isc_exact sum = {0, 0};
    isc_exact_add(&sum, isc_exact_of((double)a->wte[a->id[r] * a->d + j]));
    if (a->pos) isc_exact_add(&sum, isc_exact_of((double)a->wpe[a->pos[r] * a->d + j]));
    out[i] = sum;
  }
}

void isc_reference_embed_grad(const isc_embed *a, isc_exact *dwte, isc_exact *dwpe) {
  isc_exact *sum[2] = {dwte, a->pos ? dwpe : NULL};
  const float *before[2] = {a->dwte, a->dwpe};
  const int32_t *row[2] = {a->id, a->pos};
  for (int k = 0; k < 2; k++) {
    for (int64_t r = 0; sum[k] && r < a->rows; r++)
      begin_sum(sum[k] + row[k][r] * a->d, before[k] + row[k][r] * a->d, a->d);
    for (int64_t i = 0; sum[k] && i < a->rows * a->d; i++)
      isc_exact_add(&sum[k][row[k][i / a->d] * a->d + i % a->d], isc_exact_of((double)a->dout[i]));
  }
}

/* ---- attention */

/* One query's view: its row, the keys and values of its head, how many it sees. */
typedef struct query {
  int64_t q, kv, out, seen, lse; /* offsets in floats */
} query;

static query find_query(const isc_attention *a, int64_t n) {
  int64_t b = n / (a->n_head * a->q_len), h = n / a->q_len % a->n_head, t = n % a->q_len;
  int64_t kv_head = h * a->n_kv_head / a->n_head;
  return (query){.q = b * a->q_batch + t * a->q_row + h * a->d_head,
                 .kv = b * a->kv_batch + kv_head * a->d_head,
                 .out = b * a->out_batch + t * a->out_row + h * a->d_head,
                 .seen = a->past + t + 1,
                 .lse = (b * a->n_head + h) * a->q_len + t};
}

static isc_exact score(const isc_attention *a, query q, int64_t j) {
  return scaled(dot(a->q + q.q, a->k + q.kv + j * a->kv_row, a->d_head), (double)a->scale);
}

static void attend(const isc_attention *a, query q, isc_exact *p /* [seen] */, isc_exact *out,
                   isc_exact *lse) {
  double most = -INFINITY;
  isc_exact sum = {0, 0};
  for (int64_t j = 0; j < q.seen; j++) {
    p[j] = score(a, q, j);
    most = fmax(most, p[j].value);
  }
  for (int64_t j = 0; j < q.seen; j++) {
    p[j] = exponential(minus(p[j], isc_exact_of(most)));
    isc_exact_add(&sum, p[j]);
  }
  for (int64_t e = 0; e < a->d_head; e++) {
    isc_exact mix = {0, 0};
    for (int64_t j = 0; j < q.seen; j++)
      isc_exact_add(&mix, times_float(quotient(p[j], sum), a->v[q.kv + j * a->kv_row + e]));
    out[q.out + e] = mix;
  }
  if (!lse) return;
  lse[q.lse] = isc_exact_of(0);
  isc_exact_add(&lse[q.lse], isc_exact_of(most));
  isc_exact_add(&lse[q.lse], logarithm(sum));
}

isc_status isc_reference_attention(const isc_attention *a, isc_exact *out, isc_exact *lse) {
  void *p;
  ISC_TRY(isc_calloc((size_t)(a->past + a->q_len + 1), sizeof(isc_exact), "attention weights", &p));
  for (int64_t i = 0; i < a->batch * a->n_head * a->q_len; i++)
    attend(a, find_query(a, i), p, out, lse);
  free(p);
  return ISC_OK;
}

/* ds = p (dp − Σ p dp), dp = ⟨dout, v⟩. */
static void attend_back(const isc_attention *a, query q, isc_exact *dq, isc_exact *dk,
                        isc_exact *dv) {
  const float *dout = a->dout + q.out;
  isc_exact mean = dot(dout, a->out + q.out, a->d_head);
  for (int64_t j = 0; j < q.seen; j++) {
    int64_t at = q.kv + j * a->kv_row;
    isc_exact p = exponential(minus(score(a, q, j), isc_exact_of((double)a->lse[q.lse])));
    isc_exact dp = dot(dout, a->v + at, a->d_head);
    isc_exact ds = scaled(isc_exact_times(p, minus(dp, mean)), (double)a->scale);
    for (int64_t e = 0; e < a->d_head; e++) {
      isc_exact_add(&dq[q.q + e], times_float(ds, a->k[at + e]));
      isc_exact_add(&dk[at + e], times_float(ds, a->q[q.q + e]));
      isc_exact_add(&dv[at + e], times_float(p, dout[e]));
    }
  }
}

void isc_reference_attention_grad(const isc_attention *a, isc_exact *dq, isc_exact *dk,
                                  isc_exact *dv) {
  for (int64_t i = 0; i < a->batch * a->q_len; i++) {
    int64_t b = i / a->q_len, t = i % a->q_len;
    for (int64_t e = 0; e < a->n_head * a->d_head; e++)
      dq[b * a->q_batch + t * a->q_row + e] = isc_exact_of(0);
    for (int64_t e = 0; e < a->n_kv_head * a->d_head; e++)
      dk[b * a->kv_batch + t * a->kv_row + e] = dv[b * a->kv_batch + t * a->kv_row + e] =
          isc_exact_of(0);
  }
  for (int64_t i = 0; i < a->batch * a->n_head * a->q_len; i++)
    attend_back(a, find_query(a, i), dq, dk, dv);
}

/* ---- loss over a vocabulary */

static void xent_row(const isc_xent *a, int64_t r, isc_exact *p /* [vocab] */, isc_exact *logp,
                     isc_exact *dh, isc_exact *dw) {
  const float *h = a->h + r * a->d;
  int32_t target = a->target[r];
  double most = -INFINITY, weight = a->weight ? (double)a->weight[r] : 1;
  isc_exact sum = {0, 0};
  logp[r] = isc_exact_of(0);
  for (int64_t j = 0; dh && j < a->d; j++)
    dh[r * a->d + j] = isc_exact_of(0);
  if (target < 0) return;
  for (int64_t k = 0; k < a->vocab; k++) {
    p[k] = dot(h, a->w + k * a->d, a->d);
    most = fmax(most, p[k].value);
  }
  isc_exact_add(&logp[r], minus(p[target], isc_exact_of(most)));
  for (int64_t k = 0; k < a->vocab; k++) {
    p[k] = exponential(minus(p[k], isc_exact_of(most)));
    isc_exact_add(&sum, p[k]);
  }
  isc_exact_add(&logp[r], scaled(logarithm(sum), -1));
  for (int64_t k = 0; (dh || dw) && k < a->vocab; k++) {
    isc_exact g = scaled(minus(quotient(p[k], sum), isc_exact_of(k == target)), weight);
    for (int64_t j = 0; j < a->d; j++) {
      if (dh) isc_exact_add(&dh[r * a->d + j], times_float(g, a->w[k * a->d + j]));
      if (dw) isc_exact_add(&dw[k * a->d + j], times_float(g, h[j]));
    }
  }
}

isc_status isc_reference_xent(const isc_xent *a, isc_exact *logp, isc_exact *dh, isc_exact *dw) {
  void *p;
  ISC_TRY(isc_calloc((size_t)(a->vocab + 1), sizeof(isc_exact), "a distribution", &p));
  begin_sum(dw, a->dw, a->vocab * a->d);
  for (int64_t r = 0; r < a->rows; r++)
    xent_row(a, r, p, logp, dh, dw);
  free(p);
  return ISC_OK;
}

/* ---- control layers */

static isc_exact squash(isc_exact s) {
  double w = tanh(s.value);
  return (isc_exact){w, fabs(w) + (1 - w * w) * s.slack};
}

void isc_reference_control(const isc_control *a, isc_exact *out, isc_exact *omega) {
  for (int64_t i = 0; i < a->batch * a->len; i++) {
    int64_t b = i / a->len;
    isc_exact *w = omega + i * a->heads;
    for (int64_t m = 0; m < a->heads; m++) {
      isc_exact s = dot(a->hn + i * a->d, a->u + (b * a->heads + m) * a->d, a->d);
      isc_exact_add(&s, isc_exact_of((double)a->c[b * a->heads + m]));
      w[m] = squash(scaled(s, (double)a->scale));
    }
    for (int64_t j = 0; j < a->d; j++) {
      isc_exact sum = {(double)a->x[i * a->d + j], fabs((double)a->x[i * a->d + j])};
      for (int64_t m = 0; m < a->heads; m++)
        isc_exact_add(&sum, times_float(w[m], a->v[(b * a->heads + m) * a->d + j]));
      out[i * a->d + j] = sum;
    }
  }
}

void isc_reference_control_grad(const isc_control *a, isc_exact *dhn, isc_exact *du, isc_exact *dv,
                                isc_exact *dc) {
  begin_sum(dhn, a->dhn, a->batch * a->len * a->d);
  for (int64_t i = 0; i < a->batch * a->heads; i++) {
    dc[i] = isc_exact_of(0);
    for (int64_t j = 0; j < a->d; j++)
      du[i * a->d + j] = dv[i * a->d + j] = isc_exact_of(0);
  }
  for (int64_t n = 0; n < a->batch * a->len * a->heads; n++) {
    int64_t i = n / a->heads, at = i / a->len * a->heads + n % a->heads;
    isc_exact w = isc_exact_of((double)a->omega[n]);
    isc_exact slope = minus(isc_exact_of(1), isc_exact_times(w, w));
    isc_exact dw = dot(a->dout + i * a->d, a->v + at * a->d, a->d);
    isc_exact ds = scaled(isc_exact_times(slope, dw), (double)a->scale);
    isc_exact_add(&dc[at], ds);
    for (int64_t j = 0; j < a->d; j++) {
      isc_exact_add(&du[at * a->d + j], times_float(ds, a->hn[i * a->d + j]));
      isc_exact_add(&dv[at * a->d + j], times_float(w, a->dout[i * a->d + j]));
      if (dhn) isc_exact_add(&dhn[i * a->d + j], times_float(ds, a->u[at * a->d + j]));
    }
  }
}
