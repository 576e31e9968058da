/* SPDX-License-Identifier: Apache-2.0
 *
 * Reverse mode: the list of what was done, walked backwards.
 *
 * A node whose output received no gradient is skipped, so branches that do not reach the loss cost
 * nothing.
 */
#include "tensor/internal.h"
#include "base/base.h"

isc_status isc_tape_begin(isc_step *s) {
  if (s->tape) return isc_fail(ISC_E_USAGE, "tape: one is already being recorded in this step");
  s->tape = true;
  s->nodes = 0;
  return ISC_OK;
}

bool isc_tape_on(const isc_step *s) {
  return s->tape;
}

bool isc_tracks(const isc_step *s, isc_tensor *const *inputs, int64_t n) {
  if (!s->tape) return false;
  for (int64_t i = 0; i < n; i++)
    if (isc_needs(inputs[i])) return true;
  return false;
}

isc_status isc_tape_record(isc_step *s, isc_tensor *const *inputs, int64_t n, isc_tensor *out,
                           isc_backward_fn backward, void *user) {
  if (!isc_tracks(s, inputs, n)) return ISC_OK;
  if (s->nodes == s->capacity) {
    int64_t capacity = s->capacity ? 2 * s->capacity : 256;
    void *p = s->node;
    ISC_TRY(isc_realloc(&p, (size_t)capacity, sizeof *s->node, "the tape"));
    s->node = p;
    s->capacity = capacity;
  }
  s->node[s->nodes++] = (isc_node){.backward = backward, .user = user, .out = out};
  out->needs_grad = true;
  return ISC_OK;
}

static isc_status seed(isc_step *s, isc_tensor *loss) {
  const float one = 1;
  float *grad, beta;
  ISC_TRY(isc_grad_slot(s, loss, &grad, &beta));
  return s->dev->ops->upload(s->dev->impl, grad, &one, sizeof one);
}

isc_status isc_tape_backward(isc_step *s, isc_tensor *loss) {
  if (!s->tape)
    return isc_fail(ISC_E_USAGE,
                    "backward: no tape is being recorded; begin one before the forward");
  s->tape = false;
  if (isc_tensor_size(loss) != 1) {
    char text[96];
    return isc_fail(ISC_E_SHAPE, "backward: the loss is %s, not one number",
                    isc_shape_text(loss, text));
  }
  if (!isc_needs(loss))
    return isc_fail(ISC_E_USAGE, "backward: nothing the loss depends on needs a gradient");
  s->loss = isc_base(loss);
  isc_status st = seed(s, loss);
  for (int64_t i = s->nodes - 1; i >= 0 && st == ISC_OK; i--) {
    const isc_node *n = &s->node[i];
    if (!isc_grad_written(n->out) || isc_tensor_size(n->out) == 0) continue;
    st = n->backward(s, n->user);
    if (st == ISC_OK) st = isc_grad_recycle(s, n->out);
  }
  s->nodes = 0;
  s->loss = NULL;
  return st;
}
