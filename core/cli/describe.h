/* SPDX-License-Identifier: Apache-2.0
 *
 * What `describe` knows of one class or one group of the core, and the forms it can be shown in.
 *
 * Every form is made from the same option table, so that help, pages and man pages cannot disagree.
 */
#ifndef ISC_CORE_CLI_DESCRIBE_H
#define ISC_CORE_CLI_DESCRIBE_H

#include "base/base.h"
#include "plugin/registry.h"

#define ISC_CORE_PREFIX "core"

typedef struct isc_description {
  const char *kind, *name; /* "prior" and "ioi", or "core" and "evaluate"             */
  const char *summary;
  const char *version, *licence, *source, *file; /* NULL for a group of the core; source may be   */
  const isc_option *options;                     /* NULL or ended                                 */
  const isc_class *cls;                          /* NULL for a group of the core                  */
} isc_description;

/* A group of settings that the core itself reads, named for its key in a config. */
typedef struct isc_core_group {
  const char *name, *summary;
  const isc_option *tables[3]; /* NULL-terminated: they stand in one group */
} isc_core_group;
extern const isc_core_group isc_core_groups[]; /* ends with a NULL name */

/* The settings of all its tables in one; malloc'd, the caller frees. */
isc_status isc_core_group_options(const isc_core_group *g, isc_option **out);
/* The group of this name; the message of a miss lists them and the nearest. */
isc_status isc_core_group_find(const char *name, const isc_core_group **out);
/* The group as it stands in a config, every setting at its default; malloc'd. */
isc_status isc_core_group_stanza(const isc_core_group *g, const isc_option *options, char **text);

/* "float in (0, 10], default 1e-5": type, range or choices, unit, default and flags. */
void isc_describe_facts(isc_sb *b, const isc_option *o);
void isc_describe_text(isc_sb *b, const isc_description *d);
void isc_describe_markdown(isc_sb *b, const isc_description *d);
void isc_describe_man(isc_sb *b, const isc_description *d);

#endif
