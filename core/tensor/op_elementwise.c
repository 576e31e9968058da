/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums, products, activations, gates and row selection.
 *
 * The residual sum is the commonest op of a transformer: its gradient is handed to one input as it is
 * and added to the other.
 */
#include "tensor/internal.h"
#include <string.h>

typedef struct pair {
  isc_tensor *a, *b, *out; /* one shape */
} pair;

static isc_status same_shape(const char *op, const isc_tensor *a, const isc_tensor *b) {
  if (a->ndim == b->ndim && !memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape))
    return ISC_OK;
  return isc_shape_misfit(op, "a", a, "b", b);
}

static isc_status record_pair(isc_step *s, isc_tensor *a, isc_tensor *b, isc_tensor *out,
                              isc_backward_fn backward) {
  isc_tensor *const inputs[] = {a, b};
  const pair made = {a, b, out};
  void *p;
  if (!isc_tracks(s, inputs, 2)) return ISC_OK;
  ISC_TRY(isc_step_keep(s, &made, sizeof made, &p));
  return isc_tape_record(s, inputs, 2, out, backward, p);
}

static isc_status add_backward(isc_step *s, void *user) {
  const pair *p = user;
  bool a_takes = isc_needs(p->a) && !isc_grad_written(p->a);
  isc_tensor *first = a_takes ? p->b : p->a, *last = a_takes ? p->a : p->b;
  ISC_TRY(isc_grad_pass(s, p->out, first, ISC_GRAD_KEEP));
  return isc_grad_pass(s, p->out, last, ISC_GRAD_LAST);
}

isc_status isc_op_add(isc_step *s, isc_tensor *a, isc_tensor *b, isc_tensor **out) {
  ISC_TRY(same_shape("add", a, b));
  ISC_TRY(isc_tensor_like(s, a, -1, out));
  ISC_TRY(s->dev->ops->add(s->dev->impl, isc_tensor_size(a), a->data, b->data, (*out)->data));
  return record_pair(s, a, b, *out, add_backward);
}

/* d(a b)/da = b */
static isc_status mul_grad(isc_step *s, const pair *p, isc_tensor *t, const isc_tensor *other) {
  isc_grad_dest d;
  ISC_TRY(isc_grad_open(s, t, &d));
  if (!d.at) return ISC_OK;
  ISC_TRY(s->dev->ops->mul(s->dev->impl, isc_tensor_size(t), p->out->grad, other->data, d.at));
  return isc_grad_close(s, t, &d);
}

static isc_status mul_backward(isc_step *s, void *user) {
  const pair *p = user;
  ISC_TRY(mul_grad(s, p, p->a, p->b));
  return mul_grad(s, p, p->b, p->a);
}

isc_status isc_op_mul(isc_step *s, isc_tensor *a, isc_tensor *b, isc_tensor **out) {
  ISC_TRY(same_shape("mul", a, b));
  ISC_TRY(isc_tensor_like(s, a, -1, out));
  ISC_TRY(s->dev->ops->mul(s->dev->impl, isc_tensor_size(a), a->data, b->data, (*out)->data));
  return record_pair(s, a, b, *out, mul_backward);
}

typedef struct activation {
  isc_tensor *x, *out;
  isc_act act;
} activation;

static isc_status act_backward(isc_step *s, void *user) {
  const activation *v = user;
  isc_grad_dest d;
  ISC_TRY(isc_grad_open(s, v->x, &d));
  if (!d.at) return ISC_OK;
  ISC_TRY(s->dev->ops->act_grad(s->dev->impl, v->act, isc_tensor_size(v->x), v->x->data,
                                v->out->grad, d.at));
  return isc_grad_close(s, v->x, &d);
}

isc_status isc_op_act(isc_step *s, isc_act act, isc_tensor *x, isc_tensor **out) {
  void *p;
  ISC_TRY(isc_tensor_like(s, x, -1, out));
  ISC_TRY(s->dev->ops->act(s->dev->impl, act, isc_tensor_size(x), x->data, (*out)->data));
  if (!isc_tracks(s, &x, 1)) return ISC_OK;
  const activation v = {x, *out, act};
  ISC_TRY(isc_step_keep(s, &v, sizeof v, &p));
  return isc_tape_record(s, &x, 1, *out, act_backward, p);
}

