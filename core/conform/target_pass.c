/* SPDX-License-Identifier: Apache-2.0
 *
 * One forward pass with a tap everywhere, and its rows compared with another's.
 */
#include "conform/target_use.h"
#include <inversescope/tensor.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- names */

int64_t isc_pass_entry(isc_place place, int64_t layer) {
  return layer * ISC_PLACE_COUNT + place;
}

int64_t isc_pass_hidden(const isc_subject *s) {
  return s->target.info.n_layer * ISC_PLACE_COUNT;
}

int64_t isc_pass_logits(const isc_subject *s) {
  return isc_pass_hidden(s) + 1;
}

const char *isc_pass_name(const isc_subject *s, int64_t entry) {
  static const char *const places[] = {"resid_pre", "heads",   "attn_out",
                                       "resid_mid", "mlp_out", "resid_post"};
  static char text[4][48];
  static int slot;
  if (entry == isc_pass_hidden(s)) return "hidden";
  if (entry == isc_pass_logits(s)) return "logits";
  slot = (slot + 1) % 4;
  snprintf(text[slot], sizeof text[slot], "%s.%lld", places[entry % ISC_PLACE_COUNT],
           (long long)(entry / ISC_PLACE_COUNT));
  return text[slot];
}

/* ---- recording */

typedef struct recorder {
  isc_subject *s;
  const isc_pass_request *request;
  isc_pass *pass;
} recorder;

static int64_t width_of(const isc_subject *s, int64_t entry) {
  const isc_target_info *i = &s->target.info;
  if (entry == isc_pass_logits(s)) return i->vocab;
  return entry < isc_pass_hidden(s) && entry % ISC_PLACE_COUNT == ISC_HEADS ? i->n_head * i->d_head
                                                                            : i->d_model;
}

/* Any grouping of the right number of elements is taken; that it is not the declared one is remembered. */
static isc_status keep(isc_subject *s, isc_pass *p, int64_t entry, int64_t rows,
                       const isc_tensor *x) {
  int64_t width = width_of(s, entry), size = rows * width;
  if (isc_tensor_size(x) != size)
    return isc_fail(ISC_E_SHAPE, "%s has %lld elements; [%lld, %lld] is declared",
                    isc_pass_name(s, entry), (long long)isc_tensor_size(x), (long long)rows,
                    (long long)width);
  if ((x->ndim != 2 || x->shape[0] != rows || x->shape[1] != width) && p->odd_ndim < 0)
    p->odd_ndim = entry;
  p->width[entry] = width;
  if (!p->at[entry])
    ISC_TRY(isc_malloc((size_t)size * sizeof(float), "an activation", (void **)&p->at[entry]));
  return isc_tensor_download(s->step, x, p->at[entry]);
}

/* x with a random vector of its row's size added at one position, or a plain copy; `host` [rows, width] is x. */
static isc_status replace(const recorder *r, int64_t entry, const isc_tensor *x, const float *host,
                          isc_tensor **out) {
  int64_t size = isc_tensor_size(x), width = r->pass->width[entry];
  void *memory;
  ISC_TRY(isc_step_host_alloc(r->s->step, (size_t)size * sizeof(float), &memory));
  float *copy = memcpy(memory, host, (size_t)size * sizeof(float));
  if (r->request->patching == ISC_PATCH_SHIFT) {
    float *row = copy + r->request->patch_position * width;
    double most = 0;
    isc_rng rng = isc_rng_at(r->s->c->seed, ISC_RNG_USER + 79, (uint64_t)entry);
    for (int64_t i = 0; i < width; i++)
      most = fmax(most, fabs((double)row[i]));
    for (int64_t i = 0; i < width; i++)
      row[i] += (float)((most + 1e-3) * isc_rng_normal(&rng));
  }
  return isc_tensor_from(r->s->step, x->ndim, x->shape, copy, out);
}

/* One for each sequence where only its last position is asked for. */
static int64_t rows_at(const recorder *r, isc_place place, int64_t layer) {
  const isc_pass_request *q = r->request;
  return q->last && layer == q->stop_layer && place >= ISC_HEADS ? q->batch : r->pass->rows;
}

static bool patched_here(const isc_pass_request *q, isc_place place, int64_t layer) {
  if (q->patching == ISC_PATCH_SHIFT) return q->patch_place == place && q->patch_layer == layer;
  return q->patching == ISC_PATCH_SELF;
}

static isc_status at_place(void *user, isc_step *step, isc_place place, int64_t layer,
                           isc_tensor *x, isc_tensor **out) {
  recorder *r = user;
  isc_pass *p = r->pass;
  (void)step;
  *out = x;
  if ((int)place < 0 || place >= ISC_PLACE_COUNT || layer < 0 ||
      layer >= r->s->target.info.n_layer) {
    p->qkv++;
    return ISC_OK;
  }
  int64_t entry = isc_pass_entry(place, layer);
  if (p->offered[entry]++ == 0) p->order[p->n_offered] = entry;
  p->n_offered += p->offered[entry] == 1;
  ISC_TRY(keep(r->s, p, entry, rows_at(r, place, layer), x));
  return patched_here(r->request, place, layer) ? replace(r, entry, x, p->at[entry], out) : ISC_OK;
}

