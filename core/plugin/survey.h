/* SPDX-License-Identifier: Apache-2.0
 *
 * What the plugin files of some directories offer, and why others cannot be used.
 *
 * Nothing is loaded into this process: each file is examined from the outside and then tried in a
 * process of its own, so a directory of broken or hostile files does no harm.
 */
#ifndef ISC_CORE_SURVEY_H
#define ISC_CORE_SURVEY_H

#include "plugin/registry.h"
#include "plugin/search.h"

/* Append what the modules of `dirs` offer, in the order of the search path. Only failures of this process,
 * such as no memory, are failures of the survey. The caller frees it. */
isc_status isc_survey_dirs(const isc_dirs *dirs, isc_survey *s);
/* Append one class; the strings are copied. */
isc_status isc_survey_add(isc_survey *s, const isc_class *cls, const char *plugin,
                          const char *version, const char *path);
/* Append this thread's error as the reason why `path` cannot be used. */
isc_status isc_survey_refuse(isc_survey *s, const char *path);
/* Order by kind and name; of several with the same, the one that was appended first stays. */
void isc_survey_sort(isc_survey *s);

#endif
