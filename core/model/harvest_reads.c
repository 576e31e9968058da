/* SPDX-License-Identifier: Apache-2.0
 *
 * What the passes of a harvest find, on its way from the device to where the harvest wants it.
 *
 * One place on the device is enough for two passes: its copy to the host is in the device's order before the next pass
 * writes there. A find without room in it is waited for.
 */
#include "model/harvest_reads.h"
#include "base/base.h"
#include "model/sites_internal.h"
#include "tensor/optional.h"
#include <stdlib.h>
#include <string.h>

/* Bytes that a sequence's finds take at the places of sites [first, end) where one is wanted. */
static size_t bytes_of(const isc_harvest *h, int64_t first, int64_t end) {
  const isc_target_info *info = &h->target->info;
  const isc_site_set *s = h->sites;
  int64_t floats = 0, last = -1;
  for (int64_t i = first; i < end; i++) {
    if (!h->out[i]) continue;
    if (last < 0 || s->place[i] != s->place[last] || s->layer[i] != s->layer[last])
      floats += s->place[i] == ISC_HEADS ? info->n_head * info->d_head : info->d_model;
    last = i;
  }
  return (size_t)floats * sizeof(float);
}

/* Of the pass with the most: one goes through all layers, or through a layer. */
static size_t most_bytes(const isc_harvest *h) {
  const isc_site_set *s = h->sites;
  size_t most = 0;
  for (int64_t i = 0, end; i < s->n; i = end) {
    end = i + 1;
    while (end < s->n && (!h->target->info.by_layer || s->layer[end] == s->layer[i]))
      end++;
    const size_t bytes = bytes_of(h, i, end);
    most = bytes > most ? bytes : most;
  }
  return most;
}

isc_status isc_harvest_reads_open(const isc_harvest *h, isc_device *dev, int64_t most,
                                  isc_harvest_reads *r) {
  size_t bytes;
  void *memory;
  *r = (isc_harvest_reads){.h = h, .dev = dev};
  if (!isc_device_reads_later(dev)) return ISC_OK;
  ISC_TRY(isc_mul_size((size_t)most, most_bytes(h), "activations on their way", &bytes));
  if (bytes > ISC_HARVEST_TOGETHER) bytes = ISC_HARVEST_TOGETHER;
  ISC_TRY(isc_malloc(bytes, "activations on their way", &memory));
  r->here = memory;
  ISC_TRY(dev->ops->alloc(dev->impl, bytes, &r->there));
  r->room = bytes;
  return ISC_OK;
}

void isc_harvest_reads_close(isc_harvest_reads *r) {
  if (r->there) r->dev->ops->free(r->dev->impl, r->there);
  free(r->here);
  for (int i = 0; i < 2; i++)
    free(r->flight[i].find);
}

/* Every wanted site's part of values [f->n, width] on the host. */
static void deliver(const isc_harvest *h, const isc_harvest_flight *f, const isc_harvest_find *of,
                    const float *values) {
  for (int64_t k = of->first; k < of->first + of->n; k++) {
    const int64_t stored = h->sites->site[k].stored, column = isc_site_column(h->sites, k);
    for (int64_t i = 0; h->out[k] && i < f->n; i++)
      memcpy(h->out[k] + f->seq[i].text * stored, values + i * of->width + column,
             (size_t)stored * sizeof *values);
  }
}

/* What the pass before found. */
static isc_status land(isc_harvest_reads *r) {
  const isc_harvest_flight *f = &r->flight[!r->turn];
  if (!r->waiting) return ISC_OK;
  r->waiting = false;
  ISC_TRY(r->dev->ops->read_end(r->dev->impl, ISC_READ_HARVEST + !r->turn, r->here));
  for (int64_t i = 0; i < f->finds; i++)
    deliver(r->h, f, &f->find[i], (const float *)(const void *)(r->here + f->find[i].at));
  return ISC_OK;
}

void isc_harvest_reads_begin(isc_harvest_reads *r, const isc_sequence *seq, int64_t n) {
  isc_harvest_flight *f = &r->flight[r->turn];
  f->seq = seq;
  f->n = n;
  f->finds = 0;
  f->bytes = 0;
}

static isc_status take_now(isc_harvest_reads *r, isc_step *s, const isc_tensor *picked,
                           const isc_harvest_find *find, size_t bytes) {
  void *host;
  ISC_TRY(isc_step_host_alloc(s, bytes, &host));
  ISC_TRY(isc_tensor_download(s, picked, host));
  deliver(r->h, &r->flight[r->turn], find, host);
  return ISC_OK;
}

static isc_status need_find(isc_harvest_flight *f) {
  void *memory = f->find;
  const int64_t room = f->room ? 2 * f->room : 32;
  if (f->finds < f->room) return ISC_OK;
  ISC_TRY(isc_realloc(&memory, (size_t)room, sizeof *f->find, "activations on their way"));
  f->find = memory;
  f->room = room;
  return ISC_OK;
}

isc_status isc_harvest_reads_take(isc_harvest_reads *r, isc_step *s, const isc_tensor *picked,
                                  int64_t first, int64_t n_sites) {
  isc_harvest_flight *f = &r->flight[r->turn];
  const isc_harvest_find find = {first, n_sites, picked->shape[1], f->bytes};
  const size_t bytes = (size_t)isc_tensor_size(picked) * sizeof(float);
  if (bytes > r->room - f->bytes) return take_now(r, s, picked, &find, bytes);
  ISC_TRY(need_find(f));
  ISC_TRY(r->dev->ops->copy(r->dev->impl, (char *)r->there + f->bytes, picked->data, bytes));
  f->find[f->finds++] = find;
  f->bytes += bytes;
  return ISC_OK;
}

isc_status isc_harvest_reads_end(isc_harvest_reads *r) {
  const isc_harvest_flight *f = &r->flight[r->turn];
  if (f->finds == 0) return ISC_OK;
  ISC_TRY(r->dev->ops->read_begin(r->dev->impl, ISC_READ_HARVEST + r->turn, r->there, f->bytes));
  ISC_TRY(land(r));
  r->turn = !r->turn;
  r->waiting = true;
  return ISC_OK;
}

isc_status isc_harvest_reads_finish(isc_harvest_reads *r) {
  return land(r);
}
