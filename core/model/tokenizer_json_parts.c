/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the normaliser, the pre-tokeniser and the decoder of tokenizer.json.
 *
 * A Sequence of them is read as the list of its members, one level below another.
 */
#include "model/tokenizer_json.h"
#include "model/text_utf8.h"
#include <string.h>

/* Name of a component in messages: "pre_tokenizer Split". */
typedef struct label {
  char s[80];
} label;

static label named(const char *part, const char *type) {
  label l;
  snprintf(l.s, sizeof l.s, "%s %.40s", part, type);
  return l;
}

typedef isc_status (*read_member)(isc_tokenizer *t, const isc_json *j, const json_t *p,
                                  const char *type);

/* A component, or the members of a Sequence of them in the list `key`. */
static isc_status read_part(isc_tokenizer *t, const isc_json *j, const json_t *p, const char *part,
                            const char *key, read_member read, int depth) {
  const char *type;
  json_t *list, *member;
  size_t i;
  ISC_TRY(isc_json_type(j, p, part, &type));
  if (strcmp(type, "Sequence") != 0) return read(t, j, p, type);
  if (depth == ISC_MAX_SEQUENCE_DEPTH) return isc_json_unsupported(j, part, "Sequence, so deep");
  ISC_TRY(isc_json_only(j, p, named(part, type).s, (const char *const[]){"type", key, NULL}));
  ISC_TRY(isc_json_child(j, p, part, key, JSON_ARRAY, &list));
  json_array_foreach(list, i, member) {
    ISC_TRY(read_part(t, j, member, part, key, read, depth + 1));
  }
  return ISC_OK;
}

/* "pattern": {"String": …} or {"Regex": …}. */
static isc_status read_pattern(const isc_json *j, const json_t *p, const char *part,
                               isc_pattern *out) {
  json_t *pattern;
  const char *text;
  ISC_TRY(isc_json_child(j, p, part, "pattern", JSON_OBJECT, &pattern));
  bool is_regex = json_object_get(pattern, "Regex") != NULL;
  if (json_object_size(pattern) != 1 || (!is_regex && !json_object_get(pattern, "String")))
    return isc_fail(ISC_E_FORMAT, "%s: %s: \"pattern\" must have one \"String\" or one \"Regex\"",
                    j->path, part);
  ISC_TRY(isc_json_child_string(j, pattern, part, is_regex ? "Regex" : "String", &text));
  isc_status st = isc_pattern_set(out, text, is_regex);
  return st == ISC_OK ? st : isc_fail_in("%s: %s", j->path, part);
}

/* A text that is put into others, so not a long one. */
static isc_status read_content(const isc_json *j, const json_t *p, const char *part,
                               const char *key, char **out) {
  const char *text;
  ISC_TRY(isc_json_child_string(j, p, part, key, &text));
  if (strlen(text) > ISC_MAX_ADDED_LENGTH)
    return isc_fail(ISC_E_FORMAT, "%s: %s: \"%s\" is longer than %d bytes", j->path, part, key,
                    ISC_MAX_ADDED_LENGTH);
  return isc_strdup(text, out);
}

/* A text that is exactly one character. */
static isc_status read_character(const isc_json *j, const json_t *p, const char *part,
                                 const char *key, const char **out) {
  uint32_t cp;
  ISC_TRY(isc_json_child_string(j, p, part, key, out));
  size_t len = strlen(*out);
  if (len > 0 && isc_utf8_decode(*out, len, &cp) == len) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: %s: \"%s\" must be one character", j->path, part, key);
}

/* ---- normalisers */

static isc_status read_normalizer(isc_tokenizer *t, const isc_json *j, const json_t *p,
                                  const char *type) {
  static const char *const prepend[] = {"type", "prepend", NULL};
  static const char *const replace[] = {"type", "pattern", "content", NULL};
  static const char *const nothing[] = {"type", NULL};
  isc_normalize_part *n;
  label part = named("normalizer", type);
  if (strcmp(type, "NFC") == 0) {
    ISC_TRY(isc_json_only(j, p, part.s, nothing));
    ISC_TRY(isc_tokenizer_add_normalizer(t, &n));
    n->kind = ISC_NORMALIZE_NFC;
    return ISC_OK;
  }
  if (strcmp(type, "Prepend") == 0) {
    ISC_TRY(isc_json_only(j, p, part.s, prepend));
    ISC_TRY(isc_tokenizer_add_normalizer(t, &n));
    n->kind = ISC_NORMALIZE_PREPEND;
    return read_content(j, p, part.s, "prepend", &n->content);
  }
  if (strcmp(type, "Replace") != 0) return isc_json_unsupported(j, "normalizer", type);
  ISC_TRY(isc_json_only(j, p, part.s, replace));
  ISC_TRY(isc_tokenizer_add_normalizer(t, &n));
  n->kind = ISC_NORMALIZE_REPLACE;
  ISC_TRY(read_pattern(j, p, part.s, &n->pattern));
  return read_content(j, p, part.s, "content", &n->content);
}

