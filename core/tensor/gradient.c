/* SPDX-License-Identifier: Apache-2.0
 *
 * Where gradients go: allocated at the first write, in the step or, for parameters, for good.
 *
 * A first write overwrites; only a second consumer adds. A residual stream's gradient buffer is handed
 * from the sum to its input instead of being copied.
 */
#include "tensor/internal.h"
#include "base/base.h"

static size_t bytes_of(const isc_tensor *t) {
  return (size_t)isc_tensor_size(t) * sizeof(float);
}

bool isc_grad_written(isc_tensor *t) {
  t = isc_base(t);
  return t->param ? t->param->touched : t->grad_written;
}

static void mark_written(isc_tensor *t) {
  t->grad_written = true;
  if (t->param) t->param->touched = true;
}

static float *forget(isc_tensor *out) {
  float *grad = out->grad;
  out->grad = NULL;
  out->grad_written = false;
  return grad;
}

isc_status isc_grad_recycle(isc_step *s, isc_tensor *out) {
  if (!out->grad || out->keep_grad || out->param) return ISC_OK;
  if (s->spares == s->spare_capacity) {
    void *p = s->spare;
    size_t more = (size_t)s->spare_capacity + 64;
    ISC_TRY(isc_realloc(&p, more, sizeof *s->spare, "the list of spare gradients"));
    s->spare = p;
    s->spare_capacity = (int64_t)more;
  }
  s->spare[s->spares++] = (isc_spare){.at = forget(out), .bytes = bytes_of(out)};
  return ISC_OK;
}

/* The latest of that size: its lines are the likeliest to be in a cache still. */
static float *take_spare(isc_step *s, size_t bytes) {
  for (int64_t i = s->spares - 1; i >= 0; i--) {
    if (s->spare[i].bytes != bytes) continue;
    float *at = s->spare[i].at;
    s->spare[i] = s->spare[--s->spares];
    return at;
  }
  return NULL;
}

static isc_status ensure(isc_step *s, isc_tensor *t) {
  void *p;
  if (t->grad) return ISC_OK;
  if (t->param) {
    size_t bytes = bytes_of(t);
    ISC_TRY(s->dev->ops->alloc(s->dev->impl, bytes ? bytes : 1, &p));
  } else {
    p = take_spare(s, bytes_of(t));
    if (!p) ISC_TRY(isc_step_device_alloc(s, bytes_of(t), &p));
  }
  t->grad = p;
  return ISC_OK;
}

isc_status isc_grad_slot(isc_step *s, isc_tensor *t, float **grad, float *beta) {
  *grad = NULL;
  *beta = 0;
  if (!isc_needs(t)) return ISC_OK;
  t = isc_base(t);
  ISC_TRY(ensure(s, t));
  *beta = isc_grad_written(t) ? 1 : 0;
  *grad = t->grad;
  mark_written(t);
  return ISC_OK;
}

isc_status isc_grad_of(isc_step *s, isc_tensor *t, float **grad) {
  float beta;
  ISC_TRY(isc_grad_slot(s, t, grad, &beta));
  if (!*grad || beta != 0) return ISC_OK;
  return s->dev->ops->zero(s->dev->impl, *grad, bytes_of(t));
}

isc_status isc_grad_open(isc_step *s, isc_tensor *t, isc_grad_dest *d) {
  float beta;
  void *p;
  *d = (isc_grad_dest){0};
  ISC_TRY(isc_grad_slot(s, t, &d->at, &beta));
  if (!d->at || beta == 0) return ISC_OK;
  d->into = d->at;
  ISC_TRY(isc_step_device_alloc(s, bytes_of(t), &p));
  d->at = p;
  return ISC_OK;
}

isc_status isc_grad_close(isc_step *s, isc_tensor *t, const isc_grad_dest *d) {
  if (!d->into) return ISC_OK;
  return s->dev->ops->axpy(s->dev->impl, isc_tensor_size(t), 1, d->at, d->into);
}

isc_status isc_grad_pass(isc_step *s, isc_tensor *out, isc_tensor *t, isc_grad_use use) {
  float *grad, beta;
  if (!isc_needs(t)) return ISC_OK;
  t = isc_base(t);
  if (use == ISC_GRAD_LAST && !t->param && !t->grad && !out->keep_grad) {
    t->grad = forget(out);
    mark_written(t);
    return ISC_OK;
  }
  ISC_TRY(isc_grad_slot(s, t, &grad, &beta));
  if (beta != 0) return s->dev->ops->axpy(s->dev->impl, isc_tensor_size(t), 1, out->grad, grad);
  return s->dev->ops->copy(s->dev->impl, grad, out->grad, bytes_of(t));
}
