/* SPDX-License-Identifier: Apache-2.0
 *
 * The score document (docs/report.md): everything a report shows, and nothing that differs between two runs of one
 * config, such as times.
 */
#include "model/safetensors.h"
#include "run/ablation.h"
#include "run/insight.h"
#include "run/scatter.h"
#include "run/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *hash_of(const char *hex) {
  return *hex ? isc_score_string(hex) : json_null();
}

/* Its parts into doc. */
static isc_status study_part(const isc_score *s, json_t *doc) {
  const isc_study *t = s->study;
  const isc_target_info *m = &t->target.info;
  isc_text example = {0};
  json_t *run = json_object(), *target = json_object(), *prior = json_object();
  json_object_set_new(doc, "run", run);
  json_object_set_new(doc, "target", target);
  json_object_set_new(doc, "prior", prior);
  json_object_set_new(run, "seed", isc_score_integer(t->run.seed));
  json_object_set_new(run, "device", isc_score_string(t->device->cls->name));
  json_object_set_new(target, "plugin", isc_score_string(t->target.cls->name));
  json_object_set_new(target, "hash", hash_of(t->target_hash));
  json_object_set_new(target, "n_layer", isc_score_integer(m->n_layer));
  json_object_set_new(target, "n_head", isc_score_integer(m->n_head));
  json_object_set_new(target, "d_model", isc_score_integer(m->d_model));
  json_object_set_new(target, "parameters", isc_score_integer(m->parameters));
  json_object_set_new(target, "position", isc_score_integer(t->target_settings.position));
  json_object_set_new(prior, "plugin", isc_score_string(t->prior_class->name));
  json_object_set_new(prior, "hash", hash_of(t->prior_hash));
  json_object_set_new(prior, "support",
                      s->support.n ? isc_score_integer(s->support.n) : json_null());
  json_object_set_new(prior, "train", isc_score_integer(t->n_train));
  json_object_set_new(prior, "test", isc_score_integer(t->n_test));
  const isc_status st = isc_study_text(t, ISC_TRAIN, 0, &example);
  if (st == ISC_OK) json_object_set_new(prior, "example", isc_score_string(example.data));
  isc_text_free(&example);
  return st;
}

static json_t *kernel_part(const isc_study *t) {
  static const char *const geometry[] = {"euclidean", "normalised", "angular"};
  const isc_kernel *k = t->site_kernel[0];
  json_t *j = json_object();
  json_object_set_new(j, "plugin", isc_score_string(k->name));
  json_object_set_new(j, "geometry", isc_score_string(geometry[k->ops->geometry(k->self)]));
  json_object_set_new(j, "epsilon", isc_score_number(k->ops->epsilon(k->self)));
  json_object_set_new(j, "band", isc_score_number(k->ops->band(k->self)));
  return j;
}

static json_t *method_part(const isc_study_method *m) {
  json_t *j = json_object();
  json_object_set_new(j, "name", isc_score_string(m->name));
  json_object_set_new(j, "plugin", isc_score_string(m->cls->name));
  json_object_set_new(j, "parameters",
                      m->ops->parameters ? isc_score_integer(m->ops->parameters(m->self))
                                         : json_null());
  return j;
}

static json_t *evaluate_part(const isc_study *t) {
  json_t *j = json_object();
  json_object_set_new(j, "conditions", isc_score_integer(t->n_conditions));
  json_object_set_new(j, "samples", isc_score_integer(t->evaluate.samples));
  json_object_set_new(j, "temperature", isc_score_number(t->evaluate.temperature));
  return j;
}

static json_t *unconditional_part(const isc_score *s) {
  int64_t valid = 0;
  const isc_samples *p = &s->samples;
  if (!p->n_unconditional || !s->study->prior.ops->log_prob) return json_null();
  for (int64_t j = 0; j < p->n_unconditional; j++)
    valid += s->log_p[p->unconditional[j]] > -INFINITY;
  json_t *j = json_object();
  json_object_set_new(j, "n", isc_score_integer(p->n_unconditional));
  json_object_set_new(j, "validity", isc_score_number((double)valid / (double)p->n_unconditional));
  return j;
}

