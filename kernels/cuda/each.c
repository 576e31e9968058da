/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on each element by itself.
 */
#include "cuda_backend.h"
#include <math.h>

isc_status cuda_act(cuda *c, isc_act act, int64_t n, const float *x, float *y) {
  const each_args a = {.n = n, .a = x, .out = y, .act = act};
  return n <= 0 ? ISC_OK : CUDA_LAUNCH(c, act, cuda_blocks(c, n), CUDA_THREADS, 0, &a);
}

isc_status cuda_act_grad(cuda *c, isc_act act, int64_t n, const float *pre, const float *dy,
                         float *dx) {
  const each_args a = {.n = n, .a = pre, .b = dy, .out = dx, .act = act};
  return n <= 0 ? ISC_OK : CUDA_LAUNCH(c, act_grad, cuda_blocks(c, n), CUDA_THREADS, 0, &a);
}

isc_status cuda_add(cuda *c, int64_t n, const float *x, const float *y, float *out) {
  const each_args a = {.n = n, .a = x, .b = y, .out = out};
  return n <= 0 ? ISC_OK : CUDA_LAUNCH(c, add, cuda_blocks(c, n), CUDA_THREADS, 0, &a);
}

isc_status cuda_axpy(cuda *c, int64_t n, float alpha, const float *x, float *y) {
  const each_args a = {.n = n, .a = x, .out = y, .alpha = alpha};
  return n <= 0 ? ISC_OK : CUDA_LAUNCH(c, axpy, cuda_blocks(c, n), CUDA_THREADS, 0, &a);
}

isc_status cuda_mul(cuda *c, int64_t n, const float *x, const float *y, float *out) {
  const each_args a = {.n = n, .a = x, .b = y, .out = out};
  return n <= 0 ? ISC_OK : CUDA_LAUNCH(c, mul, cuda_blocks(c, n), CUDA_THREADS, 0, &a);
}

isc_status cuda_gate(cuda *c, const isc_gate *g) {
  const gate_args a = {.rows = g->rows, .d = g->d, .x = g->x, .out = g->y, .act = g->act};
  if (g->rows <= 0 || g->d <= 0) return ISC_OK;
  return CUDA_LAUNCH(c, gate, cuda_blocks(c, g->rows * g->d), CUDA_THREADS, 0, &a);
}

isc_status cuda_gate_grad(cuda *c, const isc_gate *g) {
  const gate_args a = {
      .rows = g->rows, .d = g->d, .x = g->x, .dy = g->dy, .out = g->dx, .act = g->act};
  if (g->rows <= 0 || g->d <= 0) return ISC_OK;
  return CUDA_LAUNCH(c, gate_grad, cuda_blocks(c, g->rows * g->d), CUDA_THREADS, 0, &a);
}

isc_status cuda_rotary(cuda *c, const isc_rotary *r) {
  const rotary_args a = {.rows = r->rows,
                         .width = r->width,
                         .heads = r->heads,
                         .d_head = r->d_head,
                         .d_rot = r->d_rot,
                         .x = r->x,
                         .y = r->y,
                         .pos = r->pos,
                         .cos = r->cos,
                         .sin = r->sin,
                         .sign = r->inverse ? -1.0f : 1.0f};
  if (r->rows <= 0 || r->width <= 0) return ISC_OK;
  return CUDA_LAUNCH(c, rotary, cuda_blocks(c, r->rows * r->width), CUDA_THREADS, 0, &a);
}

/* ---- AdamW: as many parameters a launch as its arguments have room for */

/* The factors of a step are made in double and rounded once, as PyTorch makes them. */
static adamw_tensor adamw_one(const isc_adamw *a, int64_t first) {
  const double fix1 = 1.0 - pow(a->beta1, (double)a->step),
               fix2 = 1.0 - pow(a->beta2, (double)a->step);
  return (adamw_tensor){.n = a->n,
                        .first = first,
                        .p = a->p,
                        .m = a->m,
                        .v = a->v,
                        .g = a->g,
                        .decay = (float)(1.0 - a->lr * a->weight_decay),
                        .scale = (float)a->grad_scale,
                        .keep2 = (float)a->beta2,
                        .take1 = (float)(1.0 - a->beta1),
                        .take2 = (float)(1.0 - a->beta2),
                        .eps = (float)a->eps,
                        .root2 = (float)sqrt(fix2),
                        .rate = (float)(a->lr / fix1)};
}

static isc_status adamw_some(cuda *c, adamw_args *a) {
  if (a->count == 0) return ISC_OK;
  const cuda_size grid = {.x = cuda_least(a->pieces, 1 << 20)};
  ISC_TRY(CUDA_LAUNCH(c, adamw, grid, ((cuda_size){.x = ADAMW_THREADS}), 0, a));
  a->count = 0;
  a->pieces = 0;
  return ISC_OK;
}

isc_status cuda_adamw(cuda *c, const isc_adamw *const *list, int64_t count) {
  adamw_args a = {0};
  for (int64_t i = 0; i < count; i++) {
    if (list[i]->n <= 0) continue;
    if (a.scale != list[i]->scale) ISC_TRY(adamw_some(c, &a));
    a.scale = list[i]->scale;
    a.tensor[a.count++] = adamw_one(list[i], a.pieces);
    a.pieces += cuda_ceil(list[i]->n, ADAMW_PIECE);
    if (a.count == ADAMW_TENSORS) ISC_TRY(adamw_some(c, &a));
  }
  return adamw_some(c, &a);
}
