/* SPDX-License-Identifier: Apache-2.0
 *
 * Pretraining a small target: it learns the answers, writes a directory that reads back to the same model, and resumes to
 * the same bytes.
 *
 * The toy prior's texts are "x2 y5" and the answer says which number is less; one input in eight is held out.
 */
#include "support.h"
#include "support_method.h"
#include "method/pretrain.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 8, TEXTS = WORDS * WORDS, HELD_OUT = TEXTS / 8, TRAIN = TEXTS - HELD_OUT };

static isc_status write_text(int64_t i, isc_text *out) {
  char s[16];
  int64_t k = (int64_t)isc_rng_permute(4, ISC_RNG_USER, TEXTS, (uint64_t)i);
  snprintf(s, sizeof s, "x%d y%d", (int)(k / WORDS), (int)(k % WORDS));
  return isc_text_set(out, s, 5);
}

static int64_t count(void *self, isc_split split) {
  (void)self;
  return split == ISC_TRAIN ? TRAIN : HELD_OUT;
}

static isc_status draw(void *self, isc_split split, int64_t i, isc_text *out) {
  (void)self;
  return write_text(split == ISC_TRAIN ? i : TRAIN + i, out);
}

/* Whether x is below y, which takes both words; two tokens, so that a whole answer is longer than one. */
static isc_status answer(void *self, const char *text, size_t len, isc_text *out) {
  (void)self;
  cr_assert_eq(len, 5);
  return text[1] < text[4] ? isc_text_set(out, "is less", 7) : isc_text_set(out, "is more", 7);
}

static int64_t support(void *self) {
  (void)self;
  return TEXTS;
}

static isc_status enumerate(void *self, int64_t i, isc_text *out) {
  (void)self;
  return write_text(i, out);
}

static isc_prior prior(isc_prior_ops *ops) {
  *ops = (isc_prior_ops){.size = sizeof *ops,
                         .count = count,
                         .draw = draw,
                         .answer = answer,
                         .support = support,
                         .enumerate = enumerate};
  return (isc_prior){.ops = ops, .name = "toy"};
}

static isc_pretrain_conf settings(void) {
  return (isc_pretrain_conf){.layers = 1,
                             .heads = 2,
                             .width = 32,
                             .init_std = 0.3,
                             .loss = 1,
                             .test = 100,
                             .seed = 1,
                             .recipe = {.steps = 300,
                                        .batch = 32,
                                        .warmup = 20,
                                        .lr = 5e-3,
                                        .schedule = ISC_LINEAR,
                                        .beta2 = 0.98,
                                        .weight_decay = 0.01,
                                        .clip = 1}};
}

static isc_status pretrain(const isc_pretrain_conf *c, const char *dir, int64_t stop_at,
                           isc_pretrain_result *out) {
  isc_prior_ops ops;
  isc_prior p = prior(&ops);
  isc_device *dev = isc_toy_device(2);
  isc_toy_io io = isc_toy_io_new(dir);
  io.io.core = &io;
  io.stop_at = stop_at;
  isc_status st = isc_pretrain(&p, dev, c, dir, &io.io, out);
  isc_device_close(dev);
  return st;
}

/* Is the most likely token behind `text`, of the model in `dir`, the one for `word`? */
static bool answers(isc_decoder *d, isc_step *s, const isc_tokenizer *t, const char *text,
                    const char *word) {
  int32_t ids[32], want[8];
  int64_t n, m, best = 0;
  isc_tensor *hidden, *logits;
  isc_assert_ok(isc_tokenizer_encode(t, text, strlen(text), ids, 32, &n));
  isc_assert_ok(isc_tokenizer_encode_plain(t, word, strlen(word), want, 8, &m));
  const isc_decoder_input in = {.size = sizeof in, .batch = 1, .len = n, .ids = ids};
  isc_step_reset(s);
  isc_assert_ok(isc_decoder_forward(d, s, &in, NULL, &hidden));
  isc_assert_ok(isc_decoder_logits(d, s, hidden, &logits));
  float *x = malloc((size_t)isc_tensor_size(logits) * sizeof *x);
  isc_assert_ok(isc_tensor_download(s, logits, x));
  int64_t vocab = logits->shape[1];
  for (int64_t v = 1; v < vocab; v++)
    if (x[(n - 1) * vocab + v] > x[(n - 1) * vocab + best]) best = v;
  free(x);
  return best == want[0];
}

