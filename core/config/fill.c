/* SPDX-License-Identifier: Apache-2.0
 *
 * Option tables into conf structs.
 *
 * Everything a setting must be is checked here against its option, and what it became is recorded,
 * so that the run can be written down completely.
 */
#include "config/tree.h"
#include <stdlib.h>
#include <string.h>

/* What a message about one setting needs. */
typedef struct setting {
  isc_config *c;
  const isc_fill_request *request;
  const isc_option *o;
  const isc_node *node; /* NULL when the default is used */
  const char *where;
} setting;

static isc_status at_setting(const char *where, const char *path, const char *key) {
  return isc_fail_in("%s: %s%s%s", where, path, path[0] ? "." : "", key);
}

/* ---- unknown keys */

isc_status isc_fail_unknown(const isc_config *c, const isc_node *n, const char *path,
                            const char *const *names) {
  const char *near = isc_nearest_name(n->name, names);
  /* A group written inside another by mistake is near a name of the top level. */
  if (!near && c->known) near = isc_nearest_name(n->name, c->known);
  if (near)
    isc_fail(ISC_E_CONFIG, "unknown setting; did you mean \"%s\"?", near);
  else
    isc_fail(ISC_E_CONFIG, "unknown setting");
  return at_setting(n->where, path, n->name);
}

/* The part of `name` below `prefix` ("" or "backbone."), or NULL. */
static const char *name_below(const char *name, const char *prefix) {
  const size_t len = strlen(prefix);
  return strncmp(name, prefix, len) == 0 ? name + len : NULL;
}

/* The keys that may stand in the (sub-)group `prefix`: the next step of every option's name. */
static isc_status key_names(isc_config *c, const isc_fill_request *r, const char *prefix,
                            const char ***out) {
  size_t n = 0, k = 0;
  void *list;
  char *key;
  for (const isc_option *o = r->options; o && o->name; o++)
    n++;
  for (size_t i = 0; r->also && r->also[i]; i++)
    n++;
  ISC_TRY(isc_pool_alloc(&c->pool, n + 2, sizeof **out, "a list of names", &list));
  *out = list;
  for (const isc_option *o = r->options; o && o->name; o++) {
    const char *rest = name_below(o->name, prefix);
    if (!rest) continue;
    ISC_TRY(isc_pool_strndup(&c->pool, rest, strcspn(rest, "."), &key));
    (*out)[k++] = key;
  }
  for (size_t i = 0; r->also && r->also[i]; i++) {
    const char *rest = name_below(r->also[i], prefix);
    if (!rest) continue;
    ISC_TRY(isc_pool_strndup(&c->pool, rest, strcspn(rest, "."), &key));
    (*out)[k++] = key;
  }
  if (r->names_plugin && !*prefix) (*out)[k++] = "plugin";
  return ISC_OK;
}

/* Is `name` the first part of a dotted option, so that a sub-group of that name is meant? */
static bool names_group(const isc_fill_request *r, const char *name) {
  const size_t len = strlen(name);
  for (const isc_option *o = r->options; o && o->name; o++)
    if (strncmp(o->name, name, len) == 0 && o->name[len] == '.') return true;
  for (size_t i = 0; r->also && r->also[i]; i++)
    if (strncmp(r->also[i], name, len) == 0 && r->also[i][len] == '.') return true;
  return false;
}

static isc_status check_keys(isc_config *c, const isc_fill_request *r, const char *prefix,
                             const isc_node *group);

static isc_status check_sub_group(isc_config *c, const isc_fill_request *r, const char *prefix,
                                  isc_node *n) {
  char *name, *deeper;
  ISC_TRY(isc_asprintf(&name, "%s%s", prefix, n->name));
  const bool sub = names_group(r, name);
  isc_status st = isc_asprintf(&deeper, "%s.", name);
  free(name);
  ISC_TRY(st);
  if (sub && n->type != ISC_NODE_GROUP) {
    isc_fail(ISC_E_CONFIG, "must be a group { … }, not %s", isc_node_kind(n));
    st = at_setting(n->where, r->path, n->name);
  } else if (sub) {
    n->used = true;
    st = check_keys(c, r, deeper, n);
  }
  free(deeper);
  return st;
}

