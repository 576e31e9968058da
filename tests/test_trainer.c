/* SPDX-License-Identifier: Apache-2.0
 *
 * What language-model training is fed: vocabularies, sequences, their order; and that it learns, or stops where it must.
 */
#include "support.h"
#include "support_method.h"
#include <inversescope/corpus.h>
#include "method/lm_trainer.h"
#include <inversescope/dropout.h>
#include "method/factors.h"
#include "method/vocabulary.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- sequences */

Test(trainer, a_text_becomes_bos_tokens_eos_and_its_targets_the_next_tokens) {
  isc_device *dev = isc_toy_device(1);
  isc_toy t;
  isc_corpus c = {0};
  isc_corpus_batch b;
  isc_step *s;
  isc_toy_open(&t, dev, 2);
  isc_assert_ok(isc_corpus_fill(&c, &t.env, t.tokenizer, isc_tokenizer_eos(t.tokenizer),
                                isc_tokenizer_eos(t.tokenizer), 0));
  cr_assert_eq(c.n, ISC_TOY_TRAIN);
  cr_assert_eq(c.longest, 5);
  const int32_t longer[] = {0, 1, 2, 3, 4, 5, 0};
  isc_assert_ok(isc_corpus_add(&c, longer, 7, 4));
  const int64_t row[] = {17, ISC_TOY_TRAIN};
  int64_t w[3];
  isc_toy_words(17, w);
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_corpus_take(&c, s, row, 2, &b));
  cr_assert(b.batch == 2 && b.len == 6);
  const int32_t x = (int32_t)(1 + w[0]), y = (int32_t)(7 + w[1]), z = (int32_t)(13 + w[2]);
  const int32_t ids[] = {0, x, y, z, 0, 0, 0, 1, 2, 3, 4, 5},
                target[] = {x, y, z, 0, -1, -1, -1, -1, -1, 4, 5, 0};
  for (int i = 0; i < 12; i++) {
    cr_assert_eq(b.target[i], target[i], "target %d", i);
    if (target[i] >= 0) cr_assert_eq(b.ids[i], ids[i], "id %d", i);
    cr_assert(b.ids[i] >= 0 && b.ids[i] < 19, "padding is a valid id");
  }
  isc_step_free(s);
  isc_corpus_free(&c);
  isc_toy_close(&t);
  isc_device_close(dev);
}

static isc_status double_space(const isc_method_env *env, int64_t i, isc_text *out) {
  (void)env;
  (void)i;
  return isc_text_set(out, "x1  y1 z1", 9);
}

Test(trainer, a_text_the_tokenizer_does_not_keep_is_refused) {
  isc_toy t;
  isc_corpus c = {0};
  isc_toy_open(&t, NULL, 2);
  isc_assert_fails(isc_corpus_fill(&c, &t.env, t.tokenizer, isc_tokenizer_eos(t.tokenizer),
                                   isc_tokenizer_eos(t.tokenizer), 4),
                   ISC_E_SHAPE, "5 tokens");
  t.env.text = double_space;
  isc_assert_fails(isc_corpus_fill(&c, &t.env, t.tokenizer, isc_tokenizer_eos(t.tokenizer),
                                   isc_tokenizer_eos(t.tokenizer), 0),
                   ISC_E_SHAPE, "\"x1  y1 z1\"");
  isc_corpus_free(&c);
  isc_toy_close(&t);
}

Test(trainer, every_epoch_shows_every_input_once_and_in_another_order) {
  enum { N = 57 };
  int seen[N] = {0}, same = 0;
  for (int64_t e = 0; e < 3 * N; e++)
    seen[isc_epoch_row(5, N, e)]++;
  for (int i = 0; i < N; i++)
    cr_assert_eq(seen[i], 3);
  for (int64_t e = 0; e < N; e++)
    same += isc_epoch_row(5, N, e) == isc_epoch_row(5, N, N + e);
  cr_assert(same < 12, "two epochs agree at %d of %d places", same, N); /* 1 expected */
}

Test(trainer, vocabularies_are_the_distinct_units_in_order) {
  isc_vocabulary *v;
  isc_tokenizer *t;
  isc_assert_ok(isc_vocabulary_new(ISC_UNIT_CHARS, &v));
  isc_assert_ok(isc_vocabulary_add(v, "12+3=", 5));
  isc_assert_ok(isc_vocabulary_add(v, "3é", 3));
  isc_assert_ok(isc_vocabulary_tokenizer(v, &t));
  cr_assert_eq(isc_tokenizer_vocab(t), 7);
  int32_t ids[8];
  int64_t n;
  isc_assert_ok(isc_tokenizer_encode_plain(t, "é=1", 4, ids, 8, &n));
  cr_assert(n == 3 && strcmp(isc_tokenizer_token(t, ids[0]), "é") == 0);
  isc_tokenizer_close(t);
  isc_vocabulary_free(v);
  isc_assert_ok(isc_vocabulary_new(ISC_UNIT_WORDS, &v));
  char word[32];
  for (int i = 0; i < 2000; i++) { /* the table grows */
    snprintf(word, sizeof word, " w%d  w%d", i, i / 2);
    isc_assert_ok(isc_vocabulary_add(v, word, strlen(word)));
  }
  isc_assert_ok(isc_vocabulary_tokenizer(v, &t));
  cr_assert_eq(isc_tokenizer_vocab(t), 2001);
  isc_tokenizer_close(t);
  isc_vocabulary_free(v);
}

