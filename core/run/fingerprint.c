/* SPDX-License-Identifier: Apache-2.0
 *
 * What each stage depends on, as hashes: resolved options, plugin versions, upstream fingerprints, the
 * content of weights and data. Options that change no result (ISC_OPT_RUNTIME) are left out.
 */
#include "run/stage.h"

#include <stdlib.h>
#include <string.h>

/* Bumped when a stage's own algorithm or format changes, so that old run directories are redone. */
static const char FORMAT[] = "inversescope-run-2";

static isc_status begin(isc_hash *h, const char *stage) {
  ISC_TRY(isc_hash_begin(h));
  isc_hash_str(h, FORMAT);
  isc_hash_str(h, stage);
  return ISC_OK;
}

static void end(isc_hash *h, char key[33]) {
  isc_digest_hex(isc_hash_end(h), key);
}

static void add_int(isc_hash *h, int64_t x) {
  isc_hash_add(h, &x, sizeof x);
}

static void add_floats(isc_hash *h, const isc_list *list) {
  add_int(h, list->count);
  for (int64_t i = 0; i < list->count; i++)
    isc_hash_add(h, &list->at.f[i], sizeof list->at.f[i]);
}

static void add_class(isc_hash *h, const isc_class *cls) {
  isc_hash_str(h, cls->name);
  isc_hash_str(h, cls->version);
}

static isc_status add_group(isc_hash *h, isc_study *s, const char *path) {
  char *text = NULL;
  ISC_TRY(isc_config_canonical(s->config, path, &text));
  isc_hash_str(h, text);
  free(text);
  return ISC_OK;
}

static isc_status add_prior(isc_hash *h, isc_study *s) {
  char hex[33] = "";
  add_class(h, s->prior_class);
  ISC_TRY(add_group(h, s, "prior"));
  if (s->prior.ops->fingerprint) ISC_TRY(s->prior.ops->fingerprint(s->prior.self, hex));
  isc_hash_str(h, hex);
  add_int(h, s->run.seed);
  return ISC_OK;
}

/* A backend whose settings change no result, such as its threads, counts as one without. */
static isc_status add_device(isc_hash *h, isc_study *s) {
  char *text = NULL;
  add_class(h, s->device->cls);
  ISC_TRY(isc_config_canonical(s->config, "backend", &text));
  if (strchr(text, '=')) isc_hash_str(h, text);
  free(text);
  return ISC_OK;
}

isc_status isc_key_harvest(isc_study *s, char key[33]) {
  isc_hash h;
  char hex[33] = "";
  isc_status st = ISC_OK;
  ISC_TRY(begin(&h, "harvest"));
  ISC_GO(add_device(&h, s));
  add_class(&h, s->target.cls);
  /* The weights' hash stands for the path: a copied model or a moved directory is the same model. */
  ISC_GO(s->target.ops->fingerprint(s->target.self, hex));
  isc_hash_str(&h, hex);
  add_int(&h, s->target_settings.position);
  for (int64_t i = 0; i < s->sites.n; i++)
    isc_hash_str(&h, s->sites.site[i].name);
  ISC_GO(add_prior(&h, s));
done:
  end(&h, key);
  return st;
}

/* Only the options a stage says it reads, so that changing others does not retrain it. */
static isc_status add_stage_options(isc_hash *h, isc_study *s, const isc_study_method *m,
                                    int64_t stage) {
  const char *const *names = m->ops->stage_options ? m->ops->stage_options(m->self, stage) : NULL;
  if (!names) return add_group(h, s, m->group);
  for (; *names; names++) {
    isc_sb b = {0};
    char *path = NULL;
    isc_sb_addf(&b, "%s.%s", m->group, *names);
    ISC_TRY(isc_sb_finish(&b, &path));
    isc_status st = add_group(h, s, path);
    free(path);
    ISC_TRY(st);
  }
  return ISC_OK;
}

