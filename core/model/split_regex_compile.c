/* SPDX-License-Identifier: Apache-2.0
 *
 * From the tree of a pre-tokeniser's regular expression to its program.
 *
 * Each branch gets the set of bytes that it can begin with, so that most alternatives are passed over by one look-up.
 */
#include "model/split_regex_parts.h"
#include "model/text_utf8.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

/* ---- first bytes */

static void add_byte(isc_byte_set *s, unsigned byte) {
  s->bits[byte >> 6] |= UINT64_C(1) << (byte & 63);
}

static void merge_bytes(isc_byte_set *s, const isc_byte_set *other) {
  for (int i = 0; i < 4; i++)
    s->bits[i] |= other->bits[i];
}

/* A lead byte stands for 1, 64, 4096 or 2^18 characters, of which one is enough. */
static void first_bytes(const isc_char_set *set, isc_byte_set *out) {
  static const uint64_t empty[4];
  *out = (isc_byte_set){0};
  for (uint32_t cp = 0; cp < ISC_CODE_POINTS; cp++) {
    char s[4];
    if ((cp & 255) == 0 && memcmp(set->page[set->of[cp >> 8]], empty, sizeof empty) == 0) {
      cp |= 255;
      continue;
    }
    if (!isc_char_set_has(set, cp)) continue;
    isc_utf8_encode(cp, s);
    add_byte(out, (unsigned char)s[0]);
    cp |= cp < 0x80 ? 0 : cp < 0x800 ? 0x3F : cp < 0x10000 ? 0xFFF : 0x3FFFF;
  }
}

/* Adds what a match of the node can begin with; false when it may be empty and so begin with anything. */
static bool begins_with(const isc_split_regex *r, int node, isc_byte_set *out) {
  const isc_regex_node *n = &r->node[node];
  switch (n->kind) {
  case ISC_REGEX_SET:
    merge_bytes(out, &r->lead[n->set]);
    return true;
  case ISC_REGEX_SEQUENCE:
    for (int c = n->child; c >= 0; c = r->node[c].next) {
      if (r->node[c].kind == ISC_REGEX_LOOK) continue;
      if (begins_with(r, c, out)) return true;
    }
    return false;
  case ISC_REGEX_ALTERNATIVE: {
    bool all = true;
    for (int c = n->child; c >= 0; c = r->node[c].next)
      all &= begins_with(r, c, out);
    return all;
  }
  case ISC_REGEX_REPEAT:
    return begins_with(r, n->child, out) && n->min > 0;
  case ISC_REGEX_ATOMIC:
    return begins_with(r, n->child, out);
  default:
    return false;
  }
}

/* The filter of a branch that begins with a node, and of one that begins with any of a list from there on. */
static isc_status filter_of(isc_split_regex *r, int node, bool and_siblings, int *out) {
  isc_byte_set s = {0};
  void *grown = r->filter;
  *out = ISC_REGEX_ANY;
  for (int c = node; c >= 0; c = and_siblings ? r->node[c].next : -1)
    if (!begins_with(r, c, &s)) return ISC_OK;
  ISC_TRY(isc_realloc(&grown, (size_t)r->n_filters + 1, sizeof *r->filter, "a pattern"));
  r->filter = grown;
  r->filter[r->n_filters] = s;
  *out = r->n_filters++;
  return ISC_OK;
}

/* ---- the program */

static isc_status add_op(isc_split_regex *r, isc_regex_op_kind kind, int *at) {
  if (r->n_ops == ISC_REGEX_MAX_OPS)
    return isc_fail(ISC_E_UNSUPPORTED, "a pattern whose counts make it larger than is accepted");
  if (!r->op) ISC_TRY(isc_calloc(ISC_REGEX_MAX_OPS, sizeof *r->op, "a pattern", (void **)&r->op));
  *at = r->n_ops++;
  r->op[*at] = (isc_regex_op){
      .kind = kind, .a = *at + 1, .filter_a = ISC_REGEX_ANY, .filter_b = ISC_REGEX_ANY};
  return ISC_OK;
}

static isc_status emit(isc_split_regex *r, int node);

static isc_status emit_alternatives(isc_split_regex *r, int child) {
  int split, jump, first_jump = -1, next;
  for (; r->node[child].next >= 0; child = next) {
    next = r->node[child].next;
    ISC_TRY(add_op(r, ISC_OP_SPLIT, &split));
    ISC_TRY(filter_of(r, child, false, &r->op[split].filter_a));
    ISC_TRY(filter_of(r, next, true, &r->op[split].filter_b));
    ISC_TRY(emit(r, child));
    ISC_TRY(add_op(r, ISC_OP_JUMP, &jump));
    r->op[jump].a = first_jump; /* a chain, to be resolved below */
    first_jump = jump;
    r->op[split].b = r->n_ops;
  }
  ISC_TRY(emit(r, child));
  for (int j = first_jump; j >= 0; j = next) {
    next = r->op[j].a;
    r->op[j].a = r->n_ops;
  }
  return ISC_OK;
}

