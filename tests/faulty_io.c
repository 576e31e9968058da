/* SPDX-License-Identifier: Apache-2.0
 *
 * The C library's rename, fsync and fdatasync, replaced for the whole process; visible, so that its libraries find these.
 */
#include "faulty_io.h"

#include <inversescope/status.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static isc_fault due;
static int64_t due_at, commits;

void isc_fault_at(isc_fault fault, int64_t k) {
  due = fault;
  due_at = k;
  commits = 0;
}

int64_t isc_fault_commits(void) {
  return commits;
}

ISC_API int rename(const char *from, const char *to) {
  const isc_fault now = ++commits == due_at ? due : ISC_FAULT_NONE;
  if (now == ISC_FAULT_KILL_BEFORE) raise(SIGKILL);
  if (now == ISC_FAULT_FULL) {
    errno = ENOSPC;
    return -1;
  }
  const int rc = renameat(AT_FDCWD, from, AT_FDCWD, to);
  if (now == ISC_FAULT_KILL_AFTER) raise(SIGKILL);
  return rc;
}

ISC_API int fsync(int fd) {
  (void)fd;
  return 0;
}

ISC_API int fdatasync(int fd) {
  (void)fd;
  return 0;
}
