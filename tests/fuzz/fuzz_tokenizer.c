/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts for tokenizers that are strangers'.
 */
#include "fuzz_tokenizer.h"
#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

static void take(const isc_tokenizer *t, const char *text, size_t len) {
  static int32_t id[MOST];
  isc_text back = {0};
  int64_t n;
  if (isc_tokenizer_encode(t, text, len, id, MOST, &n) != ISC_OK) return;
  if (n > MOST) n = MOST;
  for (int64_t i = 0; i < n; i++)
    if (!isc_tokenizer_token(t, id[i])) abort();
  if (isc_tokenizer_decode(t, id, n, &back) == ISC_OK && !isc_text_is_utf8(back.data, back.len))
    abort();
  isc_text_free(&back);
}

/* Any ids at all, the first and the last among them. */
static void give(const isc_tokenizer *t, const uint8_t *data, size_t size) {
  int32_t id[64];
  isc_text back = {0};
  const int64_t vocab = isc_tokenizer_vocab(t);
  for (size_t i = 0; i < 64; i++)
    id[i] = size ? (int32_t)(data[i % size] * (int64_t)(i + 1) % (vocab + 2)) - 1 : -1;
  for (size_t n = 0; n < 64; n += 9)
    if (isc_tokenizer_decode(t, id + n, (int64_t)(64 - n), &back) == ISC_OK &&
        !isc_text_is_utf8(back.data, back.len))
      abort();
  isc_text_free(&back);
}

void isc_fuzz_tokenizer(isc_tokenizer *t, const uint8_t *data, size_t size) {
  static const char *const texts[] = {"",
                                      " ",
                                      "the cat's  12 \n\n\t\r\n<s> x",
                                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
                                      "\xc3\xa9\xf0\x9f\x99\x82\xe2\x96\x81 \xe2\x96\x81",
                                      "IT'S \xd9\xa3\xc2\xbd\xe4\xb8\xad\xcc\x81"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    take(t, texts[i], strlen(texts[i]));
  size_t last = size < 64 ? size : 64;
  take(t, (const char *)data + (size - last), last);
  give(t, data, size);
  (void)isc_tokenizer_set_bos(t, ISC_BOS_NEVER);
  take(t, texts[2], strlen(texts[2]));
  (void)isc_tokenizer_set_bos(t, ISC_BOS_MODEL);
}
