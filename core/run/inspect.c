/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at a model without loading it.
 */
#include "run/inspect.h"

#include "model/tokenizer_parts.h"
#include "run/plan.h"

#include <stdlib.h>
#include <string.h>

void isc_inspection_free(isc_inspection *i) {
  free(i->problem);
  free(i->bos_token);
  free(i->eos_token);
  *i = (isc_inspection){0};
}

/* ---- tensors */

static void add_tensor(isc_inspection *out, const isc_weight *t) {
  int64_t i = 0;
  while (i < out->n_types && strcmp(out->type[i].type, t->type) != 0)
    i++;
  if (i == ISC_INSPECT_TYPES) i--; /* no format has so many */
  if (i == out->n_types)
    snprintf(out->type[out->n_types++].type, sizeof out->type->type, "%s", t->type);
  out->type[i].tensors++;
  out->type[i].elements += (double)t->elements;
  out->type[i].bytes += (double)t->bytes;
  out->tensors++;
  out->bytes += (double)t->bytes;
}

static isc_status look_at_files(const char *path, isc_inspection *out) {
  isc_weights *w;
  ISC_TRY(isc_weights_open(path, &w));
  for (int64_t i = 0; i < isc_weights_count(w); i++)
    add_tensor(out, isc_weights_at(w, i));
  isc_weights_close(w);
  return ISC_OK;
}

/* ---- the tokenizer */

static isc_status copy_token(const isc_tokenizer *t, int32_t id, char **out) {
  const char *token = isc_tokenizer_token(t, id);
  return token ? isc_strdup(token, out) : ISC_OK;
}

static isc_status look_at_tokenizer(const isc_tokenizer *t, isc_inspection *out) {
  static const char *const kinds[] = {[ISC_WORD_LEVEL] = "words",
                                      [ISC_BYTE_BPE] = "byte-level BPE",
                                      [ISC_CHAR_BPE] = "BPE over characters",
                                      [ISC_SENTENCEPIECE] = "SentencePiece"};
  int32_t first = -1;
  int64_t n = 0;
  out->tokenizer = kinds[t->model];
  out->ids = isc_tokenizer_vocab(t);
  out->bos = isc_tokenizer_bos(t);
  out->eos = isc_tokenizer_eos(t);
  ISC_TRY(copy_token(t, out->bos, &out->bos_token));
  ISC_TRY(copy_token(t, out->eos, &out->eos_token));
  /* A text of nothing is what is put around texts. */
  if (isc_tokenizer_encode(t, "", 0, &first, 1, &n) != ISC_OK)
    return isc_strdup(isc_error(), &out->problem);
  out->begins = n > 0 && first == out->bos && out->bos >= 0;
  return ISC_OK;
}

isc_status isc_inspect(const isc_model *m, isc_inspection *out) {
  const isc_decoder_family *family;
  const isc_decoder_options *options;
  isc_tokenizer *t;
  *out = (isc_inspection){.bos = -1, .eos = -1};
  ISC_TRY(isc_target_plan(m->cls, m->conf, m->device, &out->plan));
  isc_target_family(m->cls, m->conf, &family, &options);
  ISC_TRY(look_at_files(options->path, out));
  isc_status st = isc_decoder_family_tokenizer(options, &t);
  if (st == ISC_E_NOMEM) return st;
  if (st != ISC_OK) return isc_strdup(isc_error(), &out->problem);
  st = look_at_tokenizer(t, out);
  isc_tokenizer_close(t);
  return st;
}