isc_status isc_tokenizer_json_normalizer(isc_tokenizer *t, const isc_json *j) {
  static const char part[] = "normalizer";
  json_t *p;
  ISC_TRY(isc_json_child_or_null(j, j->root, "", part, JSON_OBJECT, &p));
  return p ? read_part(t, j, p, part, "normalizers", read_normalizer, 0) : ISC_OK;
}

/* ---- pre-tokenisers */

static const char *const schemes[] = {"always", "never", "first", NULL};

/* The settings of a Metaspace, which are the pre-tokeniser's and the decoder's. */
static isc_status read_metaspace(const isc_json *j, const json_t *p, const char *part,
                                 const char **replacement, isc_prepend_scheme *scheme,
                                 bool *split) {
  static const char *const known[] = {
      "type", "replacement", "add_prefix_space", "prepend_scheme", "str_rep", "split", NULL};
  int chosen;
  bool add;
  ISC_TRY(isc_json_only(j, p, part, known));
  ISC_TRY(read_character(j, p, part, "replacement", replacement));
  ISC_TRY(isc_json_choice(j, p, part, "prepend_scheme", schemes, ISC_PREPEND_ALWAYS, &chosen));
  ISC_TRY(isc_json_flag(j, p, part, "split", true, split));
  ISC_TRY(isc_json_flag(j, p, part, "add_prefix_space", true, &add));
  *scheme = (isc_prepend_scheme)chosen;
  if (add || *scheme == ISC_PREPEND_NEVER) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: %s: \"add_prefix_space\" is false, \"prepend_scheme\" \"%s\"",
                  j->path, part, schemes[chosen]);
}

static isc_status add_metaspace(isc_tokenizer *t, const isc_json *j, const json_t *p,
                                const char *part) {
  const char *replacement;
  isc_pre_part *n;
  for (int64_t i = 0; i < t->n_pre; i++)
    if (t->pre[i].kind == ISC_PRE_METASPACE)
      return isc_json_unsupported(j, "a pre_tokenizer Sequence with a second", "Metaspace");
  ISC_TRY(isc_tokenizer_add_pre(t, ISC_PRE_METASPACE, &n));
  ISC_TRY(read_metaspace(j, p, part, &replacement, &n->scheme, &n->split));
  snprintf(n->replacement, sizeof n->replacement, "%s", replacement);
  if (n->scheme == ISC_PREPEND_FIRST && t->n_normalize > 0)
    return isc_json_unsupported(j, "pre_tokenizer Metaspace behind a normalizer and with",
                                "prepend_scheme first");
  return ISC_OK;
}

static isc_status add_split(isc_tokenizer *t, const isc_json *j, const json_t *p,
                            const char *part) {
  static const char *const known[] = {"type", "pattern", "behavior", "invert", NULL};
  static const char *const behaviors[] = {"Isolated",       "Removed",    "MergedWithPrevious",
                                          "MergedWithNext", "Contiguous", NULL};
  isc_pre_part *n;
  int behavior;
  ISC_TRY(isc_json_only(j, p, part, known));
  ISC_TRY(isc_tokenizer_add_pre(t, ISC_PRE_SPLIT, &n));
  ISC_TRY(isc_json_choice(j, p, part, "behavior", behaviors, -1, &behavior));
  n->behavior = (isc_behavior)behavior;
  ISC_TRY(isc_json_flag(j, p, part, "invert", false, &n->invert));
  ISC_TRY(read_pattern(j, p, part, &n->pattern));
  bool every = n->pattern.regex && strcmp(n->pattern.text, ".") == 0;
  if (!every || n->behavior != ISC_ISOLATED || n->invert) return ISC_OK;
  isc_pattern_free(&n->pattern);
  n->kind = ISC_PRE_CHARS;
  return ISC_OK;
}

static isc_status add_byte_level(isc_tokenizer *t, const isc_json *j, const json_t *p,
                                 const char *part) {
  static const char *const known[] = {"type", "add_prefix_space", "trim_offsets", "use_regex",
                                      NULL};
  isc_pre_part *n;
  ISC_TRY(isc_json_only(j, p, part, known));
  ISC_TRY(isc_tokenizer_add_pre(t, ISC_PRE_BYTE_LEVEL, &n));
  ISC_TRY(isc_json_flag(j, p, part, "add_prefix_space", true, &n->add_prefix_space));
  return isc_json_flag(j, p, part, "use_regex", true, &n->use_regex);
}

static isc_status add_digits(isc_tokenizer *t, const isc_json *j, const json_t *p,
                             const char *part) {
  static const char *const known[] = {"type", "individual_digits", NULL};
  isc_pre_part *n;
  ISC_TRY(isc_json_only(j, p, part, known));
  ISC_TRY(isc_tokenizer_add_pre(t, ISC_PRE_DIGITS, &n));
  return isc_json_flag(j, p, part, "individual_digits", false, &n->individual_digits);
}

