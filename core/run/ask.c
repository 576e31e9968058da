/* SPDX-License-Identifier: Apache-2.0
 *
 * One question to a finished run: harvest the text, invert its activation, judge the samples.
 */
#include "run/ask.h"

#include "run/budget.h"
#include "run/judge.h"
#include "run/stage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void isc_answer_free(isc_answer *a) {
  for (int64_t i = 0; a->row && i < a->n; i++) {
    for (int64_t f = 0; a->row[i].label && f < a->n_features; f++)
      free(a->row[i].label[f]);
    free(a->row[i].text);
    free(a->row[i].label);
    free(a->row[i].match);
  }
  for (int64_t f = 0; f < a->n_features; f++) {
    if (a->feature) free(a->feature[f]);
    if (a->label) free(a->label[f]);
  }
  free(a->feature);
  free(a->label);
  free(a->row);
  free(a->site);
  memset(a, 0, sizeof *a);
}

static isc_status keep(void *user, int64_t row, int64_t j, const char *text, size_t len,
                       double log_q) {
  isc_answer *a = user;
  (void)row, (void)log_q;
  ISC_TRY(isc_malloc(len + 1, "sample", (void **)&a->row[j].text));
  memcpy(a->row[j].text, text, len);
  a->row[j].text[len] = 0;
  return ISC_OK;
}

static isc_status copy_label(const isc_judge *judge, int32_t id, char **out) {
  *out = NULL;
  return id == ISC_LABEL_NULL ? ISC_OK : isc_strdup(isc_labels_text(&judge->labels, id), out);
}

static isc_status answer_new(const isc_study *s, const isc_ask *ask, int64_t site, isc_answer *a) {
  const isc_kernel *k = s->site_kernel[site];
  a->epsilon = k->ops->epsilon(k->self);
  ISC_TRY(isc_strdup(s->sites.site[site].name, &a->site));
  ISC_TRY(
      isc_calloc((size_t)s->n_features + 1, sizeof *a->feature, "answer", (void **)&a->feature));
  ISC_TRY(isc_calloc((size_t)s->n_features + 1, sizeof *a->label, "answer", (void **)&a->label));
  a->n_features = s->n_features;
  for (int64_t f = 0; f < s->n_features; f++)
    ISC_TRY(isc_strdup(s->feature[f].name, &a->feature[f]));
  ISC_TRY(isc_calloc((size_t)ask->n, sizeof *a->row, "answer", (void **)&a->row));
  a->n = ask->n;
  return ISC_OK;
}

/* The full activation of the text asked about; the factor is in the judge's buffers. */
static isc_status invert(isc_study *s, const isc_study_method *m, const isc_judge *judge,
                         const isc_ask *ask, int64_t site, isc_answer *a) {
  float *z = NULL;
  ISC_TRY(isc_calloc((size_t)s->sites.site[site].dim, sizeof *z, "activation", (void **)&z));
  isc_site_expand(&s->sites.site[site], 1, judge->factor[site], z);
  const float *one = z;
  const uint64_t index = 0;
  const isc_invert req = {.size = sizeof req,
                          .n = 1,
                          .site = &site,
                          .z = &one,
                          .samples = ask->n,
                          .temperature =
                              ask->temperature < 0 ? s->evaluate.temperature : ask->temperature,
                          .seed = (uint64_t)(ask->seed < 0 ? s->run.seed : ask->seed),
                          .index = &index,
                          .batch = s->evaluate.batch,
                          .user = a,
                          .sample = keep};
  const isc_status st = m->ops->invert(m->self, &req);
  free(z);
  return st;
}

static isc_status judge_rows(isc_judge *judge, int64_t site, const float *y_hat,
                             const int32_t *label_hat, isc_answer *a) {
  const isc_study *s = judge->study;
  isc_verdicts v = {0};
  const char **text = NULL;
  size_t *len = NULL;
  isc_status st = ISC_OK;
  const int64_t w = judge->isometry[site].width;
  ISC_GO(isc_calloc((size_t)a->n, sizeof *text, "answer", (void **)&text));
  ISC_GO(isc_calloc((size_t)a->n, sizeof *len, "answer", (void **)&len));
  for (int64_t i = 0; i < a->n; i++)
    text[i] = a->row[i].text, len[i] = strlen(text[i]);
  ISC_GO(isc_judge_texts(judge, text, len, a->n, &v));
  for (int64_t i = 0; i < a->n; i++) {
    isc_answer_row *r = &a->row[i];
    r->d = v.unread[i] ? INFINITY : isc_judge_distance(judge, site, v.y[site] + i * w, y_hat);
    r->valid = !(v.log_p[i] == -INFINITY);
    r->accepted = r->valid && r->d < a->epsilon;
    ISC_GO(isc_calloc((size_t)s->n_features + 1, sizeof *r->label, "answer", (void **)&r->label));
    ISC_GO(isc_calloc((size_t)s->n_features + 1, sizeof *r->match, "answer", (void **)&r->match));
    for (int64_t f = 0; f < s->n_features; f++) {
      const int32_t id = v.label[i * s->n_features + f];
      r->match[f] = id != ISC_LABEL_NULL && id == label_hat[f];
      ISC_GO(copy_label(judge, id, &r->label[f]));
    }
  }
done:
  isc_verdicts_free(&v);
  free(text);
  free(len);
  return st;
}

