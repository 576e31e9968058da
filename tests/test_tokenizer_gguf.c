/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about tokenizers from GGUF files: the ids of the published implementations, and arrays that do not fit refused.
 *
 * tests/golden/gguf_tokenizers.py made the files and printed the ids, by the tokenizers and the sentencepiece packages.
 */
#include "support.h"
#include "support_gguf.h"
#include "base/base.h"
#include "model/tokenizer_gguf.h"
#include <inversescope/tokenizer.h>
#include <stdlib.h>

typedef struct golden {
  const char *text;
  int64_t n;
  int32_t id[32];
} golden;

static const golden bpe[] = {
    {"the cat sat on the mat", 6, {258, 268, 270, 269, 260, 286}},
    {"  Emma gave 1234 books\012\011to   Victor.",
     18,
     {221, 288, 291, 221, 17, 18, 19, 20, 271, 83, 199, 198, 266, 221, 221, 221, 292, 14}},
    {"na\303\257ve fa\303\247ade, \346\235\261\344\272\254 \360\237\231\202",
     27,
     {78, 65,  128, 108, 86,  69,  221, 70,  65,  128, 101, 65,  68, 69,
      12, 221, 163, 252, 110, 161, 119, 106, 221, 173, 254, 248, 225}},
    {"<|end|>the<|end|> cat<s>", 7, {0, 258, 0, 268, 28, 83, 30}},
    {"", 0, {0}},
};

static const golden qwen2[] = {
    {"the cat sat on the mat", 6, {258, 261, 271, 270, 259, 295}},
    {"  Emma gave 1234 books\012\011to   Victor.",
     19,
     {220, 299, 293, 220, 16, 17, 18, 19, 272, 82, 198, 197, 267, 220, 220, 220, 298, 81, 13}},
    {"na\303\257ve fa\303\247ade, \346\235\261\344\272\254 \360\237\231\202",
     22,
     {286, 287, 220, 69,  278, 100, 64,  67,  68,  11,  220,
      162, 251, 109, 160, 118, 105, 220, 172, 253, 247, 224}},
    {"It'S 2024: the cat's\015\012\015\012  hat!!\012",
     20,
     {275, 6, 50, 220, 17, 15, 17, 19, 25, 259, 261, 262, 201, 198, 201, 198, 220, 294, 273, 198}},
    {"nai\314\210ve fac\314\247ade \341\204\200\341\205\241\341\206\250",
     13,
     {286, 287, 220, 69, 278, 100, 64, 67, 68, 220, 166, 108, 223}},
    {"<|end|>the<tool> cat [PAD0]", 11, {300, 258, 301, 261, 220, 58, 47, 32, 35, 15, 60}},
};

static const golden spm[] = {
    {"the cat sat on the mat", 8, {1, 262, 271, 272, 270, 262, 285, 263}},
    {"  Emma gave 1234 books\012\011to   Victor.", 20, {1,   297, 297, 291, 282, 284, 287,
                                                        289, 275, 273, 310, 14,  13,  298,
                                                        299, 297, 297, 292, 294, 50}},
    {"na\303\257ve fa\303\247ade, \346\235\261\344\272\254 \360\237\231\202",
     29,
     {1,   297, 305, 300, 199, 179, 319, 301, 297, 106, 300, 199, 171, 300, 307,
      301, 48,  297, 234, 161, 181, 232, 190, 176, 297, 244, 163, 157, 134}},
    {"<|end|>the<|end|> cat<s>", 10, {1, 297, 3, 298, 261, 3, 271, 64, 310, 66}},
    {"", 1, {1}},
};

static void check(const isc_tokenizer *t, const golden *list, size_t n) {
  for (size_t k = 0; k < n; k++) {
    int32_t id[64];
    int64_t got;
    isc_assert_ok(isc_tokenizer_encode(t, list[k].text, strlen(list[k].text), id, 64, &got));
    cr_assert_eq(got, list[k].n, "\"%s\": %d ids", list[k].text, (int)got);
    for (int64_t i = 0; i < got; i++)
      cr_assert_eq(id[i], list[k].id[i], "\"%s\": id %d is %d, not %d", list[k].text, (int)i, id[i],
                   list[k].id[i]);
  }
}

/* Opened as a file. */
Test(tokenizer_gguf, byte_level_bpe_gives_the_ids_of_the_tokenizers_package) {
  isc_tokenizer *t;
  isc_assert_ok(isc_tokenizer_open(isc_test_source("tests/data/bpe.gguf"), &t));
  check(t, bpe, sizeof bpe / sizeof *bpe);
  cr_assert(isc_tokenizer_bos(t) == 0 && isc_tokenizer_eos(t) == 0);
  isc_tokenizer_close(t);
}

