/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting the words of a list in a text: for features by a rule such as "the name that comes twice".
 *
 * A word is what lies between white space and ASCII punctuation; bytes beyond ASCII belong to words. One pass
 * over the text and a look-up a word, whatever the text holds.
 */
#ifndef ISC_WORDS_H
#define ISC_WORDS_H

#include <inversescope/prior.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A word met in a text. Frozen. */
typedef struct isc_word_count {
  const char *word; /* [len], lives as long as the words; the same word, the same pointer */
  size_t len;
  int64_t count;
} isc_word_count;

/* The words of `list` or, when that is NULL or empty, the values of the prior's `slots` (NULL-terminated names); a word
 * may be there twice. Everything is copied. ISC_E_CONFIG when a word is empty or not one word, or when there is neither a
 * list nor a prior with these slots; the message then tells the user to give `option`. Opened words never change.
 * Any thread. */
ISC_API isc_status isc_words_open(const isc_list *list, const char *option, const isc_prior *prior,
                                  const char *const *slots, void **words);
ISC_API void isc_words_close(void *words); /* NULL is fine */
/* The distinct words met in the text, in the order they come in it; returns their number and stops reading once there are
 * `max`, so that `max` = 3 tells "two names" from "more than two" soon. Any thread. */
ISC_API int64_t isc_words_count(void *words, const char *text, size_t len,
                                isc_word_count *out /* [max] */, int64_t max);

#ifdef __cplusplus
}
#endif
#endif
