/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about reading tokenizer.json: what each known part does, and that unknown ones are refused.
 *
 * Expected pieces are those of the tokenizers library (0.23) for the same file.
 */
#include "support.h"
#include "base/base.h"
#include <inversescope/tokenizer.h>
#include <stdlib.h>
#include <string.h>

static const char *with_file(const char *name, const char *content) {
  const char *dir = isc_test_dir("tokenizer");
  char path[1200];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  isc_assert_ok(isc_write_file(path, content, strlen(content)));
  return dir;
}

static void also(const char *dir, const char *name, const char *content) {
  char path[1200];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  isc_assert_ok(isc_write_file(path, content, strlen(content)));
}

static isc_tokenizer *opened(const char *dir) {
  isc_tokenizer *t;
  isc_assert_ok(isc_tokenizer_open(dir, &t));
  return t;
}

static const char *pieces(const isc_tokenizer *t, const char *text) {
  static char out[4096];
  int32_t ids[256];
  int64_t n;
  isc_assert_ok(isc_tokenizer_encode(t, text, strlen(text), ids, 256, &n));
  out[0] = '\0';
  for (int64_t i = 0; i < n; i++) {
    strcat(out, i ? "|" : "");
    strcat(out, isc_tokenizer_token(t, ids[i]));
  }
  return out;
}

static bool comes_earlier(const char *words, const char *w, size_t len) {
  for (const char *v = words; v < w;) {
    size_t n = strcspn(v, "|");
    if (n == len && memcmp(v, w, len) == 0) return true;
    v += n + 1;
  }
  return false;
}

/* A WordLevel file whose vocabulary is `words`, separated by '|'. */
static const char *word_file(const char *head, const char *words) {
  isc_sb b = {0};
  char *json;
  int id = 0;
  isc_sb_addf(&b, "{%s\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"?\",\"vocab\":{", head);
  for (const char *w = words; *w;) {
    size_t len = strcspn(w, "|");
    if (!comes_earlier(words, w, len)) {
      isc_sb_add(&b, id ? "," : "");
      isc_sb_add_json(&b, w, len);
      isc_sb_addf(&b, ":%d", id++);
    }
    w += len + (w[len] == '|');
  }
  isc_sb_add(&b, "}}}");
  isc_assert_ok(isc_sb_finish(&b, &json));
  const char *dir = with_file("tokenizer.json", json);
  free(json);
  return dir;
}

/* Every piece is in the vocabulary, so the pieces come back as they were cut. */
static void cuts_into(const char *head, const char *text, const char *want) {
  isc_tokenizer *t = opened(word_file(head, want));
  char expected[1000];
  snprintf(expected, sizeof expected, "%s", want);
  cr_assert_str_eq(pieces(t, text), expected);
  isc_tokenizer_close(t);
}

#define PRE(type) "\"pre_tokenizer\":{\"type\":\"" type "\"},"
#define SPLIT                                                                                      \
  "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\".\"},\"behavior\":\"Isolated\"," \
  "\"invert\":false},"

Test(pre_tokenizers, words_are_cut_as_the_library_cuts_them) {
  cuts_into(PRE("Whitespace"), "Hello, world!  it's a_b c-d", "Hello|,|world|!|it|'|s|a_b|c|-|d");
  cuts_into(PRE("Whitespace"),
            "x\xcc\x81y \xd9\xa3\xd9\xa4 \xc2\xbd\xc2\xb2 a\xe2\x80\x8c"
            "b",
            "x\xcc\x81y|\xd9\xa3\xd9\xa4|\xc2\xbd\xc2\xb2|a\xe2\x80\x8c"
            "b");
  cuts_into(PRE("Whitespace"),
            "\xe1\xa0\x8e"
            "a\xc2\xa0"
            "c\xe3\x80\x80"
            "d",
            "\xe1\xa0\x8e|a|c|d");
  /* other numbers are no word characters; letters in circles, marks and joiners are */
  cuts_into(PRE("Whitespace"),
            "x\xc2\xbd x\xe2\x91\xa0 x\xe2\x93\x90 x\xc2\xb2 x\xe2\x85\xa7 x\xd9\xa3 x\xcc\x81y "
            "x_y x\xe2\x80\xbfy x\xe2\x80\x8dy x\xe2\x80\x8by -\xcc\x81- \xe0\xa4\x83"
            "a\xe2\x83\x9d-",
            "x|\xc2\xbd|x|\xe2\x91\xa0|x\xe2\x93\x90|x|\xc2\xb2|x\xe2\x85\xa7|x\xd9\xa3|x\xcc\x81y|"
            "x_y|x\xe2\x80\xbfy|x\xe2\x80\x8dy|x|\xe2\x80\x8b|y|-|\xcc\x81|-|\xe0\xa4\x83"
            "a\xe2\x83\x9d|-");
  cuts_into(PRE("WhitespaceSplit"),
            "a\xe1\xa0\x8e"
            "b \xc2\xa0"
            "c\xe3\x80\x80"
            "d\xc2\x85"
            "e\xe2\x80\x8b"
            "f\xe2\x80\xa8"
            "g\x1ch\x0bi",
            "a\xe1\xa0\x8e"
            "b|c|d|e\xe2\x80\x8b"
            "f|g\x1ch|i");
  cuts_into(SPLIT, "ab\n\nc\r\t\xe2\x80\xa8", "a|b|\n\n|c|\r|\t|\xe2\x80\xa8");
  cuts_into("", "all of it", "all of it");
}

