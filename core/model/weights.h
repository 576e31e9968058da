/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a model's weights come from: named tensors of a directory or file, whatever its format, read as f32 or bf16.
 *
 * A parameter is read by rows and in bounded pieces: stored either way round, stacked from several tensors of the
 * file, in any dtype that the format has. No file is ever in memory as a whole, and one that is cut short while it is
 * read ends in an error.
 * A handle is used by one thread at a time.
 */
#ifndef ISC_CORE_WEIGHTS_H
#define ISC_CORE_WEIGHTS_H

#include "base/base.h"
#include <inversescope/operations.h>

/* What the elements of a tensor are in its file. */
typedef enum isc_weight_dtype {
  ISC_WEIGHT_INTEGER, /* of any width: buffers such as masks, never read as weights */
  ISC_WEIGHT_F32,
  ISC_WEIGHT_F16,
  ISC_WEIGHT_BF16,
  ISC_WEIGHT_F64,
  /* Blocks of GGUF: so many elements share a scale. */
  ISC_WEIGHT_Q4_0,
  ISC_WEIGHT_Q4_1,
  ISC_WEIGHT_Q5_0,
  ISC_WEIGHT_Q5_1,
  ISC_WEIGHT_Q8_0,
  ISC_WEIGHT_Q4_K,
  ISC_WEIGHT_Q5_K,
  ISC_WEIGHT_Q6_K
} isc_weight_dtype;

/* A named tensor of the files; it lives as long as its handle. */
typedef struct isc_weight {
  const char *name;
  const char *type; /* the dtype as the format calls it: "BF16", "Q4_K" */
  isc_weight_dtype dtype;
  int32_t ndim;
  int64_t shape[8]; /* outermost first, whatever the format's own order; the last is contiguous */
  int64_t elements;
  const isc_input *file; /* where its bytes are … */
  uint64_t at, bytes;    /* … [at, at + bytes)    */
} isc_weight;

typedef struct isc_weights isc_weights;

/* One safetensors or GGUF file, or a model directory: model.safetensors, else model.safetensors.index.json with its
 * shards, else the one GGUF file that is there. */
ISC_API isc_status isc_weights_open(const char *path, isc_weights **out);
ISC_API void isc_weights_close(isc_weights *w); /* NULL is fine */
ISC_API const char *isc_weights_path(const isc_weights *w);
/* The GGUF file, for its metadata; NULL where the weights are safetensors. It lives as long as the handle. */
ISC_API const struct isc_gguf *isc_weights_gguf(const isc_weights *w);
ISC_API uint64_t isc_weights_bytes(const isc_weights *w); /* of all tensors in the files */
ISC_API int64_t isc_weights_count(const isc_weights *w);
/* In the order of the files; by name. NULL if there is none. */
ISC_API const isc_weight *isc_weights_at(const isc_weights *w, int64_t i);
ISC_API const isc_weight *isc_weights_find(const isc_weights *w, const char *name);

/* Elements [first, first + n) of a tensor as f32 or bf16 (rounded to nearest even), n of them at `out`. Integers →
 * ISC_E_UNSUPPORTED; outside the tensor → ISC_E_SHAPE. */
ISC_API isc_status isc_weights_read(isc_weights *w, const isc_weight *t, int64_t first, int64_t n,
                                    isc_dtype as, void *out);

/* ---- Parameters made of tensors */
/* A block of a parameter, and the tensor that holds it. Queries and keys come with `rotary_heads` where the halves of a rotary
 * pair lie side by side in the tensor's rows, as llama.cpp puts them; they are read in Hugging Face's order. */
typedef struct isc_weight_part {
  const isc_weight *tensor; /* of shape [rows, cols]; [rows] where cols is 1 */
  int64_t rows, cols;       /* of the block                                   */
  bool transposed;          /* the tensor is [cols, rows]                     */
  int64_t rotary_heads;     /* of the rows, to be put in order; 0 = as they are */
  float offset;             /* added to every element, before any rounding    */
} isc_weight_part;

typedef enum isc_weight_stack {
  ISC_STACK_ROWS,   /* parts below each other: the same columns     */
  ISC_STACK_COLUMNS /* parts beside each other: the same rows       */
} isc_weight_stack;

enum { ISC_WEIGHT_PARTS = 4 };

/* A parameter [rows, cols] as the files hold it; a vector is [n, 1]. */
typedef struct isc_weight_matrix {
  const char *name; /* for messages */
  int64_t rows, cols;
  isc_weight_stack stack;
  int32_t n_parts;
  isc_weight_part part[ISC_WEIGHT_PARTS];
} isc_weight_matrix;

/* Do the tensors have the shapes of their parts, and do the parts fill the matrix? ISC_E_SHAPE with both shapes if not;
 * integers → ISC_E_UNSUPPORTED. Reads no data. */
ISC_API isc_status isc_weights_check(const isc_weights *w, const isc_weight_matrix *m);
/* Rows [r0, r1) of a matrix that passed the check, dense at `out` [r1 − r0, cols]. The more rows at once, the fewer reads a
 * transposed part needs. */
ISC_API isc_status isc_weights_read_rows(isc_weights *w, const isc_weight_matrix *m, int64_t r0,
                                         int64_t r1, isc_dtype as, void *out);

/* ---- Verification */
/* What a tensor's values are. */
typedef struct isc_weight_finding {
  const isc_weight *tensor;
  int64_t nan, infinite; /* how many; of integers 0    */
  int64_t first;         /* element that is either, −1 */
  float least, greatest; /* of the finite ones; 0 if there are none */
} isc_weight_finding;

/* Told of every tensor, and then of every file with its XXH3-128 in hex; each may stop the verification with a status. */
typedef struct isc_weights_visitor {
  void *user;
  isc_status (*tensor)(void *user, const isc_weight_finding *f);
  isc_status (*file)(void *user, const char *path, uint64_t bytes, const char hex[33]);
} isc_weights_visitor;

/* Read every value and hash every file. A NaN or an infinity → ISC_E_NUMERIC naming the first such tensor, after all were
 * looked at; a tensor whose shape and bytes disagree → ISC_E_FORMAT. ISC_E_INTERRUPTED when the program was asked to stop.
 * `v` may be NULL. */
ISC_API isc_status isc_weights_verify(isc_weights *w, const isc_weights_visitor *v);

#endif
