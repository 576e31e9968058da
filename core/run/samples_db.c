/* SPDX-License-Identifier: Apache-2.0
 *
 * Samples and distances to and from SQLite. A database is made beside its target in one transaction and renamed.
 */
#include "run/samples.h"

#include "base/base.h"

#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static isc_status db_fail(sqlite3 *db, const char *path) {
  const int code = sqlite3_errcode(db);
  const isc_status st = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR
                            ? ISC_E_FORMAT
                        : code == SQLITE_NOMEM ? ISC_E_NOMEM
                                               : ISC_E_IO;
  const int why = st == ISC_E_IO ? sqlite3_system_errno(db) : 0;
  return isc_fail(st, "%s: %s%s%s", path, sqlite3_errmsg(db), why ? ": " : "",
                  why ? strerror(why) : "");
}

static isc_status run_sql(sqlite3 *db, const char *path, const char *sql) {
  return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? ISC_OK : db_fail(db, path);
}

static isc_status prepare(sqlite3 *db, const char *path, const char *sql, sqlite3_stmt **out) {
  return sqlite3_prepare_v2(db, sql, -1, out, NULL) == SQLITE_OK ? ISC_OK : db_fail(db, path);
}

static isc_status step_row(sqlite3 *db, const char *path, sqlite3_stmt *q) {
  if (sqlite3_step(q) != SQLITE_DONE) return db_fail(db, path);
  sqlite3_reset(q);
  return ISC_OK;
}

/* ---- writing */

typedef isc_status (*fill_fn)(sqlite3 *db, const char *path, const isc_samples *s, const void *arg);

static isc_status sync_and_rename(const char *tmp, const char *path) {
  if (rename(tmp, path) != 0) return isc_fail(ISC_E_IO, "%s: cannot be renamed into place", path);
  return isc_sync_dir(path);
}

static isc_status write_db(const char *path, const char *schema, fill_fn fill, const isc_samples *s,
                           const void *arg) {
  isc_status st = ISC_OK;
  sqlite3 *db = NULL;
  char *tmp = NULL;
  ISC_TRY(isc_asprintf(&tmp, "%s.tmp", path));
  unlink(tmp);
  if (sqlite3_open(tmp, &db) != SQLITE_OK) {
    st = db_fail(db, tmp);
    goto done;
  }
  /* The file is not shared before its rename, so no journal is needed; the sync is SQLite's at commit. */
  ISC_GO(run_sql(
      db, path,
      "PRAGMA journal_mode = OFF; PRAGMA synchronous = FULL; PRAGMA page_size = 4096; BEGIN"));
  ISC_GO(run_sql(db, path, schema));
  ISC_GO(fill(db, path, s, arg));
  ISC_GO(run_sql(db, path, "COMMIT"));
  if (sqlite3_close(db) != SQLITE_OK) {
    st = db_fail(db, path);
    goto done;
  }
  db = NULL;
  ISC_GO(sync_and_rename(tmp, path));
done:
  sqlite3_close(db);
  if (st != ISC_OK) unlink(tmp);
  free(tmp);
  return st;
}

static isc_status fill_texts(sqlite3 *db, const char *path, const isc_samples *s) {
  sqlite3_stmt *q = NULL;
  isc_status st = ISC_OK;
  ISC_GO(prepare(db, path, "INSERT INTO text VALUES(?, ?)", &q));
  for (int64_t i = 0; i < s->n_texts; i++) {
    sqlite3_bind_int64(q, 1, i);
    sqlite3_bind_text64(q, 2, s->string[i], s->len[i], SQLITE_STATIC, SQLITE_UTF8);
    ISC_GO(step_row(db, path, q));
  }
done:
  sqlite3_finalize(q);
  return st;
}

static void bind_address(sqlite3_stmt *q, const isc_samples *s, int64_t row) {
  const int64_t per_site = s->n_conditions * s->n_samples;
  sqlite3_bind_int64(q, 1, row / per_site);
  sqlite3_bind_int64(q, 2, row % per_site / s->n_samples);
  sqlite3_bind_int64(q, 3, row % s->n_samples);
}

