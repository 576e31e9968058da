/* SPDX-License-Identifier: Apache-2.0
 *
 * Read-only memory maps of large files.
 *
 * The descriptor stays open, so that a file cut short behind our back is noticed as an error before
 * a bulk read would end in SIGBUS.
 */
#include "base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static isc_status map_fd(int fd, const char *path, isc_map *m) {
  struct stat s;
  if (fstat(fd, &s) != 0) return isc_fail(ISC_E_IO, "%s: cannot read: %s", path, strerror(errno));
  if (!S_ISREG(s.st_mode)) return isc_fail(ISC_E_IO, "%s: is not a regular file", path);
  if (s.st_size == 0) return isc_fail(ISC_E_FORMAT, "%s: is empty", path);
  if ((uintmax_t)s.st_size > SIZE_MAX / 2)
    return isc_fail(ISC_E_FORMAT, "%s: is too large to map", path);
  void *p = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (p == MAP_FAILED) return isc_fail(ISC_E_IO, "%s: cannot map: %s", path, strerror(errno));
  *m = (isc_map){.data = p, .size = (size_t)s.st_size, .fd = fd};
  return ISC_OK;
}

isc_status isc_map_open(const char *path, isc_map *m) {
  *m = (isc_map){.fd = -1};
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    isc_status code = errno == ENOENT || errno == ENOTDIR ? ISC_E_MISSING : ISC_E_IO;
    return isc_fail(code, "%s: cannot open: %s", path, strerror(errno));
  }
  isc_status st = map_fd(fd, path, m);
  if (st != ISC_OK) close(fd);
  return st;
}

isc_status isc_map_check(const isc_map *m, const char *path) {
  struct stat s;
  if (fstat(m->fd, &s) != 0)
    return isc_fail(ISC_E_IO, "%s: cannot read: %s", path, strerror(errno));
  if (s.st_size < 0 || (uintmax_t)s.st_size < m->size)
    return isc_fail(ISC_E_IO, "%s: was cut from %zu to %jd bytes while in use", path, m->size,
                    (intmax_t)s.st_size);
  return ISC_OK;
}

void isc_map_close(isc_map *m) {
  if (m->data) {
    munmap((void *)(uintptr_t)m->data, m->size);
    close(m->fd);
  }
  *m = (isc_map){.fd = -1};
}
