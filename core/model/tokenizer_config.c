/* SPDX-License-Identifier: Apache-2.0
 *
 * tokenizer_config.json, special_tokens_map.json and config.json: the first that names the token which begins or ends a
 * text decides.
 *
 * transformers 4 let add_bos_token change the post-processor of some classes, transformers 5 passes over it where
 * there is a tokenizer.json. So a contradiction between the two is an error once a text is encoded, unless
 * isc_tokenizer_set_bos has said what holds: a BOS too many or too few is the sort of mistake that nobody sees.
 */
#include "model/tokenizer_config.h"
#include "model/json_doc.h"
#include <stdlib.h>
#include <string.h>

static const char END_OF_TEXT[] = "<|endoftext|>";

/* Open dir/name if it is there, else *out is NULL. */
static isc_status open_optional(const char *dir, const char *name, isc_json **out) {
  char *path;
  *out = NULL;
  ISC_TRY(isc_path_join(dir, name, &path));
  isc_status st = isc_exists(path) ? isc_json_open(path, out) : ISC_OK;
  free(path);
  return st;
}

/* A switch as true, false, or absent. */
typedef enum isc_switch { ISC_SWITCH_ABSENT, ISC_SWITCH_OFF, ISC_SWITCH_ON } isc_switch;

static isc_status read_switch(const char *dir, const char *key, isc_switch *out) {
  isc_json *j;
  json_t *v = NULL;
  *out = ISC_SWITCH_ABSENT;
  ISC_TRY(open_optional(dir, "tokenizer_config.json", &j));
  if (!j) return ISC_OK;
  isc_status st = isc_json_child_or_null(j, j->root, "", key, JSON_TRUE, &v);
  if (v) *out = json_is_true(v) ? ISC_SWITCH_ON : ISC_SWITCH_OFF;
  isc_json_close(j);
  return st;
}

isc_status isc_config_flag(const char *dir, const char *key, bool fallback, bool *out) {
  isc_switch s;
  ISC_TRY(read_switch(dir, key, &s));
  *out = s == ISC_SWITCH_ABSENT ? fallback : s == ISC_SWITCH_ON;
  return ISC_OK;
}

/* ---- which tokens */

/* A token named as "x" or {"content": "x"}. */
static void take_name(const isc_tokenizer *t, const isc_json *j, const char *key, int32_t *id) {
  const json_t *v = json_object_get(j->root, key);
  if (json_is_object(v)) v = json_object_get(v, "content");
  if (*id < 0 && json_is_string(v))
    *id = isc_tokenizer_id(t, json_string_value(v), json_string_length(v));
}

/* A token given by id or as a list of which the first counts. Ids that this vocabulary lacks are a
 * model family's defaults and mean nothing here. */
static void take_id(const isc_tokenizer *t, const isc_json *j, const char *key, int32_t *id) {
  const json_t *v = json_object_get(j->root, key);
  if (json_is_array(v)) v = json_array_get(v, 0);
  json_int_t i = json_integer_value(v);
  if (*id < 0 && json_is_integer(v) && i >= 0 && i < t->vocab && t->token[i]) *id = (int32_t)i;
}

static isc_status read_named(const isc_tokenizer *t, const char *dir, int32_t *bos, int32_t *eos) {
  static const char *const named[] = {"tokenizer_config.json", "special_tokens_map.json"};
  isc_json *j;
  for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
    ISC_TRY(open_optional(dir, named[i], &j));
    if (!j) continue;
    take_name(t, j, "bos_token", bos);
    take_name(t, j, "eos_token", eos);
    isc_json_close(j);
  }
  ISC_TRY(open_optional(dir, "config.json", &j));
  if (!j) return ISC_OK;
  take_id(t, j, "bos_token_id", bos);
  take_id(t, j, "eos_token_id", eos);
  isc_json_close(j);
  return ISC_OK;
}

/* ---- what is added */

static isc_status note_conflict(isc_tokenizer *t, isc_switch bos) {
  bool has = t->n_prefix > 0 && t->prefix[0] == t->bos;
  if (bos == ISC_SWITCH_ABSENT || t->bos < 0 || has == (bos == ISC_SWITCH_ON)) return ISC_OK;
  return isc_asprintf(&t->bos_conflict,
                      "%s: tokenizer_config.json says \"add_bos_token\": %s, but the "
                      "post_processor of tokenizer.json %s \"%s\" before a text; set bos to "
                      "\"always\" or \"never\"",
                      t->where, bos == ISC_SWITCH_ON ? "true" : "false",
                      has ? "puts" : "does not put", t->token[t->bos]);
}

static isc_status read_added(isc_tokenizer *t, const char *dir, isc_config_of of) {
  isc_switch bos, eos;
  ISC_TRY(read_switch(dir, "add_bos_token", &bos));
  ISC_TRY(read_switch(dir, "add_eos_token", &eos));
  if (of == ISC_CONFIG_OF_JSON) return note_conflict(t, bos);
  if (bos == ISC_SWITCH_ABSENT && of == ISC_CONFIG_OF_MODEL) bos = ISC_SWITCH_ON;
  if (bos == ISC_SWITCH_ON && t->bos >= 0) ISC_TRY(isc_tokenizer_add_prefix(t, t->bos));
  if (eos == ISC_SWITCH_ON && t->eos >= 0) ISC_TRY(isc_tokenizer_add_suffix(t, t->eos));
  return ISC_OK;
}

isc_status isc_tokenizer_read_config(isc_tokenizer *t, const char *dir, isc_config_of of) {
  int32_t bos = -1, eos = -1;
  ISC_TRY(read_named(t, dir, &bos, &eos));
  if (bos >= 0) t->bos = bos;
  if (eos >= 0) t->eos = eos;
  int32_t eot = isc_tokenizer_id(t, END_OF_TEXT, strlen(END_OF_TEXT));
  if (t->model == ISC_BYTE_BPE && t->bos < 0) t->bos = eot;
  if (t->model == ISC_BYTE_BPE && t->eos < 0) t->eos = eot;
  return read_added(t, dir, of);
}
