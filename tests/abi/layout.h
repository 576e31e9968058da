/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the members of the public structs lie, and what the public constants are: by one set of headers.
 */
#ifndef ISC_TESTS_LAYOUT_H
#define ISC_TESTS_LAYOUT_H

#include <stddef.h>

typedef struct layout {
  const char *name;    /* "isc_class.kind"; "ISC_E_FORMAT"; NULL ends the list */
  size_t offset, size; /* of a member; size 0: a constant                      */
  long long value;     /* of a constant                                        */
} layout;

extern const layout layout_frozen[], layout_now[];

#endif
