/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference of attention, loss and control layers.
 *
 * Each forward is the formula of operations.h. Each gradient is the textbook one; the library's tests hold it against
 * finite differences of the forward.
 */
#include "base/base.h"
#include "conform/reference_math.h"
#include <stdlib.h>

/* ---- attention */

/* One query's view: its row, the keys and values of its head, and which of them it sees. */
typedef struct query {
  int64_t q, kv, out, lse; /* offsets in floats */
  int64_t from, end;       /* keys              */
} query;

static query find_query(const isc_attention *a, int64_t n) {
  int64_t b = n / (a->n_head * a->q_len), h = n / a->q_len % a->n_head, t = n % a->q_len;
  int64_t kv_head = h * a->n_kv_head / a->n_head, end = a->past + t + 1;
  return (query){.q = b * a->q_batch + t * a->q_row + h * a->d_head,
                 .kv = b * a->kv_batch + kv_head * a->d_head,
                 .out = b * a->out_batch + t * a->out_row + h * a->d_head,
                 .lse = (b * a->n_head + h) * a->q_len + t,
                 .from = a->window && end > a->window ? end - a->window : 0,
                 .end = end};
}

/* The score of key j, and by how much it grows with scale · q kᵀ. */
static isc_exact score(const isc_attention *a, query q, int64_t j, isc_exact *slope) {
  isc_exact s = isc_exact_scaled(isc_exact_dot(a->q + q.q, a->k + q.kv + j * a->kv_row, a->d_head),
                                 (double)a->scale);
  *slope = isc_exact_of(1);
  if (a->soft_cap <= 0) return s;
  isc_exact t = isc_exact_tanh(isc_exact_scaled(s, 1 / (double)a->soft_cap));
  *slope = isc_exact_minus(*slope, isc_exact_times(t, t));
  return isc_exact_scaled(t, (double)a->soft_cap);
}

static void attend(const isc_attention *a, query q, isc_exact *p /* [end] */, isc_exact *out,
                   isc_exact *lse) {
  double most = -INFINITY;
  isc_exact sum = {0, 0}, slope;
  for (int64_t j = q.from; j < q.end; j++) {
    p[j] = score(a, q, j, &slope);
    most = fmax(most, p[j].value);
  }
  for (int64_t j = q.from; j < q.end; j++) {
    p[j] = isc_exact_exp(isc_exact_minus(p[j], isc_exact_of(most)));
    isc_exact_add(&sum, p[j]);
  }
  for (int64_t e = 0; e < a->d_head; e++) {
    isc_exact mix = {0, 0};
    for (int64_t j = q.from; j < q.end; j++)
      isc_exact_add(
          &mix, isc_exact_by_float(isc_exact_quotient(p[j], sum), a->v[q.kv + j * a->kv_row + e]));
    out[q.out + e] = mix;
  }
  if (!lse) return;
  lse[q.lse] = isc_exact_of(0);
  isc_exact_add(&lse[q.lse], isc_exact_of(most));
  isc_exact_add(&lse[q.lse], isc_exact_log(sum));
}

isc_status isc_reference_attention(const isc_attention *a, isc_exact *out, isc_exact *lse) {
  void *p;
  ISC_TRY(isc_calloc((size_t)(a->past + a->q_len + 1), sizeof(isc_exact), "attention weights", &p));
  for (int64_t i = 0; i < a->batch * a->n_head * a->q_len; i++)
    attend(a, find_query(a, i), p, out, lse);
  free(p);
  return ISC_OK;
}

