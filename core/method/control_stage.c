/* SPDX-License-Identifier: Apache-2.0
 *
 * Stage "control": the control layers and site projections, trained on the frozen backbone (paper 3.2, C.2).
 *
 * Loss: mean −log q(token | its prefix, ẑ + r) over the texts' tokens and their end.
 */
#include <inversescope/corpus.h>
#include "method/inversescope.h"
#include "method/watch.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>

enum { DISTANCES_KEPT = 4096 }; /* examples whose noise the report shows */

typedef struct training {
  isc_inversescope *m;
  isc_train_io *io;
  isc_corpus corpus;
  isc_factors *factors;
  isc_examples *examples;
  isc_watch watch;
  double held[2]; /* metrics that outlast a step: VALID, SATURATED */
} training;

enum { VALID, SATURATED, HELD };

static const char MODEL[] = "model.safetensors";

static isc_status check_ready(const isc_inversescope *m) {
  if (m->backbone) return ISC_OK;
  return isc_fail(ISC_E_USAGE, "the control layers need a trained backbone: load its stage first");
}

/* ---- one step */

enum { SATURATION_STEPS = 10 /* from one look to the next: it waits for the device */ };

/* Share of saturated scores at positions that have a target. omega [n_layer] of [batch, len, heads]. */
static isc_status saturation(const training *t, isc_step *s, isc_tensor *const *omega,
                             const isc_corpus_batch *b, double *out) {
  int64_t layers = t->m->control->spec.n_layer, heads = t->m->control->spec.heads, hit = 0, all = 0;
  void *p;
  ISC_TRY(isc_step_host_alloc(s, (size_t)(b->batch * b->len * heads) * sizeof(float), &p));
  const float *w = p;
  for (int64_t l = 0; l < layers; l++) {
    ISC_TRY(isc_tensor_download(s, omega[l], p));
    for (int64_t i = 0; i < b->batch * b->len; i++) {
      if (b->target[i] < 0) continue;
      for (int64_t h = 0; h < heads; h++)
        hit += fabsf(w[i * heads + h]) > 0.99f;
      all += heads;
    }
  }
  *out = (double)hit / (double)all;
  return ISC_OK;
}

static isc_status forward(void *user, isc_step *s, int64_t k, isc_tensor **loss, isc_metric *m,
                          int64_t *n) {
  training *t = user;
  isc_inversescope *self = t->m;
  size_t layers = (size_t)self->control->spec.n_layer;
  isc_example_batch x;
  isc_corpus_batch b;
  isc_tensor *hidden;
  void *cond, *omega;
  *n = 0;
  t->watch.valid = t->held[VALID];
  ISC_TRY(isc_watch_step(&t->watch, k, m, n));
  t->held[VALID] = t->watch.valid;
  ISC_TRY(isc_examples_take(t->examples, s, k, &x));
  ISC_TRY(isc_corpus_take(&t->corpus, s, x.text, x.n, &b));
  isc_train_took(t->io, x.n, b.tokens);
  ISC_TRY(isc_step_host_alloc(s, layers * sizeof(isc_control_condition), &cond));
  ISC_TRY(isc_step_host_alloc(s, layers * sizeof(isc_tensor *), &omega));
  ISC_TRY(isc_control_layers_condition(self->control, s, x.z, x.start, cond));
  isc_control_tap tap = {.layers = self->control, .cond = cond, .omega = omega};
  const isc_taps taps = isc_control_taps(&tap);
  const isc_decoder_input in = {.size = sizeof in, .batch = b.batch, .len = b.len, .ids = b.ids};
  ISC_TRY(isc_decoder_forward(isc_steered(self), s, &in, &taps, &hidden));
  if (k % SATURATION_STEPS == 0) ISC_TRY(saturation(t, s, omega, &b, &t->held[SATURATED]));
  m[(*n)++] = (isc_metric){"saturated", t->held[SATURATED]};
  return isc_op_xent(s, hidden, isc_decoder_head(isc_steered(self)), b.target, NULL, NULL, loss);
}

/* ---- the stage */

