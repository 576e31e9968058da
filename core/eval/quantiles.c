/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantiles of numbers and of a kernel's noise law.
 */
#include "base/base.h"
#include "eval/interval.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b) {
  double x, y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return (x > y) - (x < y);
}

isc_status isc_quantiles(int64_t n, const double *x, int64_t m, const double *p /* [m] */,
                         double *out /* [m] */) {
  double *sorted;
  ISC_TRY(isc_calloc((size_t)n, sizeof *sorted, "numbers to sort", (void **)&sorted));
  int64_t kept = 0;
  for (int64_t i = 0; i < n; i++)
    if (!isnan(x[i])) sorted[kept++] = x[i];
  if (kept > 1) qsort(sorted, (size_t)kept, sizeof *sorted, ascending);
  for (int64_t k = 0; k < m; k++) {
    double at = p[k] * (double)(kept - 1), f = at - floor(at);
    int64_t i = (int64_t)at, next = i + 1 < kept ? i + 1 : i;
    if (kept == 0)
      out[k] = NAN;
    else /* no arithmetic between equal ends, which may be infinite */
      out[k] = f == 0 || sorted[i] == sorted[next] ? sorted[i]
                                                   : sorted[i] + f * (sorted[next] - sorted[i]);
  }
  free(sorted);
  return ISC_OK;
}

void isc_noise_quantiles(const isc_kernel *kernel, int64_t m, const double *p /* [m] */,
                         double *out /* [m] */) {
  const isc_kernel_ops *ops = kernel->ops;
  for (int64_t k = 0; k < m; k++) {
    double lo = 0, hi = ops->epsilon(kernel->self);
    while (ops->distance_cdf(kernel->self, hi) < p[k] && hi < 1e300)
      hi *= 2;
    for (int i = 0; i < 100 && lo < hi; i++) {
      double mid = lo + (hi - lo) / 2;
      if (ops->distance_cdf(kernel->self, mid) < p[k])
        lo = mid;
      else
        hi = mid;
    }
    out[k] = hi;
  }
}
