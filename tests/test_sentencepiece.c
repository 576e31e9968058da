/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about tokenizer.model: the settings that are honoured, those that are refused, and files that are broken.
 *
 * Models are written here field by field. Expected ids and texts are those of sentencepiece 0.2.3 for the same bytes, unless
 * a line of the format's definition says them.
 */
#include "support.h"
#include "support_tokenizer.h"
#include "model/protobuf.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER = 4, UNUSED = 5, BYTE = 6 };

#define BLOCK "\xe2\x96\x81"

static isc_text model;

static void piece(const char *s, float score, int type) {
  isc_text p = {0};
  isc_assert_ok(isc_write_bytes(&p, 1, s, strlen(s)));
  isc_assert_ok(isc_write_float(&p, 2, score));
  if (type != NORMAL) isc_assert_ok(isc_write_varint(&p, 3, (uint64_t)type));
  isc_assert_ok(isc_write_bytes(&model, 1, p.data, p.len));
  isc_text_free(&p);
}

/* A message with one number in it, `field` of the model: 2 the trainer, 3 the normaliser, 5 the denormaliser. */
static void number(uint32_t field, uint32_t setting, uint64_t value) {
  isc_text m = {0};
  isc_assert_ok(isc_write_varint(&m, setting, value));
  isc_assert_ok(isc_write_bytes(&model, field, m.data, m.len));
  isc_text_free(&m);
}

static void string(uint32_t field, uint32_t setting, const char *s) {
  isc_text m = {0};
  isc_assert_ok(isc_write_bytes(&m, setting, s, strlen(s)));
  isc_assert_ok(isc_write_bytes(&model, field, m.data, m.len));
  isc_text_free(&m);
}

/* <unk> 0, <s> 1, </s> 2, and BPE. */
static void begin(void) {
  isc_text_clear(&model);
  piece("<unk>", 0, UNKNOWN);
  piece("<s>", 0, CONTROL);
  piece("</s>", 0, CONTROL);
  number(2, 3, 2);
}

static isc_status open_model(isc_tokenizer **t) {
  return isc_tokenizer_open(isc_test_tokenizer_dir("tokenizer.model", model.data, model.len), t);
}

static isc_tokenizer *opened(void) {
  isc_tokenizer *t;
  isc_assert_ok(open_model(&t));
  isc_assert_ok(isc_tokenizer_set_bos(t, ISC_BOS_NEVER));
  return t;
}

static const char *decoded(const isc_tokenizer *t, const int32_t *ids, int64_t n) {
  static isc_text out;
  isc_assert_ok(isc_tokenizer_decode(t, ids, n, &out));
  return out.data;
}

/* ---- encoding */

Test(joins, the_best_score_comes_first_and_then_the_leftmost) {
  begin();
  static const char *const pieces[] = {"a", "b", "c", "ab", "bc", "abc", "aa", BLOCK};
  static const float scores[] = {-9, -9, -9, -2, -1, -3, -1, -9};
  for (int i = 0; i < 8; i++)
    piece(pieces[i], scores[i], NORMAL);
  number(3, 3, 0);
  number(3, 4, 0);
  isc_tokenizer *t = opened();
  cr_assert_str_eq(isc_test_pieces(t, "abc"), "abc", "bc, and then a with bc");
  cr_assert_str_eq(isc_test_pieces(t, "aabc"), "aa|bc");
  cr_assert_str_eq(isc_test_pieces(t, "aaa"), "aa|a");
  cr_assert_str_eq(isc_test_pieces(t, "ab abc"), "ab|" BLOCK "|abc");
  isc_tokenizer_close(t);
}

/* A part of a join need not be a piece: x and y are none, and xy is. */
Test(joins, parts_need_not_be_pieces) {
  begin();
  piece("xy", -1, NORMAL);
  piece("xyz", -2, NORMAL);
  number(3, 3, 0);
  isc_tokenizer *t = opened();
  cr_assert_str_eq(isc_test_pieces(t, "xyzxyx"), "xyz|xy|<unk>");
  cr_assert_str_eq(isc_test_pieces(t, "zzxy\xf0\x9f\x98\x80\xc3\xa9"), "<unk>|xy|<unk>",
                   "unknown ones in a row are one");
  cr_assert_str_eq(decoded(t, (int32_t[]){0, 3, 0}, 3), " \xe2\x81\x87 xy \xe2\x81\x87 ");
  isc_tokenizer_close(t);
}

