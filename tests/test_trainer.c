/* SPDX-License-Identifier: Apache-2.0
 *
 * What training is fed: sequences, the order of examples, noisy conditions, neighbours; and the loop that feeds it.
 *
 * Laws are tested by chi-square or in closed form on the toy study; exactness where arithmetic must be exact.
 */
#include "support.h"
#include "support_method.h"
#include "method/corpus.h"
#include "method/lm_trainer.h"
#include "method/neighbours.h"
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
  isc_assert_ok(isc_corpus_fill(&c, &t.env, t.tokenizer, 0));
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
  isc_assert_fails(isc_corpus_fill(&c, &t.env, t.tokenizer, 4), ISC_E_SHAPE, "5 tokens");
  t.env.text = double_space;
  isc_assert_fails(isc_corpus_fill(&c, &t.env, t.tokenizer, 0), ISC_E_SHAPE, "\"x1  y1 z1\"");
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

/* ---- examples */

typedef struct world {
  isc_device *dev;
  isc_toy toy;
  isc_factors *factors;
  isc_control_layers *control;
  isc_step *step;
} world;

static void world_open(world *w, int64_t sites, int64_t budget) {
  w->dev = isc_toy_device(2);
  isc_toy_open(&w->toy, w->dev, sites);
  isc_assert_ok(isc_factors_new(&w->toy.env, budget, &w->factors));
  const isc_control_spec spec = {.n_layer = 1,
                                 .d_model = 8,
                                 .heads = 2,
                                 .head_dim = 4,
                                 .score_scale = 1,
                                 .sites = w->toy.site,
                                 .n_sites = sites};
  isc_assert_ok(isc_control_layers_new(w->dev, &spec, &w->control));
  float scale[3];
  for (int64_t g = 0; g < sites; g++)
    scale[g] = (float)(1 / w->factors->rms[g]);
  isc_assert_ok(isc_control_layers_set_scale(w->control, scale));
  isc_assert_ok(isc_step_new(w->dev, &w->step));
}

static void world_close(world *w) {
  isc_step_free(w->step);
  isc_control_layers_free(w->control);
  isc_factors_free(w->factors);
  isc_toy_close(&w->toy);
  isc_device_close(w->dev);
}

static isc_examples *examples(world *w, isc_example_noise noise, int64_t batch) {
  const isc_examples_spec spec = {
      .seed = 9, .batch = batch, .noise = noise, .neighbour_share = 0.5};
  isc_examples *x;
  isc_assert_ok(isc_examples_new(w->factors, w->control, &spec, &x));
  return x;
}

static double dot(const float *a, const float *b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    sum += (double)a[i] * b[i];
  return sum;
}

/* 1 − cos between the condition of row r and the activation of input i at its site; *ratio of their lengths. */
static double distance(const world *w, const isc_example_batch *b, const float *z, int64_t r,
                       int64_t i, double *ratio) {
  int64_t g = b->site[r], dim = w->toy.site[g].dim, d_z = w->control->d_z;
  float a[ISC_TOY_DIM];
  const float *x = z + r * d_z;
  isc_toy_activation(&w->toy, g, i, a);
  double aa = dot(a, a, dim), xx = dot(x, x, dim);
  *ratio = sqrt(xx / aa) / w->control->host_scale[g];
  for (int64_t k = dim; k < d_z; k++)
    cr_assert_eq(x[k], 0, "numbers beyond a narrow site's");
  return 1 - dot(a, x, dim) / sqrt(aa * xx);
}

