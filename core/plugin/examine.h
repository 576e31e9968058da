/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at a plugin file before any of its code runs.
 *
 * Loading a library runs its constructors, so what can be refused from the outside is refused first:
 * files that somebody else could have changed, broken files, and libraries that are no plugins.
 */
#ifndef ISC_CORE_EXAMINE_H
#define ISC_CORE_EXAMINE_H

#include <inversescope/status.h>

/* ISC_OK, or the reason why the file at `path` is not to be loaded: not a regular file, writable by
 * everyone, owned by a stranger, not a whole shared object of this machine, not a plugin, or a plugin
 * of another ABI. Any thread. */
isc_status isc_plugin_examine(const char *path);

#endif
