/* SPDX-License-Identifier: Apache-2.0
 *
 * The method inversescope as a whole, through its class: it learns to invert a planted meaning, resumes to the same
 * bytes, and says what its stages depend on.
 */
#include "support.h"
#include "support_method.h"
#include "base/base.h"
#include "model/safetensors.h"
#include "plugin/registry.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const isc_method_ops *ops(void) {
  return isc_method_inversescope_class()->ops;
}

/* ---- a study of the toy */

typedef struct study {
  isc_device *dev;
  isc_toy toy;
  isc_inversescope_conf conf;
  void *method;
  char backbone[1100], control[1100];
} study;

static void study_open(study *s, int64_t sites, const char *name) {
  const char *dir = isc_test_dir(name);
  s->dev = isc_toy_device(2);
  isc_toy_open(&s->toy, s->dev, sites);
  s->conf = isc_toy_conf();
  snprintf(s->backbone, sizeof s->backbone, "%s/backbone", dir);
  snprintf(s->control, sizeof s->control, "%s/control", dir);
}

static void method_open(study *s) {
  isc_assert_ok(ops()->open(&s->conf, &s->toy.env, &s->method));
}

static void study_close(study *s) {
  ops()->close(s->method);
  isc_toy_close(&s->toy);
  isc_device_close(s->dev);
}

static isc_toy_io train(study *s, int64_t stage) {
  isc_toy_io io = isc_toy_io_new(stage ? s->control : s->backbone);
  io.io.core = &io;
  isc_assert_ok(ops()->train(s->method, stage, &io.io));
  return io;
}

/* ---- planted meaning */

enum { SAMPLES = 4 };

typedef struct score {
  const isc_toy *toy;
  const int64_t *site, *input; /* of each row */
  int64_t n, valid, right[3];  /* right: the word a site stands for, by site */
  int64_t of_site[3];
} score;

static isc_status judge(void *user, int64_t row, int64_t j, const char *text, size_t len,
                        double log_q) {
  score *s = user;
  int64_t want[3], got[3], g = s->site[row];
  (void)j;
  cr_assert(log_q <= 0);
  s->n++;
  s->of_site[g]++;
  if (!isc_toy_parse(text, len, got)) return ISC_OK;
  s->valid++;
  isc_toy_words(s->input[row], want);
  s->right[g] += got[g] == want[g];
  return ISC_OK;
}

/* Invert every held-out input at every site. */
static score invert(study *s) {
  enum { HELD_OUT = ISC_TOY_TEXTS - ISC_TOY_TRAIN };
  int64_t sites = s->toy.env.n_sites, n = HELD_OUT * sites;
  float *z = calloc((size_t)(n * ISC_TOY_DIM), sizeof *z);
  const float **at = calloc((size_t)n, sizeof *at);
  int64_t *site = calloc((size_t)n, sizeof *site), *input = calloc((size_t)n, sizeof *input);
  uint64_t *index = calloc((size_t)n, sizeof *index);
  for (int64_t r = 0; r < n; r++) {
    site[r] = r % sites;
    input[r] = ISC_TOY_TRAIN + r / sites;
    at[r] = z + r * ISC_TOY_DIM;
    index[r] = (uint64_t)(r * SAMPLES);
    isc_toy_activation(&s->toy, site[r], input[r], z + r * ISC_TOY_DIM);
  }
  score sc = {.toy = &s->toy, .site = site, .input = input};
  const isc_invert req = {.size = sizeof req,
                          .n = n,
                          .site = site,
                          .z = at,
                          .samples = SAMPLES,
                          .temperature = 1,
                          .seed = 3,
                          .index = index,
                          .batch = 128,
                          .user = &sc,
                          .sample = judge};
  isc_assert_ok(ops()->invert(s->method, &req));
  cr_assert_eq(sc.n, n * SAMPLES);
  free(z);
  free(at);
  free(site);
  free(input);
  free(index);
  return sc;
}

static isc_status count_valid(void *user, int64_t row, int64_t j, const char *text, size_t len,
                              double log_q) {
  int64_t word[3];
  (void)row;
  (void)j;
  (void)log_q;
  *(int64_t *)user += isc_toy_parse(text, len, word);
  return ISC_OK;
}