#define ADDED(id, content, special, normalized)                                                    \
  "{\"id\":" #id ",\"content\":\"" content "\",\"special\":" #special                              \
  ",\"normalized\":" #normalized "}"

Test(added, they_are_matched_first_and_the_longest_wins) {
  isc_tokenizer *t = opened(
      word_file(PRE("WhitespaceSplit") "\"added_tokens\":[" ADDED(3, "<a>", false, false) "," ADDED(
                    4, "<a><b>", true, false) "," ADDED(5, "b>", false, true) "],",
                "x|y|?"));
  int32_t ids[8];
  int64_t n;
  isc_text out = {0};
  cr_assert_str_eq(pieces(t, "x<a>y"), "x|<a>|y");
  cr_assert_str_eq(pieces(t, "<a><b><a><b"), "<a><b>|<a>|?");
  cr_assert_str_eq(pieces(t, "xb>y<a>b>"), "x|b>|y|<a>|b>", "normalized ones in what is left");
  cr_assert_eq(isc_tokenizer_vocab(t), 6);
  isc_assert_ok(isc_tokenizer_encode(t, "x<a><b><a>", 10, ids, 8, &n));
  isc_assert_ok(isc_tokenizer_decode(t, ids, n, &out));
  cr_assert_str_eq(out.data, "x <a>", "only special ones are left out");
  isc_text_free(&out);
  isc_tokenizer_close(t);
}

Test(added, ids_that_disagree_are_refused) {
  isc_tokenizer *t;
  isc_assert_fails(isc_tokenizer_open(
                       word_file("\"added_tokens\":[" ADDED(1, "x", true, false) "],", "x|?"), &t),
                   ISC_E_FORMAT, "the vocabulary gives it 0");
  isc_assert_fails(isc_tokenizer_open(
                       word_file("\"added_tokens\":[" ADDED(1, "z", true, false) "],", "x|?"), &t),
                   ISC_E_FORMAT, "the same id 1");
  isc_assert_fails(
      isc_tokenizer_open(word_file("\"added_tokens\":[" ADDED(2, "z", true, false) "," ADDED(
                                       3, "z", true, false) "],",
                                   "x|?"),
                         &t),
      ISC_E_FORMAT, "\"z\" is there twice");
  isc_assert_fails(
      isc_tokenizer_open(word_file("\"added_tokens\":[" ADDED(0, "x", true, false) "," ADDED(
                                       0, "x", true, true) "],",
                                   "x|?"),
                         &t),
      ISC_E_FORMAT, "\"x\" is there twice");
  isc_assert_fails(
      isc_tokenizer_open(word_file("\"added_tokens\":[" ADDED(2, "", true, false) "],", "x|?"), &t),
      ISC_E_FORMAT, "1 … 512");
  isc_assert_fails(
      isc_tokenizer_open(
          word_file("\"added_tokens\":[" ADDED(99999999999, "z", true, false) "],", "x"), &t),
      ISC_E_FORMAT, "outside");
}

