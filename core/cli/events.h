/* SPDX-License-Identifier: Apache-2.0
 *
 * What `run` and `pretrain` share: their arguments, and the lines they show while they work.
 */
#ifndef ISC_CORE_CLI_EVENTS_H
#define ISC_CORE_CLI_EVENTS_H

#include "cli/cli.h"
#include "run/run.h"

/* Events that show on stderr through *p, which must outlive the run. */
isc_run_events isc_cli_events(isc_progress *p);

/* CONFIG, --set, --dir, --allow-outside-includes → *req; `set` has room for argc pointers. 0 or an exit code. */
int isc_cli_parse_source(const isc_command *c, int argc, char **argv, const char **set,
                         isc_run_request *req);

#endif