/* Chance is 1 in 6. At site 1 the z word's part blurs the y word's, so less is asked of it. */
static void check_inversion(isc_example_noise noise, int64_t sites, const char *name) {
  study s;
  int64_t valid = 0;
  study_open(&s, sites, name);
  s.conf.control.noise = (int32_t)noise;
  method_open(&s);
  isc_toy_io backbone = train(&s, 0);
  cr_assert(backbone.first_loss > 2.0 && backbone.loss < 1.6, "backbone loss %g to %g",
            backbone.first_loss, backbone.loss);
  isc_assert_ok(ops()->sample_prior(s.method, 300, 1, 5, 100, &valid, count_valid));
  cr_assert(valid >= 290, "%d of 300 unconditional samples are texts of the toy", (int)valid);
  isc_toy_io control = train(&s, 1);
  cr_assert(control.valid > 0.9, "at the last look %g were valid", control.valid);
  cr_assert(control.saturated >= 0 && control.saturated < 1);
  cr_assert(control.loss < 0.9 * control.first_loss, "control loss %g to %g", control.first_loss,
            control.loss);
  /* What the stages left is what a fresh method loads. */
  ops()->close(s.method);
  method_open(&s);
  isc_assert_ok(ops()->load(s.method, 0, s.backbone));
  isc_assert_ok(ops()->load(s.method, 1, s.control));
  score sc = invert(&s);
  cr_assert((double)sc.valid > 0.95 * (double)sc.n, "%d of %d valid", (int)sc.valid, (int)sc.n);
  const double least[] = {0.85, 0.75, 0.85};
  for (int64_t g = 0; g < sites; g++)
    cr_assert((double)sc.right[g] > least[g] * (double)sc.of_site[g], "site %d: %d right of %d",
              (int)g, (int)sc.right[g], (int)sc.of_site[g]);
  study_close(&s);
}

Test(generator, inverts_a_planted_meaning_with_the_kernels_noise) {
  check_inversion(ISC_NOISE_KERNEL, 2, "kernel");
}
Test(generator, inverts_a_planted_meaning_from_neighbours) {
  check_inversion(ISC_NOISE_NEIGHBOURS, 2, "neighbours");
}
Test(generator, inverts_sites_of_unequal_width) {
  check_inversion(ISC_NOISE_MIXED, 3, "mixed");
}

/* ---- resuming */

/* Train a stage, saving at `checkpoint_at` and stopping at `stop_at`, then go on: as a signal, or a kill, would have it. */
static double train_in_two(study *s, int64_t stage, int64_t checkpoint_at, int64_t stop_at) {
  isc_toy_io io = isc_toy_io_new(stage ? s->control : s->backbone);
  io.io.core = &io;
  io.stop_at = stop_at;
  isc_assert_fails(ops()->train(s->method, stage, &io.io), ISC_E_INTERRUPTED,
                   "stopped after training step");
  ops()->close(s->method);
  method_open(s);
  if (stage) isc_assert_ok(ops()->load(s->method, 0, s->backbone));
  isc_toy_io rest = isc_toy_io_new(io.io.dir);
  rest.io.core = &rest;
  rest.checkpoint_at = checkpoint_at;
  isc_assert_ok(ops()->train(s->method, stage, &rest.io));
  cr_assert_eq(rest.steps, s->conf.control.recipe.steps - stop_at);
  return rest.valid;
}

Test(generator, a_resumed_training_ends_in_the_same_bytes) {
  study a, b;
  study_open(&a, 3, "whole");
  study_open(&b, 3, "resumed");
  a.conf.control.recipe.steps = a.conf.backbone.recipe.steps = 30;
  a.conf.control.noise = ISC_NOISE_MIXED;
  b.conf = a.conf;
  method_open(&a);
  method_open(&b);
  /* Looks come at steps 0, 10 and 20: after a stop between two, the held value must come from the checkpoint. */
  double whole = train(&a, 0).valid;
  cr_assert_eq(train_in_two(&b, 0, 3, 25), whole);
  whole = train(&a, 1).valid;
  cr_assert_eq(train_in_two(&b, 1, 2, 25), whole);
  cr_assert(isc_toy_same_file(a.backbone, b.backbone, "model.safetensors"));
  cr_assert(isc_toy_same_file(a.backbone, b.backbone, "config.json"));
  cr_assert(isc_toy_same_file(a.backbone, b.backbone, "tokenizer.json"));
  cr_assert(isc_toy_same_file(a.control, b.control, "model.safetensors"));
  cr_assert(isc_toy_same_file(a.control, b.control, "noise_distances.safetensors"));
  char *left;
  isc_assert_ok(isc_path_join(b.control, "checkpoint.safetensors", &left));
  cr_assert(!isc_exists(left), "a finished stage leaves no checkpoint");
  free(left);
  study_close(&a);
  study_close(&b);
}

/* ---- the backbone's sources */

