/* SPDX-License-Identifier: Apache-2.0
 *
 * Sampling: log q is the model's own, frequencies follow it, and no sample depends on how it was batched.
 *
 * The generator has random weights and a vocabulary of three words and an end, so that every text it can write is
 * enumerable. The reference probability of a text comes from one uncached pass over it, softmax in double.
 */
#include "support.h"
#include "support_backend.h"
#include "support_decoder.h"
#include "support_method.h"
#include "method/sampler.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VOCAB = 4, MAX_TOKENS = 5, SITES = 2, DIM = 6 };
static const isc_site sites[SITES] = {{"a", DIM, DIM, NULL}, {"b", DIM, DIM, NULL}};

typedef struct world {
  isc_device *dev;
  isc_decoder *decoder;
  isc_tokenizer *tokenizer;
  isc_control_layers *control;
  isc_sampler sampler;
} world;

static world world_open(int64_t threads) {
  const char *const words[] = {"<|endoftext|>", "a", "b", "c"};
  world w = {.dev = isc_toy_device(threads)};
  isc_decoder_spec spec = isc_test_spec();
  spec.vocab = VOCAB;
  w.decoder = isc_test_decoder(w.dev, &spec, 3);
  const isc_control_spec control = {.n_layer = spec.n_layer,
                                    .d_model = spec.d_model,
                                    .heads = 2,
                                    .head_dim = 4,
                                    .score_scale = 0.5,
                                    .sites = sites,
                                    .n_sites = SITES};
  isc_assert_ok(isc_tokenizer_from_words(words, VOCAB, words[0], &w.tokenizer));
  isc_assert_ok(isc_control_layers_new(w.dev, &control, &w.control));
  isc_assert_ok(isc_control_layers_init(w.control, 5));
  for (int64_t i = 0; i < spec.n_layer; i++)
    isc_assert_ok(isc_param_init_normal(w.control->params, w.control->layer[i].v, 6, 0.5));
  w.sampler = (isc_sampler){.device = w.dev,
                            .decoder = w.decoder,
                            .tokenizer = w.tokenizer,
                            .control = w.control,
                            .max_tokens = MAX_TOKENS};
  return w;
}

static void world_close(world *w) {
  isc_control_layers_free(w->control);
  isc_decoder_free(w->decoder);
  isc_tokenizer_close(w->tokenizer);
  isc_device_close(w->dev);
}

/* ---- samples */

typedef struct sample {
  char text[16];
  double log_q;
  int64_t times;
} sample;

typedef struct samples {
  int64_t per_row, refuse_after;
  sample *at; /* [rows · per_row] */
} samples;

static isc_status keep(void *user, int64_t row, int64_t j, const char *text, size_t len,
                       double log_q) {
  samples *s = user;
  sample *x = &s->at[row * s->per_row + j];
  if (s->refuse_after-- == 0) return isc_fail(ISC_E_IO, "disk full");
  cr_assert(len < sizeof x->text && strlen(text) == len);
  memcpy(x->text, text, len + 1);
  x->log_q = log_q;
  x->times++;
  return ISC_OK;
}

typedef struct request {
  int64_t rows, per_row, batch;
  double temperature;
} request;

/* Condition `r` of a request: sites in turn, a normal vector each. */
static void condition(int64_t r, float *z) {
  isc_test_normals((uint64_t)(500 + r), z, DIM);
}

static isc_status run(world *w, const request *q, int64_t first_row, samples *out,
                      bool conditional) {
  float *z = calloc((size_t)(q->rows * DIM), sizeof *z);
  const float **at = calloc((size_t)q->rows, sizeof *at);
  int64_t *site = calloc((size_t)q->rows, sizeof *site);
  uint64_t *index = calloc((size_t)q->rows, sizeof *index);
  for (int64_t r = 0; r < q->rows; r++) {
    condition(first_row + r, z + r * DIM);
    at[r] = z + r * DIM;
    site[r] = (first_row + r) % SITES;
    index[r] = (uint64_t)(1000 * (first_row + r));
  }
  const isc_invert req = {.size = sizeof req,
                          .n = q->rows,
                          .site = site,
                          .z = at,
                          .samples = q->per_row,
                          .temperature = q->temperature,
                          .seed = 11,
                          .index = index,
                          .batch = q->batch,
                          .user = out,
                          .sample = keep};
  isc_sampler sp = w->sampler;
  if (!conditional) sp.control = NULL;
  isc_status st = isc_sampler_run(&sp, &req);
  free(z);
  free(at);
  free(site);
  free(index);
  return st;
}

