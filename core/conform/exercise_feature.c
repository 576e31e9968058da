/* SPDX-License-Identifier: Apache-2.0
 *
 * How a feature is opened and used by the checks that know nothing of features.
 *
 * The prior is the case's, or a toy; it belongs to the instance, because the feature may use it as long as it lives.
 */
#include "conform/prior_use.h"
#include <inversescope/feature.h>
#include <stdlib.h>
#include <string.h>

enum { TEXTS = 4, DRAWS = 4 };

typedef struct feature {
  isc_prior toy;
  const isc_prior *prior;
  void *self;
} feature;

static isc_status open_feature(isc_conform *c, const void *conf, uint64_t seed, int threads,
                               void **instance) {
  const isc_feature_ops *ops = c->cls->ops;
  void *p;
  (void)threads;
  ISC_TRY(isc_calloc(1, sizeof(feature), "an opened feature", &p));
  feature *f = p;
  isc_status st = ISC_OK;
  f->prior = c->cs->prior;
  if (!f->prior) {
    f->prior = &f->toy;
    st = isc_toy_prior_open(seed, &f->toy);
  }
  if (st == ISC_OK) st = ops->open(conf, f->prior, &f->self);
  if (st == ISC_OK) {
    *instance = f;
    return ISC_OK;
  }
  isc_toy_prior_close(&f->toy);
  free(f);
  return st;
}

static void close_feature(isc_conform *c, void *instance) {
  const isc_feature_ops *ops = c->cls->ops;
  feature *f = instance;
  ops->close(f->self);
  isc_toy_prior_close(&f->toy);
  free(f);
}

static isc_status label(isc_conform *c, const feature *f, const char *text, size_t len,
                        isc_text *out) {
  const isc_feature_ops *ops = c->cls->ops;
  void *guarded;
  ISC_TRY(isc_guard_new(c, len, &guarded));
  if (len) memcpy(guarded, text, len);
  ISC_TRY(isc_guard_seal(c, guarded));
  isc_text_clear(out);
  return ops->label(f->self, guarded, len, out);
}

static isc_status use(isc_conform *c, void *instance, uint64_t seed, isc_sb *out) {
  const isc_feature_ops *ops = c->cls->ops;
  const feature *f = instance;
  isc_text t = {0};
  isc_texts sample = {0};
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < c->cs->n_texts && i < TEXTS; i++) {
    ISC_GO(label(c, f, c->cs->texts[i], strlen(c->cs->texts[i]), &t));
    isc_sb_addn(out, t.data, t.len);
  }
  ISC_GO(isc_conform_samples(f->prior, DRAWS, seed, &sample));
  for (int64_t i = 0; i < sample.n; i++) {
    ISC_GO(label(c, f, sample.at[i].data, sample.at[i].len, &t));
    isc_sb_addn(out, t.data, t.len);
  }
  const char *name = ops->slot ? ops->slot(f->self) : NULL;
  if (name) isc_sb_add(out, name);
done:
  isc_texts_free(&sample);
  isc_text_free(&t);
  return st;
}

const isc_exercise isc_exercise_feature = {
    .open = open_feature, .close = close_feature, .use = use, .seeded = false, .shared = true};