Test(generator, a_trained_backbone_can_be_fine_tuned_or_used_as_it_is) {
  study a, b;
  study_open(&a, 2, "source");
  study_open(&b, 2, "tuned");
  a.conf.backbone.recipe.steps = 20;
  method_open(&a);
  train(&a, 0);
  b.conf.backbone.path = a.backbone;
  b.conf.backbone.recipe.steps = 0;
  method_open(&b);
  train(&b, 0);
  cr_assert(isc_toy_same_file(a.backbone, b.backbone, "model.safetensors"));
  char before[33], after[33];
  isc_assert_ok(ops()->fingerprint(b.method, 0, before));
  a.conf.backbone.recipe.steps = 21;
  ops()->close(a.method);
  method_open(&a);
  train(&a, 0);
  isc_assert_ok(ops()->fingerprint(b.method, 0, after));
  cr_assert_str_neq(before, after, "another pretrained model is another fingerprint");
  study_close(&a);
  study_close(&b);
}

Test(generator, the_targets_tokenizer_serves_a_backbone_from_scratch) {
  study s;
  study_open(&s, 2, "tokenizer");
  s.conf.backbone.tokenizer = ISC_TOKENIZER_TARGET;
  s.conf.backbone.recipe.steps = 2;
  method_open(&s);
  train(&s, 0);
  s.conf.backbone.tokenizer = ISC_TOKENIZER_CHARS;
  train(&s, 0);
  study_close(&s);
}

/* ---- what the class says of itself */

Test(generator, the_class_keeps_the_rules_of_classes) {
  isc_assert_ok(isc_class_check(isc_method_inversescope_class()));
}

static bool listed(const char *const *names, const char *name) {
  for (; *names; names++)
    if (strcmp(*names, name) == 0) return true;
  return false;
}

Test(generator, every_setting_belongs_to_the_stage_it_is_named_for) {
  int64_t n = 0;
  for (const isc_option *o = isc_inversescope_options; o->name; o++) {
    bool runtime = o->flags & ISC_OPT_RUNTIME;
    cr_assert_eq(listed(isc_inversescope_backbone_options, o->name),
                 !runtime && !strncmp(o->name, "backbone.", 9), "%s", o->name);
    cr_assert_eq(listed(isc_inversescope_control_options, o->name),
                 !runtime && !strncmp(o->name, "control.", 8), "%s", o->name);
    n++;
  }
  cr_assert(n > 20);
}

Test(generator, stages_refuse_what_is_not_there) {
  study s;
  study_open(&s, 2, "refuse");
  method_open(&s);
  isc_toy_io io = isc_toy_io_new(s.control);
  const isc_invert req = {.size = sizeof req};
  isc_assert_fails(ops()->train(s.method, 1, &io.io), ISC_E_USAGE, "backbone");
  isc_assert_fails(ops()->invert(s.method, &req), ISC_E_USAGE, "not loaded");
  isc_assert_fails(ops()->load(s.method, 0, s.backbone), ISC_E_MISSING, "backbone");
  study_close(&s);
}

/* ---- the noise that training had */

static double *read_distances(const study *s, int64_t *n) {
  isc_safetensors *f;
  char *path;
  isc_assert_ok(isc_path_join(s->control, "noise_distances.safetensors", &path));
  isc_assert_ok(isc_st_open(path, &f));
  const isc_st_tensor *t = isc_st_find(f, "distance");
  cr_assert(t && t->dtype == ISC_ST_F64);
  *n = t->elements;
  double *d = malloc((size_t)t->elements * sizeof *d);
  isc_assert_ok(isc_input_read(t->file, t->at, d, (size_t)t->bytes));
  isc_st_close(f);
  free(path);
  return d;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Kolmogorov–Smirnov: sup|F_n − F|·sqrt(n) exceeds 2.7 with probability below 1e-6. */
Test(generator, the_recorded_distances_follow_the_kernels_law) {
  study s;
  int64_t n;
  study_open(&s, 2, "distances");
  s.conf.backbone.recipe.steps = 1;
  s.conf.control.recipe.steps = 2;
  s.conf.control.recipe.batch = 1500;
  method_open(&s);
  train(&s, 0);
  train(&s, 1);
  double *d = read_distances(&s, &n), worst = 0;
  cr_assert_eq(n, 3000);
  qsort(d, (size_t)n, sizeof *d, ascending);
  for (int64_t i = 0; i < n; i++) {
    double f = s.toy.kernel[0].ops->distance_cdf(s.toy.kernel[0].self, d[i]);
    worst =
        fmax(worst, fmax(fabs(f - (double)i / (double)n), fabs(f - (double)(i + 1) / (double)n)));
  }
  cr_assert(worst * sqrt((double)n) < 2.7, "KS %g", worst * sqrt((double)n));
  free(d);
  study_close(&s);
}
