/* SPDX-License-Identifier: Apache-2.0
 *
 * Training inversionview: the text from its own activation, without noise.
 *
 * Example number e = step·batch + row decides its text (a permutation of the training set each epoch) and its token; the
 * sites of a step are drawn from its number and, with re-weighting, from the losses so far, which are kept with the
 * parameters. So a resumed training repeats nothing and ends in the same bytes.
 */
#include "inversionview.h"
#include <inversescope/corpus.h>
#include <inversescope/rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RNG_SITE = ISC_RNG_USER, RNG_POSITION, RNG_EMBEDDING }; /* purposes */
enum { MEASURED = 1024 }; /* training inputs that the mean and deviation of a site are taken over */
static const double LOSS_KEPT = 0.9; /* of a site's running mean at each of its batches */
static const char MODEL[] = "model.safetensors", SHAPE[] = "shape.state";

/* Where a text's tokens as the target reads them begin and end, without a BOS put before them. */
typedef struct reading {
  int32_t first, n;
} reading;

typedef struct training {
  iv_method *m;
  isc_train_io *io;
  isc_corpus corpus;
  reading *read; /* [n_train]; NULL with fixed positions */
  float *loss;   /* [n_sites] host copy of m->loss        */
  float *stored; /* [most of a batch, d_z] */
} training;

/* ---- positions */

static isc_status read_one(const iv_method *m, int64_t i, isc_text *text, reading *out) {
  const isc_tokenizer *tok = m->env->target_tokenizer;
  int64_t plain, n;
  int32_t first = -1;
  ISC_TRY(m->env->text(m->env, i, text));
  ISC_TRY(isc_tokenizer_encode_plain(tok, text->data, text->len, NULL, 0, &plain));
  ISC_TRY(isc_tokenizer_encode(tok, text->data, text->len, &first, 1, &n));
  *out = (reading){n > plain && first == isc_tokenizer_bos(tok), (int32_t)n};
  if (n > 0 && n < INT32_MAX) return ISC_OK;
  return isc_fail(ISC_E_SHAPE, "inversionview: training input %lld has %lld tokens", (long long)i,
                  (long long)n);
}

static isc_status read_texts(training *t) {
  const iv_method *m = t->m;
  isc_status st = ISC_OK;
  isc_text text = {0};
  if (m->conf->position == IV_FIXED) return ISC_OK;
  t->read = calloc((size_t)m->env->n_train, sizeof *t->read);
  if (!t->read) return iv_no_memory("the texts");
  for (int64_t i = 0; i < m->env->n_train; i++)
    ISC_GO(read_one(m, i, &text, &t->read[i]));
done:
  isc_text_free(&text);
  return st;
}

/* The token of example e, whose text is `row`. */
static int64_t position_of(const training *t, int64_t e, int64_t row) {
  const reading r = t->read[row];
  isc_rng rng = isc_rng_at(t->m->env->seed, RNG_POSITION, (uint64_t)e);
  if (r.first == r.n || (r.first && isc_rng_uniform(&rng) < t->m->conf->bos_share)) return 0;
  return r.first + (int64_t)isc_rng_below(&rng, (uint64_t)(r.n - r.first));
}

/* Activations of the texts row[0 … n), examples e … e + n − 1, at a site: host [n, dim]. */
static isc_status fetch(const training *t, isc_step *s, int64_t site, int64_t e, const int64_t *row,
                        int64_t n, float *z) {
  const isc_method_env *env = t->m->env;
  void *p;
  if (!t->read) return isc_method_activations(env, site, row, n, z);
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * sizeof(int64_t), &p));
  int64_t *position = p;
  for (int64_t i = 0; i < n; i++)
    position[i] = position_of(t, e + i, row[i]);
  return isc_method_harvest(env, site, row, position, n, z);
}

/* ---- what a site is like before training */

/* Mean and deviation of all numbers; those of each coordinate into std [dim]. */
static void describe(const float *z, int64_t n, int64_t dim, double *mean, double *deviation,
                     float *std) {
  double sum = 0, square = 0;
  for (int64_t d = 0; d < dim; d++) {
    double one = 0, two = 0;
    for (int64_t i = 0; i < n; i++) {
      one += z[i * dim + d];
      two += (double)z[i * dim + d] * z[i * dim + d];
    }
    std[d] = (float)sqrt(fmax(two / (double)n - one / (double)n * (one / (double)n), 0));
    sum += one;
    square += two;
  }
  const double all = (double)(n * dim);
  *mean = sum / all;
  *deviation = sqrt(fmax(square / all - *mean * *mean, 0));
}

