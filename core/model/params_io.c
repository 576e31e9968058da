/* SPDX-License-Identifier: Apache-2.0
 *
 * Parameters to and from safetensors: weights alone, or a checkpoint with optimiser state.
 *
 * A resumed run must go on in the same bits, so everything AdamW carries is stored as it is. A
 * restore checks the whole file against the sets before it changes any of them.
 */
#include "model/params_io.h"
#include "base/base.h"
#include "tensor/params.h"
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 320, SHAPE_SIZE = 192 };

typedef enum content { WEIGHTS, CHECKPOINT } content;

static const char *shape_text(int32_t ndim, const int64_t *shape, char text[SHAPE_SIZE]) {
  size_t at = 0;
  text[at++] = '[';
  for (int32_t i = 0; i < ndim; i++)
    at +=
        (size_t)snprintf(text + at, SHAPE_SIZE - at, "%s%lld", i ? ", " : "", (long long)shape[i]);
  snprintf(text + at, SHAPE_SIZE - at, "]");
  return text;
}

isc_status isc_param_check_shape(const char *where, const isc_param *q, const isc_st_tensor *t) {
  const isc_tensor *want = &q->value;
  char got[SHAPE_SIZE], wanted[SHAPE_SIZE];
  bool same = t->ndim == want->ndim;
  for (int32_t i = 0; same && i < want->ndim; i++)
    same = t->shape[i] == want->shape[i];
  if (same) return ISC_OK;
  return isc_fail(ISC_E_SHAPE, "%s: tensor \"%s\" has shape %s, and the model needs %s", where,
                  t->name, shape_text(t->ndim, t->shape, got),
                  shape_text(want->ndim, want->shape, wanted));
}

/* ---- writing */

typedef struct sets {
  isc_params *const *set;
  const char *const *prefix;
  int64_t n;
} sets;

static isc_status full_name(const char *prefix, const isc_param *q, const char *suffix,
                            char out[NAME_SIZE]) {
  int n = snprintf(out, NAME_SIZE, "%s%s%s", prefix, q->name, suffix);
  if (n >= 0 && n < NAME_SIZE) return ISC_OK;
  return isc_fail(ISC_E_USAGE, "parameter \"%s\": the name is too long to store", q->name);
}

static bool has_moments(const isc_param *q) {
  return q->m && q->v;
}

static isc_status declare(isc_st_writer *w, const char *prefix, const isc_param *q,
                          const char *suffix, isc_dtype dtype) {
  char name[NAME_SIZE];
  ISC_TRY(full_name(prefix, q, suffix, name));
  return isc_st_writer_declare(w, name, dtype == ISC_BF16 ? ISC_ST_BF16 : ISC_ST_F32, q->value.ndim,
                               q->value.shape);
}

static isc_status declare_steps(isc_st_writer *w, const char *prefix, const isc_param *q) {
  char name[NAME_SIZE];
  const int64_t one = 1;
  ISC_TRY(full_name(prefix, q, "#steps", name));
  return isc_st_writer_declare(w, name, ISC_ST_I64, 1, &one);
}

static isc_status write_moments(isc_st_writer *w, isc_params *set, const isc_param *q) {
  const int64_t n = isc_tensor_size(&q->value);
  ISC_TRY(isc_param_download(w, set, q->m, n, ISC_F32));
  return isc_param_download(w, set, q->v, n, ISC_F32);
}

/* What is done with each parameter, in the one order that declaring and writing share. */
typedef isc_status (*visit_fn)(isc_st_writer *w, isc_params *set, const char *prefix,
                               const isc_param *q);

static isc_status visit_steps_declare(isc_st_writer *w, isc_params *set, const char *prefix,
                                      const isc_param *q) {
  (void)set;
  return has_moments(q) ? declare_steps(w, prefix, q) : ISC_OK;
}

static isc_status visit_steps_write(isc_st_writer *w, isc_params *set, const char *prefix,
                                    const isc_param *q) {
  (void)set, (void)prefix;
  return has_moments(q) ? isc_st_writer_data(w, &q->steps, sizeof q->steps) : ISC_OK;
}

