/* SPDX-License-Identifier: Apache-2.0
 *
 * One forward pass that replaces activations at some sites and captures them at others.
 *
 * A head is patched in its factor: what the rest of the model sees is the map of the new factor. A
 * capture is taken after the patch: it is what flows on.
 */
#include "model/sites_internal.h"
#include <string.h>

typedef struct patching {
  const isc_site_set *sites;
  const isc_decoder_input *in;
  const isc_patch *patch;
  int64_t n_patch;
  float *const *captures;
} patching;

static bool wants_site(const patching *p, int64_t site) {
  if (p->captures && p->captures[site]) return true;
  for (int64_t i = 0; i < p->n_patch; i++)
    if (p->patch[i].site == site) return true;
  return false;
}

static bool wants(void *user, isc_place place, int64_t layer) {
  const patching *p = user;
  int64_t first, n = isc_sites_at(p->sites, place, layer, &first);
  for (int64_t i = 0; i < n; i++)
    if (wants_site(p, first + i)) return true;
  return false;
}

/* In x [rows, width] the values at one site and one position per sequence become the patch's. */
static isc_status overwrite(const patching *p, isc_device *dev, const isc_patch *patch,
                            isc_tensor *x) {
  int64_t stored = p->sites->site[patch->site].stored,
          column = isc_site_column(p->sites, patch->site);
  for (int64_t b = 0; b < p->in->batch; b++) {
    float *at = x->data + (b * p->in->len + patch->pos[b]) * x->shape[1] + column;
    ISC_TRY(
        dev->ops->upload(dev->impl, at, patch->value + b * stored, (size_t)stored * sizeof *at));
  }
  return ISC_OK;
}

/* A copy of x with the patches of sites [first, first + n); x itself when there are none. */
static isc_status apply(const patching *p, isc_step *s, int64_t first, int64_t n, isc_tensor *x,
                        isc_tensor **out) {
  isc_device *dev = isc_step_device(s);
  *out = x;
  for (int64_t i = 0; i < p->n_patch; i++) {
    if (p->patch[i].site < first || p->patch[i].site >= first + n) continue;
    if (*out == x) {
      ISC_TRY(isc_tensor_new(s, x->ndim, x->shape, out));
      size_t bytes = (size_t)isc_tensor_size(x) * sizeof(float);
      ISC_TRY(dev->ops->copy(dev->impl, (*out)->data, x->data, bytes));
    }
    ISC_TRY(overwrite(p, dev, &p->patch[i], *out));
  }
  return ISC_OK;
}

static void keep(const patching *p, int64_t site, const float *x, int64_t width) {
  int64_t stored = p->sites->site[site].stored, column = isc_site_column(p->sites, site);
  for (int64_t r = 0; r < p->in->batch * p->in->len; r++)
    memcpy(p->captures[site] + r * stored, x + r * width + column, (size_t)stored * sizeof *x);
}

static isc_status capture(const patching *p, isc_step *s, int64_t first, int64_t n,
                          const isc_tensor *x) {
  void *host = NULL;
  for (int64_t i = first; p->captures && i < first + n; i++) {
    if (!p->captures[i]) continue;
    if (!host) {
      ISC_TRY(isc_step_host_alloc(s, (size_t)isc_tensor_size(x) * sizeof(float), &host));
      ISC_TRY(isc_tensor_download(s, x, host));
    }
    keep(p, i, host, x->shape[1]);
  }
  return ISC_OK;
}

static isc_status at(void *user, isc_step *s, isc_place place, int64_t layer, isc_tensor *x,
                     isc_tensor **out) {
  const patching *p = user;
  int64_t first, n = isc_sites_at(p->sites, place, layer, &first);
  ISC_TRY(isc_sites_check_tensor(p->sites, first, n, p->in->batch * p->in->len, x));
  ISC_TRY(apply(p, s, first, n, x, out));
  return capture(p, s, first, n, *out);
}

static isc_status check_patch(const patching *p, const isc_patch *patch) {
  if (patch->site < 0 || patch->site >= p->sites->n)
    return isc_fail(ISC_E_USAGE, "a patch names site %lld of %lld", (long long)patch->site,
                    (long long)p->sites->n);
  for (int64_t b = 0; b < p->in->batch; b++)
    if (patch->pos[b] < 0 || patch->pos[b] >= p->in->len)
      return isc_fail(ISC_E_SHAPE, "site %s: position %lld is patched in a sequence of %lld tokens",
                      p->sites->site[patch->site].name, (long long)patch->pos[b],
                      (long long)p->in->len);
  return ISC_OK;
}

isc_status isc_forward_patched(const isc_target *t, const isc_site_set *sites, isc_step *s,
                               const isc_decoder_input *in, const isc_patch *patch, int64_t n_patch,
                               float *const *captures, isc_tensor **hidden) {
  patching p = {sites, in, patch, n_patch, captures};
  isc_taps taps = {.size = sizeof taps,
                   .user = &p,
                   .wants = wants,
                   .at = at,
                   .transient = true,
                   .stop_layer = hidden ? -1 : sites->last_layer,
                   .stop_place = sites->last_place};
  isc_tensor *unused;
  if (isc_tape_on(s)) return isc_fail(ISC_E_USAGE, "a patched forward pass has no gradient");
  for (int64_t i = 0; i < n_patch; i++)
    ISC_TRY(check_patch(&p, &patch[i]));
  return t->ops->forward(t->self, s, in, &taps, hidden ? hidden : &unused);
}
