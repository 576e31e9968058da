/* SPDX-License-Identifier: Apache-2.0
 *
 * Paths shared by the test programs: reference data, source tree, build tree, scratch directories.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOTS = 8, PATH_SIZE = 1024 };

static char *next_buffer(void) {
  static char buffer[SLOTS][PATH_SIZE];
  static int slot;
  slot = (slot + 1) % SLOTS;
  return buffer[slot];
}

static const char *env_or(const char *name, const char *fallback) {
  const char *v = getenv(name);
  return v && *v ? v : fallback;
}

static const char *below(const char *root, const char *rel) {
  char joined[PATH_SIZE];
  snprintf(joined, sizeof joined, "%s/%s", root,
           rel); /* root may lie in the buffer about to be reused */
  return memcpy(next_buffer(), joined, sizeof joined);
}

const char *isc_test_source(const char *rel) {
  return below(env_or("INVERSESCOPE_SRCDIR", "."), rel);
}

const char *isc_test_build(const char *rel) {
  return below(env_or("INVERSESCOPE_BUILDDIR", "."), rel);
}

const char *isc_test_shared(const char *rel) {
  const char *root = getenv("INVERSESCOPE_SHARED");
  const char *path = root && *root ? below(root, rel) : below(isc_test_source("../shared"), rel);
  return access(path, R_OK) == 0 ? path : NULL;
}

const char *isc_test_dir(const char *name) {
  char path[PATH_SIZE];
  mkdir(isc_test_build("tests/scratch"), 0777);
  snprintf(path, sizeof path, "%s/%s.XXXXXX", isc_test_build("tests/scratch"), name);
  return mkdtemp(path) ? memcpy(next_buffer(), path, sizeof path) : NULL;
}