static isc_status check_keys(isc_config *c, const isc_fill_request *r, const char *prefix,
                             const isc_node *group) {
  const char **names;
  char *path;
  ISC_TRY(key_names(c, r, prefix, &names));
  for (isc_node *n = group->first; n; n = n->next) {
    bool known = false;
    for (size_t i = 0; names[i] && !known; i++)
      known = strcmp(names[i], n->name) == 0;
    if (known) {
      ISC_TRY(check_sub_group(c, r, prefix, n));
      continue;
    }
    ISC_TRY(isc_asprintf(&path, "%s%s%s", r->path, *prefix && r->path[0] ? "." : "", prefix));
    if (*prefix) path[strlen(path) - 1] = '\0';
    isc_status st = isc_fail_unknown(c, n, path, names);
    free(path);
    return st;
  }
  return ISC_OK;
}

/* ---- one setting's values */

static isc_status gather_node(setting *s, isc_value **v, int64_t *n) {
  void *list;
  const isc_node *node = s->node;
  bool wants_list = isc_option_is_list(s->o->type);
  if (node->type == ISC_NODE_GROUP || (node->type == ISC_NODE_LIST && !wants_list))
    return isc_fail(ISC_E_CONFIG, "must be %s, not %s", isc_option_type_phrase(s->o->type),
                    isc_node_kind(node));
  *n = node->type == ISC_NODE_LIST ? node->n : 1;
  ISC_TRY(isc_pool_alloc(&s->c->pool, (size_t)*n, sizeof **v, "a list of values", &list));
  *v = list;
  if (node->type == ISC_NODE_SCALAR) {
    **v = node->value;
    return ISC_OK;
  }
  int64_t i = 0;
  for (const isc_node *e = node->first; e; e = e->next) {
    if (e->type != ISC_NODE_SCALAR)
      return isc_fail(ISC_E_CONFIG, "element %lld must be %s, not %s", (long long)i,
                      isc_option_type_phrase(isc_option_element(s->o->type)), isc_node_kind(e));
    (*v)[i++] = e->value;
  }
  return ISC_OK;
}

static isc_status gather(setting *s, isc_value **v, int64_t *n) {
  if (s->node) return gather_node(s, v, n);
  if (s->o->flags & ISC_OPT_REQUIRED)
    return isc_fail(ISC_E_CONFIG, "must be given: %s. %s", isc_option_type_phrase(s->o->type),
                    s->o->doc ? s->o->doc : "");
  return isc_option_preset(s->o, &s->c->pool, v, n);
}

/* "./" and "../" in front are resolved against `dir`, which is canonical, so no link is crossed. */
static isc_status absolute_path(setting *s, const char *dir, isc_value *v) {
  const char *rest = v->s;
  char *joined, *kept;
  size_t len = strlen(dir);
  if (v->s[0] == '/') return ISC_OK;
  for (;;) {
    bool up = strncmp(rest, "../", 3) == 0 || strcmp(rest, "..") == 0;
    if (!up && strncmp(rest, "./", 2) != 0) break;
    rest += up ? 2 : 1;
    rest += strspn(rest, "/");
    while (up && len > 1 && dir[len - 1] != '/')
      len--;
    while (up && len > 1 && dir[len - 1] == '/')
      len--;
  }
  if (strcmp(rest, ".") == 0) rest = "";
  const char *slash = !rest[0] || dir[len - 1] == '/' ? "" : "/";
  ISC_TRY(isc_asprintf(&joined, "%.*s%s%s", (int)len, dir, slash, rest));
  isc_status st = isc_pool_strndup(&s->c->pool, joined, strlen(joined), &kept);
  free(joined);
  v->s = kept;
  return st;
}

static isc_status check_path(setting *s, const isc_node *written, isc_value *v) {
  ISC_TRY(absolute_path(s, written ? written->dir : s->c->dir, v));
  if (s->o->flags & ISC_OPT_MUST_EXIST && !isc_exists(v->s))
    return isc_fail(ISC_E_MISSING, "there is no file or directory %s", v->s);
  return ISC_OK;
}

static isc_status check_values(setting *s, isc_value *v, int64_t n) {
  bool is_path = isc_option_element(s->o->type) == ISC_OPT_PATH;
  bool from_list = s->node && s->node->type == ISC_NODE_LIST;
  const isc_node *element = from_list ? s->node->first : s->node;
  for (int64_t i = 0; i < n; i++) {
    isc_status st = isc_value_check(s->o, &v[i]);
    if (st == ISC_OK && is_path) st = check_path(s, element, &v[i]);
    if (st != ISC_OK && element) s->where = element->where;
    if (st != ISC_OK) return from_list ? isc_fail_in("element %lld", (long long)i) : st;
    if (from_list) element = element->next;
  }
  return ISC_OK;
}

