/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokenizers: text ↔ token ids.
 *
 * Read from a Hugging Face directory (tokenizer.json, SentencePiece's tokenizer.model, or vocab.json + merges.txt) or a
 * GGUF file, or built from a word list. An immutable tokenizer may be used from any number of threads.
 */
#ifndef ISC_TOKENIZER_H
#define ISC_TOKENIZER_H

#include <inversescope/text.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct isc_tokenizer isc_tokenizer; /* an opened tokenizer */

/* From a directory, or a GGUF file. Ids and decoded texts are those of the tokenizers library for tokenizer.json, and those of
 * sentencepiece for tokenizer.model, where a control piece such as "<s>" is ordinary characters in a text. Unknown
 * normalisers, pre-tokenisers, models, decoders or post-processors, and patterns that could be read in two ways, are errors
 * that name them, never a guess. */
ISC_API isc_status isc_tokenizer_open(const char *dir, isc_tokenizer **out);
/* White-space word-level tokenizer over `words` (unique, none with white space); id = position. `eos` (a member, e.g.
 * "<|endoftext|>") begins and ends sequences; words outside the list are an error when encoding. */
ISC_API isc_status isc_tokenizer_from_words(const char *const *words, int64_t n, const char *eos,
                                            isc_tokenizer **out);
/* One token per UTF-8 character, members of `chars` (NUL-terminated strings of one character each), plus `eos`. */
ISC_API isc_status isc_tokenizer_from_chars(const char *const *chars, int64_t n, const char *eos,
                                            isc_tokenizer **out);
ISC_API void isc_tokenizer_close(isc_tokenizer *t); /* NULL is fine */
/* Write tokenizer.json (readable by isc_tokenizer_open and by the tokenizers library), atomically. Of a SentencePiece
 * tokenizer write tokenizer.model, and remove a tokenizer.json that would be read in its place. */
ISC_API isc_status isc_tokenizer_save(const isc_tokenizer *t, const char *dir);

/* Ids of `text` with what the file's post-processor adds (a BOS, say). Writes at most `max` ids and always the full
 * count to *n (so max = 0 measures). Never repaired but refused are: bytes that are not UTF-8, and a text that begins with
 * the BOS that is put before it → ISC_E_FORMAT; a word, character or byte the vocabulary lacks and no <unk>, where the
 * library would leave it out → ISC_E_SHAPE naming it; files that contradict each other on the BOS, until
 * isc_tokenizer_set_bos settles it → ISC_E_CONFIG; a pattern of the file that takes more than 1024 steps for each byte →
 * ISC_E_UNSUPPORTED. */
ISC_API isc_status isc_tokenizer_encode(const isc_tokenizer *t, const char *text, size_t len,
                                        int32_t *ids, int64_t max, int64_t *n);
/* The same without anything added, whatever the text begins with: the backbone puts its own BOS. */
ISC_API isc_status isc_tokenizer_encode_plain(const isc_tokenizer *t, const char *text, size_t len,
                                              int32_t *ids, int64_t max, int64_t *n);
/* Text of `ids`, special tokens left out: always UTF-8, U+FFFD for bytes that are no character. Word-level text is joined by
 * single spaces. */
ISC_API isc_status isc_tokenizer_decode(const isc_tokenizer *t, const int32_t *ids, int64_t n,
                                        isc_text *out);

ISC_API int64_t isc_tokenizer_vocab(const isc_tokenizer *t); /* 1 + the largest id */
ISC_API int32_t
isc_tokenizer_bos(const isc_tokenizer *t); /* −1 if none; set by config.json/tokenizer files */
ISC_API int32_t isc_tokenizer_eos(const isc_tokenizer *t); /* −1 if none */
ISC_API int32_t isc_tokenizer_unk(const isc_tokenizer *t); /* −1 if none */
/* The token's text as in the vocabulary; NULL for an id without a token. Valid as long as the tokenizer. */
ISC_API const char *isc_tokenizer_token(const isc_tokenizer *t, int32_t id);
/* Hash of everything that decides its behaviour, 32 hex digits. */
ISC_API void isc_tokenizer_fingerprint(const isc_tokenizer *t, char hex[33]);

/* Whether isc_tokenizer_encode puts the BOS before a text. */
typedef enum isc_bos_policy {
  ISC_BOS_MODEL,  /* as the files say: the default        */
  ISC_BOS_ALWAYS, /* always, whatever the files say       */
  ISC_BOS_NEVER   /* never; the text may have one already */
} isc_bos_policy;

/* Set the policy, which is part of the fingerprint and of what isc_tokenizer_save writes. Before the tokenizer is used or
 * shared: no other thread may use it meanwhile. ISC_E_CONFIG for "always" when the tokenizer has no BOS. */
ISC_API isc_status isc_tokenizer_set_bos(isc_tokenizer *t, isc_bos_policy policy);

#ifdef __cplusplus
}
#endif
#endif