/* Site g's embedding: normal with the mean and deviation of its activations. Its loss: that of a uniform guess. */
static isc_status init_site(const training *t, isc_step *s, int64_t g, float *z) {
  iv_method *m = t->m;
  const int64_t dim = isc_method_site(m->env, g)->dim, sites = m->env->n_sites,
                n = m->env->n_train < MEASURED ? m->env->n_train : MEASURED;
  const float loss = (float)log((double)m->vocab);
  isc_rng rng = isc_rng_at(m->env->seed, RNG_EMBEDDING, (uint64_t)g);
  double mean, deviation;
  void *p;
  isc_step_reset(s);
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * sizeof(int64_t), &p));
  for (int64_t i = 0; i < n; i++)
    ((int64_t *)p)[i] = i;
  ISC_TRY(fetch(t, s, g, 0, p, n, z));
  ISC_TRY(isc_step_host_alloc(s, (size_t)(m->d_z + sites) * sizeof(float), &p));
  float *std = p, *e = std + m->d_z;
  memset(std, 0, (size_t)m->d_z * sizeof *std);
  describe(z, n, dim, &mean, &deviation, std);
  isc_rng_normals(&rng, e, sites);
  for (int64_t i = 0; i < sites; i++)
    e[i] = (float)(mean + deviation * e[i]);
  ISC_TRY(isc_param_set_some(m->params, m->embedding, g * sites, sites, e));
  ISC_TRY(isc_param_set_some(m->params, m->std, g * m->d_z, m->d_z, std));
  return isc_param_set_some(m->params, m->loss, g, 1, &loss);
}

static isc_status init_sites(const training *t) {
  const iv_method *m = t->m;
  isc_status st = ISC_OK;
  isc_step *s = NULL;
  float *z = calloc((size_t)MEASURED * (size_t)m->d_z, sizeof *z);
  if (!z) return iv_no_memory("activations");
  ISC_GO(isc_step_new(m->env->device, &s));
  for (int64_t g = 0; g < m->env->n_sites; g++)
    ISC_GO(init_site(t, s, g, z));
done:
  isc_step_free(s);
  free(z);
  return st;
}

/* ---- a step's sites */

static double weight(const training *t, int64_t g) {
  return pow(fmax(t->loss[g], 1e-6), t->m->conf->reweight);
}

/* The site of draw number `draw`, by inversion of the weights' sum. */
static int64_t draw_site(const training *t, int64_t draw) {
  const int64_t sites = t->m->env->n_sites;
  isc_rng rng = isc_rng_at(t->m->env->seed, RNG_SITE, (uint64_t)draw);
  double sum = 0, at;
  for (int64_t g = 0; g < sites; g++)
    sum += weight(t, g);
  at = isc_rng_uniform(&rng) * sum;
  for (int64_t g = 0; g < sites - 1; g++) {
    at -= weight(t, g);
    if (at < 0) return g;
  }
  return sites - 1;
}

/* Mean loss of each site of the batch into its running mean. */
static isc_status keep_loss(const training *t, const int64_t *site, const isc_corpus_batch *b,
                            const float *logp) {
  iv_method *m = t->m;
  for (int64_t i = 0, end; i < b->batch; i = end) {
    double sum = 0;
    int64_t n = 0;
    for (end = i; end < b->batch && site[end] == site[i]; end++)
      for (int64_t k = end * b->len; k < (end + 1) * b->len; k++)
        if (b->target[k] >= 0) {
          sum -= logp[k];
          n++;
        }
    const double mean = sum / (double)n, before = t->loss[site[i]];
    t->loss[site[i]] = (float)(LOSS_KEPT * before + (1 - LOSS_KEPT) * mean);
  }
  return isc_param_set(m->params, m->loss, t->loss);
}

/* ---- a step */

/* Texts, sites and activations of step k: row and site host [batch], z host [batch, d_z]. */
static isc_status take(const training *t, isc_step *s, int64_t k, int64_t *row, int64_t *site,
                       float *z) {
  const iv_method *m = t->m;
  const int64_t batch = m->conf->recipe.batch,
                draws = m->conf->batch_sites < batch ? m->conf->batch_sites : batch;
  memset(z, 0, (size_t)(batch * m->d_z) * sizeof *z);
  for (int64_t j = 0; j < draws; j++) {
    const int64_t g = draw_site(t, k * draws + j), dim = isc_method_site(m->env, g)->dim,
                  from = j * batch / draws, n = (j + 1) * batch / draws - from;
    for (int64_t i = from; i < from + n; i++) {
      row[i] = isc_epoch_row(m->env->seed, m->env->n_train, k * batch + i);
      site[i] = g;
    }
    ISC_TRY(fetch(t, s, g, k * batch + from, row + from, n, t->stored));
    for (int64_t i = 0; i < n; i++)
      memcpy(z + (from + i) * m->d_z, t->stored + i * dim, (size_t)dim * sizeof *z);
  }
  return ISC_OK;
}

static isc_status host(isc_step *s, int64_t n, size_t size, void *out) {
  void *p;
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * size, &p));
  memcpy(out, &p, sizeof p);
  return ISC_OK;
}

