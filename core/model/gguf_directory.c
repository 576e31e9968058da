/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding a model's GGUF file, by a path that a user gave.
 */
#include "model/gguf.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

static bool is_gguf_name(const char *name) {
  size_t n = strlen(name);
  return n > 5 && strcmp(name + n - 5, ".gguf") == 0;
}

/* The names of GGUF files in an open directory: how many, and the first two in alphabetical order. */
static int64_t list_gguf(DIR *d, char first[2][NAME_MAX + 1]) {
  int64_t n = 0;
  const struct dirent *e;
  while ((e = readdir(d))) {
    if (!is_gguf_name(e->d_name)) continue;
    const int at = n == 0 || strcmp(e->d_name, first[0]) < 0   ? 0
                   : n == 1 || strcmp(e->d_name, first[1]) < 0 ? 1
                                                               : 2;
    if (at == 0) memcpy(first[1], first[0], sizeof first[1]);
    if (at < 2) snprintf(first[at], sizeof first[at], "%s", e->d_name);
    n++;
  }
  return n;
}

static isc_status find_in(const char *dir, char **out) {
  char name[2][NAME_MAX + 1] = {"", ""};
  DIR *d = opendir(dir);
  if (!d) return isc_fail(ISC_E_IO, "%s: cannot read: %s", dir, strerror(errno));
  const int64_t n = list_gguf(d, name);
  closedir(d);
  if (n > 1)
    return isc_fail(ISC_E_USAGE, "%s: %lld GGUF files are there (%s, %s …); name one", dir,
                    (long long)n, name[0], name[1]);
  return n == 1 ? isc_path_join(dir, name[0], out) : ISC_OK;
}

/* A file tells by its first bytes what it is; one that has the name and not the bytes is left to be refused as broken. */
static isc_status look_at(const char *path, char **out) {
  isc_input in;
  char magic[4] = "";
  ISC_TRY(isc_input_open(path, &in));
  isc_status st = in.size < sizeof magic ? ISC_OK : isc_input_read(&in, 0, magic, sizeof magic);
  isc_input_close(&in);
  if (st != ISC_OK) return st;
  if (memcmp(magic, "GGUF", sizeof magic) != 0 && !is_gguf_name(path)) return ISC_OK;
  return isc_strdup(path, out);
}

isc_status isc_gguf_locate(const char *path, char **out) {
  *out = NULL;
  return isc_is_dir(path) ? find_in(path, out) : look_at(path, out);
}
