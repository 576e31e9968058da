/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing a tokenizer as the tokenizers library reads it.
 *
 * The text is canonical (tokens by id, merges by rank), so it also serves as what a fingerprint is
 * taken of.
 */
#include "model/tokenizer_save.h"
#include "model/sentencepiece.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void added_tokens(const isc_tokenizer *t, isc_sb *b) {
  isc_sb_add(b, "  \"added_tokens\": [");
  for (int64_t i = 0; i < t->n_added; i++) {
    const isc_added *a = &t->added[i];
    isc_sb_addf(b, "%s\n    {\"id\": %d, \"content\": ", i ? "," : "", (int)a->id);
    isc_sb_add_string(b, t->token[a->id]);
    isc_sb_addf(b,
                ", \"single_word\": %s, \"lstrip\": %s, \"rstrip\": %s, \"normalized\": %s, "
                "\"special\": %s}",
                isc_yes_no(a->single_word), isc_yes_no(a->lstrip), isc_yes_no(a->rstrip),
                isc_yes_no(a->normalized), isc_yes_no(a->special));
  }
  isc_sb_add(b, t->n_added ? "\n  ],\n" : "],\n");
}

static void template_special(const isc_tokenizer *t, isc_sb *b, const int32_t *id, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    isc_sb_add(b, "{\"SpecialToken\": {\"id\": ");
    isc_sb_add_string(b, t->token[id[i]]);
    isc_sb_add(b, ", \"type_id\": 0}}, ");
  }
}

static bool seen_before(const isc_tokenizer *t, int64_t k) {
  int32_t id = k < t->n_prefix ? t->prefix[k] : t->suffix[k - t->n_prefix];
  for (int64_t i = 0; i < k; i++)
    if ((i < t->n_prefix ? t->prefix[i] : t->suffix[i - t->n_prefix]) == id) return true;
  return false;
}

static void post_processor(const isc_tokenizer *t, isc_sb *b) {
  int64_t n = t->n_prefix + t->n_suffix;
  if (n == 0) {
    isc_sb_add(b, "  \"post_processor\": null,\n");
    return;
  }
  isc_sb_add(b, "  \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [");
  template_special(t, b, t->prefix, t->n_prefix);
  isc_sb_add(b, "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}");
  for (int64_t i = 0; i < t->n_suffix; i++) {
    isc_sb_add(b, ", {\"SpecialToken\": {\"id\": ");
    isc_sb_add_string(b, t->token[t->suffix[i]]);
    isc_sb_add(b, ", \"type_id\": 0}}");
  }
  isc_sb_add(b, "], \"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": "
                "{\"id\": \"B\", \"type_id\": 1}}], \"special_tokens\": {");
  for (int64_t k = 0; k < n; k++) {
    int32_t id = k < t->n_prefix ? t->prefix[k] : t->suffix[k - t->n_prefix];
    if (seen_before(t, k)) continue;
    isc_sb_add(b, k ? ", " : "");
    isc_sb_add_string(b, t->token[id]);
    isc_sb_add(b, ": {\"id\": ");
    isc_sb_add_string(b, t->token[id]);
    isc_sb_addf(b, ", \"ids\": [%d], \"tokens\": [", (int)id);
    isc_sb_add_string(b, t->token[id]);
    isc_sb_add(b, "]}");
  }
  isc_sb_add(b, "}},\n");
}

/* Added tokens stand here too: that fixes their ids, and they are matched before words anyway; but not where a word may
 * be looked up whole or by its characters, which must not find them. */
static void vocab(const isc_tokenizer *t, isc_sb *b) {
  bool first = true, all = t->model != ISC_CHAR_BPE && !t->ignore_merges;
  isc_sb_add(b, "    \"vocab\": {");
  for (int64_t id = 0; id < t->vocab; id++) {
    if (!t->token[id] || (!all && !t->in_model[id])) continue;
    isc_sb_add(b, first ? "\n      " : ",\n      ");
    first = false;
    isc_sb_add_string(b, t->token[id]);
    isc_sb_addf(b, ": %d", (int)id);
  }
  isc_sb_add(b, "\n    }");
}

