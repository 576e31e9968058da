/* SPDX-License-Identifier: Apache-2.0
 *
 * The stages, each driven through what a run calls: the harvest, the two trainings, the sampler.
 *
 * A training reports every step; the report ends the lap, and when there were enough of them it fails, which is a
 * training's only way out without saving half a gigabyte.
 */
#include "bench.h"
#include "base/base.h"
#include "method/inversescope.h"
#include "method/lm_trainer.h"
#include "method/sampler.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- harvest */

typedef struct prompts {
  isc_text *text;    /* [n] */
  const char **data; /* [n] */
  size_t *len;       /* [n] */
  float **out;       /* [sites] of [n, stored] */
  int64_t n, sites;
} prompts;

static void free_prompts(prompts *p) {
  for (int64_t i = 0; p->text && i < p->n; i++)
    isc_text_free(&p->text[i]);
  for (int64_t g = 0; p->out && g < p->sites; g++)
    free(p->out[g]);
  free(p->text);
  free(p->data);
  free(p->len);
  free(p->out);
}

static isc_status make_prompts(const bench_study *b, prompts *p) {
  size_t n = (size_t)b->shape->prompts;
  p->n = b->shape->prompts;
  p->sites = b->sites.n;
  ISC_TRY(isc_calloc(n, sizeof *p->text, "prompts", (void **)&p->text));
  ISC_TRY(isc_calloc(n, sizeof *p->data, "prompts", (void **)&p->data));
  ISC_TRY(isc_calloc(n, sizeof *p->len, "prompts", (void **)&p->len));
  ISC_TRY(isc_calloc((size_t)p->sites, sizeof *p->out, "activations", (void **)&p->out));
  for (int64_t g = 0; g < p->sites; g++)
    ISC_TRY(isc_calloc(n * (size_t)b->sites.site[g].stored, sizeof(float), "activations",
                       (void **)&p->out[g]));
  for (int64_t i = 0; i < p->n; i++) {
    ISC_TRY(bench_text(b, i, bench_words(b->shape, i), &p->text[i]));
    p->data[i] = p->text[i].data;
    p->len[i] = p->text[i].len;
  }
  return ISC_OK;
}

static isc_status harvest(bench_study *b, bench_timer *t) {
  isc_status st = ISC_OK;
  prompts p = {0};
  isc_step *s = NULL;
  bool enough = false;
  ISC_GO(make_prompts(b, &p));
  ISC_GO(isc_step_new(b->device, &s));
  const isc_harvest h = {.target = &b->target,
                         .sites = &b->sites,
                         .text = p.data,
                         .len = p.len,
                         .n = p.n,
                         .position = -1,
                         .batch = p.n,
                         .out = p.out};
  while (!enough) {
    ISC_GO(isc_harvest_run(&h, s));
    ISC_GO(bench_timer_lap(t, &enough));
  }
done:
  isc_step_free(s);
  free_prompts(&p);
  return st;
}

/* ---- training */

static isc_status progress(isc_train_io *io, int64_t done, int64_t total, const isc_metric *m,
                           int64_t n) {
  bench_timer *t = io->core;
  bool enough;
  (void)done;
  (void)total;
  if (n > 0 && isnan(t->loss)) t->loss = m[0].value;
  ISC_TRY(bench_timer_lap(t, &enough));
  return enough ? isc_fail(ISC_E_INTERRUPTED, "enough steps were timed") : ISC_OK;
}

static isc_train_io training_io(const bench_study *b, bench_timer *t) {
  return (isc_train_io){
      .size = sizeof(isc_train_io), .dir = b->dir, .core = t, .progress = progress};
}

static isc_recipe recipe(const bench_shape *s, int64_t batch) {
  return (isc_recipe){.steps = 1000000,
                      .batch = batch,
                      .lr = 1e-5,
                      .schedule = ISC_CONSTANT,
                      .beta2 = 0.999,
                      .weight_decay = 0.01,
                      .precision = (int32_t)s->precision};
}

