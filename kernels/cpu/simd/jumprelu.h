/* SPDX-License-Identifier: Apache-2.0
 *
 * JumpReLU and its straight-through gradient.
 *
 * Active units are counted in integers, so that their number has no order; the gradient to the thresholds is summed in
 * chunks of rows whose number follows from the shape.
 */
#ifndef ISC_CPU_JUMPRELU_H
#define ISC_CPU_JUMPRELU_H

#include "rows.h"

/* ---- forward */

static void jumprelu_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const isc_jumprelu *a = ctx;
  (void)thread;
  for (int64_t r = begin; r < end; r++) {
    const float *x = a->x + r * a->d;
    float *y = a->y + r * a->d;
    int64_t active = 0;
    vi lanes = vset1i(0);
    for (int64_t i = 0; i < a->d; i += W) {
      const int64_t left = a->d - i;
      const vf v = vload_part(x + i, left, 0.0f), theta = vload_part(a->theta + i, left, 0.0f);
      vstore_part(y + i, left, vselect(v <= theta, vzero(), v));
      lanes -= v > theta;
    }
    for (int k = 0; k < W; k++)
      active += lanes[k];
    if (a->l0) a->l0[r] = (float)active;
  }
}

static isc_status jumprelu(cpu *c, const isc_jumprelu *a) {
  if (a->d > 0) cpu_for(c, a->rows, row_grain(a->d, 16384), jumprelu_job, (void *)a);
  return ISC_OK;
}

/* ---- gradient */

typedef struct jumprelu_back {
  const isc_jumprelu *a;
  int64_t chunk, chunks; /* rows of a chunk */
  float *part;           /* [chunks, d]: Σ K·(θ·dy + dl0) of each; NULL when not wanted */
} jumprelu_back;

static void jumprelu_grad_row(const isc_jumprelu *a, int64_t r, float *part /* [d] or NULL */) {
  const float *x = a->x + r * a->d, *dy = a->dy ? a->dy + r * a->d : NULL;
  const vf dl0 = vset1(a->dl0 ? a->dl0[r] : 0.0f), half = vset1(0.5f * a->width);
  float *dx = a->dx ? a->dx + r * a->d : NULL;
  for (int64_t i = 0; i < a->d; i += W) {
    const int64_t left = a->d - i;
    const vf v = vload_part(x + i, left, 0.0f), theta = vload_part(a->theta + i, left, 0.0f);
    const vf t = dy ? vload_part(dy + i, left, 0.0f) : vzero();
    if (dx) vstore_part(dx + i, left, vselect(v <= theta, vzero(), t));
    if (!part) continue;
    const vf near = vselect(vabs(v - theta) < half, vfma(theta, t, dl0), vzero());
    vstore_part(part + i, left, vload_part(part + i, left, 0.0f) + near);
  }
}

static void jumprelu_grad_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const jumprelu_back *j = ctx;
  (void)thread;
  for (int64_t k = begin; k < end; k++) {
    float *part = j->part ? j->part + k * j->a->d : NULL;
    if (part) memset(part, 0, (size_t)j->a->d * sizeof *part);
    const int64_t last = min64((k + 1) * j->chunk, j->a->rows);
    for (int64_t r = k * j->chunk; r < last; r++)
      jumprelu_grad_row(j->a, r, part);
  }
}

/* Adds the chunks' sums, in order, to dtheta: columns of a range. */
static void jumprelu_fold_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const jumprelu_back *j = ctx;
  const vf by = vset1(-j->a->width);
  (void)thread;
  for (int64_t i = begin; i < end; i += W) {
    vf t = vload_part(j->a->dtheta + i, end - i, 0.0f);
    for (int64_t k = 0; k < j->chunks; k++)
      t += vload_part(j->part + k * j->a->d + i, end - i, 0.0f) / by;
    vstore_part(j->a->dtheta + i, end - i, t);
  }
}

static isc_status jumprelu_grad(cpu *c, const isc_jumprelu *a) {
  if (a->d <= 0 || a->rows <= 0 || !(a->dx || a->dtheta)) return ISC_OK;
  jumprelu_back j = {.a = a, .chunk = ceil_div(a->rows, min64(64, ceil_div(a->rows, 16)))};
  j.chunks = ceil_div(a->rows, j.chunk);
  if (a->dtheta) {
    void *part;
    ISC_TRY(cpu_scratch(c, CPU_OUTER, (size_t)(j.chunks * a->d) * sizeof(float), 0, &part, NULL));
    j.part = part;
  }
  cpu_for(c, j.chunks, row_grain(a->d * j.chunk, 16384), jumprelu_grad_job, &j);
  if (j.part) cpu_for(c, a->d, a->d * j.chunks < 16384 ? a->d : 64, jumprelu_fold_job, &j);
  return ISC_OK;
}

#endif
