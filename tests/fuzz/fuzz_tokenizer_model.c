/* SPDX-License-Identifier: Apache-2.0
 *
 * A tokenizer.model: what opens takes texts and gives them back, and what is written of it reads back to the same.
 */
#include "fuzz.h"
#include "fuzz_tokenizer.h"
#include "model/sentencepiece.h"
#include <stdlib.h>
#include <string.h>

static void check_written(const isc_tokenizer *t) {
  isc_text model = {0}, twice = {0};
  isc_tokenizer *again;
  if (isc_sentencepiece_write(t, &model) != ISC_OK) abort();
  const char *path = isc_fuzz_file((const uint8_t *)model.data, model.len);
  if (isc_tokenizer_new(t->where, &again) != ISC_OK) abort();
  if (isc_sentencepiece_read(again, path) != ISC_OK) abort();
  if (isc_sentencepiece_write(again, &twice) != ISC_OK) abort();
  if (model.len != twice.len || memcmp(model.data, twice.data, model.len) != 0) abort();
  isc_text_free(&model);
  isc_text_free(&twice);
  isc_tokenizer_close(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  isc_tokenizer *t;
  if (isc_tokenizer_open(isc_fuzz_dir("tokenizer.model", data, size), &t) != ISC_OK) return 0;
  isc_fuzz_tokenizer(t, data, size);
  check_written(t);
  isc_tokenizer_close(t);
  return 0;
}
