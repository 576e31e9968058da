/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a tokenizer, shared by its loaders, its encoder and its writer.
 *
 * A loader fills one with isc_tokenizer_new … and ends with isc_tokenizer_finish, after which nothing
 * in it changes.
 */
#ifndef ISC_CORE_TOKENIZER_PARTS_H
#define ISC_CORE_TOKENIZER_PARTS_H

#include "model/bpe.h"
#include "base/base.h"
#include <inversescope/tokenizer.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

typedef enum isc_model_kind { ISC_WORD_LEVEL, ISC_BYTE_BPE } isc_model_kind;

typedef enum isc_pre_kind {
  ISC_PRE_NONE,             /* the whole text is one word                          */
  ISC_PRE_WHITESPACE,       /* runs of word characters, runs of other visible ones */
  ISC_PRE_WHITESPACE_SPLIT, /* between white space                                 */
  ISC_PRE_CHARS,            /* Split "." Isolated                                  */
  ISC_PRE_BYTE_LEVEL        /* GPT-2's pattern                                     */
} isc_pre_kind;

typedef enum isc_decode_kind {
  ISC_DECODE_SPACES,
  ISC_DECODE_FUSE,
  ISC_DECODE_BYTES
} isc_decode_kind;

/* A token matched in the text before anything else looks at it. */
typedef struct isc_added {
  int32_t id;
  bool special;    /* left out when decoding                       */
  bool normalized; /* matched in a second pass, after the others   */
} isc_added;

/* Added tokens of one pass, by content. */
typedef struct isc_added_set {
  isc_key *key; /* [n]                                   */
  int32_t *id;  /* [n]                                   */
  int64_t n;
  isc_table table;
  bool starts[256]; /* first bytes                       */
  bool has_length[513];
  size_t longest;
} isc_added_set;

enum { ISC_MAX_ADDED_LENGTH = 512, ISC_MAX_TOKEN_ID = (1 << 24) - 1 };

struct isc_tokenizer {
  char *where;   /* file or "a word list", for messages        */
  char **token;  /* [vocab] NULL for an id without a token     */
  bool *special; /* [vocab]                                   */
  isc_key *key;  /* [vocab]                                    */
  isc_table by_token;
  int64_t vocab, cap;
  int32_t bos, eos, unk;
  char *unk_token; /* as the file names it; may be outside the vocabulary */

  isc_model_kind model;
  isc_bpe bpe;
  isc_pre_kind pre;
  bool add_prefix_space, use_regex; /* of ISC_PRE_BYTE_LEVEL */
  pcre2_code *regex;
  isc_decode_kind decode;
  isc_added *added; /* [n_added] in the file's order */
  int64_t n_added;
  isc_added_set pass[2];    /* not normalized, normalized */
  int32_t *prefix, *suffix; /* what the post-processor adds */
  int64_t n_prefix, n_suffix;
  char fingerprint[33];
};

/* An empty tokenizer: WordLevel, no pre-tokeniser, ids −1. */
isc_status isc_tokenizer_new(const char *where, isc_tokenizer **out);
/* Give an id its token; an id or (at indexing) a token given twice is an error. */
isc_status isc_tokenizer_set_token(isc_tokenizer *t, int64_t id, const char *token);
/* Build or rebuild the look-up by token. */
isc_status isc_tokenizer_index(isc_tokenizer *t);
/* Id of a token, −1 if there is none. */
int32_t isc_tokenizer_id(const isc_tokenizer *t, const char *token, size_t len);
/* An added token: its id must agree with the vocabulary, or is new (index again after the last). */
isc_status isc_tokenizer_add(isc_tokenizer *t, const char *content, int64_t id, bool special,
                             bool normalized);
/* Byte tokens of a BPE model from its vocabulary; merges by their texts (rank = i). */
void isc_tokenizer_byte_ids(isc_tokenizer *t);
isc_status isc_tokenizer_set_merge(isc_tokenizer *t, int64_t rank, const char *left, size_t n_left,
                                   const char *right, size_t n_right);
/* Last step: added-token passes, the pattern, the fingerprint. */
isc_status isc_tokenizer_finish(isc_tokenizer *t);

isc_status isc_tokenizer_read_json(isc_tokenizer *t, const char *path);
/* The canonical tokenizer.json of t. */
isc_status isc_tokenizer_to_json(const isc_tokenizer *t, char **out);

/* Cut `text` into added tokens and words; either callback may stop with a status. */
typedef struct isc_splitter {
  isc_status (*word)(const isc_tokenizer *t, const char *s, size_t len, isc_ids *out);
  isc_ids *out;
} isc_splitter;
isc_status isc_tokenizer_split(const isc_tokenizer *t, const isc_splitter *s, const char *text,
                               size_t len);
isc_status isc_tokenizer_compile(isc_tokenizer *t); /* the pattern of t->pre */

/* Unicode White_Space. */
bool isc_is_white_space(uint32_t cp);

#endif
