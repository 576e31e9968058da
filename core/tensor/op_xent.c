/* SPDX-License-Identifier: Apache-2.0
 *
 * Next-token loss over a vocabulary, fused with its gradient.
 *
 * The logits are never kept, so the gradients to h and w are made in the forward pass for a loss that is
 * differentiated as it is; the backward only checks that nothing was put on top of it.
 */
#include "tensor/count.h"
#include "tensor/internal.h"
#include "tensor/params.h"

static isc_status xent_backward(isc_step *s, void *user) {
  if (s->loss == user) return ISC_OK;
  return isc_fail(ISC_E_USAGE, "cross-entropy: it must be the loss itself, not an input of one");
}

static isc_status check(const isc_tensor *h, const isc_tensor *w, const int32_t *target) {
  if (w->ndim != 2 || w->shape[1] != isc_last_dim(h))
    return isc_shape_misfit("cross-entropy", "h", h, "w [vocab, d]", w);
  if (w->dtype != ISC_F32)
    return isc_fail(ISC_E_UNSUPPORTED, "cross-entropy: w must be f32, not bf16");
  for (int64_t i = 0; i < isc_rows(h); i++)
    if (target[i] >= w->shape[0])
      return isc_fail(ISC_E_SHAPE,
                      "cross-entropy: target %d at row %lld is outside the vocabulary of %lld",
                      target[i], (long long)i, (long long)w->shape[0]);
  return ISC_OK;
}

/* 1/number of targets on each row that has one. */
static void even_weights(const int32_t *target, int64_t rows, float *weight) {
  int64_t n = 0;
  for (int64_t i = 0; i < rows; i++)
    n += target[i] >= 0;
  for (int64_t i = 0; i < rows; i++)
    weight[i] = target[i] >= 0 ? (float)(1.0 / (double)n) : 0;
}

/* Targets, weights and log-probabilities on the device. */
static isc_status prepare(isc_step *s, int64_t rows, const int32_t *target, const float *weight,
                          isc_xent *a) {
  void *p;
  if (!weight) {
    ISC_TRY(isc_step_host_alloc(s, (size_t)rows * sizeof(float), &p));
    even_weights(target, rows, p);
    weight = p;
  }
  ISC_TRY(isc_step_upload(s, target, (size_t)rows * sizeof *target, &p));
  a->target = p;
  ISC_TRY(isc_step_upload(s, weight, (size_t)rows * sizeof *weight, &p));
  a->weight = p;
  ISC_TRY(isc_step_device_alloc(s, (size_t)rows * sizeof(float), &p));
  a->logp = p;
  return ISC_OK;
}

/* loss = −⟨weight, logp⟩, on the device so that nothing waits for it. */
static isc_status sum_up(isc_step *s, const isc_xent *a, float *loss) {
  const isc_gemm g = {.batch = 1,
                      .m = 1,
                      .n = 1,
                      .k = a->rows,
                      .a = a->weight,
                      .b = a->logp,
                      .c = loss,
                      .lda = a->rows,
                      .ldb = 1,
                      .ldc = 1,
                      .alpha = -1};
  return isc_device_gemm(s->dev, &g);
}

isc_status isc_op_xent(isc_step *s, isc_tensor *h, isc_tensor *w, const int32_t *target,
                       const float *weight, float *logp, isc_tensor **loss) {
  isc_tensor *const inputs[] = {h, w};
  const int64_t one[] = {1};
  bool tracked = isc_tracks(s, inputs, 2);
  isc_grad_dest dh = {0};
  ISC_TRY(check(h, w, target));
  isc_xent a = {.rows = isc_rows(h),
                .d = isc_last_dim(h),
                .vocab = w->shape[0],
                .h = h->data,
                .w = w->data,
                .product = s->product,
                .host_target = target,
                .dependent_rows = isc_training(s)};
  ISC_TRY(isc_tensor_zeros(s, 1, one, loss));
  if (a.rows == 0) return ISC_OK;
  if (s->product == ISC_BF16) ISC_TRY(isc_param_rounded(s->dev, w, &a.w_bf16));
  ISC_TRY(prepare(s, a.rows, target, weight, &a));
  if (tracked) {
    ISC_TRY(isc_grad_open(s, h, &dh));
    a.dh = dh.at;
    ISC_TRY(isc_grad_of(s, w, &a.dw));
  }
  ISC_TRY(isc_device_xent(s->dev, &a));
  if (dh.at) ISC_TRY(isc_grad_close(s, h, &dh));
  ISC_TRY(sum_up(s, &a, (*loss)->data));
  if (logp)
    ISC_TRY(s->dev->ops->download(s->dev->impl, logp, a.logp, (size_t)a.rows * sizeof *logp));
  return isc_tape_record(s, inputs, 2, *loss, xent_backward, *loss);
}
