/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a tokenizer, shared by its loaders, its encoder and its writer.
 *
 * A loader fills one with isc_tokenizer_new … and ends with isc_tokenizer_finish, after which nothing
 * in it changes but by isc_tokenizer_set_bos.
 */
#ifndef ISC_CORE_TOKENIZER_PARTS_H
#define ISC_CORE_TOKENIZER_PARTS_H

#include "model/bpe.h"
#include "model/char_set.h"
#include "model/prefix_set.h"
#include "model/split_regex.h"
#include "base/base.h"
#include <inversescope/tokenizer.h>

enum {
  ISC_MAX_ADDED_LENGTH = 512,
  ISC_MAX_TOKEN_ID = (1 << 24) - 1,
  ISC_MAX_PARTS = 16 /* of a sequence of normalisers, pre-tokenisers or decoders */
};

typedef enum isc_model_kind {
  ISC_WORD_LEVEL,
  ISC_BYTE_BPE,     /* merges over bytes                               */
  ISC_CHAR_BPE,     /* merges over characters, byte tokens for others  */
  ISC_SENTENCEPIECE /* merges by score; see sentencepiece.h            */
} isc_model_kind;

/* What a Split or a Replace looks for: a text, or a regular expression. */
typedef struct isc_pattern {
  char *text;             /* as the file has it; NULL = none */
  isc_split_regex *regex; /* NULL of a text                  */
} isc_pattern;

/* ---- normalisers */
typedef enum isc_normalize_kind {
  ISC_NORMALIZE_PREPEND,
  ISC_NORMALIZE_REPLACE,
  ISC_NORMALIZE_NFC
} isc_normalize_kind;
typedef struct isc_normalize_part {
  isc_normalize_kind kind;
  isc_pattern pattern; /* of Replace                      */
  char *content;       /* put in front, or in its place; NULL of NFC */
} isc_normalize_part;

/* ---- pre-tokenisers */
typedef enum isc_pre_kind {
  ISC_PRE_WHITESPACE,       /* runs of word characters, runs of other visible ones       */
  ISC_PRE_WHITESPACE_SPLIT, /* between white space                                       */
  ISC_PRE_CHARS,            /* Split "." Isolated                                        */
  ISC_PRE_BYTE_LEVEL,       /* GPT-2's pattern; always the last                          */
  ISC_PRE_SPLIT,            /* at a pattern                                              */
  ISC_PRE_DIGITS,           /* numbers apart                                             */
  ISC_PRE_METASPACE         /* spaces become a character, which begins words             */
} isc_pre_kind;

/* What becomes of the matches of a Split. */
typedef enum isc_behavior {
  ISC_ISOLATED,
  ISC_REMOVED,
  ISC_MERGED_WITH_PREVIOUS,
  ISC_MERGED_WITH_NEXT,
  ISC_CONTIGUOUS
} isc_behavior;

typedef enum isc_prepend_scheme {
  ISC_PREPEND_ALWAYS,
  ISC_PREPEND_NEVER,
  ISC_PREPEND_FIRST /* to the piece that begins the text */
} isc_prepend_scheme;

typedef struct isc_pre_part {
  isc_pre_kind kind;
  isc_pattern pattern;              /* of Split and ByteLevel                     */
  isc_behavior behavior;            /* of Split                                   */
  bool invert;                      /* of Split: the matches are what is between  */
  bool add_prefix_space, use_regex; /* of ByteLevel                               */
  bool individual_digits;           /* of Digits                                  */
  isc_char_set set;                 /* numbers of Digits, words of Whitespace     */
  isc_prepend_scheme scheme;        /* of Metaspace                               */
  bool split;                       /* of Metaspace                               */
  char replacement[8];              /* of Metaspace: one character                */
} isc_pre_part;

/* ---- decoders */
typedef enum isc_decode_kind {
  ISC_DECODE_BYTE_LEVEL,
  ISC_DECODE_BYTE_FALLBACK,
  ISC_DECODE_FUSE,
  ISC_DECODE_STRIP,
  ISC_DECODE_REPLACE,
  ISC_DECODE_METASPACE
} isc_decode_kind;
typedef struct isc_decode_part {
  isc_decode_kind kind;
  isc_pattern pattern;       /* of Replace                                   */
  char *content;             /* of Replace; one character of Strip, Metaspace */
  int64_t start, stop;       /* of Strip                                      */
  isc_prepend_scheme scheme; /* of Metaspace                                  */
} isc_decode_part;

