/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the tokenizers of each family on 10,000 texts: ids and decoded texts are those of the published libraries.
 *
 * The expected hashes in tests/data/tokenizers/golden.txt come from tokenizers 0.23 and sentencepiece 0.2.3, by way of
 * tests/golden/make_tokenizers.py.
 */
#include "support.h"
#include "support_texts.h"
#include "support_tokenizer.h"
#include "model/tokenizer_parts.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = ISC_TEST_TEXTS / ISC_TEST_BLOCK, MAX_IDS = 1 << 16 };

typedef struct hashes {
  uint64_t ids, text;
} hashes;

static uint64_t fnv(uint64_t h, const void *data, size_t len) {
  for (size_t i = 0; i < len; i++)
    h = (h ^ ((const unsigned char *)data)[i]) * UINT64_C(0x100000001B3);
  return h;
}

/* Of one tokenizer. */
static void read_golden(const char *name, hashes want[BLOCKS]) {
  size_t len, n = strlen(name);
  int found = 0;
  char *data = isc_test_tokenizer_file("golden.txt", &len);
  for (char *line = strtok(data, "\n"); line; line = strtok(NULL, "\n")) {
    int block;
    hashes h;
    if (strncmp(line, name, n) != 0 || line[n] != ' ') continue;
    cr_assert_eq(sscanf(line + n, "%d %" SCNx64 " %" SCNx64, &block, &h.ids, &h.text), 3);
    want[block] = h;
    found++;
  }
  free(data);
  cr_assert_eq(found, BLOCKS, "%s: %d blocks", name, found);
}

static void add_text(const isc_tokenizer *t, const isc_text *text, int32_t *ids, isc_text *back,
                     hashes *h) {
  int64_t n;
  isc_assert_ok(isc_tokenizer_encode_plain(t, text->data, text->len, ids, MAX_IDS, &n));
  cr_assert_leq(n, MAX_IDS);
  int32_t count = (int32_t)n;
  h->ids = fnv(fnv(h->ids, &count, 4), ids, (size_t)n * 4);
  isc_assert_ok(isc_tokenizer_decode(t, ids, n, back));
  uint32_t len = (uint32_t)back->len;
  h->text = fnv(fnv(h->text, &len, 4), back->data, back->len);
}

/* The first `blocks` blocks of texts. */
static void check(const isc_tokenizer *t, const char *name, int blocks) {
  static hashes want[BLOCKS];
  static int32_t ids[MAX_IDS];
  isc_text text = {0}, back = {0};
  read_golden(name, want);
  for (int b = 0; b < blocks; b++) {
    hashes h = {UINT64_C(0xCBF29CE484222325), UINT64_C(0xCBF29CE484222325)};
    for (int i = 0; i < ISC_TEST_BLOCK; i++) {
      isc_assert_ok(isc_test_text((uint64_t)(b * ISC_TEST_BLOCK + i), &text));
      add_text(t, &text, ids, &back, &h);
    }
    cr_assert_eq(h.ids, want[b].ids, "%s: ids of block %d", name, b);
    cr_assert_eq(h.text, want[b].text, "%s: decoded texts of block %d", name, b);
  }
  isc_text_free(&text);
  isc_text_free(&back);
}

/* Opened, and saved and opened again, which gives the same tokenizer. */
static void check_both(const char *name, const char *dir) {
  char before[33], after[33];
  isc_tokenizer *t = isc_test_tokenizer_open(dir);
  check(t, name, BLOCKS);
  isc_tokenizer_fingerprint(t, before);
  const char *copy = isc_test_dir("copy");
  isc_assert_ok(isc_tokenizer_save(t, copy));
  isc_tokenizer_close(t);
  t = isc_test_tokenizer_open(copy);
  isc_tokenizer_fingerprint(t, after);
  cr_assert_str_eq(before, after, "%s", name);
  check(t, name, 5);
  isc_tokenizer_close(t);
}

