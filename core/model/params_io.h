/* SPDX-License-Identifier: Apache-2.0
 *
 * Parameters to and from safetensors: weights alone, or a checkpoint with optimiser state.
 */
#ifndef ISC_CORE_PARAMS_IO_H
#define ISC_CORE_PARAMS_IO_H

#include "model/safetensors.h"
#include "model/weights.h"
#include "tensor/lane.h"
#include <inversescope/parameters.h>
#include <stdatomic.h>

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

/* ---- one parameter: what the above and the decoder's own files are made of. Host memory is bounded: 1 MB, or a
 * twentieth of the model's files up to 64 MB. */
/* ISC_E_SHAPE with both shapes unless the tensor fits the parameter; `where` names the file. */
ISC_API isc_status isc_param_check_shape(const char *where, const isc_param *q,
                                         const isc_st_tensor *t);
/* A tensor of the parameter's size into it, rounded if it is bf16. */
ISC_API isc_status isc_param_read(const isc_safetensors *f, const isc_st_tensor *t, isc_params *set,
                                  isc_param *q);
/* Its bytes as they are; the caller declared the tensor. */
ISC_API isc_status isc_param_write(isc_st_writer *w, isc_params *set, const isc_param *q);
/* From a model's files, whatever their format. `m` has the parameter's shape (else ISC_E_USAGE) and is checked here.
 * ISC_E_INTERRUPTED when the program was asked to stop. */
ISC_API isc_status isc_param_load(isc_weights *w, const isc_weight_matrix *m, isc_params *set,
                                  isc_param *q);
/* How a parameter gets to its device: zeros for the device's own queue, or a lane, from whatever thread is in it. Once `stop`
 * is true the parameter is wanted no more → ISC_E_INTERRUPTED; NULL = it is wanted. */
typedef struct isc_param_way {
  isc_lane *lane;
  const atomic_bool *stop;
} isc_param_way;
isc_status isc_param_load_by(isc_weights *w, const isc_weight_matrix *m, isc_params *set,
                             isc_param *q, const isc_param_way *way);
/* Bytes that are best read at a time from these files. */
size_t isc_param_piece(const isc_weights *w);
/* The same with any memory of the set's device, such as moments: all of a tensor to it, n elements from it. */
isc_status isc_param_upload(const isc_safetensors *f, const isc_st_tensor *t, isc_params *set,
                            void *to, isc_dtype dtype);
isc_status isc_param_download(isc_st_writer *w, isc_params *set, const void *from, int64_t n,
                              isc_dtype dtype);

#endif
