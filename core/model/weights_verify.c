/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at every value of a model once, and hashing its files.
 *
 * A model with one NaN gives NaN everywhere, and a damaged download may still load: this tells before a study starts.
 */
#include "model/weights_internal.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static isc_status check_bytes(const isc_weight *t) {
  int64_t n = 1;
  bool over = false;
  const int64_t block = isc_weight_block_elements(t->dtype);
  for (int32_t i = 0; i < t->ndim; i++)
    over |= t->shape[i] < 0 || __builtin_mul_overflow(n, t->shape[i], &n);
  if (!over && n == t->elements && n % block == 0 &&
      (t->dtype == ISC_WEIGHT_INTEGER ||
       (uint64_t)(n / block) * (uint64_t)isc_weight_block_bytes(t->dtype) == t->bytes))
    return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\": its shape does not have its %" PRIu64 " bytes",
                  t->file->path, t->name, t->bytes);
}

static void look(isc_weight_finding *f, const float *x, int64_t n, int64_t at, bool *any) {
  for (int64_t i = 0; i < n; i++) {
    if (isfinite(x[i])) {
      if (!*any || x[i] < f->least) f->least = x[i];
      if (!*any || x[i] > f->greatest) f->greatest = x[i];
      *any = true;
      continue;
    }
    if (f->first < 0) f->first = at + i;
    if (isnan(x[i]))
      f->nan++;
    else
      f->infinite++;
  }
}

static isc_status stopped(const isc_weights *w) {
  if (!isc_cancelled()) return ISC_OK;
  return isc_fail(ISC_E_INTERRUPTED, "%s: verifying was stopped on request", w->path);
}

static isc_status examine(isc_weights *w, const isc_weight *t, isc_weight_finding *f) {
  bool any = false;
  *f = (isc_weight_finding){.tensor = t, .first = -1};
  ISC_TRY(check_bytes(t));
  for (int64_t at = 0; t->dtype != ISC_WEIGHT_INTEGER && at < t->elements; at += ISC_WEIGHT_TILE) {
    int64_t n = t->elements - at < ISC_WEIGHT_TILE ? t->elements - at : ISC_WEIGHT_TILE;
    ISC_TRY(stopped(w));
    ISC_TRY(isc_weights_read(w, t, at, n, ISC_F32, w->tile));
    look(f, w->tile, n, at, &any);
  }
  return ISC_OK;
}

static isc_status hash(isc_weights *w, const isc_input *in, char hex[33]) {
  isc_status st = ISC_OK;
  isc_hash h = {0};
  ISC_GO(isc_hash_begin(&h));
  for (uint64_t at = 0, n; at < in->size; at += n) {
    n = in->size - at < ISC_WEIGHT_RAW ? in->size - at : ISC_WEIGHT_RAW;
    ISC_GO(stopped(w));
    ISC_GO(isc_input_read(in, at, w->raw, (size_t)n));
    isc_hash_add(&h, w->raw, (size_t)n);
  }
  isc_digest_hex(isc_hash_end(&h), hex);
done:
  isc_hash_end(&h);
  return st;
}

static isc_status visit_files(isc_weights *w, const isc_weights_visitor *v) {
  char hex[33];
  const int64_t n = w->gguf ? 1 : isc_st_files(w->safetensors);
  for (int64_t i = 0; i < n; i++) {
    const isc_input *in = w->gguf ? isc_gguf_file(w->gguf) : isc_st_file(w->safetensors, i);
    ISC_TRY(hash(w, in, hex));
    if (v && v->file) ISC_TRY(v->file(v->user, in->path, in->size, hex));
  }
  return ISC_OK;
}

isc_status isc_weights_verify(isc_weights *w, const isc_weights_visitor *v) {
  isc_weight_finding f, worst = {.first = -1};
  int64_t bad = 0;
  ISC_TRY(isc_weights_stage(w));
  for (int64_t i = 0; i < w->n; i++) {
    ISC_TRY(examine(w, &w->tensor[i], &f));
    if (v && v->tensor) ISC_TRY(v->tensor(v->user, &f));
    if (f.first < 0) continue;
    if (bad++ == 0) worst = f;
  }
  ISC_TRY(visit_files(w, v));
  if (bad == 0) return ISC_OK;
  return isc_fail(
      ISC_E_NUMERIC,
      "%s: tensor \"%s\" has %" PRId64 " NaN and %" PRId64
      " infinite values, the first at element %" PRId64 "; %" PRId64 " tensors are not finite",
      worst.tensor->file->path, worst.tensor->name, worst.nan, worst.infinite, worst.first, bad);
}
