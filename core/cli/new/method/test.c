/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about @KIND@/@NAME@, on a study made up here: what it has to read is planted in the activations.
 *
 * Its prior has the texts "red square" and so on, uniformly; an activation has a 1 where its text's colour stands in
 * COLOURS, and noise of 0.1. A mean of eighty such is within 0.05 of the truth, and colours are sqrt(2) apart.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "plugin_test.h"

#include <inversescope/method.h>
#include <inversescope/template.h>

enum { DIM = 4, N = 320 }; /* training inputs */
static const char *const COLOURS[] = {"red", "green", "blue", "white"};
static const char *const SHAPES[] = {"square", "circle", "star"};
static const isc_method_ops *method;

static isc_status text_of(const isc_method_env *env, int64_t i, isc_text *out) {
  return env->prior->ops->enumerate(env->prior->self, i % 12, out);
}

/* Input i is text i mod 12; enumeration runs through the shapes first. */
static isc_status activations_of(const isc_method_env *env, int64_t site, const int64_t *rows,
                                 int64_t n, float *out) {
  (void)env, (void)site;
  for (int64_t r = 0; r < n; r++) {
    const int64_t i = rows ? rows[r] : r;
    isc_rng rng = isc_rng_at(1, ISC_RNG_USER, (uint64_t)i);
    for (int d = 0; d < DIM; d++)
      out[r * DIM + d] = (i % 12 / 3 == d) + 0.1f * (float)isc_rng_normal(&rng);
  }
  return ISC_OK;
}

static int64_t last_done;
static bool stopping;

static isc_status on_progress(isc_train_io *io, int64_t done, int64_t total, const isc_metric *m,
                              int64_t n) {
  (void)io, (void)m, (void)n;
  CHECK(done == last_done + 1 && done <= total);
  last_done = done;
  return ISC_OK;
}

static bool never(isc_train_io *io) {
  (void)io;
  return false;
}

static bool stop_half_way(isc_train_io *io) {
  (void)io;
  return stopping && last_done == 2;
}

static void *train_in(const char *dir, const void *conf, const isc_method_env *env,
                      isc_status want) {
  void *self = NULL;
  isc_train_io io = {.size = sizeof io,
                     .dir = dir,
                     .progress = on_progress,
                     .checkpoint_due = never,
                     .should_stop = stop_half_way};
  CHECK_OK(method->open(conf, env, &self));
  CHECK(method->train(self, 0, &io) == want);
  return self;
}

static bool same_files(const char *a, const char *b) {
  isc_text x = {0}, y = {0};
  char path[256];
  snprintf(path, sizeof path, "%s/means.state", a);
  CHECK_OK(isc_text_read(&x, path, 1 << 20));
  snprintf(path, sizeof path, "%s/means.state", b);
  CHECK_OK(isc_text_read(&y, path, 1 << 20));
  const bool same = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
  isc_text_free(&x);
  isc_text_free(&y);
  return same;
}

static void drop(const char *dir) {
  char path[256];
  snprintf(path, sizeof path, "%s/means.state", dir);
  CHECK(remove(path) == 0 && remove(dir) == 0);
}

static void check_labels(void *self, const isc_method_env *env) {
  float z[DIM];
  isc_text label = {0};
  for (int64_t i = N; i < N + 48; i++) { /* none of them was trained on */
    CHECK_OK(activations_of(env, 0, &i, 1, z));
    CHECK_OK(method->classify(self, 0, z, 1, &label));
    CHECK(strcmp(label.data, COLOURS[i % 12 / 3]) == 0);
  }
  isc_text_free(&label);
}

int main(void) {
  static const char *const templates[] = {"[COLOUR] [SHAPE]"};
  const isc_template_slot slots[] = {{.name = "COLOUR", .values = COLOURS, .n = 4},
                                     {.name = "SHAPE", .values = SHAPES, .n = 3}};
  const isc_template_spec spec = {.size = sizeof spec,
                                  .templates = templates,
                                  .n_templates = 1,
                                  .slots = slots,
                                  .n_slots = 2,
                                  .test_fraction = 0.25,
                                  .seed = 1};
  const isc_prior_ops prior_ops = {.size = sizeof prior_ops,
                                   .enumerate = isc_template_enumerate,
                                   .n_slots = isc_template_n_slots,
                                   .slot_name = isc_template_slot_name,
                                   .slot = isc_template_slot_value,
                                   .slot_choices = isc_template_slot_choices,
                                   .slot_choice = isc_template_slot_choice};
  isc_template *texts = NULL;
  CHECK_OK(isc_template_new(&spec, &texts));
  const isc_prior prior = {.ops = &prior_ops, .self = texts, .name = "planted"};
  const isc_site site = {.name = "resid_post.0", .dim = DIM, .stored = DIM};
  const isc_method_env env = {.size = sizeof env,
                              .prior = &prior,
                              .sites = &site,
                              .site_size = sizeof site,
                              .n_sites = 1,
                              .n_train = N,
                              .text = text_of,
                              .activations = activations_of};
  const isc_class *cls = plugin_class(ISC_METHOD);
  char whole[] = "/tmp/whole.XXXXXX", parts[] = "/tmp/parts.XXXXXX";
  void *conf = plugin_conf(cls), *self;
  method = cls->ops;
  CHECK(mkdtemp(whole) && mkdtemp(parts));

  self = train_in(whole, conf, &env, ISC_OK);
  check_labels(self, &env);
  method->close(self);

  stopping = true;
  last_done = 0;
  method->close(train_in(parts, conf, &env, ISC_E_INTERRUPTED));
  stopping = false;
  method->close(train_in(parts, conf, &env, ISC_OK));
  CHECK(same_files(whole, parts));

  CHECK_OK(method->open(conf, &env, &self));
  CHECK_OK(method->load(self, 0, parts));
  check_labels(self, &env);
  method->close(self);

  plugin_set(cls, conf, "slot", "SIZE");
  CHECK(method->open(conf, &env, &self) == ISC_E_CONFIG);
  drop(whole);
  drop(parts);
  isc_template_free(texts);
  free(conf);
  return 0;
}
