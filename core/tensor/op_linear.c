/* SPDX-License-Identifier: Apache-2.0
 *
 * Affine maps with an activation: one weight for all rows, or one per group of rows.
 *
 * The bias and activation ride on the GEMM. The activation's argument is kept only when a gradient will
 * ask for it, and each of the three gradient products is made only for what needs it.
 */
#include "tensor/count.h"
#include "tensor/internal.h"
#include "tensor/params.h"

typedef struct linear {
  isc_tensor *x, *w, *b, *out; /* [rows, in], [in, n] or [n, in], [n] or NULL, [rows, n] */
  float *pre;                  /* [rows, n] argument of act, or NULL                     */
  int64_t in, n;
  isc_weight_layout layout;
  isc_act act;
} linear;

/* `w`: the weight where it is the right operand, whose elements may be bf16 or have a copy that is. */
static isc_status product(isc_step *s, isc_gemm *g, const isc_tensor *w) {
  const uint16_t *rounded = NULL;
  g->b_dtype = w ? (isc_dtype)w->dtype : ISC_F32;
  g->product = g->b_dtype == ISC_BF16 ? ISC_BF16 : s->product;
  if (w && g->product == ISC_BF16) ISC_TRY(isc_param_rounded(s->dev, w, &rounded));
  if (rounded) {
    g->b = (const float *)(const void *)rounded;
    g->b_dtype = ISC_BF16;
  }
  g->dependent_rows = isc_training(s);
  return isc_device_gemm(s->dev, g);
}

/* y = act(x w + b) on `rows` rows. */
static isc_status forward(isc_step *s, const linear *l, int64_t rows, const float *x, float *y) {
  bool turned = l->layout == ISC_OUT_IN;
  isc_gemm g = {.batch = 1,
                .m = rows,
                .n = l->n,
                .k = l->in,
                .a = x,
                .b = l->w->data,
                .c = y,
                .lda = l->in,
                .ldb = turned ? l->in : l->n,
                .ldc = l->n,
                .trans_b = turned,
                .alpha = 1,
                .bias = l->b ? l->b->data : NULL,
                .act = l->act,
                .pre = l->pre};
  return product(s, &g, l->w);
}

/* dx = dy wᵀ + beta dx */
static isc_status input_grad(isc_step *s, const linear *l, int64_t rows, const float *dy, float *dx,
                             float beta) {
  bool turned = l->layout == ISC_IN_OUT;
  isc_gemm g = {.batch = 1,
                .m = rows,
                .n = l->in,
                .k = l->n,
                .a = dy,
                .b = l->w->data,
                .c = dx,
                .lda = l->n,
                .ldb = turned ? l->n : l->in,
                .ldc = l->in,
                .trans_b = turned,
                .alpha = 1,
                .beta = beta};
  return product(s, &g, l->w);
}

/* dw = xᵀ dy, or its transpose; db += column sums of dy. */
static isc_status weight_grad(isc_step *s, const linear *l, int64_t rows, const float *x,
                              const float *dy) {
  float *dw, *db, beta;
  ISC_TRY(isc_grad_slot(s, l->w, &dw, &beta));
  if (dw) {
    bool out_in = l->layout == ISC_OUT_IN;
    isc_gemm g = {.batch = 1,
                  .m = out_in ? l->n : l->in,
                  .n = out_in ? l->in : l->n,
                  .k = rows,
                  .a = out_in ? dy : x,
                  .b = out_in ? x : dy,
                  .c = dw,
                  .lda = out_in ? l->n : l->in,
                  .ldb = out_in ? l->in : l->n,
                  .ldc = out_in ? l->in : l->n,
                  .trans_a = true,
                  .alpha = 1,
                  .beta = beta};
    ISC_TRY(product(s, &g, NULL));
  }
  ISC_TRY(isc_grad_of(s, l->b, &db));
  return db ? s->dev->ops->col_sum(s->dev->impl, rows, l->n, dy, db) : ISC_OK;
}

static isc_status linear_backward(isc_step *s, void *user) {
  const linear *l = user;
  int64_t rows = isc_rows(l->out);
  float *dy = l->out->grad, *dx, beta;
  if (l->pre) { /* in place unless somebody will read out's gradient */
    void *p = dy;
    if (l->out->keep_grad)
      ISC_TRY(isc_step_device_alloc(s, (size_t)isc_tensor_size(l->out) * sizeof(float), &p));
    ISC_TRY(s->dev->ops->act_grad(s->dev->impl, l->act, isc_tensor_size(l->out), l->pre, dy, p));
    dy = p;
  }
  ISC_TRY(isc_grad_slot(s, l->x, &dx, &beta));
  if (dx) ISC_TRY(input_grad(s, l, rows, dy, dx, beta));
  return weight_grad(s, l, rows, l->x->data, dy);
}

/* Does [rows, in] go through w, b? Fills in and n. */
static isc_status fit(linear *l, const char *op) {
  l->in = isc_last_dim(l->x);
  bool out_in = l->layout == ISC_OUT_IN;
  if (l->w->ndim != 2 || l->w->shape[out_in ? 1 : 0] != l->in || l->in == 0)
    return isc_shape_misfit(op, "x", l->x, out_in ? "w [out, in]" : "w [in, out]", l->w);
  l->n = l->w->shape[out_in ? 0 : 1];
  if (l->b && !isc_shape_is(l->b, 1, l->n, 0, 0)) return isc_shape_misfit(op, "w", l->w, "b", l->b);
  return ISC_OK;
}

