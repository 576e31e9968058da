/* SPDX-License-Identifier: Apache-2.0
 *
 * The control layer and the two per-head maps of a site's activation that feed it.
 *
 * The per-head maps are batched GEMMs over heads, on [batch, heads, ·] tensors read with strides.
 */
#include "tensor/count.h"
#include "tensor/internal.h"

typedef struct control {
  isc_tensor *x, *hn, *u, *c, *v, *out;
  isc_control args;
} control;

/* A place for a gradient that the backend always writes: t's own, or one that nobody reads. */
static isc_status open_or_spare(isc_step *s, isc_tensor *t, isc_grad_dest *d, float **at) {
  void *p;
  ISC_TRY(isc_grad_open(s, t, d));
  *at = d->at;
  if (d->at) return ISC_OK;
  ISC_TRY(isc_step_device_alloc(s, (size_t)isc_tensor_size(t) * sizeof(float), &p));
  *at = p;
  return ISC_OK;
}

static isc_status control_backward(isc_step *s, void *user) {
  control *v = user;
  isc_grad_dest u, c, w;
  v->args.dout = v->out->grad;
  ISC_TRY(isc_grad_of(s, v->hn, &v->args.dhn));
  ISC_TRY(open_or_spare(s, v->u, &u, &v->args.du));
  ISC_TRY(open_or_spare(s, v->c, &c, &v->args.dc));
  ISC_TRY(open_or_spare(s, v->v, &w, &v->args.dv));
  ISC_TRY(isc_device_control_grad(s->dev, &v->args));
  ISC_TRY(isc_grad_close(s, v->u, &u));
  ISC_TRY(isc_grad_close(s, v->c, &c));
  ISC_TRY(isc_grad_close(s, v->v, &w));
  return isc_grad_pass(s, v->out, v->x, ISC_GRAD_LAST);
}

static isc_status check_control(const isc_tensor *x, const isc_tensor *hn, const isc_tensor *u,
                                const isc_tensor *c, const isc_tensor *v) {
  if (x->ndim != 3 || !isc_shape_is(hn, 3, x->shape[0], x->shape[1], x->shape[2]))
    return isc_shape_misfit("control", "x [batch, len, d]", x, "hn", hn);
  if (u->ndim != 3 || u->shape[1] < 1 || !isc_shape_is(u, 3, x->shape[0], u->shape[1], x->shape[2]))
    return isc_shape_misfit("control", "x [batch, len, d]", x, "u [batch, heads, d]", u);
  if (!isc_shape_is(v, 3, u->shape[0], u->shape[1], u->shape[2]))
    return isc_shape_misfit("control", "u [batch, heads, d]", u, "v", v);
  if (!isc_shape_is(c, 2, u->shape[0], u->shape[1], 0))
    return isc_shape_misfit("control", "u [batch, heads, d]", u, "c [batch, heads]", c);
  return ISC_OK;
}

isc_status isc_op_control(isc_step *s, isc_tensor *x, isc_tensor *hn, isc_tensor *u, isc_tensor *c,
                          isc_tensor *v, float scale, isc_tensor **out, isc_tensor **omega) {
  isc_tensor *const inputs[] = {x, hn, u, c, v};
  isc_tensor *scores;
  void *p;
  ISC_TRY(check_control(x, hn, u, c, v));
  ISC_TRY(isc_tensor_like(s, x, -1, out));
  ISC_TRY(isc_tensor_like(s, x, u->shape[1], &scores));
  if (omega) *omega = scores;
  const isc_control a = {.batch = x->shape[0],
                         .len = x->shape[1],
                         .heads = u->shape[1],
                         .d = x->shape[2],
                         .scale = scale,
                         .x = x->data,
                         .hn = hn->data,
                         .u = u->data,
                         .v = v->data,
                         .c = c->data,
                         .out = (*out)->data,
                         .omega = scores->data,
                         .dependent_rows = isc_training(s)};
  ISC_TRY(isc_device_control(s->dev, &a));
  if (!isc_tracks(s, inputs, 5)) return ISC_OK;
  const control made = {x, hn, u, c, v, *out, a};
  ISC_TRY(isc_step_keep(s, &made, sizeof made, &p));
  return isc_tape_record(s, inputs, 5, *out, control_backward, p);
}

