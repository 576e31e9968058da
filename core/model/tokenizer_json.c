/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading tokenizer.json: the WordLevel and byte-level BPE kinds.
 *
 * A component that is not known here is an error that names it: a tokenizer that is nearly right gives
 * ids that are quietly wrong. Truncation and padding are the caller's business and are not read.
 */
#include "model/tokenizer_parts.h"
#include "model/json_doc.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static isc_status unsupported(const isc_json *j, const char *part, const char *what) {
  return isc_fail(ISC_E_UNSUPPORTED, "%s: %s \"%s\" is not supported", j->path, part, what);
}

/* The "type" of a component that is an object. */
static isc_status type_of(const isc_json *j, const json_t *object, const char *part,
                          const char **out) {
  return isc_json_child_string(j, object, part, "type", out);
}

static isc_status boolean(const isc_json *j, const json_t *object, const char *part,
                          const char *key, bool fallback, bool *out) {
  json_t *v;
  ISC_TRY(isc_json_child_or_null(j, object, part, key, JSON_TRUE, &v));
  *out = v ? json_is_true(v) : fallback;
  return ISC_OK;
}

/* A switch that may only be off. */
static isc_status must_be_off(const isc_json *j, const json_t *object, const char *part,
                              const char *key) {
  bool on;
  ISC_TRY(boolean(j, object, part, key, false, &on));
  return on ? unsupported(j, part, key) : ISC_OK;
}

static isc_status read_normalizer(const isc_json *j) {
  json_t *n;
  const char *type;
  ISC_TRY(isc_json_child_or_null(j, j->root, "", "normalizer", JSON_OBJECT, &n));
  if (!n) return ISC_OK;
  ISC_TRY(type_of(j, n, "normalizer", &type));
  return unsupported(j, "normalizer", type);
}

static isc_status read_split(const isc_json *j, const json_t *p) {
  const char *behavior, *regex;
  json_t *pattern;
  ISC_TRY(isc_json_child(j, p, "pre_tokenizer", "pattern", JSON_OBJECT, &pattern));
  if (!json_is_string(json_object_get(pattern, "Regex")))
    return unsupported(j, "pre_tokenizer Split with pattern", "String");
  ISC_TRY(isc_json_child_string(j, pattern, "pre_tokenizer", "Regex", &regex));
  if (strcmp(regex, ".") != 0) return unsupported(j, "pre_tokenizer Split with pattern", regex);
  ISC_TRY(isc_json_child_string(j, p, "pre_tokenizer", "behavior", &behavior));
  if (strcmp(behavior, "Isolated") != 0)
    return unsupported(j, "pre_tokenizer Split with behavior", behavior);
  return must_be_off(j, p, "pre_tokenizer Split with", "invert");
}

static isc_status read_pre_tokenizer(isc_tokenizer *t, const isc_json *j) {
  static const char part[] = "pre_tokenizer";
  json_t *p;
  const char *type;
  ISC_TRY(isc_json_child_or_null(j, j->root, "", part, JSON_OBJECT, &p));
  if (!p) return ISC_OK;
  ISC_TRY(type_of(j, p, part, &type));
  if (strcmp(type, "Whitespace") == 0)
    t->pre = ISC_PRE_WHITESPACE;
  else if (strcmp(type, "WhitespaceSplit") == 0)
    t->pre = ISC_PRE_WHITESPACE_SPLIT;
  else if (strcmp(type, "Split") == 0) {
    t->pre = ISC_PRE_CHARS;
    return read_split(j, p);
  } else if (strcmp(type, "ByteLevel") == 0) {
    t->pre = ISC_PRE_BYTE_LEVEL;
    ISC_TRY(boolean(j, p, part, "add_prefix_space", true, &t->add_prefix_space));
    return boolean(j, p, part, "use_regex", true, &t->use_regex);
  } else
    return unsupported(j, part, type);
  return ISC_OK;
}

static isc_status read_decoder(isc_tokenizer *t, const isc_json *j) {
  json_t *d;
  const char *type;
  ISC_TRY(isc_json_child_or_null(j, j->root, "", "decoder", JSON_OBJECT, &d));
  if (!d) return ISC_OK;
  ISC_TRY(type_of(j, d, "decoder", &type));
  if (strcmp(type, "Fuse") == 0)
    t->decode = ISC_DECODE_FUSE;
  else if (strcmp(type, "ByteLevel") == 0)
    t->decode = ISC_DECODE_BYTES;
  else
    return unsupported(j, "decoder", type);
  return ISC_OK;
}

static isc_status read_vocab(isc_tokenizer *t, const isc_json *j, const json_t *model) {
  json_t *vocab, *id;
  const char *token;
  ISC_TRY(isc_json_child(j, model, "model", "vocab", JSON_OBJECT, &vocab));
  json_object_foreach(vocab, token, id) {
    if (!json_is_integer(id))
      return isc_fail(ISC_E_FORMAT, "%s: vocab: the id of \"%s\" must be an integer", j->path,
                      token);
    ISC_TRY(isc_tokenizer_set_token(t, json_integer_value(id), token));
  }
  return isc_tokenizer_index(t);
}