static json_t *features_part(const isc_score *s) {
  json_t *list = json_array();
  for (int64_t f = 0; f < s->study->n_features; f++) {
    json_t *j = json_object();
    json_object_set_new(j, "name", isc_score_string(s->study->feature[f].name));
    json_object_set_new(j, "plugin", isc_score_string(s->study->feature[f].cls->name));
    json_object_set_new(j, "chance", isc_score_number(s->eval->chance[f].estimate));
    json_array_append_new(list, j);
  }
  return list;
}

static json_t *fcr_part(const isc_score *s, const isc_eval_site *site) {
  json_t *all = json_object();
  for (int64_t f = 0; f < s->study->n_features; f++) {
    json_t *of = json_object();
    for (int e = 0; e < ISC_ESTIMATORS; e++) {
      const isc_fcr *r = &site->fcr[f * ISC_ESTIMATORS + e];
      json_t *j = isc_score_interval(&r->rate);
      if (json_is_object(j)) json_object_set_new(j, "ess", isc_score_number(r->ess));
      json_object_set_new(of, isc_estimator_name((isc_estimator)e), j);
    }
    json_object_set_new(all, s->study->feature[f].name, of);
  }
  return all;
}

static const char *place_name(isc_place p) {
  static const char *const names[] = {"resid_pre", "head",    "attn_out",
                                      "resid_mid", "mlp_out", "resid_post"};
  return names[p];
}

static json_t *sites_part(const isc_score *s) {
  const isc_site_set *set = &s->study->sites;
  json_t *list = json_array();
  for (int64_t i = 0; i < set->n; i++) {
    const isc_eval_site *e = &s->eval->site[i];
    json_t *j = json_object(), *q = json_array();
    for (int k = 0; k < ISC_EVAL_QUANTILES; k++)
      json_array_append_new(q, isc_score_number(e->distance[k]));
    json_object_set_new(j, "name", isc_score_string(set->site[i].name));
    json_object_set_new(j, "place", isc_score_string(place_name(set->place[i])));
    json_object_set_new(j, "layer", isc_score_integer(set->layer[i]));
    json_object_set_new(j, "head", isc_score_integer(set->head[i]));
    json_object_set_new(j, "refusal", isc_score_interval(&e->refusal));
    json_object_set_new(j, "validity", isc_score_interval(&e->validity));
    json_object_set_new(j, "ball", e->ball.n ? isc_score_number(e->ball.estimate) : json_null());
    json_object_set_new(j, "distance", q);
    json_object_set_new(j, "fcr", fcr_part(s, e));
    json_array_append_new(list, j);
  }
  return list;
}

static json_t *summary_part(const isc_score *s) {
  json_t *j = json_object(), *features = json_object();
  const isc_eval *e = s->eval;
  json_object_set_new(j, "refusal", isc_score_number(e->refusal.estimate));
  json_object_set_new(j, "max_refusal",
                      e->worst >= 0 ? isc_score_number(e->site[e->worst].refusal.estimate)
                                    : json_null());
  json_object_set_new(j, "validity",
                      e->validity.n ? isc_score_number(e->validity.estimate) : json_null());
  for (int64_t f = 0; f < s->study->n_features; f++) {
    int64_t top[5];
    const int64_t n = isc_eval_top(e, f, ISC_FCR_REJECT, 5, top);
    json_t *of = json_object(), *names = json_array();
    for (int64_t k = 0; k < n; k++)
      json_array_append_new(names, isc_score_string(s->study->sites.site[top[k]].name));
    json_object_set_new(of, "top", names);
    json_object_set_new(of, "mean_error", isc_score_number(e->agreement[f].mean_error));
    json_object_set_new(of, "max_error", isc_score_number(e->agreement[f].max_error));
    json_object_set_new(features, s->study->feature[f].name, of);
  }
  json_object_set_new(j, "features", features);
  return j;
}