static void check(int32_t tokenizer, const char *name, int64_t vocabulary) {
  const char *dir = isc_test_dir(name);
  isc_pretrain_conf c = settings();
  isc_pretrain_result r;
  isc_decoder_spec spec = {.size = sizeof spec};
  isc_decoder *d;
  isc_tokenizer *t;
  isc_step *s;
  int64_t right = 0;
  c.tokenizer = tokenizer;
  isc_assert_ok(pretrain(&c, dir, -1, &r));
  cr_assert_eq(r.evaluated, HELD_OUT);
  cr_assert_eq(r.vocabulary, vocabulary);
  cr_assert(r.accuracy > 0.7, "%g of held-out answers right; half is chance", r.accuracy);
  isc_device *dev = isc_toy_device(2);
  isc_assert_ok(isc_decoder_spec_read(dir, &spec));
  isc_assert_ok(isc_decoder_new(dev, &spec, &d));
  isc_assert_ok(isc_decoder_load(d, dir, NULL, NULL));
  isc_assert_ok(isc_tokenizer_open(dir, &t));
  isc_assert_ok(isc_step_new(dev, &s));
  cr_assert_eq(r.parameters, isc_params_elements(isc_decoder_params(d)));
  for (int64_t i = 0; i < HELD_OUT; i++) {
    isc_text text = {0}, want = {0};
    isc_assert_ok(draw(NULL, ISC_TEST, i, &text));
    isc_assert_ok(answer(NULL, text.data, text.len, &want));
    /* The first token of every answer is the same; behind it stands the one that tells. */
    isc_assert_ok(isc_text_append(&text, tokenizer ? "is " : " is", 3));
    right += answers(d, s, t, text.data, want.data + 3);
    isc_text_free(&text);
    isc_text_free(&want);
  }
  cr_assert_eq(right, lround(r.accuracy * HELD_OUT), "%d right by hand, %g reported", (int)right,
               r.accuracy);
  isc_step_free(s);
  isc_tokenizer_close(t);
  isc_decoder_free(d);
  isc_device_close(dev);
}

/* x0 … x7, y0 … y7, is, less, more and the end; or 8 digits, x, y, space, "islemor" and the end. */
Test(pretrain, words_and_their_answers_are_learnt_and_read_back) {
  check(0, "words", 2 * WORDS + 4);
}
Test(pretrain, characters_too) {
  check(1, "chars", 8 + 3 + 7 + 1);
}

Test(pretrain, a_resumed_training_ends_in_the_same_bytes) {
  const char *a = isc_test_dir("pretrain_whole"), *b = isc_test_dir("pretrain_resumed");
  isc_pretrain_conf c = settings();
  isc_pretrain_result r;
  c.recipe.steps = 20;
  c.loss = 0;
  c.dropout = 0.1;
  isc_assert_ok(pretrain(&c, a, -1, &r));
  isc_assert_fails(pretrain(&c, b, 9, &r), ISC_E_INTERRUPTED, "step 9 of 20");
  isc_assert_ok(pretrain(&c, b, -1, &r));
  cr_assert(isc_toy_same_file(a, b, "model.safetensors"));
  cr_assert(isc_toy_same_file(a, b, "config.json"));
  cr_assert(isc_toy_same_file(a, b, "tokenizer.json"));
}

Test(pretrain, wrong_shapes_and_priors_without_answers_are_refused) {
  const char *dir = isc_test_dir("pretrain_wrong");
  isc_pretrain_conf c = settings();
  isc_pretrain_result r;
  isc_prior_ops ops;
  isc_prior p = prior(&ops);
  isc_toy_io io = isc_toy_io_new(dir);
  isc_device *dev = isc_toy_device(1);
  io.io.core = &io;
  c.heads = 5;
  isc_assert_fails(isc_pretrain(&p, dev, &c, dir, &io.io, &r), ISC_E_CONFIG, "multiple of heads");
  c.heads = 2;
  ops.answer = NULL;
  isc_assert_fails(isc_pretrain(&p, dev, &c, dir, &io.io, &r), ISC_E_CONFIG, "no answer");
  c.loss = 0;
  c.recipe.steps = 2;
  isc_assert_ok(isc_pretrain(&p, dev, &c, dir, &io.io, &r));
  cr_assert(isnan(r.accuracy));
  isc_device_close(dev);
}
