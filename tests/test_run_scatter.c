/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the figure of consistency against distance: its points are the run's samples and the noisy ones, and the noisy
 * ones touch nothing else.
 */
#include "support.h"
#include "support_run.h"

#include <jansson.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})
enum { CONDS = 10, DRAWS = 40, NOISY = 4, SCALES = 2 };

static const char *const *noisy(void) {
  static const char *const set[] = {"evaluate.scatter_noise=[0.5, 2.0]",
                                    "evaluate.scatter_conditions=4", "evaluate.samples=40", NULL};
  return set;
}

static json_t *score_of(const char *dir, const char *run) {
  char name[64];
  json_error_t why;
  snprintf(name, sizeof name, "%s/score/score.json", run);
  json_t *j = json_load_file(isc_test_path(dir, name), 0, &why);
  cr_assert(j, "%s", why.text);
  return j;
}

static const json_t *get(const json_t *j, const char *key) {
  return json_object_get(j, key);
}

Test(run_scatter, noisy_samples_count_nowhere_else) {
  const char *dir = isc_micro_new("scatter");
  static const char *const parts[] = {"sites",   "summary", "features",
                                      "insight", "tables",  "unconditional"};
  isc_assert_ok(isc_micro_run(dir, "plain", SET("evaluate.samples=40"), NULL, NULL));
  isc_assert_ok(isc_micro_run(dir, "noisy", noisy(), NULL, NULL));
  isc_assert_ok(isc_micro_run(dir, "again", noisy(), NULL, NULL));
  isc_assert_same_runs(dir, "noisy", "again", "two runs with noise");
  size_t a, b;
  char *x = isc_test_read(dir, "plain/sample/samples.db", &a),
       *y = isc_test_read(dir, "noisy/sample/samples.db", &b);
  cr_assert(a == b && !memcmp(x, y, a), "the run's own samples changed");
  free(x);
  free(y);
  json_t *plain = score_of(dir, "plain"), *with = score_of(dir, "noisy");
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    cr_assert(json_equal(get(plain, parts[i]), get(with, parts[i])), "%s changed", parts[i]);
  cr_assert_not(json_equal(get(plain, "scatter"), get(with, "scatter")));
  json_decref(plain);
  json_decref(with);
}

/* ---- the points again, from the files */

static sqlite3 *open_db(const char *dir) {
  sqlite3 *db;
  char sql[2600];
  cr_assert_eq(sqlite3_open(isc_test_path(dir, "noisy/sample/samples.db"), &db), SQLITE_OK);
  snprintf(sql, sizeof sql, "ATTACH '%s' AS scored; ATTACH '%s' AS noisy",
           isc_test_path(dir, "noisy/score/distances.db"),
           isc_test_path(dir, "noisy/sample/scatter.db"));
  cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
  return db;
}

static sqlite3_stmt *query(sqlite3 *db, const char *sql, int64_t site) {
  sqlite3_stmt *q;
  cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
  sqlite3_bind_int64(q, 1, site);
  return q;
}

typedef struct prior {
  isc_study *study;
  isc_text hat[CONDS];
} prior;

static prior open_prior(const char *dir) {
  prior p = {0};
  const isc_config_source source = {.path = isc_test_path(dir, "study.cfg")};
  isc_assert_ok(isc_study_read(&source, isc_test_path(dir, "noisy"), &p.study));
  for (int c = 0; c < CONDS; c++)
    isc_assert_ok(isc_study_text(p.study, ISC_TEST, c, &p.hat[c]));
  return p;
}

static void close_prior(prior *p) {
  for (int c = 0; c < CONDS; c++)
    isc_text_free(&p->hat[c]);
  isc_study_close(p->study);
}

static bool valid(const prior *p, const char *text) {
  double log_p;
  isc_assert_ok(p->study->prior.ops->log_prob(p->study->prior.self, text, strlen(text), &log_p));
  return log_p > -INFINITY;
}

