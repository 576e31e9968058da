/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about tokenizers on real vocabularies and on ones made here.
 *
 * Expected ids and pieces come from the tokenizers library (0.23), by way of tests/data/gpt2_ids.txt
 * or written out; the addition model's from its reference tensors; BPE also from a naive loop.
 */
#include "support.h"
#include "model/safetensors.h"
#include "base/base.h"
#include <inversescope/rng.h>
#include <inversescope/tokenizer.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_IDS = 4096 };

static isc_tokenizer *opened(const char *dir) {
  isc_tokenizer *t;
  isc_assert_ok(isc_tokenizer_open(dir, &t));
  return t;
}

static int64_t encode(const isc_tokenizer *t, const char *text, int32_t *ids) {
  int64_t n;
  isc_assert_ok(isc_tokenizer_encode(t, text, strlen(text), ids, MAX_IDS, &n));
  return n;
}

/* The pieces of a text, joined by '|'. */
static const char *pieces(const isc_tokenizer *t, const char *text) {
  static char out[4096];
  int32_t ids[256];
  int64_t n = encode(t, text, ids);
  out[0] = '\0';
  for (int64_t i = 0; i < n; i++) {
    strcat(out, i ? "|" : "");
    strcat(out, isc_tokenizer_token(t, ids[i]));
  }
  return out;
}

static const char *decoded(const isc_tokenizer *t, const int32_t *ids, int64_t n) {
  static isc_text out;
  isc_assert_ok(isc_tokenizer_decode(t, ids, n, &out));
  return out.data;
}

static const char *with_json(const char *json) {
  const char *dir = isc_test_dir("tokenizer");
  char path[1200];
  snprintf(path, sizeof path, "%s/tokenizer.json", dir);
  isc_assert_ok(isc_write_file(path, json, strlen(json)));
  return dir;
}

/* ---- GPT-2 */

/* "\x41" and "\\" resolved; returns the length. */
static size_t unescape(char *s) {
  char *out = s;
  const char *begin = s;
  for (; *s; out++) {
    unsigned v;
    if (s[0] == '\\' && s[1] == 'x' && sscanf(s + 2, "%2x", &v) == 1) {
      *out = (char)v;
      s += 4;
    } else {
      s += s[0] == '\\';
      *out = *s++;
    }
  }
  *out = '\0';
  return (size_t)(out - begin);
}

static int64_t parse_ids(const char *s, int32_t *ids) {
  int64_t n = 0;
  char *end;
  for (long v = strtol(s, &end, 10); end != s; v = strtol(s, &end, 10)) {
    ids[n++] = (int32_t)v;
    s = end;
  }
  return n;
}

static void check_golden(const isc_tokenizer *t) {
  char line[8192];
  int32_t want[MAX_IDS], got[MAX_IDS];
  int lines = 0;
  FILE *f = fopen(isc_test_source("tests/data/gpt2_ids.txt"), "r");
  cr_assert_not_null(f);
  while (fgets(line, sizeof line, f)) {
    char *tab = strchr(line, '\t');
    cr_assert_not_null(tab);
    *tab = '\0';
    int64_t n = parse_ids(tab + 1, want), m;
    size_t len = unescape(line);
    isc_assert_ok(isc_tokenizer_encode(t, line, len, got, MAX_IDS, &m));
    cr_assert_eq(m, n, "%d ids for \"%s\", not %d", (int)m, line, (int)n);
    cr_assert(n == 0 || memcmp(got, want, (size_t)n * sizeof *got) == 0, "ids of \"%s\"", line);
    if (!strstr(line, "<|endoftext|>")) cr_assert_str_eq(decoded(t, got, m), line);
    lines++;
  }
  fclose(f);
  cr_assert_gt(lines, 200);
}

