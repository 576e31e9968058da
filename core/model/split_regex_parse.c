/* SPDX-License-Identifier: Apache-2.0
 *
 * Parsing a pre-tokeniser's regular expression into a tree.
 *
 * Recursive descent, as deep as ISC_REGEX_MAX_DEPTH. Refused are anchors, look-behind, references, options but (?i:…),
 * and what Ruby's syntax reads otherwise than others: x{n}?, x{n,m}+, a repetition of a repetition.
 */
#include "model/split_regex_parts.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

isc_status isc_regex_refuse(const isc_regex_parser *p, isc_status code, const char *what) {
  size_t at = (size_t)(p->at - p->pattern);
  return isc_fail(code, "the pattern \"%.*s%s\" has before its byte %zu %s", 80, p->pattern,
                  strlen(p->pattern) > 80 ? "…" : "", at + 1, what);
}

static isc_status unsupported(const isc_regex_parser *p, const char *what) {
  return isc_regex_refuse(p, ISC_E_UNSUPPORTED, what);
}

static isc_status add_node(isc_regex_parser *p, isc_regex_kind kind, int *out) {
  isc_split_regex *r = p->r;
  if (r->n_nodes == ISC_REGEX_MAX_NODES) return unsupported(p, "more parts than are accepted");
  if (!r->node)
    ISC_TRY(isc_calloc(ISC_REGEX_MAX_NODES, sizeof *r->node, "a pattern", (void **)&r->node));
  *out = r->n_nodes++;
  r->node[*out] = (isc_regex_node){.kind = kind, .nullable = true, .child = -1, .next = -1};
  return ISC_OK;
}

isc_status isc_split_regex_add_set(isc_split_regex *r, isc_char_set_builder *b, int *set) {
  void *sets = r->set;
  if (r->n_sets == ISC_REGEX_MAX_SETS) {
    isc_char_set_discard(b);
    return isc_fail(ISC_E_UNSUPPORTED, "a pattern of more than %d classes", ISC_REGEX_MAX_SETS);
  }
  isc_status st = isc_realloc(&sets, (size_t)r->n_sets + 1, sizeof *r->set, "a pattern");
  r->set = sets;
  if (st == ISC_OK) st = isc_char_set_finish(b, &r->set[r->n_sets]);
  isc_char_set_discard(b);
  if (st == ISC_OK) *set = r->n_sets++;
  return st;
}

/* A set that other nodes have too is kept once. */
static isc_status set_node(isc_regex_parser *p, isc_char_set_builder *b, int *out) {
  isc_split_regex *r = p->r;
  isc_status st = add_node(p, ISC_REGEX_SET, out);
  int set = -1;
  if (st == ISC_OK) st = isc_split_regex_add_set(r, b, &set);
  isc_char_set_discard(b);
  ISC_TRY(st);
  const isc_char_set *made = &r->set[set];
  for (int i = 0; i < set; i++) {
    const isc_char_set *s = &r->set[i];
    if (s->n_pages != made->n_pages || memcmp(s->of, made->of, sizeof s->of) != 0 ||
        memcmp(s->page, made->page, s->n_pages * sizeof *s->page) != 0)
      continue;
    isc_char_set_free(&r->set[--r->n_sets]);
    set = i;
  }
  r->node[*out].set = set;
  r->node[*out].nullable = false;
  return ISC_OK;
}

/* ---- atoms */

/* Where case is ignored, some pairs of letters are one character elsewhere: ﬆ is "st". */
static bool folds_into_one(uint32_t a, uint32_t b) {
  static const char pairs[][3] = {"ss", "ff", "fi", "fl", "st"};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
    if (a == (uint32_t)pairs[i][0] && b == (uint32_t)pairs[i][1]) return true;
  return false;
}

static isc_status add_either_case(isc_regex_parser *p, isc_char_set_builder *b, uint32_t c) {
  bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z';
  uint32_t letter = upper ? c + 32 : c;
  if (c > 0x7F) return unsupported(p, "a character that is not ASCII where case is ignored");
  if (folds_into_one(p->last, letter))
    return unsupported(p, "a pair of letters that is also one character, where case is ignored");
  p->last = letter;
  isc_char_set_add(b, letter, letter);
  if (upper || lower) isc_char_set_add(b, letter - 32, letter - 32);
  if (letter == 's') isc_char_set_add(b, 0x17F, 0x17F);   /* long s      */
  if (letter == 'k') isc_char_set_add(b, 0x212A, 0x212A); /* Kelvin sign */
  return ISC_OK;
}

