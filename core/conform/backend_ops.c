/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of backends: every operation against float64.
 *
 * A check makes each of its operation's problems, calls it on two threads where the backend has that option, and
 * compares every element, the gaps between rows, the canaries around the arrays, and the inputs.
 */
#include "conform/ops.h"
#include <inversescope/tensor.h>
#include <string.h>

static isc_status one_problem(const isc_op *op, isc_bench *b, int64_t variant, int64_t alias,
                              isc_device *dev) {
  isc_op_call call = {0};
  ISC_TRY(op->make(b, variant, alias, &call));
  ISC_TRY(isc_op_call_on(op, b, &call, dev));
  ISC_TRY(isc_bench_untouched(b));
  ISC_TRY(op->expect(b, &call));
  ISC_TRY(isc_bench_compare(b));
  isc_bench_end(b);
  isc_guard_free_all();
  return ISC_OK;
}

/* Variants [first, end) of an operation, each in every way of aliasing from `alias` on. */
static isc_status problems(isc_conform *c, const isc_op *op, int64_t first, int64_t end,
                           int64_t alias, int64_t last_alias) {
  isc_bench b = {.c = c, .seed = c->seed};
  isc_device *dev;
  isc_status st = ISC_OK;
  ISC_TRY(isc_conform_device(c, 2, &dev));
  for (int64_t v = first; v < end && st == ISC_OK; v++)
    for (int64_t a = alias; a <= last_alias && st == ISC_OK; a++)
      st = one_problem(op, &b, v, a, dev);
  isc_bench_end(&b);
  isc_guard_free_all();
  isc_device_close(dev);
  return st;
}

/* A backend that was built before the operation was there need not have it. */
static isc_status lacking(isc_conform *c, const isc_op *op) {
  if (c->plugin && c->plugin->abi_minor < (uint32_t)op->since)
    return isc_conform_skip(c, "it was built against ABI %d.%u, and %s is of %d.%d", ISC_ABI_MAJOR,
                            (unsigned)c->plugin->abi_minor, op->name, ISC_ABI_MAJOR, op->since);
  return isc_fail(ISC_E_INTERNAL,
                  "its operations table, of ABI %d.%d, lacks rotary, gate, gate_grad, jumprelu, "
                  "jumprelu_grad, distances or to_bf16, which are required",
                  ISC_ABI_MAJOR, ISC_ABI_MINOR);
}

static isc_status agrees(isc_conform *c, const char *name) {
  const isc_op *unknown = NULL;
  bool any = false;
  for (const isc_op *const *part = isc_ops_all; *part; part++)
    for (const isc_op *op = *part; op->name; op++) {
      if (strcmp(op->name, name) != 0) continue;
      if (isc_op_known(op, c->cls)) {
        ISC_TRY(problems(c, op, 0, op->problems, 0, 0));
        any = true;
      } else {
        unknown = op;
      }
    }
  return any ? ISC_OK : lacking(c, unknown);
}

/* Sizes of 0, of all operations: nothing is read or written. */
static isc_status zero_size(isc_conform *c) {
  for (const isc_op *const *part = isc_ops_all; *part; part++)
    for (const isc_op *op = *part; op->name; op++)
      if (isc_op_known(op, c->cls))
        ISC_TRY(problems(c, op, op->problems, op->problems + op->empty, 0, 0));
  return ISC_OK;
}

static isc_status aliasing(isc_conform *c) {
  for (const isc_op *const *part = isc_ops_all; *part; part++)
    for (const isc_op *op = *part; op->name; op++)
      if (op->aliases && isc_op_known(op, c->cls))
        ISC_TRY(problems(c, op, 0, op->problems, 1, op->aliases));
  return ISC_OK;
}

#define RULE "The result agrees with the formula in float64, within the tolerance of operations.h."
#define ADVICE                                                                                     \
  "The message names the shape and the first element that is wrong. NaN is an element that was "   \
  "never written: tails of rows that are no multiple of a vector or a block are the usual place. " \
  "A wrong gap, canary or input is an index too far or a leading dimension taken for a width."

#define OPERATIONS(X)                                                                              \
  X(gemm, "gemm")                                                                                  \
  X(act, "act")                                                                                    \
  X(act_grad, "act-grad")                                                                          \
  X(col_sum, "col-sum")                                                                            \
  X(layernorm, "layernorm")                                                                        \
  X(layernorm_grad, "layernorm-grad")                                                              \
  X(embed, "embed")                                                                                \
  X(embed_grad, "embed-grad")                                                                      \
  X(rotary, "rotary")                                                                              \
  X(gate, "gate")                                                                                  \
  X(gate_grad, "gate-grad")                                                                        \
  X(jumprelu, "jumprelu")                                                                          \
  X(jumprelu_grad, "jumprelu-grad")                                                                \
  X(distances, "distances")                                                                        \
  X(to_bf16, "to-bf16")                                                                            \
  X(attention, "attention")                                                                        \
  X(attention_grad, "attention-grad")                                                              \
  X(xent, "xent")                                                                                  \
  X(control, "control")                                                                            \
  X(control_grad, "control-grad")                                                                  \
  X(adamw, "adamw")                                                                                \
  X(sum_squares, "sum-squares")                                                                    \
  X(sample, "sample")                                                                              \
  X(noise, "noise")                                                                                \
  X(add, "add")                                                                                    \
  X(axpy, "axpy")                                                                                  \
  X(mul, "mul")                                                                                    \
  X(gather, "gather")                                                                              \
  X(scatter_add, "scatter-add")

#define DEFINE(function, name)                                                                     \
  static isc_status check_##function(isc_conform *c) {                                             \
    return agrees(c, name);                                                                        \
  }
OPERATIONS(DEFINE)

#define ENTRY(function, name)                                                                      \
  {"backend." name, ISC_OF(ISC_BACKEND), ISC_PER_CASE, 30, RULE, ADVICE, check_##function},
const isc_check isc_checks_backend_ops[] = {
    OPERATIONS(ENTRY){"backend.zero-size", ISC_OF(ISC_BACKEND), ISC_PER_CASE, 30,
                      "A size of 0 is legal everywhere and does nothing; a product over nothing is "
                      "its bias.",
                      "Return early when there is no element, before a grid or a thread count is "
                      "divided by; an empty k is no empty result.",
                      zero_size},
    {"backend.aliasing", ISC_OF(ISC_BACKEND), ISC_PER_CASE, 30,
     "Outputs that may alias an input give the same result when they do.",
     "Read an element before its place is written, and do not mark those arguments restrict.",
     aliasing},
    {0}};