static samples room(const request *q) {
  return (samples){q->per_row, -1, calloc((size_t)(q->rows * q->per_row), sizeof(sample))};
}

static samples draw(world *w, const request *q, int64_t first_row) {
  samples s = room(q);
  isc_assert_ok(run(w, q, first_row, &s, true));
  for (int64_t i = 0; i < q->rows * q->per_row; i++)
    cr_assert_eq(s.at[i].times, 1, "sample %d came %d times", (int)i, (int)s.at[i].times);
  return s;
}

/* ---- the reference */

/* "a c" → ids 0 1 3, *n = 3. */
static void encode(const char *text, int32_t *ids, int64_t *n) {
  *n = 1;
  ids[0] = 0;
  for (const char *p = text; *p; p++)
    if (*p != ' ') ids[(*n)++] = *p - 'a' + 1;
}

/* logits [n, VOCAB] of one pass over ids under condition `row` (< 0: none) */
static void logits_of(world *w, int64_t row, const int32_t *ids, int64_t n, float *out) {
  const int64_t shape[] = {1, DIM}, start[] = {0, row % SITES == 0, 1};
  float z[DIM];
  isc_control_condition cond[8];
  isc_tensor *tz, *hidden, *logits;
  isc_step *s;
  isc_assert_ok(isc_step_new(w->dev, &s));
  isc_control_tap tap = {.layers = w->control, .cond = cond};
  const isc_taps taps = isc_control_taps(&tap);
  if (row >= 0) {
    condition(row, z);
    isc_assert_ok(isc_tensor_from(s, 2, shape, z, &tz));
    isc_assert_ok(isc_control_layers_condition(w->control, s, tz, start, cond));
  }
  const isc_decoder_input in = {.size = sizeof in, .batch = 1, .len = n, .ids = ids};
  isc_assert_ok(isc_decoder_forward(w->decoder, s, &in, row >= 0 ? &taps : NULL, &hidden));
  isc_assert_ok(isc_decoder_logits(w->decoder, s, hidden, &logits));
  isc_assert_ok(isc_tensor_download(s, logits, out));
  isc_step_free(s);
}

/* log q of a text: its words, and its end unless it is MAX_TOKENS − 1 words long and was cut. */
static double log_q_of(world *w, int64_t row, const char *text, double temperature) {
  int32_t ids[MAX_TOKENS + 1];
  float logits[MAX_TOKENS * VOCAB];
  int64_t n;
  double sum = 0;
  encode(text, ids, &n);
  bool cut = n == MAX_TOKENS;
  ids[n] = 0;
  logits_of(w, row, ids, cut ? n - 1 : n, logits);
  for (int64_t t = 0; t < (cut ? n - 1 : n); t++) {
    double total = 0;
    for (int v = 0; v < VOCAB; v++)
      total += exp(logits[t * VOCAB + v] / temperature);
    sum += logits[t * VOCAB + ids[t + 1]] / temperature - log(total);
  }
  return sum;
}

/* ---- facts */

/* f32 logits of size 10 at most, 1e-6 each way, five of them: 1e-4 is ample and far below any mistake. */
Test(sampler, log_q_is_the_teacher_forced_log_probability) {
  world w = world_open(2);
  const double temperature[] = {1, 0.6};
  for (int k = 0; k < 2; k++) {
    const request q = {.rows = 6, .per_row = 20, .batch = 16, .temperature = temperature[k]};
    samples s = draw(&w, &q, 0);
    for (int64_t i = 0; i < q.rows * q.per_row; i++) {
      double want = log_q_of(&w, i / q.per_row, s.at[i].text, q.temperature);
      cr_assert(fabs(s.at[i].log_q - want) < 1e-4, "\"%s\": %g, not %g", s.at[i].text,
                s.at[i].log_q, want);
    }
    free(s.at);
  }
  world_close(&w);
}