/* A merge is "left right" or ["left", "right"]. */
static isc_status read_merge(isc_tokenizer *t, const isc_json *j, int64_t rank, const json_t *m) {
  const json_t *left = json_array_get(m, 0), *right = json_array_get(m, 1);
  if (json_array_size(m) == 2 && json_is_string(left) && json_is_string(right))
    return isc_tokenizer_set_merge(t, rank, json_string_value(left), json_string_length(left),
                                   json_string_value(right), json_string_length(right));
  const char *s = json_string_value(m), *space = s ? strchr(s, ' ') : NULL;
  if (!space || strchr(space + 1, ' '))
    return isc_fail(ISC_E_FORMAT, "%s: merge %" PRId64 " is neither \"left right\" nor a pair",
                    j->path, rank);
  return isc_tokenizer_set_merge(t, rank, s, (size_t)(space - s), space + 1, strlen(space + 1));
}

/* With a token for every byte nothing is unknown, and a name for it is harmless. */
static isc_status read_bpe_unk(isc_tokenizer *t, const isc_json *j, const json_t *model) {
  json_t *unk;
  ISC_TRY(isc_json_child_or_null(j, model, "model", "unk_token", JSON_STRING, &unk));
  if (json_string_length(unk) == 0) return ISC_OK;
  for (int byte = 0; byte < 256; byte++)
    if (t->bpe.byte_id[byte] < 0)
      return unsupported(j, "model BPE without a token for every byte but with", "unk_token");
  return isc_strdup(json_string_value(unk), &t->unk_token);
}

static isc_status read_bpe(isc_tokenizer *t, const isc_json *j, const json_t *model) {
  static const char *const absent[] = {"dropout", "continuing_subword_prefix",
                                       "end_of_word_suffix"};
  static const char *const off[] = {"byte_fallback", "ignore_merges"};
  json_t *merges;
  int64_t twice;
  if (t->pre != ISC_PRE_BYTE_LEVEL)
    return unsupported(j, "model", "BPE without the ByteLevel pre_tokenizer");
  for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
    const json_t *v = json_object_get(model, absent[i]);
    bool empty = !v || json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0);
    if (!empty) return unsupported(j, "model BPE with", absent[i]);
  }
  for (size_t i = 0; i < sizeof off / sizeof *off; i++)
    ISC_TRY(must_be_off(j, model, "model BPE with", off[i]));
  t->model = ISC_BYTE_BPE;
  ISC_TRY(read_vocab(t, j, model));
  isc_tokenizer_byte_ids(t);
  ISC_TRY(read_bpe_unk(t, j, model));
  ISC_TRY(isc_json_child(j, model, "model", "merges", JSON_ARRAY, &merges));
  ISC_TRY(isc_bpe_reserve(&t->bpe, (int64_t)json_array_size(merges), j->path));
  for (int64_t i = 0; i < t->bpe.n; i++)
    ISC_TRY(read_merge(t, j, i, json_array_get(merges, (size_t)i)));
  ISC_TRY(isc_bpe_index(&t->bpe, j->path, &twice));
  if (twice < 0) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: merge %" PRId64 " is there twice", j->path, twice);
}

static isc_status read_word_level(isc_tokenizer *t, const isc_json *j, const json_t *model) {
  const char *unk;
  if (t->pre == ISC_PRE_BYTE_LEVEL)
    return unsupported(j, "model", "WordLevel with the ByteLevel pre_tokenizer");
  t->model = ISC_WORD_LEVEL;
  ISC_TRY(read_vocab(t, j, model));
  ISC_TRY(isc_json_child_string(j, model, "model", "unk_token", &unk));
  return isc_strdup(unk, &t->unk_token);
}

static isc_status read_model(isc_tokenizer *t, const isc_json *j) {
  json_t *m;
  const char *type;
  ISC_TRY(isc_json_child(j, j->root, "", "model", JSON_OBJECT, &m));
  ISC_TRY(type_of(j, m, "model", &type));
  if (strcmp(type, "WordLevel") == 0) return read_word_level(t, j, m);
  if (strcmp(type, "BPE") == 0) return read_bpe(t, j, m);
  return unsupported(j, "model", type);
}

