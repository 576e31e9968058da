/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a pre-tokeniser's regular expression: the tree that the parser builds and the program made of it.
 */
#ifndef ISC_CORE_SPLIT_REGEX_PARTS_H
#define ISC_CORE_SPLIT_REGEX_PARTS_H

#include "model/char_set.h"
#include "model/split_regex.h"

enum {
  ISC_REGEX_MAX_BYTES = 8192,
  ISC_REGEX_MAX_NODES = 4096,
  ISC_REGEX_MAX_SETS = 64,
  ISC_REGEX_MAX_OPS = 4096,
  ISC_REGEX_MAX_DEPTH = 24,
  ISC_REGEX_MAX_COUNT = 1000, /* of a repetition; −1 = without end */
  ISC_REGEX_ANY = -1          /* in place of a filter */
};

/* ---- the tree; nodes by index, −1 = none */
typedef enum isc_regex_kind {
  ISC_REGEX_EMPTY,
  ISC_REGEX_SET,
  ISC_REGEX_SEQUENCE,    /* children in order           */
  ISC_REGEX_ALTERNATIVE, /* children in order of choice */
  ISC_REGEX_REPEAT,      /* of one child                */
  ISC_REGEX_LOOK,        /* ahead at one child          */
  ISC_REGEX_ATOMIC       /* one child                   */
} isc_regex_kind;

typedef enum isc_regex_greed {
  ISC_REGEX_GREEDY,
  ISC_REGEX_LAZY,
  ISC_REGEX_POSSESSIVE
} isc_regex_greed;

typedef struct isc_regex_node {
  isc_regex_kind kind;
  isc_regex_greed greed;
  bool negative; /* of a look ahead                  */
  bool nullable; /* may match without a character    */
  int set;       /* of ISC_REGEX_SET                 */
  int min, max;  /* of ISC_REGEX_REPEAT              */
  int child, next;
} isc_regex_node;

/* Bit b: a match may begin with byte b. */
typedef struct isc_byte_set {
  uint64_t bits[4];
} isc_byte_set;

/* ---- the program */
typedef enum isc_regex_op_kind {
  ISC_OP_SET,   /* one character of a set                                                    */
  ISC_OP_RUN,   /* min … max characters of a set                                             */
  ISC_OP_SPLIT, /* try `a`, then `b`; a side whose filter lacks the next byte is not entered */
  ISC_OP_JUMP,  /* to `a`                                                                    */
  ISC_OP_LOOK,  /* the program behind it up to ISC_OP_END matches here, or not; then `a`     */
  ISC_OP_ATOMIC,
  ISC_OP_END
} isc_regex_op_kind;

typedef struct isc_regex_op {
  isc_regex_op_kind kind;
  isc_regex_greed greed;
  bool negative;
  int set, min, max;
  int a, b, filter_a, filter_b; /* filters by index, or ISC_REGEX_ANY */
} isc_regex_op;

struct isc_split_regex {
  isc_char_set *set;  /* [n_sets]  */
  isc_byte_set *lead; /* [n_sets] first bytes of its characters */
  int n_sets;
  isc_regex_node *node; /* [n_nodes] freed once compiled */
  int n_nodes, root;
  isc_regex_op *op; /* [n_ops] */
  int n_ops;
  isc_byte_set *filter; /* [n_filters] */
  int n_filters;
};

isc_status isc_split_regex_parse(isc_split_regex *r, const char *pattern);
isc_status isc_split_regex_compile(isc_split_regex *r);
/* A new set, and the end of one. */
isc_status isc_split_regex_add_set(isc_split_regex *r, isc_char_set_builder *b, int *set);

/* ---- between the two files of the parser */
typedef struct isc_regex_parser {
  isc_split_regex *r;
  const char *pattern, *at, *end;
  int depth;
  bool ignore_case;
  uint32_t last; /* letter before this one, where case is ignored */
} isc_regex_parser;

/* "the pattern … has at byte …: `what` `of`". */
isc_status isc_regex_refuse(const isc_regex_parser *p, isc_status code, const char *what);
/* What an escape (at its backslash) or a class in brackets (at its '[') stands for. */
typedef struct isc_regex_escape {
  bool is_set;   /* added to the builder, else … */
  uint32_t code; /* … one character              */
} isc_regex_escape;
isc_status isc_regex_read_escape(isc_regex_parser *p, isc_char_set_builder *b,
                                 isc_regex_escape *out);
isc_status isc_regex_read_class(isc_regex_parser *p, isc_char_set_builder *b);
/* The next character of the pattern, which there must be. */
isc_status isc_regex_read_char(isc_regex_parser *p, uint32_t *out);

#endif