static int by_distance(const void *x, const void *y) {
  const isc_answer_row *a = x, *b = y;
  return a->d != b->d ? (a->d > b->d) - (a->d < b->d) : strcmp(a->text, b->text);
}

static isc_status find_method(const isc_study *s, const char *name, const isc_study_method **out) {
  isc_sb have = {0};
  char *list = NULL;
  for (int64_t i = 0; i < s->n_methods; i++) {
    *out = &s->method[i];
    if (!name ? i == 0 : !strcmp(s->method[i].name, name)) return ISC_OK;
    isc_sb_addf(&have, "%s%s", i ? ", " : "", s->method[i].name);
  }
  ISC_TRY(isc_sb_finish(&have, &list));
  const isc_status st =
      isc_fail(ISC_E_USAGE, "%s: the run has no method \"%s\"; it has %s", s->dir, name, list);
  free(list);
  return st;
}

/* What a stage left may be of other settings than config.cfg's: the run that wrote that may have been stopped. */
static isc_status load_stage(isc_study *s, const isc_study_method *m, int64_t k,
                             const char key[33]) {
  const char *name = isc_method_stage(m, k);
  char *dir = NULL;
  ISC_TRY(isc_study_path(s, &dir, "%s%s", m->below, name));
  const isc_status st =
      isc_stage_is_done(dir, key)
          ? m->ops->load(m->self, k, dir)
          : isc_fail(ISC_E_MISSING,
                     "%s: stage %s%s is not finished with the settings of %s/config.cfg; run the "
                     "study first",
                     s->dir, m->below, name, s->dir);
  free(dir);
  return st;
}

static isc_status load_stages(isc_study *s, const isc_study_method *m) {
  char harvest[33], previous[33] = "";
  ISC_TRY(isc_key_harvest(s, harvest));
  for (int64_t k = 0; isc_method_stage(m, k); k++) {
    int64_t steps;
    char key[33];
    ISC_TRY(isc_budget_known(s, m, k, &steps));
    ISC_TRY(isc_key_method(s, m, k, steps, harvest, previous, key));
    ISC_TRY(load_stage(s, m, k, key));
    memcpy(previous, key, sizeof key);
  }
  return ISC_OK;
}

/* The harvest's own words about a text that the judge marked as unread. */
static isc_status refuse_text(const isc_judge *judge, const char *text, size_t len) {
  const isc_study *s = judge->study;
  const isc_harvest h = {.target = &s->target,
                         .sites = &s->sites,
                         .text = &text,
                         .len = &len,
                         .n = 1,
                         .position = s->target_settings.position,
                         .batch = 1,
                         .out = judge->factor};
  if (isc_harvest_run(&h, s->step) != ISC_OK)
    return isc_fail_in("%s: the target cannot read the text asked about", s->dir);
  return isc_fail(ISC_E_SHAPE, "%s: the target cannot read the text \"%s\"", s->dir, text);
}

static isc_status ask_study(isc_study *s, const isc_ask *ask, isc_answer *a) {
  isc_status st = ISC_OK;
  isc_judge judge = {0};
  isc_verdicts asked = {0};
  const char *text = ask->text;
  const size_t len = strlen(text);
  const isc_study_method *m = NULL;
  const int64_t site = isc_sites_find(&s->sites, ask->site);
  if (site < 0)
    return isc_fail(ISC_E_USAGE, "%s: the run has no site \"%s\"; it has %lld, from %s to %s",
                    s->dir, ask->site, (long long)s->sites.n, s->sites.site[0].name,
                    s->sites.site[s->sites.n - 1].name);
  ISC_TRY(find_method(s, ask->method, &m));
  ISC_TRY(load_stages(s, m));
  ISC_GO(isc_judge_open(s, &judge));
  ISC_GO(answer_new(s, ask, site, a));
  ISC_GO(isc_judge_texts(&judge, &text, &len, 1, &asked));
  if (asked.unread[0]) {
    st = refuse_text(&judge, text, len);
    goto done;
  }
  for (int64_t f = 0; f < s->n_features; f++)
    ISC_GO(copy_label(&judge, asked.label[f], &a->label[f]));
  ISC_GO(invert(s, m, &judge, ask, site, a));
  ISC_GO(judge_rows(&judge, site, asked.y[site], asked.label, a));
  qsort(a->row, (size_t)a->n, sizeof *a->row, by_distance);
done:
  isc_verdicts_free(&asked);
  isc_judge_close(&judge);
  return st;
}

isc_status isc_ask_run(const isc_ask *ask, isc_answer *out) {
  isc_study *s = NULL;
  char *config = NULL;
  isc_status st = ISC_OK;
  memset(out, 0, sizeof *out);
  ISC_GO(isc_path_join(ask->run_dir, "config.cfg", &config));
  if (!isc_exists(config)) {
    st = isc_fail(ISC_E_MISSING, "%s: not a run directory (it has no config.cfg)", ask->run_dir);
    goto done;
  }
  const isc_config_source source = {.path = config};
  ISC_GO(isc_study_open(&source, ask->run_dir, &s));
  ISC_GO(ask_study(s, ask, out));
done:
  if (st != ISC_OK) isc_answer_free(out);
  isc_study_close(s);
  free(config);
  return st;
}
