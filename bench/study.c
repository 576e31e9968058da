/* SPDX-License-Identifier: Apache-2.0
 *
 * A study made of random numbers: texts, a model, its heads as sites, their activations, a noise kernel.
 *
 * The stages take it for a real one; only the meaning is missing, and time does not depend on that.
 */
#include "bench.h"
#include "base/base.h"
#include <inversescope/noise_law.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEED = 1, TRAINING_INPUTS = 2048 };

static const char END[] = "<|endoftext|>";

/* ---- texts */

static isc_status open_tokenizer(bench_study *b) {
  isc_status st = ISC_OK;
  isc_pool pool = {0};
  int64_t n = b->shape->vocab;
  void *p;
  char name[32];
  ISC_GO(isc_pool_alloc(&pool, (size_t)n, sizeof(char *), "words", &p));
  char **word = p;
  for (int64_t i = 0; i + 1 < n; i++) {
    snprintf(name, sizeof name, "w%lld", (long long)i);
    ISC_GO(isc_pool_strndup(&pool, name, strlen(name), &word[i]));
  }
  ISC_GO(isc_pool_strndup(&pool, END, strlen(END), &word[n - 1]));
  ISC_GO(isc_tokenizer_from_words((const char *const *)word, n, END, &b->tokenizer));
done:
  isc_pool_free(&pool);
  return st;
}

isc_status bench_text(const bench_study *b, int64_t i, int64_t words, isc_text *out) {
  isc_rng r = isc_rng_at(SEED, ISC_RNG_PRIOR_TRAIN, (uint64_t)i);
  char word[32];
  isc_text_clear(out);
  for (int64_t k = 0; k < words; k++) {
    unsigned long long w = isc_rng_below(&r, (uint64_t)b->shape->vocab - 1);
    snprintf(word, sizeof word, k ? " w%llu" : "w%llu", w);
    ISC_TRY(isc_text_append(out, word, strlen(word)));
  }
  return ISC_OK;
}

/* A training text with its begin and end makes `len` positions and as many targets. */
static isc_status training_text(const isc_method_env *env, int64_t i, isc_text *out) {
  const bench_study *b = env->core;
  return bench_text(b, i, b->shape->len - 1, out);
}

static isc_status activations(const isc_method_env *env, int64_t site, const int64_t *rows,
                              int64_t n, float *out) {
  int64_t w = env->sites[site].stored;
  for (int64_t i = 0; i < n; i++) {
    uint64_t row = (uint64_t)(rows ? rows[i] : i);
    isc_rng r = isc_rng_at(SEED, ISC_RNG_USER, (uint64_t)(site * env->n_train) + row);
    isc_rng_normals(&r, out + i * w, w);
  }
  return ISC_OK;
}

/* ---- the model, as a target and as a backbone */

/* Every text gets its full length: coordinate 0 of what the head reads is always 30, and the end of text has −1 there. */
static isc_status never_end(isc_params *params, int64_t vocab, int64_t width) {
  isc_status st = ISC_OK;
  isc_param *wte = isc_params_find(params, "wte.weight");
  void *table = NULL, *row = NULL;
  ISC_GO(isc_calloc((size_t)(vocab * width), sizeof(float), "the embedding", &table));
  ISC_GO(isc_calloc((size_t)width, sizeof(float), "a norm", &row));
  ISC_GO(isc_param_get(params, wte, table));
  ((float *)table)[(vocab - 1) * width] = -1;
  ISC_GO(isc_param_set(params, wte, table));
  ((float *)row)[0] = 30;
  ISC_GO(isc_param_set(params, isc_params_find(params, "ln_f.bias"), row));
  for (int64_t i = 0; i < width; i++)
    ((float *)row)[i] = i > 0;
  ISC_GO(isc_param_set(params, isc_params_find(params, "ln_f.weight"), row));
done:
  free(table);
  free(row);
  return st;
}

/* Of a large model: the same numbers of a normal law again and again, and norms of 1. */
static isc_status fill(isc_decoder *d) {
  enum { SOME = 1 << 20 };
  isc_status st = ISC_OK;
  isc_params *params = isc_decoder_params(d);
  isc_rng r = isc_rng_at(SEED, ISC_RNG_USER, 0);
  int64_t most = 0;
  void *memory = NULL;
  for (int64_t i = 0; i < isc_params_count(params); i++) {
    const int64_t n = isc_tensor_size(&isc_params_at(params, i)->value);
    most = n > most ? n : most;
  }
  ISC_GO(isc_malloc((size_t)most * sizeof(float), "weights", &memory));
  float *x = memory;
  isc_rng_normals(&r, x, most < SOME ? most : SOME);
  for (int64_t i = 0; i < most; i++)
    x[i] = i < SOME ? 0.02f * x[i] : x[i - SOME];
  for (int64_t i = 0; i < isc_params_count(params); i++) {
    isc_param *q = isc_params_at(params, i);
    if (q->value.ndim == 2)
      ISC_GO(isc_param_set(params, q, x));
    else
      ISC_GO(isc_param_fill(params, q, strstr(q->name, "bias") ? 0 : 1));
  }
done:
  free(memory);
  return st;
}

/* What the other families have in common with each other. */
static void without_biases(isc_decoder_spec *spec) {
  spec->norm = ISC_RMSNORM;
  spec->positions = ISC_ROTARY;
  spec->mlp = ISC_MLP_GATED;
  spec->no_qkv_bias = spec->no_attn_out_bias = spec->no_mlp_bias = spec->out_in = true;
}

