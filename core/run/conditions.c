/* SPDX-License-Identifier: Apache-2.0
 *
 * Conditions to and from their file.
 */
#include "run/conditions.h"

#include "base/base.h"
#include "model/safetensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *isc_convention_position(isc_convention c) {
  return c < ISC_ANY_KERNEL ? "fixed" : "any";
}

const char *isc_convention_distance(isc_convention c) {
  static const char *const names[] = {"kernel", "cosine", "l2"};
  return names[(int)c % 3];
}

enum { TABLES = ISC_CONVENTIONS + 4, BY_SITE = ISC_CONVENTIONS + 2 };

typedef struct table {
  char name[32];
  float **at;
  int32_t ndim;
  int64_t shape[3];
} table;

/* The tables of a file in their order. */
static void tables(isc_conditions *c, table t[TABLES]) {
  static const char *const names[] = {"validity", "copies", "fcr.reject", "fcr.exact"};
  float **const more[] = {&c->validity, &c->copies, &c->reject, &c->exact};
  for (int i = 0; i < TABLES; i++) {
    const bool refusal = i < ISC_CONVENTIONS, by_feature = i >= BY_SITE;
    t[i] = (table){.ndim = by_feature ? 3 : 2,
                   .at = refusal ? &c->refusal[i] : more[i - ISC_CONVENTIONS]};
    if (by_feature)
      memcpy(t[i].shape, (int64_t[]){c->n_features, c->n_sites, c->n}, sizeof t[i].shape);
    else
      memcpy(t[i].shape, (int64_t[]){c->n_sites, c->n, 1}, sizeof t[i].shape);
    if (refusal)
      snprintf(t[i].name, sizeof t[i].name, "refusal.%s.%s",
               isc_convention_position((isc_convention)i),
               isc_convention_distance((isc_convention)i));
    else
      snprintf(t[i].name, sizeof t[i].name, "%s", names[i - ISC_CONVENTIONS]);
  }
}

static int64_t size_of(const table *t) {
  return t->shape[0] * t->shape[1] * t->shape[2];
}

isc_status isc_conditions_new(int64_t n_sites, int64_t n_features, int64_t n, isc_conditions *out) {
  table t[TABLES];
  *out = (isc_conditions){.n_sites = n_sites, .n_features = n_features, .n = n};
  tables(out, t);
  ISC_TRY(isc_calloc((size_t)n, sizeof *out->text, "conditions", (void **)&out->text));
  for (int i = 0; i < TABLES; i++) {
    const int64_t size = size_of(&t[i]);
    ISC_TRY(isc_calloc((size_t)size + 1, sizeof **t[i].at, "conditions", (void **)t[i].at));
    for (int64_t k = 0; k < size; k++)
      (*t[i].at)[k] = NAN;
  }
  return ISC_OK;
}

void isc_conditions_free(isc_conditions *c) {
  table t[TABLES];
  tables(c, t);
  for (int i = 0; i < TABLES; i++)
    free(*t[i].at);
  free(c->text);
  *c = (isc_conditions){0};
}

isc_status isc_conditions_write(const isc_conditions *c, const char *path) {
  isc_conditions copy = *c;
  table t[TABLES];
  isc_st_writer *w = NULL;
  isc_status st = ISC_OK;
  tables(&copy, t);
  ISC_TRY(isc_st_writer_new(path, &w));
  ISC_GO(isc_st_writer_declare(w, "text", ISC_ST_I64, 1, &c->n));
  for (int i = 0; i < TABLES; i++)
    ISC_GO(isc_st_writer_declare(w, t[i].name, ISC_ST_F32, t[i].ndim, t[i].shape));
  ISC_GO(isc_st_writer_data(w, c->text, (size_t)c->n * sizeof *c->text));
  for (int i = 0; i < TABLES; i++)
    ISC_GO(isc_st_writer_data(w, *t[i].at, (size_t)size_of(&t[i]) * sizeof(float)));
  return isc_st_writer_commit(w);
done:
  isc_st_writer_abandon(w);
  return st;
}

static isc_status wrong(const char *path, const char *name) {
  return isc_fail(ISC_E_FORMAT,
                  "%s: tensor \"%s\" is missing, or not of the run's sites and features", path,
                  name);
}

static isc_status check_table(const isc_safetensors *f, const char *path, const table *t) {
  const isc_st_tensor *have = isc_st_find(f, t->name);
  if (have && have->dtype == ISC_ST_F32 && have->ndim == t->ndim &&
      !memcmp(have->shape, t->shape, (size_t)t->ndim * sizeof *t->shape))
    return ISC_OK;
  return wrong(path, t->name);
}

static isc_status read_table(const isc_safetensors *f, const char *path, const table *t) {
  const float *x = *t->at;
  const int64_t n = size_of(t);
  ISC_TRY(isc_st_read_f32(f, isc_st_find(f, t->name), 0, n, *t->at));
  for (int64_t k = 0; k < n; k++)
    if (!isnan(x[k]) && !(x[k] >= 0 && x[k] <= 1))
      return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\" holds %g, which is no share from 0 to 1",
                      path, t->name, (double)x[k]);
  return ISC_OK;
}

/* What the file has is known to be as large as it says before anything is made for it. */
static isc_status check_tables(const isc_safetensors *f, const char *path, isc_conditions *of) {
  const isc_st_tensor *text = isc_st_find(f, "text");
  table t[TABLES];
  if (!text || text->dtype != ISC_ST_I64 || text->ndim != 1 || text->shape[0] < 1)
    return wrong(path, "text");
  of->n = text->shape[0];
  tables(of, t);
  for (int i = 0; i < TABLES; i++)
    ISC_TRY(check_table(f, path, &t[i]));
  return ISC_OK;
}

isc_status isc_conditions_read(const char *path, int64_t n_sites, int64_t n_features,
                               isc_conditions *out) {
  isc_safetensors *f = NULL;
  isc_status st = ISC_OK;
  isc_conditions shape = {.n_sites = n_sites, .n_features = n_features};
  table t[TABLES];
  *out = (isc_conditions){0};
  ISC_TRY(isc_st_open(path, &f));
  ISC_GO(check_tables(f, path, &shape));
  ISC_GO(isc_conditions_new(n_sites, n_features, shape.n, out));
  ISC_GO(isc_st_read_i64(f, isc_st_find(f, "text"), 0, out->n, out->text));
  tables(out, t);
  for (int i = 0; i < TABLES; i++)
    ISC_GO(read_table(f, path, &t[i]));
done:
  isc_st_close(f);
  return st;
}
