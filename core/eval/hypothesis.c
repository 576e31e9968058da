/* SPDX-License-Identifier: Apache-2.0
 *
 * Equalities, constants and partitions of labels.
 */
#include "eval/hypothesis.h"
#include "base/base.h"
#include <stdlib.h>

void isc_hypothesis_equal(int64_t n, const int32_t *a, const int32_t *b, int32_t *out) {
  for (int64_t i = 0; i < n; i++)
    out[i] = a[i] == ISC_LABEL_NULL || b[i] == ISC_LABEL_NULL ? ISC_LABEL_NULL : a[i] == b[i];
}

bool isc_hypothesis_constant(int64_t n, const int32_t *label) {
  int32_t first = ISC_LABEL_NULL;
  for (int64_t i = 0; i < n; i++) {
    if (label[i] == ISC_LABEL_NULL) continue;
    if (first == ISC_LABEL_NULL) first = label[i];
    if (label[i] != first) return false;
  }
  return true;
}

isc_status isc_hypothesis_alike(int64_t n, const int32_t *a, const int32_t *b, int32_t count,
                                bool *alike) {
  int32_t *to, *from; /* id + 1 of the partner, 0 = not met */
  ISC_TRY(isc_calloc(2 * (size_t)count + 1, sizeof *to, "labels to compare", (void **)&to));
  from = to + count;
  *alike = true;
  for (int64_t i = 0; i < n && *alike; i++) {
    if (a[i] == ISC_LABEL_NULL || b[i] == ISC_LABEL_NULL) {
      *alike = a[i] == b[i];
      continue;
    }
    if (!to[a[i]] && !from[b[i]]) to[a[i]] = b[i] + 1, from[b[i]] = a[i] + 1;
    *alike = to[a[i]] == b[i] + 1 && from[b[i]] == a[i] + 1;
  }
  free(to);
  return ISC_OK;
}
