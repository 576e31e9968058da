/* SPDX-License-Identifier: Apache-2.0
 *
 * Where plugins are looked for, in order of precedence.
 *
 * INVERSESCOPE_PLUGIN_PATH, then the config's directories, then the library's own.
 */
#include "plugin/search.h"
#include "base/base.h"
#include "plugin/loader.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void isc_dirs_free(isc_dirs *d) {
  for (int64_t i = 0; i < d->n; i++)
    free(d->at[i]);
  free(d->at);
  *d = (isc_dirs){0};
}

/* Takes `owned` over, also when it fails. */
static isc_status push(isc_dirs *d, char *owned) {
  void *p = d->at;
  isc_status st = isc_realloc(&p, (size_t)d->n + 1, sizeof *d->at, "the plugin search path");
  if (st != ISC_OK) {
    free(owned);
    return st;
  }
  d->at = p;
  d->at[d->n++] = owned;
  return ISC_OK;
}

static isc_status push_dir(isc_dirs *d, const char *dir, size_t len) {
  char *copy, *real;
  if (len == 0) return ISC_OK;
  ISC_TRY(isc_asprintf(&copy, "%.*s", (int)len, dir));
  real = realpath(copy, NULL); /* a directory that is not there stays, for the messages */
  if (real) {
    free(copy);
    copy = real;
  }
  for (int64_t i = 0; i < d->n; i++)
    if (strcmp(d->at[i], copy) == 0) {
      free(copy);
      return ISC_OK;
    }
  return push(d, copy);
}

static isc_status push_environment(isc_dirs *d) {
  const char *s = secure_getenv("INVERSESCOPE_PLUGIN_PATH");
  while (s && *s) {
    size_t len = strcspn(s, ":");
    ISC_TRY(push_dir(d, s, len));
    s += len + (s[len] == ':');
  }
  return ISC_OK;
}

static isc_status push_own(isc_dirs *d) {
  char *own[2];
  int n;
  isc_status st = isc_plugin_own_dirs(own, &n);
  for (int i = 0; i < n; i++) {
    if (st == ISC_OK) st = push_dir(d, own[i], strlen(own[i]));
    free(own[i]);
  }
  return st;
}

isc_status isc_dirs_build(isc_dirs *d, const char *const *config_paths, int64_t n) {
  isc_status st = ISC_OK;
  *d = (isc_dirs){0};
  ISC_GO(push_environment(d));
  for (int64_t i = 0; i < n; i++)
    ISC_GO(push_dir(d, config_paths[i], strlen(config_paths[i])));
  ISC_GO(push_own(d));
done:
  if (st != ISC_OK) isc_dirs_free(d);
  return st;
}

/* lib*.so is a library that lies beside the plugins, for them to link. */
static bool is_module(const char *name) {
  size_t n = strlen(name);
  return n > 3 && strcmp(name + n - 3, ".so") == 0 && name[0] != '.' &&
         strncmp(name, "lib", 3) != 0;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

isc_status isc_dirs_modules(const char *dir, isc_dirs *files) {
  isc_status st = ISC_OK;
  *files = (isc_dirs){0};
  DIR *d = opendir(dir);
  if (!d && (errno == ENOENT || errno == ENOTDIR)) return ISC_OK;
  if (!d) return isc_fail(ISC_E_IO, "%s: cannot be read: %s", dir, strerror(errno));
  for (struct dirent *e; (e = readdir(d));) {
    char *path;
    if (!is_module(e->d_name)) continue;
    ISC_GO(isc_path_join(dir, e->d_name, &path));
    ISC_GO(push(files, path));
  }
  if (files->n) qsort(files->at, (size_t)files->n, sizeof *files->at, by_name);
done:
  closedir(d);
  if (st != ISC_OK) isc_dirs_free(files);
  return st;
}
