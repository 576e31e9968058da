/* SPDX-License-Identifier: Apache-2.0
 *
 * Parameters: named tensors that outlive a step, their gradients and their AdamW moments.
 *
 * A parameter is initialised from the hash of its name, so adding or reordering parameters changes no
 * other's initial values.
 */
#include "tensor/params.h"
#include "base/base.h"
#include "base/half.h"
#include "tensor/internal.h"
#include <inversescope/rng.h>
#include <stdlib.h>
#include <string.h>

uint64_t isc_param_hash(const char *name) {
  uint64_t h = 0xCBF29CE484222325u;
  for (; *name; name++)
    h = (h ^ (unsigned char)*name) * 0x100000001B3u;
  return h;
}

isc_status isc_params_new(isc_device *dev, isc_params **out) {
  void *p;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof **out, "a set of parameters", &p));
  *out = p;
  (*out)->dev = dev;
  return ISC_OK;
}

static void device_free(isc_device *dev, void *at) {
  if (at) dev->ops->free(dev->impl, at);
}

static void param_free(isc_device *dev, isc_param *q) {
  device_free(dev, q->value.data);
  device_free(dev, q->value.grad);
  device_free(dev, q->m);
  device_free(dev, q->v);
  device_free(dev, q->rounded);
  free(q->name);
  free(q);
}

void isc_params_free(isc_params *p) {
  if (!p) return;
  for (int64_t i = 0; i < p->count; i++)
    param_free(p->dev, p->at[i]);
  free(p->at);
  free(p->hash);
  free(p->update);
  free(p->list);
  device_free(p->dev, p->norms);
  for (int64_t i = 0; i < ISC_READS; i++)
    isc_later_step_free(&p->later[i]);
  free(p);
}

static isc_status make_room(isc_params *p) {
  if (p->count < p->capacity) return ISC_OK;
  size_t capacity = p->capacity ? 2 * (size_t)p->capacity : 64;
  void *at = p->at, *hash = p->hash, *update = p->update, *list = p->list;
  isc_status st = isc_realloc(&at, capacity, sizeof *p->at, "the list of parameters");
  p->at = at;
  if (st == ISC_OK) st = isc_realloc(&hash, capacity, sizeof *p->hash, "the list of parameters");
  p->hash = hash;
  if (st == ISC_OK) st = isc_realloc(&update, capacity, sizeof *p->update, "the list of updates");
  p->update = update;
  if (st == ISC_OK) st = isc_realloc(&list, capacity, sizeof *p->list, "the list of updates");
  p->list = list;
  if (st == ISC_OK) p->capacity = (int64_t)capacity;
  return st;
}

isc_status isc_params_add(isc_params *p, const char *name, int32_t ndim, const int64_t *shape,
                          int32_t group, isc_param **out) {
  return isc_params_add_typed(p, name, ndim, shape, group, ISC_F32, out);
}

isc_status isc_params_add_typed(isc_params *p, const char *name, int32_t ndim, const int64_t *shape,
                                int32_t group, isc_dtype dtype, isc_param **out) {
  isc_status st;
  void *mem;
  isc_param *q = NULL;
  *out = NULL;
  if (group < 0 || group >= ISC_PARAM_GROUPS)
    return isc_fail(ISC_E_USAGE, "parameter \"%s\": group %d is not one of the %d of an optimizer",
                    name, group, ISC_PARAM_GROUPS);
  if (isc_params_find(p, name))
    return isc_fail(ISC_E_USAGE, "parameter \"%s\": there is one already", name);
  ISC_TRY(make_room(p));
  ISC_TRY(isc_calloc(1, sizeof *q, "a parameter", &mem));
  q = mem;
  ISC_GO(isc_strdup(name, &q->name));
  ISC_GO(isc_tensor_alloc_typed(p->dev, ndim, shape, dtype, &q->value));
  q->value.param = q;
  q->group = group;
  p->hash[p->count] = isc_param_hash(name);
  p->at[p->count++] = q;
  *out = q;
  return ISC_OK;
done:
  param_free(p->dev, q);
  return isc_fail_in("parameter \"%s\"", name);
}

