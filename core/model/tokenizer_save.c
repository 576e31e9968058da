/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing a tokenizer as the tokenizers library reads it.
 *
 * The text is canonical (tokens by id, merges by rank), so it also serves as what a fingerprint is
 * taken of.
 */
#include "model/tokenizer_parts.h"
#include <stdlib.h>
#include <string.h>

static const char *yes_no(bool b) {
  return b ? "true" : "false";
}

static void add_string(isc_sb *b, const char *s) {
  isc_sb_add_json(b, s, strlen(s));
}

static void added_tokens(const isc_tokenizer *t, isc_sb *b) {
  isc_sb_add(b, "  \"added_tokens\": [");
  for (int64_t i = 0; i < t->n_added; i++) {
    const isc_added *a = &t->added[i];
    isc_sb_addf(b, "%s\n    {\"id\": %d, \"content\": ", i ? "," : "", (int)a->id);
    add_string(b, t->token[a->id]);
    isc_sb_addf(
        b,
        ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": %s, "
        "\"special\": %s}",
        yes_no(a->normalized), yes_no(a->special));
  }
  isc_sb_add(b, t->n_added ? "\n  ],\n" : "],\n");
}

static void pre_tokenizer(const isc_tokenizer *t, isc_sb *b) {
  isc_sb_add(b, "  \"pre_tokenizer\": ");
  switch (t->pre) {
  case ISC_PRE_NONE:
    isc_sb_add(b, "null");
    break;
  case ISC_PRE_WHITESPACE:
    isc_sb_add(b, "{\"type\": \"Whitespace\"}");
    break;
  case ISC_PRE_WHITESPACE_SPLIT:
    isc_sb_add(b, "{\"type\": \"WhitespaceSplit\"}");
    break;
  case ISC_PRE_CHARS:
    isc_sb_add(b, "{\"type\": \"Split\", \"pattern\": {\"Regex\": \".\"}, \"behavior\": "
                  "\"Isolated\", \"invert\": false}");
    break;
  case ISC_PRE_BYTE_LEVEL:
    isc_sb_addf(b,
                "{\"type\": \"ByteLevel\", \"add_prefix_space\": %s, \"trim_offsets\": true, "
                "\"use_regex\": %s}",
                yes_no(t->add_prefix_space), yes_no(t->use_regex));
    break;
  }
  isc_sb_add(b, ",\n");
}

static void template_special(const isc_tokenizer *t, isc_sb *b, const int32_t *id, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    isc_sb_add(b, "{\"SpecialToken\": {\"id\": ");
    add_string(b, t->token[id[i]]);
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
    add_string(b, t->token[t->suffix[i]]);
    isc_sb_add(b, ", \"type_id\": 0}}");
  }
  isc_sb_add(b, "], \"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": "
                "{\"id\": \"B\", \"type_id\": 1}}], \"special_tokens\": {");
  for (int64_t k = 0; k < n; k++) {
    int32_t id = k < t->n_prefix ? t->prefix[k] : t->suffix[k - t->n_prefix];
    if (seen_before(t, k)) continue;
    isc_sb_add(b, k ? ", " : "");
    add_string(b, t->token[id]);
    isc_sb_add(b, ": {\"id\": ");
    add_string(b, t->token[id]);
    isc_sb_addf(b, ", \"ids\": [%d], \"tokens\": [", (int)id);
    add_string(b, t->token[id]);
    isc_sb_add(b, "]}");
  }
  isc_sb_add(b, "}},\n");
}

static void decoder(const isc_tokenizer *t, isc_sb *b) {
  isc_sb_add(b, "  \"decoder\": ");
  if (t->decode == ISC_DECODE_SPACES) isc_sb_add(b, "null");
  if (t->decode == ISC_DECODE_FUSE) isc_sb_add(b, "{\"type\": \"Fuse\"}");
  if (t->decode == ISC_DECODE_BYTES) /* the library wants all the fields, and reads none */
    isc_sb_add(b, "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, "
                  "\"use_regex\": true}");
  isc_sb_add(b, ",\n");
}

