/* SPDX-License-Identifier: Apache-2.0
 *
 * A decoder's weights from a model directory, and to one.
 *
 * The file is a stranger's: every tensor is found and its shape compared before anything is read,
 * and both shapes are in the message when they differ.
 */
#include "base/base.h"
#include "model/decoder_internal.h"
#include "model/params_io.h"
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 256 };

typedef struct loader {
  const char *dir;
  isc_safetensors *file;
  isc_rename_fn rename;
  void *user;
} loader;

/* Hugging Face prefixes a model's own names when it sits below a head; a bare model has none. */
static isc_status find_tensor(const loader *l, const char *canonical, const isc_st_tensor **out) {
  char name[NAME_SIZE], prefixed[NAME_SIZE + 16];
  if (l->rename)
    l->rename(l->user, canonical, name, sizeof name);
  else
    snprintf(name, sizeof name, "%s", canonical);
  snprintf(prefixed, sizeof prefixed, "transformer.%s", name);
  *out = isc_st_find(l->file, name);
  if (!*out) *out = isc_st_find(l->file, prefixed);
  if (*out) return ISC_OK;
  return isc_fail(ISC_E_MISSING, "%s: tensor \"%s\" is not in the model's safetensors (nor \"%s\")",
                  l->dir, name, prefixed);
}

/* All shapes, before any data. */
static isc_status check_all(isc_decoder *d, const loader *l) {
  const isc_st_tensor *t;
  for (int64_t i = 0; i < isc_params_count(d->params); i++) {
    const isc_param *q = isc_params_at(d->params, i);
    ISC_TRY(find_tensor(l, q->name, &t));
    ISC_TRY(isc_param_check_shape(l->dir, q, t));
  }
  return ISC_OK;
}

static isc_status read_all(isc_decoder *d, const loader *l) {
  const isc_st_tensor *t;
  for (int64_t i = 0; i < isc_params_count(d->params); i++) {
    isc_param *q = isc_params_at(d->params, i);
    if (isc_cancelled())
      return isc_fail(ISC_E_INTERRUPTED, "%s: loading was stopped on request", l->dir);
    ISC_TRY(find_tensor(l, q->name, &t));
    ISC_TRY(isc_param_read(l->file, t, d->params, q));
  }
  return ISC_OK;
}

isc_status isc_decoder_load(isc_decoder *d, const char *dir, isc_rename_fn rename, void *user) {
  isc_status st = ISC_OK;
  loader l = {.dir = dir, .rename = rename, .user = user};
  ISC_GO(isc_st_open(dir, &l.file));
  ISC_GO(check_all(d, &l));
  ISC_GO(read_all(d, &l));
done:
  if (l.file) isc_st_close(l.file);
  return st;
}

/* The name in a Hugging Face file: everything but the head sits below "transformer.". */
static void file_name(const isc_param *q, char out[NAME_SIZE]) {
  bool head = strncmp(q->name, "lm_head.", 8) == 0;
  snprintf(out, NAME_SIZE, "%s%s", head ? "" : "transformer.", q->name);
}

static isc_status write_weights(isc_decoder *d, isc_st_writer *w) {
  char name[NAME_SIZE];
  int64_t n = isc_params_count(d->params);
  ISC_TRY(isc_st_writer_metadata(w, "format", "pt")); /* transformers refuses a file without it */
  for (int64_t i = 0; i < n; i++) {
    const isc_param *q = isc_params_at(d->params, i);
    file_name(q, name);
    ISC_TRY(isc_st_writer_declare(w, name, ISC_ST_F32, q->value.ndim, q->value.shape));
  }
  for (int64_t i = 0; i < n; i++)
    ISC_TRY(isc_param_write(w, d->params, isc_params_at(d->params, i)));
  return ISC_OK;
}

static isc_status save_weights(isc_decoder *d, const char *dir) {
  isc_status st = ISC_OK;
  isc_st_writer *w = NULL;
  char *path = NULL;
  ISC_GO(isc_path_join(dir, "model.safetensors", &path));
  ISC_GO(isc_st_writer_new(path, &w));
  ISC_GO(write_weights(d, w));
  isc_st_writer *finished = w;
  w = NULL; /* committing frees it, also on failure */
  ISC_GO(isc_st_writer_commit(finished));
done:
  if (w) isc_st_writer_abandon(w);
  free(path);
  return st;
}

/* Weights first: a directory whose config.json is there has a whole model. */
isc_status isc_decoder_save(isc_decoder *d, const char *dir, int32_t bos, int32_t eos) {
  ISC_TRY(isc_decoder_config_fits(&d->spec, dir));
  ISC_TRY(isc_mkdirs(dir));
  ISC_TRY(save_weights(d, dir));
  return isc_decoder_config_write(&d->spec, dir, bos, eos);
}
