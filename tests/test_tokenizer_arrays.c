/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about tokenizers made from arrays: they are those that the same tokens make in a file.
 */
#include "support.h"
#include "support_texts.h"
#include "support_tokenizer.h"
#include "model/json_doc.h"
#include "model/tokenizer_parts.h"
#include "model/sentencepiece.h"
#include <stdlib.h>
#include <string.h>

enum { MANY = 2048, MAX_IDS = 1 << 16 };

/* Ids of 500 texts, as two tokenizers give them. */
static void give_the_same(const isc_tokenizer *a, const isc_tokenizer *b) {
  static int32_t x[MAX_IDS], y[MAX_IDS];
  isc_text text = {0}, from_a = {0}, from_b = {0};
  for (uint64_t i = 0; i < 500; i++) {
    int64_t n, m;
    isc_assert_ok(isc_test_text(i, &text));
    isc_assert_ok(isc_tokenizer_encode_plain(a, text.data, text.len, x, MAX_IDS, &n));
    isc_assert_ok(isc_tokenizer_encode_plain(b, text.data, text.len, y, MAX_IDS, &m));
    cr_assert(n == m && memcmp(x, y, (size_t)n * sizeof *x) == 0, "text %d", (int)i);
    isc_assert_ok(isc_tokenizer_decode(a, x, n, &from_a));
    isc_assert_ok(isc_tokenizer_decode(b, x, n, &from_b));
    cr_assert_str_eq(from_a.data, from_b.data);
  }
  isc_text_free(&text);
  isc_text_free(&from_a);
  isc_text_free(&from_b);
}

/* ---- byte-level BPE */

typedef struct arrays {
  isc_key token[MANY], merge[MANY];
  int32_t type[MANY];
  float score[MANY];
  isc_tokenizer_arrays a;
} arrays;

/* Tokens of an opened tokenizer, merges of the file that it came from. */
static void collect(arrays *s, const isc_tokenizer *t, const isc_json *j) {
  json_t *merges = json_object_get(json_object_get(j->root, "model"), "merges");
  s->a = (isc_tokenizer_arrays){.where = "arrays",
                                .n = isc_tokenizer_vocab(t),
                                .token = s->token,
                                .type = s->type,
                                .merge = s->merge,
                                .n_merge = (int64_t)json_array_size(merges),
                                .bos = -1,
                                .eos = -1,
                                .unk = -1};
  for (int64_t i = 0; i < s->a.n; i++) {
    const char *token = isc_tokenizer_token(t, (int32_t)i);
    s->token[i] = (isc_key){token, strlen(token)};
    s->type[i] = ISC_PIECE_NORMAL;
  }
  for (int64_t i = 0; i < t->n_added; i++)
    s->type[t->added[i].id] = t->added[i].special ? ISC_PIECE_CONTROL : ISC_PIECE_USER_DEFINED;
  for (int64_t i = 0; i < s->a.n_merge; i++) {
    const char *merge = json_string_value(json_array_get(merges, (size_t)i));
    s->merge[i] = (isc_key){merge, strlen(merge)};
  }
}

Test(bytes, are_those_of_the_file) {
  static const char *const names[][2] = {
      {"gpt2", "gpt-2"}, {"smollm", "smollm"}, {"smollm", "starcoder"}, {"smollm", "refact"}};
  static arrays s;
  for (size_t i = 0; i < 4; i++) {
    char path[1200];
    const char *dir = isc_test_tokenizer_of(names[i][0]);
    isc_tokenizer *t = isc_test_tokenizer_open(dir), *made;
    isc_json *j;
    snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    isc_assert_ok(isc_json_open(path, &j));
    collect(&s, t, j);
    s.a.pre = names[i][1];
    s.a.bos = s.a.eos = (int32_t)s.a.n - 1;
    s.a.add_bos = true;
    isc_assert_ok(isc_tokenizer_from_arrays(&s.a, &made));
    give_the_same(t, made);
    int64_t n;
    int32_t first = -1;
    isc_assert_ok(isc_tokenizer_encode(made, "x", 1, &first, 1, &n));
    cr_assert(n == 2 && first == s.a.bos && isc_tokenizer_eos(made) == s.a.eos);
    isc_tokenizer_close(made);
    isc_tokenizer_close(t);
    isc_json_close(j);
  }
}