static bool agree(const prior *p, int64_t feature, const char *text, int64_t c) {
  const isc_feature *f = &p->study->feature[feature];
  isc_text a = {0}, b = {0};
  isc_assert_ok(f->ops->label(f->self, text, strlen(text), &a));
  isc_assert_ok(f->ops->label(f->self, p->hat[c].data, p->hat[c].len, &b));
  const bool same = a.len && a.len == b.len && !memcmp(a.data, b.data, a.len);
  isc_text_free(&a);
  isc_text_free(&b);
  return same;
}

static int64_t index_of(const json_t *list, const char *name) {
  size_t i;
  json_t *j;
  json_array_foreach(list, i,
                     j) if (!strcmp(json_string_value(get(j, "name")), name)) return (int64_t)i;
  return -1;
}

static double part(const json_t *panel, size_t point, size_t k) {
  return json_number_value(json_array_get(json_array_get(get(panel, "points"), point), k));
}

static void assert_point(const json_t *panel, size_t at, double d, bool match, double noise) {
  if (!isnan(d))
    cr_assert_float_eq(part(panel, at, 0), d, 1e-6, "point %zu: d = %g, stored %g", at,
                       part(panel, at, 0), d);
  cr_assert_eq(part(panel, at, 1) > 0, match, "point %zu", at);
  cr_assert_eq(part(panel, at, 2), noise, "point %zu", at);
}

/* How far a text that was also drawn without noise lies from ẑ; NaN when it was not. */
static double known_distance(sqlite3 *db, int64_t site, int64_t c, const char *text) {
  sqlite3_stmt *q = query(db,
                          "SELECT angular FROM sample s JOIN main.text t ON t.id = s.text "
                          "JOIN distance USING (site, cond, j) "
                          "WHERE site = ?1 AND cond = ?2 AND t.text = ?3",
                          site);
  sqlite3_bind_int64(q, 2, c);
  sqlite3_bind_text(q, 3, text, -1, SQLITE_TRANSIENT);
  const double d = sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_double(q, 0) : NAN;
  sqlite3_finalize(q);
  return d;
}

