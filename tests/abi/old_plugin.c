/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin as it was built against the first headers of ABI 1: one class each of four kinds.
 *
 * It is compiled against the frozen copy in 1.0/ and must go on to load and work.
 */
#include <inversescope/feature.h>
#include <inversescope/method.h>
#include <inversescope/noise_law.h>
#include <inversescope/template.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct conf {
  int64_t count;
  double epsilon;
  isc_list words;
} conf;

static const isc_option OPTIONS[] = {
    {"count", ISC_OPT_INT, 0, offsetof(conf, count), "words", "2", 1, 4, NULL, "How many words."},
    {"epsilon", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN, offsetof(conf, epsilon), NULL, "0.5", 0, 10, NULL,
     "Bandwidth."},
    {"words", ISC_OPT_STRING_LIST, 0, offsetof(conf, words), NULL, NULL, 0, 0, NULL, "Words."},
    ISC_OPTIONS_END};

/* ---- prior: "one a", "one b", … */

static isc_status prior_open(const void *settings, uint64_t seed, void **self) {
  static const char *const texts[] = {"one [W] here", "another [W] there"};
  static const char *const words[] = {"a", "b", "c", "d"};
  const conf *c = settings;
  const isc_template_slot slot = {"W", words, c->count, NULL};
  const isc_template_spec spec = {.size = sizeof spec,
                                  .templates = texts,
                                  .n_templates = 2,
                                  .slots = &slot,
                                  .n_slots = 1,
                                  .test_fraction = 0.5,
                                  .seed = seed};
  isc_template *t;
  ISC_TRY(isc_template_new(&spec, &t));
  *self = t;
  return ISC_OK;
}

static void prior_close(void *self) {
  isc_template_free(self);
}

static const isc_prior_ops PRIOR_OPS = {.size = sizeof PRIOR_OPS,
                                        .open = prior_open,
                                        .close = prior_close,
                                        .count = isc_template_count,
                                        .draw = isc_template_draw,
                                        .log_prob = isc_template_log_prob,
                                        .support = isc_template_support,
                                        .enumerate = isc_template_enumerate,
                                        .n_slots = isc_template_n_slots,
                                        .slot_name = isc_template_slot_name,
                                        .slot = isc_template_slot_value,
                                        .fingerprint = isc_template_fingerprint};

/* ---- kernel: k = exp(-d/ε) */

static double log_profile(double ratio) {
  return -ratio;
}

static isc_status kernel_open(const void *settings, int64_t dim, void **self) {
  const isc_noise_spec spec = {.size = sizeof spec,
                               .geometry = ISC_EUCLIDEAN,
                               .measure = ISC_LEBESGUE,
                               .dim = dim,
                               .epsilon = ((const conf *)settings)->epsilon,
                               .log_profile = log_profile,
                               .support = INFINITY};
  return isc_noise_law_open(&spec, self);
}

static const isc_kernel_ops KERNEL_OPS = ISC_NOISE_LAW_OPS(kernel_open);

/* ---- feature: the length of the text */

static isc_status feature_open(const void *settings, const isc_prior *prior, void **self) {
  (void)settings, (void)prior;
  *self = malloc(1);
  return *self ? ISC_OK : isc_fail(ISC_E_NOMEM, "no memory");
}

static isc_status feature_label(void *self, const char *text, size_t len, isc_text *out) {
  (void)self, (void)text;
  return isc_text_set(out, len > 12 ? "long" : "short", len > 12 ? 4 : 5);
}

static const isc_feature_ops FEATURE_OPS = {
    .size = sizeof FEATURE_OPS, .open = feature_open, .close = free, .label = feature_label};

/* ---- method: the number of the training inputs it was given */

static isc_status method_open(const void *settings, const isc_method_env *env, void **self) {
  (void)settings;
  int64_t *n = malloc(sizeof *n);
  if (!n) return isc_fail(ISC_E_NOMEM, "no memory");
  *n = env->n_train + isc_method_site(env, env->n_sites - 1)->dim;
  *self = n;
  return ISC_OK;
}

static const char *const *method_stages(void *self) {
  static const char *const none[] = {NULL};
  (void)self;
  return none;
}

static isc_status method_train(void *self, int64_t stage, isc_train_io *io) {
  (void)self, (void)stage, (void)io;
  return ISC_OK;
}

static isc_status method_load(void *self, int64_t stage, const char *dir) {
  (void)self, (void)stage, (void)dir;
  return ISC_OK;
}

static int64_t method_parameters(void *self) {
  return *(int64_t *)self;
}

static const isc_method_ops METHOD_OPS = {.size = sizeof METHOD_OPS,
                                          .open = method_open,
                                          .close = free,
                                          .stages = method_stages,
                                          .train = method_train,
                                          .load = method_load,
                                          .parameters = method_parameters};

#define OLD(class_kind, table)                                                                     \
  {                                                                                                \
    ISC_CLASS(class_kind), "old", "1.0.0", "As built against the first headers", "Apache-2.0",     \
        "the tests", OPTIONS, sizeof(conf), table                                                  \
  }
static const isc_class PRIOR = OLD(ISC_PRIOR, &PRIOR_OPS);
static const isc_class KERNEL = OLD(ISC_KERNEL, &KERNEL_OPS);
static const isc_class FEATURE = OLD(ISC_FEATURE, &FEATURE_OPS);
static const isc_class METHOD = OLD(ISC_METHOD, &METHOD_OPS);

ISC_PLUGIN("old", "1.0.0", &PRIOR, &KERNEL, &FEATURE, &METHOD);
