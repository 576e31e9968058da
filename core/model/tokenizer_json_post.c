/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the post-processor of tokenizer.json: which tokens are added to a text.
 */
#include "model/tokenizer_json.h"
#include <string.h>

static const char part[] = "post_processor";

/* The ids that a special token of the template stands for. */
static isc_status template_token(isc_tokenizer *t, const isc_json *j, const json_t *specials,
                                 const json_t *piece, bool after) {
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
                      "%s: post_processor: special token \"%.100s\" has an id outside the "
                      "vocabulary",
                      j->path, name);
    ISC_TRY(after ? isc_tokenizer_add_suffix(t, (int32_t)v)
                  : isc_tokenizer_add_prefix(t, (int32_t)v));
  }
  return ISC_OK;
}

static isc_status read_template(isc_tokenizer *t, const isc_json *j, const json_t *p) {
  static const char *const known[] = {"type", "single", "pair", "special_tokens", NULL};
  json_t *single, *specials, *piece;
  size_t i;
  bool after = false;
  ISC_TRY(isc_json_only(j, p, "post_processor TemplateProcessing", known));
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
  static const char *const byte_level[] = {"type", "add_prefix_space", "trim_offsets", "use_regex",
                                           NULL};
  static const char *const sequence[] = {"type", "processors", NULL};
  const char *type;
  json_t *list, *member;
  size_t i;
  ISC_TRY(isc_json_type(j, p, part, &type));
  if (strcmp(type, "ByteLevel") == 0) /* moves offsets only */
    return isc_json_only(j, p, "post_processor ByteLevel", byte_level);
  if (strcmp(type, "TemplateProcessing") == 0 && t->n_prefix + t->n_suffix == 0)
    return read_template(t, j, p);
  if (strcmp(type, "Sequence") != 0 || depth > 0) return isc_json_unsupported(j, part, type);
  ISC_TRY(isc_json_only(j, p, "post_processor Sequence", sequence));
  ISC_TRY(isc_json_child(j, p, part, "processors", JSON_ARRAY, &list));
  json_array_foreach(list, i, member) {
    ISC_TRY(read_processor(t, j, member, depth + 1));
  }
  return ISC_OK;
}

isc_status isc_tokenizer_json_post(isc_tokenizer *t, const isc_json *j) {
  json_t *p;
  ISC_TRY(isc_json_child_or_null(j, j->root, "", part, JSON_OBJECT, &p));
  return p ? read_processor(t, j, p, 0) : ISC_OK;
}
