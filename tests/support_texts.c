/* SPDX-License-Identifier: Apache-2.0
 *
 * The texts for tokenizers. Changing anything here changes every golden file made from them.
 */
#include "support_texts.h"
#include "model/text_utf8.h"
#include <inversescope/rng.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))
#define PICK(list)  ((list)[isc_rng_below(r, COUNT(list))])

typedef isc_status writer(isc_rng *r, isc_text *out);

static isc_status add(isc_text *out, const char *s) {
  return isc_text_append(out, s, strlen(s));
}

static isc_status add_char(isc_text *out, uint32_t cp) {
  char s[4];
  return isc_text_append(out, s, isc_utf8_encode(cp, s));
}

static isc_status add_from(isc_rng *r, isc_text *out, uint32_t first, uint32_t last) {
  return add_char(out, first + (uint32_t)isc_rng_below(r, last - first + 1));
}

static uint64_t between(isc_rng *r, uint64_t least, uint64_t most) {
  return least + isc_rng_below(r, most - least + 1);
}

/* ---- English, with its contractions in every case */

static isc_status word(isc_rng *r, isc_text *out) {
  static const char *const words[] = {
      "the",    "The",     "of",         "and",          "After",       "breakfast",     "Emma",
      "Victor", "walked",  "market",     "to",           "a",           "ticket",        "gave",
      "I",      "we",      "don't",      "DON'T",        "it's",        "IT'S",          "they'll",
      "we'RE",  "I've",    "I'd",        "I'M",          "o'clock",     "it'\xc5\xbf",   "language",
      "model",  "encodes", "activation", "na\xc3\xafve", "caf\xc3\xa9", "Stra\303\237e", "and/or"};
  return add(out, PICK(words));
}

static isc_status english(isc_rng *r, isc_text *out) {
  static const char *const ends[] = {" ",
                                     " ",
                                     " ",
                                     " ",
                                     ", ",
                                     ". ",
                                     "; ",
                                     "? ",
                                     "! ",
                                     " - ",
                                     " (",
                                     ") ",
                                     " \"",
                                     "\" ",
                                     "...",
                                     "\xe2\x80\x94",
                                     "\xe2\x80\x99s "};
  for (uint64_t n = between(r, 1, 30); n > 0; n--) {
    ISC_TRY(word(r, out));
    ISC_TRY(add(out, PICK(ends)));
  }
  return ISC_OK;
}

/* ---- programs */

static isc_status code(isc_rng *r, isc_text *out) {
  static const char *const parts[] = {"for (",
                                      "int i",
                                      " = 0;",
                                      " i++)",
                                      " {\n",
                                      "\t",
                                      "    ",
                                      "        ",
                                      "}\n",
                                      "return ",
                                      "x->y[",
                                      "]",
                                      "->",
                                      "==",
                                      "!=",
                                      "<=",
                                      "&&",
                                      "||",
                                      "/* ",
                                      " */",
                                      "// ",
                                      "\r\n",
                                      "def f(self):\n",
                                      "self.",
                                      "__init__",
                                      "\"\\n\"",
                                      "0x1F",
                                      "1e-5",
                                      "#include <",
                                      ">\n",
                                      "snake_case",
                                      "CamelCase",
                                      "std::vector<int>",
                                      "$HOME",
                                      "@",
                                      "https://a.b/c?d=e&f=1",
                                      "\t\t\t",
                                      "~/.*",
                                      "%d",
                                      "\\\\",
                                      "`",
                                      "''",
                                      "<html>",
                                      "</p>"};
  for (uint64_t n = between(r, 1, 40); n > 0; n--)
    ISC_TRY(add(out, PICK(parts)));
  return ISC_OK;
}

/* ---- any code point */

static isc_status any_char(isc_rng *r, isc_text *out) {
  static const uint32_t blocks[][2] = {{0x0, 0x7F},         {0x80, 0xFF},       {0x100, 0x7FF},
                                       {0x800, 0x2FFF},     {0x3000, 0xD7FF},   {0xE000, 0xFFFF},
                                       {0x10000, 0x1FFFF},  {0x1F300, 0x1FAFF}, {0x20000, 0x2FFFF},
                                       {0x30000, 0x10FFFF}, {0x2000, 0x206F}};
  const uint32_t *b = PICK(blocks);
  return add_from(r, out, b[0], b[1]);
}