static void bpe_model(const isc_tokenizer *t, isc_sb *b) {
  isc_sb_add(b, "  \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": ");
  if (t->unk_token)
    isc_sb_add_string(b, t->unk_token);
  else
    isc_sb_add(b, "null");
  isc_sb_addf(b,
              ", \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, \"fuse_unk\": "
              "%s, \"byte_fallback\": %s, \"ignore_merges\": %s,\n",
              isc_yes_no(t->fuse_unk), isc_yes_no(t->byte_fallback), isc_yes_no(t->ignore_merges));
  vocab(t, b);
  isc_sb_add(b, ",\n    \"merges\": [");
  for (int64_t i = 0; i < t->bpe.n; i++) {
    isc_sb_add(b, i ? ",\n      [" : "\n      [");
    isc_sb_add_string(b, t->token[t->bpe.merge[i].left]);
    isc_sb_add(b, ", ");
    isc_sb_add_string(b, t->token[t->bpe.merge[i].right]);
    isc_sb_add(b, "]");
  }
  isc_sb_add(b, "\n    ]\n  }\n}\n");
}

static void word_model(const isc_tokenizer *t, isc_sb *b) {
  isc_sb_add(b, "  \"model\": {\"type\": \"WordLevel\",\n");
  vocab(t, b);
  isc_sb_add(b, ",\n    \"unk_token\": ");
  isc_sb_add_string(b, t->unk_token ? t->unk_token : "<unk>");
  isc_sb_add(b, "\n  }\n}\n");
}

isc_status isc_tokenizer_to_json(const isc_tokenizer *t, char **out) {
  isc_sb b = {0};
  isc_sb_add(&b, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
  added_tokens(t, &b);
  isc_save_normalizer(t, &b);
  isc_save_pre_tokenizer(t, &b);
  post_processor(t, &b);
  isc_save_decoder(t, &b);
  if (t->model == ISC_WORD_LEVEL)
    word_model(t, &b);
  else
    bpe_model(t, &b);
  return isc_sb_finish(&b, out);
}

/* What tokenizer.json has no place for: the names of the tokens that begin and end a text; and of a tokenizer.model also
 * whether they are added. */
static isc_status config_json(const isc_tokenizer *t, char **out) {
  isc_sb b = {0};
  bool sp = t->model == ISC_SENTENCEPIECE;
  isc_sb_addf(&b, "{\n  \"tokenizer_class\": \"%s\"",
              sp ? "LlamaTokenizer" : "PreTrainedTokenizerFast");
  if (t->bos >= 0) {
    isc_sb_add(&b, ",\n  \"bos_token\": ");
    isc_sb_add_string(&b, t->token[t->bos]);
  }
  if (t->eos >= 0) {
    isc_sb_add(&b, ",\n  \"eos_token\": ");
    isc_sb_add_string(&b, t->token[t->eos]);
  }
  if (sp)
    isc_sb_addf(&b, ",\n  \"add_bos_token\": %s,\n  \"add_eos_token\": %s",
                isc_yes_no(t->n_prefix > 0), isc_yes_no(t->n_suffix > 0));
  if (t->bos_conflict && t->bos_policy == ISC_BOS_MODEL) /* it stays one */
    isc_sb_addf(&b, ",\n  \"add_bos_token\": %s",
                isc_yes_no(t->n_prefix == 0 || t->prefix[0] != t->bos));
  isc_sb_add(&b, "\n}\n");
  return isc_sb_finish(&b, out);
}

static isc_status write_in(const char *dir, const char *name, const char *data, size_t len) {
  char *path;
  ISC_TRY(isc_path_join(dir, name, &path));
  isc_status st = isc_write_file(path, data, len);
  free(path);
  return st;
}

/* A tokenizer.json that lies there would be read in place of the tokenizer.model. */
static isc_status remove_json(const char *dir) {
  char *path;
  ISC_TRY(isc_path_join(dir, "tokenizer.json", &path));
  isc_status st = ISC_OK;
  if (unlink(path) != 0 && errno != ENOENT)
    st = isc_fail(ISC_E_IO, "%s: cannot remove: %s", path, strerror(errno));
  free(path);
  return st;
}

static isc_status save_model(const isc_tokenizer *t, const char *dir) {
  isc_text model = {0};
  isc_status st = isc_sentencepiece_write(t, &model);
  if (st == ISC_OK) st = remove_json(dir);
  if (st == ISC_OK) st = write_in(dir, "tokenizer.model", model.data, model.len);
  isc_text_free(&model);
  return st;
}

static isc_status save_json(const isc_tokenizer *t, const char *dir) {
  char *json;
  ISC_TRY(isc_tokenizer_to_json(t, &json));
  isc_status st = write_in(dir, "tokenizer.json", json, strlen(json));
  free(json);
  return st;
}

isc_status isc_tokenizer_save(const isc_tokenizer *t, const char *dir) {
  char *config;
  ISC_TRY(config_json(t, &config));
  isc_status st = write_in(dir, "tokenizer_config.json", config, strlen(config));
  free(config);
  ISC_TRY(st);
  return t->model == ISC_SENTENCEPIECE ? save_model(t, dir) : save_json(t, dir);
}
