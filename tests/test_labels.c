/* SPDX-License-Identifier: Apache-2.0
 *
 * Labels become small integers and back, whatever their bytes.
 */
#include "eval/labels.h"
#include "base/base.h"
#include "support.h"
#include <stdio.h>
#include <string.h>

Test(labels, ids_count_up_in_order_of_appearance) {
  isc_labels l = {0};
  char text[32];
  for (int round = 0; round < 2; round++)
    for (int i = 0; i < 5000; i++) {
      int32_t id, n = snprintf(text, sizeof text, "label %d", i);
      isc_assert_ok(isc_labels_intern(&l, text, (size_t)n, &id));
      cr_assert_eq(id, i);
    }
  cr_assert_eq(l.count, 5000);
  cr_assert_str_eq(isc_labels_text(&l, 4321), "label 4321");
  cr_assert_eq(isc_labels_find(&l, "label 17", 8), 17);
  cr_assert_eq(isc_labels_find(&l, "label 17x", 9), ISC_LABEL_NULL);
  isc_labels_free(&l);
}

Test(labels, the_empty_text_is_null_and_takes_no_id) {
  isc_labels l = {0};
  int32_t id = 7;
  isc_assert_ok(isc_labels_intern(&l, "", 0, &id));
  cr_assert_eq(id, ISC_LABEL_NULL);
  isc_assert_ok(isc_labels_intern(&l, NULL, 0, &id));
  cr_assert_eq(l.count, 0);
  cr_assert_str_eq(isc_labels_text(&l, ISC_LABEL_NULL), "");
  cr_assert_str_eq(isc_labels_text(&l, 99), "");
  isc_labels_free(&l);
}

Test(labels, bytes_count_and_nul_is_one_of_them) {
  isc_labels l = {0};
  int32_t a, b, c;
  isc_assert_ok(isc_labels_intern(&l, "a\0b", 3, &a));
  isc_assert_ok(isc_labels_intern(&l, "a\0c", 3, &b));
  isc_assert_ok(isc_labels_intern(&l, "a", 1, &c));
  cr_assert(a != b && b != c && a != c);
  cr_assert_eq(l.len[a], 3);
  isc_labels_free(&l);
}

Test(labels, running_out_of_memory_leaves_a_working_table) {
  isc_labels l = {0};
  char text[16];
  int failures = 0;
  for (int i = 0; i < 300; i++) {
    int32_t id, n = snprintf(text, sizeof text, "%d", i);
    for (int64_t k = 1;; k++) {
      isc_alloc_fail_at(k);
      isc_status st = isc_labels_intern(&l, text, (size_t)n, &id);
      isc_alloc_fail_at(0);
      if (st == ISC_OK) break;
      cr_assert_eq(st, ISC_E_NOMEM);
      failures++;
    }
    cr_assert_eq(id, i);
  }
  cr_assert_gt(failures, 300);
  for (int i = 0; i < 300; i++) {
    int n = snprintf(text, sizeof text, "%d", i);
    cr_assert_eq(isc_labels_find(&l, text, (size_t)n), i);
  }
  isc_labels_free(&l);
}
