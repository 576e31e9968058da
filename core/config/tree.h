/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the config layer: the tree of settings and the record of what they resolved to.
 *
 * All of it lives in the config's pool and dies with it.
 */
#ifndef ISC_CORE_CONFIG_TREE_H
#define ISC_CORE_CONFIG_TREE_H

#include "base/base.h"
#include "config/config.h"
#include "config/lint.h"
#include "plugin/schema.h"

typedef enum isc_node_type { ISC_NODE_SCALAR, ISC_NODE_LIST, ISC_NODE_GROUP } isc_node_type;

typedef struct isc_node {
  isc_node_type type;
  const char *name;  /* NULL for the root and for elements of a list            */
  const char *where; /* "file:line", or the override                            */
  const char *dir;   /* absolute: what paths written here are relative to       */
  isc_value value;   /* of a scalar                                             */
  struct isc_node *first, *last, *next;
  int64_t n; /* children                                                */
  bool used; /* somebody asked for this or something in it              */
} isc_node;

/* One resolved setting, as it is written back. */
typedef struct isc_record {
  const char *path, *key; /* of the group ("" = root), and in it */
  const char *text;       /* the value as config text            */
  bool runtime;
  struct isc_record *next;
} isc_record;

struct isc_config {
  isc_pool pool;
  const char *name, *dir;
  isc_node *root;
  isc_record *first, *last;
  const char *const
      *known; /* names of the top level, once isc_config_check_unused told; not owned */
};

/* A step of a path: "name" or "[3]". */
typedef struct isc_step {
  const char *s;
  size_t len;
  int64_t index; /* ≥ 0 for [n], else -1 */
} isc_step;

/* Take the next step off *path; false at its end. A malformed step has len 0. */
bool isc_path_step(const char **path, isc_step *step);

isc_status isc_node_new(isc_pool *pool, isc_node_type type, isc_node **out);
void isc_node_append(isc_node *parent, isc_node *child);
isc_node *isc_node_child(const isc_node *parent, const isc_step *step);
isc_node *isc_node_named(const isc_node *group, const char *name);
/* The node at `path`, or NULL. */
isc_node *isc_node_find(const isc_node *root, const char *path);
/* "a group", "a list", … for messages. */
const char *isc_node_kind(const isc_node *n);

/* "where: path.name: unknown setting; did you mean …". */
isc_status isc_fail_unknown(const isc_config *c, const isc_node *n, const char *path,
                            const char *const *names);

/* Lint and parse `text` into a tree. `tree` is the directory @include must stay below (NULL = none). */
isc_status isc_tree_parse(isc_pool *pool, const char *text, size_t len, const isc_lint_file *file,
                          const char *tree, bool allow_outside, isc_node **root);

/* Apply one "path=value". */
isc_status isc_override(isc_config *c, const char *assignment);

/* Fill from a group, allowing also the key "plugin" when `names_plugin`. */
typedef struct isc_fill_request {
  const char *path;
  const isc_option *options;
  const char *const *also;
  bool names_plugin;
  void *conf;
} isc_fill_request;
isc_status isc_fill(isc_config *c, const isc_fill_request *request);

/* Remember `path`.`key` as config text (values[0 … n-1]; a list when `list`); replaces an earlier one. */
typedef struct isc_resolved {
  const char *path, *key;
  const isc_option *option; /* NULL for "plugin" */
  const isc_value *values;
  int64_t n;
} isc_resolved;
isc_status isc_record_add(isc_config *c, const isc_resolved *r);
/* One value as config text. */
void isc_value_write(isc_sb *b, const isc_option *o, const isc_value *v);

#endif
