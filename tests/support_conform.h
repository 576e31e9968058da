/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of `inversescope conform` share: running it, and asking its JSON report.
 */
#ifndef ISC_TESTS_SUPPORT_CONFORM_H
#define ISC_TESTS_SUPPORT_CONFORM_H

#include <jansson.h>

enum { ISC_CONFORM_ARGS = 400 };

typedef struct isc_conformed {
  int status; /* exit code, or −signal */
  char *out, *err;
  json_t *json; /* of out, when --json was among the arguments */
} isc_conformed;

/* `inversescope conform` with the NULL-terminated arguments. Asserts that --json gives one JSON document, on exit codes
 * other than 3. */
isc_conformed isc_conform_cli(const char *const *args);
void isc_conformed_free(isc_conformed *c);

/* The built plugin of tests/conform/process.c. */
const char *isc_mood_plugin(void);

/* The plugins of a report: their number, and the i-th. */
size_t isc_report_plugins(const json_t *report);
const json_t *isc_report_plugin(const json_t *report, size_t i);
/* The status of a check in a plugin's results; of several cases the first that is neither passed nor skipped. "absent" when
 * there is none. `message` may be NULL. */
const char *isc_report_status(const json_t *plugin, const char *id, const char *cs,
                              const char **message);
/* "id (status: message), …" of all that is neither passed nor skipped; static. */
const char *isc_report_failures(const json_t *plugin);

#endif