/* ---- a token matched in the text before anything else looks at it */
typedef struct isc_added {
  int32_t id;
  bool special;        /* left out when decoding                      */
  bool normalized;     /* matched in a second pass, after the others  */
  bool single_word;    /* only between characters that are no letters */
  bool lstrip, rstrip; /* takes the white space beside it             */
  char *pattern;       /* what is looked for; NULL = its content      */
} isc_added;

struct isc_tokenizer {
  char *where;    /* file or "a word list", for messages        */
  char **token;   /* [vocab] NULL for an id without a token     */
  bool *special;  /* [vocab]                                    */
  bool *in_model; /* [vocab] false of tokens that were added    */
  isc_key *key;   /* [vocab]                                    */
  isc_table by_token;
  int64_t vocab, cap;
  size_t longest; /* bytes of a token                           */
  int32_t bos, eos, unk;
  char *unk_token; /* as the file names it; may be outside the vocabulary */

  isc_model_kind model;
  isc_bpe bpe; /* byte_id of ISC_CHAR_BPE: the tokens <0x00> … <0xFF> */
  bool byte_fallback, fuse_unk, ignore_merges;
  struct isc_sentencepiece *sp; /* of ISC_SENTENCEPIECE */

  isc_normalize_part *normalize; /* [n_normalize] */
  isc_pre_part *pre;             /* [n_pre]       */
  isc_decode_part *decode;       /* [n_decode]    */
  int64_t n_normalize, n_pre, n_decode;
  bool joins_with_spaces; /* there is no decoder */

  isc_added *added; /* [n_added] in the file's order */
  int64_t n_added;
  isc_prefix_set pass[2]; /* not normalized, normalized; ids are places in `added` */
  isc_char_set word;      /* word characters, when a token asks for them           */
  const char **shown;     /* [vocab] what decodes; NULL = all as in `token`        */

  int32_t *prefix, *suffix; /* what is added to a text     */
  int64_t n_prefix, n_suffix;
  int32_t *file_prefix; /* what the files say of the prefix */
  int64_t n_file_prefix;
  char *bos_conflict; /* why the files do not agree on it; NULL = they do */
  isc_bos_policy bos_policy;
  char fingerprint[33];
};

/* ---- putting one together */

/* An empty tokenizer: WordLevel, no pre-tokeniser, no decoder, ids −1. */
isc_status isc_tokenizer_new(const char *where, isc_tokenizer **out);
/* Give an id its token; an id or (at indexing) a token given twice is an error. */
isc_status isc_tokenizer_set_token(isc_tokenizer *t, int64_t id, const char *token);
/* Build or rebuild the look-up by token. */
isc_status isc_tokenizer_index(isc_tokenizer *t);
/* Id of a token, −1 if there is none; the second looks only at those of the model. */
int32_t isc_tokenizer_id(const isc_tokenizer *t, const char *token, size_t len);
int32_t isc_tokenizer_model_id(const isc_tokenizer *t, const char *token, size_t len);
/* An added token, but for its pattern: its id must agree with the vocabulary, or is new (index again after the last). */
isc_status isc_tokenizer_add(isc_tokenizer *t, const char *content, const isc_added *added);
/* The byte tokens of a BPE model from its vocabulary: GPT-2's characters, or <0x00> … <0xFF>. */
void isc_tokenizer_byte_ids(isc_tokenizer *t);
void isc_tokenizer_fallback_ids(isc_tokenizer *t);
/* Merges by their texts (rank = i), apart or with one space between them. */
isc_status isc_tokenizer_set_merge(isc_tokenizer *t, int64_t rank, const char *left, size_t n_left,
                                   const char *right, size_t n_right);
isc_status isc_tokenizer_split_merge(isc_tokenizer *t, int64_t rank, const char *s, size_t len);
isc_status isc_tokenizer_index_merges(isc_tokenizer *t);
/* One more part, zeroed, of a list of at most ISC_MAX_PARTS. */
isc_status isc_tokenizer_add_normalizer(isc_tokenizer *t, isc_normalize_part **out);
isc_status isc_tokenizer_add_pre(isc_tokenizer *t, isc_pre_kind kind, isc_pre_part **out);
isc_status isc_tokenizer_add_decoder(isc_tokenizer *t, isc_decode_kind kind, isc_decode_part **out);
/* One more id before or behind every text. */
isc_status isc_tokenizer_add_prefix(isc_tokenizer *t, int32_t id);
isc_status isc_tokenizer_add_suffix(isc_tokenizer *t, int32_t id);
/* Last step: sets and patterns, added-token passes, the fingerprint. */
isc_status isc_tokenizer_finish(isc_tokenizer *t);

