/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the token that begins a text: which it is, who adds it, and that it is never there twice.
 */
#include "support.h"
#include "support_tokenizer.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

/* Words w, a, b; BOS <s> = 3, added by the post-processor or not. */
static const char *word_dir(bool adds) {
  char json[1200];
  snprintf(
      json, sizeof json,
      "{\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},\"added_tokens\":[{\"id\":3,\"content\":"
      "\"<s>\",\"special\":true,\"lstrip\":true}],\"post_processor\":%s,\"model\":{\"type\":"
      "\"WordLevel\",\"unk_token\":\"?\",\"vocab\":{\"w\":0,\"a\":1,\"b\":2,\"<s>\":3}}}",
      adds ? "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\","
             "\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],"
             "\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[3],\"tokens\":[\"<s>\"]}}}"
           : "null");
  return isc_test_tokenizer_dir("tokenizer.json", json, strlen(json));
}

static void config(const char *dir, const char *json) {
  isc_test_tokenizer_add(dir, "tokenizer_config.json", json);
}

static void fingerprint(const isc_tokenizer *t, char hex[33]) {
  isc_tokenizer_fingerprint(t, hex);
}

Test(policy, decides_over_what_the_files_say) {
  for (int adds = 0; adds < 2; adds++) {
    const char *dir = word_dir(adds);
    char model[33], always[33], never[33], again[33];
    config(dir, "{\"bos_token\":\"<s>\"}");
    isc_tokenizer *t = isc_test_tokenizer_open(dir);
    cr_assert_str_eq(isc_test_pieces(t, "a b"), adds ? "<s>|a|b" : "a|b");
    fingerprint(t, model);
    isc_assert_ok(isc_tokenizer_set_bos(t, ISC_BOS_ALWAYS));
    cr_assert_str_eq(isc_test_pieces(t, "a b"), "<s>|a|b");
    fingerprint(t, always);
    isc_assert_ok(isc_tokenizer_set_bos(t, ISC_BOS_NEVER));
    cr_assert_str_eq(isc_test_pieces(t, "a b"), "a|b");
    cr_assert_str_eq(isc_test_pieces(t, "<s> a"), "<s>|a");
    fingerprint(t, never);
    isc_assert_ok(isc_tokenizer_set_bos(t, ISC_BOS_MODEL));
    cr_assert_str_eq(isc_test_pieces(t, "a b"), adds ? "<s>|a|b" : "a|b");
    fingerprint(t, again);
    cr_assert_str_eq(model, again);
    cr_assert_str_neq(always, never);
    cr_assert_str_eq(model, adds ? always : never, "the same behaviour");
    isc_tokenizer_close(t);
  }
}

Test(policy, is_kept_when_the_tokenizer_is_saved) {
  char copy[1200];
  snprintf(copy, sizeof copy, "%s", isc_test_dir("saved"));
  const char *dir = word_dir(false);
  config(dir, "{\"bos_token\":\"<s>\"}");
  isc_tokenizer *t = isc_test_tokenizer_open(dir);
  isc_assert_ok(isc_tokenizer_set_bos(t, ISC_BOS_ALWAYS));
  isc_assert_ok(isc_tokenizer_save(t, copy));
  isc_tokenizer_close(t);
  t = isc_test_tokenizer_open(copy);
  cr_assert_str_eq(isc_test_pieces(t, "a"), "<s>|a");
  isc_tokenizer_close(t);
}

Test(policy, always_needs_a_bos) {
  isc_tokenizer *t = isc_test_tokenizer_open(word_dir(false));
  isc_assert_fails(isc_tokenizer_set_bos(t, ISC_BOS_ALWAYS), ISC_E_CONFIG, "no file here names");
  isc_assert_ok(isc_tokenizer_set_bos(t, ISC_BOS_NEVER));
  isc_assert_fails(isc_tokenizer_set_bos(t, (isc_bos_policy)7), ISC_E_USAGE, "no policy 7");
  isc_tokenizer_close(t);
}

/* A text that has one already would have two; white space before it is the token's own (lstrip). */
Test(policy, a_second_bos_is_refused) {
  const char *dir = word_dir(true);
  int64_t n;
  config(dir, "{\"bos_token\":{\"content\":\"<s>\"}}");
  isc_tokenizer *t = isc_test_tokenizer_open(dir);
  isc_assert_fails(isc_tokenizer_encode(t, "<s> a", 5, NULL, 0, &n), ISC_E_FORMAT,
                   "there would be two");
  isc_assert_fails(isc_tokenizer_encode(t, " \t<s> a", 7, NULL, 0, &n), ISC_E_FORMAT,
                   "there would be two");
  cr_assert_str_eq(isc_test_pieces(t, "a <s>"), "<s>|a|<s>", "in the middle it is the text's");
  isc_assert_ok(isc_tokenizer_encode_plain(t, "<s> a", 5, NULL, 0, &n));
  cr_assert_eq(n, 2, "plain text may have what it likes");
  isc_tokenizer_close(t);
}