/* The words that name the other pre-tokenisers stand for the patterns in the heads of the same name. */
Test(bytes, cut_as_the_families_do) {
  static const char *const names[][2] = {
      {"llama3", "llama-bpe"}, {"tekken", "tekken"}, {"qwen2", "qwen2"}};
  static arrays s;
  for (size_t i = 0; i < 3; i++) {
    char path[1200];
    const char *dir = isc_test_tokenizer_of(names[i][0]);
    isc_tokenizer *t = isc_test_tokenizer_open(dir), *made;
    isc_json *j;
    snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    isc_assert_ok(isc_json_open(path, &j));
    collect(&s, t, j);
    s.a.pre = names[i][1];
    isc_assert_ok(isc_tokenizer_from_arrays(&s.a, &made));
    cr_assert_eq(made->n_pre, t->n_pre);
    cr_assert_eq(made->n_normalize, t->n_normalize);
    if (t->n_normalize) cr_assert_eq(made->normalize[0].kind, t->normalize[0].kind);
    cr_assert_str_eq(made->pre[0].pattern.text, t->pre[0].pattern.text);
    cr_assert_eq(made->pre[1].use_regex, t->pre[1].use_regex);
    cr_assert_eq(made->ignore_merges, t->ignore_merges);
    isc_tokenizer_close(made);
    isc_tokenizer_close(t);
    isc_json_close(j);
  }
}

/* ---- SentencePiece */

Test(pieces, are_those_of_the_file) {
  static const char *const names[] = {"sp-llama", "sp-gemma", "sp-trimmed"};
  static arrays s;
  for (size_t i = 0; i < 3; i++) {
    isc_tokenizer *t = isc_test_tokenizer_open(isc_test_tokenizer_of(names[i])), *made, *again;
    const isc_sentencepiece *sp = t->sp;
    s.a = (isc_tokenizer_arrays){.where = "arrays",
                                 .n = sp->n,
                                 .token = t->key,
                                 .type = s.type,
                                 .score = sp->score,
                                 .add_dummy_prefix = sp->add_dummy_prefix,
                                 .remove_extra_whitespaces = sp->remove_extra_whitespaces,
                                 .bos = isc_tokenizer_bos(t),
                                 .eos = isc_tokenizer_eos(t),
                                 .unk = isc_tokenizer_unk(t)};
    for (int64_t k = 0; k < sp->n; k++)
      s.type[k] = sp->type[k];
    isc_assert_ok(isc_tokenizer_from_arrays(&s.a, &made));
    give_the_same(t, made);
    const char *dir = isc_test_dir("arrays");
    isc_assert_ok(isc_tokenizer_save(made, dir));
    again = isc_test_tokenizer_open(dir);
    give_the_same(t, again);
    isc_tokenizer_close(again);
    isc_tokenizer_close(made);
    isc_tokenizer_close(t);
  }
}

/* ---- what is refused */

Test(refusals, name_what_does_not_fit) {
  static const isc_key token[] = {{"a", 1}, {"b", 1}, {"ab", 2}}, merge[] = {{"a b", 3}},
                       odd[] = {{"ab", 2}}, nul[] = {{"a", 1}, {"\0", 1}, {"ab", 2}};
  static const float score[] = {0, 0, 0};
  static const int32_t type[] = {2, 1, 77};
  isc_tokenizer *t;
  isc_tokenizer_arrays a = {
      .where = "arrays", .n = 3, .token = token, .bos = -1, .eos = -1, .unk = -1};
  isc_assert_fails(isc_tokenizer_from_arrays(&a, &t), ISC_E_FORMAT, "neither merges nor scores");
  a.merge = merge;
  a.n_merge = 1;
  a.pre = "deepseek-llm";
  isc_assert_fails(isc_tokenizer_from_arrays(&a, &t), ISC_E_UNSUPPORTED,
                   "\"deepseek-llm\" is not supported; gpt-2, smollm");
  a.pre = NULL;
  isc_assert_fails(isc_tokenizer_from_arrays(&a, &t), ISC_E_UNSUPPORTED, "pre-tokenizer \"\"");
  a.pre = "gpt-2";
  a.bos = 3;
  isc_assert_fails(isc_tokenizer_from_arrays(&a, &t), ISC_E_FORMAT, "the bos token 3");
  a.bos = -1;
  a.merge = odd;
  isc_assert_fails(isc_tokenizer_from_arrays(&a, &t), ISC_E_FORMAT, "merge 0");
  a.merge = merge;
  a.token = nul;
  isc_assert_fails(isc_tokenizer_from_arrays(&a, &t), ISC_E_FORMAT, "token 1");
  a.token = token;
  a.merge = NULL;
  a.score = score;
  a.type = type;
  isc_assert_fails(isc_tokenizer_from_arrays(&a, &t), ISC_E_FORMAT, "piece 2: there is no type 77");
  a.n = 0;
  isc_assert_fails(isc_tokenizer_from_arrays(&a, &t), ISC_E_FORMAT, "0 tokens");
}