static bool wants_one(void *user, isc_place place, int64_t layer) {
  const isc_pass_request *q = ((recorder *)user)->request;
  return place == q->wanted_place && layer == q->wanted_layer;
}

/* ---- running */

static isc_status make(isc_subject *s, const isc_pass_request *r, isc_pass *out) {
  int64_t rows = r->lens ? 0 : r->batch * r->len;
  for (int64_t i = 0; r->lens && i < r->batch; i++)
    rows += r->lens[i];
  *out = (isc_pass){.rows = rows, .entries = isc_pass_logits(s) + 1, .odd_ndim = -1};
  size_t n = (size_t)out->entries;
  ISC_TRY(isc_calloc(n, sizeof *out->at, "a pass", (void **)&out->at));
  ISC_TRY(isc_calloc(n, sizeof *out->width, "a pass", (void **)&out->width));
  ISC_TRY(isc_calloc(n, sizeof *out->offered, "a pass", (void **)&out->offered));
  return isc_calloc(n, sizeof *out->order, "a pass", (void **)&out->order);
}

static isc_status finish(isc_subject *s, isc_pass *out, isc_tensor *hidden) {
  isc_tensor *logits = NULL;
  if (!hidden) return ISC_OK;
  ISC_TRY(keep(s, out, isc_pass_hidden(s), out->rows, hidden));
  ISC_TRY(s->target.ops->logits(s->target.self, s->step, hidden, &logits));
  if (!logits) return isc_fail(ISC_E_INTERNAL, "logits gave success and no tensor");
  return keep(s, out, isc_pass_logits(s), out->rows, logits);
}

isc_status isc_pass_run(isc_subject *s, const isc_pass_request *r, isc_pass *out) {
  recorder rec = {s, r, out};
  isc_taps taps = {.size = sizeof taps,
                   .user = &rec,
                   .wants = r->selects ? wants_one : NULL,
                   .at = at_place,
                   .stop_layer = r->stops ? r->stop_layer : -1,
                   .stop_place = r->stop_place,
                   .transient = r->transient};
  isc_decoder_input in = {.size = sizeof in,
                          .batch = r->batch,
                          .len = r->len,
                          .ids = r->ids,
                          .cache = r->cache,
                          .lens = r->lens,
                          .last = r->last};
  isc_tensor *hidden = NULL;
  isc_status st = make(s, r, out);
  if (st == ISC_OK)
    st = s->target.ops->forward(s->target.self, s->step, &in, r->untapped ? NULL : &taps, &hidden);
  if (st == ISC_OK) st = finish(s, out, hidden);
  isc_step_reset(s->step);
  return st;
}

isc_status isc_pass_plain(isc_subject *s, const int32_t *ids, int64_t batch, int64_t len,
                          isc_pass *out) {
  return isc_pass_run(s, &(isc_pass_request){.ids = ids, .batch = batch, .len = len}, out);
}

void isc_pass_free(isc_pass *p) {
  for (int64_t i = 0; p->at && i < p->entries; i++)
    free(p->at[i]);
  free(p->at);
  free(p->width);
  free(p->offered);
  free(p->order);
  *p = (isc_pass){0};
}

/* ---- comparing */

static isc_status agree_entry(const isc_subject *s, const isc_pass *a, int64_t i, const isc_pass *b,
                              int64_t j, int64_t entry, double tolerance, const char *what) {
  int64_t width = a->width[entry];
  const float *x = a->at[entry] + i * width, *y = b->at[entry] + j * width;
  double most = 0;
  if (memcmp(x, y, (size_t)width * sizeof *x) == 0) return ISC_OK;
  for (int64_t e = 0; e < width; e++)
    most = fmax(most, fmax(fabs((double)x[e]), fabs((double)y[e])));
  for (int64_t e = 0; e < width; e++)
    if (tolerance == 0 ? memcmp(x + e, y + e, sizeof *x) != 0
                       : !(fabs((double)x[e] - (double)y[e]) <= tolerance * most))
      return isc_fail(ISC_E_INTERNAL, "%s: %s, row %lld, element %lld: %.9g and %.9g", what,
                      isc_pass_name(s, entry), (long long)i, (long long)e, (double)x[e],
                      (double)y[e]);
  return ISC_OK;
}

isc_status isc_pass_agree(const isc_subject *s, const isc_pass *a, int64_t i, const isc_pass *b,
                          int64_t j, int64_t first, int64_t end, double tolerance,
                          const char *what) {
  for (int64_t e = first; e < end; e++) {
    if (!a->at[e] && !b->at[e]) continue;
    if (!a->at[e] || !b->at[e])
      return isc_fail(ISC_E_INTERNAL, "%s: %s came in the %s pass only", what, isc_pass_name(s, e),
                      a->at[e] ? "first" : "second");
    ISC_TRY(agree_entry(s, a, i, b, j, e, tolerance, what));
  }
  return ISC_OK;
}

isc_status isc_pass_same(const isc_subject *s, const isc_pass *a, const isc_pass *b,
                         double tolerance, const char *what) {
  for (int64_t i = 0; i < a->rows; i++)
    ISC_TRY(isc_pass_agree(s, a, i, b, i, 0, a->entries, tolerance, what));
  return ISC_OK;
}
