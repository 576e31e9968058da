/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole-file reads and atomic writes.
 *
 * A write goes to `<path>.tmp`, is fsynced and renamed over the target, and the directory is fsynced:
 * after a crash the target is either the old file or the new one. The temporary name is fixed, so a
 * killed run leaves at most one and the next write reuses it; a lock keeps two processes apart.
 */
#include "base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static isc_status os_fail(const char *path, const char *doing) {
  return isc_fail(ISC_E_IO, "%s: cannot %s: %s", path, doing, strerror(errno));
}

static isc_status read_all(int fd, const char *path, size_t max, char **data, size_t *len) {
  struct stat s;
  void *p = NULL;
  size_t used = 0, cap = 4096;
  isc_status st = ISC_OK;
  if (fstat(fd, &s) != 0) return os_fail(path, "read");
  if (S_ISDIR(s.st_mode)) return isc_fail(ISC_E_IO, "%s: is a directory, not a file", path);
  if (s.st_size > 0 && (uintmax_t)s.st_size <= max) cap = (size_t)s.st_size + 2;
  ISC_GO(isc_malloc(cap, path, &p));
  for (;;) {
    ssize_t got = read(fd, (char *)p + used, cap - 1 - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) ISC_GO(os_fail(path, "read"));
    if (got == 0) break;
    used += (size_t)got;
    if (used > max)
      ISC_GO(isc_fail(ISC_E_FORMAT, "%s: is larger than the %zu bytes allowed here", path, max));
    if (used + 1 == cap) {
      ISC_GO(isc_realloc(&p, cap, 2, path));
      cap *= 2;
    }
  }
  ((char *)p)[used] = '\0';
  *data = p;
  *len = used;
  p = NULL;
done:
  free(p);
  return st;
}

isc_status isc_read_file(const char *path, size_t max, char **data, size_t *len) {
  *data = NULL;
  *len = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
    return isc_fail(ISC_E_MISSING, "%s: cannot open: %s", path, strerror(errno));
  if (fd < 0) return os_fail(path, "open");
  isc_status st = read_all(fd, path, max, data, len);
  close(fd);
  return st;
}

/* Open and lock the temporary file. Between open and lock another writer may have renamed the file
 * away; then the lock is on what is now the target, and the open is repeated. */
static isc_status open_locked(const char *tmp, int *out) {
  for (int attempt = 0; attempt < 100; attempt++) {
    struct stat held, named;
    int fd = open(tmp, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return os_fail(tmp, "create");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      close(fd);
      return isc_fail(ISC_E_IO, "%s: another process is writing this file", tmp);
    }
    if (fstat(fd, &held) == 0 && stat(tmp, &named) == 0 && held.st_ino == named.st_ino &&
        held.st_dev == named.st_dev) {
      *out = fd;
      return ISC_OK;
    }
    close(fd);
  }
  return isc_fail(ISC_E_IO, "%s: another process keeps replacing this file", tmp);
}

isc_status isc_atomic_open(const char *path, isc_atomic_file *a) {
  isc_status st = ISC_OK;
  int fd = -1;
  *a = (isc_atomic_file){0};
  ISC_GO(isc_strdup(path, &a->path));
  ISC_GO(isc_asprintf(&a->tmp, "%s.tmp", path));
  ISC_GO(open_locked(a->tmp, &fd));
  if (ftruncate(fd, 0) != 0) ISC_GO(os_fail(a->tmp, "truncate"));
  a->f = fdopen(fd, "w");
  if (!a->f) ISC_GO(os_fail(a->tmp, "open"));
done:
  if (st != ISC_OK) {
    if (fd >= 0) {
      unlink(a->tmp);
      close(fd);
    }
    free(a->path);
    free(a->tmp);
    *a = (isc_atomic_file){0};
  }
  return st;
}

isc_status isc_sync_dir(const char *path) {
  char *dir;
  ISC_TRY(isc_path_dir(path, &dir));
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  isc_status st = ISC_OK;
  /* Some network file systems cannot fsync a directory and say EINVAL; the rename is done then. */
  if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) st = os_fail(dir, "sync the directory");
  if (fd >= 0) close(fd);
  free(dir);
  return st;
}

isc_status isc_atomic_commit(isc_atomic_file *a) {
  isc_status st = ISC_OK;
  if (!a->f) return isc_fail(ISC_E_INTERNAL, "a file was committed that is not open");
  errno = 0;
  bool failed_before = ferror(a->f) != 0;
  if (fflush(a->f) != 0 || failed_before) {
    if (errno == 0) errno = EIO;
    ISC_GO(os_fail(a->path, "write"));
  }
  if (fsync(fileno(a->f)) != 0) ISC_GO(os_fail(a->path, "write"));
  if (rename(a->tmp, a->path) != 0) ISC_GO(os_fail(a->path, "replace"));
  ISC_GO(isc_sync_dir(a->path));
done:
  if (st != ISC_OK) unlink(a->tmp);
  fclose(a->f);
  free(a->path);
  free(a->tmp);
  *a = (isc_atomic_file){0};
  return st;
}

void isc_atomic_abandon(isc_atomic_file *a) {
  if (!a->f) return;
  unlink(a->tmp);
  fclose(a->f);
  free(a->path);
  free(a->tmp);
  *a = (isc_atomic_file){0};
}

isc_status isc_write_file(const char *path, const void *data, size_t len) {
  isc_atomic_file a;
  ISC_TRY(isc_atomic_open(path, &a));
  if (len) fwrite(data, 1, len, a.f); /* commit looks at the stream's error flag */
  return isc_atomic_commit(&a);
}