Test(joins, an_unused_piece_is_taken_apart_again) {
  begin();
  piece("a", -1, NORMAL);
  piece("b", -1, NORMAL);
  piece("ab", -2, UNUSED);
  piece("abb", -3, NORMAL);
  piece("aba", -4, UNUSED);
  number(3, 3, 0);
  isc_tokenizer *t = opened();
  cr_assert_str_eq(isc_test_pieces(t, "ab"), "a|b");
  cr_assert_str_eq(isc_test_pieces(t, "abb"), "abb");
  cr_assert_str_eq(isc_test_pieces(t, "aba"), "a|b|a");
  isc_tokenizer_close(t);
}

Test(joins, user_defined_pieces_are_matched_first_and_stay_apart) {
  begin();
  piece("a", -1, NORMAL);
  piece("b", -1, NORMAL);
  piece("ab", -1, NORMAL);
  piece("ba", -1, NORMAL);
  piece("bb", 0, USER);
  piece("bba", 0, USER);
  number(3, 3, 0);
  isc_tokenizer *t = opened();
  cr_assert_str_eq(isc_test_pieces(t, "abb"), "a|bb");
  cr_assert_str_eq(isc_test_pieces(t, "abbab"), "a|bba|b", "the longest");
  isc_tokenizer_close(t);
}

Test(control, pieces_are_no_text) {
  begin();
  for (const char *c = "<s>/"; *c; c++)
    piece((char[]){*c, '\0'}, -1, NORMAL);
  number(3, 3, 0);
  isc_tokenizer *t = opened();
  cr_assert_str_eq(isc_test_pieces(t, "<s></s>"), "<|s|>|<|/|s|>");
  cr_assert_str_eq(decoded(t, (int32_t[]){1, 3, 2}, 3), "<");
  isc_tokenizer_close(t);
}

/* ---- the normaliser */

static void letters(void) {
  begin();
  piece("a", -1, NORMAL);
  piece("b", -1, NORMAL);
  piece(BLOCK, -1, NORMAL);
  piece(" ", -1, NORMAL);
}

Test(normalizer, each_setting_does_what_it_says) {
  static const struct {
    bool prefix, trim, escape;
    const char *want;
  } cases[] = {{true, true, true, BLOCK "|a|" BLOCK "|b"},
               {true, false, true, BLOCK "|" BLOCK "|" BLOCK "|a|" BLOCK "|" BLOCK "|b|" BLOCK},
               {false, true, true, "a|" BLOCK "|b"},
               {false, false, true, BLOCK "|" BLOCK "|a|" BLOCK "|" BLOCK "|b|" BLOCK},
               {true, true, false, " |a| |b"},
               {false, false, false, " | |a| | |b| "}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    letters();
    number(3, 3, cases[i].prefix);
    number(3, 4, cases[i].trim);
    number(3, 5, cases[i].escape);
    isc_tokenizer *t = opened();
    cr_assert_str_eq(isc_test_pieces(t, "  a  b "), cases[i].want, "%zu", i);
    cr_assert_str_eq(isc_test_pieces(t, ""), "");
    cr_assert_str_eq(isc_test_pieces(t, "   "), cases[i].trim     ? ""
                                                : cases[i].prefix ? BLOCK "|" BLOCK "|" BLOCK
                                                                          "|" BLOCK
                                                : cases[i].escape ? BLOCK "|" BLOCK "|" BLOCK
                                                                  : " | | ");
    isc_tokenizer_close(t);
  }
}

Test(normalizer, the_space_it_puts_in_front_is_not_decoded) {
  letters();
  number(3, 4, 0);
  isc_tokenizer *t = opened();
  const int32_t ids[] = {5, 5, 3, 5, 4};
  cr_assert_str_eq(decoded(t, ids, 5), " a b");
  cr_assert_str_eq(decoded(t, (int32_t[]){1, 5, 3}, 3), "a", "a control piece is nothing");
  isc_tokenizer_close(t);
}

/* ---- bytes */

static void bytes(void) {
  for (int byte = 0; byte < 256; byte++) {
    char s[8];
    snprintf(s, sizeof s, "<0x%02X>", (unsigned)byte);
    piece(s, 0, BYTE);
  }
  number(2, 35, 1);
}

