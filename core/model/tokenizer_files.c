/* SPDX-License-Identifier: Apache-2.0
 *
 * Which files of a directory make its tokenizer, and which tokens begin and end its texts.
 *
 * tokenizer.json wins; older GPT-2 directories have vocab.json and merges.txt. The first of
 * tokenizer_config.json, special_tokens_map.json and config.json that names a token decides.
 */
#include "model/tokenizer_parts.h"
#include "model/json_doc.h"
#include <inttypes.h>
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

/* ---- vocab.json + merges.txt */

static isc_status read_vocab_file(isc_tokenizer *t, const char *path) {
  isc_status st = ISC_OK;
  isc_json *j = NULL;
  const char *token;
  json_t *id;
  ISC_GO(isc_json_open(path, &j));
  json_object_foreach(j->root, token, id) {
    if (!json_is_integer(id))
      ISC_GO(isc_fail(ISC_E_FORMAT, "%s: the id of \"%s\" must be an integer", path, token));
    ISC_GO(isc_tokenizer_set_token(t, json_integer_value(id), token));
  }
  ISC_GO(isc_tokenizer_index(t));
done:
  isc_json_close(j);
  return st;
}

/* One line without its end; *next is after it. */
static size_t line_at(const char *s, const char *end, const char **next) {
  const char *nl = memchr(s, '\n', (size_t)(end - s));
  size_t len = (size_t)((nl ? nl : end) - s);
  *next = nl ? nl + 1 : end;
  return len > 0 && s[len - 1] == '\r' ? len - 1 : len;
}

static bool is_merge_line(const char *s, size_t len) {
  return len > 0 && !(len >= 8 && memcmp(s, "#version", 8) == 0);
}

static isc_status read_merge_lines(isc_tokenizer *t, const char *path, const char *s,
                                   const char *end) {
  int64_t rank = 0, line = 0;
  for (const char *next; s < end; s = next) {
    size_t len = line_at(s, end, &next);
    line++;
    if (!is_merge_line(s, len)) continue;
    const char *space = memchr(s, ' ', len);
    size_t left = space ? (size_t)(space - s) : 0, right = len - left - 1;
    if (left == 0 || right == 0 || memchr(space + 1, ' ', right))
      return isc_fail(ISC_E_FORMAT, "%s:%" PRId64 ": expected two tokens and one space", path,
                      line);
    ISC_TRY(isc_tokenizer_set_merge(t, rank++, s, left, space + 1, right));
  }
  return ISC_OK;
}

static isc_status read_merges_file(isc_tokenizer *t, const char *path) {
  isc_status st = ISC_OK;
  char *text = NULL;
  size_t len;
  int64_t n = 0, twice;
  ISC_GO(isc_read_file(path, ISC_JSON_MAX_BYTES, &text, &len));
  const char *end = text + len;
  for (const char *s = text, *next; s < end; s = next)
    n += is_merge_line(s, line_at(s, end, &next));
  ISC_GO(isc_bpe_reserve(&t->bpe, n, path));
  ISC_GO(read_merge_lines(t, path, text, end));
  ISC_GO(isc_bpe_index(&t->bpe, path, &twice));
  if (twice >= 0)
    ISC_GO(isc_fail(ISC_E_FORMAT, "%s: merge %" PRId64 " is there twice", path, twice));
done:
  free(text);
  return st;
}

/* The switches that the slow GPT-2 tokenizer keeps in its config. */
static isc_status read_gpt2_switches(isc_tokenizer *t, const char *dir, bool *add_bos) {
  isc_json *j;
  *add_bos = false;
  ISC_TRY(open_optional(dir, "tokenizer_config.json", &j));
  if (!j) return ISC_OK;
  isc_status st = isc_json_bool_or(j, "add_prefix_space", false, &t->add_prefix_space);
  if (st == ISC_OK) st = isc_json_bool_or(j, "add_bos_token", false, add_bos);
  isc_json_close(j);
  return st;
}

static isc_status read_gpt2_files(isc_tokenizer *t, const char *dir, const char *vocab,
                                  const char *merges) {
  bool add_bos;
  t->model = ISC_BYTE_BPE;
  t->pre = ISC_PRE_BYTE_LEVEL;
  t->use_regex = true;
  t->decode = ISC_DECODE_BYTES;
  ISC_TRY(read_gpt2_switches(t, dir, &add_bos));
  ISC_TRY(read_vocab_file(t, vocab));
  isc_tokenizer_byte_ids(t);
  ISC_TRY(read_merges_file(t, merges));
  int32_t eot = isc_tokenizer_id(t, END_OF_TEXT, strlen(END_OF_TEXT));
  if (eot >= 0) ISC_TRY(isc_tokenizer_add(t, END_OF_TEXT, eot, true, false));
  if (!add_bos || eot < 0) return ISC_OK;
  ISC_TRY(isc_malloc(sizeof *t->prefix, vocab, (void **)&t->prefix));
  t->prefix[t->n_prefix++] = eot;
  return ISC_OK;
}

/* ---- the tokens that begin and end a text */

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

static isc_status read_begin_and_end(isc_tokenizer *t, const char *dir) {
  static const char *const named[] = {"tokenizer_config.json", "special_tokens_map.json"};
  isc_json *j;
  for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
    ISC_TRY(open_optional(dir, named[i], &j));
    if (!j) continue;
    take_name(t, j, "bos_token", &t->bos);
    take_name(t, j, "eos_token", &t->eos);
    isc_json_close(j);
  }
  ISC_TRY(open_optional(dir, "config.json", &j));
  if (j) {
    take_id(t, j, "bos_token_id", &t->bos);
    take_id(t, j, "eos_token_id", &t->eos);
    isc_json_close(j);
  }
  if (t->model != ISC_BYTE_BPE) return ISC_OK;
  int32_t eot = isc_tokenizer_id(t, END_OF_TEXT, strlen(END_OF_TEXT));
  if (t->bos < 0) t->bos = eot;
  if (t->eos < 0) t->eos = eot;
  return ISC_OK;
}

static isc_status read_directory(isc_tokenizer *t, const char *dir) {
  isc_status st = ISC_OK;
  char *json = NULL, *vocab = NULL, *merges = NULL;
  ISC_GO(isc_path_join(dir, "tokenizer.json", &json));
  ISC_GO(isc_path_join(dir, "vocab.json", &vocab));
  ISC_GO(isc_path_join(dir, "merges.txt", &merges));
  if (isc_exists(json))
    ISC_GO(isc_tokenizer_read_json(t, json));
  else if (isc_exists(vocab) && isc_exists(merges))
    ISC_GO(read_gpt2_files(t, dir, vocab, merges));
  else
    ISC_GO(isc_fail(ISC_E_MISSING,
                    "%s: no tokenizer here: neither tokenizer.json nor vocab.json with merges.txt",
                    dir));
  ISC_GO(read_begin_and_end(t, dir));
done:
  free(json);
  free(vocab);
  free(merges);
  return st;
}

isc_status isc_tokenizer_open(const char *dir, isc_tokenizer **out) {
  isc_tokenizer *t;
  *out = NULL;
  ISC_TRY(isc_tokenizer_new(dir, &t));
  isc_status st = read_directory(t, dir);
  if (st == ISC_OK) st = isc_tokenizer_finish(t);
  if (st == ISC_OK)
    *out = t;
  else
    isc_tokenizer_close(t);
  return st;
}
