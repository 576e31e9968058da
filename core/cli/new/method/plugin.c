/* SPDX-License-Identifier: Apache-2.0
 *
 * The method @NAME@: an activation has the label whose mean activation is nearest. A run wants methods that invert.
 *
 * Labels are the values of a slot of the prior. Training is one pass over the inputs that adds up activations by label
 * and site; the sums are its whole state, so a pass that was stopped goes on to the same bytes.
 */
#include <inversescope/method.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STATE "means.state"
enum { BLOCK = 64 }; /* inputs of a step */

typedef struct method_conf {
  const char *slot;
} method_conf;

static const isc_option options[] = {
    {"slot", ISC_OPT_STRING, 0, offsetof(method_conf, slot), NULL, NULL, 0, 0, NULL,
     "The slot of the prior to read; the first one when it is not given."},
    ISC_OPTIONS_END};

typedef struct method {
  const isc_method_env *env;
  int64_t slot, labels, width; /* width: of the activations at all sites together */
  size_t bytes;                /* of sum */
  double *
      sum; /* steps done; 1 when that is all; a row for each label: how many had it, sums [width] */
  float z[]; /* [BLOCK, width] */
} method;

static void close_method(void *self) {
  free(((method *)self)->sum);
  free(self);
}

static isc_status open_method(const void *conf, const isc_method_env *env, void **self) {
  int64_t slot, labels, width = 0;
  ISC_TRY(isc_method_slot(env, ((const method_conf *)conf)->slot, &slot, &labels));
  for (int64_t s = 0; s < env->n_sites; s++)
    width += isc_method_site(env, s)->dim;
  const size_t bytes = sizeof(double) * (size_t)(2 + labels * (1 + width));
  method *m = malloc(sizeof *m + BLOCK * (size_t)width * sizeof *m->z);
  if (m) *m = (method){env, slot, labels, width, bytes, calloc(1, bytes)};
  if (!m || !m->sum) {
    free(m);
    return isc_fail(ISC_E_NOMEM, "method @NAME@: no memory");
  }
  *self = m;
  return ISC_OK;
}

static const char *const *stages(void *self) {
  static const char *const names[] = {"means", NULL};
  (void)self;
  return names;
}

static int64_t parameters(void *self) {
  return ((method *)self)->labels * ((method *)self)->width;
}

static isc_status step(method *m) {
  int64_t done = BLOCK * (int64_t)m->sum[0], left = m->env->n_train - done;
  int64_t n = left < BLOCK ? left : BLOCK;
  int64_t input[BLOCK], label, column = 1;
  double *row[BLOCK]; /* of the input's label; NULL = it has none */
  for (int64_t i = 0; i < n; i++) {
    input[i] = done + i;
    ISC_TRY(isc_method_label(m->env, m->slot, input[i], &label));
    row[i] = label < 0 ? NULL : m->sum + 2 + label * (1 + m->width);
    if (row[i]) row[i][0]++;
  }
  for (int64_t s = 0; s < m->env->n_sites; s++) {
    const int64_t dim = isc_method_site(m->env, s)->dim;
    ISC_TRY(isc_method_activations(m->env, s, input, n, m->z));
    for (int64_t i = 0; i < n; i++)
      for (int64_t d = 0; row[i] && d < dim; d++)
        row[i][column + d] += m->z[i * dim + d];
    column += dim;
  }
  m->sum[0]++;
  return ISC_OK;
}

static isc_status train(void *self, int64_t stage, isc_train_io *io) {
  method *m = self;
  const int64_t steps = isc_train_steps(io, (m->env->n_train + BLOCK - 1) / BLOCK);
  isc_status st = isc_state_restore(io->dir, STATE, m->sum, m->bytes);
  if (st == ISC_E_MISSING) memset(m->sum, 0, m->bytes); /* nothing to go on from */
  if (st != ISC_OK && st != ISC_E_MISSING) return st;
  while (m->sum[0] < (double)steps && !io->should_stop(io)) {
    ISC_TRY(step(m));
    ISC_TRY(io->progress(io, (int64_t)m->sum[0], steps, NULL, 0));
    if (io->checkpoint_due(io)) ISC_TRY(isc_state_save(io->dir, STATE, m->sum, m->bytes));
  }
  m->sum[1] = m->sum[0] >= (double)steps;
  ISC_TRY(isc_state_save(io->dir, STATE, m->sum, m->bytes));
  return m->sum[1] ? ISC_OK : isc_fail(ISC_E_INTERRUPTED, "stage %s stopped", stages(m)[stage]);
}

static isc_status load(void *self, int64_t stage, const char *dir) {
  const method *m = self;
  ISC_TRY(isc_state_restore(dir, STATE, m->sum, m->bytes));
  if (m->sum[1] == 1) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: stage %s is not finished", dir, stages(self)[stage]);
}

/* The label whose mean is nearest, by what begins at `column` of its row; "" when no training input had a label. */
static const char *nearest(const method *m, const float *z, int64_t column, int64_t dim) {
  const isc_prior *p = m->env->prior;
  const char *label = "";
  double best = INFINITY;
  for (int64_t j = 0; j < m->labels; j++) {
    const double *row = m->sum + 2 + j * (1 + m->width);
    double d2 = row[0] > 0 ? 0 : INFINITY;
    for (int64_t d = 0; row[0] > 0 && d < dim; d++)
      d2 += pow(z[d] - row[column + d] / row[0], 2);
    if (d2 < best) best = d2, label = p->ops->slot_choice(p->self, m->slot, j);
  }
  return label;
}

static isc_status classify(void *self, int64_t site, const float *z, int64_t n, isc_text *label) {
  const method *m = self;
  const int64_t dim = isc_method_site(m->env, site)->dim;
  int64_t column = 1;
  for (int64_t s = 0; s < site; s++)
    column += isc_method_site(m->env, s)->dim;
  for (int64_t i = 0; i < n; i++) {
    const char *name = nearest(m, z + i * dim, column, dim);
    ISC_TRY(isc_text_set(&label[i], name, strlen(name)));
  }
  return ISC_OK;
}

static const isc_method_ops ops = {.size = sizeof ops,
                                   .open = open_method,
                                   .close = close_method,
                                   .stages = stages,
                                   .train = train,
                                   .load = load,
                                   .classify = classify,
                                   .parameters = parameters};

ISC_PLUGIN_CLASS(ISC_METHOD, "@NAME@", "0.1.0",
                 .summary = "The label whose mean activation is nearest", .licence = "Apache-2.0",
                 .options = options, .conf_size = sizeof(method_conf), .ops = &ops);
