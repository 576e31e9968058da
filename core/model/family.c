/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a model of a family: its files, its spec, its decoder and its tokenizer.
 *
 * Every tensor is found and its shape checked before the first is read, so that a wrong directory is told in
 * milliseconds and not after gigabytes.
 */
#include "model/family.h"
#include "base/base.h"
#include "model/decoder_internal.h"
#include "model/family_internal.h"
#include <stdlib.h>
#include <string.h>

const char *const isc_decoder_precisions[] = {"f32", "bf16", NULL};
const char *const isc_decoder_residents[] = {"all", "stream", NULL};
const char *const isc_decoder_bos[] = {"model", "always", "never", NULL};

enum { PRECISION_F32, PRECISION_BF16 };
enum { RESIDENT_ALL, RESIDENT_STREAM };

static isc_status check_type(const isc_decoder_family *f, const isc_json *config) {
  const char *type;
  isc_sb known = {0};
  ISC_TRY(isc_json_string_or(config, "model_type", "", &type));
  for (const char *const *t = f->model_types; *t; t++) {
    if (strcmp(type, *t) == 0) {
      isc_sb_free(&known);
      return ISC_OK;
    }
    isc_sb_addf(&known, "%s\"%s\"", known.len ? ", " : "", *t);
  }
  isc_status st = isc_fail(ISC_E_UNSUPPORTED, "%s: model_type is \"%s\", and this reads %s",
                           isc_json_path(config), type, known.s ? known.s : "others");
  isc_sb_free(&known);
  return st;
}

/* Rotary positions have no end; a table of learned ones is as long as it is. */
static isc_status set_longest(const isc_decoder_options *o, const isc_json *config,
                              isc_decoder_spec *s) {
  if (o->n_ctx == 0 || o->n_ctx == s->n_ctx) return ISC_OK;
  if (s->positions == ISC_LEARNED)
    return isc_fail(ISC_E_CONFIG,
                    "%s: n_ctx = %lld, and the model has a table of %lld positions; leave n_ctx 0",
                    isc_json_path(config), (long long)o->n_ctx, (long long)s->n_ctx);
  s->n_ctx = o->n_ctx;
  return ISC_OK;
}

static isc_status read_spec(const isc_decoder_family *f, const isc_decoder_options *o,
                            isc_family_files *files, isc_decoder_spec *s) {
  isc_json *config = isc_family_config(files);
  isc_weights *weights = isc_family_weights(files);
  *s = (isc_decoder_spec){.size = sizeof *s};
  ISC_TRY(check_type(f, config));
  ISC_TRY(f->spec(config, s));
  if (isc_weights_gguf(weights)) ISC_TRY(isc_family_gguf_rope(weights, s));
  ISC_TRY(set_longest(o, config, s));
  if (o->precision == PRECISION_BF16) s->weights = ISC_BF16;
  return isc_decoder_spec_check(s) == ISC_OK ? ISC_OK : isc_fail_in("%s", isc_json_path(config));
}

static isc_status open_resident(const isc_decoder_spec *spec, isc_family_files *files,
                                isc_device *dev, isc_decoder **out) {
  isc_status st = isc_decoder_new(dev, spec, out);
  if (st == ISC_OK) st = isc_family_load(files, *out);
  isc_family_files_close(files);
  if (st == ISC_OK) return ISC_OK;
  isc_decoder_free(*out);
  *out = NULL;
  return st;
}

static isc_status load_layer(void *files, isc_decoder *d, isc_params *set, int64_t layer,
                             const isc_param_way *way) {
  return isc_family_load_layer(files, d, set, layer, way);
}

static void close_files(void *files) {
  isc_family_files_close(files);
}

static isc_status open_streamed(const isc_decoder_spec *spec, isc_family_files *files,
                                isc_device *dev, isc_decoder **out) {
  const isc_layer_source source = {.user = files,
                                   .load = load_layer,
                                   .free = close_files,
                                   .piece = isc_param_piece(isc_family_weights(files))};
  ISC_TRY(isc_decoder_new_streamed(dev, spec, &source, out));
  isc_status st = isc_family_load_outside(files, *out);
  if (st == ISC_OK) return ISC_OK;
  isc_decoder_free(*out);
  *out = NULL;
  return st;
}

isc_status isc_family_open(const isc_decoder_family *given, const isc_decoder_options *o,
                           isc_family_files **files, isc_decoder_spec *spec) {
  isc_decoder_family f;
  ISC_TRY(
      isc_struct_read(given, "a family", ISC_SIZE_TO(isc_decoder_family, prefix), sizeof f, &f));
  ISC_TRY(isc_family_files_open(&f, o->path, files));
  isc_status st = read_spec(&f, o, *files, spec);
  if (st != ISC_OK) isc_family_files_close(*files);
  return st;
}

isc_status isc_decoder_family_spec(const isc_decoder_family *f, const isc_decoder_options *o,
                                   isc_decoder_spec *out) {
  isc_decoder_spec spec;
  isc_family_files *files;
  const size_t size = out->size < sizeof spec ? out->size : sizeof spec;
  if (size < ISC_SIZE_TO(isc_decoder_spec, untied_head))
    return isc_fail(ISC_E_USAGE, "%s: a decoder spec of %zu bytes; is its `size` set?", o->path,
                    size);
  ISC_TRY(isc_family_open(f, o, &files, &spec));
  isc_family_files_close(files);
  spec.size = size;
  memcpy(out, &spec, size);
  return ISC_OK;
}

isc_status isc_decoder_family_decoder(const isc_decoder_family *f, const isc_decoder_options *o,
                                      isc_device *dev, isc_decoder **out) {
  isc_decoder_spec spec;
  isc_family_files *files;
  *out = NULL;
  ISC_TRY(isc_family_open(f, o, &files, &spec));
  return o->resident == RESIDENT_STREAM ? open_streamed(&spec, files, dev, out)
                                        : open_resident(&spec, files, dev, out);
}

isc_status isc_decoder_family_tokenizer(const isc_decoder_options *o, isc_tokenizer **out) {
  ISC_TRY(isc_tokenizer_open(o->tokenizer ? o->tokenizer : o->path, out));
  const isc_status st = isc_tokenizer_set_bos(*out, (isc_bos_policy)o->bos);
  if (st == ISC_OK) return ISC_OK;
  isc_tokenizer_close(*out);
  *out = NULL;
  return st;
}

isc_status isc_decoder_family_open(const isc_decoder_family *f, const isc_decoder_options *o,
                                   isc_device *dev, void **self) {
  isc_decoder *decoder = NULL;
  isc_tokenizer *tokenizer = NULL;
  isc_status st = isc_decoder_family_decoder(f, o, dev, &decoder);
  if (st == ISC_OK) st = isc_decoder_family_tokenizer(o, &tokenizer);
  if (st == ISC_OK) return isc_decoder_target_new(decoder, tokenizer, o->path, self);
  isc_decoder_free(decoder);
  return st;
}
