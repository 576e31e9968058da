/* SPDX-License-Identifier: Apache-2.0
 *
 * Problems for operations that look rows up: embedding, gather and scatter_add.
 */
#include "conform/ops.h"
#include <string.h>

#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

/* ---- embedding */

/* rows, d, vocab, positions (0 = no position table) */
static const int64_t EMBEDS[][4] = {{6, 9, 10, 3},     {1, 1, 1, 1},      {7, 17, 5, 0},
                                    {300, 33, 50, 20}, {900, 130, 7, 31}, {0, 4, 3, 2},
                                    {3, 0, 3, 2}};

static isc_status make_ids(isc_bench *b, const char *name, int64_t n, int64_t below,
                           const int32_t **out) {
  ISC_TRY(isc_bench_array_new(b, name, ISC_BENCH_IN, ISC_BENCH_I32, n, out));
  for (int64_t i = 0; i < n; i++) /* repeats, the first and the last */
    ((int32_t *)(uintptr_t)*out)[i] = (int32_t)(i % 3 == 2 ? below - 1 : i * 7 / 2 % below);
  return ISC_OK;
}

static isc_status make_tables(isc_bench *b, const char *op, int64_t variant, isc_op_call *out) {
  const int64_t *shape = EMBEDS[variant];
  isc_embed a = {.rows = shape[0], .d = shape[1], .vocab = shape[2], .n_ctx = shape[3]};
  isc_bench_begin(b, op, "%lld rows of %lld from tables of %lld and %lld", (long long)a.rows,
                  (long long)a.d, (long long)a.vocab, (long long)a.n_ctx);
  ISC_TRY(make_ids(b, "id", a.rows, a.vocab, &a.id));
  if (a.n_ctx) ISC_TRY(make_ids(b, "pos", a.rows, a.n_ctx, &a.pos));
  out->embed = a;
  return ISC_OK;
}

static isc_status make_embed(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  (void)alias;
  ISC_TRY(make_tables(b, "embed", variant, out));
  isc_embed *a = &out->embed;
  ISC_TRY(isc_bench_array_new(b, "wte", ISC_BENCH_IN, ISC_BENCH_F32, a->vocab * a->d, &a->wte));
  if (a->pos)
    ISC_TRY(isc_bench_array_new(b, "wpe", ISC_BENCH_IN, ISC_BENCH_F32, a->n_ctx * a->d, &a->wpe));
  return isc_bench_array_new(b, "out", ISC_BENCH_OUT, ISC_BENCH_F32, a->rows * a->d, &a->out);
}

static isc_status make_embed_grad(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  (void)alias;
  ISC_TRY(make_tables(b, "embed_grad", variant, out));
  isc_embed *a = &out->embed;
  int64_t table = a->vocab * a->d, places = a->n_ctx * a->d;
  ISC_TRY(isc_bench_array_new(b, "dout", ISC_BENCH_IN, ISC_BENCH_F32, a->rows * a->d, &a->dout));
  if (variant != 4)
    ISC_TRY(isc_bench_array_new(b, "dwte", ISC_BENCH_INOUT, ISC_BENCH_F32, table, &a->dwte));
  if (!a->pos) return ISC_OK;
  return isc_bench_array_new(b, "dwpe", ISC_BENCH_INOUT, ISC_BENCH_F32, places, &a->dwpe);
}

/* A scale, and every second table of bf16. */
static isc_status make_scaled(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  isc_embed *a = &out->embed;
  (void)alias;
  ISC_TRY(make_tables(b, "embed", variant / 2, out));
  a->wte_dtype = variant % 2 ? ISC_BF16 : ISC_F32;
  a->scale = variant % 4 == 1 ? 0 : 11.3f;
  isc_bench_type type = variant % 2 ? ISC_BENCH_BF16 : ISC_BENCH_F32;
  size_t used = strlen(b->shape);
  snprintf(b->shape + used, sizeof b->shape - used, "%s, scale %g", variant % 2 ? ", bf16" : "",
           (double)a->scale);
  ISC_TRY(isc_bench_array_new(b, "wte", ISC_BENCH_IN, type, a->vocab * a->d, &a->wte));
  if (a->pos)
    ISC_TRY(isc_bench_array_new(b, "wpe", ISC_BENCH_IN, ISC_BENCH_F32, a->n_ctx * a->d, &a->wpe));
  return isc_bench_array_new(b, "out", ISC_BENCH_OUT, ISC_BENCH_F32, a->rows * a->d, &a->out);
}

static isc_status make_scaled_grad(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  size_t used;
  ISC_TRY(make_embed_grad(b, variant, alias, out));
  out->embed.scale = 11.3f;
  used = strlen(b->shape);
  snprintf(b->shape + used, sizeof b->shape - used, ", scale %g", (double)out->embed.scale);
  return ISC_OK;
}

static isc_embed embed_at(const isc_bench *b, const isc_op_call *call) {
  isc_embed a = call->embed;
  a.id = isc_bench_at(b, a.id);
  a.pos = isc_bench_at(b, a.pos);
  a.wte = isc_bench_at(b, a.wte);
  a.wpe = isc_bench_at(b, a.wpe);
  a.out = isc_bench_at(b, a.out);
  a.dout = isc_bench_at(b, a.dout);
  a.dwte = isc_bench_at(b, a.dwte);
  a.dwpe = isc_bench_at(b, a.dwpe);
  return a;
}

