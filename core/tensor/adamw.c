/* SPDX-License-Identifier: Apache-2.0
 *
 * One AdamW step over the parameters that got a gradient, and the learning rate's schedule.
 *
 * Everything that can fail for a reason of the data (a gradient that is not finite, no memory for
 * moments) is found before any parameter changes.
 */
#include "base/base.h"
#include "tensor/params.h"
#include <math.h>

static const double PI = 3.14159265358979323846;

/* The norm over all touched gradients; names the first that is not finite. */
static isc_status gradient_norm(isc_params *p, double *norm) {
  double sum = 0;
  for (int64_t i = 0; i < p->count; i++) {
    const isc_param *q = p->at[i];
    double part = 0;
    if (!q->touched) continue;
    ISC_TRY(
        p->dev->ops->sum_squares(p->dev->impl, isc_tensor_size(&q->value), q->value.grad, &part));
    if (!isfinite(part))
      return isc_fail(
          ISC_E_NUMERIC,
          "the gradient of \"%s\" holds NaN or infinity; lower the learning rate or clip", q->name);
    sum += part;
  }
  *norm = sqrt(sum);
  return ISC_OK;
}

isc_status isc_adamw_step(isc_params *p, const isc_optimizer *opt, double *grad_norm) {
  double norm = 0, scale = 1;
  int64_t n = 0;
  isc_optimizer full;
  ISC_TRY(
      isc_struct_read(opt, "an optimizer", ISC_SIZE_TO(isc_optimizer, clip), sizeof full, &full));
  opt = &full;
  ISC_TRY(gradient_norm(p, &norm));
  if (grad_norm) *grad_norm = norm;
  /* torch.nn.utils.clip_grad_norm_ */
  if (opt->clip > 0 && norm > 0) scale = fmin(1, opt->clip / (norm + 1e-6));
  for (int64_t i = 0; i < p->count; i++) {
    isc_param *q = p->at[i];
    if (!q->touched) continue;
    ISC_TRY(isc_param_need_moments(p, q));
    p->update[n++] = (isc_adamw){.n = isc_tensor_size(&q->value),
                                 .p = q->value.data,
                                 .m = q->m,
                                 .v = q->v,
                                 .g = q->value.grad,
                                 .lr = opt->lr[q->group],
                                 .beta1 = opt->beta1,
                                 .beta2 = opt->beta2,
                                 .eps = opt->eps,
                                 .weight_decay = opt->weight_decay[q->group],
                                 .grad_scale = scale,
                                 .step = q->steps + 1};
  }
  if (n == 0) return ISC_OK;
  for (int64_t i = 0; i < n; i++)
    p->list[i] = &p->update[i];
  ISC_TRY(p->dev->ops->adamw(p->dev->impl, p->list, n));
  for (int64_t i = 0; i < p->count; i++)
    p->at[i]->steps += p->at[i]->touched;
  return ISC_OK;
}

double isc_schedule(isc_schedule_kind kind, int64_t step, int64_t warmup, int64_t total,
                    double final) {
  if (step < warmup) return (double)(step + 1) / (double)warmup;
  if (kind == ISC_CONSTANT) return 1;
  double done = total > warmup ? (double)(step - warmup) / (double)(total - warmup) : 1;
  if (done > 1) done = 1;
  if (kind == ISC_LINEAR) return 1 + (final - 1) * done;
  return final + (1 - final) * 0.5 * (1 + cos(PI * done));
}
