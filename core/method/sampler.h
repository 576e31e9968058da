/* SPDX-License-Identifier: Apache-2.0
 *
 * Sampling texts from the generator, x ~ q(x | ẑ), or from its backbone alone.
 *
 * A sample depends on (seed, index, condition, temperature) only: not on the batch it is decoded in, nor on its
 * neighbours there, because every operation of a row is independent of the others (operations.h).
 */
#ifndef ISC_CORE_SAMPLER_H
#define ISC_CORE_SAMPLER_H

#include "method/control.h"

typedef struct isc_sampler {
  isc_device *device;
  isc_decoder *decoder;
  const isc_tokenizer *tokenizer; /* its eos begins and ends every text             */
  isc_control_layers *control;    /* NULL: unconditional; site and z are then ignored */
  int64_t max_tokens;             /* with BOS and EOS; at most the decoder's n_ctx    */
  isc_dtype product;              /* what matrix products round their operands to     */
} isc_sampler;

/* As isc_method_ops.invert. log q is that of the tokens drawn, the end included, at the request's temperature (0 at
 * temperature 0). A text that has not ended by max_tokens is delivered as it stands, with the log q of what there is.
 * One thread. */
ISC_API isc_status isc_sampler_run(const isc_sampler *sp, const isc_invert *req);

#endif
