/* SPDX-License-Identifier: Apache-2.0
 *
 * A safetensors file: the input as it is, and the input as the header of a file whose length fits.
 *
 * The second finds what lies behind the length, which random bytes hardly ever get right.
 */
#include "fuzz.h"
#include "model/safetensors.h"
#include "model/weights.h"
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 12 };

static void read_all(const char *path) {
  static float x[MOST];
  isc_weights *w;
  if (isc_weights_open(path, &w) != ISC_OK) return;
  for (int64_t i = 0; i < isc_weights_count(w); i++) {
    const isc_weight *t = isc_weights_at(w, i);
    const int64_t n = t->elements < MOST ? t->elements : MOST;
    if (isc_weights_find(w, t->name) == NULL) abort();
    (void)isc_weights_read(w, t, t->elements - n, n, ISC_BF16, x);
  }
  (void)isc_weights_verify(w, NULL);
  isc_weights_close(w);
}

/* A header and 256 bytes of data. */
static void read_as_header(const uint8_t *data, size_t size) {
  enum { DATA = 256 };
  uint8_t *file = calloc(8 + size + DATA, 1);
  const uint64_t length = size;
  if (!file) return;
  memcpy(file, &length, sizeof length);
  memcpy(file + 8, data, size);
  read_all(isc_fuzz_file(file, 8 + size + DATA));
  free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  read_all(isc_fuzz_file(data, size));
  if (size) read_as_header(data, size);
  return 0;
}