Test(bytes, spell_what_is_no_piece) {
  begin();
  bytes();
  piece("a", -1, NORMAL);
  number(3, 3, 0);
  isc_tokenizer *t = opened();
  cr_assert_str_eq(isc_test_pieces(t, "a\xc3\xa9"), "a|<0xC3>|<0xA9>");
  cr_assert_str_eq(decoded(t, (int32_t[]){3 + 0xC3, 3 + 0xA9, 3 + 0xC3, 259}, 4),
                   "\xc3\xa9\xef\xbf\xbd"
                   "a");
  cr_assert_str_eq(decoded(t, (int32_t[]){3 + 0xE2, 3 + 0x96, 3 + 0xFF}, 3),
                   "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "one for each byte");
  isc_tokenizer_close(t);
}

/* ---- what is refused */

static void refused(isc_status status, const char *part) {
  isc_tokenizer *t;
  isc_assert_fails(open_model(&t), status, part);
}

Test(refusals, name_the_setting) {
  begin();
  number(2, 3, 1);
  refused(ISC_E_UNSUPPORTED, "model_type UNIGRAM");
  begin();
  number(2, 3, 4);
  refused(ISC_E_UNSUPPORTED, "model_type CHAR");
  begin();
  number(2, 3, 99);
  refused(ISC_E_UNSUPPORTED, "99");
  begin();
  number(2, 24, 1);
  refused(ISC_E_UNSUPPORTED, "treat_whitespace_as_suffix");
  begin();
  string(3, 1, "nmt_nfkc");
  string(3, 2, "map");
  refused(ISC_E_UNSUPPORTED, "precompiled_charsmap \"nmt_nfkc\"");
  begin();
  string(5, 2, "map");
  refused(ISC_E_UNSUPPORTED, "denormalizer_spec");
}

Test(refusals, pieces_must_fit_together) {
  begin();
  piece("a", 0, UNKNOWN);
  refused(ISC_E_FORMAT, "2 pieces are the unknown one");
  begin();
  piece("<s>", 0, NORMAL);
  refused(ISC_E_FORMAT, "\"<s>\" is there twice");
  begin();
  piece("", 0, NORMAL);
  refused(ISC_E_FORMAT, "piece 3: 0 bytes");
  begin();
  piece("\xff", 0, NORMAL);
  refused(ISC_E_FORMAT, "piece 3 holds a NUL or is not UTF-8");
  begin();
  piece("a", NAN, NORMAL);
  refused(ISC_E_FORMAT, "piece 3: its score");
  begin();
  piece("a", 0, 9);
  refused(ISC_E_FORMAT, "piece 3: there is no type 9");
  begin();
  piece("<0x41>", 0, BYTE);
  refused(ISC_E_FORMAT, "1 byte pieces");
  begin();
  number(2, 35, 1);
  refused(ISC_E_FORMAT, "0 byte pieces");
  begin();
  bytes();
  piece("<0x4a>", 0, BYTE);
  refused(ISC_E_FORMAT, "257 byte pieces, 256 of them");
}

/* Whatever a file ends in, it is one clear error, or a tokenizer. */
Test(refusals, a_file_cut_off_anywhere_is_an_error) {
  begin();
  piece("ab", -1, NORMAL);
  string(2, 44, "?");
  number(3, 3, 1);
  size_t opened_ones = 0;
  for (size_t n = 0; n < model.len; n++) {
    isc_tokenizer *t = NULL;
    const char *dir = isc_test_tokenizer_dir("tokenizer.model", model.data, n);
    isc_status st = isc_tokenizer_open(dir, &t);
    cr_assert(st == ISC_OK || st == ISC_E_FORMAT || st == ISC_E_UNSUPPORTED, "%zu: %s", n,
              isc_error());
    opened_ones += st == ISC_OK;
    isc_tokenizer_close(t);
  }
  cr_assert_eq(opened_ones, 3, "between the messages behind the model type");
}

Test(refusals, broken_wire_formats_are_one_clear_error) {
  static const struct {
    const char *bytes;
    size_t n;
    const char *part;
  } bad[] = {{"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11, "field 1 is cut off"},
             {"\x0a\x05zz", 4, "field 1 is cut off"},
             {"\x0b\x00", 2, "field 1 is cut off or of a kind"},
             {"\x00\x00", 2, "a field without a number"},
             {"\x08\x01", 2, "of the wrong kind"},
             {"\x0a\x02\x10\x00", 4, "score: the value is of the wrong kind"},
             {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11, "a field without a number"},
             {"hello world", 11, "broken protocol buffer"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    begin();
    isc_assert_ok(isc_text_append(&model, bad[i].bytes, bad[i].n));
    refused(ISC_E_FORMAT, bad[i].part);
  }
  isc_text_clear(&model);
  isc_assert_ok(isc_text_set(&model, "", 0));
  refused(ISC_E_FORMAT, "0 pieces");
}
