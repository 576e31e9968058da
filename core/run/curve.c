/* SPDX-License-Identifier: Apache-2.0
 *
 * Training curves: a few hundred points a stage, independent of interruptions.
 *
 * A resumed stage replays the steps since its checkpoint with the same values, so points at or past
 * a replayed step are replaced, and the file ends the same as in an undisturbed run.
 */
#include "run/stage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CURVE_POINTS = 400, MOST = 8 };

void isc_curve_free(isc_curve *c) {
  free(c->point);
  memset(c, 0, sizeof *c);
}

static isc_status push(isc_curve *c, const isc_curve_point *p) {
  if (c->n == c->cap) {
    const int64_t cap = c->cap ? 2 * c->cap : 256;
    ISC_TRY(isc_realloc((void **)&c->point, (size_t)cap, sizeof *c->point, "training curve"));
    c->cap = cap;
  }
  c->point[c->n++] = *p;
  return ISC_OK;
}

isc_status isc_curve_add(isc_curve *c, int64_t done, int64_t total, const isc_metric *m,
                         int64_t n) {
  const int64_t every = total > CURVE_POINTS ? total / CURVE_POINTS : 1;
  while (c->n > 0 && c->point[c->n - 1].step >= done)
    c->n--;
  if (n > MOST) n = MOST;
  if (!c->n_common) c->n_common = n;
  /* A metric that only some steps have is never thinned away. */
  if (done != total && done % every != 0 && n <= c->n_common) return ISC_OK;
  isc_curve_point p = {.step = done};
  for (int64_t i = 0; i < MOST; i++)
    p.value[i] = i < n ? m[i].value : NAN;
  for (int64_t i = 0; i < n; i++)
    snprintf(c->names[i], sizeof c->names[i], "%s", m[i].name);
  if (n > c->n_names) c->n_names = n;
  return push(c, &p);
}

isc_status isc_curve_write(const isc_curve *c, const char *dir) {
  isc_sb b = {0};
  char *text = NULL, *path = NULL;
  isc_status st = ISC_OK;
  isc_sb_add(&b, "step");
  for (int64_t i = 0; i < c->n_names; i++)
    isc_sb_addf(&b, ",%s", c->names[i]);
  isc_sb_add(&b, "\n");
  for (int64_t k = 0; k < c->n; k++) {
    isc_sb_addf(&b, "%lld", (long long)c->point[k].step);
    for (int64_t i = 0; i < c->n_names; i++)
      isc_sb_addf(&b, ",%.9g", c->point[k].value[i]);
    isc_sb_add(&b, "\n");
  }
  ISC_GO(isc_sb_finish(&b, &text));
  ISC_GO(isc_path_join(dir, "curve.csv", &path));
  ISC_GO(isc_write_file(path, text, strlen(text)));
done:
  free(text);
  free(path);
  return st;
}

static void read_header(isc_curve *c, char *line) {
  char *save = NULL;
  strtok_r(line, ",", &save);
  for (char *name; c->n_names < MOST && (name = strtok_r(NULL, ",", &save));)
    snprintf(c->names[c->n_names++], sizeof c->names[0], "%s", name);
}

isc_status isc_curve_read(isc_curve *c, const char *dir) {
  isc_status st = ISC_OK;
  char *path = NULL, *text = NULL, *save = NULL;
  size_t len = 0;
  isc_curve_free(c);
  ISC_GO(isc_path_join(dir, "curve.csv", &path));
  if (!isc_exists(path)) goto done;
  ISC_GO(isc_read_file(path, 16u << 20, &text, &len));
  char *line = strtok_r(text, "\n", &save);
  if (line) read_header(c, line);
  while ((line = strtok_r(NULL, "\n", &save))) {
    isc_curve_point p = {.step = strtoll(line, &line, 10)};
    for (int64_t i = 0; i < MOST; i++)
      p.value[i] = i < c->n_names && *line == ',' ? strtod(line + 1, &line) : NAN;
    ISC_GO(push(c, &p));
  }
done:
  free(path);
  free(text);
  return st;
}
