/* SPDX-License-Identifier: Apache-2.0
 *
 * The method inversionview against its formulas in float64: log q of what it samples is the log-probability that a plain
 * reading of its weights gives, for both variants, at sites of different width.
 *
 * The cross-attention here is the softmax over its two slots as it is written; the plugin computes it as a tanh.
 */
#include "support.h"
#include "base/base.h"
#include "config/config.h"
#include "model/safetensors.h"
#include "plugin/registry.h"
#include "support_method.h"
#include <inversescope/rng.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 2, HEADS = 2, D = 16, D_HEAD = D / HEADS, MLP = 24, BLOCKS = 2, SITES = 3 };
enum { D_Z = ISC_TOY_DIM, D_U = D_Z + SITES, MOST = 16, ROWS = 6, SAMPLES = 5 };
#define SIZES                                                                                      \
  "layers = 2; heads = 2; width = 16; mlp = 24; blocks = 2; init_std = 0.3; dropout = 0.1;"        \
  "batch_sites = 3; steps = 60; batch = 16; lr = 1e-2;"
/* f32 sums of tens of terms through two layers and a softmax, over at most MOST tokens. */
static const double TOLERANCE = 2e-4;

/* ---- the method, opened as a run does */

typedef struct world {
  isc_toy toy;
  isc_device *device;
  isc_config *config;
  void *conf, *self;
  const isc_method_ops *ops;
  const char *dir;
  isc_safetensors *weights; /* what training left */
  bool cross;
  int noise;   /* of NONE … KERNEL */
  double loss; /* of the last step */
} world;

static void open_method(world *w, const char *options) {
  char text[1024];
  const isc_class *cls;
  const char *dir = isc_test_build("plugins/.libs");
  int n = snprintf(text, sizeof text, "x = { plugin = \"inversionview\"; %s };", options);
  isc_assert_ok(isc_registry_search_path(&dir, 1));
  isc_assert_ok(isc_config_parse(text, (size_t)n, "test.cfg", ".", &w->config));
  isc_assert_ok(isc_config_plugin(w->config, "x", ISC_METHOD, NULL, NULL, &cls, &w->conf));
  w->ops = cls->ops;
  isc_assert_ok(w->ops->open(w->conf, &w->toy.env, &w->self));
}

static world setup(const char *name, const char *options) {
  world w = {.dir = isc_test_dir(name), .cross = strstr(options, "cross_attention") != NULL};
  w.device = isc_toy_device(1);
  return w;
}

static void train(world *w, const char *options) {
  char path[512];
  isc_toy_open(&w->toy, w->device, SITES); /* the environment points into it */
  open_method(w, options);
  isc_toy_io io = isc_toy_io_new(w->dir);
  io.io.core = &io;
  isc_assert_ok(w->ops->train(w->self, 0, &io.io));
  w->loss = io.loss;
  snprintf(path, sizeof path, "%s/model.safetensors", w->dir);
  isc_assert_ok(isc_st_open(path, &w->weights));
}

static void teardown(world *w) {
  w->ops->close(w->self);
  isc_st_close(w->weights);
  isc_toy_close(&w->toy);
  isc_device_close(w->device);
  free(w->conf);
  isc_config_free(w->config);
}

/* ---- float64 */

static double *weight(const world *w, const char *fmt, int layer, const char *field) {
  char name[96];
  snprintf(name, sizeof name, fmt, layer, field);
  const isc_st_tensor *t = isc_st_find(w->weights, name);
  int64_t n = 1;
  cr_assert(t, "no tensor %s", name);
  for (int32_t i = 0; i < t->ndim; i++)
    n *= t->shape[i];
  float *x = malloc((size_t)n * sizeof *x);
  double *y = malloc((size_t)n * sizeof *y);
  isc_assert_ok(isc_st_read_f32(w->weights, t, 0, n, x));
  for (int64_t i = 0; i < n; i++)
    y[i] = x[i];
  free(x);
  return y;
}

/* y [out] = x [in] W + b; W and b are freed, b may be NULL */
static void affine(const double *x, int in, double *W, double *b, int out, double *y) {
  for (int j = 0; j < out; j++) {
    y[j] = b ? b[j] : 0;
    for (int i = 0; i < in; i++)
      y[j] += x[i] * W[i * out + j];
  }
  free(W);
  free(b);
}

static void norm(const double *x, int n, double *g, double *b, double *y) {
  double mean = 0, var = 0;
  for (int i = 0; i < n; i++)
    mean += x[i] / n;
  for (int i = 0; i < n; i++)
    var += (x[i] - mean) * (x[i] - mean) / n;
  for (int i = 0; i < n; i++)
    y[i] = (x[i] - mean) / sqrt(var + 1e-5) * g[i] + b[i];
  free(g);
  free(b);
}

