/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding the conformance tool's parts from where the library was loaded.
 */
#include "conform/places.h"
#include "base/base.h"
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

isc_status isc_conform_absolute(const char *path, char **out) {
  char *dir = NULL, *real = NULL;
  const char *slash = strrchr(path, '/');
  isc_status st = ISC_OK;
  *out = NULL;
  if (!isc_exists(path)) return isc_fail(ISC_E_MISSING, "%s: there is no such file", path);
  ISC_GO(isc_path_dir(path, &dir));
  real = realpath(dir[0] ? dir : ".", NULL);
  if (!real) ISC_GO(isc_fail(ISC_E_MISSING, "%s: its directory cannot be found", path));
  ISC_GO(isc_path_join(real, slash ? slash + 1 : path, out));
done:
  free(dir);
  free(real);
  return st;
}

static int is_library(struct dl_phdr_info *info, size_t size, void *found) {
  (void)size;
  const char *slash = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;
  if (!slash || strncmp(slash + 1, "libinversescope.so", 18) != 0) return 0;
  *(char **)found = realpath(info->dlpi_name, NULL);
  return 1;
}

isc_status isc_conform_library_dir(char **out) {
  char *library = NULL;
  *out = NULL;
  dl_iterate_phdr(is_library, &library);
  if (!library) return isc_fail(ISC_E_MISSING, "cannot tell where libinversescope.so lies");
  isc_status st = isc_path_dir(library, out);
  free(library);
  return st;
}

/* Cut ".libs" off a directory of a libtool build. */
static bool leave_libs(char *dir) {
  char *last = strrchr(dir, '/');
  if (!last || strcmp(last, "/.libs") != 0) return false;
  *last = '\0';
  return true;
}

isc_status isc_conform_data_dir(char **out) {
  enum { DEPTH = 3 }; /* lib, lib64, lib/x86_64-linux-gnu */
  char *dir;
  isc_status st = ISC_OK;
  *out = NULL;
  ISC_TRY(isc_conform_library_dir(&dir));
  for (int i = 0; i < DEPTH && !*out && strrchr(dir, '/') > dir; i++) {
    *strrchr(dir, '/') = '\0';
    st = isc_asprintf(out, "%s/share/inversescope/conf/conform", dir);
    if (st != ISC_OK) break;
    if (isc_is_dir(*out)) continue;
    free(*out);
    *out = NULL;
  }
  free(dir);
  return st;
}

isc_status isc_conform_checker(char **out) {
  char *dir;
  ISC_TRY(isc_conform_library_dir(&dir));
  /* In a build tree the program itself, whose wrapper is a slow shell script. */
  const char *last = strrchr(dir, '/');
  const bool built = last && strcmp(last, "/.libs") == 0;
  isc_status st = isc_asprintf(out, "%s/%sinversescope-check", dir, built ? "" : "inversescope/");
  free(dir);
  ISC_TRY(st);
  if (access(*out, X_OK) == 0) return ISC_OK;
  st = isc_fail(ISC_E_MISSING, "%s: the program that runs the checks is not there", *out);
  free(*out);
  *out = NULL;
  return st;
}

isc_status isc_conform_program(char **out) {
  char *self = realpath("/proc/self/exe", NULL), *dir = NULL;
  if (!self) return isc_strdup("inversescope", out);
  const char *name = strrchr(self, '/') + 1;
  isc_status st = isc_path_dir(self, &dir);
  if (st == ISC_OK && leave_libs(dir))
    st = isc_asprintf(out, "%s/%s", dir, strncmp(name, "lt-", 3) ? name : name + 3);
  else if (st == ISC_OK)
    st = isc_strdup(self, out);
  free(self);
  free(dir);
  return st;
}