/* Conditions lie where their recorded distances say; f32 in 16 numbers: 1e-5. */
Test(trainer, a_condition_is_its_texts_activation_at_the_drawn_distance) {
  for (int64_t sites = 2; sites <= 3; sites++) {
    world w;
    world_open(&w, sites, sites == 2 ? 1 << 20 : 0 /* read as needed */);
    isc_examples *x = examples(&w, ISC_NOISE_KERNEL, 40);
    float z[40 * ISC_TOY_DIM];
    for (int64_t k = 0; k < 20; k++) {
      isc_example_batch b;
      isc_step_reset(w.step);
      isc_assert_ok(isc_examples_take(x, w.step, k, &b));
      isc_assert_ok(isc_tensor_download(w.step, b.z, z));
      for (int64_t r = 0; r < b.n; r++) {
        double ratio, d = distance(&w, &b, z, r, b.text[r], &ratio);
        cr_assert(fabs(d - b.distance[r]) < 1e-5 && d < 0.1 + 1e-5,
                  "step %d row %d: %g, recorded %g", (int)k, (int)r, d, b.distance[r]);
        cr_assert(fabs(ratio - 1) < 0.1 + 1e-5, "norm ratio %g", ratio);
        cr_assert(r >= b.start[b.site[r]] && r < b.start[b.site[r] + 1]);
      }
    }
    isc_examples_free(x);
    world_close(&w);
  }
}

Test(trainer, a_batch_holds_every_site_equally_often_and_every_input_once_an_epoch) {
  world w;
  int seen[ISC_TOY_TRAIN] = {0};
  world_open(&w, 3, 1 << 20);
  isc_examples *x = examples(&w, ISC_NOISE_KERNEL, 20);
  for (int64_t k = 0; k < ISC_TOY_TRAIN / 20; k++) {
    isc_example_batch b;
    isc_step_reset(w.step);
    isc_assert_ok(isc_examples_take(x, w.step, k, &b));
    for (int64_t g = 0; g < 3; g++) {
      int64_t n = b.start[g + 1] - b.start[g];
      cr_assert(n == 6 || n == 7, "site %d has %d of 20", (int)g, (int)n);
    }
    for (int64_t r = 0; r < b.n; r++)
      seen[b.text[r]]++;
  }
  for (int i = 0; i < ISC_TOY_TRAIN; i++)
    cr_assert_eq(seen[i], 1);
  isc_examples_free(x);
  world_close(&w);
}

/* Clean conditions: the drawn text lies in the ball around the condition, which is some input's own activation. */
Test(trainer, a_neighbours_condition_is_clean_and_its_text_in_the_ball) {
  world w;
  world_open(&w, 3, 1 << 20);
  isc_examples *x = examples(&w, ISC_NOISE_NEIGHBOURS, 30);
  float z[30 * ISC_TOY_DIM];
  int64_t moved = 0;
  for (int64_t k = 0; k < 10; k++) {
    isc_example_batch b;
    isc_step_reset(w.step);
    isc_assert_ok(isc_examples_take(x, w.step, k, &b));
    isc_assert_ok(isc_tensor_download(w.step, b.z, z));
    for (int64_t r = 0; r < b.n; r++) {
      double ratio, d = distance(&w, &b, z, r, b.text[r], &ratio);
      int64_t own = -1;
      cr_assert(d < 0.1 && fabs(1 / ratio - 1) < 0.1 + 1e-5, "distance %g, ratio %g", d, ratio);
      cr_assert(fabs(d - b.distance[r]) < 1e-5);
      for (int64_t i = 0; i < ISC_TOY_TRAIN && own < 0; i++)
        if (distance(&w, &b, z, r, i, &ratio) < 1e-6 && fabs(ratio - 1) < 1e-5) own = i;
      cr_assert(own >= 0, "the condition is no input's activation");
      moved += d > 1e-6;
    }
  }
  cr_assert(moved > 0, "no text but the condition's own was ever drawn");
  isc_examples_free(x);
  world_close(&w);
}

/* At site 1 of one input, drawn frequencies against the exact uniform law over the ball, by chi-square (a right draw
 * fails with probability below 1e-6). */
