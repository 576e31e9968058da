/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers of a streamed decoder come and go.
 *
 * When layer l is needed, all that was asked of the device for the layer before is in its queue: the lane is told to follow
 * that, and what comes after l is read into the other set. The host waits for the device nowhere but in the lane's own
 * memory. Which layer comes next is what came next the last time, so a pass that stops early is followed as well; a guess that
 * was wrong is dropped.
 */
#include "base/base.h"
#include "model/decoder_internal.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

int64_t isc_layers_held(const isc_decoder_spec *spec, const isc_device *dev) {
  return dev && spec->n_layer > 1 && isc_device_has_lanes(dev) ? 2 : 1;
}

/* ---- the life of a stream */

/* Bytes of the longest row of a parameter: the least that is uploaded at a time. */
static size_t longest_row(isc_params *p) {
  size_t most = 1;
  for (int64_t i = 0; i < isc_params_count(p); i++) {
    const isc_tensor *t = &isc_params_at(p, i)->value;
    const size_t row = (size_t)(t->ndim == 2 ? t->shape[1] : 1) *
                       (t->dtype == ISC_BF16 ? sizeof(uint16_t) : sizeof(float));
    if (row > most) most = row;
  }
  return most;
}

isc_status isc_layer_stream_open(isc_decoder *d) {
  isc_layer_stream *s = &d->stream;
  const int64_t n = d->spec.n_layer;
  s->holds[0] = s->holds[1] = -1;
  s->reader.d = d;
  if (!s->second) return ISC_OK;
  ISC_TRY(isc_calloc((size_t)n, sizeof *s->next, "the order of layers", (void **)&s->next));
  for (int64_t l = 0; l < n; l++)
    s->next[l] = l + 1 < n ? l + 1 : -1;
  return isc_lane_open(d->dev, longest_row(s->second), s->source.piece, &s->lane);
}

/* The thread's status; the layer is in its set if that is ISC_OK. */
static isc_status end_reading(isc_layer_stream *s) {
  isc_layer_reader *r = &s->reader;
  pthread_join(r->thread, NULL);
  r->runs = false;
  if (r->status == ISC_OK) s->holds[r->set] = r->layer;
  return r->status;
}

static void drop_reading(isc_layer_stream *s) {
  if (!s->reader.runs) return;
  atomic_store(&s->reader.stop, true);
  end_reading(s);
}

void isc_layer_stream_close(isc_decoder *d) {
  isc_layer_stream *s = &d->stream;
  drop_reading(s);
  isc_lane_close(&s->lane);
  if (s->source.free) s->source.free(s->source.user);
  if (s->second) isc_params_free(s->second);
  free(s->next);
}

/* ---- reading */

static isc_status read_layer(isc_layer_reader *r) {
  isc_layer_stream *s = &r->d->stream;
  const isc_param_way way = {.lane = &s->lane, .stop = &r->stop};
  return s->source.load(s->source.user, r->d, r->set ? s->second : r->d->params, r->layer, &way);
}

static void *read_in_thread(void *reader) {
  isc_layer_reader *r = reader;
  r->status = read_layer(r);
  if (r->status != ISC_OK) snprintf(r->error, sizeof r->error, "%s", isc_error());
  return NULL;
}

/* The set's memory may be overwritten once the device has done what it was asked for so far. */
static isc_status prepare(isc_layer_stream *s, int set, int64_t layer) {
  s->holds[set] = -1;
  s->reader.set = set;
  s->reader.layer = layer;
  atomic_store(&s->reader.stop, false);
  return isc_lane_follow(&s->lane);
}

/* Without a thread to have, the layer is read when it is needed. */
static isc_status read_ahead(isc_layer_stream *s, int set, int64_t layer) {
  isc_layer_reader *r = &s->reader;
  sigset_t all, before; /* signals are for the program's own threads */
  if (layer < 0 || s->holds[0] == layer || s->holds[1] == layer) return ISC_OK;
  ISC_TRY(prepare(s, set, layer));
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  r->runs = pthread_create(&r->thread, NULL, read_in_thread, r) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return ISC_OK;
}

/* The set holds the layer, for what is asked of the device from here on. */
static isc_status bring(isc_layer_stream *s, int set, int64_t layer) {
  isc_layer_reader *r = &s->reader;
  if (r->runs && r->layer == layer) {
    const isc_status st = end_reading(s);
    if (st != ISC_OK) return isc_fail(st, "%s", r->error);
  }
  drop_reading(s);
  if (s->holds[set] != layer) {
    ISC_TRY(prepare(s, set, layer));
    ISC_TRY(read_layer(r));
    s->holds[set] = layer;
  }
  return isc_lane_join(&s->lane);
}

/* ---- needing */

static isc_status turn_to(isc_decoder *d, int64_t layer) {
  isc_layer_stream *s = &d->stream;
  const int other = s->now ^ 1;
  const int64_t before = s->holds[s->now];
  ISC_TRY(bring(s, other, layer));
  d->layer[layer] = s->set[other];
  if (before >= 0) s->next[before] = layer;
  s->now = other;
  return read_ahead(s, other ^ 1, s->next[layer]);
}

static isc_status load_in_place(isc_decoder *d, int64_t layer) {
  isc_layer_stream *s = &d->stream;
  s->holds[0] = -1; /* until all of the layer is there */
  ISC_TRY(s->source.load(s->source.user, d, d->params, layer, &(isc_param_way){0}));
  s->holds[0] = layer;
  return ISC_OK;
}

isc_status isc_decoder_need_layer(isc_decoder *d, int64_t layer) {
  const isc_layer_stream *s = &d->stream;
  if (!s->source.load || s->holds[s->now] == layer) return ISC_OK;
  return s->second ? turn_to(d, layer) : load_in_place(d, layer);
}

isc_param *isc_layer_stream_param(isc_decoder *d, isc_param *q) {
  isc_param *in_second = d->stream.now ? isc_params_find(d->stream.second, q->name) : NULL;
  return in_second ? in_second : q;
}