static isc_status fill_samples(sqlite3 *db, const char *path, const isc_samples *s,
                               const void *arg) {
  sqlite3_stmt *q = NULL;
  isc_status st = ISC_OK;
  (void)arg;
  ISC_TRY(fill_texts(db, path, s));
  ISC_GO(prepare(db, path, "INSERT INTO sample VALUES(?, ?, ?, ?, ?)", &q));
  for (int64_t r = 0; r < isc_samples_rows(s); r++) {
    bind_address(q, s, r);
    sqlite3_bind_int64(q, 4, s->text[r]);
    sqlite3_bind_double(q, 5, s->log_q[r]);
    ISC_GO(step_row(db, path, q));
  }
  sqlite3_finalize(q);
  q = NULL;
  ISC_GO(prepare(db, path, "INSERT INTO unconditional VALUES(?, ?)", &q));
  for (int64_t j = 0; j < s->n_unconditional; j++) {
    sqlite3_bind_int64(q, 1, j);
    sqlite3_bind_int64(q, 2, s->unconditional[j]);
    ISC_GO(step_row(db, path, q));
  }
done:
  sqlite3_finalize(q);
  return st;
}

isc_status isc_samples_write(const isc_samples *s, const char *path) {
  static const char schema[] =
      "CREATE TABLE text(id INTEGER PRIMARY KEY, text TEXT NOT NULL);"
      "CREATE TABLE sample(site INTEGER, cond INTEGER, j INTEGER, text INTEGER, log_q REAL,"
      " PRIMARY KEY(site, cond, j)) WITHOUT ROWID;"
      "CREATE TABLE unconditional(j INTEGER PRIMARY KEY, text INTEGER);";
  return write_db(path, schema, fill_samples, s, NULL);
}

static isc_status fill_distances(sqlite3 *db, const char *path, const isc_samples *s,
                                 const void *arg) {
  const isc_sample_distance *d = arg;
  sqlite3_stmt *q = NULL;
  isc_status st = ISC_OK;
  ISC_GO(prepare(db, path, "INSERT INTO distance VALUES(?, ?, ?, ?, ?, ?)", &q));
  for (int64_t r = 0; r < isc_samples_rows(s); r++) {
    bind_address(q, s, r);
    sqlite3_bind_double(q, 4, d[r].angular); /* NaN is stored as NULL */
    sqlite3_bind_double(q, 5, d[r].norm_ratio);
    sqlite3_bind_double(q, 6, d[r].normalised);
    ISC_GO(step_row(db, path, q));
  }
done:
  sqlite3_finalize(q);
  return st;
}

isc_status isc_distances_write(const isc_samples *s, const isc_sample_distance *d,
                               const char *path) {
  static const char schema[] =
      "CREATE TABLE distance(site INTEGER, cond INTEGER, j INTEGER, angular REAL,"
      " norm_ratio REAL, normalised REAL, PRIMARY KEY(site, cond, j)) WITHOUT ROWID;";
  return write_db(path, schema, fill_distances, s, d);
}

/* ---- reading */

static isc_status scalar(sqlite3 *db, const char *path, const char *sql, int64_t *out) {
  sqlite3_stmt *q = NULL;
  ISC_TRY(prepare(db, path, sql, &q));
  isc_status st = sqlite3_step(q) == SQLITE_ROW ? ISC_OK : db_fail(db, path);
  if (st == ISC_OK) *out = sqlite3_column_int64(q, 0);
  sqlite3_finalize(q);
  return st;
}

static isc_status read_texts(sqlite3 *db, const char *path, isc_samples *s) {
  sqlite3_stmt *q = NULL;
  isc_status st = ISC_OK;
  ISC_GO(prepare(db, path, "SELECT id, text FROM text ORDER BY id", &q));
  int rc;
  while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
    int64_t id = 0;
    const char *text = (const char *)sqlite3_column_text(q, 1);
    const int64_t want = sqlite3_column_int64(q, 0);
    ISC_GO(isc_samples_intern(s, text ? text : "", (size_t)sqlite3_column_bytes(q, 1), &id));
    if (id != want) {
      st = isc_fail(ISC_E_FORMAT, "%s: text %lld is there twice or out of order", path,
                    (long long)want);
      goto done;
    }
  }
  if (rc != SQLITE_DONE) st = db_fail(db, path);
done:
  sqlite3_finalize(q);
  return st;
}

static isc_status check_text(const isc_samples *s, const char *path, int64_t id) {
  return id >= 0 && id < s->n_texts
             ? ISC_OK
             : isc_fail(ISC_E_FORMAT, "%s: text %lld is missing", path, (long long)id);
}

/* The next row of a table that has as many as were counted, in order. */
static isc_status next_row(sqlite3 *db, const char *path, sqlite3_stmt *q) {
  const int rc = sqlite3_step(q);
  if (rc == SQLITE_ROW) return ISC_OK;
  return rc == SQLITE_DONE ? isc_fail(ISC_E_FORMAT, "%s: a table has lost rows", path)
                           : db_fail(db, path);
}

