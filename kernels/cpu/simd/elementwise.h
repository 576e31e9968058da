/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on each element by itself: activations, gates and their gradients, sums, products and AdamW.
 *
 * Ranges given to threads begin at whole vectors, and a tail runs the same vector code on padded
 * lanes, so an element's bits do not depend on where it lies.
 */
#ifndef ISC_CPU_ELEMENTWISE_H
#define ISC_CPU_ELEMENTWISE_H

#include "vmath.h"

enum { EACH_GRAIN = 1 << 15 }; /* elements worth a thread */

typedef struct each_args {
  isc_act act;
  float alpha;
  const float *a, *b; /* [n] */
  float *out;         /* [n] */
  uint16_t *half;     /* [n] */
} each_args;

/* out[i] = EXPR of x = a[i], y = b[i] over a range. HAVE_B tells whether b is read. */
#define EACH_LOOP(HAVE_B, EXPR)                                                                    \
  for (int64_t i = begin; i < end; i += W) {                                                       \
    const int64_t left = end - i;                                                                  \
    const vf x = vload_part(e->a + i, left, 0.0f);                                                 \
    const vf y = HAVE_B ? vload_part(e->b + i, left, 0.0f) : x;                                    \
    (void)y;                                                                                       \
    vstore_part(e->out + i, left, EXPR);                                                           \
  }
#define EACH_JOB(name, HAVE_B, EXPR)                                                               \
  static void name(void *ctx, int64_t begin, int64_t end, int thread) {                            \
    const each_args *e = ctx;                                                                      \
    (void)thread;                                                                                  \
    EACH_LOOP(HAVE_B, EXPR)                                                                        \
  }

EACH_JOB(add_job, 1, x + y)
EACH_JOB(mul_job, 1, x *y)
EACH_JOB(axpy_job, 1, vfma(vset1(e->alpha), x, y))

static void act_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const each_args *e = ctx;
  (void)thread;
  switch (e->act) {
  case ISC_ACT_NONE:
    EACH_LOOP(0, x) break;
  case ISC_ACT_RELU:
    EACH_LOOP(0, vact(ISC_ACT_RELU, x)) break;
  case ISC_ACT_GELU:
    EACH_LOOP(0, vact(ISC_ACT_GELU, x)) break;
  case ISC_ACT_GELU_TANH:
    EACH_LOOP(0, vact(ISC_ACT_GELU_TANH, x)) break;
  case ISC_ACT_SILU:
    EACH_LOOP(0, vact(ISC_ACT_SILU, x)) break;
  case ISC_ACT_TANH:
    EACH_LOOP(0, vact(ISC_ACT_TANH, x)) break;
  }
}

static void act_grad_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const each_args *e = ctx;
  (void)thread;
  switch (e->act) {
  case ISC_ACT_NONE:
    EACH_LOOP(1, y) break;
  case ISC_ACT_RELU:
    EACH_LOOP(1, y * vact_grad(ISC_ACT_RELU, x)) break;
  case ISC_ACT_GELU:
    EACH_LOOP(1, y * vact_grad(ISC_ACT_GELU, x)) break;
  case ISC_ACT_GELU_TANH:
    EACH_LOOP(1, y * vact_grad(ISC_ACT_GELU_TANH, x)) break;
  case ISC_ACT_SILU:
    EACH_LOOP(1, y * vact_grad(ISC_ACT_SILU, x)) break;
  case ISC_ACT_TANH:
    EACH_LOOP(1, y * vact_grad(ISC_ACT_TANH, x)) break;
  }
}

static isc_status act(cpu *c, isc_act kind, int64_t n, const float *x, float *y) {
  each_args e = {.act = kind, .a = x, .out = y};
  cpu_for(c, n, EACH_GRAIN / 4, act_job, &e);
  return ISC_OK;
}

