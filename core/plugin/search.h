/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the plugin layer: the list of directories to look in.
 *
 * A value, so that a new search path is built aside and swapped in whole.
 */
#ifndef ISC_CORE_SEARCH_H
#define ISC_CORE_SEARCH_H

#include <inversescope/status.h>
#include <stdint.h>

typedef struct isc_dirs {
  char **at; /* [n] malloc'd */
  int64_t n;
} isc_dirs;

isc_status isc_dirs_build(isc_dirs *d, const char *const *config_paths, int64_t n);
void isc_dirs_free(isc_dirs *d);
/* The *.so files of `dir`, sorted, as full paths; none when it is not there, ISC_E_IO when it cannot be
 * read. */
isc_status isc_dirs_modules(const char *dir, isc_dirs *files);

#endif
