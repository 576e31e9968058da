/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the checker process: what it was asked, and the plugin it looks at.
 */
#ifndef ISC_CORE_CONFORM_CHECKER_H
#define ISC_CORE_CONFORM_CHECKER_H

#include "conform/conform.h"
#include <jansson.h>

enum { ISC_CHECKER_CLASSES = 256 };

typedef struct isc_checker {
  /* The command line. */
  const char *given, *check, *cls_name, *case_name, *scratch, *cases_path;
  uint64_t seed;
  int result; /* descriptor that the answer goes to */
  bool list, own_scratch;
  /* What became of it. */
  char *path; /* of the .so, absolute; NULL for a class of the library */
  const isc_plugin *plugin;
  const isc_class *cls;
  isc_cases *cases;
  char *cases_error; /* why its case file cannot be used; then `cases` are the defaults */
} isc_checker;

/* Load the plugin, if there is one to load. */
isc_status isc_checker_load(isc_checker *k);
/* The plugin's classes, in this library's size; their number. */
int64_t isc_checker_classes(const isc_checker *k, const isc_class *out[ISC_CHECKER_CLASSES]);
/* What the plugin offers and what it can be tried with; or "error", why it does not load. */
json_t *isc_checker_list(isc_checker *k);

#endif