static isc_status add_literal(isc_regex_parser *p, isc_char_set_builder *b, uint32_t c) {
  if (p->ignore_case) return add_either_case(p, b, c);
  isc_char_set_add(b, c, c);
  return ISC_OK;
}

static isc_status read_set(isc_regex_parser *p, isc_char_set_builder *b) {
  isc_regex_escape e = {0};
  char c = *p->at;
  if (p->ignore_case && (c == '[' || c == '.'))
    return unsupported(p, "a class where case is ignored");
  if (c == '[') return isc_regex_read_class(p, b);
  if (c == '.') {
    p->at++;
    isc_char_set_add(b, '\n', '\n');
    isc_char_set_complement(b);
    return ISC_OK;
  }
  if (c == '\\')
    ISC_TRY(isc_regex_read_escape(p, b, &e));
  else
    ISC_TRY(isc_regex_read_char(p, &e.code));
  if (!e.is_set) return add_literal(p, b, e.code);
  return p->ignore_case ? unsupported(p, "a class where case is ignored") : ISC_OK;
}

static isc_status read_alternatives(isc_regex_parser *p, int *out);

/* The kind of the group that begins at its '('. */
static isc_status open_group(isc_regex_parser *p, isc_regex_kind *kind, bool *negative) {
  static const struct {
    const char *text;
    isc_regex_kind kind;
    bool negative, ignore_case;
  } known[] = {{"(?:", ISC_REGEX_SEQUENCE, false, false}, {"(?i:", ISC_REGEX_SEQUENCE, false, true},
               {"(?=", ISC_REGEX_LOOK, false, false},     {"(?!", ISC_REGEX_LOOK, true, false},
               {"(?>", ISC_REGEX_ATOMIC, false, false},   {"(", ISC_REGEX_SEQUENCE, false, false}};
  size_t left = (size_t)(p->end - p->at);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    size_t n = strlen(known[i].text);
    if (n > left || memcmp(p->at, known[i].text, n) != 0) continue;
    p->at += n;
    if (n == 1 && left > 1 && *p->at == '?') break;
    *kind = known[i].kind;
    *negative = known[i].negative;
    p->ignore_case |= known[i].ignore_case;
    return ISC_OK;
  }
  return unsupported(p, "a kind of group that is not known here");
}

static isc_status read_group(isc_regex_parser *p, int *out) {
  bool outside = p->ignore_case, negative = false;
  isc_regex_kind kind = ISC_REGEX_SEQUENCE;
  int inner;
  if (++p->depth > ISC_REGEX_MAX_DEPTH) return unsupported(p, "groups nested too deeply");
  ISC_TRY(open_group(p, &kind, &negative));
  ISC_TRY(read_alternatives(p, &inner));
  if (p->at == p->end) return isc_regex_refuse(p, ISC_E_FORMAT, "a '(' that is not closed");
  p->at++;
  p->depth--;
  p->ignore_case = outside;
  ISC_TRY(add_node(p, kind, out));
  isc_regex_node *n = &p->r->node[*out];
  n->child = inner;
  n->negative = negative;
  n->nullable = kind == ISC_REGEX_LOOK || p->r->node[inner].nullable;
  return ISC_OK;
}

static isc_status read_atom(isc_regex_parser *p, int *out) {
  isc_char_set_builder b = {0};
  if (*p->at == '(') return read_group(p, out);
  if (*p->at == '^' || *p->at == '$') return unsupported(p, "an anchor");
  if (strchr("*+?{", *p->at)) return unsupported(p, "a repetition of nothing");
  ISC_TRY(isc_char_set_begin(&b));
  isc_status st = read_set(p, &b);
  if (st == ISC_OK) return set_node(p, &b, out);
  isc_char_set_discard(&b);
  return st;
}

/* ---- repetitions */

static isc_status read_count(isc_regex_parser *p, int *out) {
  int n = 0;
  const char *from = p->at;
  for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++) {
    n = n * 10 + (*p->at - '0');
    if (n > ISC_REGEX_MAX_COUNT) return unsupported(p, "a count that is too large");
  }
  if (p->at > from) *out = n;
  return ISC_OK;
}