/* ds = p (dp − Σ p dp) times the cap's slope, dp = ⟨dout, v⟩. */
static void attend_back(const isc_attention *a, query q, isc_exact *dq, isc_exact *dk,
                        isc_exact *dv) {
  const float *dout = a->dout + q.out;
  isc_exact mean = isc_exact_dot(dout, a->out + q.out, a->d_head);
  for (int64_t j = q.from; j < q.end; j++) {
    int64_t at = q.kv + j * a->kv_row;
    isc_exact slope, s = score(a, q, j, &slope);
    isc_exact p = isc_exact_exp(isc_exact_minus(s, isc_exact_of((double)a->lse[q.lse])));
    isc_exact dp = isc_exact_dot(dout, a->v + at, a->d_head);
    isc_exact ds = isc_exact_times(p, isc_exact_minus(dp, mean));
    ds = isc_exact_scaled(isc_exact_times(ds, slope), (double)a->scale);
    for (int64_t e = 0; e < a->d_head; e++) {
      isc_exact_add(&dq[q.q + e], isc_exact_by_float(ds, a->k[at + e]));
      isc_exact_add(&dk[at + e], isc_exact_by_float(ds, a->q[q.q + e]));
      isc_exact_add(&dv[at + e], isc_exact_by_float(p, dout[e]));
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
    p[k] = isc_exact_dot(h, a->w + k * a->d, a->d);
    most = fmax(most, p[k].value);
  }
  isc_exact_add(&logp[r], isc_exact_minus(p[target], isc_exact_of(most)));
  for (int64_t k = 0; k < a->vocab; k++) {
    p[k] = isc_exact_exp(isc_exact_minus(p[k], isc_exact_of(most)));
    isc_exact_add(&sum, p[k]);
  }
  isc_exact_add(&logp[r], isc_exact_scaled(isc_exact_log(sum), -1));
  for (int64_t k = 0; (dh || dw) && k < a->vocab; k++) {
    isc_exact g = isc_exact_scaled(
        isc_exact_minus(isc_exact_quotient(p[k], sum), isc_exact_of(k == target)), weight);
    for (int64_t j = 0; j < a->d; j++) {
      if (dh) isc_exact_add(&dh[r * a->d + j], isc_exact_by_float(g, a->w[k * a->d + j]));
      if (dw) isc_exact_add(&dw[k * a->d + j], isc_exact_by_float(g, h[j]));
    }
  }
}

isc_status isc_reference_xent(const isc_xent *a, isc_exact *logp, isc_exact *dh, isc_exact *dw) {
  void *p;
  ISC_TRY(isc_calloc((size_t)(a->vocab + 1), sizeof(isc_exact), "a distribution", &p));
  isc_exact_begin(dw, a->dw, a->vocab * a->d);
  for (int64_t r = 0; r < a->rows; r++)
    xent_row(a, r, p, logp, dh, dw);
  free(p);
  return ISC_OK;
}

/* ---- control layers */

void isc_reference_control(const isc_control *a, isc_exact *out, isc_exact *omega) {
  for (int64_t i = 0; i < a->batch * a->len; i++) {
    int64_t b = i / a->len;
    isc_exact *w = omega + i * a->heads;
    for (int64_t m = 0; m < a->heads; m++) {
      isc_exact s = isc_exact_dot(a->hn + i * a->d, a->u + (b * a->heads + m) * a->d, a->d);
      isc_exact_add(&s, isc_exact_of((double)a->c[b * a->heads + m]));
      w[m] = isc_exact_tanh(isc_exact_scaled(s, (double)a->scale));
    }
    for (int64_t j = 0; j < a->d; j++) {
      isc_exact sum = {(double)a->x[i * a->d + j], fabs((double)a->x[i * a->d + j])};
      for (int64_t m = 0; m < a->heads; m++)
        isc_exact_add(&sum, isc_exact_by_float(w[m], a->v[(b * a->heads + m) * a->d + j]));
      out[i * a->d + j] = sum;
    }
  }
}

void isc_reference_control_grad(const isc_control *a, isc_exact *dhn, isc_exact *du, isc_exact *dv,
                                isc_exact *dc) {
  isc_exact_begin(dhn, a->dhn, a->batch * a->len * a->d);
  for (int64_t i = 0; i < a->batch * a->heads; i++) {
    dc[i] = isc_exact_of(0);
    for (int64_t j = 0; j < a->d; j++)
      du[i * a->d + j] = dv[i * a->d + j] = isc_exact_of(0);
  }
  for (int64_t n = 0; n < a->batch * a->len * a->heads; n++) {
    int64_t i = n / a->heads, at = i / a->len * a->heads + n % a->heads;
    isc_exact w = isc_exact_of((double)a->omega[n]);
    isc_exact slope = isc_exact_minus(isc_exact_of(1), isc_exact_times(w, w));
    isc_exact dw = isc_exact_dot(a->dout + i * a->d, a->v + at * a->d, a->d);
    isc_exact ds = isc_exact_scaled(isc_exact_times(slope, dw), (double)a->scale);
    isc_exact_add(&dc[at], ds);
    for (int64_t j = 0; j < a->d; j++) {
      isc_exact_add(&du[at * a->d + j], isc_exact_by_float(ds, a->hn[i * a->d + j]));
      isc_exact_add(&dv[at * a->d + j], isc_exact_by_float(w, a->dout[i * a->d + j]));
      if (dhn) isc_exact_add(&dhn[i * a->d + j], isc_exact_by_float(ds, a->u[at * a->d + j]));
    }
  }
}
