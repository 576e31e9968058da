/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of backends: the same bits again, whatever the threads and the other rows.
 */
#include "conform/ops.h"
#include <inversescope/tensor.h>
#include <string.h>

/* What a check asks of one problem, loaded and called once on `dev`, with `whole` what came out. */
typedef isc_status (*question)(isc_conform *c, const isc_op *op, isc_bench *b,
                               const isc_op_call *call, isc_device *dev, const isc_sb *whole);

static isc_status ask_one(isc_conform *c, const isc_op *op, int64_t variant, isc_device *dev,
                          question ask) {
  isc_bench b = {.c = c, .seed = c->seed};
  isc_op_call call = {0};
  isc_sb whole = {0};
  isc_status st = ISC_OK;
  ISC_GO(op->make(&b, variant, 0, &call));
  ISC_GO(isc_op_call_on(op, &b, &call, dev));
  isc_bench_append(&b, &whole);
  if (whole.failed) ISC_GO(isc_fail(ISC_E_NOMEM, "no memory for what came out"));
  ISC_GO(ask(c, op, &b, &call, dev, &whole));
done:
  isc_bench_end(&b);
  isc_guard_free_all();
  isc_sb_free(&whole);
  return st;
}

static isc_status ask_all(isc_conform *c, question ask) {
  isc_device *dev;
  isc_status st = ISC_OK;
  ISC_TRY(isc_conform_device(c, 2, &dev));
  for (const isc_op *const *part = isc_ops_all; *part && st == ISC_OK; part++)
    for (const isc_op *op = *part; op->name && st == ISC_OK; op++)
      for (int64_t v = 0; v < op->problems && st == ISC_OK && isc_op_known(op, c->cls); v++)
        st = ask_one(c, op, v, dev, ask);
  isc_device_close(dev);
  return st;
}

static isc_status ask_again(isc_conform *c, const isc_op *op, isc_bench *b, const isc_op_call *call,
                            isc_device *dev, const isc_sb *whole) {
  (void)c;
  for (int i = 0; i < 2; i++) {
    ISC_TRY(isc_op_call_on(op, b, call, dev));
    ISC_TRY(isc_bench_same_bits(b, whole, false, "called again"));
  }
  return ISC_OK;
}

static isc_status repeat(isc_conform *c) {
  return ask_all(c, ask_again);
}

/* ---- threads */

static isc_device *other; /* of another number of threads; a check's process does one check */

static isc_status ask_other(isc_conform *c, const isc_op *op, isc_bench *b, const isc_op_call *call,
                            isc_device *dev, const isc_sb *whole) {
  (void)c;
  ISC_TRY(isc_op_call_on(op, b, call, other));
  ISC_TRY(isc_bench_same_bits(b, whole, false, "2 threads, then another number"));
  return isc_bench_load(b, dev); /* the arrays leave the other device */
}

static isc_status threads(isc_conform *c) {
  const int counts[] = {1, 5};
  bool option = false;
  isc_status st = ISC_OK;
  for (const isc_option *o = c->cls->options; o && o->name; o++)
    option |= strcmp(o->name, "threads") == 0 && o->type == ISC_OPT_INT;
  if (!option) return isc_conform_skip(c, "the backend has no option \"threads\"");
  for (int i = 0; i < 2 && st == ISC_OK; i++) {
    ISC_TRY(isc_conform_device(c, counts[i], &other));
    st = ask_all(c, ask_other);
    isc_device_close(other);
    if (st != ISC_OK) st = isc_fail_in("%d threads", counts[i]);
  }
  return st;
}

/* ---- rows */

/* The first row, the last, and some between; then the others must be as they began. */
static isc_status ask_rows(isc_conform *c, const isc_op *op, isc_bench *b, const isc_op_call *call,
                           isc_device *dev, const isc_sb *whole) {
  int64_t rows = op->rows ? op->rows(call) : 0;
  const int64_t runs[][2] = {{0, 1}, {rows - 1, 1}, {rows / 3, (rows + 1) / 2}, {0, rows - 1}};
  (void)c;
  for (size_t i = 0; rows > 1 && i < sizeof runs / sizeof *runs; i++) {
    isc_op_call part = *call;
    char what[96];
    op->slice(&part, runs[i][0], runs[i][1]);
    snprintf(what, sizeof what, "with all %lld rows, then rows %lld to %lld alone", (long long)rows,
             (long long)runs[i][0], (long long)(runs[i][0] + runs[i][1] - 1));
    ISC_TRY(isc_op_call_on(op, b, &part, dev));
    ISC_TRY(isc_bench_same_bits(b, whole, true, what));
  }
  return ISC_OK;
}

static isc_status rows(isc_conform *c) {
  return ask_all(c, ask_rows);
}

#define ENTRY(name, rule, advice, run)                                                             \
  { "backend." name, ISC_OF(ISC_BACKEND), ISC_PER_CASE, 30, rule, advice, run }
const isc_check isc_checks_backend_repeat[] = {
    ENTRY("repeat", "The same call on the same device gives the same bits.",
          "Do not add with atomics, and clear scratch memory that a call leaves behind.", repeat),
    ENTRY("threads", "The number of threads changes no bit.",
          "Cut sums where the shape says, not where a thread's share ends, and add the parts in a "
          "fixed order.",
          threads),
    ENTRY("rows",
          "In gemm without trans_a, layernorm, rotary, gate, jumprelu, distances, attention, "
          "control, the log probabilities of xent and sample, a row has the same bits whatever "
          "other rows are in the call.",
          "Choose blocks and kernels by the size of a row, not by the number of rows.", rows),
    {0}};