Test(gpt2, ids_are_those_of_the_tokenizers_library) {
  ISC_NEED_SHARED(dir, "data/tokenizers/gpt2");
  isc_tokenizer *t = opened(dir);
  cr_assert_eq(isc_tokenizer_vocab(t), 50257);
  cr_assert_eq(isc_tokenizer_bos(t), 50256);
  cr_assert_eq(isc_tokenizer_eos(t), 50256);
  cr_assert_eq(isc_tokenizer_unk(t), -1);
  check_golden(t);
  isc_tokenizer_close(t);
}

Test(gpt2, saved_and_read_again_it_is_the_same) {
  ISC_NEED_SHARED(shared, "data/tokenizers/gpt2");
  isc_tokenizer *t = opened(shared);
  const char *dir = isc_test_dir("gpt2");
  char before[33], after[33];
  isc_assert_ok(isc_tokenizer_save(t, dir));
  isc_tokenizer_fingerprint(t, before);
  isc_tokenizer_close(t);
  t = opened(dir);
  isc_tokenizer_fingerprint(t, after);
  cr_assert_str_eq(before, after);
  check_golden(t);
  isc_tokenizer_close(t);
}

/* Half characters, as Rust's lossy conversion shows them. */
Test(gpt2, half_characters_are_decoded_to_the_replacement_character) {
  ISC_NEED_SHARED(dir, "data/tokenizers/gpt2");
  isc_tokenizer *t = opened(dir);
  cr_assert_str_eq(decoded(t, (int32_t[]){47249}, 1), "\xef\xbf\xbd");
  cr_assert_str_eq(decoded(t, (int32_t[]){47249, 222}, 2), "\xf0\x9f\x98\x80");
  cr_assert_str_eq(decoded(t, (int32_t[]){8582, 97}, 2), "\xef\xbf\xbd");
  cr_assert_str_eq(decoded(t, (int32_t[]){447, 447, 101}, 3), "\xef\xbf\xbd\xe2\x80\xa8");
  cr_assert_str_eq(decoded(t, (int32_t[]){236, 40}, 2), "\xef\xbf\xbdI");
  cr_assert_str_eq(decoded(t, (int32_t[]){50256, 40, 50256}, 3), "I",
                   "special tokens are left out");
  isc_text out = {0};
  isc_assert_fails(isc_tokenizer_decode(t, (int32_t[]){50257}, 1, &out), ISC_E_SHAPE, "50257");
  isc_assert_fails(isc_tokenizer_decode(t, (int32_t[]){-1}, 1, &out), ISC_E_SHAPE, "-1");
  isc_text_free(&out);
  isc_tokenizer_close(t);
}

Test(gpt2, measuring_writes_nothing_and_bad_text_is_refused) {
  ISC_NEED_SHARED(dir, "data/tokenizers/gpt2");
  isc_tokenizer *t = opened(dir);
  int64_t n;
  int32_t one = -7;
  isc_assert_ok(isc_tokenizer_encode(t, "one two three", 13, NULL, 0, &n));
  cr_assert_eq(n, 3);
  isc_assert_ok(isc_tokenizer_encode(t, "one two three", 13, &one, 1, &n));
  cr_assert(n == 3 && one == 505); /* "one" */
  isc_assert_fails(isc_tokenizer_encode(t, "a\xff", 2, NULL, 0, &n), ISC_E_FORMAT, "UTF-8");
  isc_assert_fails(isc_tokenizer_encode(t, "\xed\xa0\x80", 3, NULL, 0, &n), ISC_E_FORMAT, "UTF-8");
  isc_tokenizer_close(t);
}

/* One word of 300,000 letters: a quadratic merge loop would take minutes. */
Test(gpt2, a_long_word_is_no_trap) {
  ISC_NEED_SHARED(dir, "data/tokenizers/gpt2");
  isc_tokenizer *t = opened(dir);
  const size_t len = 300000;
  char *word = malloc(len);
  int64_t n;
  memset(word, 'a', len);
  isc_assert_ok(isc_tokenizer_encode(t, word, len, NULL, 0, &n));
  cr_assert(n > 0 && n < (int64_t)len);
  memset(word, ' ', len);
  isc_assert_ok(isc_tokenizer_encode(t, word, len, NULL, 0, &n));
  cr_assert_eq(n, (int64_t)len, "GPT-2 has no merge of two spaces");
  free(word);
  isc_tokenizer_close(t);
}