static isc_status read_added(isc_tokenizer *t, const isc_json *j) {
  static const char *const off[] = {"single_word", "lstrip", "rstrip"};
  json_t *list, *a, *id;
  const char *content;
  size_t i;
  ISC_TRY(isc_json_child_or_null(j, j->root, "", "added_tokens", JSON_ARRAY, &list));
  json_array_foreach(list, i, a) {
    static const char part[] = "added_tokens";
    bool special, normalized;
    if (!json_is_object(a))
      return isc_fail(ISC_E_FORMAT, "%s: added_tokens: entry %zu must be an object", j->path, i);
    ISC_TRY(isc_json_child_string(j, a, part, "content", &content));
    ISC_TRY(isc_json_child(j, a, part, "id", JSON_INTEGER, &id));
    for (size_t k = 0; k < sizeof off / sizeof *off; k++)
      ISC_TRY(must_be_off(j, a, "added token with", off[k]));
    ISC_TRY(boolean(j, a, part, "special", false, &special));
    ISC_TRY(boolean(j, a, part, "normalized", !special, &normalized));
    ISC_TRY(isc_tokenizer_add(t, content, json_integer_value(id), special, normalized));
  }
  return isc_tokenizer_index(t);
}

static isc_status append_id(int32_t **list, int64_t *n, int32_t id, const char *what) {
  void *grown = *list;
  ISC_TRY(isc_realloc(&grown, (size_t)*n + 1, sizeof **list, what));
  *list = grown;
  (*list)[(*n)++] = id;
  return ISC_OK;
}

/* The ids that a special token of the template stands for. */
static isc_status template_token(isc_tokenizer *t, const isc_json *j, const json_t *specials,
                                 const json_t *piece, bool after) {
  static const char part[] = "post_processor";
  const char *name;
  json_t *entry, *ids, *id;
  size_t i;
  ISC_TRY(isc_json_child_string(j, piece, part, "id", &name));
  ISC_TRY(isc_json_child(j, specials, "post_processor: special_tokens", name, JSON_OBJECT, &entry));
  ISC_TRY(isc_json_child(j, entry, part, "ids", JSON_ARRAY, &ids));
  json_array_foreach(ids, i, id) {
    json_int_t v = json_integer_value(id);
    if (!json_is_integer(id) || v < 0 || v >= t->vocab || !t->token[v])
      return isc_fail(ISC_E_FORMAT,
                      "%s: post_processor: special token \"%s\" has an id outside the "
                      "vocabulary",
                      j->path, name);
    ISC_TRY(after ? append_id(&t->suffix, &t->n_suffix, (int32_t)v, j->path)
                  : append_id(&t->prefix, &t->n_prefix, (int32_t)v, j->path));
  }
  return ISC_OK;
}

static isc_status read_template(isc_tokenizer *t, const isc_json *j, const json_t *p) {
  static const char part[] = "post_processor";
  json_t *single, *specials, *piece;
  size_t i;
  bool after = false;
  ISC_TRY(isc_json_child(j, p, part, "single", JSON_ARRAY, &single));
  ISC_TRY(isc_json_child(j, p, part, "special_tokens", JSON_OBJECT, &specials));
  json_array_foreach(single, i, piece) {
    const json_t *special = json_object_get(piece, "SpecialToken");
    const json_t *sequence = json_object_get(piece, "Sequence");
    const char *id = json_string_value(json_object_get(sequence, "id"));
    if (json_is_object(special))
      ISC_TRY(template_token(t, j, specials, special, after));
    else if (id && strcmp(id, "A") == 0 && !after)
      after = true;
    else
      return isc_fail(ISC_E_FORMAT, "%s: post_processor: piece %zu of \"single\" is not understood",
                      j->path, i);
  }
  if (after) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: post_processor: \"single\" lacks the sequence", j->path);
}

static isc_status read_processor(isc_tokenizer *t, const isc_json *j, const json_t *p, int depth) {
  static const char part[] = "post_processor";
  const char *type;
  json_t *list, *member;
  size_t i;
  ISC_TRY(type_of(j, p, part, &type));
  if (strcmp(type, "ByteLevel") == 0) return ISC_OK; /* moves offsets only */
  if (strcmp(type, "TemplateProcessing") == 0 && t->n_prefix + t->n_suffix == 0)
    return read_template(t, j, p);
  if (strcmp(type, "Sequence") != 0 || depth > 0) return unsupported(j, part, type);
  ISC_TRY(isc_json_child(j, p, part, "processors", JSON_ARRAY, &list));
  json_array_foreach(list, i, member) {
    ISC_TRY(read_processor(t, j, member, depth + 1));
  }
  return ISC_OK;
}

isc_status isc_tokenizer_read_json(isc_tokenizer *t, const char *path) {
  isc_status st = ISC_OK;
  isc_json *j = NULL;
  json_t *post;
  ISC_GO(isc_json_open(path, &j));
  ISC_GO(read_normalizer(j));
  ISC_GO(read_pre_tokenizer(t, j));
  ISC_GO(read_model(t, j));
  ISC_GO(read_added(t, j));
  ISC_GO(read_decoder(t, j));
  ISC_GO(isc_json_child_or_null(j, j->root, "", "post_processor", JSON_OBJECT, &post));
  if (post) ISC_GO(read_processor(t, j, post, 0));
done:
  isc_json_close(j);
  return st;
}
