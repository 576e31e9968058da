/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the activation store: what is written comes back, and a store that is not whole says which file is wrong.
 */
#include "support.h"

#include "base/base.h"
#include "run/store.h"

#include <inversescope/rng.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WIDTHS = 2, ROWS = ISC_STORE_CHUNK + 5 };

static const isc_site SITES[WIDTHS] = {{.name = "head.0.0", .dim = 8, .stored = 3},
                                       {.name = "resid_post.0", .dim = 5, .stored = 5}};

static float number(int64_t site, int64_t row, int64_t k) {
  isc_rng r = isc_rng_at(9, ISC_RNG_USER, (uint64_t)((row * WIDTHS + site) * 8 + k));
  return (float)isc_rng_normal(&r);
}

static const char *path_of(const char *dir, int64_t chunk) {
  static char path[1200];
  snprintf(path, sizeof path, "%s/%06lld.safetensors", dir, (long long)chunk);
  return path;
}

static isc_status write_chunk(const char *dir, int64_t chunk, const isc_site *sites, int64_t rows) {
  float *data[WIDTHS];
  for (int64_t i = 0; i < WIDTHS; i++) {
    data[i] = malloc((size_t)(rows * sites[i].stored) * sizeof(float));
    for (int64_t r = 0; r < rows; r++)
      for (int64_t k = 0; k < sites[i].stored; k++)
        data[i][r * sites[i].stored + k] = number(i, chunk * ISC_STORE_CHUNK + r, k);
  }
  isc_status st = isc_store_write(dir, chunk, sites, WIDTHS, rows, data);
  for (int64_t i = 0; i < WIDTHS; i++)
    free(data[i]);
  return st;
}

static void make(char dir[1024]) {
  snprintf(dir, 1024, "%s", isc_test_dir("store"));
  isc_assert_ok(write_chunk(dir, 0, SITES, ISC_STORE_CHUNK));
  isc_assert_ok(write_chunk(dir, 1, SITES, ROWS - ISC_STORE_CHUNK));
}

Test(store, rows_come_back_bit_for_bit_in_any_order) {
  char dir[1024];
  isc_store *s;
  make(dir);
  isc_assert_ok(isc_store_open(dir, SITES, WIDTHS, ROWS, &s));
  const int64_t row[] = {ROWS - 1, 0, ISC_STORE_CHUNK, ISC_STORE_CHUNK - 1, 0};
  float out[5 * 5];
  for (int64_t i = 0; i < WIDTHS; i++) {
    const int64_t w = SITES[i].stored;
    isc_assert_ok(isc_store_read(s, i, row, 5, out));
    for (int64_t r = 0; r < 5; r++)
      for (int64_t k = 0; k < w; k++)
        cr_assert_eq(out[r * w + k], number(i, row[r], k));
  }
  isc_store_close(s);
}

Test(store, all_rows_come_back_across_chunks) {
  char dir[1024];
  isc_store *s;
  make(dir);
  isc_assert_ok(isc_store_open(dir, SITES, WIDTHS, ROWS, &s));
  float *out = malloc(ROWS * 3 * sizeof *out);
  isc_assert_ok(isc_store_read(s, 0, NULL, ROWS, out));
  for (int64_t r = 0; r < ROWS; r++)
    for (int64_t k = 0; k < 3; k++)
      cr_assert_eq(out[r * 3 + k], number(0, r, k));
  free(out);
  isc_store_close(s);
}

Test(store, rows_that_are_not_there_are_refused) {
  char dir[1024];
  isc_store *s;
  float out[5];
  make(dir);
  isc_assert_ok(isc_store_open(dir, SITES, WIDTHS, ROWS, &s));
  const int64_t bad[] = {-1, ROWS};
  for (int i = 0; i < 2; i++)
    isc_assert_fails(isc_store_read(s, 0, &bad[i], 1, out), ISC_E_INTERNAL, "row");
  isc_assert_fails(isc_store_read(s, 0, NULL, ROWS + 1, out), ISC_E_INTERNAL, "rows");
  isc_store_close(s);
}