isc_status isc_op_linear(isc_step *s, isc_tensor *x, isc_tensor *w, isc_weight_layout layout,
                         isc_tensor *b, isc_act act, isc_tensor **out) {
  isc_tensor *const inputs[] = {x, w, b};
  linear l = {.x = x, .w = w, .b = b, .layout = layout, .act = act};
  void *p;
  ISC_TRY(fit(&l, "linear"));
  ISC_TRY(isc_tensor_like(s, x, l.n, out));
  l.out = *out;
  bool tracked = isc_tracks(s, inputs, 3);
  if (tracked && act != ISC_ACT_NONE) {
    ISC_TRY(isc_step_device_alloc(s, (size_t)isc_tensor_size(*out) * sizeof(float), &p));
    l.pre = p;
  }
  ISC_TRY(forward(s, &l, isc_rows(x), x->data, (*out)->data));
  if (!tracked) return ISC_OK;
  ISC_TRY(isc_step_keep(s, &l, sizeof l, &p));
  return isc_tape_record(s, inputs, 3, *out, linear_backward, p);
}

/* ---- one weight per group of rows */

typedef struct grouped {
  isc_tensor *x, *out;
  int64_t n;      /* groups present                      */
  int64_t *start; /* [n + 1] their rows                  */
  linear *of;     /* [n]                                 */
} grouped;

static isc_status grouped_backward(isc_step *s, void *user) {
  const grouped *g = user;
  const float *dy = g->out->grad;
  float *dx, beta;
  ISC_TRY(isc_grad_slot(s, g->x, &dx, &beta));
  for (int64_t i = 0; i < g->n; i++) {
    const linear *l = &g->of[i];
    int64_t at = g->start[i], rows = g->start[i + 1] - at;
    if (dx) ISC_TRY(input_grad(s, l, rows, dy + at * l->n, dx + at * l->in, beta));
    ISC_TRY(weight_grad(s, l, rows, g->x->data + at * l->in, dy + at * l->n));
  }
  return ISC_OK;
}

static isc_status check_starts(const isc_tensor *x, const int64_t *start, int64_t n) {
  char text[96];
  bool good = x->ndim == 2 && n >= 1 && start[0] == 0 && start[n] == x->shape[0];
  for (int64_t i = 0; good && i < n; i++)
    good = start[i] <= start[i + 1];
  if (good) return ISC_OK;
  return isc_fail(ISC_E_SHAPE,
                  "grouped linear: the starts of %lld groups do not cut x %s into runs of rows",
                  (long long)n, isc_shape_text(x, text));
}

/* The groups that have rows, and the tensors they use (inputs: x, then w and b of each). */
static isc_status present(isc_step *s, grouped *g, const int64_t *start, int64_t n,
                          isc_tensor *const *w, isc_tensor *const *b, isc_tensor **inputs) {
  int64_t width = -1;
  for (int64_t i = 0; i < n; i++) {
    if (start[i] == start[i + 1]) continue;
    linear l = {.x = g->x, .w = w[i], .b = b ? b[i] : NULL, .layout = ISC_IN_OUT};
    ISC_TRY(fit(&l, "grouped linear"));
    if (width >= 0 && l.n != width)
      return isc_shape_misfit("grouped linear", "w", w[i], "an earlier group's w", g->of[0].w);
    width = l.n;
    inputs[1 + 2 * g->n] = l.w;
    inputs[2 + 2 * g->n] = l.b;
    g->start[g->n] = start[i];
    g->start[g->n + 1] = start[i + 1];
    g->of[g->n++] = l;
  }
  if (width < 0) width = w[0]->shape[w[0]->ndim - 1];
  return isc_tensor_like(s, g->x, width, &g->out);
}

isc_status isc_op_grouped_linear(isc_step *s, isc_tensor *x, const int64_t *start, int64_t n,
                                 isc_tensor *const *w, isc_tensor *const *b, isc_tensor **out) {
  void *p, *starts, *of, *in;
  ISC_TRY(check_starts(x, start, n));
  ISC_TRY(isc_step_host_alloc(s, sizeof(grouped), &p));
  ISC_TRY(isc_step_host_alloc(s, (size_t)(n + 1) * sizeof *start, &starts));
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * sizeof(linear), &of));
  ISC_TRY(isc_step_host_alloc(s, (size_t)(2 * n + 1) * sizeof(isc_tensor *), &in));
  grouped *g = p;
  isc_tensor **inputs = in;
  *g = (grouped){.x = inputs[0] = x, .start = starts, .of = of};
  ISC_TRY(present(s, g, start, n, w, b, inputs));
  *out = g->out;
  for (int64_t i = 0; i < g->n; i++) {
    const linear *l = &g->of[i];
    int64_t at = g->start[i];
    ISC_TRY(forward(s, l, g->start[i + 1] - at, x->data + at * l->in, g->out->data + at * l->n));
  }
  return isc_tape_record(s, inputs, 1 + 2 * g->n, g->out, grouped_backward, g);
}
