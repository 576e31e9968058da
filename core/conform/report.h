/* SPDX-License-Identifier: Apache-2.0
 *
 * A conformance report, and the list of checks, in the forms they are shown in.
 *
 * Appended to a string; what a plugin said or printed is made safe for where it is shown.
 */
#ifndef ISC_CORE_CONFORM_REPORT_H
#define ISC_CORE_CONFORM_REPORT_H

#include "conform/runner.h"

void isc_conform_text(isc_sb *b, const isc_conform_report *r);
void isc_conform_tap(isc_sb *b, const isc_conform_report *r); /* version 13, YAML diagnostics */
isc_status isc_conform_json(isc_sb *b, const isc_conform_report *r);
/* "12 passed, 0 failed, 0 crashed, 0 timed out, 3 skipped" */
void isc_conform_summary(isc_sb *b, const isc_conform_report *r);

void isc_checks_text(isc_sb *b);
void isc_checks_markdown(isc_sb *b); /* the sections of docs/conformance.md */
isc_status isc_checks_json(isc_sb *b);

#endif
