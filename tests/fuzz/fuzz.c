/* SPDX-License-Identifier: Apache-2.0
 *
 * Inputs as files: one in memory, and one in a directory below TMPDIR.
 *
 * Both are made once and written again, which is what lets a target run thousands of times a second.
 */
#include "fuzz.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void need(int ok, const char *what) {
  if (ok) return;
  perror(what);
  abort();
}

static void fill(int fd, const uint8_t *data, size_t size) {
  need(ftruncate(fd, (off_t)size) == 0, "ftruncate");
  need(pwrite(fd, data, size, 0) == (ssize_t)size, "pwrite");
}

const char *isc_fuzz_file(const uint8_t *data, size_t size) {
  static int fd = -1;
  static char path[64];
  if (fd < 0) {
    fd = memfd_create("input", MFD_CLOEXEC);
    need(fd >= 0, "memfd_create");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  }
  fill(fd, data, size);
  return path;
}

static char dir[256], file[400];

static void remove_dir(void) {
  unlink(file);
  rmdir(dir);
}

const char *isc_fuzz_dir(const char *name, const uint8_t *data, size_t size) {
  static int fd = -1;
  if (fd < 0) {
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/fuzz.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    need(mkdtemp(dir) != NULL, dir);
    snprintf(file, sizeof file, "%s/%s", dir, name);
    fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    need(fd >= 0, file);
    atexit(remove_dir);
  }
  fill(fd, data, size);
  return dir;
}