isc_status isc_pattern_set(isc_pattern *p, const char *text, bool is_regex);
void isc_pattern_free(isc_pattern *p);
/* The first match at or behind `at`; *begin = len when there is none. */
isc_status isc_pattern_find(const isc_pattern *p, isc_regex_work *w, const char *s, size_t len,
                            size_t at, size_t *begin, size_t *end);

/* ---- loaders and writers */

isc_status isc_tokenizer_read_json(isc_tokenizer *t, const char *path);
/* The canonical tokenizer.json of t, which is no ISC_SENTENCEPIECE. */
isc_status isc_tokenizer_to_json(const isc_tokenizer *t, char **out);

/* The kinds of token of SentencePiece and GGUF files. */
typedef enum isc_piece_type {
  ISC_PIECE_NORMAL = 1,
  ISC_PIECE_UNKNOWN = 2,
  ISC_PIECE_CONTROL = 3,
  ISC_PIECE_USER_DEFINED = 4,
  ISC_PIECE_UNUSED = 5,
  ISC_PIECE_BYTE = 6
} isc_piece_type;

/* A tokenizer as arrays, such as a GGUF file holds: byte-level BPE when there are merges ("gpt2"), SentencePiece's BPE by
 * scores when there are none ("llama"). Everything is borrowed for the call. */
typedef struct isc_tokenizer_arrays {
  const char *where; /* the file, for messages                                                    */
  int64_t n;         /* tokens; id = place                                                        */
  const isc_key
      *token; /* [n] UTF-8                                                                */
  const int32_t
      *type; /* [n] isc_piece_type; NULL = all normal                                     */
  const float
      *score; /* [n]; NULL of byte-level BPE                                               */
  const isc_key
      *merge; /* [n_merge] "left right" by rank                                           */
  int64_t n_merge;
  const char *pre; /* of byte-level BPE: "gpt-2", "llama-bpe", "smollm" or "tekken"            */
  bool
      add_dummy_prefix; /* of SentencePiece, as the next                                            */
  bool remove_extra_whitespaces;
  int32_t bos, eos,
      unk; /* −1 = none                                                                */
  bool add_bos,
      add_eos; /* to every text                                                            */
} isc_tokenizer_arrays;
/* ISC_E_FORMAT for arrays that do not fit together, ISC_E_UNSUPPORTED naming a `pre` that is not known. */
ISC_API isc_status isc_tokenizer_from_arrays(const isc_tokenizer_arrays *a, isc_tokenizer **out);

/* ---- encoding one text */

typedef struct isc_encoding {
  const isc_tokenizer *t;
  isc_ids *out;
  const char *text;    /* the whole of it                      */
  isc_regex_work work; /* shared by all patterns               */
  int32_t *id;         /* [cap] the pieces of the word at hand */
  size_t cap;
  int64_t steps; /* work done on words */
} isc_encoding;

void isc_encoding_begin(const isc_tokenizer *t, const char *text, size_t len, isc_ids *out,
                        isc_encoding *e);
void isc_encoding_end(isc_encoding *e);
/* Added tokens apart, then normalise, cut and encode what is between them. */
isc_status isc_encode_text(isc_encoding *e, const char *text, size_t len);
/* From pre-tokeniser `part` on. */
isc_status isc_encode_piece(isc_encoding *e, int64_t part, const char *s, size_t len);
/* One word: ids of the model. */
isc_status isc_encode_word(isc_encoding *e, const char *s, size_t len);
/* The normalisers' text of s. */
isc_status isc_tokenizer_normalize(const isc_tokenizer *t, isc_regex_work *w, const char *s,
                                   size_t len, isc_text *out);
/* Steps that this thread's encoders took since the last call: a test's measure of how work grows. */
ISC_API int64_t isc_tokenizer_steps(void);

/* ---- decoding */
isc_status isc_tokenizer_run_decoders(const isc_tokenizer *t, const int32_t *ids, int64_t n,
                                      isc_text *out);
/* What is not UTF-8 becomes U+FFFD: each ill-formed piece (Unicode 15, 3.9), as Rust's lossy conversion does. */
isc_status isc_text_make_utf8(isc_text *t);

#endif
