/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the samples file: what is written comes back, the same samples make the same bytes, and a file that someone
 * changed is refused by name.
 */
#include "support.h"

#include "base/base.h"
#include "run/samples.h"

#include <inversescope/rng.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { SITES = 2, CONDS = 3, DRAWS = 4, ROWS = SITES * CONDS * DRAWS, LOOSE = 5 };

/* Few texts, some odd ones, each drawn by several rows. */
static const struct {
  const char *s;
  size_t len;
} TEXT[] = {{"", 0},         {"a b", 3},    {"a \0b", 4},
            {"\xff\xfe", 2}, {"a'; --", 6}, {"\xc3\xa9t\xc3\xa9", 5},
            {"a b ", 4}};
enum { TEXTS = sizeof TEXT / sizeof *TEXT };

static int64_t pick(int64_t row) {
  isc_rng r = isc_rng_at(3, ISC_RNG_USER, (uint64_t)row);
  return (int64_t)isc_rng_below(&r, TEXTS);
}

static double log_q(int64_t row) {
  return row == 7 ? NAN : -1.0 / 3 - (double)row;
}

static isc_samples make(void) {
  isc_samples s;
  isc_assert_ok(isc_samples_new(&s, SITES, CONDS, DRAWS, LOOSE));
  for (int64_t r = 0; r < ROWS; r++) {
    isc_assert_ok(isc_samples_intern(&s, TEXT[pick(r)].s, TEXT[pick(r)].len, &s.text[r]));
    s.log_q[r] = log_q(r);
  }
  for (int64_t j = 0; j < LOOSE; j++)
    isc_assert_ok(isc_samples_intern(&s, TEXT[j].s, TEXT[j].len, &s.unconditional[j]));
  return s;
}

static const char *path_in(const char *dir) {
  static char path[1100];
  snprintf(path, sizeof path, "%s/samples.db", dir);
  return path;
}

static void assert_text(const isc_samples *s, int64_t id, int64_t want) {
  cr_assert_eq(s->len[id], TEXT[want].len);
  cr_assert_eq(memcmp(s->string[id], TEXT[want].s, TEXT[want].len), 0);
}

Test(samples, come_back_as_they_were) {
  isc_samples s = make(), t;
  const char *path = path_in(isc_test_dir("samples"));
  isc_assert_ok(isc_samples_write(&s, path));
  isc_assert_ok(isc_samples_read(path, &t));
  cr_assert_eq(t.n_sites, SITES);
  cr_assert_eq(t.n_conditions, CONDS);
  cr_assert_eq(t.n_samples, DRAWS);
  cr_assert_eq(t.n_unconditional, LOOSE);
  cr_assert_eq(t.n_texts, s.n_texts);
  for (int64_t r = 0; r < ROWS; r++) {
    assert_text(&t, t.text[r], pick(r));
    cr_assert(r == 7 ? isnan(t.log_q[r]) : t.log_q[r] == log_q(r));
  }
  for (int64_t j = 0; j < LOOSE; j++)
    assert_text(&t, t.unconditional[j], j);
  isc_samples_free(&s);
  isc_samples_free(&t);
}

Test(samples, many_texts_are_told_apart) {
  enum { MANY = 5000 };
  isc_samples s;
  isc_assert_ok(isc_samples_new(&s, 1, 1, MANY, 0));
  for (int round = 0; round < 2; round++)
    for (int64_t i = 0; i < MANY; i++) {
      char text[32];
      int64_t id;
      const int n = snprintf(text, sizeof text, "text %lld", (long long)i);
      isc_assert_ok(isc_samples_intern(&s, text, (size_t)n, &id));
      cr_assert_eq(id, i, "numbered by first use, and found again");
    }
  cr_assert_eq(s.n_texts, MANY);
  isc_samples_free(&s);
}

Test(samples, the_same_samples_make_the_same_bytes) {
  isc_samples s = make();
  char a[1200], b[1200], *x, *y;
  size_t n, m;
  snprintf(a, sizeof a, "%s/a.db", isc_test_dir("samples"));
  snprintf(b, sizeof b, "%s/b.db", isc_test_dir("samples"));
  isc_assert_ok(isc_samples_write(&s, a));
  isc_assert_ok(isc_write_file(b, "an older file", 13));
  isc_assert_ok(isc_samples_write(&s, b));
  isc_assert_ok(isc_read_file(a, 1u << 24, &x, &n));
  isc_assert_ok(isc_read_file(b, 1u << 24, &y, &m));
  cr_assert(n == m && !memcmp(x, y, n));
  free(x);
  free(y);
  isc_samples_free(&s);
}

/* ---- distances */

