/* SPDX-License-Identifier: Apache-2.0
 *
 * The text that tokens add to a prompt, and the stop strings in it.
 *
 * How a token is written depends on what stands before it (a leading space, the rest of a character), so a continuation is
 * decoded with its prompt.
 */
#ifndef ISC_CORE_CONTINUATION_H
#define ISC_CORE_CONTINUATION_H

#include <inversescope/tokenizer.h>

typedef struct isc_continuation {
  const isc_tokenizer *tok;
  const char *text; /* what was added; ends in a NUL, lives until the next call */
  size_t len;
  isc_text before, whole;
  int32_t *ids; /* [cap] */
  int64_t cap;
} isc_continuation;

/* The text of ids [n] behind prompt [n_prompt]. Ids without a token are left out: a model may have more than its tokenizer. */
isc_status isc_continuation_write(isc_continuation *c, const int32_t *prompt, int64_t n_prompt,
                                  const int32_t *ids, int64_t n);
/* Shorten the text to what stands before the first of the stop strings; *found = is there one, or is the token `last` itself written
 * so (special tokens are not in a text)? */
void isc_continuation_stop(isc_continuation *c, const char *const *stop, int64_t n_stop,
                           int32_t last, bool *found);
void isc_continuation_free(isc_continuation *c);

#endif
