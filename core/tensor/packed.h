/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention over sequences of several lengths that follow each other without padding.
 *
 * What works on rows needs nothing of the kind. Here a run of sequences of one length is a call of the backend; a row's bits
 * are the same however the sequences lie. No gradient.
 */
#ifndef ISC_CORE_PACKED_H
#define ISC_CORE_PACKED_H

#include <inversescope/ops.h>

/* `batch` sequences of `len` positions each, in rows [row, row + batch·len) of a tensor. */
typedef struct isc_span {
  int64_t row, batch, len;
} isc_span;

/* Rotary positions `pos` (host [rows]) of queries and keys of qkv [rows, fused row], in place. Heads: batch·len = rows. */
isc_status isc_op_rotary_at(isc_step *s, isc_tensor *qkv, const isc_heads *h, const int32_t *pos,
                            isc_tensor *cos, isc_tensor *sin);
/* Causal self-attention of each sequence of the n spans, which cover qkv [rows, fused row] → [rows, n_head·d_head], or with
 * `last` that of the last position of each sequence alone → [sequences, n_head·d_head]. Heads: batch·len = rows. */
isc_status isc_op_attend_spans(isc_step *s, isc_tensor *qkv, const isc_heads *h,
                               const isc_span *span, int64_t n, bool last, isc_tensor **out);

#endif
