/* SPDX-License-Identifier: Apache-2.0
 *
 * The points of each panel, from the run's samples and from the noisy ones, and the curve through them.
 */
#include "run/scatter.h"

#include "eval/smooth.h"

#include <math.h>
#include <stdlib.h>

enum { HIGHEST = 2, LOWEST = 1 }; /* sites shown of a feature */

void isc_scatter_close(isc_scatter *sc) {
  if (!sc) return;
  for (int64_t i = 0; i < sc->n; i++)
    free(sc->panel[i].point);
  free(sc->panel);
  free(sc);
}

/* ---- which sites */

static void add_panel(isc_scatter *sc, int64_t site, int64_t feature, const char *why) {
  sc->panel[sc->n++] = (isc_scatter_panel){.site = site, .feature = feature, .why = why};
}

static isc_status choose(const isc_score *s, isc_scatter *sc) {
  const int64_t n_sites = s->study->sites.n, n_features = s->study->n_features;
  int64_t *top = NULL;
  isc_status st;
  ISC_GO(isc_calloc((size_t)n_features, (HIGHEST + LOWEST) * sizeof *sc->panel, "scatter panels",
                    (void **)&sc->panel));
  ISC_GO(isc_calloc((size_t)n_sites, sizeof *top, "ranks of sites", (void **)&top));
  for (int64_t f = 0; f < n_features; f++) {
    const int64_t n = isc_eval_top(s->eval, f, ISC_FCR_REJECT, n_sites, top);
    for (int64_t k = 0; k < n && k < HIGHEST; k++)
      add_panel(sc, top[k], f, "highest");
    for (int64_t k = n - 1; k >= HIGHEST && k >= n - LOWEST; k--)
      add_panel(sc, top[k], f, "lowest");
  }
done:
  free(top);
  return st;
}

/* ---- points */

static isc_status add_point(isc_scatter_panel *p, isc_scatter_point point) {
  if (p->n == p->room) {
    const int64_t room = p->room ? 2 * p->room : 1024;
    ISC_TRY(isc_realloc((void **)&p->point, (size_t)room, sizeof *p->point, "scatter points"));
    p->room = room;
  }
  p->point[p->n++] = point;
  return ISC_OK;
}

/* A text that could not be read, or is not of the prior, is no point; nor is one of an x̂ without a label. */
static isc_status consider(isc_scatter_panel *p, double d, double log_p, int32_t label,
                           int32_t label_hat, double noise) {
  if (!isfinite(d) || log_p == -INFINITY || label_hat == ISC_LABEL_NULL) return ISC_OK;
  return add_point(p, (isc_scatter_point){d, noise, label == label_hat});
}

static isc_status own_points(const isc_score *s, isc_scatter_panel *p) {
  const isc_kernel *k = s->study->site_kernel[p->site];
  const int64_t n = s->samples.n_samples, w = s->judge.isometry[p->site].width;
  for (int64_t c = 0; c < s->study->n_conditions; c++) {
    const double norm = isc_norm(w, s->condition.y[p->site] + c * w);
    for (int64_t j = 0; j < n; j++) {
      const int64_t row = (p->site * s->study->n_conditions + c) * n + j,
                    text = s->samples.text[row];
      const isc_sample_distance *of = &s->distance[row];
      const isc_separation z = {of->angular, of->norm_ratio, of->normalised};
      const double d = isc_separation_distance(&z, k->ops->geometry(k->self), 0, norm);
      ISC_TRY(consider(p, d, s->log_p[text], s->label[p->feature][text],
                       s->label_hat[p->feature][c], 0));
    }
  }
  return ISC_OK;
}

/* ---- the noisy samples: judged piece by piece, as only their points are kept */

typedef struct noisy {
  isc_score *s;
  isc_scatter *sc;
  isc_samples samples;
  int64_t *start, *order; /* rows by text */
  double *d;              /* [panels, conditions, draws], NaN = no point */
  bool *match;
} noisy;

static void judge_row(noisy *q, int64_t row, const isc_verdicts *v, int64_t at) {
  const isc_score *s = q->s;
  const int64_t per_site = q->samples.n_conditions * q->samples.n_samples, site = row / per_site,
                c = row % per_site / q->samples.n_samples, w = s->judge.isometry[site].width;
  const isc_kernel *k = s->study->site_kernel[site];
  for (int64_t i = 0; i < q->sc->n; i++) {
    const isc_scatter_panel *p = &q->sc->panel[i];
    const int64_t slot = i * per_site + row % per_site;
    if (p->site != site) continue;
    const int32_t want = s->label_hat[p->feature][c];
    q->d[slot] = NAN;
    if (v->unread[at] || v->log_p[at] == -INFINITY || want == ISC_LABEL_NULL) continue;
    q->d[slot] = isc_distance(k->ops->geometry(k->self), 0, w, v->y[site] + at * w,
                              s->condition.y[site] + c * w);
    q->match[slot] = v->label[at * s->study->n_features + p->feature] == want;
  }
}

