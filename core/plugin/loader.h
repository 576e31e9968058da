/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the plugin layer: opening one .so, and where the install keeps them.
 *
 * Apart from the registry so that neither knows the other's state.
 */
#ifndef ISC_CORE_LOADER_H
#define ISC_CORE_LOADER_H

#include <inversescope/plugin.h>

/* Examine the .so at `path`, load it, and check its descriptor and every class of it. The library stays
 * open for good, also when it is refused. */
isc_status isc_plugin_open(const char *path, const isc_plugin **out);

/* Its last two steps: load the library, which runs its constructors; read and check its descriptor. */
isc_status isc_plugin_load(const char *path, void **library);
isc_status isc_plugin_read(void *library, const char *path, const isc_plugin **out);

/* The plugin directories that belong to this library: `<libdir>/inversescope/plugins`, or the build
 * tree's two when the library lies in a libtool `.libs`. malloc'd strings; *n ≤ 2. */
isc_status isc_plugin_own_dirs(char *out[2], int *n);

#endif