/* ---- factors */

Test(trainer, a_semi_definite_matrix_is_its_cholesky_factors_product) {
  /* Rank 2 of 3: rows of m are (1,2,0), (0,1,1), (1,3,1) = first + second. */
  const double m[3][3] = {{1, 2, 0}, {0, 1, 1}, {1, 3, 1}};
  double g[9], l[9];
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      g[3 * i + j] = l[3 * i + j] = m[i][0] * m[j][0] + m[i][1] * m[j][1] + m[i][2] * m[j][2];
  isc_cholesky(l, 3);
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++) {
      double sum = 0;
      for (int k = 0; k < 3; k++)
        sum += l[3 * i + k] * l[3 * j + k];
      cr_assert(fabs(sum - g[3 * i + j]) < 1e-12, "%d %d", i, j);
      if (j > i) cr_assert_eq(l[3 * i + j], 0);
    }
}

/* ---- training */

/* Trains a language model on the toy's texts. */
static isc_toy_io train_lm(const char *name, isc_dtype precision) {
  isc_device *dev = isc_toy_device(2);
  isc_toy t;
  isc_corpus c = {0};
  isc_decoder *d;
  isc_toy_open(&t, dev, 2);
  isc_assert_ok(isc_corpus_fill(&c, &t.env, t.tokenizer, isc_tokenizer_eos(t.tokenizer),
                                isc_tokenizer_eos(t.tokenizer), 0));
  const isc_decoder_spec spec = {.size = sizeof spec,
                                 .n_layer = 1,
                                 .n_head = 2,
                                 .d_model = 24,
                                 .d_head = 12,
                                 .d_mlp = 48,
                                 .vocab = 19,
                                 .n_ctx = 8,
                                 .act = ISC_ACT_GELU_TANH,
                                 .norm_eps = 1e-5};
  isc_assert_ok(isc_decoder_new(dev, &spec, &d));
  isc_assert_ok(isc_decoder_init_std(d, 1, 0.1));
  isc_recipe recipe = isc_toy_conf().backbone.recipe;
  recipe.precision = precision;
  isc_toy_io io = isc_toy_io_new(isc_test_dir(name));
  io.io.core = &io;
  const isc_lm_training lm = {
      .decoder = d, .device = dev, .corpus = &c, .recipe = &recipe, .seed = 1, .io = &io.io};
  isc_assert_ok(isc_lm_train(&lm));
  isc_decoder_free(d);
  isc_corpus_free(&c);
  isc_toy_close(&t);
  isc_device_close(dev);
  return io;
}

/* log 6 for each of three words, 0 for the end, over four targets; 180 of 216 texts allow a little less. */
static void reached_entropy(const isc_toy_io *io) {
  cr_assert(fabs(io->loss - 3 * log(6) / 4) < 0.06, "loss %g, entropy %g", io->loss,
            3 * log(6) / 4);
  cr_assert(fabs(io->first_loss - log(19)) < 0.5);
}

Test(trainer, a_language_model_reaches_its_datas_entropy) {
  const isc_toy_io io = train_lm("lm", ISC_F32);
  reached_entropy(&io);
}

/* A rounded operand is off by at most 2^-9 of itself, so the first loss is nearly the same, and not quite. */
Test(trainer, products_in_bf16_reach_it_too) {
  const isc_toy_io exact = train_lm("lm-f32", ISC_F32), rounded = train_lm("lm-bf16", ISC_BF16);
  reached_entropy(&rounded);
  cr_assert(exact.first_loss != rounded.first_loss);
  cr_assert(fabs(exact.first_loss - rounded.first_loss) < 0.02, "%g and %g", exact.first_loss,
            rounded.first_loss);
}

static isc_status explode(void *user, isc_step *s, int64_t k, isc_tensor **loss, isc_metric *m,
                          int64_t *n) {
  isc_params *p = user;
  const int64_t one[] = {1};
  const float bad = INFINITY;
  isc_tensor *x;
  (void)m;
  *n = 0;
  ISC_TRY(isc_tensor_from(s, 1, one, k < 2 ? &(float){1} : &bad, &x));
  return isc_op_mul(s, &isc_params_at(p, 0)->value, x, loss);
}