/* ---- BPE against a naive loop */

#define BYTES_MODEL(vocab, merges)                                                                 \
  "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false},"    \
  "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab             \
  "},\"merges\":[" merges "]}}"

/* Merge the pair of lowest rank, leftmost first, until none is left. */
static int64_t naive(const char merges[][2][8], int n_merges, const char *word, char out[][64]) {
  int64_t n = (int64_t)strlen(word);
  for (int64_t i = 0; i < n; i++)
    snprintf(out[i], 64, "%c", word[i]);
  for (;;) {
    int best = n_merges;
    int64_t at = -1;
    for (int64_t i = 0; i + 1 < n; i++)
      for (int m = 0; m < best; m++)
        if (strcmp(out[i], merges[m][0]) == 0 && strcmp(out[i + 1], merges[m][1]) == 0) {
          best = m;
          at = i;
        }
    if (at < 0) return n;
    memcpy(out[at] + strlen(out[at]), out[at + 1], strlen(out[at + 1]) + 1);
    memmove(out[at + 1], out[at + 2], (size_t)(n - at - 2) * sizeof *out);
    n--;
  }
}

Test(bpe, the_heap_agrees_with_a_naive_loop) {
  static const char merges[][2][8] = {{"b", "a"}, {"a", "a"},   {"ba", "ba"}, {"aa", "c"},
                                      {"c", "b"}, {"aac", "b"}, {"a", "b"},   {"baba", "a"}};
  static char out[512][64];
  isc_tokenizer *t = opened(with_json(BYTES_MODEL(
      "\"a\":0,\"b\":1,\"c\":2,\"ba\":3,\"aa\":4,\"baba\":5,\"aac\":6,\"cb\":7,\"aacb\":8,"
      "\"ab\":9,\"babaa\":10",
      "\"b a\",\"a a\",[\"ba\",\"ba\"],\"aa c\",\"c b\",\"aac b\",\"a b\",\"baba a\"")));
  for (uint64_t i = 0; i < 300; i++) {
    isc_rng r = isc_rng_at(1, ISC_RNG_USER, i);
    char word[300];
    int32_t ids[300];
    uint64_t len = isc_rng_below(&r, 200);
    for (uint64_t k = 0; k < len; k++)
      word[k] = "aaabbc"[isc_rng_below(&r, 6)];
    word[len] = '\0';
    int64_t n = naive(merges, 8, word, out), m = encode(t, word, ids);
    cr_assert_eq(m, n, "%s", word);
    for (int64_t k = 0; k < n; k++)
      cr_assert_str_eq(isc_tokenizer_token(t, ids[k]), out[k], "%s", word);
  }
  isc_tokenizer_close(t);
}

Test(bpe, a_byte_without_a_token_is_named) {
  isc_tokenizer *t = opened(with_json(BYTES_MODEL("\"a\":0", "")));
  int64_t n;
  isc_assert_fails(isc_tokenizer_encode(t, "ax", 2, NULL, 0, &n), ISC_E_SHAPE, "0x78");
  isc_tokenizer_close(t);
}