static isc_status run_embed(isc_bench *b, const isc_op_call *call) {
  isc_embed a = embed_at(b, call);
  return b->dev->ops->embed(b->dev->impl, &a);
}

static isc_status run_embed_grad(isc_bench *b, const isc_op_call *call) {
  isc_embed a = embed_at(b, call);
  return b->dev->ops->embed_grad(b->dev->impl, &a);
}

static isc_status expect_embed(isc_bench *b, const isc_op_call *call) {
  isc_exact *out;
  ISC_TRY(isc_bench_want(b, call->embed.out, &out));
  isc_reference_embed(&call->embed, out);
  return ISC_OK;
}

static isc_status expect_embed_grad(isc_bench *b, const isc_op_call *call) {
  isc_exact *dwte, *dwpe;
  ISC_TRY(isc_bench_want(b, call->embed.dwte, &dwte));
  ISC_TRY(isc_bench_want(b, call->embed.dwpe, &dwpe));
  isc_reference_embed_grad(&call->embed, dwte, dwpe);
  return ISC_OK;
}

/* ---- gather and scatter_add */

enum { TABLE = 23 };
static const int64_t COPIES[][2] = {{7, 9},    {1, 1},     {5, 2}, {40, 17},
                                    {90, 700}, {4000, 33}, {0, 5}, {5, 0}}; /* n, width */

static isc_status make_rows(isc_bench *b, const char *op, int64_t variant, isc_op_call *out) {
  isc_flat f = {.n = COPIES[variant][0], .width = COPIES[variant][1]};
  isc_bench_begin(b, op, "%lld rows of %lld", (long long)f.n, (long long)f.width);
  ISC_TRY(isc_bench_array_new(b, "row", ISC_BENCH_IN, ISC_BENCH_HOST_I64, f.n, &f.row));
  for (int64_t i = 0; i < f.n; i++)
    ((int64_t *)(uintptr_t)f.row)[i] = i % 4 == 3 ? 3 : i * 5 % TABLE;
  out->flat = f;
  return ISC_OK;
}

static isc_status make_gather(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  (void)alias;
  ISC_TRY(make_rows(b, "gather", variant, out));
  isc_flat *f = &out->flat;
  ISC_TRY(isc_bench_array_new(b, "x", ISC_BENCH_IN, ISC_BENCH_F32, TABLE * f->width, &f->x));
  return isc_bench_array_new(b, "out", ISC_BENCH_OUT, ISC_BENCH_F32, f->n * f->width, &f->out);
}

static isc_status make_scatter(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  (void)alias;
  ISC_TRY(make_rows(b, "scatter_add", variant, out));
  isc_flat *f = &out->flat;
  ISC_TRY(isc_bench_array_new(b, "in", ISC_BENCH_IN, ISC_BENCH_F32, f->n * f->width, &f->x));
  return isc_bench_array_new(b, "x", ISC_BENCH_INOUT, ISC_BENCH_F32, TABLE * f->width, &f->out);
}

static isc_status run_gather(isc_bench *b, const isc_op_call *call) {
  const isc_flat *f = &call->flat;
  return b->dev->ops->gather(b->dev->impl, f->n, f->width, isc_bench_at(b, f->x),
                             isc_bench_at(b, f->row), isc_bench_at(b, f->out));
}

static isc_status run_scatter(isc_bench *b, const isc_op_call *call) {
  const isc_flat *f = &call->flat;
  return b->dev->ops->scatter_add(b->dev->impl, f->n, f->width, isc_bench_at(b, f->x),
                                  isc_bench_at(b, f->row), isc_bench_at(b, f->out));
}

static isc_status expect_gather(isc_bench *b, const isc_op_call *call) {
  const isc_flat *f = &call->flat;
  isc_exact *out;
  ISC_TRY(isc_bench_want(b, f->out, &out));
  isc_reference_gather(f->n, f->width, f->x, f->row, out);
  return ISC_OK;
}

static isc_status expect_scatter(isc_bench *b, const isc_op_call *call) {
  const isc_flat *f = &call->flat;
  isc_exact *out;
  ISC_TRY(isc_bench_want(b, f->out, &out));
  isc_reference_scatter_add(f->n, f->width, f->x, f->row, f->out, out);
  return ISC_OK;
}

const isc_op isc_ops_index[] = {
    {"embed", 0, COUNT(EMBEDS) - 2, 2, 0, make_embed, run_embed, expect_embed, NULL, NULL},
    {"embed-grad", 0, COUNT(EMBEDS) - 2, 2, 0, make_embed_grad, run_embed_grad, expect_embed_grad,
     NULL, NULL},
    {"embed", 1, 2 * COUNT(EMBEDS) - 4, 4, 0, make_scaled, run_embed, expect_embed, NULL, NULL},
    {"embed-grad", 1, COUNT(EMBEDS) - 2, 2, 0, make_scaled_grad, run_embed_grad, expect_embed_grad,
     NULL, NULL},
    {"gather", 0, COUNT(COPIES) - 2, 2, 0, make_gather, run_gather, expect_gather, NULL, NULL},
    {"scatter-add", 0, COUNT(COPIES) - 2, 2, 0, make_scatter, run_scatter, expect_scatter, NULL,
     NULL},
    {0}};