/* What a trainer says its noise was (noise_distances.safetensors in its stage directory). */
static isc_status noise_of_stage(const isc_score *s, const char *stage, json_t *list) {
  isc_status st = ISC_OK;
  char *path = NULL;
  float *d = NULL;
  double *x = NULL, q[ISC_EVAL_QUANTILES];
  isc_safetensors *f = NULL;
  ISC_GO(isc_study_path(s->study, &path, "%s%s/noise_distances.safetensors", s->run->method->below,
                        stage));
  if (!isc_exists(path)) goto done;
  ISC_GO(isc_st_open(path, &f));
  const isc_st_tensor *tensor = isc_st_find(f, "distance");
  if (!tensor) goto done;
  ISC_GO(isc_calloc((size_t)tensor->elements, sizeof *d, "noise distances", (void **)&d));
  ISC_GO(isc_calloc((size_t)tensor->elements, sizeof *x, "noise distances", (void **)&x));
  ISC_GO(isc_st_read_f32(f, tensor, 0, tensor->elements, d));
  for (int64_t i = 0; i < tensor->elements; i++)
    x[i] = (double)d[i];
  ISC_GO(isc_quantiles(tensor->elements, x, ISC_EVAL_QUANTILES, isc_eval_quantile, q));
  json_t *j = json_object(), *values = json_array();
  for (int i = 0; i < ISC_EVAL_QUANTILES; i++)
    json_array_append_new(values, isc_score_number(q[i]));
  json_object_set_new(j, "stage", isc_score_string(stage));
  json_object_set_new(j, "quantiles", values);
  json_array_append_new(list, j);
done:
  if (f) isc_st_close(f);
  free(path);
  free(d);
  free(x);
  return st;
}

static isc_status curve_part(const isc_score *s, const char *stage, json_t *list) {
  isc_curve c = {0};
  char *dir = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_study_path(s->study, &dir, "%s%s", s->run->method->below, stage));
  ISC_GO(isc_curve_read(&c, dir));
  json_t *j = json_object(), *names = json_array(), *points = json_array();
  for (int64_t i = 0; i < c.n_names; i++)
    json_array_append_new(names, isc_score_string(c.names[i]));
  for (int64_t k = 0; k < c.n; k++) {
    json_t *p = json_array();
    json_array_append_new(p, isc_score_integer(c.point[k].step));
    for (int64_t i = 0; i < c.n_names; i++)
      json_array_append_new(p, isc_score_number(c.point[k].value[i]));
    json_array_append_new(points, p);
  }
  json_object_set_new(j, "stage", isc_score_string(stage));
  json_object_set_new(j, "names", names);
  json_object_set_new(j, "points", points);
  json_array_append_new(list, j);
done:
  isc_curve_free(&c);
  free(dir);
  return st;
}

/* ---- sample tables: the paper's Table 1 for the most and the least consistent sites of each feature */

typedef struct ranked {
  double d;
  int64_t row;
} ranked;

static int by_distance(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  return x->d != y->d ? (x->d > y->d) - (x->d < y->d) : (x->row > y->row) - (x->row < y->row);
}

static json_t *labels_of(const isc_score *s, int32_t *const *label, int64_t at) {
  json_t *j = json_object();
  for (int64_t f = 0; f < s->study->n_features; f++) {
    const int32_t id = label[f][at];
    json_object_set_new(j, s->study->feature[f].name,
                        id == ISC_LABEL_NULL
                            ? json_null()
                            : isc_score_string(isc_labels_text(&s->judge.labels, id)));
  }
  return j;
}

static json_t *sample_row(const isc_score *s, int64_t site, ranked r) {
  const int64_t text = s->samples.text[r.row];
  const isc_kernel *k = s->study->site_kernel[site];
  const bool valid = !(s->log_p[text] == -INFINITY);
  json_t *j = json_object();
  json_object_set_new(j, "d", isinf(r.d) ? json_null() : isc_score_number(r.d));
  json_object_set_new(j, "text", isc_score_string(s->samples.string[text]));
  json_object_set_new(j, "valid", json_boolean(valid));
  json_object_set_new(j, "accepted", json_boolean(valid && r.d < k->ops->epsilon(k->self)));
  json_object_set_new(j, "labels", labels_of(s, s->label, text));
  return j;
}