isc_param *isc_params_find(isc_params *p, const char *name) {
  uint64_t hash = isc_param_hash(name);
  for (int64_t i = 0; i < p->count; i++)
    if (p->hash[i] == hash && !strcmp(p->at[i]->name, name)) return p->at[i];
  return NULL;
}

int64_t isc_params_count(const isc_params *p) {
  return p->count;
}

isc_param *isc_params_at(isc_params *p, int64_t i) {
  return i >= 0 && i < p->count ? p->at[i] : NULL;
}

int64_t isc_params_elements(const isc_params *p) {
  int64_t n = 0;
  for (int64_t i = 0; i < p->count; i++)
    n += isc_tensor_size(&p->at[i]->value);
  return n;
}

void isc_params_train(isc_params *p, bool on) {
  for (int64_t i = 0; i < p->count; i++)
    p->at[i]->value.needs_grad = on && p->at[i]->value.dtype == ISC_F32;
}

isc_status isc_params_zero_grad(isc_params *p) {
  for (int64_t i = 0; i < p->count; i++)
    p->at[i]->touched = p->at[i]->value.grad_written = false;
  return ISC_OK;
}

static size_t bytes_of(const isc_param *q) {
  return (size_t)isc_tensor_size(&q->value) * sizeof(float);
}

static isc_status upload(isc_params *p, float *to, const float *host, size_t bytes) {
  return bytes ? p->dev->ops->upload(p->dev->impl, to, host, bytes) : ISC_OK;
}

static isc_status download(isc_params *p, const float *from, float *host, size_t bytes) {
  return bytes ? p->dev->ops->download(p->dev->impl, host, from, bytes) : ISC_OK;
}

/* ---- values, piece by piece so that a large parameter needs no second copy */

enum { PIECE = 1 << 16 }; /* even: normals come in pairs */

static isc_status check_span(const isc_param *q, int64_t first, int64_t n) {
  const int64_t size = isc_tensor_size(&q->value);
  if (first >= 0 && n >= 0 && first <= size && n <= size - first) return ISC_OK;
  return isc_fail(ISC_E_SHAPE, "parameter \"%s\" of %lld elements has no [%lld, +%lld)", q->name,
                  (long long)size, (long long)first, (long long)n);
}

static size_t element_size(const isc_param *q) {
  return isc_dtype_size((isc_dtype)q->value.dtype);
}

isc_status isc_param_set_some(isc_params *p, isc_param *q, int64_t first, int64_t n,
                              const float *host) {
  ISC_TRY(check_span(q, first, n));
  isc_param_changed(q);
  uint16_t *half;
  void *mem;
  float *at = (float *)(void *)((char *)q->value.data + (size_t)first * element_size(q));
  if (q->value.dtype == ISC_F32) return upload(p, at, host, (size_t)n * sizeof *host);
  const int64_t piece = n < PIECE ? n : PIECE;
  isc_status st = ISC_OK;
  ISC_TRY(isc_malloc((size_t)piece * sizeof *half, "a parameter in bf16", &mem));
  half = mem;
  for (int64_t i = 0; i < n && st == ISC_OK; i += piece) {
    const int64_t count = n - i < piece ? n - i : piece;
    for (int64_t k = 0; k < count; k++)
      half[k] = isc_bf16_of_f32(host[i + k]);
    st = p->dev->ops->upload(p->dev->impl, (uint16_t *)(void *)at + i, half,
                             (size_t)count * sizeof *half);
  }
  free(half);
  return st;
}

isc_status isc_param_set(isc_params *p, isc_param *q, const float *host) {
  return isc_param_set_some(p, q, 0, isc_tensor_size(&q->value), host);
}

isc_status isc_param_get_some(isc_params *p, const isc_param *q, int64_t first, int64_t n,
                              float *host) {
  ISC_TRY(check_span(q, first, n));
  const char *from = (const char *)q->value.data + (size_t)first * element_size(q);
  if (n == 0) return ISC_OK;
  if (q->value.dtype == ISC_F32)
    return p->dev->ops->download(p->dev->impl, host, from, (size_t)n * sizeof *host);
  /* into the second half of the room, then widened from the front */
  char *half = (char *)host + (size_t)n * sizeof(uint16_t);
  ISC_TRY(p->dev->ops->download(p->dev->impl, half, from, (size_t)n * sizeof(uint16_t)));
  for (int64_t i = 0; i < n; i++) {
    uint16_t bits;
    memcpy(&bits, half + (size_t)i * sizeof bits, sizeof bits);
    host[i] = isc_f32_of_bf16(bits);
  }
  return ISC_OK;
}

