/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts in normal form C: Unicode's own examples, and every character as the tokenizers package normalises it.
 *
 * The hashes are printed by tests/golden/unicode_canonical.py.
 */
#include "support.h"
#include "base/base.h"
#include "model/text_utf8.h"
#include "model/unicode_canonical.h"
#include <stdlib.h>

enum { PLANES = 17, MOST = 64 };

static void put(char *s, size_t *n, uint32_t cp) {
  *n += isc_utf8_encode(cp, s + *n);
}

static void is(const char *from, const char *to) {
  isc_text out = {0};
  isc_assert_ok(isc_text_compose(from, strlen(from), &out));
  cr_expect_str_eq(out.data, to);
  isc_assert_ok(isc_text_compose(to, strlen(to), &out)); /* what is in the form stays */
  cr_expect_str_eq(out.data, to);
  isc_text_free(&out);
}

/* Of Unicode Standard Annex 15, tables 1 to 8. */
Test(text_compose, gives_the_forms_of_the_standard) {
  is("plain", "plain");
  is("A\u030A", "\u00C5");
  is("\u212B", "\u00C5");             /* a singleton */
  is("\u1E0A\u0323", "\u1E0C\u0307"); /* marks change places */
  is("D\u0307\u0323", "\u1E0C\u0307");
  is("\u1E14\u0304", "\u1E14\u0304"); /* a mark that finds no place */
  is("E\u0304\u0300", "\u1E14");
  is("o\u0302\u0323", "\u1ED9");       /* through a mark of a lower class */
  is("a\u0301\u0301", "\u00E1\u0301"); /* the second is blocked by the first */
  is("\u1100\u1161\u11A8", "\uAC01");  /* Hangul */
  is("\uAC00\u11A7", "\uAC00\u11A7");  /* one before the trailing consonants */
  is("\uAC01\u11A8", "\uAC01\u11A8");  /* has one already */
  is("\u0915\u093C", "\u0915\u093C");  /* left out of composition */
  is("\u0958", "\u0915\u093C");
  is("\u09C7\u09BE", "\u09CB"); /* two that are no marks */
  is("\u0344", "\u0308\u0301"); /* a mark of two marks */
  is("\u0301a", "\u0301a");     /* nothing before it */
  is("\uFB01", "\uFB01");       /* a ligature is no canonical one */
  is("", "");
}

static uint64_t fnv(uint64_t h, const isc_text *text) {
  for (size_t i = 0; i < text->len; i++)
    h = (h ^ (unsigned char)text->data[i]) * UINT64_C(0x100000001B3);
  return h;
}

static uint64_t end_line(uint64_t h) {
  return (h ^ '\n') * UINT64_C(0x100000001B3);
}

static const uint64_t START = UINT64_C(0xCBF29CE484222325);

Test(text_compose, gives_the_library_s_form_of_every_character, .timeout = 300) {
  static const uint64_t want[PLANES] = {0x1aed9b375fb8c634, 0x3e43bf61bb077735, 0xea67ce261ea06183,
                                        0x919a65b73a5525,   0x86097e5fba56a125, 0x7af53517e8501b25,
                                        0x64a79bd299619525, 0x78a6ba9dd5241b25, 0xdd03a74f13ed0725,
                                        0x341d38ffb3e89d25, 0x4db21d9adf2abf25, 0xf20cdb91dc606d25,
                                        0x96ac71b128cbff25, 0x9ac7947b95d6525,  0xeaff95c226bff925,
                                        0xd3975ddaa69bf325, 0x922f27f752161525};
  isc_text out = {0};
  for (uint32_t plane = 0; plane < PLANES; plane++) {
    uint64_t h = START;
    for (uint32_t c = plane << 16 | (plane == 0); c < (plane + 1) << 16; c++) {
      char alone[8] = "", among[24] = "a\u0345";
      size_t n = 0, m = 3;
      if (c >= 0xD800 && c < 0xE000) continue;
      put(alone, &n, c);
      put(among, &m, c);
      put(among, &m, 0x334);
      put(among, &m, 0x301);
      isc_assert_ok(isc_text_compose(alone, n, &out));
      h = fnv(h, &out);
      isc_assert_ok(isc_text_compose(among, m, &out));
      h = end_line(fnv(h, &out));
    }
    cr_expect_eq(h, want[plane], "plane %d", (int)plane);
  }
  isc_text_free(&out);
}

Test(text_compose, gives_the_library_s_form_of_sequences) {
  static const uint32_t ranges[][2] = {{0x41, 0x5A},     {0x300, 0x36F}, {0x1100, 0x11FF},
                                       {0xAC00, 0xAC3F}, {0x900, 0xDFF}, {0x1E00, 0x1FFF},
                                       {0x591, 0x6DC}};
  uint64_t state = 1, h = START;
  isc_text out = {0};
  for (int i = 0; i < 20000; i++) {
    char s[4 * MOST];
    size_t n = 0;
    for (int k = 0; k < i % 60; k++) {
      state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
      const uint32_t *r = ranges[(state >> 60) % 7];
      put(s, &n, r[0] + (uint32_t)(state >> 33 & 0xFFFF) % (r[1] - r[0] + 1));
    }
    isc_assert_ok(isc_text_compose(s, n, &out));
    h = end_line(fnv(h, &out));
  }
  cr_assert_eq(h, UINT64_C(0x81f69adce57de449));
  isc_text_free(&out);
}

/* U+0315 is of class 232, U+0316 of 220: two million of them by turns would take days to sort by insertion. */
Test(text_compose, sorts_a_text_of_nothing_but_marks, .timeout = 120) {
  enum { N = 1000000 };
  isc_text in = {0}, out = {0};
  isc_assert_ok(isc_text_set(&in, "x", 1));
  for (int i = 0; i < N; i++)
    isc_assert_ok(isc_text_append(&in, "\u0315\u0316", 4));
  isc_assert_ok(isc_text_compose(in.data, in.len, &out));
  cr_assert_eq(out.len, in.len);
  for (int i = 0; i < 2 * N; i++)
    cr_assert(memcmp(out.data + 1 + 2 * i, i < N ? "\u0316" : "\u0315", 2) == 0, "mark %d", i);
  isc_text_free(&in);
  isc_text_free(&out);
}

Test(text_compose, bytes_that_are_no_utf8_and_no_memory_are_reported) {
  isc_text out = {0};
  isc_assert_fails(isc_text_compose("a\xff", 2, &out), ISC_E_FORMAT, "not UTF-8");
  char s[256] = "x";
  for (int i = 0; i < 50; i++)
    strcat(s, "\u0315\u0316");
  for (int64_t k = 1;; k++) {
    isc_text_free(&out);
    isc_alloc_fail_at(k);
    const isc_status st = isc_text_compose(s, strlen(s), &out);
    const bool finished = isc_alloc_fail_at(0) < k;
    cr_assert_eq(st, finished ? ISC_OK : ISC_E_NOMEM);
    if (finished) break;
  }
  isc_text_free(&out);
}