static isc_decoder_spec spec_of(const bench_shape *s, isc_dtype weights) {
  isc_decoder_spec spec = {.size = sizeof spec,
                           .n_layer = s->layers,
                           .n_head = s->heads,
                           .n_kv_head = s->kv_heads,
                           .d_model = s->width,
                           .d_head = bench_head_dim(s),
                           .d_mlp = s->mlp,
                           .vocab = s->vocab,
                           .n_ctx = bench_context(s),
                           .act = ISC_ACT_GELU_TANH,
                           .norm_eps = 1e-5,
                           .weights = weights};
  if (s->family == BENCH_LLAMA) {
    without_biases(&spec);
    spec.act = ISC_ACT_SILU;
    spec.rope_theta = 500000;
  }
  if (s->family == BENCH_GEMMA2) {
    without_biases(&spec);
    spec.rope_theta = 10000;
    spec.norm_eps = 1e-6;
    spec.post_norms = true;
    spec.embed_scale = sqrt((double)s->width);
    spec.attn_soft_cap = 50;
    spec.logit_soft_cap = 30;
    spec.window = s->window;
    spec.full_every = 2;
  }
  return spec;
}

isc_status bench_decoder(const bench_study *b, isc_dtype weights, isc_decoder **out) {
  const bench_shape *s = b->shape;
  const isc_decoder_spec spec = spec_of(s, weights);
  ISC_TRY(isc_decoder_new(b->device, &spec, out));
  if (bench_harvest_only(s)) return fill(*out);
  ISC_TRY(isc_decoder_init(*out, SEED));
  return never_end(isc_decoder_params(*out), s->vocab, s->width);
}

static const isc_tokenizer *target_tokenizer(void *self) {
  return ((bench_study *)self)->tokenizer;
}

static isc_status target_forward(void *self, isc_step *s, const isc_decoder_input *in,
                                 const isc_taps *taps, isc_tensor **hidden) {
  return isc_decoder_forward(((bench_study *)self)->decoder, s, in, taps, hidden);
}

static isc_status target_head_map(void *self, int64_t layer, int64_t head, float *out) {
  return isc_decoder_head_map(((bench_study *)self)->decoder, layer, head, out);
}

static const isc_target_ops TARGET = {.size = sizeof TARGET,
                                      .tokenizer = target_tokenizer,
                                      .forward = target_forward,
                                      .head_map = target_head_map};

static isc_status open_target(bench_study *b) {
  const bench_shape *s = b->shape;
  int64_t patterns = 0;
  while (patterns < BENCH_SITES && s->sites[patterns])
    patterns++;
  ISC_TRY(bench_decoder(b, s->precision, &b->decoder));
  b->target = (isc_target){.ops = &TARGET,
                           .self = b,
                           .info = {.size = sizeof b->target.info,
                                    .n_layer = s->layers,
                                    .n_head = s->heads,
                                    .d_model = s->width,
                                    .d_head = bench_head_dim(s),
                                    .n_ctx = isc_decoder_get_spec(b->decoder)->n_ctx,
                                    .vocab = s->vocab,
                                    .packed = true}};
  return isc_sites_select(&b->target, s->sites, patterns, &b->sites);
}

/* ---- noise */

static double hard(double ratio) {
  (void)ratio;
  return 0;
}

static const isc_kernel_ops KERNEL = ISC_NOISE_LAW_OPS(NULL);

static isc_status open_kernel(bench_study *b) {
  const isc_noise_spec spec = {.size = sizeof spec,
                               .geometry = ISC_ANGULAR,
                               .measure = ISC_LEBESGUE,
                               .dim = b->shape->width,
                               .epsilon = 0.1,
                               .band = 0.1,
                               .log_profile = hard,
                               .support = 1};
  void *p;
  b->kernel = (isc_kernel){.ops = &KERNEL, .name = "cosine-band"};
  ISC_TRY(isc_noise_law_open(&spec, &b->kernel.self));
  ISC_TRY(isc_calloc((size_t)b->sites.n, sizeof *b->kernels, "the sites' kernels", &p));
  b->kernels = p;
  for (int64_t g = 0; g < b->sites.n; g++)
    b->kernels[g] = &b->kernel;
  return ISC_OK;
}

/* ---- all of it */

static isc_status open_dir(bench_study *b) {
  const char *tmp = getenv("TMPDIR");
  snprintf(b->dir, sizeof b->dir, "%s/inversescope-XXXXXX",
           tmp && strlen(tmp) < sizeof b->dir - 24 ? tmp : "/tmp");
  if (mkdtemp(b->dir)) return ISC_OK;
  isc_status st = isc_fail(ISC_E_IO, "%s: cannot be made: %s", b->dir, strerror(errno));
  b->dir[0] = '\0';
  return st;
}

isc_status bench_study_open(const bench_shape *shape, isc_device *dev, bench_study *b) {
  *b = (bench_study){.shape = shape, .device = dev};
  ISC_TRY(open_dir(b));
  ISC_TRY(open_tokenizer(b));
  ISC_TRY(open_target(b));
  ISC_TRY(open_kernel(b));
  b->env = (isc_method_env){.size = sizeof b->env,
                            .device = dev,
                            .seed = SEED,
                            .target_tokenizer = b->tokenizer,
                            .sites = b->sites.site,
                            .site_size = sizeof(isc_site),
                            .n_sites = b->sites.n,
                            .kernels = b->kernels,
                            .measure = ISC_LEBESGUE,
                            .n_train = TRAINING_INPUTS,
                            .text = training_text,
                            .activations = activations,
                            .core = b};
  return ISC_OK;
}

void bench_study_close(bench_study *b) {
  isc_noise_law_close(b->kernel.self);
  free(b->kernels);
  isc_sites_free(&b->sites);
  isc_decoder_free(b->decoder);
  isc_tokenizer_close(b->tokenizer);
  if (b->dir[0]) rmdir(b->dir);
  *b = (bench_study){0};
}
