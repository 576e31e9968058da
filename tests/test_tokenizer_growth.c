/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the work of tokenizers on long texts: 8 MB cost about eight times as much as 1 MB, whatever the text is; 2 MB and
 * a quarter where the same code is under test again.
 *
 * Counted in steps of the encoders, not in time. A heap of n has log n levels, so 8 × 23 / 20 is the most that is right;
 * anything quadratic would be 64 times as much.
 */
#include "support.h"
#include "support_tokenizer.h"
#include "model/tokenizer_parts.h"
#include <stdlib.h>
#include <string.h>

/* Under a sanitizer an eighth of it: there the question is what the memory is, not how the work grows. */
#ifdef __SANITIZE_ADDRESS__
enum { MB = 1 << 17, QUARTER = MB / 4 };
#else
enum { MB = 1 << 20, QUARTER = MB / 4 };
#endif

static int64_t steps_of(const isc_tokenizer *t, const char *unit, size_t len) {
  char *text = malloc(len);
  size_t n = strlen(unit);
  int64_t ids;
  cr_assert_not_null(text);
  for (size_t i = 0; i < len; i++)
    text[i] = unit[i % n];
  isc_tokenizer_steps();
  isc_assert_ok(isc_tokenizer_encode_plain(t, text, len, NULL, 0, &ids));
  free(text);
  return isc_tokenizer_steps();
}

static void grows_like_its_text(const isc_tokenizer *t, const char *unit, size_t len) {
  int64_t one = steps_of(t, unit, len), eight = steps_of(t, unit, 8 * len);
  cr_assert_gt(one, (int64_t)len / 8, "\"%s\": %lld steps", unit, (long long)one);
  cr_assert_lt(eight, 10 * one, "\"%s\": %lld steps, and %lld for 8 times as much", unit,
               (long long)one, (long long)eight);
}

static isc_tokenizer *from_json(const char *json) {
  return isc_test_tokenizer_open(isc_test_tokenizer_dir("tokenizer.json", json, strlen(json)));
}

#define BPE(parts, vocab, merges)                                                                  \
  "{" parts "\"model\":{\"type\":\"BPE\",\"unk_token\":\"?\",\"vocab\":{\"?\":0," vocab            \
  "},\"merges\":[" merges "]}}"

/* Runs that merge in every second place, and each result with the next again. */
#define DOUBLINGS                                                                                  \
  "\"a\":1,\"aa\":2,\"aaaa\":3,\"aaaaaaaa\":4,\"_\":5,\"__\":6,\"____\":7,\"b\":8,\"ab\":9,"       \
  "\"abab\":10"
#define MERGES "\"a a\",\"aa aa\",\"aaaa aaaa\",\"_ _\",\"__ __\",\"a b\",\"ab ab\""

Test(one_word, of_eight_megabytes) {
  isc_tokenizer *t = from_json(BPE("", DOUBLINGS, MERGES));
  grows_like_its_text(t, "a", MB);
  grows_like_its_text(t, "ab", QUARTER);
  isc_tokenizer_close(t);
}

Test(one_word, of_bytes) {
  isc_tokenizer *t =
      from_json("{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true},"
                "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"\\u0120\":1,\"aa\":2,"
                "\"aaaa\":3,\"\\u0120\\u0120\":4},\"merges\":[\"a a\",\"aa aa\","
                "\"\\u0120 \\u0120\"]}}");
  grows_like_its_text(t, "a", QUARTER);
  grows_like_its_text(t, " ", MB);
  isc_tokenizer_close(t);
}

Test(spaces, behind_a_normalizer) {
  isc_tokenizer *t =
      from_json(BPE("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":"
                    "\"Prepend\",\"prepend\":\"_\"},{\"type\":\"Replace\",\"pattern\":"
                    "{\"String\":\" \"},\"content\":\"_\"}]},",
                    DOUBLINGS, MERGES));
  grows_like_its_text(t, " ", MB);
  isc_tokenizer_close(t);
}

/* The pattern looks for line ends behind each run of spaces. */
Test(marks, behind_a_normal_form) {
  isc_tokenizer *t = isc_test_tokenizer_open(isc_test_tokenizer_of("qwen2"));
  grows_like_its_text(t, "\u0315\u0316", QUARTER);
  isc_tokenizer_close(t);
}

Test(spaces, with_the_patterns_of_the_families) {
  static const char *const names[] = {"llama3", "tekken"};
  for (size_t i = 0; i < 2; i++) {
    isc_tokenizer *t = isc_test_tokenizer_open(isc_test_tokenizer_of(names[i]));
    grows_like_its_text(t, " ", MB);
    grows_like_its_text(t, "A", QUARTER);
    grows_like_its_text(t, " \t", QUARTER);
    isc_tokenizer_close(t);
  }
}

/* Each of them takes the white space on both sides, of which there are megabytes. */
Test(spaces, that_added_tokens_take) {
  isc_tokenizer *t = from_json(BPE("\"added_tokens\":[{\"id\":20,\"content\":\"\\n\",\"rstrip\":"
                                   "true,\"lstrip\":true},{\"id\":21,"
                                   "\"content\":\"x\",\"rstrip\":true}],",
                                   DOUBLINGS, MERGES));
  grows_like_its_text(t, "\n", MB);
  grows_like_its_text(t, "x\n ", QUARTER);
  isc_tokenizer_close(t);
}

Test(pieces, of_sentencepiece) {
  ISC_NEED_SHARED(dir, "data/tokenizers/llama");
  isc_tokenizer *t = isc_test_tokenizer_open(dir);
  grows_like_its_text(t, " ", MB);
  grows_like_its_text(t, "a", QUARTER);
  isc_tokenizer_close(t);
}

Test(pieces, of_a_small_model) {
  isc_tokenizer *t = isc_test_tokenizer_open(isc_test_tokenizer_of("sp-llama"));
  grows_like_its_text(t, " the", QUARTER);
  grows_like_its_text(t, "the ", MB);
  isc_tokenizer_close(t);
}