/* With tokens that only fill the vocabulary up, which no text becomes. */
Test(tokenizer_gguf, normalised_bpe_gives_the_ids_of_the_tokenizers_package) {
  isc_tokenizer *t;
  isc_assert_ok(isc_tokenizer_open(isc_test_source("tests/data/qwen2.gguf"), &t));
  check(t, qwen2, sizeof qwen2 / sizeof *qwen2);
  cr_assert(isc_tokenizer_bos(t) == -1 && isc_tokenizer_eos(t) == 300);
  cr_assert_eq(isc_tokenizer_vocab(t), 305);
  isc_tokenizer_close(t);
}

/* Opened in a directory that has nothing else, and in one that has a tokenizer of its own. */
Test(tokenizer_gguf, bpe_by_scores_gives_the_ids_of_sentencepiece) {
  const char *dir = isc_test_dir("gguf");
  char path[1200], *data;
  size_t len;
  isc_tokenizer *t;
  isc_assert_ok(isc_read_file(isc_test_source("tests/data/spm.gguf"), 1 << 20, &data, &len));
  snprintf(path, sizeof path, "%s/model.gguf", dir);
  isc_assert_ok(isc_write_file(path, data, len));
  isc_assert_ok(isc_tokenizer_open(dir, &t));
  check(t, spm, sizeof spm / sizeof *spm);
  cr_assert(isc_tokenizer_bos(t) == 1 && isc_tokenizer_eos(t) == 2 && isc_tokenizer_unk(t) == 0);
  isc_tokenizer_close(t);
  isc_assert_ok(isc_tokenizer_from_words((const char *[]){"a", "<end>"}, 2, "<end>", &t));
  isc_assert_ok(isc_tokenizer_save(t, dir));
  isc_tokenizer_close(t);
  isc_assert_ok(isc_tokenizer_open(dir, &t));
  cr_assert_eq(isc_tokenizer_vocab(t), 2);
  isc_tokenizer_close(t);
  free(data);
}

/* ---- arrays that do not fit together */

typedef struct made {
  const char *model, *pre;
  int tokens, types, scores; /* how many; −1 = the key is absent */
  int merges;
  int64_t type, bos, unk; /* −2 = the key is absent */
} made;

static void key_array(bytes *b, const char *key, isc_gguf_type type, int n) {
  text(b, key);
  u32(b, ISC_GGUF_ARRAY);
  u32(b, type);
  u64(b, (uint64_t)n);
}

static void key_string(bytes *b, const char *key, const char *value) {
  text(b, key);
  u32(b, ISC_GGUF_STRING);
  text(b, value);
}

static void key_id(bytes *b, const char *key, int64_t id) {
  text(b, key);
  u32(b, ISC_GGUF_I64);
  u64(b, (uint64_t)id);
}

/* Tokens "<unk>", "b", "c" …, all of one type but the first. */
static bytes file_of(const made *m) {
  const uint64_t pairs = (m->model != NULL) + (m->pre != NULL) + (m->tokens >= 0) +
                         (m->types >= 0) + (m->scores >= 0) + (m->merges >= 0) + (m->bos > -2) +
                         (m->unk > -2);
  bytes b = start(0, pairs);
  if (m->model) key_string(&b, "tokenizer.ggml.model", m->model);
  if (m->pre) key_string(&b, "tokenizer.ggml.pre", m->pre);
  if (m->tokens >= 0) key_array(&b, "tokenizer.ggml.tokens", ISC_GGUF_STRING, m->tokens);
  for (int i = 0; i < m->tokens; i++)
    text(&b, i ? (char[]){(char)('a' + i), 0} : "<unk>");
  if (m->types >= 0) key_array(&b, "tokenizer.ggml.token_type", ISC_GGUF_I32, m->types);
  for (int i = 0; i < m->types; i++)
    u32(&b, (uint32_t)(i ? m->type : 2));
  if (m->scores >= 0) key_array(&b, "tokenizer.ggml.scores", ISC_GGUF_F32, m->scores);
  for (int i = 0; i < m->scores; i++)
    u32(&b, 0);
  if (m->merges >= 0) key_array(&b, "tokenizer.ggml.merges", ISC_GGUF_STRING, m->merges);
  for (int i = 0; i < m->merges; i++)
    text(&b, "b c");
  if (m->bos > -2) key_id(&b, "tokenizer.ggml.bos_token_id", m->bos);
  if (m->unk > -2) key_id(&b, "tokenizer.ggml.unknown_token_id", m->unk);
  return b;
}

static isc_status open_made(const made *m, isc_tokenizer **out) {
  static char path[1200];
  isc_gguf *g;
  const bytes b = file_of(m);
  snprintf(path, sizeof path, "%s/x.gguf", isc_test_dir("gguf"));
  isc_assert_ok(isc_write_file(path, b.at, b.n));
  isc_assert_ok(isc_gguf_open(path, &g));
  isc_status st = isc_tokenizer_from_gguf(g, out);
  isc_gguf_close(g);
  return st;
}

static void refused(made m, isc_status code, const char *part) {
  isc_tokenizer *t;
  isc_assert_fails(open_made(&m, &t), code, part);
  cr_assert_null(t);
}

