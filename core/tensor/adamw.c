/* SPDX-License-Identifier: Apache-2.0
 *
 * One AdamW step over the parameters that got a gradient, and the learning rate's schedule.
 *
 * A gradient that is not finite and a lack of memory for moments are found before any parameter changes: by the host, or,
 * where the backend can clip by itself, by the device, and the host hears of it when it asks.
 */
#include "base/base.h"
#include "tensor/optional.h"
#include "tensor/params.h"
#include <math.h>
#include <stdlib.h>

static const double PI = 3.14159265358979323846;

static isc_status not_finite(const isc_param *q) {
  return isc_fail(ISC_E_NUMERIC,
                  "the gradient of \"%s\" holds NaN or infinity; lower the learning rate or clip",
                  q->name);
}

/* The norm over all touched gradients; names the first that is not finite. */
static isc_status gradient_norm(isc_params *p, double *norm) {
  double sum = 0;
  for (int64_t i = 0; i < p->count; i++) {
    const isc_param *q = p->at[i];
    double part = 0;
    if (!q->touched) continue;
    ISC_TRY(
        p->dev->ops->sum_squares(p->dev->impl, isc_tensor_size(&q->value), q->value.grad, &part));
    if (!isfinite(part)) return not_finite(q);
    sum += part;
  }
  *norm = sqrt(sum);
  return ISC_OK;
}

/* The step's updates, all factors but the gradients'. */
static isc_status list_updates(isc_params *p, const isc_optimizer *opt, int64_t *n) {
  *n = 0;
  for (int64_t i = 0; i < p->count; i++) {
    isc_param *q = p->at[i];
    if (!q->touched) continue;
    ISC_TRY(isc_param_need_moments(p, q));
    p->list[*n] = &p->update[*n];
    p->update[(*n)++] = (isc_adamw){.n = isc_tensor_size(&q->value),
                                    .p = q->value.data,
                                    .m = q->m,
                                    .v = q->v,
                                    .g = q->value.grad,
                                    .lr = opt->lr[q->group],
                                    .beta1 = opt->beta1,
                                    .beta2 = opt->beta2,
                                    .eps = opt->eps,
                                    .weight_decay = opt->weight_decay[q->group],
                                    .step = q->steps + 1};
  }
  return ISC_OK;
}

static isc_status apply(isc_params *p, int64_t n) {
  if (n == 0) return ISC_OK;
  for (int64_t i = 0; i < p->count; i++)
    if (p->at[i]->touched) isc_param_changed(p->at[i]);
  ISC_TRY(p->dev->ops->adamw(p->dev->impl, p->list, n));
  for (int64_t i = 0; i < p->count; i++)
    p->at[i]->steps += p->at[i]->touched;
  return ISC_OK;
}

/* ---- with the host between gradients and update */

static isc_status step_here(isc_params *p, const isc_optimizer *opt, double *norm) {
  double scale = 1;
  int64_t n;
  ISC_TRY(gradient_norm(p, norm));
  /* torch.nn.utils.clip_grad_norm_ */
  if (opt->clip > 0 && *norm > 0) scale = fmin(1, opt->clip / (*norm + 1e-6));
  ISC_TRY(list_updates(p, opt, &n));
  for (int64_t i = 0; i < n; i++)
    p->update[i].grad_scale = scale;
  return apply(p, n);
}

/* ---- without */

void isc_later_step_free(isc_later_step *l) {
  free(l->of);
  free(l->x);
  free(l->size);
  free(l->sum);
  *l = (isc_later_step){0};
}

/* Room on the device for what `clip` finds, and what the host keeps to say later whose it was. */
static isc_status need_norms(isc_params *p, isc_later_step *l) {
  void *memory;
  if (p->norms_room < p->count) {
    p->dev->ops->free(p->dev->impl, p->norms);
    p->norms = NULL;
    p->norms_room = 0;
    ISC_TRY(p->dev->ops->alloc(p->dev->impl, (size_t)(p->count + 2) * sizeof *p->norms, &memory));
    p->norms = memory;
    p->norms_room = p->count;
  }
  if (l->room >= p->count) return ISC_OK;
  isc_later_step_free(l);
  ISC_TRY(isc_calloc((size_t)p->count, sizeof *l->of, "an optimizer step", (void **)&l->of));
  ISC_TRY(isc_calloc((size_t)p->count, sizeof *l->x, "an optimizer step", (void **)&l->x));
  ISC_TRY(isc_calloc((size_t)p->count, sizeof *l->size, "an optimizer step", (void **)&l->size));
  ISC_TRY(isc_calloc((size_t)p->count + 2, sizeof *l->sum, "an optimizer step", (void **)&l->sum));
  l->room = p->count;
  return ISC_OK;
}

isc_status isc_adamw_begin(isc_params *p, const isc_optimizer *given, int64_t ticket) {
  isc_optimizer opt;
  int64_t n;
  isc_later_step *l = &p->later[ticket];
  ISC_TRY(
      isc_struct_read(given, "an optimizer", ISC_SIZE_TO(isc_optimizer, clip), sizeof opt, &opt));
  ISC_TRY(need_norms(p, l));
  ISC_TRY(list_updates(p, &opt, &n));
  l->n = 0;
  for (int64_t i = 0; i < p->count; i++)
    if (p->at[i]->touched) l->of[l->n++] = p->at[i];
  for (int64_t i = 0; i < n; i++) {
    l->x[i] = p->update[i].g;
    l->size[i] = p->update[i].n;
    p->update[i].scale = p->norms + n + 1;
  }
  const isc_clip clip = {
      .count = n, .x = l->x, .n = l->size, .most = opt.clip > 0 ? opt.clip : 0, .out = p->norms};
  ISC_TRY(p->dev->ops->clip(p->dev->impl, &clip));
  ISC_TRY(apply(p, n));
  return p->dev->ops->read_begin(p->dev->impl, ticket, p->norms,
                                 (size_t)(n + 1) * sizeof *p->norms);
}

isc_status isc_adamw_end(isc_params *p, int64_t ticket, double *norm) {
  const isc_later_step *l = &p->later[ticket];
  ISC_TRY(p->dev->ops->read_end(p->dev->impl, ticket, l->sum));
  for (int64_t i = 0; i < l->n; i++)
    if (!isfinite(l->sum[i])) return not_finite(l->of[i]);
  *norm = l->sum[l->n];
  return ISC_OK;
}

isc_status isc_adamw_step(isc_params *p, const isc_optimizer *opt, double *grad_norm) {
  isc_optimizer full;
  double norm = 0;
  if (isc_device_reads_later(p->dev)) {
    ISC_TRY(isc_adamw_begin(p, opt, ISC_READ_TRAINING));
    ISC_TRY(isc_adamw_end(p, ISC_READ_TRAINING, &norm));
  } else {
    ISC_TRY(
        isc_struct_read(opt, "an optimizer", ISC_SIZE_TO(isc_optimizer, clip), sizeof full, &full));
    ISC_TRY(step_here(p, &full, &norm));
  }
  if (grad_norm) *grad_norm = norm;
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