/* ---- per-head maps */

typedef struct headwise {
  isc_tensor *k, *w, *out; /* [batch, heads, dk], [heads, dk, d], [batch, heads, d] */
} headwise;

/* dk[:, m, :] = dout[:, m, :] w[m]ᵀ and dw[m] = k[:, m, :]ᵀ dout[:, m, :], over all m at once. For headdot d = 1. */
static isc_status headwise_backward(isc_step *s, void *user) {
  const headwise *v = user;
  const isc_tensor *k = v->k, *w = v->w;
  int64_t batch = k->shape[0], heads = k->shape[1], dk = k->shape[2];
  int64_t d = w->ndim == 3 ? w->shape[2] : 1;
  float *grad, beta;
  ISC_TRY(isc_grad_slot(s, v->k, &grad, &beta));
  if (grad) {
    const isc_gemm g = {.batch = heads,
                        .m = batch,
                        .n = dk,
                        .k = d,
                        .a = v->out->grad,
                        .b = w->data,
                        .c = grad,
                        .lda = heads * d,
                        .ldb = d,
                        .ldc = heads * dk,
                        .stride_a = d,
                        .stride_b = dk * d,
                        .stride_c = dk,
                        .trans_b = true,
                        .alpha = 1,
                        .beta = beta,
                        .dependent_rows = true};
    ISC_TRY(isc_device_gemm(s->dev, &g));
  }
  ISC_TRY(isc_grad_slot(s, v->w, &grad, &beta));
  if (!grad) return ISC_OK;
  const isc_gemm g = {.batch = heads,
                      .m = dk,
                      .n = d,
                      .k = batch,
                      .a = k->data,
                      .b = v->out->grad,
                      .c = grad,
                      .lda = heads * dk,
                      .ldb = heads * d,
                      .ldc = d,
                      .stride_a = dk,
                      .stride_b = d,
                      .stride_c = dk * d,
                      .trans_a = true,
                      .alpha = 1,
                      .beta = beta,
                      .dependent_rows = true};
  return isc_device_gemm(s->dev, &g);
}

static isc_status headwise_run(isc_step *s, isc_tensor *k, isc_tensor *w, int64_t d,
                               isc_tensor *out) {
  isc_tensor *const inputs[] = {k, w};
  int64_t batch = k->shape[0], heads = k->shape[1], dk = k->shape[2];
  void *p;
  const isc_gemm g = {.batch = heads,
                      .m = batch,
                      .n = d,
                      .k = dk,
                      .a = k->data,
                      .b = w->data,
                      .c = out->data,
                      .lda = heads * dk,
                      .ldb = d,
                      .ldc = heads * d,
                      .stride_a = dk,
                      .stride_b = dk * d,
                      .stride_c = d,
                      .alpha = 1,
                      .dependent_rows = isc_training(s)};
  ISC_TRY(isc_device_gemm(s->dev, &g));
  if (!isc_tracks(s, inputs, 2)) return ISC_OK;
  const headwise v = {k, w, out};
  ISC_TRY(isc_step_keep(s, &v, sizeof v, &p));
  return isc_tape_record(s, inputs, 2, out, headwise_backward, p);
}

isc_status isc_op_headwise(isc_step *s, isc_tensor *k, isc_tensor *w, isc_tensor **out) {
  if (k->ndim != 3 || w->ndim != 3 || k->shape[2] < 1 ||
      !isc_shape_is(w, 3, k->shape[1], k->shape[2], w->shape[2]))
    return isc_shape_misfit("headwise", "k [batch, heads, dk]", k, "w [heads, dk, d]", w);
  ISC_TRY(isc_tensor_like(s, k, w->shape[2], out));
  return headwise_run(s, k, w, w->shape[2], *out);
}

isc_status isc_op_headdot(isc_step *s, isc_tensor *k, isc_tensor *q, isc_tensor **out) {
  if (k->ndim != 3 || k->shape[2] < 1 || !isc_shape_is(q, 2, k->shape[1], k->shape[2], 0))
    return isc_shape_misfit("headdot", "k [batch, heads, dk]", k, "q [heads, dk]", q);
  ISC_TRY(isc_tensor_new(s, 2, k->shape, out));
  return headwise_run(s, k, q, 1, *out);
}