static const made good = {.model = "llama",
                          .tokens = 5,
                          .types = 5,
                          .type = 1,
                          .scores = 5,
                          .merges = -1,
                          .bos = 1,
                          .unk = 0};

Test(tokenizer_gguf, arrays_of_other_lengths_are_refused) {
  isc_tokenizer *t;
  made m = good;
  isc_assert_ok(open_made(&m, &t));
  cr_assert_eq(isc_tokenizer_vocab(t), 5);
  isc_tokenizer_close(t);
  m = good, m.types = -1, m.unk = -2;
  m.model = "gpt2", m.scores = -1, m.merges = 0, m.pre = "gpt-2";
  isc_assert_ok(open_made(&m, &t));
  isc_tokenizer_close(t);
  m = good, m.types = 4;
  refused(m, ISC_E_FORMAT, "\"tokenizer.ggml.token_type\" has 4 values for 5 tokens");
  m = good, m.types = 6;
  refused(m, ISC_E_FORMAT, "has 6 values for 5 tokens");
  m = good, m.scores = 4;
  refused(m, ISC_E_FORMAT, "\"tokenizer.ggml.scores\" has 4 values for 5 tokens");
  m = good, m.scores = -1;
  refused(m, ISC_E_MISSING, "tokenizer.ggml.scores");
  m = good, m.tokens = -1;
  refused(m, ISC_E_MISSING, "tokenizer.ggml.tokens");
  m = good, m.tokens = m.types = m.scores = 0, m.bos = m.unk = -2;
  refused(m, ISC_E_FORMAT, "0 tokens are not 1");
}

/* The key is written for every model; a merge over bytes knows no unknown, and its tokenizer.json says so. */
Test(tokenizer_gguf, bpe_over_bytes_has_no_unknown_token) {
  isc_tokenizer *t, *again;
  char before[33], after[33];
  made m = good;
  m.model = "gpt2", m.scores = -1, m.merges = 0, m.pre = "gpt-2";
  isc_assert_ok(open_made(&m, &t));
  cr_assert_eq(isc_tokenizer_unk(t), -1);
  isc_tokenizer_fingerprint(t, before);
  const char *dir = isc_test_dir("gguf-saved");
  isc_assert_ok(isc_tokenizer_save(t, dir));
  isc_assert_ok(isc_tokenizer_open(dir, &again));
  isc_tokenizer_fingerprint(again, after);
  cr_assert_str_eq(before, after);
  isc_tokenizer_close(again);
  isc_tokenizer_close(t);
}

Test(tokenizer_gguf, ids_beyond_the_vocabulary_are_refused) {
  made m = good;
  m.bos = 5;
  refused(m, ISC_E_FORMAT, "\"tokenizer.ggml.bos_token_id\" is 5, outside the accepted 0 … 4");
  m.bos = INT64_C(1) << 32; /* 0 when cut to 32 bits */
  refused(m, ISC_E_FORMAT, "outside the accepted");
  m.bos = -1;
  refused(m, ISC_E_FORMAT, "is -1, outside the accepted");
  m = good, m.unk = 5;
  refused(m, ISC_E_FORMAT, "\"tokenizer.ggml.unknown_token_id\" is 5");
}

Test(tokenizer_gguf, kinds_that_are_not_known_are_refused) {
  static const int64_t types[] = {0, 7, -1, INT32_MIN};
  for (int k = 0; k < 4; k++) {
    made m = good;
    m.type = types[k];
    refused(m, ISC_E_FORMAT, "token 1 is of type");
  }
  made m = good;
  m.model = NULL;
  refused(m, ISC_E_MISSING, "tokenizer.ggml.model");
  m.model = "bert";
  refused(m, ISC_E_UNSUPPORTED, "tokenizer model \"bert\"");
  m = good, m.model = "gpt2";
  refused(m, ISC_E_MISSING, "tokenizer.ggml.merges");
  m.merges = 0;
  refused(m, ISC_E_UNSUPPORTED, "pre-tokenizer \"default\" is not supported");
  m.pre = "martian";
  refused(m, ISC_E_UNSUPPORTED, "pre-tokenizer \"martian\" is not supported");
  m.pre = "smollm", m.merges = 1;
  refused(m, ISC_E_FORMAT, "merge 0 (\"b\" + \"c\")"); /* its result is no token */
}

Test(tokenizer_gguf, survives_every_failing_allocation) {
  static const char *const files[] = {"tests/data/bpe.gguf", "tests/data/qwen2.gguf",
                                      "tests/data/spm.gguf"};
  for (int k = 0; k < 3; k++)
    for (int64_t at = 1;; at++) {
      isc_tokenizer *t;
      isc_alloc_fail_at(at);
      isc_status st = isc_tokenizer_open(isc_test_source(files[k]), &t);
      isc_alloc_fail_at(0);
      if (st == ISC_OK) {
        cr_assert_gt(at, 100);
        isc_tokenizer_close(t);
        break;
      }
      cr_assert(st == ISC_E_NOMEM && !t, "allocation %d: %s", (int)at, isc_error());
    }
}
