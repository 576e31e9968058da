/* SPDX-License-Identifier: Apache-2.0
 *
 * What a model is, from the headers of its files: nothing but its tokenizer is read.
 */
#ifndef ISC_CORE_INSPECT_H
#define ISC_CORE_INSPECT_H

#include "model/memory_plan.h"
#include "run/model.h"

enum { ISC_INSPECT_TYPES = 24 };

/* Tensors of one type, as their format calls it. */
typedef struct isc_stored_type {
  char type[16];
  int64_t tensors;
  double elements, bytes;
} isc_stored_type;

typedef struct isc_inspection {
  isc_memory_plan plan;
  isc_stored_type type[ISC_INSPECT_TYPES]; /* [n_types] */
  int64_t n_types, tensors;
  double bytes; /* of all tensors */
  /* Of the tokenizer; `problem` (malloc'd) instead when it cannot be opened. */
  char *problem;
  const char *tokenizer; /* its kind                                        */
  int64_t ids;
  int32_t bos, eos;            /* −1 = none                                       */
  char *bos_token, *eos_token; /* malloc'd; NULL = none                           */
  bool begins;                 /* does a text get the BOS in front?               */
} isc_inspection;

/* Of a model that isc_model_find found; it need not be open. isc_inspection_free afterwards, also on failure. */
ISC_API isc_status isc_inspect(const isc_model *m, isc_inspection *out);
ISC_API void isc_inspection_free(isc_inspection *i);

#endif