static isc_status backbone(bench_study *b, bench_timer *t) {
  isc_status st = ISC_OK;
  isc_corpus corpus = {0};
  isc_decoder *decoder = NULL; /* not the study's: training it would leave its gradients behind */
  const isc_recipe r = recipe(b->shape, b->shape->batch);
  isc_train_io io = training_io(b, t);
  ISC_GO(isc_corpus_fill(&corpus, &b->env, b->tokenizer, isc_tokenizer_eos(b->tokenizer),
                         isc_tokenizer_eos(b->tokenizer), 0));
  ISC_GO(bench_decoder(b, ISC_F32, &decoder));
  t->parameters = isc_params_elements(isc_decoder_params(decoder));
  const isc_lm_training training = {.decoder = decoder,
                                    .device = b->device,
                                    .corpus = &corpus,
                                    .recipe = &r,
                                    .seed = b->env.seed,
                                    .io = &io};
  st = isc_lm_train(&training);
  if (st == ISC_E_INTERRUPTED) st = ISC_OK;
done:
  isc_decoder_free(decoder);
  isc_corpus_free(&corpus);
  return st;
}

/* A backbone's weights are f32, whatever its products are: the study's decoder, or *own, which is then the caller's. */
static isc_status frozen_backbone(const bench_study *b, isc_decoder **own, isc_decoder **out) {
  *out = b->decoder;
  if (b->shape->precision == ISC_F32) return ISC_OK;
  ISC_TRY(bench_decoder(b, ISC_F32, own));
  *out = *own;
  return ISC_OK;
}

static isc_status control(bench_study *b, isc_control_value value, bench_timer *t) {
  const bench_shape *s = b->shape;
  const isc_inversescope_conf conf = {.control = {.heads = s->control_heads,
                                                  .head_dim = s->control_dim,
                                                  .value = (int32_t)value,
                                                  .normalise = ISC_CONDITION_RMS,
                                                  .noise = ISC_NOISE_KERNEL,
                                                  .score_scale = s->score_scale,
                                                  .site_lr = 1,
                                                  .memory = 4096,
                                                  .recipe = recipe(s, s->control_batch)}};
  isc_status st = ISC_OK;
  isc_inversescope m = {
      .conf = &conf, .env = &b->env, .tokenizer = b->tokenizer, .max_tokens = s->draws + 1};
  isc_train_io io = training_io(b, t);
  isc_decoder *own = NULL;
  ISC_GO(frozen_backbone(b, &own, &m.backbone));
  st = isc_control_train(&m, &io);
  if (m.control) t->parameters = isc_params_elements(m.control->params);
  if (st == ISC_E_INTERRUPTED) st = ISC_OK;
done:
  isc_control_layers_free(m.control);
  isc_decoder_free(own);
  return st;
}

/* ---- sampling */

typedef struct conditions {
  const float **z; /* [n] all within `block` */
  float *block;    /* [n, width] */
  int64_t *site;   /* [n] */
  uint64_t *index; /* [n] */
} conditions;

static isc_status make_conditions(const bench_study *b, int64_t n, int64_t samples, conditions *c) {
  int64_t d = b->shape->width;
  ISC_TRY(isc_calloc((size_t)n, sizeof *c->z, "conditions", (void **)&c->z));
  ISC_TRY(isc_calloc((size_t)(n * d), sizeof *c->block, "conditions", (void **)&c->block));
  ISC_TRY(isc_calloc((size_t)n, sizeof *c->site, "conditions", (void **)&c->site));
  ISC_TRY(isc_calloc((size_t)n, sizeof *c->index, "conditions", (void **)&c->index));
  for (int64_t i = 0; i < n; i++) {
    isc_rng r = isc_rng_at(b->env.seed, ISC_RNG_USER, (uint64_t)i);
    isc_rng_normals(&r, c->block + i * d, d);
    c->z[i] = c->block + i * d;
    c->site[i] = i * b->sites.n / n;
    c->index[i] = (uint64_t)(i * samples);
  }
  return ISC_OK;
}

/* Layers that steer a little, so that nothing is the product with a zero. */
static isc_status make_layers(const bench_study *b, isc_control_layers **out) {
  const bench_shape *s = b->shape;
  const isc_control_spec spec = {.n_layer = s->layers,
                                 .d_model = s->width,
                                 .heads = s->control_heads,
                                 .head_dim = s->control_dim,
                                 .normalise = ISC_CONDITION_RMS,
                                 .score_scale = s->score_scale,
                                 .sites = b->sites.site,
                                 .n_sites = b->sites.n};
  ISC_TRY(isc_control_layers_new(b->device, &spec, out));
  ISC_TRY(isc_control_layers_init(*out, b->env.seed));
  for (int64_t l = 0; l < s->layers; l++)
    ISC_TRY(isc_param_fill((*out)->params, (*out)->layer[l].v, 1e-4f));
  return ISC_OK;
}