Test(trainer, a_gradient_that_is_not_finite_stops_training_at_its_step) {
  isc_device *dev = isc_toy_device(1);
  isc_params *p;
  isc_param *q;
  const int64_t one[] = {1};
  isc_recipe recipe = isc_toy_conf().backbone.recipe;
  isc_toy_io io = isc_toy_io_new(isc_test_dir("nan"));
  io.io.core = &io;
  isc_assert_ok(isc_params_new(dev, &p));
  isc_assert_ok(isc_params_add(p, "w", 1, one, 0, &q));
  const isc_train_loop loop = {.size = sizeof loop,
                               .device = dev,
                               .params = p,
                               .recipe = &recipe,
                               .io = &io.io,
                               .group_lr = {1},
                               .user = p,
                               .forward = explode};
  isc_assert_fails(isc_train_run(&loop), ISC_E_NUMERIC, "training step 2");
  isc_params_free(p);
  isc_device_close(dev);
}

/* ---- dropout */

enum { ONES = 20000 };

static void dropped(isc_device *dev, isc_dropout d, isc_place place, int64_t layer, float *out) {
  const int64_t shape[] = {ONES / 100, 100};
  const isc_taps taps = isc_dropout_taps(&d);
  isc_step *s;
  isc_tensor *x, *y;
  for (int i = 0; i < ONES; i++)
    out[i] = 1;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_tensor_from(s, 2, shape, out, &x));
  isc_assert_ok(isc_tap(&taps, s, place, layer, x, &y));
  isc_assert_ok(isc_tensor_download(s, y, out));
  isc_step_free(s);
}

Test(trainer, dropout_zeroes_its_share_scales_the_rest_and_is_addressed) {
  static float a[ONES], b[ONES];
  isc_device *dev = isc_toy_device(2);
  const isc_dropout d = {.p = 0.15, .seed = 3, .step = 7},
                    later = {.p = 0.15, .seed = 3, .step = 8}, none = {0};
  int64_t zero = 0;
  dropped(dev, d, ISC_ATTN_OUT, 1, a);
  for (int i = 0; i < ONES; i++) {
    cr_assert(a[i] == 0 || fabs(a[i] - 1 / 0.85) < 1e-6);
    zero += a[i] == 0;
  }
  /* 5 standard deviations of a binomial share: sqrt(.15·.85/20000) each. */
  cr_assert(fabs((double)zero / ONES - 0.15) < 5 * 0.0026, "%g dropped", (double)zero / ONES);
  dropped(dev, d, ISC_ATTN_OUT, 1, b);
  cr_assert_arr_eq(a, b, sizeof a, "the same address is the same mask");
  dropped(dev, later, ISC_ATTN_OUT, 1, b);
  cr_assert(memcmp(a, b, sizeof a) != 0, "another step");
  dropped(dev, d, ISC_MLP_OUT, 1, b);
  cr_assert(memcmp(a, b, sizeof a) != 0, "another place");
  dropped(dev, none, ISC_ATTN_OUT, 1, b);
  dropped(dev, d, ISC_RESID_PRE, 1, a);
  for (int i = 0; i < ONES; i++)
    cr_assert(a[i] == 1 && b[i] == 1, "nothing is dropped");
  isc_device_close(dev);
}

/* A head's values at a position are kept whole or dropped whole; queries and keys are untouched. */
Test(trainer, attention_dropout_drops_values_by_position_and_head) {
  static float a[ONES];
  isc_device *dev = isc_toy_device(2);
  const isc_dropout d = {.attention = 0.3, .d_head = 11, .seed = 3, .step = 7};
  const int64_t width = 100,
                first = width / 3 * 2; /* 33 value columns: 3 heads of 11, then a rest */
  int64_t zero = 0, heads = 0;
  dropped(dev, d, ISC_QKV, 0, a);
  for (int64_t i = 0; i < ONES / width; i++) {
    for (int64_t j = 0; j < first; j++)
      cr_assert(a[i * width + j] == 1);
    for (int64_t h = 0; h < 3; h++, heads++) {
      const float *v = a + i * width + first + h * 11;
      cr_assert(v[0] == 0 || fabs(v[0] - 1 / 0.7) < 1e-6);
      for (int64_t j = 1; j < 11; j++)
        cr_assert(v[j] == v[0]);
      zero += v[0] == 0;
    }
  }
  /* 5 standard deviations of a binomial share of 600. */
  cr_assert(fabs((double)zero / (double)heads - 0.3) < 5 * 0.0187);
  isc_device_close(dev);
}

static void count_tokens(isc_train_io *io, int64_t examples, int64_t tokens) {
  (void)examples;
  *(int64_t *)io->core += tokens;
}

/* What lies behind the size of an older io is not its own. */
Test(trainer, an_io_without_a_count_is_asked_for_none) {
  int64_t sum = 0;
  isc_train_io io = {.size = sizeof io, .core = &sum, .took = count_tokens};
  isc_train_took(&io, 2, 30);
  cr_assert_eq(sum, 30);
  io.size = offsetof(isc_train_io, took);
  isc_train_took(&io, 2, 30);
  cr_assert_eq(sum, 30, "a member that the size leaves out was called");
}