#define TEMPLATE(single)                                                                           \
  "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" single "],\"pair\":[],"       \
  "\"special_tokens\":{\"B\":{\"id\":\"B\",\"ids\":[1],\"tokens\":[\"x\"]},\"E\":{\"id\":\"E\","   \
  "\"ids\":[2,1],\"tokens\":[]},"                                                                  \
  "\"Z\":{\"id\":\"Z\",\"ids\":[9],\"tokens\":[]}}},"
#define SPECIAL(name) "{\"SpecialToken\":{\"id\":\"" name "\",\"type_id\":0}}"
#define TEXT          "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"

Test(post_processors, the_template_adds_tokens_on_both_sides) {
  isc_tokenizer *t = opened(
      word_file(PRE("WhitespaceSplit") TEMPLATE(SPECIAL("B") "," TEXT "," SPECIAL("E")), "w|b|e"));
  int64_t n;
  cr_assert_str_eq(pieces(t, "w w"), "b|w|w|e|b");
  cr_assert_str_eq(pieces(t, ""), "b|e|b");
  isc_assert_ok(isc_tokenizer_encode_plain(t, "w w", 3, NULL, 0, &n));
  cr_assert_eq(n, 2);
  isc_tokenizer_close(t);
}

Test(post_processors, broken_templates_are_refused) {
  isc_tokenizer *t;
  isc_assert_fails(isc_tokenizer_open(word_file(TEMPLATE(SPECIAL("B")), "w|b|e"), &t), ISC_E_FORMAT,
                   "lacks");
  isc_assert_fails(isc_tokenizer_open(word_file(TEMPLATE(TEXT "," TEXT), "w|b|e"), &t),
                   ISC_E_FORMAT, "not understood");
  isc_assert_fails(isc_tokenizer_open(word_file(TEMPLATE(TEXT ",7"), "w|b|e"), &t), ISC_E_FORMAT,
                   "not understood");
  isc_assert_fails(isc_tokenizer_open(word_file(TEMPLATE(SPECIAL("Q") "," TEXT), "w|b|e"), &t),
                   ISC_E_FORMAT, "\"Q\" is missing");
  isc_assert_fails(isc_tokenizer_open(word_file(TEMPLATE(SPECIAL("Z") "," TEXT), "w|b|e"), &t),
                   ISC_E_FORMAT, "outside the vocabulary");
}

#define META "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"first\"}"

Test(components, an_unknown_one_is_named) {
  static const struct {
    const char *head, *part;
  } bad[] = {
      {"\"normalizer\":{\"type\":\"NFKC\"},", "normalizer \"NFKC\""},
      {"\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Lowercase\"}]},",
       "normalizer \"Lowercase\""},
      {"\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"x\",\"twice\":true},",
       "Prepend with \"twice\""},
      {PRE("Punctuation"), "pre_tokenizer \"Punctuation\""},
      {PRE("ByteLevel"), "WordLevel with the ByteLevel"},
      {"\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},{"
       "\"type\":\"Digits\"}]},",
       "behind ByteLevel with \"Digits\""},
      {"\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" META "," META "]},",
       "a second \"Metaspace\""},
      {"\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"x\"},\"pre_tokenizer\":" META ",",
       "prepend_scheme first"},
      {"\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x\"},\"behavior\":"
       "\"Doubled\"},",
       "behavior \"Doubled\""},
      {"\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x*\"},\"behavior\":"
       "\"Removed\"},",
       "may match the empty text"},
      {"\"decoder\":{\"type\":\"WordPiece\"},", "decoder \"WordPiece\""},
      {"\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"CTC\"}]},", "decoder \"CTC\""},
      {"\"post_processor\":{\"type\":\"BertProcessing\"},", "post_processor \"BertProcessing\""},
      {"\"added_tokens\":[{\"id\":1,\"content\":\"z\",\"shy\":true}],", "\"shy\""},
      {"\"version\":\"2.0\",", "version \"2.0\""},
      {"\"postprocessor\":null,", "\"postprocessor\""},
  };
  isc_tokenizer *t;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    isc_assert_fails(isc_tokenizer_open(word_file(bad[i].head, "x"), &t), ISC_E_UNSUPPORTED,
                     bad[i].part);
}

