/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a GGUF file, and the cursor that reads its header.
 *
 * The cursor knows where the header must end, so that "what is left" bounds every count before it is believed.
 */
#ifndef ISC_CORE_GGUF_INTERNAL_H
#define ISC_CORE_GGUF_INTERNAL_H

#include "model/gguf.h"

enum {
  ISC_GGUF_MAX_HEADER = 128 << 20, /* bytes; published vocabularies take about 16 MB */
  ISC_GGUF_MAX_KEY = 65535,        /* bytes, by the format                            */
  ISC_GGUF_MAX_NAME = 64,          /* of a tensor, by the format                      */
  ISC_GGUF_MAX_DEPTH = 4           /* of arrays in arrays                             */
};

typedef struct isc_gguf_cursor {
  const isc_input *file;
  uint64_t at, end; /* the next byte; where the header may not go on */
  uint8_t buffer[1 << 14];
  size_t filled, used;
} isc_gguf_cursor;

typedef struct isc_gguf_value {
  char *key;
  isc_gguf_type type;
  int64_t i;            /* of integers and booleans          */
  double f;             /* of floats                         */
  isc_gguf_text text;   /* of a string                       */
  isc_gguf_array array; /* of an array                       */
  void *data;           /* what text or array point to       */
  char *chars;          /* the characters of array's strings */
} isc_gguf_value;

struct isc_gguf {
  isc_input in;
  isc_gguf_value *value; /* [n_values] sorted by key */
  int64_t n_values;
  isc_weight *tensor; /* [n_tensors] */
  int64_t n_tensors;
  char **name; /* [n_tensors] storage of their names */
};

/* ---- gguf_cursor.c. `what` names what is being read in messages. */
void isc_gguf_begin(isc_gguf_cursor *c, const isc_input *file);
uint64_t isc_gguf_left(const isc_gguf_cursor *c);
isc_status isc_gguf_take(isc_gguf_cursor *c, const char *what, void *out, size_t n);
isc_status isc_gguf_skip(isc_gguf_cursor *c, const char *what, uint64_t n);
isc_status isc_gguf_u32(isc_gguf_cursor *c, const char *what, uint32_t *out);
isc_status isc_gguf_u64(isc_gguf_cursor *c, const char *what, uint64_t *out);
/* A count of things of at least `size` bytes each, no more than are left. */
isc_status isc_gguf_number(isc_gguf_cursor *c, const char *what, uint64_t size, uint64_t *out);
/* A key or a tensor's name: 1 to `max` bytes of UTF-8 without NUL, malloc'd. */
isc_status isc_gguf_name(isc_gguf_cursor *c, const char *what, size_t max, char **out);

/* ---- gguf_metadata.c */
/* n key/value pairs, sorted; what was made is g's also on failure. */
isc_status isc_gguf_read_values(isc_gguf *g, isc_gguf_cursor *c, int64_t n);
void isc_gguf_free_values(isc_gguf *g);
const isc_gguf_value *isc_gguf_find(const isc_gguf *g, const char *key); /* NULL if absent */

#endif
