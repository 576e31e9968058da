/* SPDX-License-Identifier: Apache-2.0
 *
 * The generator as the decoding of a backbone that the control layers' tap steers.
 *
 * Keys and values of the control layers are made once for each row, and gathered when rows leave.
 */
#include "method/sampler.h"
#include "base/base.h"
#include <inversescope/decoding.h>
#include <stdlib.h>
#include <string.h>

typedef struct conditions {
  const isc_sampler *sp;
  const isc_invert *req;
  isc_control_condition *first, *now; /* [n_layer]: of the rows at first, and of those left */
  isc_control_tap tap;
} conditions;

/* Scaled activations of the rows, zero beyond their site's dim, and where each site's rows start. */
static void fill(const conditions *c, const int64_t *row, int64_t n, float *z /* [n, d_z] */,
                 int64_t *start /* [n_sites + 1] */) {
  const isc_control_layers *l = c->sp->control;
  for (int64_t i = 0; i < n; i++, z += l->d_z) {
    const int64_t g = c->req->site[row[i]];
    start[g + 1]++;
    for (int64_t k = 0; k < l->site_dim[g]; k++)
      z[k] = c->req->z[row[i]][k] * l->host_scale[g];
  }
  for (int64_t g = 0; g < l->spec.n_sites; g++)
    start[g + 1] += start[g];
}

static isc_status begin(void *user, isc_step *s, const int64_t *row, int64_t n,
                        isc_kv_prefix *prefix) {
  conditions *c = user;
  isc_control_layers *l = c->sp->control;
  const int64_t shape[] = {n, l->d_z};
  size_t floats = (size_t)(n * l->d_z) * sizeof(float),
         starts = (size_t)(l->spec.n_sites + 1) * sizeof(int64_t);
  void *host, *start;
  isc_tensor *z;
  (void)prefix;
  ISC_TRY(isc_step_host_alloc(s, floats, &host));
  ISC_TRY(isc_step_host_alloc(s, starts, &start));
  memset(host, 0, floats);
  memset(start, 0, starts);
  fill(c, row, n, host, start);
  ISC_TRY(isc_tensor_from(s, 2, shape, host, &z));
  ISC_TRY(isc_control_layers_condition(l, s, z, start, c->first));
  memcpy(c->now, c->first, (size_t)l->spec.n_layer * sizeof *c->now);
  return ISC_OK;
}

static isc_status gather(isc_step *s, isc_tensor *x, const int64_t *left, int64_t n,
                         isc_tensor **out) {
  int64_t width = x->ndim == 3 ? x->shape[1] * x->shape[2] : x->shape[1];
  const int64_t flat[] = {x->shape[0], width}, shape[] = {n, x->shape[1], x->shape[2]};
  ISC_TRY(isc_tensor_reshape(s, x, 2, flat, out));
  ISC_TRY(isc_op_gather(s, *out, left, n, out));
  return isc_tensor_reshape(s, *out, x->ndim, shape, out);
}

static isc_status select_rows(void *user, isc_step *s, const int64_t *left, int64_t n) {
  conditions *c = user;
  for (int64_t i = 0; i < c->sp->control->spec.n_layer; i++) {
    ISC_TRY(gather(s, c->first[i].u, left, n, &c->now[i].u));
    ISC_TRY(gather(s, c->first[i].v, left, n, &c->now[i].v));
    ISC_TRY(gather(s, c->first[i].c, left, n, &c->now[i].c));
  }
  return ISC_OK;
}

static isc_status check_sites(const isc_sampler *sp, const isc_invert *q) {
  for (int64_t i = 0; i < q->n; i++)
    if (q->site[i] < 0 || q->site[i] >= sp->control->spec.n_sites)
      return isc_fail(ISC_E_USAGE, "sampling: row %lld asks for site %lld of %lld", (long long)i,
                      (long long)q->site[i], (long long)sp->control->spec.n_sites);
  return ISC_OK;
}

static isc_status steered(const isc_sampler *sp, const isc_invert *req, isc_decoding *d) {
  isc_status st = ISC_OK;
  conditions c = {.sp = sp, .req = req};
  const size_t layers = (size_t)sp->control->spec.n_layer;
  ISC_TRY(check_sites(sp, req));
  ISC_GO(isc_calloc(layers, sizeof *c.first, "sampling", (void **)&c.first));
  ISC_GO(isc_calloc(layers, sizeof *c.now, "sampling", (void **)&c.now));
  c.tap = (isc_control_tap){.layers = sp->control, .cond = c.now};
  const isc_taps taps = isc_control_taps(&c.tap);
  d->user = &c;
  d->begin = begin;
  d->select = select_rows;
  d->taps = &taps;
  st = isc_decode(d, req);
done:
  free(c.first);
  free(c.now);
  return st;
}

isc_status isc_sampler_run(const isc_sampler *sp, const isc_invert *req) {
  const int32_t eos = isc_tokenizer_eos(sp->tokenizer);
  isc_decoding d = {.size = sizeof d,
                    .device = sp->device,
                    .decoder = sp->decoder,
                    .tokenizer = sp->tokenizer,
                    .bos = eos,
                    .eos = eos,
                    .max_tokens = sp->max_tokens,
                    .product = sp->product};
  return sp->control ? steered(sp, req, &d) : isc_decode(&d, req);
}