isc_status isc_param_get(isc_params *p, const isc_param *q, float *host) {
  return isc_param_get_some(p, q, 0, isc_tensor_size(&q->value), host);
}

/* ---- initial values */

isc_status isc_param_init_normal(isc_params *p, isc_param *q, uint64_t seed, double std) {
  isc_rng r = isc_rng_at(seed, ISC_RNG_INIT, isc_param_hash(q->name));
  int64_t n = isc_tensor_size(&q->value);
  isc_status st = ISC_OK;
  void *mem;
  if (p->dev->paper) return ISC_OK; /* a plan of a large model would wait for its numbers */
  ISC_TRY(isc_malloc(PIECE * sizeof(float), "initial values", &mem));
  float *host = mem;
  for (int64_t at = 0; at < n && st == ISC_OK; at += PIECE) {
    int64_t count = n - at < PIECE ? n - at : PIECE;
    isc_rng_normals(&r, host, count);
    for (int64_t i = 0; i < count; i++)
      host[i] = (float)(host[i] * std);
    st = isc_param_set_some(p, q, at, count, host);
  }
  free(host);
  return st;
}

isc_status isc_param_fill(isc_params *p, isc_param *q, float x) {
  int64_t n = isc_tensor_size(&q->value), piece = n < PIECE ? n : PIECE;
  isc_status st = ISC_OK;
  void *mem;
  ISC_TRY(isc_malloc((size_t)piece * sizeof(float), "initial values", &mem));
  float *host = mem;
  for (int64_t i = 0; i < piece; i++)
    host[i] = x;
  for (int64_t at = 0; at < n && st == ISC_OK; at += piece)
    st = isc_param_set_some(p, q, at, n - at < piece ? n - at : piece, host);
  free(host);
  return st;
}

/* ---- AdamW's state */

static isc_status need_zeros(isc_params *p, size_t bytes, float **at) {
  void *mem;
  if (*at) return ISC_OK;
  ISC_TRY(p->dev->ops->alloc(p->dev->impl, bytes ? bytes : 1, &mem));
  *at = mem;
  isc_status st = p->dev->ops->zero(p->dev->impl, mem, bytes);
  if (st == ISC_OK) return ISC_OK;
  device_free(p->dev, mem);
  *at = NULL;
  return st;
}

isc_status isc_param_need_moments(isc_params *p, isc_param *q) {
  ISC_TRY(need_zeros(p, bytes_of(q), &q->m));
  return need_zeros(p, bytes_of(q), &q->v);
}

isc_status isc_param_get_moments(isc_params *p, const isc_param *q, float *m, float *v) {
  if (!q->m || !q->v) {
    memset(m, 0, bytes_of(q));
    memset(v, 0, bytes_of(q));
    return ISC_OK;
  }
  ISC_TRY(download(p, q->m, m, bytes_of(q)));
  return download(p, q->v, v, bytes_of(q));
}

isc_status isc_param_set_moments(isc_params *p, isc_param *q, int64_t steps, const float *m,
                                 const float *v) {
  if (!m != !v || steps < 0)
    return isc_fail(ISC_E_USAGE, "parameter \"%s\": moments come in pairs, after 0 or more updates",
                    q->name);
  if (!m) {
    device_free(p->dev, q->m);
    device_free(p->dev, q->v);
    q->m = q->v = NULL;
    q->steps = 0;
    return ISC_OK;
  }
  ISC_TRY(isc_param_need_moments(p, q));
  ISC_TRY(upload(p, q->m, m, bytes_of(q)));
  ISC_TRY(upload(p, q->v, v, bytes_of(q)));
  q->steps = steps;
  return ISC_OK;
}
