/* SPDX-License-Identifier: Apache-2.0
 *
 * A tokenizer.json: what opens takes texts and gives them back, and what is written of it reads back to the same.
 */
#include "fuzz.h"
#include "fuzz_tokenizer.h"
#include "model/tokenizer_parts.h"
#include <stdlib.h>
#include <string.h>

/* The canonical file is a fixed point. */
static void check_written(const isc_tokenizer *t) {
  char *json;
  isc_tokenizer *again;
  if (isc_tokenizer_to_json(t, &json) != ISC_OK) abort();
  const char *path = isc_fuzz_file((const uint8_t *)json, strlen(json));
  if (isc_tokenizer_new(t->where, &again) != ISC_OK) abort();
  if (isc_tokenizer_read_json(again, path) != ISC_OK) abort();
  again->bos = t->bos;
  again->eos = t->eos;
  if (isc_tokenizer_finish(again) != ISC_OK) abort();
  if (strcmp(again->fingerprint, t->fingerprint) != 0) abort();
  isc_tokenizer_close(again);
  free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  isc_tokenizer *t;
  if (isc_tokenizer_open(isc_fuzz_dir("tokenizer.json", data, size), &t) != ISC_OK) return 0;
  isc_fuzz_tokenizer(t, data, size);
  check_written(t);
  isc_tokenizer_close(t);
  return 0;
}
