/* SPDX-License-Identifier: Apache-2.0
 *
 * Stage "backbone": a language model of the prior, fine-tuned or from scratch (paper C.1).
 *
 * What it leaves is a Hugging Face directory, so a trained backbone can be another run's backbone.path.
 */
#include "method/inversescope.h"
#include "method/lm_trainer.h"
#include "method/vocabulary.h"
#include "base/base.h"

static bool pretrained(const isc_inversescope *m) {
  return m->conf->backbone.path && m->conf->backbone.path[0];
}

static void forget(isc_inversescope *m) {
  isc_tokenizer_close(m->tokenizer);
  isc_decoder_free(m->backbone);
  m->tokenizer = NULL;
  m->backbone = NULL;
}

/* ---- the tokenizer */

static isc_status build_tokenizer(isc_inversescope *m, isc_vocabulary_unit unit) {
  isc_status st = ISC_OK;
  isc_vocabulary *v = NULL;
  isc_text text = {0};
  ISC_GO(isc_vocabulary_new(unit, &v));
  for (int64_t i = 0; i < m->env->n_train; i++) {
    ISC_GO(m->env->text(m->env, i, &text));
    ISC_GO(isc_vocabulary_add(v, text.data, text.len));
  }
  ISC_GO(isc_vocabulary_tokenizer(v, &m->tokenizer));
done:
  isc_vocabulary_free(v);
  isc_text_free(&text);
  return st;
}

/* A copy of the target's, by way of the file that the stage leaves anyway. */
static isc_status copy_tokenizer(isc_inversescope *m, const char *dir) {
  if (!m->env->target_tokenizer)
    return isc_fail(ISC_E_CONFIG, "backbone.tokenizer = \"target\": the target has none");
  ISC_TRY(isc_tokenizer_save(m->env->target_tokenizer, dir));
  return isc_tokenizer_open(dir, &m->tokenizer);
}

static isc_status make_tokenizer(isc_inversescope *m, const char *dir) {
  if (pretrained(m))
    ISC_TRY(isc_tokenizer_open(m->conf->backbone.path, &m->tokenizer));
  else if (m->conf->backbone.tokenizer == ISC_TOKENIZER_TARGET)
    ISC_TRY(copy_tokenizer(m, dir));
  else
    ISC_TRY(build_tokenizer(
        m, m->conf->backbone.tokenizer == ISC_TOKENIZER_WORDS ? ISC_UNIT_WORDS : ISC_UNIT_CHARS));
  if (isc_tokenizer_eos(m->tokenizer) < 0)
    return isc_fail(
        ISC_E_CONFIG,
        "the backbone's tokenizer has no end-of-text token, which begins and ends every text; "
        "set backbone.tokenizer to \"words\" or \"chars\", or give a backbone.path that has one");
  return isc_tokenizer_save(m->tokenizer, dir);
}

/* ---- the decoder */

static isc_status scratch_spec(const isc_inversescope *m, int64_t longest, isc_decoder_spec *spec) {
  const isc_backbone_conf *c = &m->conf->backbone;
  if (c->width % c->heads != 0)
    return isc_fail(ISC_E_CONFIG, "backbone.width %lld is not a multiple of backbone.heads %lld",
                    (long long)c->width, (long long)c->heads);
  *spec = (isc_decoder_spec){.size = sizeof *spec,
                             .n_layer = c->layers,
                             .n_head = c->heads,
                             .d_model = c->width,
                             .d_head = c->width / c->heads,
                             .d_mlp = c->mlp ? c->mlp : 4 * c->width,
                             .vocab = isc_tokenizer_vocab(m->tokenizer),
                             .n_ctx = c->context ? c->context : longest + longest / 4 + 1,
                             .act = ISC_ACT_GELU_TANH,
                             .norm_eps = 1e-5};
  return ISC_OK;
}

static isc_status check_vocabulary(const isc_inversescope *m, const isc_decoder_spec *spec,
                                   const char *dir) {
  if (isc_tokenizer_vocab(m->tokenizer) <= spec->vocab) return ISC_OK;
  return isc_fail(ISC_E_SHAPE, "%s: the tokenizer has %lld tokens and the model %lld", dir,
                  (long long)isc_tokenizer_vocab(m->tokenizer), (long long)spec->vocab);
}