static void check_law(world *w, int64_t candidates, int64_t input) {
  enum { DRAWS = 4000 };
  isc_neighbours *nb;
  int64_t row[DRAWS], drawn[DRAWS], count[ISC_TOY_TRAIN] = {0}, ball = 0;
  static isc_rng rng[DRAWS];
  double d[DRAWS], chi2 = 0;
  float zi[ISC_TOY_DIM], zj[ISC_TOY_DIM];
  isc_assert_ok(isc_neighbours_new(w->factors, candidates, &nb));
  for (int i = 0; i < DRAWS; i++) {
    row[i] = input;
    rng[i] = isc_rng_at(1, ISC_RNG_USER, (uint64_t)(input * DRAWS + i));
  }
  isc_assert_ok(isc_neighbours_draw(nb, 1, row, rng, DRAWS, drawn, d));
  for (int i = 0; i < DRAWS; i++)
    count[drawn[i]]++;
  isc_toy_activation(&w->toy, 1, input, zi);
  bool in[ISC_TOY_TRAIN] = {false};
  for (int64_t j = 0; j < ISC_TOY_TRAIN; j++) {
    isc_toy_activation(&w->toy, 1, j, zj);
    double ii = dot(zi, zi, ISC_TOY_DIM), jj = dot(zj, zj, ISC_TOY_DIM);
    in[j] = 1 - dot(zi, zj, ISC_TOY_DIM) / sqrt(ii * jj) < 0.1 &&
            fabs(sqrt(jj) - sqrt(ii)) < 0.1 * sqrt(ii);
    in[j] = (in[j] && j < candidates) || j == input;
    ball += in[j];
  }
  for (int64_t j = 0; j < ISC_TOY_TRAIN; j++) {
    double want = (double)DRAWS / (double)ball;
    cr_assert(in[j] || count[j] == 0, "input %d is outside the ball", (int)j);
    if (in[j]) chi2 += pow((double)count[j] - want, 2) / want;
  }
  cr_assert(ball >= 3, "the ball of input %d has %d members: it says nothing", (int)input,
            (int)ball);
  double df = (double)(ball - 1);
  cr_assert(chi2 < df + 4.75 * sqrt(2 * df) + 15, "chi-square %g at %g degrees of freedom", chi2,
            df);
  isc_neighbours_free(nb);
}

Test(trainer, neighbours_are_drawn_from_the_exact_law) {
  world w;
  world_open(&w, 2, 1 << 20);
  check_law(&w, ISC_TOY_TRAIN, 4);
  check_law(&w, 120, 150); /* its own input is no candidate, and still can be drawn */
  world_close(&w);
}

/* ---- training */

Test(trainer, a_language_model_reaches_its_datas_entropy) {
  isc_device *dev = isc_toy_device(2);
  isc_toy t;
  isc_corpus c = {0};
  isc_decoder *d;
  isc_toy_open(&t, dev, 2);
  isc_assert_ok(isc_corpus_fill(&c, &t.env, t.tokenizer, 0));
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
  isc_assert_ok(isc_lm_init(d, 1, 0.1));
  isc_recipe recipe = isc_toy_conf().backbone.recipe;
  isc_toy_io io = isc_toy_io_new(isc_test_dir("lm"));
  io.io.core = &io;
  const isc_lm_training lm = {
      .decoder = d, .device = dev, .corpus = &c, .recipe = &recipe, .seed = 1, .io = &io.io};
  isc_assert_ok(isc_lm_train(&lm));
  /* log 6 for each of three words, 0 for the end, over four targets; 180 of 216 texts allow a little less. */
  cr_assert(fabs(io.loss - 3 * log(6) / 4) < 0.06, "loss %g, entropy %g", io.loss, 3 * log(6) / 4);
  cr_assert(fabs(io.first_loss - log(19)) < 0.5);
  isc_decoder_free(d);
  isc_corpus_free(&c);
  isc_toy_close(&t);
  isc_device_close(dev);
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
  const isc_train_loop loop = {.device = dev,
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