Test(bpe, bad_merges_are_refused) {
  isc_tokenizer *t;
  static const struct {
    const char *merges, *part;
  } bad[] = {{"\"a b\"", "not in the vocabulary"},
             {"\"a\"", "neither"},
             {"\"a b c\"", "neither"},
             {"[\"a\"]", "neither"},
             {"[\"a\",1]", "neither"},
             {"7", "neither"},
             {"\"a a\",\"a a\"", "there twice"},
             {"\" a\"", "not in the vocabulary"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char json[1000];
    snprintf(json, sizeof json, BYTES_MODEL("\"a\":0,\"b\":1,\"aa\":2", "%s"), bad[i].merges);
    isc_assert_fails(isc_tokenizer_open(with_json(json), &t), ISC_E_FORMAT, bad[i].part);
  }
}

/* ---- the addition model */

Test(addition, ids_are_those_of_the_reference) {
  ISC_NEED_SHARED(model, "data/models/addition");
  ISC_NEED_SHARED(expected, "data/models/addition/expected.safetensors");
  isc_tokenizer *t = opened(model);
  isc_safetensors *f;
  int64_t want[16 * 9];
  int32_t ids[MAX_IDS];
  char text[400];
  isc_assert_ok(isc_st_open(expected, &f));
  isc_assert_ok(isc_st_read_i64(f, isc_st_find(f, "input_ids"), 0, 16 * 9, want));
  snprintf(text, sizeof text, "%s", isc_st_metadata(f, "texts"));
  int row = 0;
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), row++) {
    cr_assert_eq(encode(t, line, ids), 9);
    for (int i = 0; i < 9; i++)
      cr_assert_eq(ids[i], want[row * 9 + i], "%s at %d", line, i);
    cr_assert_str_eq(decoded(t, ids, 9), line);
  }
  cr_assert_eq(row, 16);
  cr_assert(isc_tokenizer_bos(t) == 10 && isc_tokenizer_eos(t) == 13 && isc_tokenizer_unk(t) == 14);
  cr_assert_eq(isc_tokenizer_vocab(t), 15);
  int64_t n;
  isc_assert_ok(isc_tokenizer_encode_plain(t, "12x", 3, ids, MAX_IDS, &n));
  cr_assert(n == 3 && ids[0] == 1 && ids[1] == 2 && ids[2] == 14, "plain: no B; unknown: P");
  isc_st_close(f);
  isc_tokenizer_close(t);
}

/* ---- lists */

static const char *const words[] = {"<|endoftext|>", "Mary", "and", "John", ",", "caf\xc3\xa9"};

Test(lists, words_are_numbered_by_place) {
  isc_tokenizer *t, *again;
  int32_t ids[MAX_IDS];
  int64_t n;
  char before[33], after[33];
  isc_assert_ok(isc_tokenizer_from_words(words, 6, "<|endoftext|>", &t));
  cr_assert_eq(encode(t,
                      " Mary and\tJohn , caf\xc3\xa9\xe3\x80\x80"
                      "and ",
                      ids),
               6);
  cr_assert_arr_eq(ids, ((int32_t[]){1, 2, 3, 4, 5, 2}), 6 * sizeof *ids);
  cr_assert_str_eq(decoded(t, ids, 6), "Mary and John , caf\xc3\xa9 and");
  cr_assert_eq(encode(t, "", ids), 0);
  cr_assert_eq(encode(t, "Mary<|endoftext|>", ids), 2);
  cr_assert_eq(ids[1], 0);
  cr_assert_str_eq(decoded(t, ids, 2), "Mary");
  isc_assert_fails(isc_tokenizer_encode(t, "Mary and Jane", 13, NULL, 0, &n), ISC_E_SHAPE,
                   "\"Jane\"");
  cr_assert(isc_tokenizer_bos(t) == 0 && isc_tokenizer_eos(t) == 0 && isc_tokenizer_unk(t) == -1);
  const char *dir = isc_test_dir("words");
  isc_assert_ok(isc_tokenizer_save(t, dir));
  again = opened(dir);
  cr_assert_str_eq(pieces(again, "John and caf\xc3\xa9"), "John|and|caf\xc3\xa9");
  cr_assert(isc_tokenizer_bos(again) == 0 && isc_tokenizer_eos(again) == 0);
  isc_tokenizer_fingerprint(t, before);
  isc_tokenizer_fingerprint(again, after);
  cr_assert_str_eq(before, after);
  isc_tokenizer_close(t);
  isc_tokenizer_close(again);
}

