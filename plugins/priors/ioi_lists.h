/* SPDX-License-Identifier: Apache-2.0
 *
 * The built-in words and sentences of the IOI prior.
 *
 * Every name, place and object is one token of GPT-2 after a space; objects begin with a consonant, for
 * "a [OBJECT]". A count option takes the first ones of a list, so lists begin with a fair mixture.
 */
#ifndef ISC_PRIOR_IOI_LISTS_H
#define ISC_PRIOR_IOI_LISTS_H

#include <stdint.h>

extern const char *const ioi_names[];
extern const int64_t ioi_n_names;
extern const char *const ioi_places[];
extern const int64_t ioi_n_places;
extern const char *const ioi_objects[];
extern const int64_t ioi_n_objects;

/* ABBA: [A], named first, is the indirect object; [B] is the subject and comes twice. The BABA form of each has the
 * first two names exchanged. */
extern const char *const ioi_sentences[];
extern const int64_t ioi_n_sentences;

#endif
