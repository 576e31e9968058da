/* SPDX-License-Identifier: Apache-2.0
 *
 * Large files read by position.
 *
 * Not mapped: a mapped file that someone cuts short ends the process with SIGBUS, and a library may install no
 * handler for that. A positioned read of the same file ends in an error.
 */
#include "base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static isc_status examine(const char *path, isc_input *in) {
  struct stat s;
  if (fstat(in->fd, &s) != 0)
    return isc_fail(ISC_E_IO, "%s: cannot read: %s", path, strerror(errno));
  if (!S_ISREG(s.st_mode)) return isc_fail(ISC_E_IO, "%s: is not a regular file", path);
  if (s.st_size <= 0) return isc_fail(ISC_E_FORMAT, "%s: is empty", path);
  in->size = (uint64_t)s.st_size;
  return isc_strdup(path, &in->path);
}

isc_status isc_input_open(const char *path, isc_input *in) {
  *in = (isc_input){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (in->fd < 0) {
    isc_status code = errno == ENOENT || errno == ENOTDIR ? ISC_E_MISSING : ISC_E_IO;
    return isc_fail(code, "%s: cannot open: %s", path, strerror(errno));
  }
  isc_status st = examine(path, in);
  if (st != ISC_OK) isc_input_close(in);
  return st;
}

static isc_status was_cut(const isc_input *in) {
  struct stat s;
  if (fstat(in->fd, &s) != 0) s.st_size = 0;
  return isc_fail(ISC_E_IO, "%s: was cut from %ju to %jd bytes while in use", in->path,
                  (uintmax_t)in->size, (intmax_t)s.st_size);
}

isc_status isc_input_read(const isc_input *in, uint64_t at, void *out, size_t n) {
  if (at > in->size || n > in->size - at)
    return isc_fail(ISC_E_FORMAT, "%s: bytes %ju + %zu are beyond its %ju", in->path, (uintmax_t)at,
                    n, (uintmax_t)in->size);
  for (size_t done = 0; done < n;) {
    ssize_t got = pread(in->fd, (char *)out + done, n - done, (off_t)(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return isc_fail(ISC_E_IO, "%s: cannot read: %s", in->path, strerror(errno));
    if (got == 0) return was_cut(in);
    done += (size_t)got;
  }
  return ISC_OK;
}

void isc_input_close(isc_input *in) {
  if (in->fd >= 0) close(in->fd);
  free(in->path);
  *in = (isc_input){.fd = -1};
}
