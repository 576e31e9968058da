/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about score.json: every rate in it follows from the samples, the distances and the enumerated prior.
 *
 * Nothing of the evaluation is used: activations are the stored factors times the model's own W_O in double, labels
 * come from counting names, and the estimators are written out from their definitions. All 96 prompts of the micro prior
 * are training or test inputs, and equally likely, so that the exact rates are plain shares.
 */
#include "support.h"
#include "support_run.h"

#include "model/safetensors.h"

#include <jansson.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { N_TRAIN = 72, N_TEST = 24, SUPPORT = 96, SITES = 4, WIDTH = 16, D_HEAD = 8 };
enum { CONDS = 10, DRAWS = 5, ROWS = SITES * CONDS * DRAWS, OBJECT = 0, SUBJECT = 1 };
static const double EPSILON = 0.1, BAND = 0.1;

typedef struct prompt {
  char text[160];
  double z[SITES][WIDTH];
} prompt;

typedef struct sample {
  char text[512];
  double log_q, angular, norm_ratio, normalised;
  int of; /* which prompt it is, −1 = not of the prior */
} sample;

typedef struct world {
  prompt prompt[SUPPORT]; /* test inputs first: condition c is prompt c */
  sample sample[ROWS];
  json_t *score;
} world;

/* ---- labels, from the words alone */

/* The one name that comes `times` times, "" when there is none, more than one, or a third name. */
static void label(const char *text, int times, char out[16]) {
  static const char *const names[] = {"Emma", "Peter", "Laura", "Simon"};
  int count[4] = {0}, distinct = 0, found = -1, hits = 0;
  char copy[512], *save = NULL;
  snprintf(copy, sizeof copy, "%s", text);
  for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
    for (int i = 0; i < 4; i++)
      count[i] += !strcmp(w, names[i]);
  for (int i = 0; i < 4; i++) {
    distinct += count[i] > 0;
    if (count[i] == times) found = i, hits++;
  }
  const bool other = distinct == 2 && hits == 1;
  snprintf(out, 16, "%s", other ? names[found] : "");
}

/* The object comes once and the subject twice; a text with other counts has neither. */
static void label_of(const char *text, int feature, char out[16]) {
  char once[16], twice[16];
  label(text, 1, once);
  label(text, 2, twice);
  snprintf(out, 16, "%s", once[0] && twice[0] ? (feature == OBJECT ? once : twice) : "");
}

static bool same_label(const char *a, const char *b, int feature) {
  char x[16], y[16];
  label_of(a, feature, x);
  label_of(b, feature, y);
  return x[0] && !strcmp(x, y);
}

/* ---- activations */

static void read_factors(world *w, const char *dir, const char *split, int first, int n) {
  isc_safetensors *chunk, *model;
  float a[N_TRAIN * D_HEAD], out[WIDTH * WIDTH];
  char name[64];
  snprintf(name, sizeof name, "study/harvest/%s/000000.safetensors", split);
  isc_assert_ok(isc_st_open(isc_test_path(dir, name), &chunk));
  isc_assert_ok(isc_st_open(isc_test_path(dir, "model/model.safetensors"), &model));
  for (int s = 0; s < SITES; s++) {
    snprintf(name, sizeof name, "head.%d.%d", s / 2, s % 2);
    isc_assert_ok(isc_st_read_f32(chunk, isc_st_find(chunk, name), 0, (int64_t)n * D_HEAD, a));
    snprintf(name, sizeof name, "transformer.h.%d.attn.c_proj.weight", s / 2);
    isc_assert_ok(isc_st_read_f32(model, isc_st_find(model, name), 0, WIDTH * WIDTH, out));
    for (int i = 0; i < n; i++)
      for (int k = 0; k < WIDTH; k++) {
        double sum = 0;
        for (int h = 0; h < D_HEAD; h++)
          sum += (double)a[i * D_HEAD + h] * (double)out[(s % 2 * D_HEAD + h) * WIDTH + k];
        w->prompt[first + i].z[s][k] = sum;
      }
  }
  isc_st_close(chunk);
  isc_st_close(model);
}

static double dot(const double *a, const double *b) {
  double sum = 0;
  for (int k = 0; k < WIDTH; k++)
    sum += a[k] * b[k];
  return sum;
}

static double angular(const double *z, const double *z_hat) {
  return 1 - dot(z, z_hat) / sqrt(dot(z, z) * dot(z_hat, z_hat));
}

static double norm_ratio(const double *z, const double *z_hat) {
  return sqrt(dot(z, z) / dot(z_hat, z_hat));
}

static bool near(double cosine_distance, double ratio) {
  return fabs(ratio - 1) < BAND && cosine_distance < EPSILON;
}

/* ---- reading the run */

