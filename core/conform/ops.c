/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of all operations, and one observed call.
 */
#include "conform/ops.h"

const isc_op *const isc_ops_all[] = {
    isc_ops_dense, isc_ops_rows,   isc_ops_index,    isc_ops_decoder,   isc_ops_attention,
    isc_ops_train, isc_ops_random, isc_ops_jumprelu, isc_ops_distances, NULL};

/* Every operation is required, so one of the minor that is missing tells a backend of an older one: its table was
 * adopted with zeros at the end. */
bool isc_op_known(const isc_op *op, const isc_class *backend) {
  const isc_backend_ops *ops = backend->ops;
  return op->since == 0 || (ops->rotary && ops->gate && ops->gate_grad && ops->jumprelu &&
                            ops->jumprelu_grad && ops->distances && ops->to_bf16);
}

isc_status isc_op_call_on(const isc_op *op, isc_bench *b, const isc_op_call *call,
                          isc_device *dev) {
  ISC_TRY(isc_bench_load(b, dev));
  if (op->run(b, call) != ISC_OK) return isc_fail_in("%s, %s", b->op, b->shape);
  return isc_bench_collect(b);
}
