/* SPDX-License-Identifier: Apache-2.0
 *
 * A NumPy file: an archive, or a single array.
 */
#include "fuzz.h"
#include "model/npz.h"
#include <stdlib.h>

enum { MOST = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static float x[MOST];
  static int64_t n[MOST];
  isc_npz *z;
  if (isc_npz_open(isc_fuzz_file(data, size), &z) != ISC_OK) return 0;
  for (int64_t i = 0; i < isc_npz_count(z); i++) {
    const isc_npz_array *a = isc_npz_at(z, i);
    if (!isc_npz_find(z, a->name)) abort();
    if (a->header.elements > MOST) continue;
    (void)isc_npz_read_f32(z, a, x);
    (void)isc_npz_read_i64(z, a, n);
  }
  isc_npz_close(z);
  return 0;
}