Test(components, an_unknown_model_is_named) {
  static const struct {
    const char *json, *part;
  } bad[] = {
      {"{\"model\":{\"type\":\"Unigram\"}}", "model \"Unigram\""},
      {"{" PRE("ByteLevel") "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{},"
                            "\"merges\":[]}}",
       "\"byte_fallback\""},
      {"{\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{\"<0x00>\":0},"
       "\"merges\":[]}}",
       "\"byte_fallback\""},
      {"{" PRE("ByteLevel") "\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{},"
                            "\"merges\":[]}}",
       "\"dropout\""},
      {"{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"vocab\":{},"
       "\"merges\":[]}}",
       "\"end_of_word_suffix\""},
  };
  isc_tokenizer *t;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    isc_assert_fails(isc_tokenizer_open(with_file("tokenizer.json", bad[i].json), &t),
                     ISC_E_UNSUPPORTED, bad[i].part);
}

/* Bytes are spelled as GPT-2 spells them: those that print as themselves, the others from U+0100 on. */
static void byte_vocab(isc_sb *b) {
  int other = 256;
  for (int byte = 0; byte < 256; byte++) {
    bool prints = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    isc_sb_addf(b, "%s\"\\u%04x\":%d", byte ? "," : "", (unsigned)(prints ? byte : other++), byte);
  }
}

Test(components, an_unk_token_is_accepted_where_nothing_is_unknown) {
  for (int all = 0; all < 2; all++) {
    isc_sb b = {0};
    char *json;
    isc_tokenizer *t;
    isc_text out = {0};
    isc_sb_add(&b, "{" PRE("ByteLevel") "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":"
                                        "\"BPE\",\"unk_token\":\"!\",\"merges\":[],\"vocab\":{");
    if (all)
      byte_vocab(&b);
    else
      isc_sb_add(&b, "\"a\":0");
    isc_sb_add(&b, "}}}");
    isc_assert_ok(isc_sb_finish(&b, &json));
    const char *dir = with_file("tokenizer.json", json);
    free(json);
    if (!all) {
      isc_assert_fails(isc_tokenizer_open(dir, &t), ISC_E_UNSUPPORTED, "\"unk_token\"");
      continue;
    }
    t = opened(dir);
    cr_assert_eq(isc_tokenizer_unk(t), '!');
    int32_t ids[256];
    for (int32_t i = 0; i < 256; i++)
      ids[i] = i;
    isc_assert_ok(isc_tokenizer_decode(t, ids, 128, &out));
    cr_assert_eq(out.len, 128);
    for (int i = 0; i < 128; i++)
      cr_assert_eq(out.data[i], i, "byte %d", i);
    isc_assert_ok(isc_tokenizer_decode(t, (int32_t[]){0xC3, 0xAD}, 2, &out));
    cr_assert_str_eq(out.data, "\xc3\xad");
    isc_text_free(&out);
    isc_tokenizer_close(t);
  }
}

Test(files, broken_ones_are_one_clear_error) {
  static const struct {
    const char *json, *part;
  } bad[] = {
      {"", "expected"},
      {"[]", "expected a JSON object"},
      {"{\"a\":1,\"a\":2}", "duplicate"},
      {"{}", "\"model\" is missing"},
      {"{\"model\":{}}", "\"type\" is missing"},
      {"{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"a\":0,\"b\":0}}}",
       "the same id 0"},
      {"{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"a\":-1}}}", "outside"},
      {"{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"a\":2147483648}}}",
       "outside"},
      {"{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"a\":\"0\"}}}",
       "must be an integer"},
      {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}}}", "\"unk_token\" is missing"},
      {"{\"added_tokens\":{},\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{}}}",
       "must be an array"},
      {"{\"added_tokens\":[3],\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{}}}",
       "must be an object"},
      {"{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"\xff\":0}}}",
       "unable to decode byte 0xff"},
      {"{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"\\u0000\":0}}}", "NUL"},
      {"{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":[]}}",
       "\"vocab\" must be an object"},
      {"{\"model\":{\"type\":\"BPE\",\"vocab\":{}}}", "\"merges\" is missing"},
      {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}",
       "merge 0 (\"a\" + \"b\")"},
      {"{\"normalizer\":{\"type\":\"Prepend\"},\"model\":{}}", "normalizer Prepend: \"prepend\""},
      {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{},\"content\":\"\"},\"model\":{}}",
       "normalizer Replace: \"pattern\" must have"},
      {"{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[7]},\"model\":{}}",
       "normalizer: a member must be an object"},
      {"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":"
       "\"Removed\"},\"model\":{}}",
       "pre_tokenizer Split: the pattern \"(\""},
      {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"__\"},\"model\":{}}",
       "must be one character"},
      {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"add_prefix_space\":"
       "false},\"model\":{}}",
       "\"add_prefix_space\" is false"},
      {"{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{}},\"decoder\":{\"type\":"
       "\"Strip\",\"content\":\" \",\"start\":-1,\"stop\":0}}",
       "is below 0"},
  };
  isc_tokenizer *t;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    isc_assert_fails(isc_tokenizer_open(with_file("tokenizer.json", bad[i].json), &t), ISC_E_FORMAT,
                     bad[i].part);
  isc_assert_fails(isc_tokenizer_open(isc_test_dir("none"), &t), ISC_E_MISSING,
                   "no tokenizer here");
}

