/* SPDX-License-Identifier: Apache-2.0
 *
 * The plain test backend: normalisation, embedding, attention, loss and control layers.
 *
 * Each forward is the formula of backend.h in double. Each gradient is the textbook one; the tests hold it
 * against finite differences of the forward.
 */
#include "support_backend.h"
#include <math.h>
#include <stdlib.h>

static void row_moments(const float *x, int64_t d, double eps, double *mean, double *rstd) {
  double sum = 0, sq = 0;
  for (int64_t j = 0; j < d; j++)
    sum += x[j];
  *mean = sum / (double)d;
  for (int64_t j = 0; j < d; j++)
    sq += (x[j] - *mean) * (x[j] - *mean);
  *rstd = 1 / sqrt(sq / (double)d + eps);
}

isc_status isc_test_layernorm(void *impl, const isc_layernorm *a) {
  (void)impl;
  for (int64_t r = 0; r < a->rows; r++) {
    double mean, rstd;
    row_moments(a->x + r * a->d, a->d, a->eps, &mean, &rstd);
    for (int64_t j = 0; j < a->d; j++)
      a->y[r * a->d + j] =
          (float)((a->x[r * a->d + j] - mean) * rstd * (a->g ? a->g[j] : 1) + (a->b ? a->b[j] : 0));
    if (a->mean) a->mean[r] = (float)mean;
    if (a->rstd) a->rstd[r] = (float)rstd;
  }
  return ISC_OK;
}

/* x̂ = (x − mean) rstd; dx = rstd (t − mean(t) − x̂ mean(t x̂)), t = dy g. */
isc_status isc_test_layernorm_grad(void *impl, const isc_layernorm *a) {
  (void)impl;
  for (int64_t r = 0; r < a->rows; r++) {
    const float *x = a->x + r * a->d, *dy = a->dy + r * a->d;
    double mean = a->mean[r], rstd = a->rstd[r], s = 0, sx = 0;
    for (int64_t j = 0; j < a->d; j++) {
      double t = dy[j] * (a->g ? a->g[j] : 1.0), xh = (x[j] - mean) * rstd;
      s += t;
      sx += t * xh;
      if (a->dg) a->dg[j] += (float)(dy[j] * xh);
      if (a->db) a->db[j] += dy[j];
    }
    for (int64_t j = 0; a->dx && j < a->d; j++) {
      double t = dy[j] * (a->g ? a->g[j] : 1.0), xh = (x[j] - mean) * rstd;
      a->dx[r * a->d + j] += (float)(rstd * (t - s / (double)a->d - xh * sx / (double)a->d));
    }
  }
  return ISC_OK;
}

isc_status isc_test_embed(void *impl, const isc_embed *a) {
  (void)impl;
  for (int64_t i = 0; i < a->rows * a->d; i++) {
    int64_t r = i / a->d, j = i % a->d;
    a->out[i] = a->wte[a->id[r] * a->d + j] + (a->pos ? a->wpe[a->pos[r] * a->d + j] : 0);
  }
  return ISC_OK;
}

isc_status isc_test_embed_grad(void *impl, const isc_embed *a) {
  (void)impl;
  for (int64_t i = 0; i < a->rows * a->d; i++) {
    int64_t r = i / a->d, j = i % a->d;
    if (a->dwte) a->dwte[a->id[r] * a->d + j] += a->dout[i];
    if (a->dwpe && a->pos) a->dwpe[a->pos[r] * a->d + j] += a->dout[i];
  }
  return ISC_OK;
}

/* One query's view: its row, the keys and values of its head, how many it sees. */
typedef struct query {
  int64_t q, kv, out, seen, lse; /* offsets in floats */
} query;

static query find_query(const isc_attention *a, int64_t b, int64_t h, int64_t t) {
  int64_t kv_head = h * a->n_kv_head / a->n_head;
  return (query){.q = b * a->q_batch + t * a->q_row + h * a->d_head,
                 .kv = b * a->kv_batch + kv_head * a->d_head,
                 .out = b * a->out_batch + t * a->out_row + h * a->d_head,
                 .seen = a->past + t + 1,
                 .lse = (b * a->n_head + h) * a->q_len + t};
}

static double dot(const float *x, const float *y, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    sum += (double)x[i] * y[i];
  return sum;
}

static void attend(const isc_attention *a, query q, double *p /* [seen] */) {
  double most = -INFINITY, sum = 0;
  for (int64_t j = 0; j < q.seen; j++) {
    p[j] = a->scale * dot(a->q + q.q, a->k + q.kv + j * a->kv_row, a->d_head);
    most = fmax(most, p[j]);
  }
  for (int64_t j = 0; j < q.seen; j++)
    sum += p[j] = exp(p[j] - most);
  for (int64_t j = 0; j < q.seen; j++)
    p[j] /= sum;
  for (int64_t e = 0; e < a->d_head; e++) {
    double out = 0;
    for (int64_t j = 0; j < q.seen; j++)
      out += p[j] * a->v[q.kv + j * a->kv_row + e];
    a->out[q.out + e] = (float)out;
  }
  if (a->lse) a->lse[q.lse] = (float)(most + log(sum));
}

isc_status isc_test_attention(void *impl, const isc_attention *a) {
  (void)impl;
  double *p = malloc((size_t)(a->past + a->q_len + 1) * sizeof *p);
  for (int64_t i = 0; i < a->batch * a->n_head * a->q_len; i++)
    attend(a, find_query(a, i / (a->n_head * a->q_len), i / a->q_len % a->n_head, i % a->q_len), p);
  free(p);
  return ISC_OK;
}

