/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at a plugin file before any of its code runs.
 *
 * A stranger is everybody but root, the user of this process, and the owner of this library: whoever
 * runs the library trusts its owner already, and a shared installation often has an owner of its own.
 */
#include "plugin/examine.h"
#include "plugin/elf.h"
#include <dlfcn.h>
#include <errno.h>
#include <inversescope/plugin.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static isc_status check_there(const char *path) {
  struct stat s;
  if (stat(path, &s) == 0) {
    if (S_ISREG(s.st_mode)) return ISC_OK;
    return isc_fail(ISC_E_FORMAT, "%s: is %s, no regular file", path,
                    S_ISDIR(s.st_mode)    ? "a directory"
                    : S_ISFIFO(s.st_mode) ? "a FIFO"
                                          : "a device or socket");
  }
  int why = errno;
  if (why == ENOENT && lstat(path, &s) == 0)
    return isc_fail(ISC_E_MISSING, "%s: is a symbolic link to a file that is not there", path);
  if (why == ENOENT || why == ENOTDIR)
    return isc_fail(ISC_E_MISSING, "%s: no such plugin file", path);
  return isc_fail(ISC_E_IO, "%s: cannot be read: %s", path, strerror(why));
}

/* ---- who could have changed it */

static bool is_trusted(uid_t owner) {
  static const char inside = 0; /* a datum of this library */
  Dl_info info;
  struct stat s;
  if (owner == 0 || owner == geteuid()) return true;
  return dladdr(&inside, &info) && info.dli_fname && stat(info.dli_fname, &s) == 0 &&
         s.st_uid == owner;
}

/* In a directory with the sticky bit, such as /tmp, only its owner can replace a file. */
static isc_status check_directory(const char *file, const char *path) {
  struct stat s;
  char *dir;
  ISC_TRY(isc_path_dir(file, &dir));
  isc_status st = ISC_OK;
  if (stat(dir, &s) != 0)
    st = isc_fail(ISC_E_IO, "%s: its directory cannot be read: %s", path, strerror(errno));
  else if (s.st_mode & S_IWOTH && !(s.st_mode & S_ISVTX))
    st = isc_fail(ISC_E_FORMAT,
                  "%s: lies in a directory where everyone may replace it; run chmod o-w %s", path,
                  dir);
  free(dir);
  return st;
}

/* `full` is `path` with its symbolic links followed. */
static isc_status check_trust(const char *path, const char *full) {
  struct stat s;
  if (stat(full, &s) != 0)
    return isc_fail(ISC_E_IO, "%s: cannot be read: %s", path, strerror(errno));
  if (s.st_mode & S_IWOTH)
    return isc_fail(ISC_E_FORMAT, "%s: everyone may write to it; run chmod o-w %s", path, full);
  if (!is_trusted(s.st_uid))
    return isc_fail(ISC_E_FORMAT,
                    "%s: belongs to user %lld, who is neither root, nor you, nor the owner of this "
                    "library; use a copy of your own",
                    path, (long long)s.st_uid);
  ISC_TRY(check_directory(full, path));
  return check_directory(path, path);
}

/* ---- what it is */

/* The N of isc_plugin_vN, or -1. */
static long abi_of(const char *symbol) {
  static const char prefix[] = "isc_plugin_v";
  char *end;
  if (strncmp(symbol, prefix, sizeof prefix - 1) != 0) return -1;
  const char *digits = symbol + sizeof prefix - 1;
  if (*digits < '0' || *digits > '9') return -1;
  long n = strtol(digits, &end, 10);
  return *end ? -1 : n;
}

static isc_status check_abi(const isc_elf *e, const char *path) {
  long other = -1;
  for (int64_t i = 0; i < e->n_symbols; i++) {
    if (!e->symbols[i].defined) continue;
    long n = abi_of(e->symbols[i].name);
    if (n == ISC_ABI_MAJOR) return ISC_OK;
    if (n > other) other = n;
  }
  if (other >= 0)
    return isc_fail(
        ISC_E_FORMAT,
        "%s: is built for plugin ABI %ld, this library speaks ABI %d.%d; rebuild the plugin "
        "against this library",
        path, other, ISC_ABI_MAJOR, ISC_ABI_MINOR);
  return isc_fail(ISC_E_FORMAT, "%s: is no InverseScope plugin (it exports no isc_plugin_v%d)",
                  path, ISC_ABI_MAJOR);
}

isc_status isc_plugin_examine(const char *path) {
  isc_elf e = {0};
  isc_status st = ISC_OK;
  ISC_TRY(check_there(path));
  char *full = realpath(path, NULL);
  if (!full) return isc_fail(ISC_E_IO, "%s: cannot be read: %s", path, strerror(errno));
  ISC_GO(check_trust(path, full));
  ISC_GO(isc_elf_open(path, &e));
  ISC_GO(check_abi(&e, path));
done:
  isc_elf_close(&e);
  free(full);
  return st;
}
