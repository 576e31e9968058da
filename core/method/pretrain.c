/* SPDX-License-Identifier: Apache-2.0
 *
 * Pretraining a target: its vocabulary, its corpus, its training, and how often it is right.
 *
 * The answer is put behind the text as tokens, so that it is what the target's last position predicts.
 */
#include "method/pretrain.h"
#include "method/lm_trainer.h"
#include <inversescope/training_loop.h>
#include "method/vocabulary.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LOSS_ALL, LOSS_ANSWER };
enum { ENUMERABLE = 2000000, EVALUATION_BATCH = 64 };

static const char *const units[] = {"words", "chars", NULL};
static const char *const losses[] = {"all", "answer", NULL};

typedef isc_pretrain_conf fields;
#define AT(f) offsetof(fields, f)

const isc_option isc_pretrain_options[] = {
    {"tokenizer", ISC_OPT_ENUM, 0, AT(tokenizer), NULL, "words", 0, 0, units,
     "Tokens are the words, or the characters, that the prior's texts and answers are made of."},
    {"layers", ISC_OPT_INT, 0, AT(layers), NULL, "2", 1, 1000, NULL, "Blocks."},
    {"heads", ISC_OPT_INT, 0, AT(heads), NULL, "4", 1, 1000, NULL,
     "Attention heads; they divide the width."},
    {"width", ISC_OPT_INT, 0, AT(width), NULL, "64", 1, 65536, NULL,
     "Width of the residual stream."},
    {"mlp", ISC_OPT_INT, 0, AT(mlp), NULL, "0", 0, 1e6, NULL,
     "Inner width of the MLPs; 0 = four times the width."},
    {"context", ISC_OPT_INT, 0, AT(context), "tokens", "0", 0, 1e6, NULL,
     "Positions; 0 = twice the longest training sequence."},
    {"init_std", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN, AT(init_std), NULL, "0.1", 0, 10, NULL,
     "Standard deviation of the initial weights; GPT-2's 0.02 makes a small model slow to learn."},
    {"dropout", ISC_OPT_FLOAT, ISC_OPT_OPEN_MAX, AT(dropout), NULL, "0.0", 0, 1, NULL,
     "Share of coordinates zeroed in training: of the embedding sum and both residual outputs."},
    {"attention_dropout", ISC_OPT_FLOAT, ISC_OPT_OPEN_MAX, AT(attention_dropout), NULL, "0.0", 0, 1,
     NULL, "Share of the positions that each head may not see in training."},
    {"loss", ISC_OPT_ENUM, 0, AT(loss), NULL, "all", 0, 0, losses,
     "all: every token of text and answer is predicted; answer: only the answer's."},
    {"train", ISC_OPT_INT, 0, AT(train), "inputs", "0", 0, 1e12, NULL,
     "Training inputs; 0 = all the prior has."},
    {"test", ISC_OPT_INT, 0, AT(test), "inputs", "2000", 0, 1e9, NULL,
     "Held-out inputs on which the accuracy is measured, at most."},
    {"seed", ISC_OPT_INT, 0, AT(seed), NULL, "1", 0, 9e15, NULL,
     "Seed of the initial weights and of the batches."},
    ISC_RECIPE_OPTIONS("", fields, recipe, "1000", 1, "128", "1e-3", "100", "linear"),
    ISC_OPTIONS_END};

typedef struct maker {
  const isc_prior *prior;
  isc_device *dev;
  const isc_pretrain_conf *conf;
  isc_tokenizer *tok;
  isc_decoder *decoder;
  isc_text text, answer;
  int32_t *ids; /* [cap] */
  int64_t cap;
} maker;

/* Text i of a split and its answer, which may be empty. */
static isc_status read_input(maker *m, isc_split split, int64_t i) {
  const isc_prior_ops *p = m->prior->ops;
  isc_text_clear(&m->answer);
  ISC_TRY(p->draw(m->prior->self, split, i, &m->text));
  return p->answer ? p->answer(m->prior->self, m->text.data, m->text.len, &m->answer) : ISC_OK;
}

/* ---- vocabulary */

static bool enumerable(const maker *m) {
  const isc_prior_ops *p = m->prior->ops;
  return p->support && p->enumerate && p->support(m->prior->self) <= ENUMERABLE;
}

