/* SPDX-License-Identifier: Apache-2.0
 *
 * The toy study: everything a method is given, made of a few random vectors.
 */
#include "support_method.h"
#include "support.h"
#include "support_backend.h"
#include "base/base.h"
#include "plugin/registry.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void isc_toy_words(int64_t i, int64_t word[3]) {
  int64_t k = (int64_t)isc_rng_permute(12, ISC_RNG_USER, ISC_TOY_TEXTS, (uint64_t)i);
  word[0] = k % ISC_TOY_WORDS;
  word[1] = k / ISC_TOY_WORDS % ISC_TOY_WORDS;
  word[2] = k / (ISC_TOY_WORDS * ISC_TOY_WORDS);
}

bool isc_toy_parse(const char *text, size_t len, int64_t word[3]) {
  char x, y, z;
  if (len != 8 || sscanf(text, "x%c y%c z%c", &x, &y, &z) != 3) return false;
  word[0] = x - '0';
  word[1] = y - '0';
  word[2] = z - '0';
  for (int i = 0; i < 3; i++)
    if (word[i] < 0 || word[i] >= ISC_TOY_WORDS) return false;
  return true;
}

static isc_status toy_text(const isc_method_env *env, int64_t i, isc_text *out) {
  int64_t w[3];
  char s[16];
  (void)env;
  isc_toy_words(i, w);
  snprintf(s, sizeof s, "x%d y%d z%d", (int)w[0], (int)w[1], (int)w[2]);
  return isc_text_set(out, s, strlen(s));
}

void isc_toy_factor(const isc_toy *t, int64_t site, int64_t i, float *out) {
  int64_t w[3];
  isc_toy_words(i, w);
  for (int64_t k = 0; k < t->site[site].stored; k++)
    out[k] = site == 0   ? t->x[w[0]][k]
             : site == 1 ? t->y[w[1]][k] + 0.5f * t->z[w[2]][k]
                         : t->z[w[2]][k];
}

void isc_toy_activation(const isc_toy *t, int64_t site, int64_t i, float *out) {
  const isc_site *s = &t->site[site];
  float a[ISC_TOY_DIM];
  isc_toy_factor(t, site, i, a);
  for (int64_t k = 0; k < s->dim; k++) {
    double sum = 0;
    for (int64_t j = 0; s->map && j < s->stored; j++)
      sum += (double)a[j] * s->map[j * s->dim + k];
    out[k] = s->map ? (float)sum : a[k];
  }
}

static isc_status toy_activations(const isc_method_env *env, int64_t site, const int64_t *rows,
                                  int64_t n, float *out) {
  const isc_toy *t = env->core;
  for (int64_t i = 0; i < n; i++)
    isc_toy_factor(t, site, rows ? rows[i] : i, out + i * t->site[site].stored);
  return ISC_OK;
}

static isc_status toy_log_prob(void *self, const char *text, size_t len, double *out) {
  int64_t w[3];
  (void)self;
  *out = isc_toy_parse(text, len, w) ? -log(ISC_TOY_TEXTS) : -INFINITY;
  return ISC_OK;
}

static const isc_prior_ops prior_ops = {.size = sizeof prior_ops, .log_prob = toy_log_prob};

static double hard(double ratio) {
  (void)ratio;
  return 0;
}

static const isc_kernel_ops kernel_ops = {.size = sizeof kernel_ops,
                                          .geometry = isc_noise_law_geometry,
                                          .epsilon = isc_noise_law_epsilon,
                                          .band = isc_noise_law_band,
                                          .profile = isc_noise_law_profile,
                                          .draw = isc_noise_law_draw,
                                          .distance_cdf = isc_noise_law_distance_cdf,
                                          .norm_cdf = isc_noise_law_norm_cdf};

static void open_kernel(isc_kernel *k, int64_t dim) {
  const isc_noise_spec spec = {.size = sizeof spec,
                               .geometry = ISC_ANGULAR,
                               .measure = ISC_PROFILE,
                               .dim = dim,
                               .epsilon = 0.1,
                               .band = 0.1,
                               .log_profile = hard,
                               .support = 1};
  *k = (isc_kernel){.ops = &kernel_ops, .name = "toy"};
  isc_assert_ok(isc_noise_law_open(&spec, &k->self));
}

static void open_tokenizer(isc_toy *t) {
  char storage[3 * ISC_TOY_WORDS][4];
  const char *words[3 * ISC_TOY_WORDS + 1] = {"<|endoftext|>"};
  for (int i = 0; i < 3 * ISC_TOY_WORDS; i++) {
    snprintf(storage[i], sizeof storage[i], "%c%d", "xyz"[i / ISC_TOY_WORDS], i % ISC_TOY_WORDS);
    words[i + 1] = storage[i];
  }
  isc_assert_ok(isc_tokenizer_from_words(words, 3 * ISC_TOY_WORDS + 1, words[0], &t->tokenizer));
}