static isc_status scale_into(isc_step *s, const isc_tensor *like, float alpha, const float *x,
                             float *y) {
  const int64_t n = isc_tensor_size(like);
  ISC_TRY(s->dev->ops->zero(s->dev->impl, y, (size_t)n * sizeof *y));
  return s->dev->ops->axpy(s->dev->impl, n, alpha, x, y);
}

typedef struct scaling {
  isc_tensor *x, *out;
  float alpha;
} scaling;

static isc_status scale_backward(isc_step *s, void *user) {
  const scaling *v = user;
  isc_grad_dest d;
  ISC_TRY(isc_grad_open(s, v->x, &d));
  if (!d.at) return ISC_OK;
  ISC_TRY(scale_into(s, v->x, v->alpha, v->out->grad, d.at));
  return isc_grad_close(s, v->x, &d);
}

isc_status isc_op_scale(isc_step *s, isc_tensor *x, double alpha, isc_tensor **out) {
  void *p;
  ISC_TRY(isc_tensor_like(s, x, -1, out));
  const scaling v = {x, *out, (float)alpha};
  ISC_TRY(scale_into(s, x, v.alpha, x->data, (*out)->data));
  if (!isc_tracks(s, &x, 1)) return ISC_OK;
  ISC_TRY(isc_step_keep(s, &v, sizeof v, &p));
  return isc_tape_record(s, &x, 1, *out, scale_backward, p);
}

typedef struct gating {
  isc_tensor *x, *out; /* [rows, 2 d], [rows, d] */
  isc_gate args;
} gating;

static isc_status gate_backward(isc_step *s, void *user) {
  gating *v = user;
  isc_grad_dest d;
  ISC_TRY(isc_grad_open(s, v->x, &d));
  if (!d.at) return ISC_OK;
  v->args.dy = v->out->grad;
  v->args.dx = d.at;
  ISC_TRY(s->dev->ops->gate_grad(s->dev->impl, &v->args));
  return isc_grad_close(s, v->x, &d);
}

isc_status isc_op_gate(isc_step *s, isc_act act, isc_tensor *x, isc_tensor **out) {
  char text[96];
  void *p;
  if (isc_last_dim(x) % 2)
    return isc_fail(ISC_E_SHAPE, "gate: x %s has no two halves", isc_shape_text(x, text));
  ISC_TRY(isc_tensor_like(s, x, isc_last_dim(x) / 2, out));
  const isc_gate a = {
      .rows = isc_rows(*out), .d = isc_last_dim(*out), .act = act, .x = x->data, .y = (*out)->data};
  ISC_TRY(s->dev->ops->gate(s->dev->impl, &a));
  if (!isc_tracks(s, &x, 1)) return ISC_OK;
  const gating v = {x, *out, a};
  ISC_TRY(isc_step_keep(s, &v, sizeof v, &p));
  return isc_tape_record(s, &x, 1, *out, gate_backward, p);
}

typedef struct selection {
  isc_tensor *x, *out; /* [rows, d], [n, d] */
  const int64_t *row;  /* [n]               */
} selection;

static isc_status gather_backward(isc_step *s, void *user) {
  const selection *v = user;
  float *dx;
  ISC_TRY(isc_grad_of(s, v->x, &dx));
  if (!dx) return ISC_OK;
  return s->dev->ops->scatter_add(s->dev->impl, v->out->shape[0], v->out->shape[1], v->out->grad,
                                  v->row, dx);
}

isc_status isc_op_gather(isc_step *s, isc_tensor *x, const int64_t *row, int64_t n,
                         isc_tensor **out) {
  const int64_t rows = isc_rows(x), shape[] = {n, isc_last_dim(x)};
  void *kept = NULL, *p;
  for (int64_t i = 0; i < n; i++)
    if (row[i] < 0 || row[i] >= rows)
      return isc_fail(ISC_E_SHAPE,
                      "gather: row %lld (number %lld) is not one of the %lld there are",
                      (long long)row[i], (long long)i, (long long)rows);
  ISC_TRY(isc_tensor_new(s, 2, shape, out));
  ISC_TRY(s->dev->ops->gather(s->dev->impl, n, shape[1], x->data, row, (*out)->data));
  if (!isc_tracks(s, &x, 1)) return ISC_OK;
  ISC_TRY(isc_step_keep(s, row, (size_t)n * sizeof *row, &kept));
  const selection v = {x, *out, kept};
  ISC_TRY(isc_step_keep(s, &v, sizeof v, &p));
  return isc_tape_record(s, &x, 1, *out, gather_backward, p);
}