/* {n}, {n,}, {n,m} or {,m}. */
static isc_status read_interval(isc_regex_parser *p, int *min, int *max) {
  *min = *max = -1;
  p->at++;
  ISC_TRY(read_count(p, min));
  bool comma = p->at < p->end && *p->at == ',';
  if (comma) {
    p->at++;
    ISC_TRY(read_count(p, max));
  } else
    *max = *min;
  if (p->at == p->end || *p->at != '}' || (*min < 0 && *max < 0))
    return unsupported(p, "a '{' that begins no count and is not escaped");
  p->at++;
  if (*min < 0) *min = 0;
  if (*max >= 0 && *max < *min) return unsupported(p, "counts in the wrong order");
  if (p->at < p->end && (*p->at == '+' || (*p->at == '?' && !comma)))
    return unsupported(p, "a count whose '+' or '?' other syntaxes read otherwise");
  return ISC_OK;
}

static bool at_repetition(const isc_regex_parser *p) {
  return p->at < p->end && strchr("*+?{", *p->at);
}

static isc_status read_repetition(isc_regex_parser *p, int *node) {
  int min, max, of = *node;
  isc_regex_greed greed = ISC_REGEX_GREEDY;
  if (!at_repetition(p)) return ISC_OK;
  if (p->r->node[of].kind == ISC_REGEX_LOOK) return unsupported(p, "a repetition of a look ahead");
  if (*p->at == '{') {
    ISC_TRY(read_interval(p, &min, &max));
  } else {
    min = *p->at == '+';
    max = *p->at == '?' ? 1 : -1;
    p->at++;
  }
  if (p->at < p->end && (*p->at == '?' || *p->at == '+'))
    greed = *p->at++ == '?' ? ISC_REGEX_LAZY : ISC_REGEX_POSSESSIVE;
  if (at_repetition(p)) return unsupported(p, "a repetition of a repetition");
  if (max != 0 && max != 1 && p->r->node[of].nullable)
    return unsupported(p, "a repetition of what may be empty");
  ISC_TRY(add_node(p, ISC_REGEX_REPEAT, node));
  isc_regex_node *n = &p->r->node[*node];
  n->child = of;
  n->min = min;
  n->max = max;
  n->greed = greed;
  n->nullable = min == 0 || p->r->node[of].nullable;
  return ISC_OK;
}

/* ---- sequences and alternatives */

static isc_status read_sequence(isc_regex_parser *p, int *out) {
  int last = -1, item;
  p->last = 0;
  ISC_TRY(add_node(p, ISC_REGEX_SEQUENCE, out));
  while (p->at < p->end && *p->at != '|' && *p->at != ')') {
    ISC_TRY(read_atom(p, &item));
    ISC_TRY(read_repetition(p, &item));
    isc_regex_node *node = p->r->node;
    if (last < 0)
      node[*out].child = item;
    else
      node[last].next = item;
    node[*out].nullable &= node[item].nullable;
    last = item;
  }
  return ISC_OK;
}

static isc_status read_alternatives(isc_regex_parser *p, int *out) {
  int first, last, item;
  ISC_TRY(read_sequence(p, &first));
  *out = last = first;
  if (p->at == p->end || *p->at != '|') return ISC_OK;
  bool nullable = p->r->node[first].nullable;
  for (; p->at < p->end && *p->at == '|'; last = item) {
    p->at++;
    ISC_TRY(read_sequence(p, &item));
    p->r->node[last].next = item;
    nullable |= p->r->node[item].nullable;
  }
  ISC_TRY(add_node(p, ISC_REGEX_ALTERNATIVE, out));
  p->r->node[*out].child = first;
  p->r->node[*out].nullable = nullable;
  return ISC_OK;
}

isc_status isc_split_regex_parse(isc_split_regex *r, const char *pattern) {
  size_t len = strlen(pattern);
  isc_regex_parser p = {.r = r, .pattern = pattern, .at = pattern, .end = pattern + len};
  if (len > ISC_REGEX_MAX_BYTES)
    return isc_fail(ISC_E_UNSUPPORTED, "a pattern of %zu bytes; at most %d are accepted", len,
                    ISC_REGEX_MAX_BYTES);
  ISC_TRY(read_alternatives(&p, &r->root));
  if (p.at < p.end) return isc_regex_refuse(&p, ISC_E_FORMAT, "a ')' that nothing opened");
  if (r->node[r->root].nullable)
    return isc_fail(ISC_E_UNSUPPORTED, "the pattern \"%.80s\" may match the empty text", pattern);
  return ISC_OK;
}
