/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry of plugin classes: the only process-wide state of the library.
 *
 * Built-in classes are registered by the program at start; a plugin's .so is opened by name when a
 * config (or the listing) asks for it and is never closed.
 */
#ifndef ISC_CORE_REGISTRY_H
#define ISC_CORE_REGISTRY_H

#include <inversescope/plugin.h>

typedef struct isc_registry_entry {
  const isc_class *cls;    /* in this library's size, whatever the plugin's            */
  const isc_class *origin; /* as the plugin has it                                      */
  const char *plugin;      /* plugin name                              */
  const char *plugin_version;
  const char *path; /* of the .so; "(built in)" for the core's  */
} isc_registry_entry;

/* Append directories to look in, in order of precedence: the environment variable
 * INVERSESCOPE_PLUGIN_PATH (colon-separated), then `config_paths`, then the install's plugindir found
 * relative to the library (or the build tree's, when run uninstalled). Call once per process or
 * whenever a new config was read; replaces the earlier search path. */
ISC_API isc_status isc_registry_search_path(const char *const *config_paths /* [n] */, int64_t n);
ISC_API int64_t isc_registry_dirs(const char *const **out);

/* Register a class the library itself carries. */
ISC_API isc_status isc_registry_add_builtin(const isc_class *cls);

/* Find class `kind`/`name`: built-in, already loaded, or opened from `<kind>_<name>.so` (dashes in a
 * name become underscores), else from any plugin on the path that offers it. On a miss the message
 * lists where it looked, why a candidate would not load, and the nearest known name. */
ISC_API isc_status isc_registry_find(isc_kind kind, const char *name,
                                     const isc_registry_entry **out);

/* Open every plugin on the path. Files that will not load do not stop the scan: their number and
 * messages come back through `problems` (malloc'd array of malloc'd strings, may be NULL). */
ISC_API isc_status isc_registry_scan(char ***problems, int64_t *n_problems);

/* Open one .so by path and register its classes. */
ISC_API isc_status isc_registry_load(const char *path);

/* Entries of a kind (0 = all), sorted by kind and name. Valid until the next registration. */
ISC_API int64_t isc_registry_list(isc_kind kind, const isc_registry_entry *const **out);

/* Check a descriptor's own rules (sizes, names, options' presets inside their ranges, offsets inside
 * the conf, ops not NULL and of known size). */
ISC_API isc_status isc_class_check(const isc_class *cls);

#endif