/* ds = p (dp − Σ p dp), dp = ⟨dout, v⟩. */
static void attend_back(const isc_attention *a, query q) {
  const float *dout = a->dout + q.out;
  double mean = dot(dout, a->out + q.out, a->d_head);
  for (int64_t j = 0; j < q.seen; j++) {
    int64_t at = q.kv + j * a->kv_row;
    double p = exp(a->scale * dot(a->q + q.q, a->k + at, a->d_head) - a->lse[q.lse]);
    double ds = p * (dot(dout, a->v + at, a->d_head) - mean) * a->scale;
    for (int64_t e = 0; e < a->d_head; e++) {
      a->dq[q.q + e] += (float)(ds * a->k[at + e]);
      a->dk[at + e] += (float)(ds * a->q[q.q + e]);
      a->dv[at + e] += (float)(p * dout[e]);
    }
  }
}

isc_status isc_test_attention_grad(void *impl, const isc_attention *a) {
  (void)impl;
  for (int64_t b = 0; b < a->batch; b++)
    for (int64_t t = 0; t < a->q_len; t++) {
      for (int64_t e = 0; e < a->n_head * a->d_head; e++)
        a->dq[b * a->q_batch + t * a->q_row + e] = 0;
      for (int64_t e = 0; e < a->n_kv_head * a->d_head; e++)
        a->dk[b * a->kv_batch + t * a->kv_row + e] = a->dv[b * a->kv_batch + t * a->kv_row + e] = 0;
    }
  for (int64_t i = 0; i < a->batch * a->n_head * a->q_len; i++)
    attend_back(a,
                find_query(a, i / (a->n_head * a->q_len), i / a->q_len % a->n_head, i % a->q_len));
  return ISC_OK;
}

static void xent_row(const isc_xent *a, int64_t r, double *p /* [vocab] */) {
  const float *h = a->h + r * a->d;
  int32_t target = a->target[r];
  double most = -INFINITY, sum = 0, weight = a->weight ? a->weight[r] : 1;
  a->logp[r] = 0;
  if (a->dh)
    for (int64_t j = 0; j < a->d; j++)
      a->dh[r * a->d + j] = 0;
  if (target < 0) return;
  for (int64_t k = 0; k < a->vocab; k++)
    most = fmax(most, p[k] = dot(h, a->w + k * a->d, a->d));
  for (int64_t k = 0; k < a->vocab; k++)
    sum += exp(p[k] - most);
  a->logp[r] = (float)(p[target] - most - log(sum));
  for (int64_t k = 0; k < a->vocab; k++) {
    double g = weight * (exp(p[k] - most) / sum - (k == target));
    for (int64_t j = 0; j < a->d; j++) {
      if (a->dh) a->dh[r * a->d + j] += (float)(g * a->w[k * a->d + j]);
      if (a->dw) a->dw[k * a->d + j] += (float)(g * h[j]);
    }
  }
}

isc_status isc_test_xent(void *impl, const isc_xent *a) {
  (void)impl;
  double *p = malloc((size_t)(a->vocab + 1) * sizeof *p);
  for (int64_t r = 0; r < a->rows; r++)
    xent_row(a, r, p);
  free(p);
  return ISC_OK;
}

isc_status isc_test_control(void *impl, const isc_control *a) {
  (void)impl;
  for (int64_t i = 0; i < a->batch * a->len; i++) {
    int64_t b = i / a->len;
    for (int64_t m = 0; m < a->heads; m++)
      a->omega[i * a->heads + m] =
          (float)tanh(a->scale * (dot(a->hn + i * a->d, a->u + (b * a->heads + m) * a->d, a->d) +
                                  a->c[b * a->heads + m]));
    for (int64_t j = 0; j < a->d; j++) {
      double sum = a->x[i * a->d + j];
      for (int64_t m = 0; m < a->heads; m++)
        sum += (double)a->omega[i * a->heads + m] * a->v[(b * a->heads + m) * a->d + j];
      a->out[i * a->d + j] = (float)sum;
    }
  }
  return ISC_OK;
}

isc_status isc_test_control_grad(void *impl, const isc_control *a) {
  (void)impl;
  for (int64_t i = 0; i < a->batch * a->heads; i++) {
    a->dc[i] = 0;
    for (int64_t j = 0; j < a->d; j++)
      a->du[i * a->d + j] = a->dv[i * a->d + j] = 0;
  }
  for (int64_t i = 0; i < a->batch * a->len; i++)
    for (int64_t m = 0; m < a->heads; m++) {
      int64_t at = i / a->len * a->heads + m;
      double w = a->omega[i * a->heads + m];
      double ds = a->scale * (1 - w * w) * dot(a->dout + i * a->d, a->v + at * a->d, a->d);
      a->dc[at] += (float)ds;
      for (int64_t j = 0; j < a->d; j++) {
        a->du[at * a->d + j] += (float)(ds * a->hn[i * a->d + j]);
        a->dv[at * a->d + j] += (float)(w * a->dout[i * a->d + j]);
        if (a->dhn) a->dhn[i * a->d + j] += (float)(ds * a->u[at * a->d + j]);
      }
    }
  return ISC_OK;
}