/* A choice between the child and leaving the repetition; the greedy one tries the child first. */
static isc_status emit_optional(isc_split_regex *r, const isc_regex_node *n, int *split) {
  int filter;
  ISC_TRY(add_op(r, ISC_OP_SPLIT, split));
  ISC_TRY(filter_of(r, n->child, false, &filter));
  ISC_TRY(emit(r, n->child));
  isc_regex_op *op = &r->op[*split];
  if (n->greed == ISC_REGEX_LAZY) {
    op->b = op->a;
    op->filter_b = filter;
  } else
    op->filter_a = filter;
  return ISC_OK;
}

static void leave_to_end(isc_split_regex *r, const isc_regex_node *n, int split) {
  if (n->greed == ISC_REGEX_LAZY)
    r->op[split].a = r->n_ops;
  else
    r->op[split].b = r->n_ops;
}

static isc_status emit_group_repeat(isc_split_regex *r, const isc_regex_node *n) {
  int split, jump, last = -1;
  for (int i = 0; i < n->min; i++)
    ISC_TRY(emit(r, n->child));
  for (int i = n->min; i < n->max; i++) { /* each copy that is not taken leaves the whole */
    ISC_TRY(emit_optional(r, n, &split));
    r->op[split].max = last;
    last = split;
  }
  for (int s = last; s >= 0; s = r->op[s].max)
    leave_to_end(r, n, s);
  if (n->max >= 0) return ISC_OK;
  ISC_TRY(emit_optional(r, n, &split));
  ISC_TRY(add_op(r, ISC_OP_JUMP, &jump));
  r->op[jump].a = split;
  leave_to_end(r, n, split);
  return ISC_OK;
}

/* The program of a node, ended, as an operand of an operation. */
static isc_status emit_inner(isc_split_regex *r, isc_regex_op_kind kind, int node, bool negative) {
  int op = 0, end;
  ISC_TRY(add_op(r, kind, &op));
  ISC_TRY(emit(r, node));
  ISC_TRY(add_op(r, ISC_OP_END, &end));
  r->op[op].a = r->n_ops;
  r->op[op].negative = negative;
  return ISC_OK;
}

static isc_status emit_repeat(isc_split_regex *r, const isc_regex_node *n) {
  int op = 0, end;
  if (r->node[n->child].kind == ISC_REGEX_SET) {
    ISC_TRY(add_op(r, ISC_OP_RUN, &op));
    r->op[op].set = r->node[n->child].set;
    r->op[op].min = n->min;
    r->op[op].max = n->max;
    r->op[op].greed = n->greed;
    return ISC_OK;
  }
  if (n->greed != ISC_REGEX_POSSESSIVE) return emit_group_repeat(r, n);
  ISC_TRY(add_op(r, ISC_OP_ATOMIC, &op));
  ISC_TRY(emit_group_repeat(r, n));
  ISC_TRY(add_op(r, ISC_OP_END, &end));
  r->op[op].a = r->n_ops;
  return ISC_OK;
}

static isc_status emit(isc_split_regex *r, int node) {
  const isc_regex_node *n = &r->node[node];
  int op = 0;
  switch (n->kind) {
  case ISC_REGEX_SET:
    ISC_TRY(add_op(r, ISC_OP_SET, &op));
    r->op[op].set = n->set;
    return ISC_OK;
  case ISC_REGEX_SEQUENCE:
    for (int c = n->child; c >= 0; c = r->node[c].next)
      ISC_TRY(emit(r, c));
    return ISC_OK;
  case ISC_REGEX_ALTERNATIVE:
    return emit_alternatives(r, n->child);
  case ISC_REGEX_REPEAT:
    return emit_repeat(r, n);
  case ISC_REGEX_LOOK:
    return emit_inner(r, ISC_OP_LOOK, n->child, n->negative);
  case ISC_REGEX_ATOMIC:
    return emit_inner(r, ISC_OP_ATOMIC, n->child, false);
  default:
    return ISC_OK;
  }
}

isc_status isc_split_regex_compile(isc_split_regex *r) {
  int end;
  ISC_TRY(isc_calloc((size_t)r->n_sets, sizeof *r->lead, "a pattern", (void **)&r->lead));
  for (int i = 0; i < r->n_sets; i++)
    first_bytes(&r->set[i], &r->lead[i]);
  ISC_TRY(emit(r, r->root));
  return add_op(r, ISC_OP_END, &end);
}

void isc_split_regex_close(isc_split_regex *r) {
  if (!r) return;
  for (int i = 0; i < r->n_sets; i++)
    isc_char_set_free(&r->set[i]);
  free(r->set);
  free(r->lead);
  free(r->node);
  free(r->op);
  free(r->filter);
  free(r);
}

isc_status isc_split_regex_open(const char *pattern, isc_split_regex **out) {
  isc_split_regex *r;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof *r, "a pattern", (void **)&r));
  isc_status st = isc_split_regex_parse(r, pattern);
  if (st == ISC_OK) st = isc_split_regex_compile(r);
  free(r->node);
  r->node = NULL;
  if (st == ISC_OK)
    *out = r;
  else
    isc_split_regex_close(r);
  return st;
}
