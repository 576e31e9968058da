/* SPDX-License-Identifier: Apache-2.0
 *
 * From linted text through libconfig to a tree of our own.
 *
 * libconfig's tree is read once and destroyed: ours knows where each setting stands, whether anybody
 * used it, and takes overrides.
 */
#include "config/tree.h"
#include <ctype.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

isc_status isc_node_new(isc_pool *pool, isc_node_type type, isc_node **out) {
  void *p;
  ISC_TRY(isc_pool_alloc(pool, 1, sizeof **out, "a config's tree", &p));
  *out = p;
  (*out)->type = type;
  return ISC_OK;
}

void isc_node_append(isc_node *parent, isc_node *child) {
  child->next = NULL;
  if (parent->last)
    parent->last->next = child;
  else
    parent->first = child;
  parent->last = child;
  parent->n++;
}

bool isc_path_step(const char **path, isc_step *step) {
  const char *s = *path;
  if (*s == '.') s++;
  if (!*s) {
    /* A trailing dot is a malformed step, not an end. */
    bool dangling = s != *path;
    *path = s;
    *step = (isc_step){.s = s, .index = -1};
    return dangling;
  }
  *step = (isc_step){.s = s, .index = -1};
  if (*s == '[') {
    char *end;
    long long i = s[1] >= '0' && s[1] <= '9' ? strtoll(s + 1, &end, 10) : -1;
    if (i < 0 || *end != ']') {
      *path = s + strlen(s);
      return true;
    }
    step->index = i;
    step->len = (size_t)(end + 1 - s);
  } else {
    step->len = strcspn(s, ".[");
  }
  *path = s + step->len;
  return true;
}

isc_node *isc_node_child(const isc_node *parent, const isc_step *step) {
  if (step->len == 0) return NULL;
  int64_t i = 0;
  for (isc_node *n = parent->first; n; n = n->next, i++) {
    if (step->index >= 0 && parent->type == ISC_NODE_LIST && i == step->index) return n;
    bool same = n->name && strncmp(n->name, step->s, step->len) == 0 && !n->name[step->len];
    if (step->index < 0 && same) return n;
  }
  return NULL;
}

isc_node *isc_node_named(const isc_node *group, const char *name) {
  isc_step step = {.s = name, .len = strlen(name), .index = -1};
  return group ? isc_node_child(group, &step) : NULL;
}

isc_node *isc_node_find(const isc_node *root, const char *path) {
  isc_step step;
  const isc_node *n = root;
  while (n && isc_path_step(&path, &step))
    n = isc_node_child(n, &step);
  return (isc_node *)(uintptr_t)n;
}

const char *isc_node_kind(const isc_node *n) {
  if (n->type == ISC_NODE_GROUP) return "a group { … }";
  if (n->type == ISC_NODE_LIST) return "a list";
  switch (n->value.type) {
  case ISC_VALUE_BOOL:
    return "a truth value";
  case ISC_VALUE_STRING:
    return "a string";
  default:
    return "a number";
  }
}

/* ---- reading libconfig's tree */

typedef struct convert {
  isc_pool *pool;
  isc_lint *lint;
} convert;

static isc_lint_place place_of_line(const isc_lint *l, unsigned line) {
  size_t row = line == 0 ? 0 : line - 1;
  return l->row[row < l->n_rows ? row : l->n_rows - 1];
}

static isc_status scalar_of(const convert *k, const config_setting_t *s, isc_node *n,
                            isc_lint_place *at) {
  int i = config_setting_type(s) == CONFIG_TYPE_INT ? config_setting_get_int(s) : -1;
  if (i < 0 || (size_t)i >= k->lint->n_scalars)
    return isc_fail(ISC_E_INTERNAL, "%s: a value was lost between the linter and libconfig",
                    k->lint->file[0].name);
  n->value = k->lint->scalar[i];
  *at = k->lint->at[i];
  return ISC_OK;
}