static isc_status anything(isc_rng *r, isc_text *out) {
  for (uint64_t n = between(r, 1, 60); n > 0; n--)
    ISC_TRY(any_char(r, out));
  return ISC_OK;
}

/* ---- emoji: joined, coloured, flags, keycaps */

static isc_status emoji(isc_rng *r, isc_text *out) {
  static const char *const parts[] = {
      "\xe2\x80\x8d", "\xef\xb8\x8f", "\xef\xb8\x8e", "\xe2\x83\xa3", " ", "a", "1", "#"};
  for (uint64_t n = between(r, 1, 20); n > 0; n--) {
    switch (isc_rng_below(r, 5)) {
    case 0:
      ISC_TRY(add_from(r, out, 0x1F1E6, 0x1F1FF));
      break;
    case 1:
      ISC_TRY(add_from(r, out, 0x1F3FB, 0x1F3FF));
      break;
    case 2:
      ISC_TRY(add_from(r, out, 0x2600, 0x27BF));
      break;
    case 3:
      ISC_TRY(add(out, PICK(parts)));
      break;
    default:
      ISC_TRY(add_from(r, out, 0x1F300, 0x1FAFF));
    }
  }
  return ISC_OK;
}

/* ---- white space */

static isc_status white(isc_rng *r, isc_text *out) {
  static const char *const spaces[] = {" ",
                                       " ",
                                       " ",
                                       "\t",
                                       "\n",
                                       "\r\n",
                                       "\r",
                                       "\v",
                                       "\f",
                                       "\xc2\xa0",
                                       "\xc2\x85",
                                       "\xe1\x9a\x80",
                                       "\xe2\x80\x83",
                                       "\xe2\x80\xa8",
                                       "\xe2\x80\xa9",
                                       "\xe2\x80\xaf",
                                       "\xe3\x80\x80",
                                       "\xe1\xa0\x8e",
                                       "\xe2\x80\x8b",
                                       "\x1c"};
  for (uint64_t n = between(r, 1, 12); n > 0; n--) {
    const char *space = PICK(spaces);
    for (uint64_t k = between(r, 1, isc_rng_below(r, 4) ? 3 : 40); k > 0; k--)
      ISC_TRY(add(out, space));
    if (isc_rng_below(r, 2)) ISC_TRY(word(r, out));
  }
  return ISC_OK;
}

/* ---- numbers of several scripts */

static isc_status number(isc_rng *r, isc_text *out) {
  static const uint32_t zeros[] = {'0',   '0',    '0',     0x660,   0x6F0,
                                   0x966, 0xFF10, 0x1D7CE, 0x11DE0, 0x10D40};
  static const char *const marks[] = {" ",           ",",        ".",
                                      "-",           "/",        ":",
                                      "%",           "\xc2\xbd", "\xe2\x85\xa7",
                                      "\xc2\xb2",    "x",        "\xe4\xb8\x83",
                                      "\xe2\x91\xa0"};
  for (uint64_t n = between(r, 1, 15); n > 0; n--) {
    uint32_t zero = PICK(zeros);
    for (uint64_t k = between(r, 1, isc_rng_below(r, 4) ? 4 : 30); k > 0; k--)
      ISC_TRY(add_from(r, out, zero, zero + 9));
    ISC_TRY(add(out, PICK(marks)));
  }
  return ISC_OK;
}

/* ---- control characters, NUL and DEL among them */

static isc_status control(isc_rng *r, isc_text *out) {
  for (uint64_t n = between(r, 1, 40); n > 0; n--) {
    if (isc_rng_below(r, 3))
      ISC_TRY(add_from(r, out, 0, 0x1F));
    else
      ISC_TRY(isc_rng_below(r, 2) ? add_from(r, out, 0x7F, 0x9F) : word(r, out));
  }
  return ISC_OK;
}