/* Added tokens stand here too: that fixes their ids, and they are matched before words anyway. */
static void vocab(const isc_tokenizer *t, isc_sb *b) {
  bool first = true;
  isc_sb_add(b, "    \"vocab\": {");
  for (int64_t id = 0; id < t->vocab; id++) {
    if (!t->token[id]) continue;
    isc_sb_add(b, first ? "\n      " : ",\n      ");
    first = false;
    add_string(b, t->token[id]);
    isc_sb_addf(b, ": %d", (int)id);
  }
  isc_sb_add(b, "\n    }");
}

static void bpe_model(const isc_tokenizer *t, isc_sb *b) {
  isc_sb_add(b, "  \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": ");
  if (t->unk_token)
    add_string(b, t->unk_token);
  else
    isc_sb_add(b, "null");
  isc_sb_add(b,
             ", \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, \"fuse_unk\": "
             "false, \"byte_fallback\": false, \"ignore_merges\": false,\n");
  vocab(t, b);
  isc_sb_add(b, ",\n    \"merges\": [");
  for (int64_t i = 0; i < t->bpe.n; i++) {
    isc_sb_add(b, i ? ",\n      [" : "\n      [");
    add_string(b, t->token[t->bpe.merge[i].left]);
    isc_sb_add(b, ", ");
    add_string(b, t->token[t->bpe.merge[i].right]);
    isc_sb_add(b, "]");
  }
  isc_sb_add(b, "\n    ]\n  }\n}\n");
}

static void word_model(const isc_tokenizer *t, isc_sb *b) {
  isc_sb_add(b, "  \"model\": {\"type\": \"WordLevel\",\n");
  vocab(t, b);
  isc_sb_add(b, ",\n    \"unk_token\": ");
  add_string(b, t->unk_token ? t->unk_token : "<unk>");
  isc_sb_add(b, "\n  }\n}\n");
}

isc_status isc_tokenizer_to_json(const isc_tokenizer *t, char **out) {
  isc_sb b = {0};
  isc_sb_add(&b, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
  added_tokens(t, &b);
  isc_sb_add(&b, "  \"normalizer\": null,\n");
  pre_tokenizer(t, &b);
  post_processor(t, &b);
  decoder(t, &b);
  if (t->model == ISC_BYTE_BPE)
    bpe_model(t, &b);
  else
    word_model(t, &b);
  return isc_sb_finish(&b, out);
}

/* What tokenizer.json has no place for: the names of the tokens that begin and end a text. */
static isc_status config_json(const isc_tokenizer *t, char **out) {
  isc_sb b = {0};
  isc_sb_add(&b, "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\"");
  if (t->bos >= 0) {
    isc_sb_add(&b, ",\n  \"bos_token\": ");
    add_string(&b, t->token[t->bos]);
  }
  if (t->eos >= 0) {
    isc_sb_add(&b, ",\n  \"eos_token\": ");
    add_string(&b, t->token[t->eos]);
  }
  isc_sb_add(&b, "\n}\n");
  return isc_sb_finish(&b, out);
}

static isc_status write_text(const char *dir, const char *name, const char *text) {
  char *path;
  ISC_TRY(isc_path_join(dir, name, &path));
  isc_status st = isc_write_file(path, text, strlen(text));
  free(path);
  return st;
}

isc_status isc_tokenizer_save(const isc_tokenizer *t, const char *dir) {
  isc_status st = ISC_OK;
  char *json = NULL, *config = NULL;
  ISC_GO(isc_tokenizer_to_json(t, &json));
  ISC_GO(config_json(t, &config));
  ISC_GO(write_text(dir, "tokenizer_config.json", config));
  ISC_GO(write_text(dir, "tokenizer.json", json));
done:
  free(json);
  free(config);
  return st;
}