static isc_status act_grad(cpu *c, isc_act kind, int64_t n, const float *pre, const float *dy,
                           float *dx) {
  each_args e = {.act = kind, .a = pre, .b = dy, .out = dx};
  cpu_for(c, n, EACH_GRAIN / 4, act_grad_job, &e);
  return ISC_OK;
}

static void to_bf16_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const each_args *e = ctx;
  (void)thread;
  for (int64_t i = begin; i < end; i += W) {
    const int64_t n = end - i < W ? end - i : W;
    const vh h = __builtin_convertvector((vu)vround16(vload_part(e->a + i, n, 0.0f)) >> 16, vh);
    memcpy(e->half + i, &h, (size_t)n * sizeof *e->half);
  }
}

static isc_status to_bf16(cpu *c, int64_t n, const float *x, uint16_t *out) {
  each_args e = {.a = x, .half = out};
  cpu_for(c, n, EACH_GRAIN, to_bf16_job, &e);
  return ISC_OK;
}

static isc_status add(cpu *c, int64_t n, const float *a, const float *b, float *out) {
  each_args e = {.a = a, .b = b, .out = out};
  cpu_for(c, n, EACH_GRAIN, add_job, &e);
  return ISC_OK;
}

static isc_status mul(cpu *c, int64_t n, const float *a, const float *b, float *out) {
  each_args e = {.a = a, .b = b, .out = out};
  cpu_for(c, n, EACH_GRAIN, mul_job, &e);
  return ISC_OK;
}

static isc_status axpy(cpu *c, int64_t n, float alpha, const float *x, float *y) {
  each_args e = {.alpha = alpha, .a = x, .b = y, .out = y};
  cpu_for(c, n, EACH_GRAIN, axpy_job, &e);
  return ISC_OK;
}

/* ---- gates: y = act(x_gate) · x_up, row by row */

INLINE void gate_row(isc_act act, int64_t d, const float *x /* [2 d] */, float *y) {
  for (int64_t i = 0; i < d; i += W) {
    const int64_t left = d - i;
    const vf up = vload_part(x + d + i, left, 0.0f);
    vstore_part(y + i, left, vact(act, vload_part(x + i, left, 0.0f)) * up);
  }
}

INLINE void gate_grad_row(isc_act act, int64_t d, const float *x /* [2 d] */, const float *dy,
                          float *dx /* [2 d] */) {
  for (int64_t i = 0; i < d; i += W) {
    const int64_t left = d - i;
    const vf gate = vload_part(x + i, left, 0.0f), up = vload_part(x + d + i, left, 0.0f);
    const vf t = vload_part(dy + i, left, 0.0f);
    vstore_part(dx + i, left, t * up * vact_grad(act, gate));
    vstore_part(dx + d + i, left, t * vact(act, gate));
  }
}

/* CALL(activation) with the activation as a constant. */
#define EACH_ACT(act, CALL)                                                                        \
  switch (act) {                                                                                   \
  case ISC_ACT_NONE:                                                                               \
    CALL(ISC_ACT_NONE);                                                                            \
    break;                                                                                         \
  case ISC_ACT_RELU:                                                                               \
    CALL(ISC_ACT_RELU);                                                                            \
    break;                                                                                         \
  case ISC_ACT_GELU:                                                                               \
    CALL(ISC_ACT_GELU);                                                                            \
    break;                                                                                         \
  case ISC_ACT_GELU_TANH:                                                                          \
    CALL(ISC_ACT_GELU_TANH);                                                                       \
    break;                                                                                         \
  case ISC_ACT_SILU:                                                                               \
    CALL(ISC_ACT_SILU);                                                                            \
    break;                                                                                         \
  case ISC_ACT_TANH:                                                                               \
    CALL(ISC_ACT_TANH);                                                                            \
    break;                                                                                         \
  }

static void gate_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const isc_gate *a = ctx;
  (void)thread;
#define GATE(act)                                                                                  \
  for (int64_t r = begin; r < end; r++)                                                            \
  gate_row(act, a->d, a->x + r * 2 * a->d, a->y + r * a->d)
  EACH_ACT(a->act, GATE)