/* A text that ended early would be work not done. */
static isc_status take(void *user, int64_t row, int64_t j, const char *text, size_t len,
                       double log_q) {
  const bench_shape *s = user;
  int64_t words = len > 0;
  (void)row;
  (void)j;
  (void)log_q;
  for (size_t i = 0; i < len; i++)
    words += text[i] == ' ';
  if (words == s->draws) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "a text of %lld words was sampled instead of one of %lld",
                  (long long)words, (long long)s->draws);
}

/* `steered`: by control layers, or the backbone alone. */
static isc_status sample(bench_study *b, bool steered, int64_t rows, int64_t samples,
                         bench_timer *t) {
  isc_status st = ISC_OK;
  isc_control_layers *layers = NULL;
  isc_decoder *own = NULL, *backbone;
  conditions c = {0};
  bool enough = false;
  ISC_GO(frozen_backbone(b, &own, &backbone));
  if (steered) ISC_GO(make_layers(b, &layers));
  ISC_GO(make_conditions(b, rows, samples, &c));
  const isc_sampler sampler = {.device = b->device,
                               .decoder = backbone,
                               .tokenizer = b->tokenizer,
                               .control = layers,
                               .max_tokens = b->shape->draws + 1,
                               .product = b->shape->precision};
  const isc_invert request = {.size = sizeof request,
                              .n = rows,
                              .site = c.site,
                              .z = c.z,
                              .samples = samples,
                              .temperature = 1,
                              .seed = b->env.seed,
                              .index = c.index,
                              .batch = rows * samples,
                              .user = (void *)b->shape,
                              .sample = take};
  while (!enough) {
    ISC_GO(isc_sampler_run(&sampler, &request));
    ISC_GO(bench_timer_lap(t, &enough));
  }
done:
  isc_control_layers_free(layers);
  isc_decoder_free(own);
  free(c.z);
  free(c.block);
  free(c.site);
  free(c.index);
  return st;
}

/* ---- the list */

enum {
  HARVEST,
  BACKBONE,
  CONTROL,
  CONTROL_PROJECTED,
  SAMPLE,
  SAMPLE_APART,
  SAMPLE_BACKBONE,
  STAGES
};

bool bench_stage(const bench_shape *s, int64_t k, bench_result *out) {
  int64_t texts = s->rows * s->samples;
  int64_t batch = s->control_batch > 0 ? s->control_batch : 1;
  int64_t all_sites = (s->layers * s->heads + batch - 1) / batch;
  const bench_result all[] = {
      [HARVEST] = {"harvest", "prompts/s", (double)s->prompts, bench_flops_harvest(s), 1},
      [BACKBONE] = {"backbone", "tokens/s", (double)(s->batch * s->len), bench_flops_backbone(s),
                    2},
      [CONTROL] = {"control", "examples/s", (double)s->control_batch,
                   bench_flops_control(s, ISC_VALUE_FULL), 1 + all_sites},
      [CONTROL_PROJECTED] = {"control-projected", "examples/s", (double)s->control_batch,
                             bench_flops_control(s, ISC_VALUE_PROJECTED), 1 + all_sites},
      [SAMPLE] = {"sample", "texts/s", (double)texts,
                  bench_flops_sample(s, ISC_VALUE_FULL, s->samples), 1},
      [SAMPLE_APART] = {"sample-apart", "texts/s", (double)texts,
                        bench_flops_sample(s, ISC_VALUE_FULL, 1), 1},
      [SAMPLE_BACKBONE] = {"sample-backbone", "texts/s", (double)texts, bench_flops_unsteered(s),
                           1}};
  if (k < 0 || k >= (bench_harvest_only(s) ? HARVEST + 1 : STAGES)) return false;
  *out = all[k];
  return true;
}

isc_status bench_stage_run(bench_study *b, int64_t k, bench_timer *t) {
  const bench_shape *s = b->shape;
  switch (k) {
  case HARVEST:
    return harvest(b, t);
  case BACKBONE:
    return backbone(b, t);
  case CONTROL:
    return control(b, ISC_VALUE_FULL, t);
  case CONTROL_PROJECTED:
    return control(b, ISC_VALUE_PROJECTED, t);
  case SAMPLE:
    return sample(b, true, s->rows, s->samples, t);
  case SAMPLE_APART:
    return sample(b, true, s->rows * s->samples, 1, t);
  default:
    return sample(b, false, s->rows * s->samples, 1, t);
  }
}
