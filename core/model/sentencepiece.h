/* SPDX-License-Identifier: Apache-2.0
 *
 * SentencePiece's byte-pair encoding: pieces with scores, of which the best two neighbours are joined first.
 *
 * A text is normalised (spaces become U+2581, one may be put in front), its characters are joined to pieces as long as the
 * join is a piece, and a character that is none is spelled in byte pieces or is unknown. User-defined pieces are matched
 * first and never joined; control pieces are not looked for in a text.
 */
#ifndef ISC_CORE_SENTENCEPIECE_H
#define ISC_CORE_SENTENCEPIECE_H

#include "model/tokenizer_parts.h"

enum { ISC_PIECE_MAX_BYTES = 1024 };

/* Beside the pieces themselves, which are the tokens of the tokenizer. */
typedef struct isc_sentencepiece {
  float *score;  /* [n]                */
  uint8_t *type; /* [n] isc_piece_type */
  int64_t n;
  bool byte_fallback, add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces;
  char *unk_surface;   /* what the unknown piece decodes to          */
  isc_prefix_set user; /* user-defined pieces, by id                 */
  bool has_unused;     /* there are pieces that are taken apart again */
} isc_sentencepiece;

/* For n pieces, with the format's defaults: t becomes of this kind. */
isc_status isc_sentencepiece_new(isc_tokenizer *t, int64_t n);
void isc_sentencepiece_free(isc_sentencepiece *sp); /* NULL is fine */
/* The next piece. */
isc_status isc_sentencepiece_add(isc_tokenizer *t, const char *s, size_t len, float score,
                                 int64_t type);
/* Once all are there: exactly one unknown piece, all bytes or none, no piece twice. */
isc_status isc_sentencepiece_check(isc_tokenizer *t);

/* From a tokenizer.model: pieces, settings, bos, eos and unk. */
isc_status isc_sentencepiece_read(isc_tokenizer *t, const char *path);
/* The tokenizer.model of t: canonical, and what the file said as far as it matters. */
isc_status isc_sentencepiece_write(const isc_tokenizer *t, isc_text *out);

isc_status isc_sentencepiece_encode(isc_encoding *e, const char *text, size_t len);
isc_status isc_sentencepiece_decode(const isc_tokenizer *t, const int32_t *ids, int64_t n,
                                    isc_text *out);

#endif
