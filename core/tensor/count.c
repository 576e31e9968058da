/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting the floating-point operations of products: two for each multiplication and addition.
 *
 * By formula from the shapes, so that every backend gives the same number; what a backend computes twice, or
 * leaves out, does not change it.
 */
#include "tensor/count.h"

isc_status isc_device_gemm(isc_device *dev, const isc_gemm *g) {
  dev->flops += 2.0 * (double)g->batch * (double)g->m * (double)g->n * (double)g->k;
  return dev->ops->gemm(dev->impl, g);
}

/* Pairs of a query and a key it sees, in one head of one sequence. */
static double pairs(const isc_attention *a) {
  double n = 0;
  for (int64_t i = 0; i < a->q_len; i++) {
    const int64_t seen = a->past + i + 1;
    n += (double)(a->window > 0 && a->window < seen ? a->window : seen);
  }
  return n;
}

/* Of one product over all pairs: q kᵀ, or probabilities times v. */
static double attention_product(const isc_attention *a) {
  return 2.0 * (double)a->batch * (double)a->n_head * (double)a->d_head * pairs(a);
}

isc_status isc_device_attention(isc_device *dev, const isc_attention *a) {
  dev->flops += 2 * attention_product(a);
  return dev->ops->attention(dev->impl, a);
}

/* Scores again, and the gradients of v, of the probabilities, of q and of k. */
isc_status isc_device_attention_grad(isc_device *dev, const isc_attention *a) {
  dev->flops += 5 * attention_product(a);
  return dev->ops->attention_grad(dev->impl, a);
}

static double control_product(const isc_control *c) {
  return 2.0 * (double)c->batch * (double)c->len * (double)c->heads * (double)c->d;
}

isc_status isc_device_control(isc_device *dev, const isc_control *c) {
  dev->flops += 2 * control_product(c);
  return dev->ops->control(dev->impl, c);
}

/* The gradients of ω, of v, of u and, where it is asked for, of h. */
isc_status isc_device_control_grad(isc_device *dev, const isc_control *c) {
  dev->flops += (c->dhn ? 4 : 3) * control_product(c);
  return dev->ops->control_grad(dev->impl, c);
}

isc_status isc_device_xent(isc_device *dev, const isc_xent *x) {
  const int products = 1 + (x->dh != NULL) + (x->dw != NULL);
  dev->flops += 2.0 * products * (double)x->rows * (double)x->d * (double)x->vocab;
  return dev->ops->xent(dev->impl, x);
}