isc_status isc_key_method(isc_study *s, const isc_study_method *m, int64_t stage, int64_t max_steps,
                          const char harvest[33], const char previous[33], char key[33]) {
  isc_hash h;
  char hex[33] = "";
  isc_status st = ISC_OK;
  const uint32_t uses = m->ops->stage_uses ? m->ops->stage_uses(m->self, stage) : ~0u;
  ISC_TRY(begin(&h, isc_method_stage(m, stage)));
  ISC_GO(add_device(&h, s));
  add_class(&h, m->cls);
  add_int(&h, stage);
  add_int(&h, max_steps);
  isc_hash_str(&h, previous);
  ISC_GO(add_stage_options(&h, s, m, stage));
  if (m->ops->fingerprint) ISC_GO(m->ops->fingerprint(m->self, stage, hex));
  isc_hash_str(&h, hex);
  if (uses & ISC_USES_ACTIVATIONS) isc_hash_str(&h, harvest);
  ISC_GO(add_prior(&h, s));
  if (uses & ISC_USES_KERNEL) {
    add_class(&h, s->kernel_class);
    ISC_GO(add_group(&h, s, "kernel"));
  }
done:
  end(&h, key);
  return st;
}

isc_status isc_key_sample(isc_study *s, const isc_study_method *m, const char harvest[33],
                          const char trained[33], char key[33]) {
  isc_hash h;
  isc_status st = ISC_OK;
  ISC_TRY(begin(&h, "sample"));
  isc_hash_str(&h, harvest);
  isc_hash_str(&h, trained);
  /* A method may have options that no training stage reads and sampling does. */
  add_class(&h, m->cls);
  ISC_GO(add_group(&h, s, m->group));
  add_int(&h, s->n_conditions);
  add_int(&h, s->evaluate.samples);
  add_int(&h, s->evaluate.unconditional);
  isc_hash_add(&h, &s->evaluate.temperature, sizeof s->evaluate.temperature);
  add_floats(&h, &s->evaluate.scatter_noise);
  if (s->evaluate.scatter_noise.count) add_int(&h, s->evaluate.scatter_conditions);
done:
  end(&h, key);
  return st;
}

isc_status isc_key_score(isc_study *s, const char sample[33], char key[33]) {
  isc_hash h;
  isc_status st = ISC_OK;
  ISC_TRY(begin(&h, "score"));
  isc_hash_str(&h, sample);
  add_class(&h, s->kernel_class);
  ISC_GO(add_group(&h, s, "kernel"));
  for (int64_t i = 0; i < s->n_features; i++) {
    char path[64];
    add_class(&h, s->feature[i].cls);
    snprintf(path, sizeof path, "features.[%lld]", (long long)i);
    ISC_GO(add_group(&h, s, path));
  }
  add_int(&h, s->evaluate.max_support);
  add_int(&h, s->evaluate.bootstrap);
  add_int(&h, s->evaluate.any_position);
  add_int(&h, s->evaluate.insight);
  add_floats(&h, &s->evaluate.epsilons);
  /* The score document holds the sample tables. */
  add_int(&h, s->report.table_sites);
  add_int(&h, s->report.table_samples);
done:
  end(&h, key);
  return st;
}

/* `before`: of what was compared up to here. The method's name and budget are shown. */
isc_status isc_key_compare(isc_study *s, const isc_study_method *m, const char before[33],
                           const char score[33], char key[33]) {
  isc_hash h;
  ISC_TRY(begin(&h, "compare"));
  isc_hash_str(&h, before);
  isc_hash_str(&h, score);
  isc_hash_str(&h, m->name);
  add_int(&h, m->budget);
  add_int(&h, s->evaluate.bootstrap);
  end(&h, key);
  return ISC_OK;
}

isc_status isc_key_report(isc_study *s, const char score[33], char key[33]) {
  isc_hash h;
  isc_status st = ISC_OK;
  ISC_TRY(begin(&h, "report"));
  isc_hash_str(&h, score);
  ISC_GO(add_group(&h, s, "report"));
  isc_hash_str(&h, s->name);
done:
  end(&h, key);
  return st;
}

isc_status isc_key_pretrain(isc_study *s, char key[33]) {
  isc_hash h;
  isc_status st = ISC_OK;
  ISC_TRY(begin(&h, "pretrain"));
  ISC_GO(add_device(&h, s));
  ISC_GO(add_group(&h, s, "pretrain"));
  ISC_GO(add_prior(&h, s));
done:
  end(&h, key);
  return st;
}