#define LINEAR(w, group, layer, x, in, out, y)                                                     \
  affine(x, in, weight(w, group ".%s", layer, "weight"), weight(w, group ".%s", layer, "bias"),    \
         out, y)
#define NORM(w, group, layer, x, n, y)                                                             \
  norm(x, n, weight(w, group ".%s", layer, "weight"), weight(w, group ".%s", layer, "bias"), y)

/* softmax(scores) over n rows of values, [D_HEAD] each, into out */
static void mix(const double *score, const double *const *value, int n, double *out) {
  double top = -INFINITY, sum = 0, p[MOST + 2];
  for (int k = 0; k < n; k++)
    top = fmax(top, score[k]);
  for (int k = 0; k < n; k++)
    sum += p[k] = exp(score[k] - top);
  for (int i = 0; i < D_HEAD; i++) {
    out[i] = 0;
    for (int k = 0; k < n; k++)
      out[i] += p[k] / sum * value[k][i];
  }
}

static double dot(const double *a, const double *b, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++)
    sum += a[i] * b[i];
  return sum;
}

static void make_u(const world *w, int site, const float *z, double *u) {
  double *e = weight(w, "site.embedding%.0d%s", 0, ""), h[D_U], inner[D_Z], out[D_U];
  memset(u, 0, D_U * sizeof *u);
  for (int64_t i = 0; i < w->toy.site[site].dim; i++)
    u[i] = z[i];
  for (int i = 0; i < SITES; i++)
    u[D_Z + i] = e[site * SITES + i];
  free(e);
  for (int b = 0; b < BLOCKS; b++) {
    NORM(w, "condition.%d.norm", b, u, D_U, h);
    LINEAR(w, "condition.%d.in", b, h, D_U, D_Z, inner);
    for (int i = 0; i < D_Z; i++)
      inner[i] = fmax(inner[i], 0);
    LINEAR(w, "condition.%d.out", b, inner, D_Z, D_U, out);
    for (int i = 0; i < D_U; i++)
      u[i] += out[i];
  }
  NORM(w, "condition.norm%.0d", 0, memcpy(h, u, sizeof h), D_U, u);
}

/* What a layer attends to beside the tokens. */
static void make_y(const world *w, int layer, const double *u, double *y) {
  double h[D];
  LINEAR(w, "layer.%d.slot", layer, u, D_U, D, h);
  NORM(w, "layer.%d.norm", layer, h, D, y);
}

/* x [n, D] += attention to the tokens so far and, by default, to y */
static void attend(const world *w, int layer, const double *y, double (*x)[D], int n) {
  double qkv[MOST + 1][3 * D], h[D], mixed[D], out[D];
  const int first = w->cross ? 0 : 1;
  if (first) LINEAR(w, "h.%d.attn.c_attn", layer, y, D, 3 * D, qkv[0]);
  for (int t = 0; t < n; t++) {
    NORM(w, "h.%d.ln_1", layer, x[t], D, h);
    LINEAR(w, "h.%d.attn.c_attn", layer, h, D, 3 * D, qkv[first + t]);
  }
  for (int t = 0; t < n; t++) {
    for (int m = 0; m < HEADS; m++) {
      const double *value[MOST + 1], *q = qkv[first + t] + m * D_HEAD;
      double score[MOST + 1];
      for (int k = 0; k <= first + t; k++) {
        score[k] = dot(q, qkv[k] + D + m * D_HEAD, D_HEAD) / sqrt(D_HEAD);
        value[k] = qkv[k] + 2 * D + m * D_HEAD;
      }
      mix(score, value, first + t + 1, mixed + m * D_HEAD);
    }
    LINEAR(w, "h.%d.attn.c_proj", layer, mixed, D, D, out);
    for (int i = 0; i < D; i++)
      x[t][i] += out[i];
  }
}

/* x [n, D] += attention to {none, y}, its scores unscaled */
static void cross_attend(const world *w, int layer, const double *y, double (*x)[D], int n) {
  double *none = weight(w, "cross.%d.%s", layer, "none"),
         *q = weight(w, "cross.%d.%s", layer, "q.weight"),
         *q_bias = weight(w, "cross.%d.%s", layer, "q.bias");
  double key[2][D], v[2][D], h[D], mixed[D], out[D], query[D_HEAD];
  const double *slot[2] = {none, y};
  for (int k = 0; k < 2; k++) {
    affine(slot[k], D, weight(w, "cross.%d.%s", layer, "k.weight"), NULL, D, key[k]);
    LINEAR(w, "cross.%d.v", layer, slot[k], D, D, v[k]);
  }
  for (int t = 0; t < n; t++) {
    NORM(w, "cross.%d.norm", layer, x[t], D, h);
    for (int m = 0; m < HEADS; m++) {
      const double *value[2] = {v[0] + m * D_HEAD, v[1] + m * D_HEAD};
      double score[2];
      for (int i = 0; i < D_HEAD; i++)
        query[i] = q_bias[m * D_HEAD + i] + dot(q + (m * D_HEAD + i) * D, h, D);
      for (int k = 0; k < 2; k++)
        score[k] = dot(query, key[k] + m * D_HEAD, D_HEAD);
      mix(score, value, 2, mixed + m * D_HEAD);
    }
    LINEAR(w, "cross.%d.o", layer, mixed, D, D, out);
    for (int i = 0; i < D; i++)
      x[t][i] += out[i];
  }
  free(none);
  free(q);
  free(q_bias);
}