/* In bf16 log q is that of a rounded model, near the exact one's, and still of no batch. */
Test(sampler, in_bf16_log_q_is_near_and_no_sample_depends_on_the_batch) {
  const int64_t batch[] = {64, 5};
  samples of[2];
  double most = 0;
  const request q = {.rows = 6, .per_row = 20, .temperature = 1};
  for (int k = 0; k < 2; k++) {
    world w = world_open(2);
    request one = q;
    w.sampler.product = ISC_BF16;
    one.batch = batch[k];
    of[k] = draw(&w, &one, 0);
    for (int64_t i = 0; k == 0 && i < q.rows * q.per_row; i++) {
      const double want = log_q_of(&w, i / q.per_row, of[0].at[i].text, 1);
      most = fmax(most, fabs(of[0].at[i].log_q - want));
    }
    world_close(&w);
  }
  cr_assert(most > 1e-4 && most < 0.3, "log q is off by %g at most", most);
  cr_assert_arr_eq(of[0].at, of[1].at, (size_t)(q.rows * q.per_row) * sizeof *of[0].at);
  free(of[0].at);
  free(of[1].at);
}

/* Text number k: 0 words, then 1 … */
static void text_at(int64_t k, char *out) {
  int64_t n = 0, first = 0, size = 1;
  while (k >= first + size) {
    first += size;
    size *= 3;
    n++;
  }
  k -= first;
  *out = '\0';
  for (int64_t i = 0; i < n; i++, k /= 3) {
    const char word[] = {(char)('a' + k % 3), i + 1 < n ? ' ' : '\0', '\0'};
    strcat(out, word);
  }
}

static int64_t number_of(const char *text) {
  char s[16];
  for (int64_t k = 0; k < 1000; k++) {
    text_at(k, s);
    if (strcmp(s, text) == 0) return k;
  }
  return -1;
}

/* All texts of 0 to 3 words, and the 81 cut ones of 4, are everything there is: Σ q = 1. Frequencies of 20,000 draws
 * follow q by chi-square; 1e-6 of right samplers would exceed df + 4.75·sqrt(2 df) + 15. */
Test(sampler, probabilities_add_up_and_frequencies_follow_them) {
  enum { ALL = 121, DRAWS = 20000 };
  world w = world_open(2);
  const request q = {.rows = 1, .per_row = DRAWS, .batch = 2048, .temperature = 1};
  samples s = draw(&w, &q, 0);
  double p[ALL], total = 0, chi2 = 0, rest_p = 0, rest_n = 0;
  int64_t count[ALL] = {0}, df = -1;
  char text[16];
  for (int64_t k = 0; k < ALL; k++) {
    text_at(k, text);
    p[k] = exp(log_q_of(&w, 0, text, 1));
    total += p[k];
  }
  cr_assert(fabs(total - 1) < 1e-5, "the probabilities add up to %.8g", total);
  for (int64_t i = 0; i < DRAWS; i++)
    count[number_of(s.at[i].text)]++;
  for (int64_t k = 0; k < ALL; k++) {
    if (p[k] * DRAWS < 8) { /* too rare for the statistic: together */
      rest_p += p[k];
      rest_n += (double)count[k];
      continue;
    }
    chi2 += pow((double)count[k] - p[k] * DRAWS, 2) / (p[k] * DRAWS);
    df++;
  }
  if (rest_p * DRAWS >= 8) {
    chi2 += pow(rest_n - rest_p * DRAWS, 2) / (rest_p * DRAWS);
    df++;
  }
  cr_assert(df >= 10, "the texts are too few to say anything: %d", (int)df);
  cr_assert(chi2 < (double)df + 4.75 * sqrt(2.0 * (double)df) + 15,
            "chi-square %g at %d degrees of freedom", chi2, (int)df);
  free(s.at);
  world_close(&w);
}

/* The same bits, whatever the batch and the threads. */
Test(sampler, a_sample_depends_on_neither_batch_nor_threads) {
  const int64_t batch[] = {64, 1, 7, 64}, threads[] = {1, 1, 2, 2};
  samples first = {0};
  for (int k = 0; k < 4; k++) {
    world w = world_open(threads[k]);
    const request q = {.rows = 9, .per_row = 5, .batch = batch[k], .temperature = 1};
    samples s = draw(&w, &q, 0);
    if (k == 0) {
      first = s;
    } else {
      cr_assert_arr_eq(s.at, first.at, (size_t)(q.rows * q.per_row) * sizeof *s.at,
                       "batch %d, %d threads", (int)batch[k], (int)threads[k]);
      free(s.at);
    }
    world_close(&w);
  }
  free(first.at);
}