Test(store, a_chunk_is_there_once_it_is_whole) {
  char dir[1024];
  make(dir);
  cr_assert(isc_store_has(dir, 0) && isc_store_has(dir, 1) && !isc_store_has(dir, 2));
}

/* ---- stores that are not whole */

Test(store, a_missing_chunk_is_named) {
  char dir[1024];
  isc_store *s;
  make(dir);
  isc_assert_fails(isc_store_open(dir, SITES, WIDTHS, 2 * ISC_STORE_CHUNK + 1, &s), ISC_E_SHAPE,
                   "000001.safetensors");
  unlink(path_of(dir, 1));
  isc_assert_fails(isc_store_open(dir, SITES, WIDTHS, ROWS, &s), ISC_E_MISSING,
                   "000001.safetensors");
  cr_assert_null(s);
}

Test(store, other_sites_and_other_shapes_are_refused) {
  char dir[1024];
  isc_store *s;
  make(dir);
  const isc_site other[] = {{.name = "head.0.1", .dim = 8, .stored = 3}},
                 wide[] = {{.name = "head.0.0", .dim = 8, .stored = 4}};
  isc_assert_fails(isc_store_open(dir, other, 1, ROWS, &s), ISC_E_MISSING, "head.0.1");
  isc_assert_fails(isc_store_open(dir, wide, 1, ROWS, &s), ISC_E_SHAPE,
                   "is [4096, 3], expected [4096, 4]");
  isc_assert_fails(isc_store_open(dir, SITES, WIDTHS, ROWS - 1, &s), ISC_E_SHAPE,
                   "000001.safetensors");
}

Test(store, a_cut_or_spoiled_chunk_is_named) {
  char dir[1024];
  isc_store *s;
  char *data = NULL;
  size_t len;
  make(dir);
  isc_assert_ok(isc_read_file(path_of(dir, 1), 1u << 20, &data, &len));
  for (size_t to = 0; to < len; to += to < 64 ? 1 : 37) {
    cr_assert_eq(truncate(path_of(dir, 1), (off_t)to), 0);
    cr_assert_eq(isc_store_open(dir, SITES, WIDTHS, ROWS, &s), ISC_E_FORMAT, "cut at %zu: %s", to,
                 isc_error());
    cr_assert(strstr(isc_error(), "000001.safetensors"), "cut at %zu: %s", to, isc_error());
    isc_assert_ok(isc_write_file(path_of(dir, 1), data, len));
  }
  data[0] ^= 0x55;
  isc_assert_ok(isc_write_file(path_of(dir, 1), data, len));
  isc_assert_fails(isc_store_open(dir, SITES, WIDTHS, ROWS, &s), ISC_E_FORMAT,
                   "000001.safetensors");
  free(data);
}

Test(store, a_write_that_fails_leaves_the_old_chunk) {
  char dir[1024], blocker[1300];
  isc_store *s;
  make(dir);
  snprintf(blocker, sizeof blocker, "%s.tmp",
           path_of(dir, 1)); /* where the new one would be made */
  cr_assert_eq(mkdir(blocker, 0777), 0);
  cr_assert_eq(write_chunk(dir, 1, SITES, 2), ISC_E_IO);
  isc_assert_ok(isc_store_open(dir, SITES, WIDTHS, ROWS, &s));
  isc_store_close(s);
}

/* No memory at any moment: an error, and no more. */
Test(store, memory_may_run_out) {
  char dir[1024];
  isc_store *s;
  isc_status st = ISC_E_NOMEM;
  make(dir);
  for (int64_t n = 1; st != ISC_OK && n < 2000; n++) {
    isc_alloc_fail_at(n);
    st = isc_store_open(dir, SITES, WIDTHS, ROWS, &s);
    isc_alloc_fail_at(0);
    cr_assert(st == ISC_OK || st == ISC_E_NOMEM, "allocation %lld: %s", (long long)n, isc_error());
  }
  cr_assert_eq(st, ISC_OK);
  isc_store_close(s);
}