static isc_status open_decoder(isc_inversescope *m, const char *dir) {
  isc_decoder_spec spec = {.size = sizeof spec};
  ISC_TRY(isc_decoder_spec_read(dir, &spec));
  ISC_TRY(check_vocabulary(m, &spec, dir));
  ISC_TRY(isc_decoder_new(m->env->device, &spec, &m->backbone));
  return isc_decoder_load(m->backbone, dir, NULL, NULL);
}

/* The corpus, and the decoder in its initial state. */
static isc_status prepare(isc_inversescope *m, const char *dir, isc_corpus *corpus) {
  isc_decoder_spec spec;
  forget(m);
  ISC_TRY(make_tokenizer(m, dir));
  if (pretrained(m)) {
    ISC_TRY(open_decoder(m, m->conf->backbone.path));
    return isc_corpus_fill(corpus, m->env, m->tokenizer, isc_tokenizer_eos(m->tokenizer),
                           isc_tokenizer_eos(m->tokenizer),
                           isc_decoder_get_spec(m->backbone)->n_ctx);
  }
  ISC_TRY(isc_corpus_fill(corpus, m->env, m->tokenizer, isc_tokenizer_eos(m->tokenizer),
                          isc_tokenizer_eos(m->tokenizer), m->conf->backbone.context));
  ISC_TRY(scratch_spec(m, corpus->longest, &spec));
  ISC_TRY(isc_decoder_new(m->env->device, &spec, &m->backbone));
  return isc_decoder_init_std(m->backbone, m->env->seed, m->conf->backbone.init_std);
}

/* Samples may be twice as long as the longest of the first training texts: enough for any text of the prior, and a
 * backbone that never ends a text does not run to a long context's end. */
static isc_status limit_tokens(isc_inversescope *m) {
  isc_method_env few = *m->env;
  isc_corpus sample = {0};
  int64_t most = isc_decoder_get_spec(m->backbone)->n_ctx;
  if (few.n_train > 1024) few.n_train = 1024;
  isc_status st = isc_corpus_fill(&sample, &few, m->tokenizer, isc_tokenizer_eos(m->tokenizer),
                                  isc_tokenizer_eos(m->tokenizer), 0);
  m->max_tokens = 2 * sample.longest < most ? 2 * sample.longest : most;
  isc_corpus_free(&sample);
  return st;
}

isc_status isc_backbone_train(isc_inversescope *m, isc_train_io *io) {
  isc_status st = ISC_OK;
  isc_corpus corpus = {0};
  ISC_GO(isc_mkdirs(io->dir));
  ISC_GO(prepare(m, io->dir, &corpus));
  ISC_GO(limit_tokens(m));
  const isc_sampler alone = {.device = m->env->device,
                             .decoder = m->backbone,
                             .tokenizer = m->tokenizer,
                             .max_tokens = m->max_tokens};
  isc_watch watch = isc_watch_new(m->env, &alone, NULL, m->conf->backbone.looks,
                                  isc_train_steps(io, m->conf->backbone.recipe.steps));
  const isc_lm_training t = {.decoder = m->backbone,
                             .device = m->env->device,
                             .corpus = &corpus,
                             .recipe = &m->conf->backbone.recipe,
                             .seed = m->env->seed,
                             .io = io,
                             .watch = &watch};
  int32_t eos = isc_tokenizer_eos(m->tokenizer);
  ISC_GO(isc_lm_train(&t));
  isc_params_train(isc_decoder_params(m->backbone), false);
  ISC_GO(isc_decoder_save(m->backbone, io->dir, eos, eos));
  ISC_GO(isc_train_finish(io));
done:
  isc_corpus_free(&corpus);
  return st;
}

isc_status isc_backbone_load(isc_inversescope *m, const char *dir) {
  forget(m);
  ISC_TRY(isc_tokenizer_open(dir, &m->tokenizer));
  if (isc_tokenizer_eos(m->tokenizer) < 0)
    return isc_fail(
        ISC_E_FORMAT,
        "%s: the backbone's tokenizer has no end-of-text token; train the backbone again", dir);
  ISC_TRY(open_decoder(m, dir));
  isc_params_train(isc_decoder_params(m->backbone), false);
  return limit_tokens(m);
}
