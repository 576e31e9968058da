/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the plugin layer: a class of another minor version as one of this library's.
 *
 * Done once at registration, so that nothing behind the registry ever asks how old a plugin is.
 */
#ifndef ISC_CORE_ADOPT_H
#define ISC_CORE_ADOPT_H

#include <inversescope/plugin.h>

typedef struct isc_adopted {
  const isc_class *cls; /* the plugin's own where nothing is missing, else a copy in `memory` */
  void *memory[3];      /* class, ops table, option table; NULL where the plugin's own serves */
} isc_adopted;

/* `theirs` with every struct as large as this library's, what it lacks being zero. ISC_E_FORMAT, with both
 * sides' numbers, for a struct smaller than its first version, larger than ours, or an ops table without a
 * member that its kind requires. */
isc_status isc_class_adopt(const isc_class *theirs, isc_adopted *out);
void isc_adopted_free(isc_adopted *a);

/* "target", …; the kind's ops table. NULL and 0 outside the enum. */
size_t isc_kind_ops_size(isc_kind kind);

enum { ISC_MAX_OPTIONS = 1000 };

#endif
