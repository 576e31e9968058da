/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of a training stage as a block of bytes in a file, for methods that keep it in plain memory.
 *
 * Length and hash stand before the bytes, so that a file that was cut, changed or left by another training is
 * told from this one's before a byte of it is used.
 */
#include "base/base.h"
#include <inttypes.h>
#include <inversescope/method.h>
#include <stdlib.h>
#include <string.h>

static const char MAGIC[8] = {'I', 'S', 'C', 's', 't', 'a', 't', '1'};

typedef struct header {
  char magic[8];
  uint64_t len;
  isc_digest hash;
} header;

static isc_status make_header(const void *data, size_t len, header *out) {
  isc_hash h;
  ISC_TRY(isc_hash_begin(&h));
  isc_hash_add(&h, data, len);
  *out = (header){.len = len, .hash = isc_hash_end(&h)};
  memcpy(out->magic, MAGIC, sizeof MAGIC);
  return ISC_OK;
}

isc_status isc_state_save(const char *dir, const char *name, const void *data, size_t len) {
  isc_atomic_file f = {0};
  char *path = NULL;
  header head;
  isc_status st = ISC_OK;
  ISC_GO(make_header(data, len, &head));
  ISC_GO(isc_path_join(dir, name, &path));
  ISC_GO(isc_atomic_open(path, &f));
  fwrite(&head, sizeof head, 1, f.f);
  if (len) fwrite(data, len, 1, f.f);
  ISC_GO(isc_atomic_commit(&f)); /* finds what went wrong with the writes */
done:
  isc_atomic_abandon(&f);
  free(path);
  return st;
}

static isc_status check(const char *path, const char *file, size_t size, size_t len) {
  header want, have;
  if (size != sizeof have + len || memcmp(file, MAGIC, sizeof MAGIC) != 0)
    return isc_fail(ISC_E_FORMAT,
                    "%s: is no state of %zu bytes that this training left; delete it to start anew",
                    path, len);
  memcpy(&have, file, sizeof have);
  ISC_TRY(make_header(file + sizeof have, len, &want));
  if (have.len != want.len || have.hash.hi != want.hash.hi || have.hash.lo != want.hash.lo)
    return isc_fail(ISC_E_FORMAT, "%s: its bytes were changed; delete it to start anew", path);
  return ISC_OK;
}

isc_status isc_state_restore(const char *dir, const char *name, void *data, size_t len) {
  char *path = NULL, *file = NULL;
  size_t most, size = 0;
  isc_status st = ISC_OK;
  ISC_GO(isc_path_join(dir, name, &path));
  ISC_GO(isc_add_size(sizeof(header), len, path, &most));
  ISC_GO(isc_read_file(path, most, &file, &size));
  ISC_GO(check(path, file, size, len));
  if (len) memcpy(data, file + sizeof(header), len);
done:
  free(path);
  free(file);
  return st;
}
