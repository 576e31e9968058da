/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes the texts of tests/support_texts.c for tests/golden/make_tokenizers.py: each as its length in four bytes, little-endian,
 * and its bytes. Built on demand: make tests/golden/texts
 */
#include "support_texts.h"
#include <stdio.h>

int main(void) {
  isc_text text = {0};
  for (uint64_t i = 0; i < ISC_TEST_TEXTS; i++) {
    if (isc_test_text(i, &text) != ISC_OK) return 1;
    const unsigned char size[4] = {text.len & 255, text.len >> 8 & 255, text.len >> 16 & 255,
                                   text.len >> 24 & 255};
    if (fwrite(size, 1, 4, stdout) != 4 || fwrite(text.data, 1, text.len, stdout) != text.len)
      return 1;
  }
  isc_text_free(&text);
  return fflush(stdout) == 0 ? 0 : 1;
}
