/* SPDX-License-Identifier: Apache-2.0
 *
 * XXH3-128 for fingerprints and weight-file hashes.
 *
 * Not a cryptographic hash: it tells whether an input changed, not who changed it.
 */
#include "base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

isc_status isc_hash_begin(isc_hash *h) {
  XXH3_state_t *s = XXH3_createState();
  h->state = s;
  if (!s) return isc_fail(ISC_E_NOMEM, "a hash: could not get memory for its state");
  XXH3_128bits_reset(s);
  return ISC_OK;
}

void isc_hash_add(isc_hash *h, const void *data, size_t len) {
  if (h->state && len) XXH3_128bits_update(h->state, data, len);
}

void isc_hash_str(isc_hash *h, const char *s) {
  isc_hash_add(h, s, strlen(s) + 1);
}

isc_digest isc_hash_end(isc_hash *h) {
  if (!h->state) return (isc_digest){0};
  XXH128_hash_t x = XXH3_128bits_digest(h->state);
  XXH3_freeState(h->state);
  h->state = NULL;
  return (isc_digest){.hi = x.high64, .lo = x.low64};
}

static isc_status add_fd(isc_hash *h, int fd, const char *path, void *buffer, size_t size) {
  for (;;) {
    ssize_t got = read(fd, buffer, size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return isc_fail(ISC_E_IO, "%s: cannot read: %s", path, strerror(errno));
    if (got == 0) return ISC_OK;
    isc_hash_add(h, buffer, (size_t)got);
  }
}

isc_status isc_hash_file(const char *path, isc_digest *out) {
  const size_t size = (size_t)1 << 18;
  isc_hash h = {0};
  void *buffer = NULL;
  isc_status st = ISC_OK;
  *out = (isc_digest){0};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    isc_status code = errno == ENOENT || errno == ENOTDIR ? ISC_E_MISSING : ISC_E_IO;
    return isc_fail(code, "%s: cannot open: %s", path, strerror(errno));
  }
  ISC_GO(isc_malloc(size, path, &buffer));
  ISC_GO(isc_hash_begin(&h));
  ISC_GO(add_fd(&h, fd, path, buffer, size));
  *out = isc_hash_end(&h);
done:
  isc_hash_end(&h);
  free(buffer);
  close(fd);
  return st;
}

void isc_digest_hex(isc_digest d, char out[33]) {
  snprintf(out, 33, "%016llx%016llx", (unsigned long long)d.hi, (unsigned long long)d.lo);
}
