/* SPDX-License-Identifier: Apache-2.0
 *
 * Parameters to and from safetensors: weights alone, or a checkpoint with optimiser state.
 */
#ifndef ISC_CORE_PARAMS_IO_H
#define ISC_CORE_PARAMS_IO_H

#include "model/safetensors.h"
#include <inversescope/parameters.h>

typedef struct isc_meta { /* written to / read from the file's __metadata__ */
  const char *key;
  char value[64];
} isc_meta;

/* Weights of the sets, names prefixed by prefix[i] ("" for none). */
ISC_API isc_status isc_params_save(const char *path, isc_params *const *sets,
                                   const char *const *prefix, int64_t n, const isc_meta *meta,
                                   int64_t n_meta);
/* The same with AdamW moments and step counts ("name#m", "name#v", "name#steps"). Bit-exact round trip. */
ISC_API isc_status isc_params_checkpoint(const char *path, isc_params *const *sets,
                                         const char *const *prefix, int64_t n, const isc_meta *meta,
                                         int64_t n_meta);
/* Fill the sets from either kind of file; every parameter must be there with its shape, which is checked before anything
 * is changed. Moments are taken when present and forgotten when not. Meta values whose key is in the file are filled. */
ISC_API isc_status isc_params_restore(const char *path, isc_params *const *sets,
                                      const char *const *prefix, int64_t n, isc_meta *meta,
                                      int64_t n_meta);

/* ---- one parameter: what the above and the decoder's own files are made of */
/* ISC_E_SHAPE with both shapes unless the tensor fits the parameter; `where` names the file. */
ISC_API isc_status isc_param_check_shape(const char *where, const isc_param *q,
                                         const isc_st_tensor *t);
ISC_API isc_status isc_param_read(const isc_safetensors *f, const isc_st_tensor *t, isc_params *set,
                                  isc_param *q);
ISC_API isc_status isc_param_write(isc_st_writer *w, isc_params *set, const isc_param *q);

#endif