static int check_panel(sqlite3 *db, const prior *p, const json_t *score, const json_t *panel) {
  const int64_t site = index_of(get(score, "sites"), json_string_value(get(panel, "site"))),
                feature =
                    index_of(get(score, "features"), json_string_value(get(panel, "feature")));
  static const double scale[SCALES] = {0.5, 2};
  size_t at = 0;
  int known = 0;
  sqlite3_stmt *q = query(db,
                          "SELECT cond, t.text, angular FROM sample s JOIN main.text t "
                          "ON t.id = s.text JOIN distance USING (site, cond, j) "
                          "WHERE site = ? ORDER BY cond, j",
                          site);
  while (sqlite3_step(q) == SQLITE_ROW) {
    const char *text = (const char *)sqlite3_column_text(q, 1);
    if (!valid(p, text)) continue;
    assert_point(panel, at++, sqlite3_column_double(q, 2),
                 agree(p, feature, text, sqlite3_column_int64(q, 0)), 0);
  }
  sqlite3_finalize(q);
  q = query(db,
            "SELECT cond, t.text, j FROM noisy.sample s JOIN noisy.text t ON t.id = s.text "
            "WHERE site = ? ORDER BY cond, j",
            site);
  int rows = 0;
  for (; sqlite3_step(q) == SQLITE_ROW; rows++) {
    const char *text = (const char *)sqlite3_column_text(q, 1);
    const int64_t c = sqlite3_column_int64(q, 0);
    if (!valid(p, text)) continue;
    const double d = known_distance(db, site, c, text);
    known += !isnan(d);
    assert_point(panel, at++, d, agree(p, feature, text, c),
                 scale[sqlite3_column_int(q, 2) / DRAWS]);
  }
  sqlite3_finalize(q);
  cr_assert_eq(rows, NOISY * SCALES * DRAWS);
  cr_assert_eq(json_array_size(get(panel, "points")), at);
  cr_assert_eq(json_integer_value(get(panel, "n")), (json_int_t)at);
  return known;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The curve again from the points: Nadaraya and Watson's, and none where the 30th nearest point is more than a tenth of the axis
 * away. Counts what is there. */
static void check_curve(const json_t *panel, int *known, int *gaps) {
  const json_t *curve = get(panel, "curve");
  const size_t n = json_array_size(get(panel, "points")), steps = json_array_size(curve);
  cr_assert(n >= 30 && steps == 101, "%zu points, %zu of the curve", n, steps);
  const double reach = json_number_value(json_array_get(json_array_get(curve, steps - 1), 0));
  double *far = calloc(n, sizeof *far);
  for (size_t k = 0; k < steps; k++) {
    const json_t *at = json_array_get(curve, k), *rate = json_array_get(at, 1);
    const double d = json_number_value(json_array_get(at, 0));
    double sum = 0, total = 0;
    cr_assert_float_eq(d, reach * (double)k / 100, 1e-9 * reach);
    for (size_t i = 0; i < n; i++)
      far[i] = fabs(part(panel, i, 0) - d);
    qsort(far, n, sizeof *far, ascending);
    if (fabs(far[29] - reach / 10) < 1e-6 * reach) continue; /* rounding decides */
    cr_assert_eq(json_is_null(rate), far[29] > reach / 10, "at %g of %g: 30th at %g", d, reach,
                 far[29]);
    *gaps += json_is_null(rate);
    if (json_is_null(rate)) continue;
    const double h = fmax(json_number_value(get(panel, "bandwidth")), far[29]);
    cr_assert(h >= reach / 100 * (1 - 1e-9));
    for (size_t i = 0; i < n; i++) {
      const double u = (part(panel, i, 0) - d) / h, w = exp(-u * u / 2);
      sum += w * part(panel, i, 1);
      total += w;
    }
    cr_assert_float_eq(json_number_value(rate), sum / total, 1e-6);
    ++*known;
  }
  free(far);
}

Test(run_scatter, curves_are_broken_where_no_points_are_near) {
  const char *dir = isc_micro_new("curves");
  isc_assert_ok(isc_micro_run(dir, "noisy", noisy(), NULL, NULL));
  json_t *score = score_of(dir, "noisy");
  size_t i;
  json_t *panel;
  int known = 0, gaps = 0;
  json_array_foreach(get(get(score, "scatter"), "panels"), i, panel)
      check_curve(panel, &known, &gaps);
  cr_assert(known > 100 && gaps > 0, "%d points of curves and %d gaps", known, gaps);
  json_decref(score);
}

Test(run_scatter, points_are_the_samples_inside_the_prior) {
  const char *dir = isc_micro_new("points");
  isc_assert_ok(isc_micro_run(dir, "noisy", noisy(), NULL, NULL));
  json_t *score = score_of(dir, "noisy");
  const json_t *panels = get(get(score, "scatter"), "panels");
  prior p = open_prior(dir);
  sqlite3 *db = open_db(dir);
  size_t i;
  int known = 0;
  json_t *panel;
  json_array_foreach(panels, i, panel) known += check_panel(db, &p, score, panel);
  cr_assert_eq(i, 2 * 3, "two features, two highest sites and the lowest of each");
  cr_assert_gt(known, 0, "no text was drawn both with and without noise: d was never compared");
  sqlite3_close(db);
  close_prior(&p);
  json_decref(score);
}

Test(run_scatter, a_changed_noise_redoes_the_sampling) {
  const char *dir = isc_micro_new("redo");
  isc_assert_ok(isc_micro_run(dir, "study", noisy(), NULL, NULL));
  cr_assert_str_empty(isc_micro_redone(dir, "study", noisy()));
  cr_assert_str_eq(
      isc_micro_redone(dir, "study", SET("evaluate.scatter_noise=[0.5]", "evaluate.samples=40")),
      "sample score report");
}

Test(run_scatter, too_many_noises_are_told_before_anything_is_trained) {
  const char *dir = isc_micro_new("many");
  isc_assert_fails(isc_micro_run(dir, "study",
                                 SET("evaluate.scatter_noise=[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"),
                                 NULL, NULL),
                   ISC_E_CONFIG, "at most 16");
  cr_assert(!isc_is_dir(isc_test_path(dir, "study/harvest")));
}
