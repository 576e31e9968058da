/* SPDX-License-Identifier: Apache-2.0
 *
 * One .so: dlopen, the one symbol, and the version rules.
 *
 * The descriptor is read size-first and never beyond the symbol's own ELF size, so a plugin of
 * another version, or none at all, ends in a message that says what it is.
 */
#include "plugin/loader.h"
#include "base/base.h"
#include "plugin/examine.h"
#include "plugin/registry.h"
#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CLASSES = 256 };

/* Bytes of the symbol by the ELF table; 0 when unknown. */
static size_t symbol_size(const void *symbol) {
  Dl_info info;
  void *entry = NULL;
  if (!dladdr1(symbol, &info, &entry, RTLD_DL_SYMENT) || !entry) return 0;
  return ((const ElfW(Sym) *)entry)->st_size;
}

static isc_status check_version(const isc_plugin *p, const char *path) {
  const size_t head = offsetof(isc_plugin, abi_minor) + sizeof p->abi_minor;
  size_t there = symbol_size(p);
  if (there < head)
    return isc_fail(ISC_E_FORMAT,
                    "%s: its isc_plugin_v%d has %zu bytes and is no plugin descriptor", path,
                    ISC_ABI_MAJOR, there);
  if (p->abi_minor > ISC_ABI_MINOR)
    return isc_fail(ISC_E_FORMAT,
                    "%s: is built for plugin ABI %d.%u, this library speaks ABI %d.%d; update "
                    "InverseScope or rebuild the plugin",
                    path, ISC_ABI_MAJOR, (unsigned)p->abi_minor, ISC_ABI_MAJOR, ISC_ABI_MINOR);
  if (p->size < ISC_SIZE_TO(isc_plugin, classes) || p->size > sizeof *p || there < p->size)
    return isc_fail(
        ISC_E_FORMAT,
        "%s: its descriptor has %zu bytes (ABI %d.%u), this library's has %zu (ABI %d.%d); "
        "rebuild the plugin against this library",
        path, p->size < there ? p->size : there, ISC_ABI_MAJOR, (unsigned)p->abi_minor, sizeof *p,
        ISC_ABI_MAJOR, ISC_ABI_MINOR);
  return ISC_OK;
}

static isc_status check_classes(const isc_plugin *p, const char *path) {
  if (!p->name || !p->name[0] || !p->version || !p->version[0])
    return isc_fail(ISC_E_FORMAT, "%s: the plugin has no name or no version", path);
  if (!p->classes || !p->classes[0])
    return isc_fail(ISC_E_FORMAT, "%s: the plugin offers no class", path);
  for (int i = 0; p->classes[i]; i++) {
    if (i >= MAX_CLASSES) return isc_fail(ISC_E_FORMAT, "%s: its list of classes has no end", path);
    if (isc_class_check(p->classes[i]) != ISC_OK) return isc_fail_in("%s", path);
  }
  return ISC_OK;
}

/* dlerror's text without the path that it repeats. */
static const char *loader_error(const char *full) {
  const char *text = dlerror();
  size_t n = strlen(full);
  if (!text) return "for no reason that is known";
  return strncmp(text, full, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

isc_status isc_plugin_load(const char *path, void **library) {
  /* A path without a slash would be looked up among the system's libraries. */
  char *full = realpath(path, NULL);
  isc_status st = ISC_OK;
  *library = NULL;
  if (!full) return isc_fail(ISC_E_MISSING, "%s: no such plugin file", path);
  *library = dlopen(full, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!*library) st = isc_fail(ISC_E_FORMAT, "%s: cannot be loaded: %s", path, loader_error(full));
  free(full);
  return st;
}

isc_status isc_plugin_read(void *library, const char *path, const isc_plugin **out) {
  const isc_plugin *p = dlsym(library, "isc_plugin_v1");
  *out = NULL;
  if (!p)
    return isc_fail(ISC_E_FORMAT, "%s: is no InverseScope plugin (it exports no isc_plugin_v%d)",
                    path, ISC_ABI_MAJOR);
  ISC_TRY(check_version(p, path));
  ISC_TRY(check_classes(p, path));
  *out = p;
  return ISC_OK;
}

isc_status isc_plugin_open(const char *path, const isc_plugin **out) {
  void *library;
  *out = NULL;
  ISC_TRY(isc_plugin_examine(path));
  ISC_TRY(isc_plugin_load(path, &library));
  return isc_plugin_read(library, path, out);
}

isc_status isc_plugin_own_dirs(char *out[2], int *n) {
  Dl_info info;
  char *dir = NULL, *parent = NULL;
  isc_status st = ISC_OK;
  *n = 0;
  /* Data, not a function: ISO C has no conversion from a function pointer. */
  static const char inside = 0;
  char *library = dladdr(&inside, &info) && info.dli_fname ? realpath(info.dli_fname, NULL) : NULL;
  if (!library) return ISC_OK; /* a static or deleted library has no place to look beside */
  ISC_GO(isc_path_dir(library, &dir));
  ISC_GO(isc_path_dir(dir, &parent));
  const char *last = strrchr(dir, '/');
  if (last && strcmp(last, "/.libs") == 0) {
    ISC_GO(isc_path_join(parent, "plugins/.libs", &out[0]));
    *n = 1;
    ISC_GO(isc_path_join(parent, "kernels/.libs", &out[1]));
    *n = 2;
  } else {
    ISC_GO(isc_path_join(dir, "inversescope/plugins", &out[0]));
    *n = 1;
  }
done:
  free(library);
  free(dir);
  free(parent);
  return st;
}
