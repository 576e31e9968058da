/* SPDX-License-Identifier: Apache-2.0
 *
 * Which files of a directory make its tokenizer.
 *
 * tokenizer.json wins, then SentencePiece's tokenizer.model; older GPT-2 directories have vocab.json and merges.txt. A GGUF
 * file has all of it inside.
 */
#include "model/json_doc.h"
#include "model/sentencepiece.h"
#include "model/tokenizer_config.h"
#include "model/tokenizer_gguf.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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
  int64_t n = 0;
  ISC_GO(isc_read_file(path, ISC_JSON_MAX_BYTES, &text, &len));
  const char *end = text + len;
  for (const char *s = text, *next; s < end; s = next)
    n += is_merge_line(s, line_at(s, end, &next));
  ISC_GO(isc_bpe_reserve(&t->bpe, n, path));
  ISC_GO(read_merge_lines(t, path, text, end));
  ISC_GO(isc_tokenizer_index_merges(t));
done:
  free(text);
  return st;
}

static isc_status read_gpt2_files(isc_tokenizer *t, const char *dir, const char *vocab,
                                  const char *merges) {
  static const char eot_token[] = "<|endoftext|>";
  isc_pre_part *pre;
  isc_decode_part *decode;
  t->model = ISC_BYTE_BPE;
  ISC_TRY(isc_tokenizer_add_pre(t, ISC_PRE_BYTE_LEVEL, &pre));
  pre->use_regex = true;
  ISC_TRY(isc_config_flag(dir, "add_prefix_space", false, &pre->add_prefix_space));
  ISC_TRY(isc_tokenizer_add_decoder(t, ISC_DECODE_BYTE_LEVEL, &decode));
  ISC_TRY(read_vocab_file(t, vocab));
  isc_tokenizer_byte_ids(t);
  ISC_TRY(read_merges_file(t, merges));
  int32_t eot = isc_tokenizer_id(t, eot_token, strlen(eot_token));
  const isc_added added = {.id = eot, .special = true};
  return eot >= 0 ? isc_tokenizer_add(t, eot_token, &added) : ISC_OK;
}

static isc_status read_directory(isc_tokenizer *t, const char *dir) {
  isc_status st = ISC_OK;
  char *json = NULL, *model = NULL, *vocab = NULL, *merges = NULL;
  ISC_GO(isc_path_join(dir, "tokenizer.json", &json));
  ISC_GO(isc_path_join(dir, "tokenizer.model", &model));
  ISC_GO(isc_path_join(dir, "vocab.json", &vocab));
  ISC_GO(isc_path_join(dir, "merges.txt", &merges));
  if (isc_exists(json)) {
    ISC_GO(isc_tokenizer_read_json(t, json));
    ISC_GO(isc_tokenizer_read_config(t, dir, ISC_CONFIG_OF_JSON));
  } else if (isc_exists(model)) {
    ISC_GO(isc_sentencepiece_read(t, model));
    ISC_GO(isc_tokenizer_read_config(t, dir, ISC_CONFIG_OF_MODEL));
  } else if (isc_exists(vocab) && isc_exists(merges)) {
    ISC_GO(read_gpt2_files(t, dir, vocab, merges));
    ISC_GO(isc_tokenizer_read_config(t, dir, ISC_CONFIG_OF_GPT2));
  } else
    ISC_GO(isc_fail(ISC_E_MISSING,
                    "%s: no tokenizer here: neither tokenizer.json nor tokenizer.model nor "
                    "vocab.json with merges.txt",
                    dir));
done:
  free(json);
  free(model);
  free(vocab);
  free(merges);
  return st;
}

static isc_status open_gguf(const char *path, isc_tokenizer **out) {
  isc_gguf *g;
  ISC_TRY(isc_gguf_open(path, &g));
  isc_status st = isc_tokenizer_from_gguf(g, out);
  isc_gguf_close(g);
  return st;
}

/* The GGUF file that `path` is, or that is in a directory without a tokenizer's own files; NULL otherwise. */
static isc_status find_gguf(const char *path, char **out) {
  static const char *const own[] = {"tokenizer.json", "tokenizer.model", "vocab.json"};
  *out = NULL;
  if (!isc_exists(path)) return ISC_OK;
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    char *file;
    ISC_TRY(isc_path_join(path, own[i], &file));
    const bool there = isc_exists(file);
    free(file);
    if (there) return ISC_OK;
  }
  return isc_gguf_locate(path, out);
}

isc_status isc_tokenizer_open(const char *dir, isc_tokenizer **out) {
  isc_tokenizer *t;
  char *gguf;
  *out = NULL;
  ISC_TRY(find_gguf(dir, &gguf));
  if (gguf) {
    isc_status opened = open_gguf(gguf, out);
    free(gguf);
    return opened;
  }
  ISC_TRY(isc_tokenizer_new(dir, &t));
  isc_status st = read_directory(t, dir);
  if (st == ISC_OK) st = isc_tokenizer_finish(t);
  if (st == ISC_OK)
    *out = t;
  else
    isc_tokenizer_close(t);
  return st;
}
