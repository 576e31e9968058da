/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts as a target's tokens, each up to the position that is asked for, ready to be run in batches of like length.
 */
#ifndef ISC_CORE_SEQUENCES_H
#define ISC_CORE_SEQUENCES_H

#include "model/sites.h"

typedef struct isc_sequence {
  int64_t text;  /* index of its text          */
  int64_t start; /* of its ids in `ids`        */
  int64_t len;   /* tokens up to the position  */
} isc_sequence;

typedef struct isc_sequences {
  isc_sequence *seq; /* [n] the texts that can be run, shortest first */
  int64_t n;
  int32_t *ids;
  int64_t n_ids, cap;
} isc_sequences;

typedef struct isc_sequence_source {
  const isc_target *target;
  const char *const *text;  /* [n] */
  const size_t *len;        /* [n] */
  int64_t n, position;      /* as in isc_harvest                                                */
  bool *bad;                /* [n] marked for a text that cannot be run; NULL = that is an error */
  bool begin;               /* a text without tokens is the BOS, where there is one             */
  const int64_t *positions; /* [n] each text's own in place of `position`; or NULL              */
} isc_sequence_source;

isc_status isc_sequences_make(const isc_sequence_source *from, isc_sequences *out);
void isc_sequences_free(isc_sequences *s); /* zeros are fine */
/* How many from `from` on are as long as that one. */
int64_t isc_sequences_alike(const isc_sequences *s, int64_t from);

/* Tokens in one forward pass of texts of any length: a layer's memory is in proportion. */
enum { ISC_PASS_TOKENS = 4096 };

/* Right-padded ids [n, longest] of sequences [first, first + n) and, where each one's position is, rows [n] of [n·longest];
 * both are the step's. *len is the longest. */
isc_status isc_sequences_batch(const isc_sequences *s, int64_t first, int64_t n, isc_step *step,
                               int32_t **ids, int64_t **rows, int64_t *len);
/* The same without padding: ids [total], rows [n] of [total], lens [n]; *len is the longest. */
isc_status isc_sequences_pack(const isc_sequences *s, int64_t first, int64_t n, isc_step *step,
                              int32_t **ids, int64_t **rows, int64_t **lens, int64_t *len);
/* Tokens of sequences [first, first + n). */
int64_t isc_sequences_tokens(const isc_sequences *s, int64_t first, int64_t n);

#endif