static isc_status convert_node(const convert *k, const config_setting_t *s, isc_node **out) {
  isc_lint_place at = place_of_line(k->lint, config_setting_source_line(s));
  bool group = config_setting_is_group(s), list = !group && config_setting_is_aggregate(s);
  isc_node *n;
  ISC_TRY(isc_node_new(k->pool,
                       group  ? ISC_NODE_GROUP
                       : list ? ISC_NODE_LIST
                              : ISC_NODE_SCALAR,
                       &n));
  *out = n;
  if (!group && !list) ISC_TRY(scalar_of(k, s, n, &at));
  if (config_setting_name(s)) {
    char *name;
    ISC_TRY(
        isc_pool_strndup(k->pool, config_setting_name(s), strlen(config_setting_name(s)), &name));
    n->name = name;
  }
  ISC_TRY(isc_lint_where(k->lint, at, &n->where));
  n->dir = k->lint->file[at.file].dir;
  for (int i = 0; (group || list) && i < config_setting_length(s); i++) {
    isc_node *child;
    ISC_TRY(convert_node(k, config_setting_get_elem(s, (unsigned)i), &child));
    isc_node_append(n, child);
  }
  return ISC_OK;
}

/* The one name on a line of the structure; len 0 when there are none or several. */
static isc_step only_name(const char *structure, int line) {
  isc_step name = {.s = "", .index = -1};
  const char *s = structure;
  int names = 0;
  for (int i = 1; s && i < line; i++)
    s = (s = strchr(s, '\n')) ? s + 1 : NULL;
  while (s && *s && *s != '\n') {
    size_t len = strcspn(s, " {}[]()=:;,\n");
    if (isalpha((unsigned char)*s) || *s == '*') {
      name.s = s;
      name.len = len;
      names++;
    }
    s += len ? len : 1;
  }
  if (names != 1) name.len = 0;
  return name;
}

static isc_status syntax_error(isc_lint *l, const config_t *config, const char *structure) {
  const char *where, *what = config_error_text(config);
  int line = config_error_line(config);
  ISC_TRY(isc_lint_where(l, place_of_line(l, line > 0 ? (unsigned)line : 1), &where));
  if (what && strstr(what, "duplicate")) {
    isc_step name = only_name(structure, line);
    if (!name.len) name = (isc_step){.s = "a setting", .len = 9};
    return isc_fail(ISC_E_CONFIG, "%s: %.*s: given twice in the same group", where, (int)name.len,
                    name.s);
  }
  return isc_fail(ISC_E_CONFIG, "%s: syntax error here or just before (%s)", where,
                  what ? what : "no detail");
}

static isc_status parse_structure(const convert *k, const char *structure, isc_node **root) {
  config_t config;
  isc_status st = ISC_OK;
  config_init(&config);
  if (!config_read_string(&config, structure)) ISC_GO(syntax_error(k->lint, &config, structure));
  ISC_GO(convert_node(k, config_root_setting(&config), root));
done:
  config_destroy(&config);
  return st;
}

/* The tree of an empty text is made without libconfig, which cannot fail cleanly without memory: it is what defaults are
 * filled from, where a failure is to be an error and no more. */
static isc_status empty_root(const convert *k, isc_node **root) {
  const isc_lint_place at = place_of_line(k->lint, 1);
  ISC_TRY(isc_node_new(k->pool, ISC_NODE_GROUP, root));
  (*root)->dir = k->lint->file[at.file].dir;
  return isc_lint_where(k->lint, at, &(*root)->where);
}

isc_status isc_tree_parse(isc_pool *pool, const char *text, size_t len, const isc_lint_file *file,
                          const char *tree, bool allow_outside, isc_node **root) {
  isc_lint lint = {.pool = pool, .tree = tree, .allow_outside = allow_outside};
  const convert k = {.pool = pool, .lint = &lint};
  char *structure = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_lint_text(&lint, text, len, file));
  ISC_GO(isc_sb_finish(&lint.out, &structure));
  ISC_GO(len ? parse_structure(&k, structure, root) : empty_root(&k, root));
done:
  isc_lint_free(&lint);
  free(structure);
  return st;
}
