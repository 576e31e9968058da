/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranks by counting: sites are hundreds at most.
 */
#include "eval/rank.h"
#include <math.h>
#include <stdbool.h>

static bool known(const double *x, const double *y, int64_t i) {
  return !isnan(x[i]) && !isnan(y[i]);
}

/* Is i one of the `most` highest of x, among those both lists know? */
static bool is_top(int64_t n, const double *x, const double *y, int64_t i, int64_t most) {
  int64_t above = 0;
  for (int64_t k = 0; k < n; k++)
    above += known(x, y, k) && (x[k] > x[i] || (x[k] == x[i] && k < i));
  return above < most;
}

int64_t isc_rank_overlap(int64_t n, const double *x, const double *y, int64_t most) {
  int64_t both = 0;
  for (int64_t i = 0; i < n; i++)
    both += known(x, y, i) && is_top(n, x, y, i, most) && is_top(n, y, x, i, most);
  return both;
}
