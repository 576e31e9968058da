/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports: a run's scores as a terminal table, JSON, CSV and one self-contained HTML page.
 *
 * Input is the document that the score stage wrote (score.json, described in docs/report.md). Every text in it
 * comes from a model or a user's file: it is escaped wherever it is shown. The same scores make the same bytes.
 */
#ifndef ISC_CORE_REPORT_H
#define ISC_CORE_REPORT_H

#include <inversescope/status.h>

/* Write report.json, report.html and the CSVs of docs/report.md into `dir` (made if absent).
 * `title` may be NULL: the run's name. */
ISC_API isc_status isc_report_write(const char *score_json, const char *dir, const char *title);

/* The main table of a finished report as text for a terminal; malloc'd. */
ISC_API isc_status isc_report_table(const char *report_dir, char **text);

/* Of a comparison document: compare.json, compare.csv and compare.html into `dir` (made if absent), and a table for a terminal. */
ISC_API isc_status isc_report_comparison_write(const char *document, const char *dir);
ISC_API isc_status isc_report_comparison_table(const char *document, char **text);

#endif
