/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations of a backend as problems: how to make one, run it, and say what is expected.
 *
 * Every check of backends is a walk over this table, so that a new operation is described once.
 */
#ifndef ISC_CORE_CONFORM_OPS_H
#define ISC_CORE_CONFORM_OPS_H

#include "conform/bench.h"

/* Arguments of the operations that have no struct of their own. */
typedef struct isc_flat {
  isc_act act;
  float alpha;
  int64_t n, width; /* width: of a row, where there are rows   */
  const float *x, *y;
  float *out;
  uint16_t *half;     /* [n] bf16     */
  const int64_t *row; /* [n] host     */
  double *sum;        /* [1] host     */
} isc_flat;

enum { ISC_ADAMW_MOST = 4 };

/* One call, with host pointers into arrays of a bench. */
typedef struct isc_op_call {
  isc_gemm gemm;
  int64_t every; /* of the product's elements, how many are compared: every n-th */
  isc_layernorm layernorm;
  isc_embed embed;
  isc_rotary rotary;
  isc_gate gate;
  isc_jumprelu jumprelu;
  isc_distances distances;
  isc_attention attention;
  isc_xent xent;
  isc_control control;
  isc_adamw adamw[ISC_ADAMW_MOST];
  int64_t n_adamw;
  isc_sample sample;
  isc_noise noise;
  isc_flat flat;
} isc_op_call;

/* Some problems of one operation. An operation whose contract grew has entries of one name: those that every backend
 * knows, and those that came with a later minor of the ABI. */
typedef struct isc_op {
  const char *name;
  int since; /* minor of the ABI */
  /* Variants 0 … problems − 1 have something to do, 0 being small; the `empty` ones that follow have not. */
  int64_t problems, empty;
  int64_t aliases; /* ways in which an output may be an input */
  /* `alias` 0 = none, 1 … aliases. */
  isc_status (*make)(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out);
  isc_status (*run)(isc_bench *b, const isc_op_call *call); /* on b->dev */
  isc_status (*expect)(isc_bench *b, const isc_op_call *call);
  /* Row-independent operations: how many rows the call has, and the call on rows [first, first + n) alone. */
  int64_t (*rows)(const isc_op_call *call);
  void (*slice)(isc_op_call *call, int64_t first, int64_t n);
} isc_op;

/* A file each; ended by one without a name. */
extern const isc_op isc_ops_dense[], isc_ops_rows[], isc_ops_index[], isc_ops_decoder[],
    isc_ops_attention[], isc_ops_train[], isc_ops_random[], isc_ops_jumprelu[], isc_ops_distances[];
/* NULL-terminated list of them. */
extern const isc_op *const isc_ops_all[];
/* Does a backend know the problems? One that was built against an older minor does not. */
bool isc_op_known(const isc_op *op, const isc_class *backend);

/* Load the problem on a device, call the operation, collect. */
isc_status isc_op_call_on(const isc_op *op, isc_bench *b, const isc_op_call *call, isc_device *dev);

#endif
