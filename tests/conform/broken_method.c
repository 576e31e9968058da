/* SPDX-License-Identifier: Apache-2.0
 *
 * A method, and one way each to break what is asked of methods.
 *
 * It remembers the training activations. An activation has the label of the nearest one, and is inverted to the text of one
 * of the NEAR nearest, drawn uniformly; so log q is known exactly.
 */
#include "broken.h"
#include <inversescope/method.h>
#include <math.h>
#include <stdlib.h>

#define STATE "memory.state"
enum { NEAR = 16, KEPT = 256 };

typedef struct state {
  int64_t done, total; /* inputs remembered; how many were to be     */
  float z[];           /* [n_train, width]: at all sites, in order   */
} state;

typedef struct method {
  const isc_method_env *env;
  int64_t slot, width;
  size_t bytes; /* of *s */
  state *s;
  int64_t *near;   /* [n_train] room for a search                       */
  float *distance; /* [n_train] the same                                */
  bool trained;
  int64_t last[KEPT]; /* nearest inputs of the last call at site 0, for a defect */
} method;

static void close_method(void *self) {
  method *m = self;
  free(m->s);
  free(m->near);
  free(m->distance);
  free(m);
}

static isc_status open_method(const void *conf, const isc_method_env *env, void **self) {
  int64_t labels;
  (void)conf;
  method *m = calloc(1, sizeof *m);
  if (!m) return isc_fail(ISC_E_NOMEM, "method broken: no memory");
  m->env = env;
  for (int64_t s = 0; s < env->n_sites; s++)
    m->width += isc_method_site(env, s)->dim;
  m->bytes = sizeof *m->s + (size_t)(env->n_train * m->width) * sizeof *m->s->z;
  m->s = calloc(1, m->bytes);
  m->near = calloc((size_t)env->n_train, sizeof *m->near);
  m->distance = calloc((size_t)env->n_train, sizeof *m->distance);
  isc_status st = m->s && m->near && m->distance
                      ? isc_method_slot(env, NULL, &m->slot, &labels)
                      : isc_fail(ISC_E_NOMEM, "method broken: no memory");
  if (st == ISC_OK)
    *self = m;
  else
    close_method(m);
  return st;
}

/* ---- stages */

static const char *const *stages(void *self) {
  static const char *const names[] = {BROKEN("method.stages") ? "The memory" : "memory", NULL};
  (void)self;
  return names;
}

static isc_status fingerprint(void *self, int64_t stage, char hex[33]) {
  (void)self;
  (void)stage;
  return isc_text_hash("memory", 6, hex);
}

static uint32_t stage_uses(void *self, int64_t stage) {
  (void)self;
  (void)stage;
  return BROKEN("method.stage-uses") ? 0 : ISC_USES_ACTIVATIONS;
}

static int64_t parameters(void *self) {
  const method *m = self;
  return BROKEN("method.parameters") ? -1 : m->env->n_train * m->width;
}

static isc_status remember(method *m) {
  const int64_t i = m->s->done;
  float *z = m->s->z + i * m->width;
  isc_text text = {0};
  isc_status st = m->env->text(m->env, i, &text);
  if (BROKEN("method.held-out") && st == ISC_OK)
    st = m->env->prior->ops->draw(m->env->prior->self, ISC_TEST, 0, &text);
  isc_text_free(&text);
  if (st != ISC_OK) return st;
  for (int64_t s = 0; s < m->env->n_sites; s++) {
    ISC_TRY(isc_method_activations(m->env, s, &i, 1, z));
    z += isc_method_site(m->env, s)->dim;
  }
  m->s->done++;
  return ISC_OK;
}

static isc_status report(const method *m, isc_train_io *io) {
  const isc_metric metric = {"remembered", (double)m->s->done};
  const int64_t done = BROKEN("method.progress") && m->s->done == 2 ? 1 : m->s->done;
  return io->progress(io, done, m->s->total, &metric, 1);
}

static isc_status save(const method *m, const isc_train_io *io) {
  return isc_state_save(io->dir, STATE, m->s, m->bytes);
}

static isc_status train(void *self, int64_t stage, isc_train_io *io) {
  method *m = self;
  isc_status st = isc_state_restore(io->dir, STATE, m->s, m->bytes);
  if (st == ISC_E_MISSING) memset(m->s, 0, m->bytes);
  if (st != ISC_OK && st != ISC_E_MISSING) return st;
  m->trained = true;
  m->s->total = BROKEN("method.budget") ? m->env->n_train : isc_train_steps(io, m->env->n_train);
  while (m->s->done < m->s->total) {
    if (!BROKEN("method.interrupt") && io->should_stop(io)) {
      if (!BROKEN("method.resume")) ISC_TRY(save(m, io));
      return isc_fail(ISC_E_INTERRUPTED, "%s: stage %s was stopped", io->dir, stages(m)[stage]);
    }
    ISC_TRY(remember(m));
    ISC_TRY(report(m, io));
    if (io->checkpoint_due(io) && !BROKEN("method.checkpoint")) ISC_TRY(save(m, io));
  }
  return save(m, io);
}

