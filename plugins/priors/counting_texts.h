/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers of the texts of the counting prior, and back: three letters of an alphabet in some arrangement, one asked.
 *
 * Sets of letters come first, then the letter asked, then the three counts, then the arrangements, which are as many
 * as a multinomial coefficient says and run in the order of the alphabet; so a text has a number without any list of them.
 */
#ifndef ISC_PRIOR_COUNTING_TEXTS_H
#define ISC_PRIOR_COUNTING_TEXTS_H

#include <inversescope/text.h>
#include <stdint.h>

enum { COUNTING_LETTERS = 52, COUNTING_MOST = 20 };

typedef struct counting_texts {
  char letter[COUNTING_LETTERS][2]; /* the alphabet, as strings                                */
  int64_t n_letters, min, max;
  int64_t sets;    /* of three letters                                                         */
  int64_t cells;   /* triples of counts                                                        */
  int64_t words;   /* arrangements of three given letters                                      */
  int64_t support; /* all texts: sets · 3 · words                                              */
  int64_t *before; /* [cells + 1] arrangements whose triple of counts comes earlier; ours      */
} counting_texts;

/* What a text is made of; letters by their place in the alphabet, ascending. */
typedef struct counting_parts {
  int letter[3], count[3], asked; /* asked: 0, 1 or 2 */
  int64_t rank;                   /* among the arrangements of these counts */
} counting_parts;

/* `t` with the alphabet and the range of counts in it gets its numbers. ISC_E_CONFIG when they do not fit 63 bits. */
isc_status counting_texts_number(counting_texts *t);
void counting_texts_free(counting_texts *t);

/* A number's parts, 0 ≤ i < support, and their text; a text's parts, false when it is none; and parts' number. */
counting_parts counting_parts_at(const counting_texts *t, int64_t i);
isc_status counting_write(const counting_texts *t, counting_parts p, isc_text *out);
bool counting_read(const counting_texts *t, const char *text, size_t len, counting_parts *out);
int64_t counting_number(const counting_texts *t, const counting_parts *p);
/* How many arrangements there are of these counts. */
int64_t counting_arrangements(const int count[3]);

#endif
