/* SPDX-License-Identifier: Apache-2.0
 *
 * Batched decoding for methods that sample texts: a decoder, its tokenizer, and what steers it.
 *
 * The library keeps the key/value cache, draws the tokens, lets finished texts leave the batch and tells their log q. A
 * sample depends on (seed, index, condition, temperature) only: not on the batch it is decoded in, nor on its neighbours
 * there, as long as what the functions below make of a row does not depend on the others (operations.h). One thread.
 * Since 1.1.
 */
#ifndef ISC_DECODING_H
#define ISC_DECODING_H

#include <inversescope/decoder.h>
#include <inversescope/method.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What decodes, and what it conditions on: taps, key/value slots, both, or (begin NULL) nothing. */
typedef struct isc_decoding {
  size_t size; /* sizeof(isc_decoding) */
  isc_device *device;
  isc_decoder *decoder;
  const isc_tokenizer *tokenizer;
  int32_t bos, eos;   /* the token that is fed first, and the one that ends a text */
  int64_t max_tokens; /* with both; at most the decoder's n_ctx                    */
  int64_t n_prefix;   /* key/value slots that `begin` gives; 0 = none              */
  void *user;         /* for begin and select                                      */
  /* Rows row[0 … n) of the request begin, in the order of their sites: make what they condition on in step `s`, where it
   * lives until the next call. With n_prefix, set k and v of *prefix to tensors of n rows. */
  isc_status (*begin)(void *user, isc_step *s, const int64_t *row, int64_t n,
                      isc_kv_prefix *prefix);
  /* Of the rows given to `begin`, numbered from 0 in that order, only left[0 … n) go on: what taps read has to follow. What
   * the last call made in `s` is gone. NULL = nothing has to; slots follow by themselves. */
  isc_status (*select)(void *user, isc_step *s, const int64_t *left, int64_t n);
  const isc_taps *
      taps; /* of each token's pass, whose sequences are cut evenly among the rows, in order; or NULL */
  isc_dtype product; /* what matrix products round their operands to */
} isc_decoding;

/* As isc_method_ops.invert; req->site may be NULL when there is no `begin`. log q is that of the tokens drawn, the end included, at
 * the request's temperature (0 at temperature 0). A text that has not ended by max_tokens is delivered as it stands, with the
 * log q of what there is. */
ISC_API isc_status isc_decode(const isc_decoding *d, const isc_invert *req);

#ifdef __cplusplus
}
#endif
#endif
