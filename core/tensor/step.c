/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps: the arenas that tensors are made in, and moving their values to and from the host.
 *
 * Tensor structs and tape records live in the step's host arena, values and gradients in its device
 * arena, so a reset frees everything at once and a steady state allocates nothing.
 */
#include "tensor/internal.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

isc_status isc_step_new(isc_device *dev, isc_step **out) {
  void *p;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof **out, "a step", &p));
  isc_step *s = p;
  s->dev = dev;
  s->device.dev = dev;
  *out = s;
  return ISC_OK;
}

void isc_step_free(isc_step *s) {
  if (!s) return;
  isc_arena_free(&s->device);
  isc_arena_free(&s->host);
  free(s->node);
  free(s->spare);
  free(s);
}

void isc_step_reset(isc_step *s) {
  isc_arena_reset(&s->device);
  isc_arena_reset(&s->host);
  s->nodes = s->spares = 0;
  s->tape = false;
  s->loss = NULL;
}

void isc_step_set_product(isc_step *s, isc_dtype product) {
  s->product = product;
}

isc_device *isc_step_device(isc_step *s) {
  return s->dev;
}

isc_step_mark isc_step_here(const isc_step *s) {
  isc_arena_mark d = isc_arena_here(&s->device), h = isc_arena_here(&s->host);
  return (isc_step_mark){{d.current, (int64_t)d.used, h.current, (int64_t)h.used}};
}

isc_status isc_step_rewind(isc_step *s, isc_step_mark mark) {
  if (s->tape)
    return isc_fail(ISC_E_USAGE, "step: rewinding under a tape would free what its backward needs");
  s->spares = 0; /* they may lie beyond the mark */
  isc_arena_rewind(&s->device, (isc_arena_mark){mark.at[0], (size_t)mark.at[1]});
  isc_arena_rewind(&s->host, (isc_arena_mark){mark.at[2], (size_t)mark.at[3]});
  return ISC_OK;
}

isc_status isc_step_device_alloc(isc_step *s, size_t bytes, void **out) {
  return isc_arena_alloc(&s->device, bytes, out);
}

isc_status isc_step_host_alloc(isc_step *s, size_t bytes, void **out) {
  return isc_arena_alloc(&s->host, bytes, out);
}

isc_status isc_step_upload(isc_step *s, const void *host, size_t bytes, void **out) {
  ISC_TRY(isc_step_device_alloc(s, bytes, out));
  return bytes ? s->dev->ops->upload(s->dev->impl, *out, host, bytes) : ISC_OK;
}

isc_status isc_step_keep(isc_step *s, const void *host, size_t bytes, void **out) {
  ISC_TRY(isc_step_host_alloc(s, bytes, out));
  if (bytes) memcpy(*out, host, bytes);
  return ISC_OK;
}

static isc_status tensor_struct(isc_step *s, int32_t ndim, const int64_t *shape, isc_tensor **out) {
  void *p;
  ISC_TRY(isc_step_host_alloc(s, sizeof **out, &p));
  isc_tensor *t = p;
  *t = (isc_tensor){.ndim = ndim};
  memcpy(t->shape, shape, (size_t)ndim * sizeof *shape);
  *out = t;
  return ISC_OK;
}

isc_status isc_tensor_new(isc_step *s, int32_t ndim, const int64_t *shape, isc_tensor **out) {
  size_t bytes;
  void *data;
  *out = NULL;
  ISC_TRY(isc_shape_bytes(ndim, shape, &bytes));
  ISC_TRY(isc_step_device_alloc(s, bytes, &data));
  ISC_TRY(tensor_struct(s, ndim, shape, out));
  (*out)->data = data;
  return ISC_OK;
}

isc_status isc_tensor_zeros(isc_step *s, int32_t ndim, const int64_t *shape, isc_tensor **out) {
  ISC_TRY(isc_tensor_new(s, ndim, shape, out));
  return s->dev->ops->zero(s->dev->impl, (*out)->data,
                           (size_t)isc_tensor_size(*out) * sizeof(float));
}

isc_status isc_tensor_from(isc_step *s, int32_t ndim, const int64_t *shape, const float *host,
                           isc_tensor **out) {
  ISC_TRY(isc_tensor_new(s, ndim, shape, out));
  size_t bytes = (size_t)isc_tensor_size(*out) * sizeof(float);
  return bytes ? s->dev->ops->upload(s->dev->impl, (*out)->data, host, bytes) : ISC_OK;
}

isc_status isc_tensor_download(isc_step *s, const isc_tensor *t, float *host) {
  size_t bytes = (size_t)isc_tensor_size(t) * sizeof(float);
  return bytes ? s->dev->ops->download(s->dev->impl, host, t->data, bytes) : ISC_OK;
}

isc_status isc_tensor_reshape(isc_step *s, isc_tensor *t, int32_t ndim, const int64_t *shape,
                              isc_tensor **out) {
  size_t bytes;
  *out = NULL;
  ISC_TRY(isc_shape_bytes(ndim, shape, &bytes));
  isc_tensor wanted = {.ndim = ndim};
  memcpy(wanted.shape, shape, (size_t)ndim * sizeof *shape);
  if (bytes != (size_t)isc_tensor_size(t) * sizeof(float))
    return isc_shape_misfit("reshape", "the tensor", t, "the new shape", &wanted);
  ISC_TRY(tensor_struct(s, ndim, shape, out));
  (*out)->data = t->data;
  (*out)->base = isc_base(t);
  (*out)->needs_grad = isc_base(t)->needs_grad;
  return ISC_OK;
}

isc_status isc_tensor_like(isc_step *s, const isc_tensor *like, int64_t last, isc_tensor **out) {
  int64_t shape[4];
  memcpy(shape, like->shape, sizeof shape);
  if (last >= 0) shape[like->ndim - 1] = last;
  return isc_tensor_new(s, like->ndim, shape, out);
}

isc_status isc_tensor_alloc(isc_device *dev, int32_t ndim, const int64_t *shape, isc_tensor *out) {
  return isc_tensor_alloc_typed(dev, ndim, shape, ISC_F32, out);
}

isc_status isc_tensor_alloc_typed(isc_device *dev, int32_t ndim, const int64_t *shape,
                                  isc_dtype dtype, isc_tensor *out) {
  size_t bytes;
  void *data;
  *out = (isc_tensor){0};
  ISC_TRY(isc_shape_bytes(ndim, shape, &bytes));
  bytes = bytes / sizeof(float) * isc_dtype_size(dtype);
  ISC_TRY(dev->ops->alloc(dev->impl, bytes ? bytes : 1, &data));
  isc_status st = dev->ops->zero(dev->impl, data, bytes);
  if (st != ISC_OK) {
    dev->ops->free(dev->impl, data);
    return st;
  }
  out->ndim = ndim;
  out->dtype = dtype;
  memcpy(out->shape, shape, (size_t)ndim * sizeof *shape);
  out->data = data;
  return ISC_OK;
}

void isc_tensor_release(isc_device *dev, isc_tensor *t) {
  if (t->data) dev->ops->free(dev->impl, t->data);
  *t = (isc_tensor){0};
}