#define HEAD(test, name)                                                                           \
  Test(families, test) {                                                                           \
    check_both(name, isc_test_tokenizer_of(name));                                                 \
  }

HEAD(byte_level_as_gpt2, "gpt2")
HEAD(byte_level_with_a_space_before_words, "gpt2-spaced")
HEAD(byte_level_as_llama3, "llama3")
HEAD(byte_level_of_normalised_texts_as_qwen2, "qwen2")
HEAD(byte_level_as_smollm, "smollm")
HEAD(byte_level_as_tekken, "tekken")
HEAD(pieces_as_llama2, "llama2")
HEAD(pieces_as_mistral, "mistral")
HEAD(pieces_as_gemma, "gemma")
HEAD(pieces_of_words_without_bytes, "words")
HEAD(pieces_with_unknown_characters_fused, "fused")
HEAD(pieces_cut_at_patterns, "removed")
HEAD(pieces_cut_between_patterns, "inverted")
HEAD(sentencepiece_as_llama, "sp-llama")
HEAD(sentencepiece_as_gemma, "sp-gemma")
HEAD(sentencepiece_that_trims, "sp-trimmed")

Test(families, gpt2_itself) {
  ISC_NEED_SHARED(dir, "data/tokenizers/gpt2");
  check_both("real-gpt2", dir);
}

Test(families, llama2_itself) {
  ISC_NEED_SHARED(dir, "data/tokenizers/llama/tokenizer.model");
  check_both("real-llama", isc_test_shared("data/tokenizers/llama"));
}

/* Texts that are none. */
Test(families, bytes_that_are_no_utf8_are_refused) {
  static const char *const names[] = {"gpt2", "llama2", "sp-llama"};
  static const char *const bad[] = {"a\xff", "\xed\xa0\x80", "\xc0\x80", "\xe2\x82",
                                    "\xf4\x90\x80\x80"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    isc_tokenizer *t = isc_test_tokenizer_open(isc_test_tokenizer_of(names[i]));
    int64_t n;
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
      isc_assert_fails(isc_tokenizer_encode_plain(t, bad[k], strlen(bad[k]), NULL, 0, &n),
                       ISC_E_FORMAT, "UTF-8");
    isc_tokenizer_close(t);
  }
}

Test(families, memory_that_fails_is_reported) {
  static const char *const names[] = {"llama3", "qwen2", "mistral", "removed", "sp-gemma"};
  char dir[1200], from[1200]; /* the paths that are handed out do not last */
  snprintf(dir, sizeof dir, "%s", isc_test_dir("nomem"));
  static const char text[] = "The  <s> [INST]ticket\n\n12\xf0\x9f\x98\x80 <norm al>u\xcc\x88";
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(from, sizeof from, "%s", isc_test_tokenizer_of(names[i]));
    bool finished = false;
    for (int64_t k = 1; !finished; k += k < 100 ? 1 : 1 + k / 10) {
      isc_tokenizer *t = NULL;
      isc_text out = {0};
      int32_t ids[128];
      int64_t n = 0;
      isc_alloc_fail_at(k);
      isc_status st = isc_tokenizer_open(from, &t);
      if (st == ISC_OK) st = isc_tokenizer_set_bos(t, ISC_BOS_NEVER);
      if (st == ISC_OK) st = isc_tokenizer_encode(t, text, sizeof text - 1, ids, 128, &n);
      if (st == ISC_OK) st = isc_tokenizer_decode(t, ids, n, &out);
      if (st == ISC_OK) st = isc_tokenizer_save(t, dir);
      finished = isc_alloc_fail_at(0) < k;
      cr_assert_eq(st, finished ? ISC_OK : ISC_E_NOMEM, "%s: allocation %d: %s", names[i], (int)k,
                   isc_error());
      isc_tokenizer_close(t);
      isc_text_free(&out);
    }
  }
}