#undef GATE
}

static void gate_grad_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const isc_gate *a = ctx;
  (void)thread;
#define GATE(act)                                                                                  \
  for (int64_t r = begin; r < end; r++)                                                            \
  gate_grad_row(act, a->d, a->x + r * 2 * a->d, a->dy + r * a->d, a->dx + r * 2 * a->d)
  EACH_ACT(a->act, GATE)
#undef GATE
}

static isc_status gate(cpu *c, const isc_gate *a) {
  if (a->d > 0) cpu_for(c, a->rows, 1 + EACH_GRAIN / 4 / a->d, gate_job, (void *)a);
  return ISC_OK;
}

static isc_status gate_grad(cpu *c, const isc_gate *a) {
  if (a->d > 0) cpu_for(c, a->rows, 1 + EACH_GRAIN / 8 / a->d, gate_grad_job, (void *)a);
  return ISC_OK;
}

/* ---- AdamW: one pass over each parameter, the parameters laid end to end in pieces of one size. */

enum { ADAMW_PIECE = 4096 };

typedef struct adamw_args {
  const isc_adamw *const *list;
  int64_t count;
} adamw_args;

static int64_t adamw_pieces(const isc_adamw *a) {
  return a->n <= 0 ? 0 : (a->n + ADAMW_PIECE - 1) / ADAMW_PIECE;
}

/* The factors of a step are made in double and rounded once, as PyTorch makes them. */
static void adamw_piece(const isc_adamw *a, int64_t begin, int64_t end) {
  const double fix1 = 1.0 - pow(a->beta1, (double)a->step),
               fix2 = 1.0 - pow(a->beta2, (double)a->step);
  const vf decay = vset1((float)(1.0 - a->lr * a->weight_decay)),
           scale = vset1((float)a->grad_scale);
  const vf keep2 = vset1((float)a->beta2), take1 = vset1((float)(1.0 - a->beta1));
  const vf take2 = vset1((float)(1.0 - a->beta2)), eps = vset1((float)a->eps);
  const vf root2 = vset1((float)sqrt(fix2)), rate = vset1((float)(a->lr / fix1));
  for (int64_t i = begin; i < end; i += W) {
    const int64_t left = end - i;
    const vf g = vload_part(a->g + i, left, 0.0f) * scale;
    vf m = vload_part(a->m + i, left, 0.0f), v = vload_part(a->v + i, left, 0.0f);
    m = vfma(take1, g - m, m);
    v = vfma(take2 * g, g, keep2 * v);
    const vf p = vload_part(a->p + i, left, 0.0f) * decay;
    const vf denominator = vsqrt(v) / root2 + eps;
    vstore_part(a->m + i, left, m);
    vstore_part(a->v + i, left, v);
    vstore_part(a->p + i, left, p - rate * (m / denominator));
  }
}

static void adamw_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const adamw_args *d = ctx;
  (void)thread;
  int64_t first = 0; /* piece number of the parameter's first */
  for (int64_t i = 0; i < d->count && first < end; i++) {
    const isc_adamw *a = d->list[i];
    const int64_t pieces = adamw_pieces(a);
    const int64_t from = begin > first ? begin - first : 0,
                  to = end - first < pieces ? end - first : pieces;
    if (from < to)
      adamw_piece(a, from * ADAMW_PIECE, to * ADAMW_PIECE < a->n ? to * ADAMW_PIECE : a->n);
    first += pieces;
  }
}

static isc_status adamw(cpu *c, const isc_adamw *const *list, int64_t count) {
  adamw_args d = {.list = list, .count = count};
  int64_t pieces = 0;
  for (int64_t i = 0; i < count; i++)
    pieces += adamw_pieces(list[i]);
  cpu_for(c, pieces, 2, adamw_job, &d);
  return ISC_OK;
}

#endif
