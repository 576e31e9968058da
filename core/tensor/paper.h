/* SPDX-License-Identifier: Apache-2.0
 *
 * A device of paper: it computes nothing and counts what it is asked for.
 *
 * Whatever is built or trained on it asks for exactly the memory and the floating-point operations that it would take of a real
 * device, so that a plan cannot differ from what will happen. What is downloaded from it is zeros.
 */
#ifndef ISC_CORE_TENSOR_PAPER_H
#define ISC_CORE_TENSOR_PAPER_H

#include <inversescope/tensor.h>

typedef struct isc_paper {
  double bytes, peak; /* of memory that is given out; the most there was so far */
} isc_paper;

/* `p`, zeros at first, must outlive the device. */
isc_device isc_paper_device(isc_paper *p);

#endif
