/* SPDX-License-Identifier: Apache-2.0
 *
 * A decoder's parameters from the tensors of a family's files.
 *
 * A parameter is found by its row in the family's table; how its parts lie in the file and in memory follows from the two
 * layouts. A streamed decoder has the parameters of a layer or two, whatever layers they hold at the moment.
 */
#include "base/base.h"
#include "model/decoder_internal.h"
#include "model/family_internal.h"
#include "model/params_io.h"
#include <stdlib.h>
#include <string.h>

struct isc_family_files {
  isc_decoder_family family;
  isc_weights *weights;
  isc_json *config;
  bool paired; /* as isc_family_gguf_names says */
  bool checked;
};

enum { NAME_SIZE = 192 };

/* The config first, so that another family's model is told as such whatever else is wrong with it. */
static isc_status open_directory(isc_family_files *f, const char *path, const char *config) {
  ISC_TRY(isc_json_open(config, &f->config));
  return isc_weights_open(path, &f->weights);
}

/* What has no config.json is GGUF: the file itself, or the one in the directory. */
static isc_status open_gguf(isc_family_files *f, const char *path) {
  isc_status st = isc_weights_open(path, &f->weights);
  if (st == ISC_OK && isc_weights_gguf(f->weights)) return ISC_OK;
  if (st != ISC_OK && st != ISC_E_MISSING) return st;
  return isc_exists(path)
             ? isc_fail(ISC_E_MISSING, "%s: neither config.json nor a .gguf file is there", path)
             : isc_fail(ISC_E_MISSING, "%s: there is no such file or directory", path);
}

static isc_status open_all(isc_family_files *f, const char *path) {
  char *config;
  ISC_TRY(isc_path_join(path, "config.json", &config));
  isc_status st = isc_exists(config) ? open_directory(f, path, config) : open_gguf(f, path);
  free(config);
  ISC_TRY(st);
  const isc_gguf *g = isc_weights_gguf(f->weights);
  if (!g) return ISC_OK;
  if (f->config) isc_json_close(f->config);
  f->config = NULL;
  ISC_TRY(isc_family_gguf_names(g, &f->family, &f->paired));
  return isc_family_gguf_config(g, &f->config);
}

isc_status isc_family_files_open(const isc_decoder_family *family, const char *path,
                                 isc_family_files **out) {
  isc_status st = ISC_OK;
  isc_family_files *f = NULL;
  *out = NULL;
  ISC_GO(isc_calloc(1, sizeof *f, path, (void **)&f));
  f->family = *family;
  ISC_GO(open_all(f, path));
  *out = f;
  f = NULL;
done:
  isc_family_files_close(f);
  return st;
}

isc_status isc_model_type(const char *path, isc_text *out) {
  const isc_decoder_family any = {.size = sizeof any};
  isc_family_files *f;
  const char *type = NULL;
  ISC_TRY(isc_family_files_open(&any, path, &f));
  isc_status st = isc_json_string_or(f->config, "model_type", "", &type);
  if (st == ISC_OK && !*type)
    st = isc_fail(ISC_E_FORMAT, "%s: \"model_type\" is missing", isc_json_path(f->config));
  if (st == ISC_OK) st = isc_text_set(out, type, strlen(type));
  isc_family_files_close(f);
  return st;
}

void isc_family_files_close(isc_family_files *f) {
  if (!f) return;
  if (f->config) isc_json_close(f->config);
  isc_weights_close(f->weights);
  free(f);
}

isc_json *isc_family_config(isc_family_files *f) {
  return f->config;
}

isc_weights *isc_family_weights(isc_family_files *f) {
  return f->weights;
}

/* ---- names */

/* The layer in "h.3.ln_1.weight" and what follows; −1 and the whole name elsewhere. */
static int64_t layer_of(const char *name, const char **rest) {
  char *end;
  *rest = name;
  if (strncmp(name, "h.", 2) != 0) return -1;
  const long long layer = strtoll(name + 2, &end, 10);
  *rest = end + 1;
  return layer;
}

static isc_status find_row(const isc_family_files *f, const char *rest,
                           const isc_weight_name **out) {
  for (const isc_weight_name *n = f->family.names; n->parameter; n++)
    if (strcmp(n->parameter, rest) == 0) {
      *out = n;
      return ISC_OK;
    }
  return isc_fail(ISC_E_UNSUPPORTED,
                  "%s: the family's table of names has no row for the parameter \"%s\"",
                  isc_weights_path(f->weights), rest);
}

static void tensor_name(const isc_family_files *f, int64_t layer, const char *tensor,
                        char out[NAME_SIZE]) {
  char prefix[NAME_SIZE / 2] = "";
  const char *number = layer < 0 ? NULL : strstr(f->family.layer, "%d");
  if (number)
    snprintf(prefix, sizeof prefix, "%.*s%lld%s", (int)(number - f->family.layer), f->family.layer,
             (long long)layer, number + 2);
  snprintf(out, NAME_SIZE, "%s%s", prefix, tensor);
}

static isc_status find_tensor(const isc_family_files *f, int64_t layer, const char *tensor,
                              const isc_weight **out) {
  char name[NAME_SIZE], prefixed[2 * NAME_SIZE];
  tensor_name(f, layer, tensor, name);
  snprintf(prefixed, sizeof prefixed, "%s%s", f->family.prefix ? f->family.prefix : "", name);
  *out = isc_weights_find(f->weights, prefixed);
  if (!*out) *out = isc_weights_find(f->weights, name);
  if (*out) return ISC_OK;
  return isc_fail(ISC_E_MISSING, "%s: the model has no tensor \"%s\"", isc_weights_path(f->weights),
                  prefixed);
}