static isc_status set_scales(training *t) {
  isc_status st = ISC_OK;
  int64_t n = t->m->env->n_sites;
  float *scale = NULL;
  if (t->m->conf->control.normalise != ISC_CONDITION_RMS) return ISC_OK;
  ISC_GO(isc_calloc((size_t)n, sizeof *scale, "site scales", (void **)&scale));
  for (int64_t g = 0; g < n; g++)
    scale[g] = t->factors->rms[g] > 0 ? (float)(1 / t->factors->rms[g]) : 1;
  ISC_GO(isc_control_layers_set_scale(t->m->control, scale));
done:
  free(scale);
  return st;
}

static isc_status prepare(training *t, const isc_train_io *io) {
  isc_inversescope *m = t->m;
  const isc_control_conf *c = &m->conf->control;
  const isc_examples_spec spec = {.seed = m->env->seed,
                                  .batch = c->recipe.batch,
                                  .noise = (isc_example_noise)c->noise,
                                  .neighbour_share = c->neighbour_share,
                                  .candidates = c->candidates};
  ISC_TRY(isc_steering_new(m));
  ISC_TRY(isc_control_layers_init(m->control, m->env->seed));
  ISC_TRY(isc_corpus_fill(&t->corpus, m->env, m->tokenizer, isc_tokenizer_eos(m->tokenizer),
                          isc_tokenizer_eos(m->tokenizer),
                          isc_decoder_get_spec(m->backbone)->n_ctx));
  ISC_TRY(isc_factors_new(m->env, c->memory << 20, &t->factors));
  ISC_TRY(set_scales(t));
  const isc_sampler sampler = {.device = m->env->device,
                               .decoder = isc_steered(m),
                               .tokenizer = m->tokenizer,
                               .control = m->control,
                               .max_tokens = m->max_tokens};
  t->watch =
      isc_watch_new(m->env, &sampler, t->factors, c->looks, isc_train_steps(io, c->recipe.steps));
  return isc_examples_new(t->factors, m->control, &spec, &t->examples);
}

static isc_status save_distances(const training *t, const isc_train_io *io) {
  isc_status st = ISC_OK;
  const isc_recipe *r = &t->m->conf->control.recipe;
  int64_t all = isc_train_steps(io, r->steps) * r->batch;
  char *path = NULL;
  ISC_GO(isc_path_join(io->dir, "noise_distances.safetensors", &path));
  ISC_GO(
      isc_examples_save_distances(t->examples, all < DISTANCES_KEPT ? all : DISTANCES_KEPT, path));
done:
  free(path);
  return st;
}

static isc_status save_model(const training *t, const char *dir) {
  isc_status st = ISC_OK;
  char *path = NULL;
  ISC_GO(isc_path_join(dir, MODEL, &path));
  ISC_GO(isc_control_layers_save(t->m->control, path));
done:
  free(path);
  return st;
}

isc_status isc_control_train(isc_inversescope *m, isc_train_io *io) {
  isc_status st = ISC_OK;
  training t = {.m = m, .io = io};
  const isc_control_conf *c = &m->conf->control;
  ISC_TRY(check_ready(m));
  ISC_GO(isc_mkdirs(io->dir));
  ISC_GO(prepare(&t, io));
  const isc_train_loop loop = {.size = sizeof loop,
                               .device = m->env->device,
                               .params = m->control->params,
                               .recipe = &c->recipe,
                               .io = io,
                               .group_lr = {[ISC_GROUP_BACKBONE] = c->backbone_lr,
                                            [ISC_GROUP_CONTROL] = 1,
                                            [ISC_GROUP_SITES] = c->site_lr},
                               .held = t.held,
                               .n_held = HELD,
                               .user = &t,
                               .forward = forward};
  ISC_GO(isc_train_run(&loop));
  isc_params_train(m->control->params, false);
  ISC_GO(save_distances(&t, io));
  ISC_GO(save_model(&t, io->dir));
  ISC_GO(isc_train_finish(io));
done:
  isc_examples_free(t.examples);
  isc_factors_free(t.factors);
  isc_corpus_free(&t.corpus);
  return st;
}

isc_status isc_control_load(isc_inversescope *m, const char *dir) {
  isc_status st = ISC_OK;
  char *path = NULL;
  ISC_TRY(check_ready(m));
  ISC_GO(isc_steering_new(m));
  ISC_GO(isc_path_join(dir, MODEL, &path));
  ISC_GO(isc_control_layers_load(m->control, path));
done:
  free(path);
  return st;
}
