/* SPDX-License-Identifier: Apache-2.0
 *
 * File operations of this process under a test's control: killed at the k-th commit, or the k-th one failing.
 *
 * A program linked with faulty_io.c takes rename, fsync and fdatasync from there, and so do the library and SQLite in
 * it. Syncing does nothing: a kill loses no page of the cache, and the disk is what such tests would wait for.
 */
#ifndef ISC_TESTS_FAULTY_IO_H
#define ISC_TESTS_FAULTY_IO_H

#include <stdint.h>

typedef enum isc_fault {
  ISC_FAULT_NONE,
  ISC_FAULT_KILL_BEFORE, /* SIGKILL instead of the rename: the new file lies beside its target */
  ISC_FAULT_KILL_AFTER,  /* SIGKILL right after it                                               */
  ISC_FAULT_FULL         /* the rename fails with ENOSPC                                         */
} isc_fault;

/* At the k-th rename from now (1 = the next). */
void isc_fault_at(isc_fault fault, int64_t k);
/* Renames since the last call of isc_fault_at. */
int64_t isc_fault_commits(void);

#endif
