/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokenizers for tests: directories made of the pieces in tests/data/tokenizers, or of a text.
 */
#ifndef ISC_TESTS_SUPPORT_TOKENIZER_H
#define ISC_TESTS_SUPPORT_TOKENIZER_H

#include <inversescope/tokenizer.h>

/* A file of tests/data/tokenizers, to be freed. */
char *isc_test_tokenizer_file(const char *name, size_t *len);
/* A fresh directory with one file; and one more file in a directory. */
const char *isc_test_tokenizer_dir(const char *name, const void *data, size_t len);
void isc_test_tokenizer_add(const char *dir, const char *name, const char *content);
/* A fresh directory with the tokenizer of a head, "llama3"; or with a .model, "sp-llama". */
const char *isc_test_tokenizer_of(const char *name);
isc_tokenizer *isc_test_tokenizer_open(const char *dir);
/* The tokens of a text, what is added to it among them, joined by '|'. Static buffer. */
const char *isc_test_pieces(const isc_tokenizer *t, const char *text);

#endif
