/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the parts of the conformance tool lie, in an install or in a build tree.
 *
 * All are found from the library in use, so that a moved install and an uninstalled build work alike.
 */
#ifndef ISC_CORE_CONFORM_PLACES_H
#define ISC_CORE_CONFORM_PLACES_H

#include <inversescope/status.h>

/* `path` from the root, its last part kept as it is although it may be a link: case files go by that name. ISC_E_MISSING
 * when nothing is there. malloc'd. */
isc_status isc_conform_absolute(const char *path, char **out);
/* The directory of the library in use; malloc'd. */
isc_status isc_conform_library_dir(char **out);
/* conf/conform in the install's data directory; *out NULL when there is none. */
isc_status isc_conform_data_dir(char **out);
/* The program inversescope-check; malloc'd. */
isc_status isc_conform_checker(char **out);
/* This program as a user would call it: of a libtool build the wrapper above .libs. malloc'd. */
isc_status isc_conform_program(char **out);

#endif
