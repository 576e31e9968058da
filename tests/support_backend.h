/* SPDX-License-Identifier: Apache-2.0
 *
 * Backends for tests: a plain one to compare with, and a wrapper that counts and fails calls.
 *
 * The plain backend is the reference of the conformance checks, with sums in double and no concern for speed. It has no
 * `sample` and no `noise`. The wrapper forwards to another device.
 */
#ifndef ISC_TESTS_SUPPORT_BACKEND_H
#define ISC_TESTS_SUPPORT_BACKEND_H

#include <inversescope/tensor.h>

/* A device by value; nothing to close. */
isc_device isc_test_plain_device(void);
extern const isc_backend_ops isc_test_plain_ops;

/* What the wrapper saw since it was zeroed. Device memory is poisoned with NaN when handed out, so that a
 * read of something never written shows. */
typedef struct isc_test_counts {
  int64_t calls; /* of anything that returns a status                           */
  int64_t alloc, free, copy, zero, upload, download, axpy;
  int64_t gemm;           /* all                                                         */
  int64_t weight_gemm;    /* with trans_a: gradients of weights                          */
  int64_t col_sum, adamw; /* adamw counts parameters, not calls                          */
  int64_t last_alloc;     /* bytes of the latest device allocation                       */
  int64_t fail_at;        /* the fail_at-th call from zero returns ISC_E_DEVICE; 0 = off */
  int64_t jumprelu_grad, to_bf16;
  bool poison;
} isc_test_counts;

typedef struct isc_test_wrapper {
  isc_device inner, device; /* use &device */
  isc_test_counts n;
} isc_test_wrapper;
void isc_test_wrap(isc_test_wrapper *w, isc_device inner);

/* The CPU backend as the build made it, or NULL when it is not there. The caller closes it. */
isc_device *isc_test_cpu_device(void);

/* Run `body` on the plain backend and on the CPU backend, as two tests. */
#define ISC_TEST_ON_BOTH(suite, name)                                                              \
  static void suite##_##name(isc_device *dev);                                                     \
  Test(suite, name##_plain) {                                                                      \
    isc_device dev = isc_test_plain_device();                                                      \
    suite##_##name(&dev);                                                                          \
  }                                                                                                \
  Test(suite, name##_cpu) {                                                                        \
    isc_device *dev = isc_test_cpu_device();                                                       \
    if (!dev) cr_skip_test("SKIPPED: needs the cpu backend in the build tree: %s", isc_error());   \
    suite##_##name(dev);                                                                           \
    isc_device_close(dev);                                                                         \
  }                                                                                                \
  static void suite##_##name(isc_device *dev)

/* n standard normals of stream `index`. */
void isc_test_normals(uint64_t index, float *out, int64_t n);

#endif
