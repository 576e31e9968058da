/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance check of a target against numbers from elsewhere: the case's golden file.
 *
 * A safetensors file with `ids` [n, len] (any integer type), optionally `length` [n] for right-padded
 * rows, and any of: the places' names ("resid_pre.0", "heads.3", "attn_out.0", "resid_mid.1", "mlp_out.1",
 * "resid_post.1") [n, len, width], `hidden` [n, len, d_model], `logits` [n, len, vocab]. The metadata `tolerance` is
 * relative to the largest element of a row; 1e-4 without it.
 */
#include "conform/target_use.h"
#include "model/safetensors.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct golden {
  isc_subject *s;
  isc_safetensors *file;
  double tolerance;
  int64_t n, len;
  int64_t *length; /* [n]      */
  int32_t *ids;    /* [n, len] */
  isc_pass pass;
} golden;

static isc_status wrong(const golden *g, const char *name, const char *how) {
  return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\" %s", g->s->c->cs->golden, name, how);
}

static isc_status read_ids(golden *g) {
  const isc_st_tensor *ids = isc_st_find(g->file, "ids"), *length = isc_st_find(g->file, "length");
  void *wide = NULL;
  isc_status st = ISC_OK;
  if (!ids || ids->ndim != 2) return wrong(g, "ids", "is missing or not [n, len]");
  g->n = ids->shape[0];
  g->len = ids->shape[1];
  if (length && (length->ndim != 1 || length->shape[0] != g->n))
    return wrong(g, "length", "is not [n]");
  ISC_TRY(isc_calloc((size_t)g->n, sizeof *g->length, "lengths", (void **)&g->length));
  ISC_TRY(isc_calloc((size_t)ids->elements, sizeof *g->ids, "ids", (void **)&g->ids));
  ISC_GO(isc_calloc((size_t)ids->elements, sizeof(int64_t), "ids", &wide));
  ISC_GO(isc_st_read_i64(g->file, ids, 0, ids->elements, wide));
  for (int64_t i = 0; i < ids->elements; i++)
    g->ids[i] = (int32_t)((int64_t *)wide)[i];
  for (int64_t i = 0; i < g->n; i++)
    g->length[i] = g->len;
  if (length) ISC_GO(isc_st_read_i64(g->file, length, 0, g->n, g->length));
done:
  free(wide);
  return st;
}

static int64_t entry_named(const golden *g, const char *name) {
  for (int64_t e = 0; e < g->pass.entries; e++)
    if (strcmp(isc_pass_name(g->s, e), name) == 0) return e;
  return -1;
}

static isc_status same_row(const golden *g, int64_t entry, int64_t row, const float *want) {
  int64_t width = g->pass.width[entry];
  const float *got = g->pass.at[entry] + row * width;
  double most = 0;
  for (int64_t j = 0; j < width; j++)
    most = fmax(most, fabs((double)want[j]));
  for (int64_t j = 0; j < width; j++)
    if (!(fabs((double)got[j] - (double)want[j]) <= g->tolerance * most))
      return isc_fail(
          ISC_E_INTERNAL,
          "%s, sequence %lld, position %lld, element %lld is %.9g; %s says %.9g, and it "
          "may be off by %.3g",
          isc_pass_name(g->s, entry), (long long)(row / g->len), (long long)(row % g->len),
          (long long)j, (double)got[j], g->s->c->cs->golden, (double)want[j], g->tolerance * most);
  return ISC_OK;
}

static isc_status same_tensor(const golden *g, const isc_st_tensor *t) {
  int64_t entry = entry_named(g, t->name), width;
  void *want = NULL;
  isc_status st = ISC_OK;
  if (entry < 0 || !g->pass.at[entry]) return wrong(g, t->name, "names no place of this target");
  width = g->pass.width[entry];
  if (t->ndim != 3 || t->shape[0] != g->n || t->shape[1] != g->len || t->shape[2] != width)
    return wrong(g, t->name, "is not [n, len, width] with this target's width");
  ISC_GO(isc_calloc((size_t)width, sizeof(float), "a row", &want));
  for (int64_t row = 0; row < g->n * g->len; row++) {
    if (row % g->len >= g->length[row / g->len]) continue;
    ISC_GO(isc_st_read_f32(g->file, t, row * width, width, want));
    ISC_GO(same_row(g, entry, row, want));
  }
done:
  free(want);
  return st;
}

static isc_status compare(golden *g) {
  const char *tolerance = isc_st_metadata(g->file, "tolerance");
  int64_t compared = 0;
  g->tolerance = 1e-4;
  if (tolerance && !(isc_text_double(tolerance, &g->tolerance) && g->tolerance >= 0))
    return isc_fail(ISC_E_FORMAT, "%s: its tolerance \"%s\" is no number", g->s->c->cs->golden,
                    tolerance);
  ISC_TRY(read_ids(g));
  ISC_TRY(isc_pass_plain(g->s, g->ids, g->n, g->len, &g->pass));
  for (int64_t i = 0; i < isc_st_count(g->file); i++) {
    const isc_st_tensor *t = isc_st_at(g->file, i);
    if (!strcmp(t->name, "ids") || !strcmp(t->name, "length")) continue;
    ISC_TRY(same_tensor(g, t));
    compared++;
  }
  return compared ? ISC_OK : wrong(g, "logits", "is missing, and so is every place");
}

static isc_status run_golden(isc_subject *s) {
  golden g = {.s = s};
  if (!s->c->cs->golden)
    return isc_conform_skip(s->c, "the case names no golden file; see "
                                  "docs/conformance.md#target-golden");
  isc_status st = isc_st_open(s->c->cs->golden, &g.file);
  if (st == ISC_OK) st = compare(&g);
  isc_st_close(g.file);
  isc_pass_free(&g.pass);
  free(g.length);
  free(g.ids);
  return st;
}

static isc_status against_golden(isc_conform *c) {
  return isc_with_subject(c, run_golden);
}

const isc_check isc_checks_target_golden[] = {
    {"target.golden", ISC_OF(ISC_TARGET), ISC_PER_CASE, 60,
     "Places, hidden and logits agree with the case's golden file: safetensors with `ids` [n, "
     "len], "
     "optionally `length` [n] for right-padded rows, and any of `resid_post.1` and the like [n, "
     "len, "
     "width], `hidden` and `logits`; within the metadata's `tolerance` of a row's largest element, "
     "1e-4 "
     "without it.",
     "Make the file with the model's own implementation in float32 or better; the first place that "
     "differs tells which part to look at.",
     against_golden},
    {0}};
