/* SPDX-License-Identifier: Apache-2.0
 *
 * A config file as a checked tree of settings.
 *
 * libconfig parses; a linter in front refuses what libconfig 1.5 gets silently wrong; typed getters
 * read option tables (api option.h) into conf structs, record what they resolved, and at the end
 * every setting nobody asked for is an error with file:line and the nearest valid name.
 */
#ifndef ISC_CORE_CONFIG_H
#define ISC_CORE_CONFIG_H

#include "base/base.h" /* isc_nearest_name */
#include <inversescope/option.h>
#include <inversescope/plugin.h>

typedef struct isc_config isc_config;

typedef struct isc_config_source {
  const char *path;             /* the file                                                   */
  const char *const *overrides; /* [n_overrides] "path.to.key=value", value in config syntax;
                                   a bare word is taken as a string                           */
  int64_t n_overrides;
  bool allow_outside_includes; /* let @include leave the file's own directory tree            */
} isc_config_source;

ISC_API isc_status isc_config_load(const isc_config_source *src, isc_config **out);
/* The same from text; `name` stands for the file in messages, `dir` is where paths are relative to. */
ISC_API isc_status isc_config_parse(const char *text, size_t len, const char *name, const char *dir,
                                    isc_config **out);
/* One more override ("path.to.key=value"), as of a source's. */
ISC_API isc_status isc_config_override(isc_config *c, const char *assignment);
ISC_API void isc_config_free(isc_config *c);

/* Is there a setting at `path` ("run.seed", "features.[0].plugin")? */
ISC_API bool isc_config_has(const isc_config *c, const char *path);
/* Number of elements of the list or array (or 1 for a group or scalar, 0 when absent). */
ISC_API int64_t isc_config_count(const isc_config *c, const char *path);

/* Fill `conf` from the group at `path` ("" = root) by `options`. Keys in the group that are neither
 * options nor named in `also` (NULL-terminated, may be NULL) are errors:
 *   file:line: run.evaluat: unknown setting; did you mean "evaluate"?
 * A missing group is an empty one. Strings and lists stored in `conf` belong to `c`. Every value, given
 * or default, is recorded under `path` for isc_config_resolved. */
ISC_API isc_status isc_config_fill(isc_config *c, const char *path, const isc_option *options,
                                   const char *const *also, void *conf);

/* A group { plugin = "name"; …options… } at `path`: find the class in the registry and fill a fresh
 * conf (malloc'd, conf_size bytes; the caller frees). `fallback` is the plugin's name when the key is
 * absent (NULL = required). */
ISC_API isc_status isc_config_plugin(isc_config *c, const char *path, isc_kind kind,
                                     const char *fallback, const char *const *also,
                                     const isc_class **cls, void **conf);

/* Settings at the top level that nobody filled or named → error naming the first. `known` must outlive
 * the config: later messages suggest from it too. */
ISC_API isc_status isc_config_check_unused(isc_config *c,
                                           const char *const *known /* NULL-terminated */);

/* The location "file:line" of a setting ("file" when absent); valid until the config is freed. */
ISC_API const char *isc_config_where(const isc_config *c, const char *path);

/* The resolved settings (everything filled so far, defaults spelled out) as config text that reads
 * back to the same run. malloc'd; the caller frees. */
ISC_API isc_status isc_config_resolved(const isc_config *c, char **text);
/* The same of one group, without ISC_OPT_RUNTIME options: what a stage fingerprint hashes. */
ISC_API isc_status isc_config_canonical(const isc_config *c, const char *path, char **text);

/* The settings of `cls` as a commented stanza (describe --conf). malloc'd. */
ISC_API isc_status isc_option_stanza(const char *group, const char *plugin,
                                     const isc_option *options, char **text);

#endif