Test(samples, distances_come_back_and_what_could_not_be_had_is_null) {
  isc_samples s = make();
  isc_sample_distance d[ROWS];
  const char *path = path_in(isc_test_dir("samples"));
  sqlite3 *db;
  sqlite3_stmt *q;
  for (int64_t r = 0; r < ROWS; r++)
    d[r] = (isc_sample_distance){(double)r / 7, r == 3 ? NAN : 1 + (double)r / 11, (double)r / 13};
  isc_assert_ok(isc_distances_write(&s, d, path));
  cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
  cr_assert_eq(sqlite3_prepare_v2(db,
                                  "SELECT site, cond, j, angular, norm_ratio, normalised FROM "
                                  "distance ORDER BY site, cond, j",
                                  -1, &q, NULL),
               SQLITE_OK);
  for (int64_t r = 0; r < ROWS; r++) {
    cr_assert_eq(sqlite3_step(q), SQLITE_ROW);
    cr_assert_eq(sqlite3_column_int64(q, 0), r / (CONDS * DRAWS));
    cr_assert_eq(sqlite3_column_int64(q, 1), r / DRAWS % CONDS);
    cr_assert_eq(sqlite3_column_int64(q, 2), r % DRAWS);
    cr_assert_eq(sqlite3_column_double(q, 3), d[r].angular);
    cr_assert_eq(sqlite3_column_type(q, 4), r == 3 ? SQLITE_NULL : SQLITE_FLOAT);
    cr_assert_eq(sqlite3_column_double(q, 5), d[r].normalised);
  }
  cr_assert_eq(sqlite3_step(q), SQLITE_DONE);
  sqlite3_finalize(q);
  sqlite3_close(db);
  isc_samples_free(&s);
}

/* ---- files that someone changed */

static void change(const char *path, const char *sql) {
  sqlite3 *db;
  char *why = NULL;
  cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
  cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, &why), SQLITE_OK, "%s: %s", sql, why);
  sqlite3_close(db);
}

Test(samples, a_changed_file_is_refused_by_name) {
  static const char *const changes[] = {
      "DELETE FROM sample WHERE site = 0 AND cond = 1 AND j = 2",
      "DELETE FROM sample WHERE site = 1",
      "UPDATE sample SET j = -1 WHERE site = 0 AND cond = 0 AND j = 0",
      "UPDATE sample SET cond = 100000000 WHERE site = 0 AND cond = 0 AND j = 0",
      "UPDATE sample SET site = 9223372036854775807 WHERE site = 1 AND cond = 2 AND j = 3",
      "UPDATE sample SET j = 'two' WHERE site = 0 AND cond = 0 AND j = 2",
      "UPDATE sample SET text = 99 WHERE site = 1 AND cond = 2 AND j = 3",
      "UPDATE sample SET text = -1 WHERE site = 1 AND cond = 2 AND j = 3",
      "UPDATE unconditional SET text = 99 WHERE j = 2",
      "DELETE FROM text WHERE id = 2",
      "UPDATE text SET text = 'a b' WHERE id = 0",
      "DROP TABLE unconditional",
      "DROP TABLE sample; CREATE TABLE sample(site, cond, j)",
      NULL};
  isc_samples s = make(), t;
  for (int i = 0; changes[i]; i++) {
    const char *path = path_in(isc_test_dir("samples"));
    isc_assert_ok(isc_samples_write(&s, path));
    change(path, changes[i]);
    const isc_status st = isc_samples_read(path, &t);
    /* A site less is still a table of samples, only of another study. */
    if (st == ISC_OK) cr_assert_eq(t.n_sites, 1, "%s: read", changes[i]);
    if (st != ISC_OK) {
      cr_assert_eq(st, ISC_E_FORMAT, "%s: %s", changes[i], isc_error());
      cr_assert(strstr(isc_error(), path), "%s: %s", changes[i], isc_error());
    }
    isc_samples_free(&t);
  }
  isc_samples_free(&s);
}

Test(samples, a_cut_or_spoiled_file_is_refused_by_name) {
  isc_samples s = make(), t;
  const char *path = path_in(isc_test_dir("samples"));
  char *data;
  size_t len;
  isc_assert_ok(isc_samples_write(&s, path));
  isc_assert_ok(isc_read_file(path, 1u << 24, &data, &len));
  for (size_t to = 0; to < len; to += to < 200 ? 17 : 1000) {
    isc_assert_ok(isc_write_file(path, data, to));
    const isc_status st = isc_samples_read(path, &t);
    cr_assert_eq(st, ISC_E_FORMAT, "cut at %zu of %zu: %s %s", to, len, isc_status_name(st),
                 isc_error());
    cr_assert(strstr(isc_error(), path), "cut at %zu: %s", to, isc_error());
  }
  for (size_t page = 0; page < len; page += 4096) {
    char kept[64];
    memcpy(kept, data + page, sizeof kept);
    memset(data + page, 0x5a, sizeof kept); /* a page's header */
    isc_assert_ok(isc_write_file(path, data, len));
    cr_assert_eq(isc_samples_read(path, &t), ISC_E_FORMAT, "page %zu", page / 4096);
    cr_assert(strstr(isc_error(), path), "page %zu: %s", page / 4096, isc_error());
    memcpy(data + page, kept, sizeof kept);
  }
  free(data);
  isc_samples_free(&s);
}

Test(samples, an_absent_file_and_an_impossible_place) {
  isc_samples s = make(), t;
  const char *path = path_in(isc_test_dir("samples"));
  isc_assert_fails(isc_samples_read(path, &t), ISC_E_MISSING, path);
  isc_assert_fails(isc_samples_write(&s, "/proc/no/samples.db"), ISC_E_IO, "/proc/no/samples.db");
  isc_samples_free(&s);
}

Test(samples, sizes_that_overflow_are_refused) {
  isc_samples s;
  isc_assert_fails(isc_samples_new(&s, (int64_t)1 << 40, (int64_t)1 << 40, 2, 0), ISC_E_SHAPE,
                   "samples");
}