static isc_status add_words(maker *m, isc_vocabulary *v, int64_t i) {
  const isc_prior_ops *p = m->prior->ops;
  if (enumerable(m)) {
    ISC_TRY(p->enumerate(m->prior->self, i, &m->text));
    isc_text_clear(&m->answer);
    if (p->answer) ISC_TRY(p->answer(m->prior->self, m->text.data, m->text.len, &m->answer));
  } else {
    ISC_TRY(read_input(m, ISC_TRAIN, i));
  }
  ISC_TRY(isc_vocabulary_add(v, m->text.data, m->text.len));
  return isc_vocabulary_add(v, m->answer.data, m->answer.len);
}

static isc_status make_tokenizer(maker *m, int64_t n_train) {
  isc_status st = ISC_OK;
  isc_vocabulary *v = NULL;
  int64_t n = enumerable(m) ? m->prior->ops->support(m->prior->self) : n_train;
  ISC_TRY(isc_vocabulary_new((isc_vocabulary_unit)m->conf->tokenizer, &v));
  for (int64_t i = 0; i < n; i++)
    ISC_GO(add_words(m, v, i));
  ISC_GO(isc_vocabulary_tokenizer(v, &m->tok));
done:
  isc_vocabulary_free(v);
  return st;
}

/* ---- sequences */

static isc_status reserve(maker *m, int64_t n) {
  void *p = m->ids;
  if (n <= m->cap) return ISC_OK;
  ISC_TRY(isc_realloc(&p, (size_t)n, sizeof *m->ids, "a text's tokens"));
  m->ids = p;
  m->cap = n;
  return ISC_OK;
}

/* ids = text then answer; *text tokens of the first, *n in all. */
static isc_status encode(maker *m, int64_t *text, int64_t *n) {
  int64_t more = 0;
  ISC_TRY(isc_tokenizer_encode(m->tok, m->text.data, m->text.len, NULL, 0, text));
  if (m->answer.len)
    ISC_TRY(isc_tokenizer_encode_plain(m->tok, m->answer.data, m->answer.len, NULL, 0, &more));
  *n = *text + more;
  ISC_TRY(reserve(m, *n));
  ISC_TRY(isc_tokenizer_encode(m->tok, m->text.data, m->text.len, m->ids, *text, text));
  if (more == 0) return ISC_OK;
  return isc_tokenizer_encode_plain(m->tok, m->answer.data, m->answer.len, m->ids + *text, more,
                                    &more);
}

static isc_status add_input(maker *m, isc_corpus *c, isc_split split, int64_t i, bool answer_only) {
  int64_t text, n;
  ISC_TRY(read_input(m, split, i));
  ISC_TRY(encode(m, &text, &n));
  if (answer_only && n == text)
    return isc_fail(ISC_E_CONFIG,
                    "pretrain: the prior %s has no answer to \"%.200s\"; set loss = \"all\"",
                    m->prior->name, m->text.data);
  return isc_corpus_add(c, m->ids, n, answer_only ? text : 1);
}

static isc_status make_decoder(maker *m, int64_t longest) {
  const isc_pretrain_conf *c = m->conf;
  if (c->width % c->heads != 0)
    return isc_fail(ISC_E_CONFIG, "pretrain: width %lld is not a multiple of heads %lld",
                    (long long)c->width, (long long)c->heads);
  const isc_decoder_spec spec = {.size = sizeof spec,
                                 .n_layer = c->layers,
                                 .n_head = c->heads,
                                 .d_model = c->width,
                                 .d_head = c->width / c->heads,
                                 .d_mlp = c->mlp ? c->mlp : 4 * c->width,
                                 .vocab = isc_tokenizer_vocab(m->tok),
                                 .n_ctx = c->context ? c->context : 2 * longest,
                                 .act = ISC_ACT_GELU_TANH,
                                 .norm_eps = 1e-5};
  ISC_TRY(isc_decoder_new(m->dev, &spec, &m->decoder));
  return isc_decoder_init_std(m->decoder, (uint64_t)c->seed, c->init_std);
}

/* ---- accuracy */

/* Is every target of row b its position's most likely token? logits host [len, vocab] of that row. */
static bool all_right(const float *logits, int64_t vocab, const int32_t *target, int64_t len) {
  for (int64_t t = 0; t < len; t++, logits += vocab) {
    if (target[t] < 0) continue;
    for (int64_t v = 0; v < vocab; v++)
      if (logits[v] > logits[target[t]] || (logits[v] == logits[target[t]] && v < target[t]))
        return false;
  }
  return true;
}