static isc_status visit_value_declare(isc_st_writer *w, isc_params *set, const char *prefix,
                                      const isc_param *q) {
  (void)set;
  return declare(w, prefix, q, "", (isc_dtype)q->value.dtype);
}

static isc_status visit_value_write(isc_st_writer *w, isc_params *set, const char *prefix,
                                    const isc_param *q) {
  (void)prefix;
  return isc_param_write(w, set, q);
}

static isc_status visit_moments_declare(isc_st_writer *w, isc_params *set, const char *prefix,
                                        const isc_param *q) {
  (void)set;
  if (!has_moments(q)) return ISC_OK;
  ISC_TRY(declare(w, prefix, q, "#m", ISC_F32));
  return declare(w, prefix, q, "#v", ISC_F32);
}

static isc_status visit_moments_write(isc_st_writer *w, isc_params *set, const char *prefix,
                                      const isc_param *q) {
  (void)prefix;
  return has_moments(q) ? write_moments(w, set, q) : ISC_OK;
}

static isc_status visit(isc_st_writer *w, const sets *s, visit_fn fn) {
  for (int64_t i = 0; i < s->n; i++)
    for (int64_t k = 0; k < isc_params_count(s->set[i]); k++)
      ISC_TRY(fn(w, s->set[i], s->prefix[i], isc_params_at(s->set[i], k)));
  return ISC_OK;
}

/* The 8-byte counts come first, so that every tensor is aligned in the file. */
static isc_status write_sets(isc_st_writer *w, const sets *s, content what) {
  if (what == CHECKPOINT) ISC_TRY(visit(w, s, visit_steps_declare));
  ISC_TRY(visit(w, s, visit_value_declare));
  if (what == CHECKPOINT) ISC_TRY(visit(w, s, visit_moments_declare));
  if (what == CHECKPOINT) ISC_TRY(visit(w, s, visit_steps_write));
  ISC_TRY(visit(w, s, visit_value_write));
  return what == CHECKPOINT ? visit(w, s, visit_moments_write) : ISC_OK;
}

static isc_status write_file(const char *path, const sets *s, const isc_meta *meta, int64_t n_meta,
                             content what) {
  isc_status st = ISC_OK;
  isc_st_writer *w = NULL, *finished;
  ISC_GO(isc_st_writer_new(path, &w));
  for (int64_t i = 0; i < n_meta; i++)
    ISC_GO(isc_st_writer_metadata(w, meta[i].key, meta[i].value));
  ISC_GO(write_sets(w, s, what));
  finished = w;
  w = NULL; /* committing frees it, also on failure */
  ISC_GO(isc_st_writer_commit(finished));
done:
  if (w) isc_st_writer_abandon(w);
  return st;
}

isc_status isc_params_save(const char *path, isc_params *const *set, const char *const *prefix,
                           int64_t n, const isc_meta *meta, int64_t n_meta) {
  return write_file(path, &(sets){set, prefix, n}, meta, n_meta, WEIGHTS);
}

isc_status isc_params_checkpoint(const char *path, isc_params *const *set,
                                 const char *const *prefix, int64_t n, const isc_meta *meta,
                                 int64_t n_meta) {
  return write_file(path, &(sets){set, prefix, n}, meta, n_meta, CHECKPOINT);
}

/* ---- reading */

/* A parameter's tensors in the file. */
typedef struct stored {
  const isc_st_tensor *value, *m, *v, *steps; /* the last three: all or none */
  int64_t updates;                            /* what `steps` says            */
} stored;

static isc_status find_part(const isc_safetensors *f, const char *prefix, const isc_param *q,
                            const char *suffix, const isc_st_tensor **out) {
  char name[NAME_SIZE];
  ISC_TRY(full_name(prefix, q, suffix, name));
  *out = isc_st_find(f, name);
  return ISC_OK;
}