Test(sampler, a_row_alone_gets_the_samples_it_gets_among_others) {
  world w = world_open(2);
  const request all = {.rows = 9, .per_row = 5, .batch = 64, .temperature = 1};
  const request one = {.rows = 1, .per_row = 5, .batch = 64, .temperature = 1};
  samples a = draw(&w, &all, 0);
  for (int64_t r = 0; r < all.rows; r++) {
    samples b = draw(&w, &one, r);
    cr_assert_arr_eq(b.at, a.at + r * 5, 5 * sizeof *b.at, "row %d", (int)r);
    free(b.at);
  }
  free(a.at);
  world_close(&w);
}

Test(sampler, samples_differ_between_rows_and_numbers) {
  world w = world_open(2);
  const request q = {.rows = 2, .per_row = 200, .batch = 64, .temperature = 1};
  samples s = draw(&w, &q, 0);
  int64_t distinct = 0, shared = 0;
  for (int64_t i = 1; i < 200; i++)
    distinct += strcmp(s.at[i].text, s.at[0].text) != 0;
  for (int64_t i = 0; i < 200; i++)
    shared += strcmp(s.at[i].text, s.at[200 + i].text) == 0;
  cr_assert(distinct > 20, "one text again and again");
  cr_assert(shared < 190, "both rows got the same samples");
  free(s.at);
  world_close(&w);
}

Test(sampler, temperature_zero_is_the_most_likely_continuation) {
  world w = world_open(2);
  const request q = {.rows = 4, .per_row = 2, .batch = 8, .temperature = 0};
  samples s = draw(&w, &q, 0);
  for (int64_t r = 0; r < q.rows; r++) {
    int32_t ids[MAX_TOKENS + 1];
    float logits[MAX_TOKENS * VOCAB];
    int64_t n;
    cr_assert_str_eq(s.at[2 * r].text, s.at[2 * r + 1].text);
    cr_assert_eq(s.at[2 * r].log_q, 0);
    encode(s.at[2 * r].text, ids, &n);
    ids[n] = 0;
    logits_of(&w, r, ids, n, logits);
    for (int64_t t = 0; t < n && t < MAX_TOKENS - 1; t++)
      for (int v = 0; v < VOCAB; v++)
        cr_assert(logits[t * VOCAB + v] <= logits[t * VOCAB + ids[t + 1]] + 1e-5f);
  }
  free(s.at);
  world_close(&w);
}

Test(sampler, without_control_it_samples_the_decoder_alone) {
  world w = world_open(2);
  const request q = {.rows = 40, .per_row = 1, .batch = 16, .temperature = 1};
  samples s = room(&q);
  isc_assert_ok(run(&w, &q, 0, &s, false));
  for (int64_t i = 0; i < q.rows; i++)
    cr_assert(fabs(s.at[i].log_q - log_q_of(&w, -1, s.at[i].text, 1)) < 1e-4);
  free(s.at);
  world_close(&w);
}

Test(sampler, a_failing_receiver_stops_it) {
  world w = world_open(1);
  const request q = {.rows = 4, .per_row = 4, .batch = 4, .temperature = 1};
  samples s = room(&q);
  s.refuse_after = 5;
  isc_assert_fails(run(&w, &q, 0, &s, true), ISC_E_IO, "disk full");
  free(s.at);
  world_close(&w);
}

Test(sampler, wrong_requests_are_refused) {
  world w = world_open(1);
  int64_t site = SITES;
  const float z[DIM] = {0}, *at = z;
  const uint64_t index = 0;
  isc_invert req = {.size = sizeof req,
                    .n = 1,
                    .site = &site,
                    .z = &at,
                    .samples = 1,
                    .temperature = 1,
                    .seed = 1,
                    .index = &index,
                    .batch = 4,
                    .sample = keep};
  isc_assert_fails(isc_sampler_run(&w.sampler, &req), ISC_E_USAGE, "site 2 of 2");
  site = 0;
  req.batch = 0;
  isc_assert_fails(isc_sampler_run(&w.sampler, &req), ISC_E_USAGE, "batches of 0");
  req.batch = 4;
  req.n = 0;
  isc_assert_ok(isc_sampler_run(&w.sampler, &req));
  world_close(&w);
}