static isc_status load(void *self, int64_t stage, const char *dir) {
  method *m = self;
  const isc_status st = isc_state_restore(dir, STATE, m->s, m->bytes);
  if (BROKEN("method.damage") && st != ISC_OK) {
    m->s->done = m->s->total = 1;
    return ISC_OK;
  }
  if (st != ISC_OK) return st;
  if (m->s->done == m->s->total) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: stage %s is not finished", dir, stages(m)[stage]);
}

/* ---- reading */

/* The (up to) n nearest training inputs, nearest first, into m->near; returns their number. */
static int64_t search(const method *m, int64_t site, const float *z, int64_t n) {
  const int64_t dim = isc_method_site(m->env, site)->dim;
  int64_t column = 0, found = 0;
  for (int64_t s = 0; s < site; s++)
    column += isc_method_site(m->env, s)->dim;
  for (int64_t i = 0; i < m->s->done; i++) {
    float d2 = 0;
    for (int64_t d = 0; d < dim; d++)
      d2 += powf(z[d] - m->s->z[i * m->width + column + d], 2);
    int64_t at = found < n ? found++ : n;
    for (; at > 0 && m->distance[at - 1] > d2; at--)
      if (at < n) m->near[at] = m->near[at - 1], m->distance[at] = m->distance[at - 1];
    if (at < n) m->near[at] = i, m->distance[at] = d2;
  }
  return found;
}

/* Training input i, with probability exp(log_q), to one of the request's functions. */
static isc_status deliver(const method *m, int64_t i, int64_t row, int64_t j, double log_q,
                          void *user,
                          isc_status (*sample)(void *user, int64_t row, int64_t j, const char *text,
                                               size_t len, double log_q)) {
  isc_text text = {0};
  if (BROKEN("method.load") && !m->trained) i = (i + 1) % m->s->done;
  isc_status st = m->env->text(m->env, i, &text);
  if (st == ISC_OK) st = sample(user, row, j, text.data, text.len, log_q);
  if (BROKEN("method.samples") && st == ISC_OK && row == 0 && j == 0)
    st = sample(user, row, j, text.data, text.len, log_q);
  isc_text_free(&text);
  return st;
}

static isc_status invert(void *self, const isc_invert *q) {
  const method *m = self;
  for (int64_t r = 0; r < q->n; r++) {
    const int64_t n = search(m, q->site[r], q->z[r], NEAR);
    const uint64_t index = q->index[r] + (BROKEN("method.batch") ? (uint64_t)r : 0);
    const double log_q = -log((double)n) * (BROKEN("method.log-q") ? 0.8 : 1);
    for (int64_t j = 0; j < q->samples; j++) {
      isc_rng rng = isc_rng_at(q->seed, ISC_RNG_SAMPLE, index + (uint64_t)j);
      const int64_t pick = m->near[isc_rng_below(&rng, (uint64_t)n)];
      ISC_TRY(deliver(m, pick, r, j, log_q, q->user, q->sample));
    }
  }
  return ISC_OK;
}

static isc_status sample_prior(void *self, int64_t n, double temperature, uint64_t seed,
                               int64_t batch, void *user,
                               isc_status (*sample)(void *user, int64_t row, int64_t j,
                                                    const char *text, size_t len, double log_q)) {
  const method *m = self;
  (void)temperature;
  (void)batch;
  for (int64_t r = 0; r < n; r++) {
    isc_rng rng = isc_rng_at(seed, ISC_RNG_SAMPLE, (uint64_t)r);
    const int64_t pick = (int64_t)isc_rng_below(&rng, (uint64_t)m->s->done);
    ISC_TRY(deliver(m, pick, r, 0, -log((double)m->s->done), user, sample));
  }
  return ISC_OK;
}

/* The training input whose label activation i of a call gets. */
static int64_t choose(method *m, int64_t site, const float *z, int64_t i, int64_t n) {
  const int64_t found = search(m, site, z, 1);
  if (BROKEN("method.chance") && found) return (int64_t)fabsf(z[0] * 1e4f) % m->s->done;
  if (!BROKEN("method.noise-site") || n < 64 || n > KEPT) return m->near[0];
  if (site == 0) m->last[i] = m->near[0];
  return m->last[i];
}

static isc_status classify(void *self, int64_t site, const float *z, int64_t n, isc_text *label) {
  method *m = self;
  const isc_prior *p = m->env->prior;
  const int64_t dim = isc_method_site(m->env, site)->dim;
  for (int64_t i = 0; i < n; i++) {
    int64_t value;
    ISC_TRY(isc_method_label(m->env, m->slot, choose(m, site, z + i * dim, i, n), &value));
    const char *name = value < 0 ? "" : p->ops->slot_choice(p->self, m->slot, value);
    ISC_TRY(isc_text_set(&label[i], name, strlen(name)));
  }
  return ISC_OK;
}

static const isc_method_ops OPS = {.size = sizeof OPS,
                                   .open = open_method,
                                   .close = close_method,
                                   .stages = stages,
                                   .fingerprint = fingerprint,
                                   .train = train,
                                   .load = load,
                                   .invert = invert,
                                   .sample_prior = sample_prior,
                                   .classify = classify,
                                   .parameters = parameters,
                                   .stage_uses = stage_uses};

ISC_PLUGIN_CLASS(ISC_METHOD, "broken-method", "1.0.0",
                 .summary = "The nearest activations of the training inputs",
                 .licence = "Apache-2.0", .source = "the conformance tests", .ops = &OPS);