static double gelu(double x) {
  return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

static void think(const world *w, int layer, double (*x)[D], int n) {
  double h[D], inner[MLP], out[D];
  for (int t = 0; t < n; t++) {
    NORM(w, "h.%d.ln_2", layer, x[t], D, h);
    LINEAR(w, "h.%d.mlp.c_fc", layer, h, D, MLP, inner);
    for (int i = 0; i < MLP; i++)
      inner[i] = gelu(inner[i]);
    LINEAR(w, "h.%d.mlp.c_proj", layer, inner, MLP, D, out);
    for (int i = 0; i < D; i++)
      x[t][i] += out[i];
  }
}

/* log P of ids[1 … n), each behind those before it */
static double log_prob(const world *w, int site, const float *z, const int32_t *ids, int n) {
  const int64_t vocab = isc_tokenizer_vocab(w->toy.tokenizer);
  double *wte = weight(w, "wte.weight%.0d%s", 0, ""), *wpe = weight(w, "wpe.weight%.0d%s", 0, "");
  double u[D_U], y[D], x[MOST][D], h[D], sum = 0;
  for (int t = 0; t < n; t++)
    for (int i = 0; i < D; i++)
      x[t][i] = wte[ids[t] * D + i] + wpe[t * D + i];
  make_u(w, site, z, u);
  for (int l = 0; l < LAYERS; l++) {
    make_y(w, l, u, y);
    attend(w, l, y, x, n);
    if (w->cross) cross_attend(w, l, y, x, n);
    think(w, l, x, n);
  }
  for (int t = 0; t + 1 < n; t++) {
    double all = 0;
    NORM(w, "ln_f%.0d", 0, x[t], D, h);
    for (int64_t k = 0; k < vocab; k++)
      all += exp(dot(h, wte + k * D, D));
    sum += dot(h, wte + ids[t + 1] * D, D) - log(all);
  }
  free(wte);
  free(wpe);
  return sum;
}

/* ---- what it samples */

typedef struct received {
  const world *w;
  const float *z; /* [ROWS, D_Z] */
  int n;
  double least, most; /* log q of texts */
} received;

static int64_t site_of(int64_t row) {
  return row % SITES;
}

static isc_status check_sample(void *user, int64_t row, int64_t j, const char *text, size_t len,
                               double log_q) {
  received *r = user;
  const isc_tokenizer *tok = r->w->toy.tokenizer;
  int32_t ids[MOST] = {isc_tokenizer_eos(tok)};
  int64_t n;
  isc_assert_ok(isc_tokenizer_encode_plain(tok, text, len, ids + 1, MOST - 2, &n));
  const bool ended = n + 2 <= 7; /* positions of the decoder: five and a quarter more */
  ids[n + 1] = isc_tokenizer_eos(tok);
  const double want = log_prob(r->w, (int)site_of(row), r->z + row * D_Z, ids, (int)n + 1 + ended);
  cr_assert_float_eq(log_q, want, TOLERANCE, "row %d, sample %d, \"%s\": %.7f, in float64 %.7f",
                     (int)row, (int)j, text, log_q, want);
  r->least = fmin(r->least, log_q);
  r->most = fmax(r->most, log_q);
  r->n++;
  return ISC_OK;
}

/* ---- noise */

enum { NONE, STD, EPSILON, KERNEL, SEED = 4 };
#define NOISE_SCALE 0.3

/* A law's draw in a direction that is even over the sphere, at an angle to z. */
static void turn(const world *w, int64_t site, isc_rng *rng, int n, const float *z, double norm,
                 float *out) {
  const isc_kernel *k = w->toy.env.kernels[site];
  isc_noise_draw d = {0};
  double g[D_Z], along = 0, across = 0;
  k->ops->draw(k->self, rng, &d);
  for (int i = 0; i < n; i++) {
    g[i] = isc_rng_normal(rng);
    along += g[i] * z[i] / norm;
  }
  for (int i = 0; i < n; i++) {
    g[i] -= along * z[i] / norm;
    across += g[i] * g[i];
  }
  for (int i = 0; i < n; i++)
    out[i] = (float)(d.rho * norm * (d.cos * z[i] / norm + d.sin * g[i] / sqrt(across)));
}

/* What the options say of the noise, at its address. out [D_Z] */
static void add_noise(const world *w, int64_t site, const float *z, float *out) {
  const int n = (int)isc_method_site(&w->toy.env, site)->dim;
  const isc_kernel *k = w->toy.env.kernels[site];
  char bytes[sizeof site + D_Z * sizeof *z], hex[33];
  double norm = 0, *std = weight(w, "site.std%.0d%s", 0, "");
  memcpy(bytes, &site, sizeof site);
  memcpy(bytes + sizeof site, z, (size_t)n * sizeof *z);
  isc_assert_ok(isc_text_hash(bytes, sizeof site + (size_t)n * sizeof *z, hex));
  hex[16] = '\0';
  isc_rng rng = isc_rng_at(SEED, ISC_RNG_USER + 16, strtoull(hex, NULL, 16));
  for (int i = 0; i < n; i++)
    norm += (double)z[i] * z[i];
  norm = sqrt(norm);
  memcpy(out, z, D_Z * sizeof *z);
  if (w->noise == KERNEL)
    turn(w, site, &rng, n, z, norm, out);
  else if (w->noise != NONE)
    for (int i = 0; i < n; i++)
      out[i] += (float)(isc_rng_normal(&rng) * (w->noise == STD
                                                    ? NOISE_SCALE * std[site * D_Z + i]
                                                    : k->ops->epsilon(k->self) * norm / sqrt(n)));
  free(std);
}

static void check_samples(world *w, int64_t batch) {
  float z[ROWS * D_Z], noisy[ROWS * D_Z];
  const float *at[ROWS];
  int64_t site[ROWS];
  uint64_t index[ROWS];
  received r = {.w = w, .z = noisy, .least = 0, .most = -INFINITY};
  for (int64_t i = 0; i < ROWS; i++) {
    site[i] = site_of(i);
    isc_toy_activation(&w->toy, site[i], ISC_TOY_TRAIN + i, z + i * D_Z);
    add_noise(w, site[i], z + i * D_Z, noisy + i * D_Z);
    at[i] = z + i * D_Z;
    index[i] = (uint64_t)(100 * i);
  }
  const isc_invert req = {.size = sizeof req,
                          .n = ROWS,
                          .site = site,
                          .z = at,
                          .samples = SAMPLES,
                          .temperature = 1,
                          .seed = SEED,
                          .index = index,
                          .batch = batch,
                          .user = &r,
                          .sample = check_sample};
  isc_assert_ok(w->ops->invert(w->self, &req));
  cr_assert_eq(r.n, ROWS * SAMPLES);
  cr_assert_gt(r.most - r.least, 1, "nothing to tell apart");
}

static void check_variant(const char *name, const char *options, int noise) {
  world w = setup(name, options);
  w.noise = noise;
  train(&w, options);
  check_samples(&w, 64);
  check_samples(&w, 7);
  teardown(&w);
}

Test(inversionview, is_the_float64_network_with_a_slot, .timeout = 120) {
  check_variant("slot", SIZES, NONE);
}

Test(inversionview, is_the_float64_network_with_cross_attention, .timeout = 120) {
  check_variant("cross", SIZES "variant = \"cross_attention\";", NONE);
}

Test(inversionview, adds_each_kind_of_noise_before_it_reads, .timeout = 120) {
  check_variant("std", SIZES "noise = \"std\"; noise_scale = 0.3;", STD);
  check_variant("epsilon", SIZES "noise = \"epsilon\";", EPSILON);
  check_variant("kernel", SIZES "noise = \"kernel\";", KERNEL);
}

/* ---- first values */

/* The embedding of a site is normal with the mean and deviation of its activations; a site's deviations are its own. */
Test(inversionview, knows_its_sites_deviations, .timeout = 120) {
  world w = setup("std", SIZES);
  train(&w, SIZES);
  double *std = weight(&w, "site.std%.0d%s", 0, "");
  for (int64_t g = 0; g < SITES; g++)
    for (int64_t d = 0; d < D_Z; d++) {
      double one = 0, two = 0;
      for (int64_t i = 0; i < ISC_TOY_TRAIN; i++) {
        float z[D_Z] = {0};
        isc_toy_activation(&w.toy, g, i, z);
        one += z[d] / ISC_TOY_TRAIN;
        two += (double)z[d] * z[d] / ISC_TOY_TRAIN;
      }
      cr_assert_float_eq(std[g * D_Z + d], sqrt(fmax(two - one * one, 0)), 1e-4);
    }
  free(std);
  teardown(&w);
}
