/* SPDX-License-Identifier: Apache-2.0
 *
 * A group that names a plugin: find its class, fill its conf.
 *
 * What is wrong with the name or the plugin is told at the place in the config that asked for it.
 */
#include "config/tree.h"
#include "plugin/registry.h"
#include <stdlib.h>
#include <string.h>

static isc_status plugin_name(isc_config *c, const char *path, const char *fallback,
                              isc_value *name) {
  const isc_node *group = isc_node_find(c->root, path);
  const isc_node *key =
      group && group->type == ISC_NODE_GROUP ? isc_node_named(group, "plugin") : NULL;
  *name = (isc_value){.type = ISC_VALUE_STRING, .s = fallback};
  if (key && (key->type != ISC_NODE_SCALAR || key->value.type != ISC_VALUE_STRING))
    return isc_fail(ISC_E_CONFIG, "%s: %s.plugin: must be a plugin's name (a string), not %s",
                    key->where, path, isc_node_kind(key));
  if (key) name->s = key->value.s;
  if (name->s) return ISC_OK;
  if (group && group->type != ISC_NODE_GROUP)
    return isc_fail(ISC_E_CONFIG, "%s: %s: must be a group { plugin = \"…\"; … }, not %s",
                    group->where, path, isc_node_kind(group));
  return isc_fail(ISC_E_CONFIG, "%s: %s.plugin: must be given: the name of the plugin to use",
                  group ? group->where : c->name, path);
}

static isc_status find_class(isc_config *c, const char *path, isc_kind kind, const char *name,
                             const isc_class **cls) {
  const isc_registry_entry *entry;
  if (isc_registry_find(kind, name, &entry) == ISC_OK) {
    *cls = entry->cls;
    return ISC_OK;
  }
  if (isc_error_code() != ISC_E_NOMEM) isc_fail(ISC_E_CONFIG, "%s", isc_error());
  char *key;
  ISC_TRY(isc_asprintf(&key, "%s.plugin", path));
  const isc_node *n = isc_node_find(c->root, key);
  if (!n) n = isc_node_find(c->root, path);
  isc_status st = isc_fail_in("%s: %s", n ? n->where : c->name, key);
  free(key);
  return st;
}

isc_status isc_config_plugin(isc_config *c, const char *path, isc_kind kind, const char *fallback,
                             const char *const *also, const isc_class **cls, void **conf) {
  isc_value name;
  void *fresh = NULL;
  isc_status st = ISC_OK;
  *conf = NULL;
  ISC_TRY(plugin_name(c, path, fallback, &name));
  ISC_TRY(find_class(c, path, kind, name.s, cls));
  ISC_TRY(
      isc_record_add(c, &(isc_resolved){.path = path, .key = "plugin", .values = &name, .n = 1}));
  ISC_TRY(isc_calloc(1, (*cls)->conf_size, "a plugin's settings", &fresh));
  ISC_GO(isc_fill(c, &(isc_fill_request){.path = path,
                                         .options = (*cls)->options,
                                         .also = also,
                                         .names_plugin = true,
                                         .conf = fresh}));
  *conf = fresh;
  fresh = NULL;
done:
  free(fresh);
  return st;
}
