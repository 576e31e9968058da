/* SPDX-License-Identifier: Apache-2.0
 *
 * Paths and directories.
 *
 * Pure string work plus the three questions the core asks of a file system: is it there, is it a
 * directory, make it one.
 */
#include "base/base.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool isc_exists(const char *path) {
  struct stat s;
  return stat(path, &s) == 0;
}

bool isc_is_dir(const char *path) {
  struct stat s;
  return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

isc_status isc_path_join(const char *dir, const char *name, char **out) {
  if (name[0] == '/' || !dir || !dir[0]) return isc_strdup(name, out);
  if (!name[0]) return isc_strdup(dir, out);
  const char *slash = dir[strlen(dir) - 1] == '/' ? "" : "/";
  return isc_asprintf(out, "%s%s%s", dir, slash, name);
}

isc_status isc_path_dir(const char *path, char **out) {
  size_t n = strlen(path);
  while (n > 1 && path[n - 1] == '/')
    n--;
  while (n > 0 && path[n - 1] != '/')
    n--;
  while (n > 1 && path[n - 1] == '/')
    n--;
  return n == 0 ? isc_strdup(".", out) : isc_asprintf(out, "%.*s", (int)n, path);
}

static isc_status make_one(const char *path) {
  if (mkdir(path, 0777) == 0) return ISC_OK;
  int why = errno;
  if (isc_is_dir(path)) return ISC_OK;
  if (why == EEXIST) why = ENOTDIR;
  return isc_fail(ISC_E_IO, "%s: cannot create the directory: %s", path, strerror(why));
}

isc_status isc_mkdirs(const char *path) {
  char *copy;
  isc_status st = ISC_OK;
  ISC_TRY(isc_strdup(path, &copy));
  for (char *p = copy[0] == '/' ? copy + 1 : copy; *p; p++) {
    if (*p != '/') continue;
    *p = '\0';
    ISC_GO(make_one(copy));
    *p = '/';
  }
  ISC_GO(make_one(copy));
done:
  free(copy);
  return st;
}

bool isc_dir_is_empty(const char *path) {
  DIR *d = opendir(path);
  bool empty = true;
  for (struct dirent *e; d && (e = readdir(d));)
    empty = empty && (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."));
  if (d) closedir(d);
  return empty;
}