/* ---- one long word */

static isc_status long_word(isc_rng *r, isc_text *out) {
  static const char *const parts[] = {"a",        "aa",       "ab",           "th", "the", "ing",
                                      "\xc3\xa9", "\xd0\xb6", "\xe4\xb8\xad", "-",  "=",   "Z"};
  const char *one = PICK(parts), *two = PICK(parts);
  uint64_t n = between(r, 20, isc_rng_below(r, 4) ? 80 : 700);
  for (uint64_t rare = between(r, 1, 12); n > 0; n--)
    ISC_TRY(add(out, isc_rng_below(r, rare) ? one : two));
  return ISC_OK;
}

/* ---- other scripts, with marks that combine */

static isc_status script(isc_rng *r, isc_text *out) {
  static const uint32_t scripts[][2] = {
      {0x370, 0x3FF},   {0x400, 0x4FF},   {0x531, 0x58F},     {0x591, 0x5F4},    {0x600, 0x6FF},
      {0x900, 0x97F},   {0xE01, 0xE5B},   {0x1100, 0x11FF},   {0x3041, 0x30FF},  {0x4E00, 0x9FFF},
      {0xAC00, 0xD7A3}, {0x1F00, 0x1FFF}, {0x105C0, 0x105F3}, {0x1D400, 0x1D7FF}};
  for (uint64_t n = between(r, 1, 10); n > 0; n--) {
    const uint32_t *s = PICK(scripts);
    for (uint64_t k = between(r, 1, 10); k > 0; k--) {
      ISC_TRY(add_from(r, out, s[0], s[1]));
      if (isc_rng_below(r, 8) == 0) ISC_TRY(add_from(r, out, 0x300, 0x36F));
    }
    ISC_TRY(add(out, isc_rng_below(r, 2) ? " " : "\xe3\x80\x82"));
  }
  return ISC_OK;
}

/* ---- what means something to a tokenizer */

static isc_status special(isc_rng *r, isc_text *out) {
  static const char *const parts[] = {"<s>",
                                      "</s>",
                                      "<unk>",
                                      "<bos>",
                                      "<eos>",
                                      "<|endoftext|>",
                                      "<|begin_of_text|>",
                                      "<|im_start|>",
                                      "<|im_end|>",
                                      "<start_of_turn>",
                                      "<end_of_turn>",
                                      "[INST]",
                                      "[/INST]",
                                      "<0x0A>",
                                      "<0x41>",
                                      "\xe2\x96\x81",
                                      "\xe2\x96\x81\xe2\x96\x81",
                                      "\xc4\xa0",
                                      "\xc4\x8a",
                                      " ",
                                      "  ",
                                      "\n",
                                      "\n\n",
                                      "\t",
                                      "user",
                                      "x",
                                      "1",
                                      "<lstrip>",
                                      "<rstrip>",
                                      "<word>",
                                      "<norm al>",
                                      "\xe2\x81\x87",
                                      "\xef\xbf\xbd",
                                      "\xef\xbb\xbf",
                                      "_",
                                      ".",
                                      "<s",
                                      "|>"};
  for (uint64_t n = between(r, 1, 25); n > 0; n--)
    ISC_TRY(add(out, PICK(parts)));
  return ISC_OK;
}

static writer *const writers[] = {english, code,    anything,  emoji,  white,
                                  number,  control, long_word, script, special};

/* A bit of everything. */
static isc_status mixture(isc_rng *r, isc_text *out) {
  for (uint64_t n = between(r, 2, 4); n > 0; n--)
    ISC_TRY(PICK(writers)(r, out));
  return ISC_OK;
}

isc_status isc_test_text(uint64_t i, isc_text *out) {
  isc_rng r = isc_rng_at(2026, ISC_RNG_USER + 7, i);
  uint64_t kind = i % (COUNT(writers) + 2);
  ISC_TRY(isc_text_set(out, "", 0));
  return kind < COUNT(writers) ? writers[kind](&r, out) : mixture(&r, out);
}
