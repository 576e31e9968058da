/* SPDX-License-Identifier: Apache-2.0
 *
 * Layer normalisation with or without gain and bias, and RMS normalisation.
 *
 * Row means and inverse deviations are kept only under a tape that will ask for them.
 */
#include "tensor/internal.h"

typedef struct norm {
  isc_tensor *x, *g, *b, *out; /* [rows, d], [d], [d], [rows, d] */
  isc_layernorm args;
} norm;

static isc_status layernorm_backward(isc_step *s, void *user) {
  norm *v = user;
  v->args.dy = v->out->grad;
  ISC_TRY(isc_grad_of(s, v->x, &v->args.dx));
  ISC_TRY(isc_grad_of(s, v->g, &v->args.dg));
  ISC_TRY(isc_grad_of(s, v->b, &v->args.db));
  return s->dev->ops->layernorm_grad(s->dev->impl, &v->args);
}

static isc_status check(const char *op, const isc_tensor *x, const isc_tensor *g,
                        const isc_tensor *b, double eps) {
  if (g && !isc_shape_is(g, 1, isc_last_dim(x), 0, 0)) return isc_shape_misfit(op, "x", x, "g", g);
  if (b && !isc_shape_is(b, 1, isc_last_dim(x), 0, 0)) return isc_shape_misfit(op, "x", x, "b", b);
  if (!(eps >= 0)) return isc_fail(ISC_E_USAGE, "%s: eps is %g; it must be 0 or more", op, eps);
  return ISC_OK;
}

static isc_status normalise(isc_step *s, isc_tensor *x, isc_tensor *g, isc_tensor *b, double eps,
                            bool rms, isc_tensor **out) {
  isc_tensor *const inputs[] = {x, g, b};
  bool tracked = isc_tracks(s, inputs, 3);
  void *p;
  ISC_TRY(isc_tensor_like(s, x, -1, out));
  isc_layernorm a = {.rows = isc_rows(x),
                     .d = isc_last_dim(x),
                     .eps = eps,
                     .x = x->data,
                     .g = g ? g->data : NULL,
                     .b = b ? b->data : NULL,
                     .y = (*out)->data,
                     .rms = rms};
  if (tracked) {
    ISC_TRY(isc_step_device_alloc(s, 2 * (size_t)a.rows * sizeof(float), &p));
    a.rstd = p;
    a.mean = rms ? NULL : a.rstd + a.rows;
  }
  ISC_TRY(s->dev->ops->layernorm(s->dev->impl, &a));
  if (!tracked) return ISC_OK;
  const norm v = {x, g, b, *out, a};
  ISC_TRY(isc_step_keep(s, &v, sizeof v, &p));
  return isc_tape_record(s, inputs, 3, *out, layernorm_backward, p);
}

isc_status isc_op_layernorm(isc_step *s, isc_tensor *x, isc_tensor *g, isc_tensor *b, double eps,
                            isc_tensor **out) {
  if (!g != !b)
    return isc_fail(ISC_E_USAGE, "layernorm: gain and bias come together or not at all");
  ISC_TRY(check("layernorm", x, g, b, eps));
  return normalise(s, x, g, b, eps, false, out);
}

isc_status isc_op_rmsnorm(isc_step *s, isc_tensor *x, isc_tensor *g, double eps, isc_tensor **out) {
  ISC_TRY(check("rmsnorm", x, g, NULL, eps));
  return normalise(s, x, g, NULL, eps, true, out);
}
