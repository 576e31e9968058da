/* SPDX-License-Identifier: Apache-2.0
 *
 * JumpReLU and the number of active units, which share one straight-through gradient.
 *
 * Either result may be left unused. The values' gradient comes first on the way back, when that of the numbers is
 * complete, so that one pass serves both.
 */
#include "tensor/internal.h"
#include "tensor/optional.h"
#include <math.h>

typedef struct jump {
  isc_tensor *x, *theta, *out, *l0; /* [.., d], [d], [.., d], [..] or NULL */
  isc_jumprelu args;
  bool counted; /* has l0's gradient been passed on? */
} jump;

static isc_status pass(isc_step *s, jump *v) {
  isc_grad_dest d = {0};
  if (v->args.dy) ISC_TRY(isc_grad_open(s, v->x, &d));
  v->args.dx = d.at;
  ISC_TRY(isc_grad_of(s, v->theta, &v->args.dtheta));
  ISC_TRY(s->dev->ops->jumprelu_grad(s->dev->impl, &v->args));
  return isc_grad_close(s, v->x, &d);
}

static isc_status values_backward(isc_step *s, void *user) {
  jump *v = user;
  v->counted = v->l0 && isc_grad_written(v->l0);
  v->args.dy = v->out->grad;
  v->args.dl0 = v->counted ? v->l0->grad : NULL;
  return pass(s, v);
}

static isc_status numbers_backward(isc_step *s, void *user) {
  jump *v = user;
  if (v->counted) return ISC_OK;
  v->args.dy = NULL;
  v->args.dl0 = v->l0->grad;
  return pass(s, v);
}

static isc_status check(const isc_step *s, const isc_tensor *x, const isc_tensor *theta,
                        double width) {
  if (!isc_shape_is(theta, 1, isc_last_dim(x), 0, 0))
    return isc_shape_misfit("jumprelu", "x", x, "theta", theta);
  if (!((float)width > 0) || isinf((float)width))
    return isc_fail(ISC_E_USAGE, "jumprelu: width is %g; it must be a number above 0", width);
  if (ISC_DEVICE_HAS(s->dev, jumprelu) && ISC_DEVICE_HAS(s->dev, jumprelu_grad)) return ISC_OK;
  return isc_fail(ISC_E_UNSUPPORTED,
                  "backend \"%s\" lacks jumprelu or jumprelu_grad; rebuild it for this version",
                  s->dev->cls ? s->dev->cls->name : "?");
}

/* One number for each row of x; zeros where rows have nothing in them. */
static isc_status new_numbers(isc_step *s, const isc_tensor *x, isc_tensor **l0) {
  const int64_t one = 1;
  const int32_t ndim = x->ndim > 1 ? x->ndim - 1 : 1;
  const int64_t *shape = x->ndim > 1 ? x->shape : &one;
  return isc_last_dim(x) ? isc_tensor_new(s, ndim, shape, l0)
                         : isc_tensor_zeros(s, ndim, shape, l0);
}

isc_status isc_op_jumprelu(isc_step *s, isc_tensor *x, isc_tensor *theta, double width,
                           isc_tensor **out, isc_tensor **l0) {
  isc_tensor *const inputs[] = {x, theta}, *numbers = NULL;
  void *p;
  ISC_TRY(check(s, x, theta, width));
  ISC_TRY(isc_tensor_like(s, x, -1, out));
  if (l0) {
    ISC_TRY(new_numbers(s, x, &numbers));
    *l0 = numbers;
  }
  const isc_jumprelu a = {.rows = isc_rows(x),
                          .d = isc_last_dim(x),
                          .x = x->data,
                          .theta = theta->data,
                          .y = (*out)->data,
                          .l0 = numbers ? numbers->data : NULL,
                          .width = (float)width};
  ISC_TRY(s->dev->ops->jumprelu(s->dev->impl, &a));
  if (!isc_tracks(s, inputs, 2)) return ISC_OK;
  const jump v = {x, theta, *out, numbers, a, false};
  ISC_TRY(isc_step_keep(s, &v, sizeof v, &p));
  /* The numbers depend on theta alone. */
  if (numbers) ISC_TRY(isc_tape_record(s, &theta, 1, numbers, numbers_backward, p));
  return isc_tape_record(s, inputs, 2, *out, values_backward, p);
}