/* A Sequence in a Sequence in a Sequence …; and one that is too long. */
static void refused_sequence(const char *begin, const char *member, const char *end, int n,
                             const char *part) {
  isc_sb b = {0};
  char *json;
  isc_tokenizer *t;
  isc_sb_add(&b, "{\"normalizer\":");
  for (int i = 0; i < n; i++)
    isc_sb_add(&b, begin);
  isc_sb_add(&b, member);
  for (int i = 0; i < n; i++)
    isc_sb_add(&b, end);
  isc_sb_add(&b, ",\"model\":{}}");
  isc_assert_ok(isc_sb_finish(&b, &json));
  isc_status st = isc_tokenizer_open(with_file("tokenizer.json", json), &t);
  cr_assert(st == ISC_E_UNSUPPORTED || st == ISC_E_FORMAT, "%s", isc_error());
  cr_assert(strstr(isc_error(), part), "%s", isc_error());
  free(json);
}

Test(files, depth_and_length_are_bounded) {
  static const char sequence[] = "{\"type\":\"Sequence\",\"normalizers\":[";
  static const char prepend[] = "{\"type\":\"Prepend\",\"prepend\":\"x\"}";
  char many[1200];
  refused_sequence(sequence, prepend, "]}", 6, "Sequence, so deep");
  refused_sequence(sequence, prepend, "]}", 40, "deeper than 64");
  snprintf(many, sizeof many, "%s", prepend);
  for (int i = 0; i < 16; i++) {
    strcat(many, ",");
    strcat(many, prepend);
  }
  refused_sequence(sequence, many, "]}", 1, "more than 16");
}

/* A file may not make a short text a long one, nor look for a match without end. */
Test(files, work_on_a_text_is_bounded) {
  static const char grow[] = "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":"
                             "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}";
  char head[1500], text[4000];
  int64_t n;
  isc_text out = {0};
  memset(text, 'a', sizeof text);
  snprintf(
      head, sizeof head,
      "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[%s,%s,%s,%s]},\"decoder\":{\"type\":"
      "\"Sequence\",\"decoders\":[%s,%s,%s,%s]},",
      grow, grow, grow, grow, grow, grow, grow, grow);
  isc_tokenizer *t = opened(word_file(head, "a"));
  isc_assert_fails(isc_tokenizer_encode(t, text, sizeof text, NULL, 0, &n), ISC_E_UNSUPPORTED,
                   "at most 64 times");
  isc_assert_fails(isc_tokenizer_decode(t, (int32_t[]){0, 0, 0}, 3, &out), ISC_E_UNSUPPORTED,
                   "the decoder makes more than");
  isc_tokenizer_close(t);
  t = opened(
      word_file("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?:a|aa)+b\"},"
                "\"behavior\":\"Isolated\"},",
                "a"));
  isc_assert_fails(isc_tokenizer_encode(t, text, sizeof text, NULL, 0, &n), ISC_E_UNSUPPORTED,
                   "goes back without end");
  isc_tokenizer_close(t);
  isc_text_free(&out);
}

/* Nor may it make the tokens that it looks for long. */
Test(files, work_on_added_tokens_is_bounded) {
  char head[3000], a[101];
  isc_tokenizer *t;
  memset(a, 'a', 100);
  a[100] = '\0';
  snprintf(
      head, sizeof head,
      "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"%s\"},"
      "\"added_tokens\":[{\"id\":5,\"content\":\"%s\",\"normalized\":true}],",
      a, a);
  isc_assert_fails(isc_tokenizer_open(word_file(head, "x"), &t), ISC_E_UNSUPPORTED,
                   "10000 bytes of it");
}