static isc_status find_stored(const isc_safetensors *f, const char *path, const char *prefix,
                              const isc_param *q, stored *out) {
  ISC_TRY(find_part(f, prefix, q, "", &out->value));
  ISC_TRY(find_part(f, prefix, q, "#m", &out->m));
  ISC_TRY(find_part(f, prefix, q, "#v", &out->v));
  ISC_TRY(find_part(f, prefix, q, "#steps", &out->steps));
  if (!out->value)
    return isc_fail(ISC_E_MISSING, "%s: tensor \"%s%s\" is not in the file", path, prefix, q->name);
  ISC_TRY(isc_param_check_shape(path, q, out->value));
  if (!out->m && !out->v && !out->steps) return ISC_OK;
  if (!out->m || !out->v || !out->steps || out->steps->elements != 1)
    return isc_fail(ISC_E_FORMAT, "%s: the optimiser state of \"%s%s\" is not whole", path, prefix,
                    q->name);
  ISC_TRY(isc_param_check_shape(path, q, out->m));
  ISC_TRY(isc_param_check_shape(path, q, out->v));
  ISC_TRY(isc_st_read_i64(f, out->steps, 0, 1, &out->updates));
  if (out->updates >= 0) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: \"%s%s\" has had %lld updates", path, prefix, q->name,
                  (long long)out->updates);
}

static isc_status restore_moments(const isc_safetensors *f, const stored *from, isc_params *set,
                                  isc_param *q) {
  if (!from->m) return isc_param_set_moments(set, q, 0, NULL, NULL);
  ISC_TRY(isc_param_need_moments(set, q));
  ISC_TRY(isc_param_upload(f, from->m, set, q->m, ISC_F32));
  ISC_TRY(isc_param_upload(f, from->v, set, q->v, ISC_F32));
  q->steps = from->updates;
  return ISC_OK;
}

typedef enum pass { CHECK, FILL } pass;

static isc_status restore_sets(const isc_safetensors *f, const char *path, const sets *s,
                               pass what) {
  stored from;
  for (int64_t i = 0; i < s->n; i++)
    for (int64_t k = 0; k < isc_params_count(s->set[i]); k++) {
      isc_param *q = isc_params_at(s->set[i], k);
      ISC_TRY(find_stored(f, path, s->prefix[i], q, &from));
      if (what == CHECK) continue;
      ISC_TRY(isc_param_read(f, from.value, s->set[i], q));
      ISC_TRY(restore_moments(f, &from, s->set[i], q));
    }
  return ISC_OK;
}

static isc_status restore_meta(const isc_safetensors *f, const char *path, isc_meta *meta,
                               int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const char *value = isc_st_metadata(f, meta[i].key);
    if (!value) continue;
    if (strlen(value) >= sizeof meta[i].value)
      return isc_fail(ISC_E_FORMAT, "%s: metadata \"%s\" is longer than %zu bytes", path,
                      meta[i].key, sizeof meta[i].value - 1);
    memcpy(meta[i].value, value, strlen(value) + 1);
  }
  return ISC_OK;
}

isc_status isc_params_restore(const char *path, isc_params *const *set, const char *const *prefix,
                              int64_t n, isc_meta *meta, int64_t n_meta) {
  isc_status st = ISC_OK;
  isc_safetensors *f = NULL;
  sets s = {set, prefix, n};
  ISC_GO(isc_st_open(path, &f));
  ISC_GO(restore_sets(f, path, &s, CHECK));
  ISC_GO(restore_meta(f, path, meta, n_meta));
  ISC_GO(restore_sets(f, path, &s, FILL));
done:
  if (f) isc_st_close(f);
  return st;
}

/* ---- one set, as methods keep it */

static const char *const NO_PREFIX[] = {""};

isc_status isc_params_write(isc_params *p, const char *dir, const char *name) {
  char *path = NULL;
  ISC_TRY(isc_path_join(dir, name, &path));
  isc_status st = isc_params_save(path, &p, NO_PREFIX, 1, NULL, 0);
  free(path);
  return st;
}

isc_status isc_params_read(isc_params *p, const char *dir, const char *name) {
  char *path = NULL;
  ISC_TRY(isc_path_join(dir, name, &path));
  isc_status st = isc_params_restore(path, &p, NO_PREFIX, 1, NULL, 0);
  free(path);
  return st;
}