static isc_status run_decoder(const iv_method *m, isc_step *s, int64_t k, const isc_corpus_batch *b,
                              const iv_condition *cond, isc_tensor **hidden) {
  isc_dropout dropout = {.p = m->conf->dropout,
                         .attention = m->conf->attention_dropout,
                         .d_head = m->conf->width / m->conf->heads,
                         .seed = m->env->seed,
                         .step = k};
  iv_taps t = {.m = m, .cond = cond, .dropout = isc_dropout_taps(&dropout)};
  const isc_taps taps = iv_taps_of(&t);
  isc_decoder_input in = {.size = sizeof in, .batch = b->batch, .len = b->len, .ids = b->ids};
  isc_tensor **slots;
  isc_kv_prefix prefix;
  ISC_TRY(host(s, 2 * m->conf->layers, sizeof *slots, &slots));
  iv_condition_prefix(m, cond, slots, slots + m->conf->layers, &prefix);
  if (m->conf->variant != IV_CROSS_ATTENTION) in.prefix = &prefix;
  return isc_decoder_forward(m->decoder, s, &in, &taps, hidden);
}

static isc_status forward(void *user, isc_step *s, int64_t k, isc_tensor **loss, isc_metric *metric,
                          int64_t *n) {
  const training *t = user;
  const iv_method *m = t->m;
  const int64_t batch = m->conf->recipe.batch;
  int64_t *row, *site;
  float *z, *logp;
  iv_condition *cond;
  isc_corpus_batch b;
  isc_tensor *hidden;
  (void)metric;
  *n = 0;
  ISC_TRY(host(s, batch, sizeof *row, &row));
  ISC_TRY(host(s, batch, sizeof *site, &site));
  ISC_TRY(host(s, batch * m->d_z, sizeof *z, &z));
  ISC_TRY(host(s, m->conf->layers, sizeof *cond, &cond));
  ISC_TRY(isc_param_get(m->params, m->loss, t->loss)); /* a checkpoint may have brought others */
  ISC_TRY(take(t, s, k, row, site, z));
  ISC_TRY(isc_corpus_take(&t->corpus, s, row, batch, &b));
  isc_train_took(t->io, batch, b.tokens);
  ISC_TRY(host(s, b.batch * b.len, sizeof *logp, &logp));
  ISC_TRY(iv_condition_rows(m, s, z, site, batch, cond));
  ISC_TRY(run_decoder(m, s, k, &b, cond, &hidden));
  ISC_TRY(isc_op_xent(s, hidden, isc_decoder_head(m->decoder), b.target, NULL, logp, loss));
  return keep_loss(t, site, &b, logp);
}

/* ---- the stage */

static isc_status prepare(training *t) {
  iv_method *m = t->m;
  const int64_t batch = m->conf->recipe.batch;
  ISC_TRY(isc_corpus_fill(&t->corpus, m->env, m->env->target_tokenizer, m->bos, m->eos,
                          m->conf->context));
  m->longest = t->corpus.longest;
  t->loss = calloc((size_t)m->env->n_sites, sizeof *t->loss);
  t->stored = calloc((size_t)batch * (size_t)m->d_z, sizeof *t->stored);
  if (!t->loss || !t->stored) return iv_no_memory("training");
  ISC_TRY(read_texts(t));
  ISC_TRY(iv_network_new(m));
  ISC_TRY(iv_network_init(m));
  return init_sites(t);
}

static isc_status save(const iv_method *m, const char *dir) {
  ISC_TRY(isc_state_save(dir, SHAPE, &m->longest, sizeof m->longest));
  return isc_params_write(m->params, dir, MODEL);
}

isc_status iv_train(iv_method *m, isc_train_io *io) {
  isc_status st = ISC_OK;
  training t = {.m = m, .io = io};
  ISC_GO(prepare(&t));
  const isc_train_loop loop = {.size = sizeof loop,
                               .device = m->env->device,
                               .params = m->params,
                               .recipe = &m->conf->recipe,
                               .io = io,
                               .group_lr = {1},
                               .user = &t,
                               .forward = forward};
  ISC_GO(isc_train_run(&loop));
  isc_params_train(m->params, false);
  ISC_GO(save(m, io->dir));
  ISC_GO(isc_train_finish(io));
done:
  isc_corpus_free(&t.corpus);
  free(t.read);
  free(t.loss);
  free(t.stored);
  return st;
}

isc_status iv_load(iv_method *m, const char *dir) {
  ISC_TRY(isc_state_restore(dir, SHAPE, &m->longest, sizeof m->longest));
  if (m->longest < 2 || m->longest > INT32_MAX)
    return isc_fail(ISC_E_FORMAT, "%s/%s: texts of %lld tokens", dir, SHAPE, (long long)m->longest);
  ISC_TRY(iv_network_new(m));
  ISC_TRY(isc_params_read(m->params, dir, MODEL));
  isc_params_train(m->params, false);
  return ISC_OK;
}