static void read_prompts(world *w, const char *dir) {
  isc_study *s;
  isc_text text = {0};
  const isc_config_source source = {.path = isc_test_path(dir, "study.cfg")};
  isc_assert_ok(isc_study_open(&source, isc_test_path(dir, "study"), &s));
  for (int i = 0; i < SUPPORT; i++) {
    const bool test = i < N_TEST;
    isc_text_clear(&text);
    isc_assert_ok(isc_study_text(s, test ? ISC_TEST : ISC_TRAIN, test ? i : i - N_TEST, &text));
    snprintf(w->prompt[i].text, sizeof w->prompt[i].text, "%s", text.data);
    for (int j = 0; j < i; j++)
      cr_assert_str_neq(w->prompt[i].text, w->prompt[j].text);
  }
  isc_text_free(&text);
  isc_study_close(s);
}

static double number_at(sqlite3_stmt *q, int column) {
  return sqlite3_column_type(q, column) == SQLITE_NULL ? NAN : sqlite3_column_double(q, column);
}

static void read_samples(world *w, const char *dir) {
  sqlite3 *db;
  sqlite3_stmt *q;
  char attach[1200];
  cr_assert_eq(sqlite3_open(isc_test_path(dir, "study/sample/samples.db"), &db), SQLITE_OK);
  snprintf(attach, sizeof attach, "ATTACH '%s' AS scored",
           isc_test_path(dir, "study/score/distances.db"));
  cr_assert_eq(sqlite3_exec(db, attach, NULL, NULL, NULL), SQLITE_OK);
  cr_assert_eq(sqlite3_prepare_v2(db,
                                  "SELECT t.text, log_q, angular, norm_ratio, normalised "
                                  "FROM sample s JOIN text t ON t.id = s.text "
                                  "JOIN distance USING (site, cond, j) ORDER BY site, cond, j",
                                  -1, &q, NULL),
               SQLITE_OK, "%s", sqlite3_errmsg(db));
  for (int r = 0; r < ROWS; r++) {
    sample *x = &w->sample[r];
    cr_assert_eq(sqlite3_step(q), SQLITE_ROW, "only %d samples", r);
    snprintf(x->text, sizeof x->text, "%s", (const char *)sqlite3_column_text(q, 0));
    x->log_q = number_at(q, 1);
    x->angular = number_at(q, 2);
    x->norm_ratio = number_at(q, 3);
    x->normalised = number_at(q, 4);
    x->of = -1;
    for (int i = 0; i < SUPPORT; i++)
      if (!strcmp(x->text, w->prompt[i].text)) x->of = i;
  }
  cr_assert_eq(sqlite3_step(q), SQLITE_DONE);
  sqlite3_finalize(q);
  sqlite3_close(db);
}

static world *run_study(void) {
  const char *dir = isc_micro_new("score");
  world *w = calloc(1, sizeof *w);
  json_error_t why;
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  read_prompts(w, dir);
  read_factors(w, dir, "test", 0, N_TEST);
  read_factors(w, dir, "train", N_TEST, N_TRAIN);
  read_samples(w, dir);
  w->score = json_load_file(isc_test_path(dir, "study/score/score.json"), 0, &why);
  cr_assert(w->score, "%s", why.text);
  return w;
}

static void end(world *w) {
  json_decref(w->score);
  free(w);
}

/* ---- what the document says */

static const json_t *site_of(const world *w, int s) {
  return json_array_get(json_object_get(w->score, "sites"), (size_t)s);
}

/* score.json has twelve digits. */
static void assert_rate(const json_t *interval, double want, int n, const char *what) {
  if (n == 0) {
    cr_assert(json_is_null(interval), "%s should be null", what);
    return;
  }
  const double value = json_number_value(json_object_get(interval, "value")),
               lo = json_number_value(json_object_get(interval, "lo")),
               hi = json_number_value(json_object_get(interval, "hi"));
  cr_assert_float_eq(value, want, 1e-11, "%s: %.12g, counted %.12g", what, value, want);
  cr_assert_eq(json_integer_value(json_object_get(interval, "n")), n, "%s: conditions", what);
  cr_assert(lo <= value && value <= hi && lo >= 0 && hi <= 1, "%s: [%g, %g]", what, lo, hi);
}

static const json_t *fcr(const world *w, int s, int feature, const char *estimator) {
  static const char *const names[] = {"object", "subject"};
  const json_t *f = json_object_get(json_object_get(site_of(w, s), "fcr"), names[feature]);
  return json_object_get(f, estimator);
}

/* ---- the estimators */

typedef double (*weight_fn)(const sample *x);

static double plain(const sample *x) {
  (void)x;
  return 1;
}

static double reject(const sample *x) {
  return x->of >= 0 && near(x->angular, x->norm_ratio);
}

/* P is the same for every prompt and cancels. */
static double snis(const sample *x) {
  return reject(x) > 0 ? exp(-x->log_q) : 0;
}

static void assert_estimator(const world *w, weight_fn weight, const char *name) {
  char what[64];
  for (int s = 0; s < SITES; s++)
    for (int f = 0; f < 2; f++) {
      double rates = 0;
      int n = 0;
      for (int c = 0; c < CONDS; c++) {
        double match = 0, all = 0;
        for (int j = 0; j < DRAWS; j++) {
          const sample *x = &w->sample[(s * CONDS + c) * DRAWS + j];
          all += weight(x);
          if (same_label(x->text, w->prompt[c].text, f)) match += weight(x);
        }
        if (all > 0) rates += match / all, n++;
      }
      snprintf(what, sizeof what, "%s of site %d, feature %d", name, s, f);
      assert_rate(fcr(w, s, f, name), n ? rates / n : NAN, n, what);
    }
}