Test(added, white_space_and_words_beside_them_count) {
  isc_tokenizer *t = opened(word_file(
      "\"added_tokens\":[{\"id\":7,\"content\":\"<l>\",\"lstrip\":true},{\"id\":8,\"content\":\"<r>"
      "\","
      "\"rstrip\":true},{\"id\":9,\"content\":\"<w>\",\"single_word\":true},{\"id\":10,\"content\":"
      "\"\\n\"}],",
      "x|x | x| |  |x<w>|?"));
  cr_assert_str_eq(pieces(t, "x  <l> x"), "x|<l>| x");
  cr_assert_str_eq(pieces(t, "x <r>  x"), "x |<r>|x");
  cr_assert_str_eq(pieces(t, "x<w>"), "x<w>", "beside a letter it is none");
  cr_assert_str_eq(pieces(t, "x <w> x"), "x |<w>| x");
  cr_assert_str_eq(pieces(t, "<r> \n x"), "<r>|\n| x", "matched before the other took it");
  isc_tokenizer_close(t);
}

/* Both are matched as "__x" in the normalised text. */
Test(added, two_that_look_alike_once_normalized_are_refused) {
  isc_tokenizer *t;
  isc_assert_fails(
      isc_tokenizer_open(
          word_file(
              "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":"
              "\"_\"},\"added_tokens\":[" ADDED(5, " _x", false, true) "," ADDED(6, "_ x", false,
                                                                                 true) "],",
              "x"),
          &t),
      ISC_E_FORMAT, "looks like another one once normalized");
}

Test(files, begin_and_end_come_from_the_first_file_that_names_them) {
  const char *dir = word_file("", "a|b|c|d");
  isc_tokenizer *t = opened(dir);
  cr_assert(isc_tokenizer_bos(t) == -1 && isc_tokenizer_eos(t) == -1);
  isc_tokenizer_close(t);
  also(dir, "config.json", "{\"bos_token_id\":50256,\"eos_token_id\":[2,3]}");
  t = opened(dir);
  cr_assert(isc_tokenizer_bos(t) == -1 && isc_tokenizer_eos(t) == 2);
  isc_tokenizer_close(t);
  also(dir, "special_tokens_map.json", "{\"bos_token\":\"a\",\"eos_token\":{\"content\":\"b\"}}");
  t = opened(dir);
  cr_assert(isc_tokenizer_bos(t) == 0 && isc_tokenizer_eos(t) == 1);
  isc_tokenizer_close(t);
  also(dir, "tokenizer_config.json", "{\"bos_token\":null,\"eos_token\":\"d\"}");
  t = opened(dir);
  cr_assert(isc_tokenizer_bos(t) == 0 && isc_tokenizer_eos(t) == 3);
  isc_tokenizer_close(t);
}

Test(files, vocab_and_merges_make_a_gpt2_tokenizer) {
  const char *dir = with_file(
      "vocab.json", "{\"a\":0,\"b\":1,\"\\u0120\":2,\"ab\":3,\"\\u0120ab\":4,\"<|endoftext|>\":5}");
  isc_tokenizer *t;
  isc_assert_fails(isc_tokenizer_open(dir, &t), ISC_E_MISSING, "merges.txt");
  also(dir, "merges.txt", "#version: 0.2\r\na b\r\n\r\n\xc4\xa0 ab");
  t = opened(dir);
  cr_assert_str_eq(pieces(t, "ab aba"), "ab|\xc4\xa0"
                                        "ab|a");
  cr_assert(isc_tokenizer_bos(t) == 5 && isc_tokenizer_eos(t) == 5);
  isc_tokenizer_close(t);
  also(dir, "tokenizer_config.json", "{\"add_prefix_space\":true,\"add_bos_token\":true}");
  t = opened(dir);
  cr_assert_str_eq(pieces(t, "ab<|endoftext|>ab"), "<|endoftext|>|\xc4\xa0"
                                                   "ab|<|endoftext|>|\xc4\xa0"
                                                   "ab");
  isc_tokenizer_close(t);
  also(dir, "merges.txt", "a b\nab\n");
  isc_assert_fails(isc_tokenizer_open(dir, &t), ISC_E_FORMAT, "merges.txt:2");
  also(dir, "merges.txt", "a  b\n");
  isc_assert_fails(isc_tokenizer_open(dir, &t), ISC_E_FORMAT, "merges.txt:1");
}
