/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading a config, and looking at it without reading values.
 *
 * A config's directory is made canonical once, here: paths in it and the bounds of @include both
 * start from that.
 */
#include "config/tree.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static isc_status keep(isc_config *c, const char *s, const char **out) {
  char *copy;
  ISC_TRY(isc_pool_strndup(&c->pool, s, strlen(s), &copy));
  *out = copy;
  return ISC_OK;
}

static isc_status keep_real(isc_config *c, const char *path, const char **out) {
  char *real = realpath(path, NULL);
  if (!real && errno == ENOMEM) return isc_fail(ISC_E_NOMEM, "%s: no memory for its path", path);
  if (!real) return isc_fail(ISC_E_MISSING, "%s: cannot be found: %s", path, strerror(errno));
  isc_status st = keep(c, real, out);
  free(real);
  return st;
}

static isc_status new_config(isc_config **out) {
  void *p;
  ISC_TRY(isc_calloc(1, sizeof **out, "a config", &p));
  *out = p;
  return ISC_OK;
}

isc_status isc_config_parse(const char *text, size_t len, const char *name, const char *dir,
                            isc_config **out) {
  isc_config *c;
  isc_status st = ISC_OK;
  *out = NULL;
  ISC_TRY(new_config(&c));
  ISC_GO(keep(c, name, &c->name));
  ISC_GO(keep_real(c, dir && dir[0] ? dir : ".", &c->dir));
  isc_lint_file file = {.name = c->name, .dir = c->dir};
  ISC_GO(isc_tree_parse(&c->pool, text, len, &file, c->dir, false, &c->root));
  *out = c;
  c = NULL;
done:
  isc_config_free(c);
  return st;
}

static isc_status load_file(isc_config *c, const isc_config_source *src) {
  char *dir = NULL, *text = NULL;
  const char *real;
  size_t len;
  isc_status st = ISC_OK;
  ISC_GO(keep(c, src->path, &c->name));
  ISC_GO(isc_lint_read(src->path, &text, &len));
  ISC_GO(isc_path_dir(src->path, &dir));
  ISC_GO(keep_real(c, dir, &c->dir));
  ISC_GO(keep_real(c, src->path, &real));
  isc_lint_file file = {.name = c->name, .dir = c->dir, .real = real};
  ISC_GO(isc_tree_parse(&c->pool, text, len, &file, c->dir, src->allow_outside_includes, &c->root));
done:
  free(dir);
  free(text);
  return st;
}

isc_status isc_config_load(const isc_config_source *src, isc_config **out) {
  isc_config *c;
  isc_status st = ISC_OK;
  *out = NULL;
  ISC_TRY(new_config(&c));
  ISC_GO(load_file(c, src));
  for (int64_t i = 0; i < src->n_overrides; i++)
    ISC_GO(isc_override(c, src->overrides[i]));
  *out = c;
  c = NULL;
done:
  isc_config_free(c);
  return st;
}

isc_status isc_config_override(isc_config *c, const char *assignment) {
  return isc_override(c, assignment);
}

void isc_config_free(isc_config *c) {
  if (!c) return;
  isc_pool_free(&c->pool);
  free(c);
}

bool isc_config_has(const isc_config *c, const char *path) {
  return isc_node_find(c->root, path) != NULL;
}

int64_t isc_config_count(const isc_config *c, const char *path) {
  const isc_node *n = isc_node_find(c->root, path);
  return !n ? 0 : n->type == ISC_NODE_LIST ? n->n : 1;
}

const char *isc_config_where(const isc_config *c, const char *path) {
  const isc_node *n = path[0] ? isc_node_find(c->root, path) : NULL;
  return n ? n->where : c->name;
}

static bool is_known(const char *name, const char *const *known) {
  for (; known && *known; known++)
    if (strcmp(*known, name) == 0) return true;
  return false;
}

/* Every name the top level is known to have: `known`, and the groups that were filled. The strings of
 * the latter are the pool's. */
static isc_status top_names(isc_config *c, const char *const *known, const char ***out) {
  size_t n = 0, k = 0;
  void *list;
  while (known && known[n])
    n++;
  for (const isc_record *r = c->first; r; r = r->next)
    n++;
  ISC_TRY(isc_pool_alloc(&c->pool, n + 1, sizeof **out, "a list of names", &list));
  *out = list;
  for (; known && known[k]; k++)
    (*out)[k] = known[k];
  for (const isc_record *r = c->first; r; r = r->next) {
    char *name;
    size_t len = strcspn(r->path, ".[");
    ISC_TRY(isc_pool_strndup(&c->pool, len ? r->path : r->key, len ? len : strlen(r->key), &name));
    (*out)[k++] = name;
  }
  return ISC_OK;
}

isc_status isc_config_check_unused(isc_config *c, const char *const *known) {
  const char **names;
  c->known = known;
  for (const isc_node *n = c->root->first; n; n = n->next) {
    if (n->used || is_known(n->name, known)) continue;
    ISC_TRY(top_names(c, known, &names));
    return isc_fail_unknown(c, n, "", names);
  }
  return ISC_OK;
}
