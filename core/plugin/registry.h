/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry of plugin classes: the only process-wide state of the library.
 *
 * Built-in classes are registered by the program at start; a plugin's .so is opened by name when a
 * config (or the listing) asks for it and is never closed.
 */
#ifndef ISC_CORE_REGISTRY_H
#define ISC_CORE_REGISTRY_H

#include "base/base.h"
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

typedef struct isc_plugin_problem {
  const char *path, *reason;
} isc_plugin_problem;

typedef struct isc_survey {
  isc_registry_entry
      *entries; /* [n] by kind and name; a cls has its texts only: no options, no ops */
  int64_t n;
  isc_plugin_problem *problems; /* [n_problems] in the order of the search path */
  int64_t n_problems;
  isc_pool pool; /* of all strings */
} isc_survey;

/* What is registered and what every plugin file on the path offers, and which files cannot be used and
 * why. Their code runs in processes of its own only; files that hang cost five seconds each.
 * isc_survey_free afterwards, also on failure. */
ISC_API isc_status isc_registry_survey(isc_survey *out);
ISC_API void isc_survey_free(isc_survey *s);

/* Survey, then open every usable plugin on the path that offers a class of `kind` (0 = any). Rationale: what a run does
 * not use stays out of its process. Files that cannot be used do not stop the scan: their number and messages come
 * back through `problems` (malloc'd array of malloc'd strings, may be NULL). */
ISC_API isc_status isc_registry_scan(isc_kind kind, char ***problems, int64_t *n_problems);

/* Open one .so by path and register its classes. Unlike a survey this does not try it in a process of its
 * own first: whoever names a plugin wants its code to run here. The same holds for isc_registry_find's
 * file names. */
ISC_API isc_status isc_registry_load(const char *path);

/* Entries of a kind (0 = all), sorted by kind and name. Valid until the next registration. */
ISC_API int64_t isc_registry_list(isc_kind kind, const isc_registry_entry *const **out);

/* Check a descriptor's own rules (sizes, names, options' presets inside their ranges, offsets inside
 * the conf, ops not NULL and of known size). */
ISC_API isc_status isc_class_check(const isc_class *cls);

#endif