static isc_status count_right(maker *m, isc_step *s, const isc_corpus *c, int64_t first, int64_t n,
                              int64_t *right) {
  int64_t row[EVALUATION_BATCH];
  isc_corpus_batch b;
  isc_tensor *hidden, *logits;
  void *host;
  isc_step_reset(s);
  for (int64_t i = 0; i < n; i++)
    row[i] = first + i;
  ISC_TRY(isc_corpus_take(c, s, row, n, &b));
  const isc_decoder_input in = {.size = sizeof in, .batch = b.batch, .len = b.len, .ids = b.ids};
  ISC_TRY(isc_decoder_forward(m->decoder, s, &in, NULL, &hidden));
  ISC_TRY(isc_decoder_logits(m->decoder, s, hidden, &logits));
  int64_t vocab = isc_decoder_get_spec(m->decoder)->vocab;
  ISC_TRY(isc_step_host_alloc(s, (size_t)(b.batch * b.len * vocab) * sizeof(float), &host));
  ISC_TRY(isc_tensor_download(s, logits, host));
  for (int64_t i = 0; i < n; i++)
    *right += all_right((float *)host + i * b.len * vocab, vocab, b.target + i * b.len, b.len);
  return ISC_OK;
}

static isc_status measure(maker *m, isc_pretrain_result *out) {
  isc_status st = ISC_OK;
  isc_corpus c = {0};
  isc_step *s = NULL;
  int64_t held_out = m->prior->ops->count(m->prior->self, ISC_TEST), right = 0;
  int64_t n = held_out < m->conf->test ? held_out : m->conf->test;
  out->accuracy = NAN;
  if (!m->prior->ops->answer || n < 1) return ISC_OK;
  for (int64_t i = 0; i < n; i++) {
    int64_t text, all;
    ISC_GO(read_input(m, ISC_TEST, i));
    ISC_GO(encode(m, &text, &all));
    if (all > text) ISC_GO(isc_corpus_add(&c, m->ids, all, text));
  }
  ISC_GO(isc_step_new(m->dev, &s));
  for (int64_t i = 0; i < c.n; i += EVALUATION_BATCH)
    ISC_GO(
        count_right(m, s, &c, i, c.n - i < EVALUATION_BATCH ? c.n - i : EVALUATION_BATCH, &right));
  out->evaluated = c.n;
  if (c.n) out->accuracy = (double)right / (double)c.n;
done:
  isc_corpus_free(&c);
  isc_step_free(s);
  return st;
}

/* ---- all of it */

static isc_status train(maker *m, isc_train_io *io) {
  isc_status st = ISC_OK;
  isc_corpus c = {0};
  int64_t all = m->prior->ops->count(m->prior->self, ISC_TRAIN);
  int64_t n = m->conf->train && m->conf->train < all ? m->conf->train : all;
  if (n < 1)
    return isc_fail(ISC_E_CONFIG, "pretrain: the prior %s has no training inputs", m->prior->name);
  ISC_GO(make_tokenizer(m, n));
  for (int64_t i = 0; i < n; i++)
    ISC_GO(add_input(m, &c, ISC_TRAIN, i, m->conf->loss == LOSS_ANSWER));
  ISC_GO(make_decoder(m, c.longest));
  const isc_lm_training t = {.decoder = m->decoder,
                             .device = m->dev,
                             .corpus = &c,
                             .recipe = &m->conf->recipe,
                             .seed = (uint64_t)m->conf->seed,
                             .dropout = m->conf->dropout,
                             .attention_dropout = m->conf->attention_dropout,
                             .io = io};
  ISC_GO(isc_lm_train(&t));
done:
  isc_corpus_free(&c);
  return st;
}

isc_status isc_pretrain(const isc_prior *prior, isc_device *dev, const isc_pretrain_conf *conf,
                        const char *dir, isc_train_io *io, isc_pretrain_result *out) {
  isc_status st = ISC_OK;
  maker m = {.prior = prior, .dev = dev, .conf = conf};
  *out = (isc_pretrain_result){.accuracy = NAN};
  ISC_GO(isc_mkdirs(dir));
  ISC_GO(isc_mkdirs(io->dir));
  ISC_GO(train(&m, io));
  isc_params_train(isc_decoder_params(m.decoder), false);
  ISC_GO(measure(&m, out));
  out->parameters = isc_params_elements(isc_decoder_params(m.decoder));
  out->vocabulary = isc_tokenizer_vocab(m.tok);
  ISC_GO(isc_tokenizer_save(m.tok, dir));
  ISC_GO(isc_decoder_save(m.decoder, dir, isc_tokenizer_bos(m.tok), isc_tokenizer_eos(m.tok)));
  ISC_GO(isc_train_finish(io));
done:
  isc_decoder_free(m.decoder);
  isc_tokenizer_close(m.tok);
  isc_text_free(&m.text);
  isc_text_free(&m.answer);
  free(m.ids);
  return st;
}