static isc_status read_pre(isc_tokenizer *t, const isc_json *j, const json_t *p, const char *type) {
  static const char *const nothing[] = {"type", NULL};
  label part = named("pre_tokenizer", type);
  isc_pre_part *n;
  if (t->n_pre > 0 && t->pre[t->n_pre - 1].kind == ISC_PRE_BYTE_LEVEL)
    return isc_json_unsupported(j, "a pre_tokenizer Sequence that goes on behind ByteLevel with",
                                type);
  if (strcmp(type, "Split") == 0) return add_split(t, j, p, part.s);
  if (strcmp(type, "ByteLevel") == 0) return add_byte_level(t, j, p, part.s);
  if (strcmp(type, "Digits") == 0) return add_digits(t, j, p, part.s);
  if (strcmp(type, "Metaspace") == 0) return add_metaspace(t, j, p, part.s);
  bool runs = strcmp(type, "WhitespaceSplit") == 0;
  if (!runs && strcmp(type, "Whitespace") != 0)
    return isc_json_unsupported(j, "pre_tokenizer", type);
  ISC_TRY(isc_json_only(j, p, part.s, nothing));
  return isc_tokenizer_add_pre(t, runs ? ISC_PRE_WHITESPACE_SPLIT : ISC_PRE_WHITESPACE, &n);
}

isc_status isc_tokenizer_json_pre(isc_tokenizer *t, const isc_json *j) {
  static const char part[] = "pre_tokenizer";
  json_t *p;
  ISC_TRY(isc_json_child_or_null(j, j->root, "", part, JSON_OBJECT, &p));
  return p ? read_part(t, j, p, part, "pretokenizers", read_pre, 0) : ISC_OK;
}

/* ---- decoders */

static isc_status add_strip(isc_tokenizer *t, const isc_json *j, const json_t *p,
                            const char *part) {
  static const char *const known[] = {"type", "content", "start", "stop", NULL};
  isc_decode_part *n;
  const char *content;
  json_t *start, *stop;
  ISC_TRY(isc_json_only(j, p, part, known));
  ISC_TRY(isc_tokenizer_add_decoder(t, ISC_DECODE_STRIP, &n));
  ISC_TRY(read_character(j, p, part, "content", &content));
  ISC_TRY(isc_strdup(content, &n->content));
  ISC_TRY(isc_json_child(j, p, part, "start", JSON_INTEGER, &start));
  ISC_TRY(isc_json_child(j, p, part, "stop", JSON_INTEGER, &stop));
  n->start = json_integer_value(start);
  n->stop = json_integer_value(stop);
  if (n->start >= 0 && n->stop >= 0) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: %s: \"start\" or \"stop\" is below 0", j->path, part);
}

static isc_status add_replace(isc_tokenizer *t, const isc_json *j, const json_t *p,
                              const char *part) {
  static const char *const known[] = {"type", "pattern", "content", NULL};
  isc_decode_part *n;
  ISC_TRY(isc_json_only(j, p, part, known));
  ISC_TRY(isc_tokenizer_add_decoder(t, ISC_DECODE_REPLACE, &n));
  ISC_TRY(read_pattern(j, p, part, &n->pattern));
  return read_content(j, p, part, "content", &n->content);
}

static isc_status read_decoder(isc_tokenizer *t, const isc_json *j, const json_t *p,
                               const char *type) {
  static const char *const byte_level[] = {"type", "add_prefix_space", "trim_offsets", "use_regex",
                                           NULL};
  static const char *const nothing[] = {"type", NULL};
  label part = named("decoder", type);
  isc_decode_part *n;
  const char *replacement;
  bool split;
  if (strcmp(type, "Strip") == 0) return add_strip(t, j, p, part.s);
  if (strcmp(type, "Replace") == 0) return add_replace(t, j, p, part.s);
  if (strcmp(type, "Metaspace") == 0) {
    ISC_TRY(isc_tokenizer_add_decoder(t, ISC_DECODE_METASPACE, &n));
    ISC_TRY(read_metaspace(j, p, part.s, &replacement, &n->scheme, &split));
    return isc_strdup(replacement, &n->content);
  }
  if (strcmp(type, "ByteLevel") == 0) {
    ISC_TRY(isc_json_only(j, p, part.s, byte_level));
    return isc_tokenizer_add_decoder(t, ISC_DECODE_BYTE_LEVEL, &n);
  }
  bool fuse = strcmp(type, "Fuse") == 0;
  if (!fuse && strcmp(type, "ByteFallback") != 0) return isc_json_unsupported(j, "decoder", type);
  ISC_TRY(isc_json_only(j, p, part.s, nothing));
  return isc_tokenizer_add_decoder(t, fuse ? ISC_DECODE_FUSE : ISC_DECODE_BYTE_FALLBACK, &n);
}

isc_status isc_tokenizer_json_decoder(isc_tokenizer *t, const isc_json *j) {
  static const char part[] = "decoder";
  json_t *p;
  ISC_TRY(isc_json_child_or_null(j, j->root, "", part, JSON_OBJECT, &p));
  if (!p) return ISC_OK;
  t->joins_with_spaces = false;
  return read_part(t, j, p, part, "decoders", read_decoder, 0);
}
