/* SPDX-License-Identifier: Apache-2.0
 *
 * --set path=value: one setting replaced from the command line.
 *
 * The value goes through the same linter and parser as a file; only a bare word needs no quotes,
 * because shells make quoting them tedious.
 */
#include "config/tree.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { SHOWN = 60 };

typedef struct override {
  isc_config *c;
  const char *where; /* "--set run.seed=x" */
  const char *dir;   /* absolute           */
} override;

/* Config syntax is a bracket, a quote, a whole number, true or false; the rest is a string. */
static bool is_bare(const char *value, size_t len) {
  isc_value v;
  size_t used = 0;
  if (strchr("\"[({", value[0])) return false;
  if (len == 4 && strncasecmp(value, "true", 4) == 0) return false;
  if (len == 5 && strncasecmp(value, "false", 5) == 0) return false;
  if (!isdigit((unsigned char)value[0]) && !strchr("+-.", value[0])) return true;
  if (isc_value_number(value, len, &v, &used) == ISC_OK) return used != len;
  /* An integer too large, or with a leading zero, is a wrong number rather than a name. */
  size_t sign = value[0] == '+' || value[0] == '-';
  return strspn(value + sign, "0123456789") != len - sign;
}

static isc_status bare_node(override *o, const char *value, size_t len, isc_node **out) {
  char *text;
  ISC_TRY(isc_node_new(&o->c->pool, ISC_NODE_SCALAR, out));
  ISC_TRY(isc_pool_strndup(&o->c->pool, value, len, &text));
  (*out)->value = (isc_value){.type = ISC_VALUE_STRING, .s = text};
  (*out)->where = o->where;
  (*out)->dir = o->dir;
  return ISC_OK;
}

static isc_status parsed_node(override *o, const char *value, size_t len, isc_node **out) {
  isc_lint_file file = {.name = o->where, .dir = o->dir, .whole = true};
  isc_node *root;
  char *text = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_asprintf(&text, "value = %.*s", (int)len, value));
  ISC_GO(isc_tree_parse(&o->c->pool, text, strlen(text), &file, NULL, false, &root));
  if (root->n != 1)
    ISC_GO(isc_fail(ISC_E_CONFIG, "%s: one setting at a time; give --set again for the next",
                    o->where));
  *out = root->first;
done:
  free(text);
  return st;
}

/* A group that an override makes on its way. */
static isc_status make_group(override *o, isc_node *parent, const isc_step *step, isc_node **out) {
  char *name;
  if (step->index >= 0)
    return isc_fail(ISC_E_CONFIG, "%s: there is no element %lld; the list has %lld", o->where,
                    (long long)step->index,
                    (long long)(parent->type == ISC_NODE_LIST ? parent->n : 0));
  ISC_TRY(isc_node_new(&o->c->pool, ISC_NODE_GROUP, out));
  ISC_TRY(isc_pool_strndup(&o->c->pool, step->s, step->len, &name));
  (*out)->name = name;
  (*out)->where = o->where;
  (*out)->dir = o->dir;
  isc_node_append(parent, *out);
  return ISC_OK;
}

/* Put `value` where `old` is, keeping its place among its siblings. */
static void replace(isc_node *old, const isc_node *value) {
  isc_node *next = old->next;
  const char *name = old->name;
  *old = *value;
  old->next = next;
  old->name = name;
}

static isc_status set(override *o, const char *path, const isc_node *value) {
  isc_node *at = o->c->root;
  isc_step step;
  while (isc_path_step(&path, &step)) {
    isc_node *child = isc_node_child(at, &step);
    if (at->type == ISC_NODE_SCALAR || (at->type == ISC_NODE_LIST && step.index < 0))
      return isc_fail(ISC_E_CONFIG, "%s: %s is %s, not a group (%s)", o->where,
                      at->name ? at->name : "an element", isc_node_kind(at), at->where);
    if (!child) ISC_TRY(make_group(o, at, &step, &child));
    at = child;
  }
  replace(at, value);
  return ISC_OK;
}

static bool path_is_well_formed(const char *path) {
  isc_step step;
  bool any = false;
  while (isc_path_step(&path, &step)) {
    if (step.len == 0 || (!any && step.index >= 0)) return false;
    if (step.index < 0 && !isalpha((unsigned char)step.s[0])) return false;
    for (size_t i = 0; step.index < 0 && i < step.len; i++)
      if (!isalnum((unsigned char)step.s[i]) && step.s[i] != '_' && step.s[i] != '-') return false;
    any = true;
  }
  return any;
}

static isc_status apply(override *o, const char *path, const char *value) {
  isc_node *node;
  size_t len;
  while (isspace((unsigned char)*value))
    value++;
  len = strlen(value);
  while (len && isspace((unsigned char)value[len - 1]))
    len--;
  if (!path_is_well_formed(path))
    return isc_fail(ISC_E_CONFIG, "%s: write --set path.to.setting=value", o->where);
  if (len == 0)
    return isc_fail(ISC_E_CONFIG, "%s: the value is missing; an empty string is \"\"", o->where);
  if (is_bare(value, len))
    ISC_TRY(bare_node(o, value, len, &node));
  else
    ISC_TRY(parsed_node(o, value, len, &node));
  return set(o, path, node);
}

static isc_status keep(isc_config *c, char *owned, const char **out) {
  char *kept = NULL;
  isc_status st = owned ? isc_pool_strndup(&c->pool, owned, strlen(owned), &kept) : ISC_E_NOMEM;
  free(owned);
  *out = kept;
  return st;
}

isc_status isc_override(isc_config *c, const char *assignment) {
  override o = {.c = c};
  char *where, *path;
  const char *equals = strchr(assignment, '=');
  const char *more = strlen(assignment) > SHOWN ? "…" : "";
  ISC_TRY(isc_asprintf(&where, "--set %.*s%s", SHOWN, assignment, more));
  ISC_TRY(keep(c, where, &o.where));
  char *cwd = getcwd(NULL, 0);
  if (!cwd) return isc_fail(ISC_E_IO, "%s: the current directory cannot be found", o.where);
  ISC_TRY(keep(c, cwd, &o.dir));
  if (!equals) return isc_fail(ISC_E_CONFIG, "%s: write --set path.to.setting=value", o.where);
  size_t from = strspn(assignment, " \t"), to = (size_t)(equals - assignment);
  while (to > from && isspace((unsigned char)assignment[to - 1]))
    to--;
  ISC_TRY(isc_asprintf(&path, "%.*s", (int)(to - from), assignment + from));
  isc_status st = apply(&o, path, equals + 1);
  free(path);
  return st;
}
