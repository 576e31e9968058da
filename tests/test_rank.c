/* SPDX-License-Identifier: Apache-2.0
 *
 * The common top of two orders.
 */
#include "eval/rank.h"
#include "support.h"
#include <math.h>

Test(rank, unknown_sites_are_left_out) {
  const double x[] = {1, NAN, 2, 3, 9}, y[] = {4, 0, 5, 6, NAN};
  cr_assert_eq(isc_rank_overlap(5, x, y, 2), 2);
  cr_assert_eq(isc_rank_overlap(5, x, y, 5), 3);
}

Test(rank, overlap_counts_the_common_top) {
  const double x[] = {9, 8, 7, 1, 2}, y[] = {9, 1, 8, 7, 2}, same[] = {1, 1, 1, 1, 1};
  cr_assert_eq(isc_rank_overlap(5, x, y, 3), 2);
  cr_assert_eq(isc_rank_overlap(5, x, y, 1), 1);
  cr_assert_eq(isc_rank_overlap(5, x, y, 9), 5);
  cr_assert_eq(isc_rank_overlap(5, same, x, 2), 2, "of ties the earlier counts");
}
