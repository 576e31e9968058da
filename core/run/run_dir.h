/* SPDX-License-Identifier: Apache-2.0
 *
 * What belongs to a run directory as a whole: its lock, run.json, the resolved config and log.jsonl.
 *
 * A study and a pretraining share it, so that neither works in a directory that holds something else or that another
 * process works in.
 */
#ifndef ISC_CORE_RUN_DIR_H
#define ISC_CORE_RUN_DIR_H

#include "run/stage.h"

/* Make r->study->dir if need be, lock it for this process, write config.cfg and run.json, and open log.jsonl. Whatever
 * it did, isc_run_dir_close undoes; the lock also dies with the process. *lock must be −1. */
isc_status isc_run_dir_open(isc_run_state *r, int *lock);
void isc_run_dir_close(isc_run_state *r, int lock);

#endif
