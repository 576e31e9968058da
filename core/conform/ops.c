/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of all operations, and one observed call.
 */
#include "conform/ops.h"
#include <string.h>

const isc_op *const isc_ops_all[] = {
    isc_ops_dense, isc_ops_rows,   isc_ops_index, isc_ops_attention,
    isc_ops_train, isc_ops_random, NULL};

const isc_op *isc_op_find(const char *name) {
  for (const isc_op *const *part = isc_ops_all; *part; part++)
    for (const isc_op *op = *part; op->name; op++)
      if (strcmp(op->name, name) == 0) return op;
  return NULL;
}

isc_status isc_op_call_on(const isc_op *op, isc_bench *b, const isc_op_call *call,
                          isc_device *dev) {
  ISC_TRY(isc_bench_load(b, dev));
  if (op->run(b, call) != ISC_OK) return isc_fail_in("%s, %s", b->op, b->shape);
  return isc_bench_collect(b);
}
