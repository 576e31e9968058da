/* SPDX-License-Identifier: Apache-2.0
 *
 * Token and position embeddings.
 *
 * Ids come from tokenizers and config files, so they are checked here, on the host, before any device
 * reads a table with them.
 */
#include "tensor/embed.h"
#include "tensor/internal.h"

typedef struct embedding {
  isc_tensor *wte, *wpe, *out; /* [vocab, d], [n_ctx, d] or NULL, [rows, d] */
  isc_embed args;
} embedding;

static isc_status embed_backward(isc_step *s, void *user) {
  embedding *v = user;
  v->args.dout = v->out->grad;
  ISC_TRY(isc_grad_of(s, v->wte, &v->args.dwte));
  ISC_TRY(isc_grad_of(s, v->wpe, &v->args.dwpe));
  return s->dev->ops->embed_grad(s->dev->impl, &v->args);
}

static isc_status check_ids(const char *what, const int32_t *id, int64_t n, int64_t limit) {
  for (int64_t i = 0; i < n; i++)
    if (id[i] < 0 || id[i] >= limit)
      return isc_fail(ISC_E_SHAPE, "embed: %s %d at row %lld is outside the table's %lld", what,
                      id[i], (long long)i, (long long)limit);
  return ISC_OK;
}

static isc_status check_tables(const isc_tensor *wte, const isc_tensor *wpe, const int32_t *pos,
                               int64_t rows) {
  if (!wpe != !pos) return isc_fail(ISC_E_USAGE, "embed: positions and their table come together");
  if (wte->ndim != 2 || (wpe && (wpe->ndim != 2 || wpe->shape[1] != wte->shape[1])))
    return isc_shape_misfit("embed", "wte [vocab, d]", wte, "wpe [n_ctx, d]", wpe ? wpe : wte);
  return wpe ? check_ids("position", pos, rows, wpe->shape[0]) : ISC_OK;
}

isc_status isc_op_embed(isc_step *s, isc_tensor *wte, isc_tensor *wpe, const int32_t *id,
                        const int32_t *pos, int64_t rows, isc_tensor **out) {
  return isc_op_embed_scaled(s, wte, wpe, 1, id, pos, rows, out);
}

isc_status isc_op_embed_there(isc_step *s, isc_tensor *wte, isc_tensor *wpe, double scale,
                              const int32_t *device_id, const int32_t *pos, int64_t rows,
                              isc_tensor **out) {
  isc_tensor *const inputs[] = {wte, wpe};
  void *places = NULL, *p;
  ISC_TRY(check_tables(wte, wpe, pos, rows));
  const int64_t shape[] = {rows, wte->shape[1]};
  ISC_TRY(isc_tensor_new(s, 2, shape, out));
  if (wpe) ISC_TRY(isc_step_upload(s, pos, (size_t)rows * sizeof *pos, &places));
  const isc_embed a = {.rows = rows,
                       .d = shape[1],
                       .id = device_id,
                       .pos = places,
                       .wte = wte->data,
                       .wpe = wpe ? wpe->data : NULL,
                       .out = (*out)->data,
                       .vocab = wte->shape[0],
                       .n_ctx = wpe ? wpe->shape[0] : 0,
                       .wte_dtype = (isc_dtype)wte->dtype,
                       .scale = scale == 1 ? 0 : (float)scale};
  ISC_TRY(s->dev->ops->embed(s->dev->impl, &a));
  if (!isc_tracks(s, inputs, 2)) return ISC_OK;
  const embedding v = {wte, wpe, *out, a};
  ISC_TRY(isc_step_keep(s, &v, sizeof v, &p));
  return isc_tape_record(s, inputs, 2, *out, embed_backward, p);
}

isc_status isc_op_embed_scaled(isc_step *s, isc_tensor *wte, isc_tensor *wpe, double scale,
                               const int32_t *id, const int32_t *pos, int64_t rows,
                               isc_tensor **out) {
  void *ids;
  ISC_TRY(check_tables(wte, wpe, pos, rows));
  ISC_TRY(check_ids("token", id, rows, wte->shape[0]));
  ISC_TRY(isc_step_upload(s, id, (size_t)rows * sizeof *id, &ids));
  return isc_op_embed_there(s, wte, wpe, scale, ids, pos, rows, out);
}