static bool is_at(sqlite3_stmt *q, const isc_samples *s, int64_t row) {
  const int64_t per_site = s->n_conditions * s->n_samples;
  return sqlite3_column_int64(q, 0) == row / per_site &&
         sqlite3_column_int64(q, 1) == row % per_site / s->n_samples &&
         sqlite3_column_int64(q, 2) == row % s->n_samples;
}

static isc_status read_samples(sqlite3 *db, const char *path, isc_samples *s) {
  sqlite3_stmt *q = NULL;
  isc_status st = ISC_OK;
  ISC_GO(prepare(db, path, "SELECT site, cond, j, text, log_q FROM sample ORDER BY site, cond, j",
                 &q));
  for (int64_t r = 0; r < isc_samples_rows(s); r++) {
    ISC_GO(next_row(db, path, q));
    if (!is_at(q, s, r))
      ISC_GO(isc_fail(ISC_E_FORMAT, "%s: sample %lld is missing", path, (long long)r));
    s->text[r] = sqlite3_column_int64(q, 3);
    s->log_q[r] = sqlite3_column_type(q, 4) == SQLITE_NULL ? NAN : sqlite3_column_double(q, 4);
    ISC_GO(check_text(s, path, s->text[r]));
  }
done:
  sqlite3_finalize(q);
  return st;
}

static isc_status read_unconditional(sqlite3 *db, const char *path, isc_samples *s) {
  sqlite3_stmt *q = NULL;
  isc_status st = ISC_OK;
  ISC_GO(prepare(db, path, "SELECT j, text FROM unconditional ORDER BY j", &q));
  for (int64_t j = 0; j < s->n_unconditional; j++) {
    ISC_GO(next_row(db, path, q));
    if (sqlite3_column_int64(q, 0) != j)
      ISC_GO(
          isc_fail(ISC_E_FORMAT, "%s: unconditional sample %lld is missing", path, (long long)j));
    s->unconditional[j] = sqlite3_column_int64(q, 1);
    ISC_GO(check_text(s, path, s->unconditional[j]));
  }
done:
  sqlite3_finalize(q);
  return st;
}

/* SQLite reads what is missing at the end of a file as zeros. */
static isc_status check_size(sqlite3 *db, const char *path) {
  struct stat sb;
  int64_t pages = 0, size = 0;
  ISC_TRY(scalar(db, path, "PRAGMA page_count", &pages));
  ISC_TRY(scalar(db, path, "PRAGMA page_size", &size));
  if (stat(path, &sb) == 0 && pages > 0 && sb.st_size / pages == size && sb.st_size % pages == 0)
    return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: not %lld pages of %lld bytes; is it truncated?", path,
                  (long long)pages, (long long)size);
}

isc_status isc_samples_read(const char *path, isc_samples *s) {
  isc_status st = ISC_OK;
  sqlite3 *db = NULL;
  int64_t sites = 0, conds = 0, js = 0, rows = 0, unconditional = 0;
  memset(s, 0, sizeof *s);
  if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK) {
    st = isc_fail(ISC_E_MISSING, "%s: %s", path, sqlite3_errmsg(db));
    goto done;
  }
  ISC_GO(check_size(db, path));
  ISC_GO(scalar(db, path, "SELECT coalesce(max(site), -1) + 1 FROM sample", &sites));
  ISC_GO(scalar(db, path, "SELECT coalesce(max(cond), -1) + 1 FROM sample", &conds));
  ISC_GO(scalar(db, path, "SELECT coalesce(max(j), -1) + 1 FROM sample", &js));
  ISC_GO(scalar(db, path, "SELECT count(*) FROM sample", &rows));
  ISC_GO(scalar(db, path, "SELECT count(*) FROM unconditional", &unconditional));
  if (sites < 0 || conds < 0 || js < 0 || sites > 1 << 20 ||
      (double)sites * (double)conds * (double)js != (double)rows) {
    st = isc_fail(ISC_E_FORMAT,
                  "%s: %lld samples do not fill %lld sites x %lld conditions x %lld draws", path,
                  (long long)rows, (long long)sites, (long long)conds, (long long)js);
    goto done;
  }
  ISC_GO(isc_samples_new(s, sites, conds, js, unconditional));
  ISC_GO(read_texts(db, path, s));
  ISC_GO(read_samples(db, path, s));
  ISC_GO(read_unconditional(db, path, s));
done:
  sqlite3_close(db);
  if (st != ISC_OK) isc_samples_free(s);
  return st;
}