static isc_status table(const isc_score *s, int64_t site, int64_t condition, const char *why,
                        const char *feature, json_t *list) {
  const int64_t n = s->samples.n_samples, first = (site * s->samples.n_conditions + condition) * n;
  ranked *r = NULL;
  char title[96];
  ISC_TRY(isc_calloc((size_t)n, sizeof *r, "sample table", (void **)&r));
  for (int64_t k = 0; k < n; k++)
    r[k] = (ranked){s->d[first + k], first + k};
  qsort(r, (size_t)n, sizeof *r, by_distance);
  json_t *j = json_object(), *rows = json_array();
  snprintf(title, sizeof title, "%s %s", why, feature);
  json_object_set_new(j, "site", isc_score_string(s->study->sites.site[site].name));
  json_object_set_new(j, "why", isc_score_string(title));
  json_object_set_new(j, "text", isc_score_string(s->condition_text[condition].data));
  json_object_set_new(j, "labels", labels_of(s, s->label_hat, condition));
  /* From the nearest to the farthest, as the paper's table: not the nearest alone. */
  const int64_t most = s->study->report.table_samples, shown = n < most ? n : most;
  for (int64_t k = 0; k < shown; k++)
    json_array_append_new(rows, sample_row(s, site, r[shown > 1 ? k * (n - 1) / (shown - 1) : 0]));
  json_object_set_new(j, "samples", rows);
  json_array_append_new(list, j);
  free(r);
  return ISC_OK;
}

static isc_status tables_part(const isc_score *s, json_t *list) {
  const int64_t n_sites = s->study->sites.n, most = s->study->report.table_sites;
  int64_t *top = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_calloc((size_t)n_sites, sizeof *top, "sample tables", (void **)&top));
  for (int64_t f = 0; f < s->study->n_features; f++) {
    const char *name = s->study->feature[f].name;
    const int64_t n = isc_eval_top(s->eval, f, ISC_FCR_REJECT, n_sites, top);
    for (int64_t k = 0; k < n && k < most; k++)
      ISC_GO(table(s, top[k], 0, "highest", name, list));
    for (int64_t k = n - 1; k >= 0 && k >= n - most && k >= most; k--)
      ISC_GO(table(s, top[k], 0, "lowest", name, list));
  }
done:
  free(top);
  return st;
}

isc_status isc_score_write(const isc_score *s, const char *path) {
  isc_status st = ISC_OK;
  const isc_study_method *m = s->run->method;
  char *text = NULL;
  json_t *doc = json_object(), *ablation, *curves, *tables, *noise;
  json_object_set_new(doc, "program", json_string("inversescope " PACKAGE_VERSION));
  ISC_GO(study_part(s, doc));
  json_object_set_new(doc, "kernel", kernel_part(s->study));
  json_object_set_new(doc, "method", method_part(m));
  json_object_set_new(doc, "evaluate", evaluate_part(s->study));
  json_object_set_new(doc, "unconditional", unconditional_part(s));
  json_object_set_new(doc, "features", features_part(s));
  json_object_set_new(doc, "sites", sites_part(s));
  json_object_set_new(doc, "summary", summary_part(s));
  json_object_set_new(doc, "insight", isc_insight_part(s, s->insight));
  json_object_set_new(doc, "scatter", isc_scatter_part(s, s->scatter));
  const isc_status ablated = isc_ablation_part(s, s->ablation, &ablation);
  json_object_set_new(doc, "ablation", ablation);
  ISC_GO(ablated);
  json_object_set_new(doc, "noise", noise = json_array());
  json_object_set_new(doc, "curves", curves = json_array());
  json_object_set_new(doc, "tables", tables = json_array());
  for (int64_t k = 0; isc_method_stage(m, k); k++) {
    ISC_GO(curve_part(s, isc_method_stage(m, k), curves));
    ISC_GO(noise_of_stage(s, isc_method_stage(m, k), noise));
  }
  ISC_GO(tables_part(s, tables));
  text = json_dumps(doc, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
  if (!text) {
    st = isc_fail(ISC_E_NOMEM, "%s: no memory to write it", path);
    goto done;
  }
  ISC_GO(isc_write_file(path, text, strlen(text)));
done:
  json_decref(doc);
  free(text);
  return st;
}