Test(lists, characters_are_numbered_by_place) {
  static const char *const chars[] = {"0", "1", "+", "=", "\xc3\xa9"};
  isc_tokenizer *t, *again;
  int32_t ids[MAX_IDS];
  int64_t n;
  isc_assert_ok(isc_tokenizer_from_chars(chars, 5, "<|endoftext|>", &t));
  cr_assert_eq(encode(t, "10+\xc3\xa9=", ids), 5);
  cr_assert_arr_eq(ids, ((int32_t[]){1, 0, 2, 4, 3}), 5 * sizeof *ids);
  cr_assert_str_eq(decoded(t, ids, 5), "10+\xc3\xa9=");
  cr_assert(isc_tokenizer_eos(t) == 5 && isc_tokenizer_vocab(t) == 6);
  isc_assert_fails(isc_tokenizer_encode(t, "2", 1, NULL, 0, &n), ISC_E_SHAPE, "\"2\"");
  const char *dir = isc_test_dir("chars");
  isc_assert_ok(isc_tokenizer_save(t, dir));
  again = opened(dir);
  cr_assert_str_eq(pieces(again, "1+1=<|endoftext|>"), "1|+|1|=|<|endoftext|>");
  isc_tokenizer_close(t);
  isc_tokenizer_close(again);
}

Test(lists, bad_lists_are_refused) {
  isc_tokenizer *t;
  isc_assert_fails(isc_tokenizer_from_words((const char *const[]){"a", "a"}, 2, "a", &t),
                   ISC_E_FORMAT, "\"a\" is there twice");
  isc_assert_fails(isc_tokenizer_from_words((const char *const[]){"a", "b c"}, 2, "a", &t),
                   ISC_E_USAGE, "white space");
  isc_assert_fails(isc_tokenizer_from_words((const char *const[]){"a", ""}, 2, "a", &t),
                   ISC_E_USAGE, "empty");
  isc_assert_fails(isc_tokenizer_from_words((const char *const[]){"a", "\xff"}, 2, "a", &t),
                   ISC_E_USAGE, "UTF-8");
  isc_assert_fails(isc_tokenizer_from_words((const char *const[]){"a"}, 1, "e", &t), ISC_E_USAGE,
                   "\"e\"");
  isc_assert_fails(isc_tokenizer_from_chars((const char *const[]){"ab"}, 1, "e", &t), ISC_E_USAGE,
                   "not one");
  isc_assert_fails(isc_tokenizer_from_chars((const char *const[]){"\n"}, 1, "e", &t), ISC_E_USAGE,
                   "line feed");
}

Test(lists, a_failed_allocation_is_reported) {
  const char *dir = isc_test_dir("nomem");
  bool finished = false;
  for (int64_t k = 1; !finished; k++) {
    isc_tokenizer *t = NULL, *again = NULL;
    isc_text out = {0};
    int32_t ids[8];
    int64_t n;
    isc_alloc_fail_at(k);
    isc_status st = isc_tokenizer_from_words(words, 6, "<|endoftext|>", &t);
    if (st == ISC_OK) st = isc_tokenizer_save(t, dir);
    if (st == ISC_OK) st = isc_tokenizer_open(dir, &again);
    if (st == ISC_OK) st = isc_tokenizer_encode(again, "Mary and", 8, ids, 8, &n);
    if (st == ISC_OK) st = isc_tokenizer_decode(again, ids, n, &out);
    finished = isc_alloc_fail_at(0) < k;
    cr_assert_eq(st, finished ? ISC_OK : ISC_E_NOMEM, "allocation %d: %s", (int)k, isc_error());
    isc_tokenizer_close(t);
    isc_tokenizer_close(again);
    isc_text_free(&out);
    cr_assert_lt(k, 500);
  }
}