static isc_status judge_noisy(noisy *q) {
  isc_score *s = q->s;
  const int64_t n_texts = q->samples.n_texts, piece = isc_study_piece(s->study);
  isc_verdicts v = {0};
  isc_status st = ISC_OK;
  for (int64_t t0 = 0; t0 < n_texts; t0 += piece) {
    const int64_t n = n_texts - t0 < piece ? n_texts - t0 : piece;
    ISC_GO(isc_judge_texts(&s->judge, (const char *const *)q->samples.string + t0,
                           q->samples.len + t0, n, &v));
    for (int64_t i = 0; i < n; i++)
      for (int64_t k = q->start[t0 + i]; k < q->start[t0 + i + 1]; k++)
        judge_row(q, q->order[k], &v, i);
    ISC_GO(isc_stage_progress(s->run, t0 + n, n_texts, NULL, 0));
    ISC_GO(isc_stage_check(s->run));
  }
done:
  isc_verdicts_free(&v);
  return st;
}

static isc_status noisy_points(noisy *q) {
  const isc_list *scale = &q->s->study->evaluate.scatter_noise;
  const int64_t each = q->s->study->evaluate.samples,
                per_site = q->samples.n_conditions * q->samples.n_samples;
  for (int64_t i = 0; i < q->sc->n; i++)
    for (int64_t r = 0; r < per_site; r++) {
      const int64_t at = i * per_site + r, k = r % q->samples.n_samples / each;
      if (!isfinite(q->d[at])) continue;
      ISC_TRY(
          add_point(&q->sc->panel[i], (isc_scatter_point){q->d[at], scale->at.f[k], q->match[at]}));
    }
  return ISC_OK;
}

static isc_status check_shape(const noisy *q, const char *path) {
  const isc_study *t = q->s->study;
  const isc_samples *p = &q->samples;
  if (p->n_sites == t->sites.n && p->n_conditions <= t->n_conditions &&
      p->n_samples == t->evaluate.samples * t->evaluate.scatter_noise.count)
    return ISC_OK;
  return isc_fail(ISC_E_SHAPE, "%s: %lld sites x %lld conditions x %lld draws are not this run's",
                  path, (long long)p->n_sites, (long long)p->n_conditions, (long long)p->n_samples);
}

static isc_status add_noisy(isc_score *s, isc_scatter *sc) {
  noisy q = {.s = s, .sc = sc};
  char *path = NULL;
  size_t slots;
  isc_status st;
  ISC_GO(isc_study_path(s->study, &path, "%ssample/" ISC_SCATTER_FILE, s->run->method->below));
  ISC_GO(isc_samples_read(path, &q.samples));
  ISC_GO(check_shape(&q, path));
  ISC_GO(isc_score_rows_by_text(&q.samples, &q.start, &q.order));
  ISC_GO(isc_mul_size((size_t)sc->n, (size_t)(q.samples.n_conditions * q.samples.n_samples),
                      "scatter points", &slots));
  ISC_GO(isc_calloc(slots, sizeof *q.d, "scatter points", (void **)&q.d));
  ISC_GO(isc_calloc(slots, sizeof *q.match, "scatter points", (void **)&q.match));
  ISC_GO(judge_noisy(&q));
  ISC_GO(noisy_points(&q));
done:
  isc_samples_free(&q.samples);
  free(path);
  free(q.start);
  free(q.order);
  free(q.d);
  free(q.match);
  return st;
}

/* ---- curves */

/* d is skewed, most of it near 0: where points are few the bandwidth reaches out to a fixed number of them. */
static isc_status curve(isc_scatter_panel *p) {
  double *x = NULL, *y = NULL;
  isc_status st;
  ISC_GO(isc_calloc((size_t)p->n, sizeof *x, "scatter points", (void **)&x));
  ISC_GO(isc_calloc((size_t)p->n, sizeof *y, "scatter points", (void **)&y));
  for (int64_t i = 0; i < p->n; i++) {
    x[i] = p->point[i].d;
    y[i] = p->point[i].match;
  }
  ISC_GO(isc_smooth_bandwidth(p->n, x, &p->bandwidth));
  ISC_GO(isc_quantiles(p->n, x, 1, (const double[]){0.99}, &p->reach));
  /* What is finer than the curve's own steps would come out at random. */
  if (p->bandwidth > 0) p->bandwidth = fmax(p->bandwidth, p->reach / (ISC_SCATTER_CURVE - 1));
  for (int k = 0; k < ISC_SCATTER_CURVE; k++) {
    const double at = p->reach * k / (ISC_SCATTER_CURVE - 1);
    double h = 0;
    p->rate[k] = NAN;
    if (p->n < ISC_SCATTER_NEAREST || !(p->bandwidth > 0)) continue;
    ISC_GO(isc_smooth_nearest(p->n, x, at, ISC_SCATTER_NEAREST, &h));
    if (h > p->reach / ISC_SCATTER_FAR) continue;
    p->rate[k] = isc_smooth_at(p->n, x, y, NULL, fmax(h, p->bandwidth), at, &p->ess[k]);
  }
done:
  free(x);
  free(y);
  return st;
}

static isc_status find(isc_score *s, isc_scatter *sc) {
  ISC_TRY(choose(s, sc));
  for (int64_t i = 0; i < sc->n; i++)
    ISC_TRY(own_points(s, &sc->panel[i]));
  if (s->study->evaluate.scatter_noise.count) ISC_TRY(add_noisy(s, sc));
  for (int64_t i = 0; i < sc->n; i++)
    ISC_TRY(curve(&sc->panel[i]));
  return ISC_OK;
}

isc_status isc_scatter_find(isc_score *s, isc_scatter **out) {
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof **out, "scatter", (void **)out));
  const isc_status st = find(s, *out);
  if (st != ISC_OK) {
    isc_scatter_close(*out);
    *out = NULL;
  }
  return st;
}