Test(run_score, sample_estimators_follow_from_samples_and_distances) {
  world *w = run_study();
  int valid = 0, accepted = 0;
  for (int r = 0; r < ROWS; r++) {
    valid += w->sample[r].of >= 0;
    accepted += reject(&w->sample[r]) > 0;
  }
  /* Else the test says little: some samples of each kind are needed. */
  cr_assert(valid > 20 && valid < ROWS - 20 && accepted > 10 && accepted < valid,
            "%d valid and %d accepted of %d", valid, accepted, ROWS);
  assert_estimator(w, plain, "plain");
  assert_estimator(w, reject, "reject");
  assert_estimator(w, snis, "snis");
  end(w);
}

Test(run_score, exact_rates_follow_from_the_enumerated_prior) {
  world *w = run_study();
  char what[64];
  for (int s = 0; s < SITES; s++) {
    double in_ball = 0, rates[2] = {0};
    for (int c = 0; c < CONDS; c++) {
      const double *z_hat = w->prompt[c].z[s];
      int ball = 0, match[2] = {0};
      for (int i = 0; i < SUPPORT; i++) {
        const double d = angular(w->prompt[i].z[s], z_hat),
                     ratio = norm_ratio(w->prompt[i].z[s], z_hat);
        /* No prompt may lie where single precision could decide otherwise. */
        cr_assert(fabs(d - EPSILON) > 1e-6 && fabs(fabs(ratio - 1) - BAND) > 1e-6);
        if (!near(d, ratio)) continue;
        ball++;
        for (int f = 0; f < 2; f++)
          match[f] += same_label(w->prompt[i].text, w->prompt[c].text, f);
      }
      in_ball += ball;
      for (int f = 0; f < 2; f++)
        rates[f] += (double)match[f] / ball; /* the ball holds its centre */
    }
    for (int f = 0; f < 2; f++) {
      snprintf(what, sizeof what, "exact of site %d, feature %d", s, f);
      assert_rate(fcr(w, s, f, "exact"), rates[f] / CONDS, CONDS, what);
    }
    cr_assert_float_eq(json_number_value(json_object_get(site_of(w, s), "ball")), in_ball / CONDS,
                       1e-9);
  }
  end(w);
}

Test(run_score, refusal_validity_and_chance_are_shares) {
  world *w = run_study();
  double refused_anywhere = 0;
  for (int s = 0; s < SITES; s++) {
    int refused = 0, valid = 0;
    for (int r = s * CONDS * DRAWS; r < (s + 1) * CONDS * DRAWS; r++) {
      refused += !near(w->sample[r].angular, w->sample[r].norm_ratio);
      valid += w->sample[r].of >= 0;
    }
    assert_rate(json_object_get(site_of(w, s), "refusal"), refused / (double)(CONDS * DRAWS), CONDS,
                "refusal");
    assert_rate(json_object_get(site_of(w, s), "validity"), valid / (double)(CONDS * DRAWS), CONDS,
                "validity");
    refused_anywhere += refused;
  }
  const json_t *summary = json_object_get(w->score, "summary"),
               *features = json_object_get(w->score, "features");
  cr_assert_float_eq(json_number_value(json_object_get(summary, "refusal")),
                     refused_anywhere / ROWS, 1e-11);
  for (size_t f = 0; f < 2; f++) /* four names, each as often as another */
    cr_assert_float_eq(json_number_value(json_object_get(json_array_get(features, f), "chance")),
                       0.25, 1e-11);
  end(w);
}

/* Single precision stands behind the stored numbers: a sum of 16 products, rounded to 6e-8 of the norm each. */
Test(run_score, stored_distances_are_those_of_the_activations) {
  world *w = run_study();
  int checked = 0;
  for (int r = 0; r < ROWS; r++) {
    const sample *x = &w->sample[r];
    const int s = r / (CONDS * DRAWS), c = r / DRAWS % CONDS;
    if (x->of < 0) continue;
    const double *z = w->prompt[x->of].z[s], *z_hat = w->prompt[c].z[s];
    double apart = 0;
    for (int k = 0; k < WIDTH; k++)
      apart += (z[k] - z_hat[k]) * (z[k] - z_hat[k]);
    cr_assert_float_eq(x->angular, angular(z, z_hat), 2e-6);
    cr_assert_float_eq(x->norm_ratio, norm_ratio(z, z_hat), 2e-6 * norm_ratio(z, z_hat));
    cr_assert_float_eq(x->normalised, sqrt(apart / dot(z_hat, z_hat)),
                       4e-6 * (1 + norm_ratio(z, z_hat)));
    checked++;
  }
  cr_assert_gt(checked, 20);
  end(w);
}
