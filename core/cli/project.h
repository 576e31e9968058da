/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing the project of a new plugin from the templates that are installed with the program.
 */
#ifndef ISC_CLI_PROJECT_H
#define ISC_CLI_PROJECT_H

#include <inversescope/plugin.h>

typedef struct isc_project {
  isc_kind kind;
  const char *name; /* of the class: [a-z][a-z0-9-]* */
  const char *dir;  /* must be empty or not there yet */
  bool autotools;   /* configure.ac and Makefile.am in place of the Makefile */
} isc_project;

/* Every template is read and filled in before the first file is written. */
isc_status isc_project_write(const isc_project *p);

#endif