/* Which of the two counts depends on the release of transformers, so neither does. */
Test(config, a_contradiction_is_an_error_until_it_is_settled) {
  int64_t n;
  for (int adds = 0; adds < 2; adds++) {
    char copy[1200];
    snprintf(copy, sizeof copy, "%s", isc_test_dir("conflict"));
    const char *dir = word_dir(adds);
    config(dir, adds ? "{\"bos_token\":\"<s>\",\"add_bos_token\":false}"
                     : "{\"bos_token\":\"<s>\",\"add_bos_token\":true}");
    isc_tokenizer *t = isc_test_tokenizer_open(dir);
    isc_assert_fails(isc_tokenizer_encode(t, "a", 1, NULL, 0, &n), ISC_E_CONFIG, "add_bos_token");
    isc_assert_ok(isc_tokenizer_encode_plain(t, "a", 1, NULL, 0, &n));
    isc_assert_ok(isc_tokenizer_save(t, copy));
    isc_assert_ok(isc_tokenizer_set_bos(t, ISC_BOS_ALWAYS));
    cr_assert_str_eq(isc_test_pieces(t, "a"), "<s>|a");
    isc_tokenizer_close(t);
    t = isc_test_tokenizer_open(copy);
    isc_assert_fails(isc_tokenizer_encode(t, "a", 1, NULL, 0, &n), ISC_E_CONFIG, "add_bos_token");
    isc_tokenizer_close(t);
  }
}

Test(config, a_repetition_is_none) {
  for (int adds = 0; adds < 2; adds++) {
    const char *dir = word_dir(adds);
    config(dir, adds ? "{\"bos_token\":\"<s>\",\"add_bos_token\":true}"
                     : "{\"bos_token\":\"<s>\",\"add_bos_token\":false}");
    isc_tokenizer *t = isc_test_tokenizer_open(dir);
    cr_assert_str_eq(isc_test_pieces(t, "a"), adds ? "<s>|a" : "a");
    isc_tokenizer_close(t);
  }
  isc_tokenizer *t;
  const char *dir = word_dir(true);
  config(dir, "{\"add_bos_token\":\"yes\"}");
  isc_assert_fails(isc_tokenizer_open(dir, &t), ISC_E_FORMAT,
                   "\"add_bos_token\" must be true or false");
}

/* A tokenizer.model says which its BOS is, not whether it is added: the models that come with one were trained with it. */
Test(config, a_tokenizer_model_adds_its_bos_unless_told_otherwise) {
  isc_tokenizer *t = isc_test_tokenizer_open(isc_test_tokenizer_of("sp-llama"));
  cr_assert(isc_tokenizer_bos(t) == 1 && isc_tokenizer_eos(t) == 2 && isc_tokenizer_unk(t) == 0);
  cr_assert_str_eq(isc_test_pieces(t, "the"), "<s>|\xe2\x96\x81the");
  int64_t n;
  isc_assert_fails(isc_tokenizer_encode(t, "<s>a", 4, NULL, 0, &n), ISC_E_FORMAT, "\"<s>\"");
  isc_tokenizer_close(t);
  const char *dir = isc_test_tokenizer_of("sp-llama");
  config(dir, "{\"add_bos_token\":false,\"add_eos_token\":true}");
  t = isc_test_tokenizer_open(dir);
  cr_assert_str_eq(isc_test_pieces(t, "the"), "\xe2\x96\x81the|</s>");
  isc_tokenizer_close(t);
  dir = isc_test_tokenizer_of("sp-gemma");
  config(dir, "{\"bos_token\":\"<bos>\",\"eos_token\":\"<eos>\"}");
  t = isc_test_tokenizer_open(dir);
  cr_assert_str_eq(isc_test_pieces(t, "a"), "<bos>|a");
  isc_tokenizer_close(t);
}

Test(config, a_sentencepiece_that_is_saved_keeps_what_it_adds) {
  char copy[1200];
  snprintf(copy, sizeof copy, "%s", isc_test_dir("saved"));
  isc_test_tokenizer_add(copy, "tokenizer.json", "{}");
  const char *dir = isc_test_tokenizer_of("sp-llama");
  config(dir, "{\"add_bos_token\":false,\"add_eos_token\":true}");
  isc_tokenizer *t = isc_test_tokenizer_open(dir);
  isc_assert_ok(isc_tokenizer_save(t, copy));
  isc_tokenizer_close(t);
  t = isc_test_tokenizer_open(copy);
  cr_assert_str_eq(isc_test_pieces(t, "the"), "\xe2\x96\x81the|</s>",
                   "and no tokenizer.json that lay there is read in its place");
  isc_tokenizer_close(t);
}