/* ---- a parameter's matrix in the file */

/* Does the parameter map rows to rows, and so lie one way or the other? */
static bool is_linear(const char *rest) {
  return strncmp(rest, "attn.c_", 7) == 0 || strncmp(rest, "mlp.c_", 6) == 0;
}

static isc_weight_layout layout_of(const isc_decoder_spec *s, const char *rest) {
  const bool out_in = s->out_in && strncmp(rest, "attn.c_proj.", 12) != 0;
  return out_in ? ISC_OUT_IN : ISC_IN_OUT;
}

/* Floats of part i of n along the side that is stacked, `all` long. */
static int64_t part_size(const isc_decoder_spec *s, const char *rest, int i, int n, int64_t all) {
  const int64_t kv = isc_spec_kv_heads(s) * s->d_head;
  if (n == 3 && strncmp(rest, "attn.c_attn.", 12) == 0) return i == 0 ? all - 2 * kv : kv;
  return all / n;
}

static isc_status describe(const isc_family_files *f, const isc_decoder_spec *s, const isc_param *q,
                           int64_t layer, isc_weight_matrix *m) {
  const char *rest;
  const isc_weight_name *row = NULL;
  layer_of(q->name, &rest);
  ISC_TRY(find_row(f, rest, &row));
  const bool matrix = q->value.ndim == 2, linear = matrix && is_linear(rest);
  const isc_weight_layout lies = layout_of(s, rest);
  const bool beside = linear && lies == ISC_IN_OUT;
  *m = (isc_weight_matrix){.name = q->name,
                           .rows = q->value.shape[0],
                           .cols = matrix ? q->value.shape[1] : 1,
                           .stack = beside ? ISC_STACK_COLUMNS : ISC_STACK_ROWS};
  while (m->n_parts < 3 && row->tensor[m->n_parts])
    m->n_parts++;
  for (int i = 0; i < m->n_parts; i++) {
    isc_weight_part *p = &m->part[i];
    ISC_TRY(find_tensor(f, layer, row->tensor[i], &p->tensor));
    p->rows = beside ? m->rows : part_size(s, rest, i, m->n_parts, m->rows);
    p->cols = beside ? part_size(s, rest, i, m->n_parts, m->cols) : m->cols;
    p->transposed = linear && lies != f->family.layout;
    p->offset = row->offset;
    if (f->paired && strncmp(rest, "attn.c_attn.", 12) == 0 && i < 2)
      p->rotary_heads = i ? isc_spec_kv_heads(s) : s->n_head;
  }
  return ISC_OK;
}

/* ---- loading */

static isc_status check_one(const isc_family_files *f, isc_decoder *d, const isc_param *q,
                            int64_t layer) {
  isc_weight_matrix m;
  ISC_TRY(describe(f, &d->spec, q, layer, &m));
  return isc_weights_check(f->weights, &m);
}

isc_status isc_family_check(isc_family_files *f, isc_decoder *d) {
  const char *rest;
  if (f->checked) return ISC_OK;
  for (int64_t i = 0; i < isc_params_count(d->params); i++) {
    const isc_param *q = isc_params_at(d->params, i);
    const int64_t layer = layer_of(q->name, &rest);
    const int64_t last = isc_decoder_is_streamed(d) && layer >= 0 ? d->spec.n_layer - 1 : layer;
    for (int64_t l = layer; l <= last; l++)
      ISC_TRY(check_one(f, d, q, l));
  }
  f->checked = true;
  return ISC_OK;
}

static isc_status load_one(isc_family_files *f, isc_decoder *d, isc_param *q, int64_t layer) {
  isc_weight_matrix m;
  ISC_TRY(describe(f, &d->spec, q, layer, &m));
  return isc_param_load(f->weights, &m, d->params, q);
}

static isc_status load_by(isc_family_files *f, const isc_decoder *d, isc_params *set, isc_param *q,
                          int64_t layer, const isc_param_way *way) {
  isc_weight_matrix m;
  const char *rest;
  ISC_TRY(describe(f, &d->spec, q, layer, &m));
  layer_of(q->name, &rest);
  if (isc_param_load_by(f->weights, &m, set, q, way) == ISC_OK) return ISC_OK;
  return isc_fail_in("%s of layer %lld", rest, (long long)layer);
}

isc_status isc_family_load(isc_family_files *f, isc_decoder *d) {
  const char *rest;
  ISC_TRY(isc_family_check(f, d));
  for (int64_t i = 0; i < isc_params_count(d->params); i++) {
    isc_param *q = isc_params_at(d->params, i);
    ISC_TRY(load_one(f, d, q, layer_of(q->name, &rest)));
  }
  return ISC_OK;
}

isc_status isc_family_load_outside(isc_family_files *f, isc_decoder *d) {
  const char *rest;
  ISC_TRY(isc_family_check(f, d));
  for (int64_t i = 0; i < isc_params_count(d->params); i++) {
    isc_param *q = isc_params_at(d->params, i);
    if (layer_of(q->name, &rest) < 0) ISC_TRY(load_one(f, d, q, -1));
  }
  return ISC_OK;
}

isc_status isc_family_load_layer(isc_family_files *f, const isc_decoder *d, isc_params *set,
                                 int64_t layer, const isc_param_way *way) {
  const char *rest;
  for (int64_t i = 0; i < isc_params_count(set); i++) {
    isc_param *q = isc_params_at(set, i);
    if (layer_of(q->name, &rest) >= 0) ISC_TRY(load_by(f, d, set, q, layer, way));
  }
  return ISC_OK;
}