void isc_toy_open(isc_toy *t, isc_device *dev, int64_t sites) {
  *t = (isc_toy){0};
  isc_test_normals(900, t->map, ISC_TOY_HEAD * ISC_TOY_DIM);
  isc_test_normals(901, t->x[0], ISC_TOY_WORDS * ISC_TOY_HEAD);
  isc_test_normals(902, t->y[0], ISC_TOY_WORDS * ISC_TOY_DIM);
  isc_test_normals(903, t->z[0], ISC_TOY_WORDS * ISC_TOY_DIM);
  t->site[0] = (isc_site){"head.0.0", ISC_TOY_DIM, ISC_TOY_HEAD, t->map};
  t->site[1] = (isc_site){"resid_post.0", ISC_TOY_DIM, ISC_TOY_DIM, NULL};
  t->site[2] = (isc_site){"mlp_out.0", ISC_TOY_NARROW, ISC_TOY_NARROW, NULL};
  open_kernel(&t->kernel[0], ISC_TOY_DIM);
  open_kernel(&t->kernel[1], ISC_TOY_NARROW);
  for (int i = 0; i < 3; i++)
    t->kernel_of[i] = &t->kernel[i == 2];
  open_tokenizer(t);
  t->prior = (isc_prior){.ops = &prior_ops, .name = "toy"};
  t->env = (isc_method_env){.prior = &t->prior,
                            .size = sizeof t->env,
                            .device = dev,
                            .seed = 7,
                            .target_tokenizer = t->tokenizer,
                            .sites = t->site,
                            .site_size = sizeof(isc_site),
                            .n_sites = sites,
                            .kernels = t->kernel_of,
                            .measure = ISC_PROFILE,
                            .n_train = ISC_TOY_TRAIN,
                            .text = toy_text,
                            .activations = toy_activations,
                            .core = t};
}

void isc_toy_close(isc_toy *t) {
  isc_noise_law_close(t->kernel[0].self);
  isc_noise_law_close(t->kernel[1].self);
  isc_tokenizer_close(t->tokenizer);
}

isc_inversescope_conf isc_toy_conf(void) {
  const isc_recipe recipe = {.steps = 300,
                             .batch = 32,
                             .warmup = 20,
                             .lr = 5e-3,
                             .final_lr = 0,
                             .schedule = ISC_LINEAR,
                             .beta2 = 0.98,
                             .weight_decay = 0.01,
                             .clip = 1};
  return (isc_inversescope_conf){.backbone = {.tokenizer = ISC_TOKENIZER_WORDS,
                                              .layers = 2,
                                              .heads = 2,
                                              .width = 48,
                                              .mlp = 96,
                                              .init_std = 0.3,
                                              .looks = 3,
                                              .recipe = recipe},
                                 .control = {.heads = 4,
                                             .head_dim = 8,
                                             .normalise = ISC_CONDITION_RMS,
                                             .score_scale = 0.2,
                                             .neighbour_share = 0.5,
                                             .site_lr = 1,
                                             .backbone_lr = 1,
                                             .looks = 3,
                                             .memory = 64,
                                             .recipe = recipe}};
}

/* ---- training io */

static isc_status progress(isc_train_io *io, int64_t done, int64_t total, const isc_metric *m,
                           int64_t n) {
  isc_toy_io *t = io->core;
  cr_assert(done <= total && n >= 3);
  if (t->steps++ == 0) t->first_loss = m[0].value;
  t->loss = m[0].value;
  t->valid = t->saturated = NAN;
  for (int64_t i = 0; i < n; i++) {
    if (strcmp(m[i].name, "valid") == 0) t->valid = m[i].value;
    if (strcmp(m[i].name, "saturated") == 0) t->saturated = m[i].value;
  }
  return ISC_OK;
}

static bool checkpoint_due(isc_train_io *io) {
  const isc_toy_io *t = io->core;
  return t->steps == t->checkpoint_at;
}

static bool should_stop(isc_train_io *io) {
  const isc_toy_io *t = io->core;
  return t->steps == t->stop_at;
}

isc_toy_io isc_toy_io_new(const char *dir) {
  return (isc_toy_io){.io = {.size = sizeof(isc_train_io),
                             .dir = dir,
                             .progress = progress,
                             .checkpoint_due = checkpoint_due,
                             .should_stop = should_stop},
                      .stop_at = -1,
                      .checkpoint_at = -1};
}

isc_device *isc_toy_device(int64_t threads) {
  const isc_registry_entry *e;
  isc_device *dev = NULL;
  void *conf = NULL;
  if (isc_registry_find(ISC_BACKEND, "cpu", &e) != ISC_OK)
    cr_skip_test("SKIPPED: needs the cpu backend in the build tree: %s", isc_error());
  conf = calloc(1, e->cls->conf_size);
  for (const isc_option *o = e->cls->options; o->name; o++)
    if (strcmp(o->name, "threads") == 0) memcpy((char *)conf + o->offset, &threads, sizeof threads);
  isc_assert_ok(isc_device_open("cpu", conf, &dev, NULL));
  free(conf);
  return dev;
}

bool isc_toy_same_file(const char *dir_a, const char *dir_b, const char *name) {
  const char *dir[] = {dir_a, dir_b};
  char *data[2];
  size_t len[2];
  for (int i = 0; i < 2; i++) {
    char *path;
    isc_assert_ok(isc_path_join(dir[i], name, &path));
    isc_assert_ok(isc_read_file(path, 1 << 28, &data[i], &len[i]));
    free(path);
  }
  bool same = len[0] == len[1] && memcmp(data[0], data[1], len[0]) == 0;
  free(data[0]);
  free(data[1]);
  return same;
}