/* ---- into the struct */

static void store_scalar(isc_option_type type, const isc_value *v, void *field) {
  switch (type) {
  case ISC_OPT_BOOL:
    *(bool *)field = v->b;
    return;
  case ISC_OPT_INT:
    *(int64_t *)field = v->i;
    return;
  case ISC_OPT_FLOAT:
    *(double *)field = v->f;
    return;
  case ISC_OPT_ENUM:
    *(int32_t *)field = (int32_t)v->i;
    return;
  default:
    *(const char **)field = v->s;
    return;
  }
}

static isc_status store(setting *s, const isc_value *v, int64_t n, void *conf) {
  isc_option_type element = isc_option_element(s->o->type);
  size_t size = isc_option_field_size(element);
  char *field = (char *)conf + s->o->offset;
  void *array = NULL;
  if (!isc_option_is_list(s->o->type)) {
    if (n)
      store_scalar(element, v, field);
    else
      memset(field, 0, size);
    return ISC_OK;
  }
  ISC_TRY(isc_pool_alloc(&s->c->pool, n ? (size_t)n : 1, size, s->o->name, &array));
  for (int64_t i = 0; i < n; i++)
    store_scalar(element, &v[i], (char *)array + (size_t)i * size);
  isc_list list = {.count = n};
  memcpy(&list.at, &array, sizeof array); /* every member of the union is an object pointer */
  memcpy(field, &list, sizeof list);
  return ISC_OK;
}

/* An option "backbone.lr" of group `method` is the key `lr` of the group `method.backbone`. */
static isc_status record(setting *s, const isc_value *v, int64_t n) {
  const char *dot = strrchr(s->o->name, '.'), *path = s->request->path;
  char *group = NULL;
  isc_resolved r = {.path = path, .key = s->o->name, .option = s->o, .values = v, .n = n};
  if (dot) {
    ISC_TRY(isc_asprintf(&group, "%s%s%.*s", path, path[0] ? "." : "", (int)(dot - s->o->name),
                         s->o->name));
    r.path = group;
    r.key = dot + 1;
  }
  isc_status st = isc_record_add(s->c, &r);
  free(group);
  return st;
}

static isc_status fill_one(setting *s) {
  isc_value *v = NULL;
  int64_t n = 0;
  ISC_TRY(gather(s, &v, &n));
  ISC_TRY(check_values(s, v, n));
  ISC_TRY(store(s, v, n, s->request->conf));
  bool unset = !s->node && !s->o->preset;
  return unset ? ISC_OK : record(s, v, n);
}

/* Mark the way to `path`, and give the group there (NULL when absent). */
static isc_status reach(isc_config *c, const char *path, isc_node **out) {
  const char *rest = path;
  isc_step step;
  isc_node *n = c->root;
  while (n && isc_path_step(&rest, &step)) {
    n = isc_node_child(n, &step);
    if (n) n->used = true;
  }
  *out = n;
  if (n && n->type != ISC_NODE_GROUP)
    return isc_fail(ISC_E_CONFIG, "%s: %s: must be a group { … }, not %s", n->where, path,
                    isc_node_kind(n));
  return ISC_OK;
}

isc_status isc_fill(isc_config *c, const isc_fill_request *r) {
  isc_node *group;
  ISC_TRY(reach(c, r->path, &group));
  if (group) ISC_TRY(check_keys(c, r, "", group));
  for (const isc_option *o = r->options; o && o->name; o++) {
    isc_node *node = group ? isc_node_find(group, o->name) : NULL;
    if (node) node->used = true;
    setting s = {.c = c, .request = r, .o = o, .node = node};
    s.where = node ? node->where : group && group != c->root ? group->where : c->name;
    if (fill_one(&s) != ISC_OK) return at_setting(s.where, r->path, o->name);
  }
  return ISC_OK;
}

isc_status isc_config_fill(isc_config *c, const char *path, const isc_option *options,
                           const char *const *also, void *conf) {
  return isc_fill(
      c, &(isc_fill_request){.path = path, .options = options, .also = also, .conf = conf});
}
