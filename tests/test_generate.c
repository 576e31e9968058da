/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts that a target writes on, held against full forward passes: which tokens, how often, when they end.
 *
 * The tiny models of tests/data/families have key/value caches and windows; the random decoder has no cache.
 */
#include "support.h"
#include "support_backend.h"
#include "support_target.h"
#include "base/base.h"
#include "model/generate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 5, MOST = 24, KEPT = 64 };
static const char *const TEXT[N] = {"t3 t4 t5", "t9", "t60 t2 t2 t2 t2 t2 t2 t2 t7", "t8 t8 t12",
                                    "t13 t14 t15 t16"};

/* ---- a model, and what it writes */

typedef struct fixture {
  isc_device *dev;
  isc_test_gpt2 open;
  isc_target_ops ops; /* the plugin's, to take its cache away */
  isc_target target;
  isc_step *s;
  size_t len[N];
} fixture;

static fixture *setup_with(const char *plugin, const char *name, const char *settings) {
  fixture *f = calloc(1, sizeof *f);
  f->dev = isc_test_cpu_device();
  if (!f->dev) cr_skip_test("SKIPPED: needs the cpu backend in the build tree: %s", isc_error());
  isc_assert_ok(isc_test_family_try(f->dev, plugin, name, settings, &f->open));
  f->ops = *f->open.target.ops;
  f->target = f->open.target;
  f->target.ops = &f->ops;
  isc_assert_ok(isc_step_new(f->dev, &f->s));
  for (int i = 0; i < N; i++)
    f->len[i] = strlen(TEXT[i]);
  return f;
}

static fixture *setup(const char *plugin, const char *name) {
  return setup_with(plugin, name, "");
}

static void teardown(fixture *f) {
  isc_step_free(f->s);
  isc_test_gpt2_close(&f->open);
  isc_device_close(f->dev);
  free(f);
}

typedef struct written {
  int64_t prompt, sample, n;
  int32_t ids[MOST];
  char text[256];
  double log_q, logp;
  isc_text_end end;
} written;

typedef struct book {
  int64_t n;
  written at[KEPT];
} book;

static isc_status keep(void *user, const isc_generated *g) {
  book *b = user;
  cr_assert(b->n < KEPT && g->n <= MOST && g->len < sizeof b->at->text);
  cr_assert_eq(g->text[g->len], '\0');
  written *w = &b->at[b->n++];
  *w = (written){.prompt = g->prompt,
                 .sample = g->sample,
                 .n = g->n,
                 .log_q = g->log_q,
                 .logp = g->logp,
                 .end = g->end};
  memcpy(w->ids, g->ids, (size_t)g->n * sizeof *g->ids);
  memcpy(w->text, g->text, g->len);
  return ISC_OK;
}

static const written *find(const book *b, int64_t prompt, int64_t sample) {
  for (int64_t i = 0; i < b->n; i++)
    if (b->at[i].prompt == prompt && b->at[i].sample == sample) return &b->at[i];
  cr_assert_fail("sample %d of prompt %d was not written", (int)sample, (int)prompt);
  return NULL;
}

static isc_generation request(const fixture *f, book *b) {
  return (isc_generation){.target = &f->target,
                          .text = TEXT,
                          .len = f->len,
                          .n = N,
                          .samples = 1,
                          .max_tokens = 12,
                          .batch = 64,
                          .top_p = 1,
                          .seed = 7,
                          .user = b,
                          .deliver = keep};
}

static book *generate(fixture *f, isc_generation q) {
  book *b = calloc(1, sizeof *b);
  q.user = b;
  isc_assert_ok(isc_generate(&q, f->s));
  cr_assert_eq(b->n, q.n * q.samples);
  return b;
}

static void assert_same(const written *a, const written *b) {
  cr_assert_eq(a->n, b->n);
  cr_assert_arr_eq(a->ids, b->ids, (size_t)a->n * sizeof *a->ids);
  cr_assert_arr_eq(&a->log_q, &b->log_q, sizeof a->log_q, "%.17g and %.17g", a->log_q, b->log_q);
  cr_assert_arr_eq(&a->logp, &b->logp, sizeof a->logp);
  cr_assert_str_eq(a->text, b->text);
  cr_assert_eq(a->end, b->end);
}

/* ---- an independent way to the logits: one whole pass */

/* Logits behind ids [n]; malloc'd. */
static float *logits_behind(fixture *f, const int32_t *ids, int64_t n) {
  const isc_target *t = &f->open.target;
  isc_decoder_input in = {.size = sizeof in, .batch = 1, .len = n, .ids = ids};
  const int64_t vocab = t->info.vocab;
  float *all = malloc((size_t)(n * vocab) * sizeof *all);
  isc_tensor *hidden, *logits;
  isc_step_reset(f->s);
  isc_assert_ok(t->ops->forward(t->self, f->s, &in, NULL, &hidden));
  isc_assert_ok(t->ops->logits(t->self, f->s, hidden, &logits));
  isc_assert_ok(isc_tensor_download(f->s, logits, all));
  memmove(all, all + (n - 1) * vocab, (size_t)vocab * sizeof *all);
  return all;
}

static int64_t encode(const fixture *f, const char *text, int32_t ids[64]) {
  int64_t n;
  isc_assert_ok(isc_tokenizer_encode(f->target.ops->tokenizer(f->target.self), text, strlen(text),
                                     ids, 64, &n));
  return n;
}

static int32_t best(const float *logits, int64_t vocab) {
  int32_t most = 0;
  for (int32_t i = 1; i < vocab; i++)
    if (logits[i] > logits[most]) most = i;
  return most;
}

/* softmax(logits/T) in double */
static void softmax(const float *logits, int64_t vocab, double temperature, double *p) {
  double sum = 0;
  for (int64_t i = 0; i < vocab; i++)
    sum += p[i] = exp((double)logits[i] / temperature);
  for (int64_t i = 0; i < vocab; i++)
    p[i] /= sum;
}

/* ---- which tokens */

static void greedy_agrees(const char *plugin, const char *name) {
  fixture *f = setup(plugin, name);
  const int64_t vocab = f->target.info.vocab;
  isc_generation q = request(f, NULL);
  q.want_logp = true;
  book *b = generate(f, q);
  for (int64_t i = 0; i < N; i++) {
    const written *w = find(b, i, 0);
    int32_t ids[64];
    double logp = 0, *p = malloc((size_t)vocab * sizeof *p);
    int64_t n = encode(f, TEXT[i], ids);
    for (int64_t t = 0; t < w->n; t++) {
      float *logits = logits_behind(f, ids, n);
      ids[n] = best(logits, vocab);
      cr_assert_eq(w->ids[t], ids[n], "%s, text %d, token %d", name, (int)i, (int)t);
      softmax(logits, vocab, 1, p);
      logp += log(p[ids[n++]]);
      free(logits);
    }
    cr_assert(w->end == ISC_END_EOS || w->n == 12);
    cr_assert_eq(w->log_q, 0);
    cr_assert_float_eq(w->logp, logp, 1e-9); /* both in double from the same f32 logits */
    free(p);
  }
  free(b);
  teardown(f);
}

Test(generate, the_likeliest_tokens_are_those_of_full_passes) {
  greedy_agrees("gemma3", "gemma3");
  greedy_agrees("llama", "llama-gqa");
  greedy_agrees("gpt2", "gpt2");
}

static const double LAWS[][3] = {{1, 0, 1}, {0.8, 7, 1}, {1.3, 0, 0.6}, {0.9, 20, 0.7}, {0, 0, 1}};
enum { N_LAWS = sizeof LAWS / sizeof *LAWS };

static isc_generation with_law(isc_generation q, int law) {
  q.temperature = LAWS[law][0];
  q.top_k = (int64_t)LAWS[law][1];
  q.top_p = LAWS[law][2];
  q.samples = 4;
  q.want_logp = true;
  return q;
}

static void a_cache_changes_nothing(const char *settings) {
  fixture *f = setup_with("gemma3", "gemma3", settings);
  for (int law = 0; law < N_LAWS; law++) {
    const isc_generation q = with_law(request(f, NULL), law);
    book *cached = generate(f, q);
    f->ops.kv_cache = NULL;
    book *whole = generate(f, q);
    f->ops.kv_cache = f->open.target.ops->kv_cache;
    for (int64_t i = 0; i < N; i++)
      for (int64_t j = 0; j < 4; j++)
        assert_same(find(cached, i, j), find(whole, i, j));
    free(cached);
    free(whole);
  }
  teardown(f);
}

Test(generate, a_cache_changes_no_bit) {
  a_cache_changes_nothing("");
  a_cache_changes_nothing("precision = \"bf16\";");
  a_cache_changes_nothing("resident = \"stream\";");
}

static void nothing_else_changes_a_text(const char *settings) {
  fixture *f = setup_with("llama", "llama-gqa", settings);
  for (int law = 0; law < N_LAWS; law++) {
    isc_generation q = with_law(request(f, NULL), law);
    book *all = generate(f, q);
    q.batch = 3;
    book *few = generate(f, q);
    /* Two samples of one prompt, which keeps its address. */
    const uint64_t index = 3;
    q.text = TEXT + 3;
    q.len = f->len + 3;
    q.n = 1;
    q.index = &index;
    q.samples = 2;
    book *one = generate(f, q);
    for (int64_t i = 0; i < N; i++)
      for (int64_t j = 0; j < 4; j++)
        assert_same(find(all, i, j), find(few, i, j));
    for (int64_t j = 0; j < 2; j++)
      assert_same(find(all, 3, j), find(one, 0, j));
    free(all);
    free(few);
    free(one);
  }
  teardown(f);
}

Test(generate, a_text_does_not_depend_on_its_batch_nor_on_other_texts) {
  nothing_else_changes_a_text("");
  nothing_else_changes_a_text("precision = \"bf16\";");
}

/* ---- how often */

typedef struct tally {
  int64_t count[64];
  const double *p; /* of a token among those that may be drawn */
} tally;

static isc_status count(void *user, const isc_generated *g) {
  tally *t = user;
  cr_assert_eq(g->n, 1);
  cr_assert(t->p[g->ids[0]] > 0, "token %d was drawn", g->ids[0]);
  cr_assert_float_eq(g->log_q, log(t->p[g->ids[0]]), 1e-9);
  t->count[g->ids[0]]++;
  return ISC_OK;
}

/* The law by sorting: the k likeliest, then of these the fewest that have the share. */
static int law_of(const float *logits, int64_t vocab, double temperature, int64_t k, double share,
                  double *p) {
  bool in[64] = {false};
  double sum = 0, kept = 0;
  int n = 0;
  softmax(logits, vocab, temperature, p);
  for (int pass = 0; pass < 2; pass++) { /* what the k have, and then who is in */
    bool seen[64] = {false};
    kept = 0;
    n = 0;
    for (int64_t i = 0; i < (k ? k : vocab) && (pass == 0 || kept < share * sum); i++) {
      int64_t most = -1;
      for (int64_t j = 0; j < vocab; j++)
        if (!seen[j] && (most < 0 || p[j] > p[most])) most = j;
      seen[most] = true;
      kept += p[most];
      n++;
      if (pass == 1) in[most] = true;
    }
    if (pass == 0) sum = kept;
  }
  for (int64_t j = 0; j < vocab; j++)
    p[j] = in[j] ? p[j] / kept : 0;
  return n;
}

static void frequencies_follow(double temperature, int64_t k, double share) {
  enum { DRAWS = 20000 };
  fixture *f = setup("gpt2", "gpt2");
  const int64_t vocab = f->target.info.vocab;
  double p[64], chi2 = 0, rest = 0, rest_want = 0;
  int32_t ids[64];
  int free_cells = -1;
  float *logits = logits_behind(f, ids, encode(f, TEXT[0], ids));
  const int allowed = law_of(logits, vocab, temperature, k, share, p);
  tally t = {.p = p};
  isc_generation q = request(f, NULL);
  q.n = 1;
  q.samples = DRAWS;
  q.batch = 4096;
  q.max_tokens = 1;
  q.temperature = temperature;
  q.top_k = k;
  q.top_p = share;
  q.user = &t;
  q.deliver = count;
  isc_assert_ok(isc_generate(&q, f->s));
  for (int64_t i = 0; i < vocab; i++) {
    const double want = DRAWS * p[i], got = (double)t.count[i];
    if (want < 10) { /* too few for the approximation: counted together */
      rest += got;
      rest_want += want;
      continue;
    }
    chi2 += (got - want) * (got - want) / want;
    free_cells++;
  }
  if (rest_want >= 10) {
    chi2 += (rest - rest_want) * (rest - rest_want) / rest_want;
    free_cells++;
  }
  /* Exceeded with a probability of about 1e-6: the mean, and 4.75 standard deviations with the skew's correction. */
  const double z = 4.75, v = 2.0 / (9.0 * free_cells),
               most = free_cells * pow(1 - v + z * sqrt(v), 3);
  cr_log_info("T %g k %d p %g: %d tokens, chi-square %g of %d", temperature, (int)k, share, allowed,
              chi2, free_cells);
  cr_assert(free_cells >= 2 && chi2 < most, "chi-square %g with %d degrees of freedom", chi2,
            free_cells);
  free(logits);
  teardown(f);
}

Test(generate, draws_are_as_frequent_as_the_law_says) {
  frequencies_follow(1, 0, 1);
  frequencies_follow(0.4, 0, 1);
  frequencies_follow(1, 5, 1);
  frequencies_follow(1, 0, 0.5);
  frequencies_follow(0.6, 12, 0.8);
}

/* ---- when a text ends */

Test(generate, ends_before_a_stop_string_or_at_a_token_that_is_written_so) {
  fixture *f = setup("gpt2", "gpt2");
  isc_generation q = request(f, NULL);
  book *whole = generate(f, q);
  for (int64_t i = 0; i < N; i++) {
    const written *w = find(whole, i, 0);
    char words[2][8], stop[24], token[16];
    cr_assert_eq(w->end, ISC_END_LENGTH, "another seed of models: choose other texts");
    /* From the middle of the fourth word into the fifth: no token is written so. */
    cr_assert_eq(sscanf(w->text, "%*s %*s %*s %7s %7s", words[0], words[1]), 2);
    snprintf(stop, sizeof stop, "%s %s", words[0] + 1, words[1]);
    snprintf(token, sizeof token, "t%d", (int)w->ids[0]);
    const char *stops[] = {"never said", stop};
    q = request(f, NULL);
    q.stop = stops;
    q.n_stop = 2;
    book *b = generate(f, q);
    const written *cut = find(b, i, 0);
    const size_t before = (size_t)(strstr(w->text, stop) - w->text);
    cr_assert_eq(cut->end, ISC_END_STOP);
    cr_assert_eq(strlen(cut->text), before, "\"%s\" of \"%s\"", cut->text, w->text);
    cr_assert(!strncmp(cut->text, w->text, before) && cut->n <= 5);
    free(b);
    stops[1] = token;
    b = generate(f, q);
    cr_assert_eq(find(b, i, 0)->end, ISC_END_STOP);
    cr_assert_eq(find(b, i, 0)->n, 1);
    free(b);
  }
  free(whole);
  teardown(f);
}

/* Id 1 is the EOS: among so many samples some say it, and their texts end there. */
Test(generate, ends_at_the_end_of_text) {
  fixture *f = setup("gpt2", "gpt2");
  isc_generation q = request(f, NULL);
  q.temperature = 1.5;
  q.samples = 12;
  book *b = generate(f, q);
  int ended = 0;
  for (int64_t i = 0; i < b->n; i++) {
    const written *w = &b->at[i];
    for (int64_t t = 0; t < w->n; t++)
      cr_assert_eq(w->ids[t] == 1, w->end == ISC_END_EOS && t + 1 == w->n);
    cr_assert_null(strstr(w->text, "<eos>"));
    ended += w->end == ISC_END_EOS;
  }
  cr_assert(ended > 0 && ended < b->n, "%d of %d", ended, (int)b->n);
  free(b);
  teardown(f);
}

Test(generate, ends_where_the_context_ends) {
  isc_device *dev = isc_test_cpu_device();
  if (!dev) cr_skip_test("SKIPPED: needs the cpu backend in the build tree: %s", isc_error());
  fixture f = {.dev = dev};
  isc_test_target t = isc_test_target_new(dev);
  f.target = t.target;
  isc_assert_ok(isc_step_new(dev, &f.s));
  static const char *const texts[] = {"w3 w1 w4", "w1 w5 w9 w2 w6 w5 w3 w5 w8"};
  const size_t len[] = {strlen(texts[0]), strlen(texts[1])};
  isc_generation q = request(&f, NULL);
  q.text = texts;
  q.len = len;
  q.n = 2;
  q.temperature = 0;
  book *b = generate(&f, q);
  /* Of 9 positions 3 are taken; the last one's token needs none. */
  cr_assert(find(b, 0, 0)->end == ISC_END_EOS || find(b, 0, 0)->n == 7);
  cr_assert(find(b, 1, 0)->end == ISC_END_EOS || find(b, 1, 0)->n == 1);
  cr_assert(find(b, 0, 0)->end == ISC_END_CONTEXT || find(b, 1, 0)->end == ISC_END_CONTEXT);
  free(b);
  isc_step_free(f.s);
  isc_test_target_free(&t);
  isc_device_close(dev);
}

/* ---- what is refused */

Test(generate, a_prompt_that_does_not_fit_is_an_error_before_anything_is_generated) {
  isc_device *dev = isc_test_cpu_device();
  if (!dev) cr_skip_test("SKIPPED: needs the cpu backend in the build tree: %s", isc_error());
  isc_test_target t = isc_test_target_new(dev);
  fixture f = {.dev = dev, .target = t.target};
  isc_assert_ok(isc_step_new(dev, &f.s));
  static const char *const texts[] = {"w3", "w1 w2 w3 w4 w5 w6 w7 w8 w9 w1"};
  const size_t len[] = {strlen(texts[0]), strlen(texts[1])};
  book b = {0};
  isc_generation q = request(&f, &b);
  q.text = texts;
  q.len = len;
  q.n = 2;
  isc_assert_fails(isc_generate(&q, f.s), ISC_E_SHAPE,
                   "text 1, \"w1 w2 w3 w4 w5 w6 w7 w8 w9 w1\", has 10 tokens, and the target 9");
  cr_assert_eq(b.n, 0);
  const isc_scoring score = {.target = &f.target, .text = texts, .len = len, .n = 2, .batch = 1};
  isc_assert_fails(isc_score_texts(&score, f.s), ISC_E_SHAPE, "has 10 tokens");
  isc_step_free(f.s);
  isc_test_target_free(&t);
  isc_device_close(dev);
}

Test(generate, a_text_without_tokens_begins_with_the_bos) {
  fixture *f = setup("gpt2", "gpt2");
  static const char *const texts[] = {"", "<eos>"};
  const size_t len[] = {0, 5};
  isc_generation q = request(f, NULL);
  q.text = texts;
  q.len = len;
  q.n = 2;
  book *b = generate(f, q);
  cr_assert_eq(isc_tokenizer_bos(f->ops.tokenizer(f->target.self)), 1);
  cr_assert_arr_eq(find(b, 0, 0)->ids, find(b, 1, 0)->ids, 12 * sizeof(int32_t));
  free(b);
  teardown(f);
}

Test(generate, wrong_requests_are_refused) {
  fixture *f = setup("gpt2", "gpt2");
  book b = {0};
  const uint64_t index[N] = {0, 1, (uint64_t)1 << 32};
  const char *const empty = "";
  isc_generation q = request(f, &b);
  q.top_p = 0;
  isc_assert_fails(isc_generate(&q, f->s), ISC_E_USAGE, "top_p 0");
  q.top_p = 1;
  q.temperature = NAN;
  isc_assert_fails(isc_generate(&q, f->s), ISC_E_USAGE, "temperature");
  q.temperature = 1;
  q.top_k = -1;
  isc_assert_fails(isc_generate(&q, f->s), ISC_E_USAGE, "top_k -1");
  q.top_k = 0;
  q.max_tokens = 0;
  isc_assert_fails(isc_generate(&q, f->s), ISC_E_USAGE, "at most 0 tokens");
  q.max_tokens = 1;
  q.index = index;
  isc_assert_fails(isc_generate(&q, f->s), ISC_E_USAGE, "text 2");
  q.index = NULL;
  q.stop = &empty;
  q.n_stop = 1;
  isc_assert_fails(isc_generate(&q, f->s), ISC_E_USAGE, "stop string is empty");
  q.n_stop = 0;
  isc_assert_ok(isc_tape_begin(f->s));
  isc_assert_fails(isc_generate(&q, f->s), ISC_E_USAGE, "no gradient");
  isc_step_reset(f->s);
  q.n = 0;
  isc_assert_ok(isc_generate(&q, f->s));
  cr_assert_eq(b.n, 0);
  teardown(f);
}

static isc_status stop_after_one(void *user, const isc_generated *g) {
  isc_cancel(true);
  return keep(user, g);
}

Test(generate, stops_on_request_and_what_had_ended_was_delivered) {
  fixture *f = setup("gpt2", "gpt2");
  book b = {0};
  isc_generation q = request(f, &b);
  q.batch = 1;
  q.deliver = stop_after_one;
  isc_assert_fails(isc_generate(&q, f->s), ISC_E_INTERRUPTED, "stopped");
  cr_assert_eq(b.n, 1);
  const isc_scoring score = {.target = &f->target, .text = TEXT, .len = f->len, .n = N, .batch = 1};
  isc_assert_fails(isc_score_texts(&score, f->s), ISC_E_INTERRUPTED, "stopped");
  isc_cancel(false);
  teardown(f);
}

/* Whichever allocation fails, that is the answer, and the next call is as if nothing had been. */
Test(generate, survives_failing_allocations) {
  fixture *f = setup("gpt2", "gpt2");
  const isc_generation q = with_law(request(f, NULL), 3);
  book *whole = generate(f, q);
  int64_t n = 0;
  for (isc_status st = ISC_E_NOMEM; st != ISC_OK; n++) {
    book b = {0};
    isc_generation again = q;
    again.user = &b;
    isc_alloc_fail_at(n + 1);
    st = isc_generate(&again, f->s);
    isc_alloc_fail_at(0);
    cr_assert(st == ISC_OK || st == ISC_E_NOMEM, "allocation %d: %s", (int)n, isc_error());
    for (int64_t i = 0; i < b.n; i++)
      assert_same(&b.at[i], find(whole, b.at[i].prompt, b.at[i].sample));
    cr_assert(n < 100000 && (st != ISC_OK || b.n == whole->n));
  }
  cr_assert(n > 10, "%d allocations", (int)n);
  free(whole);
  teardown(f);
}

static void check_progress(void *user, int64_t done, int64_t total) {
  int64_t *last = *(int64_t **)user;
  cr_assert_eq(total, N * 4 * 12);
  cr_assert(done > *last && done <= total);
  *last = done;
}

typedef struct progress_book {
  int64_t *last;
  book b;
} progress_book;

static isc_status keep_inside(void *user, const isc_generated *g) {
  return keep(&((progress_book *)user)->b, g);
}

Test(generate, progress_rises_to_its_total) {
  fixture *f = setup("gpt2", "gpt2");
  int64_t last = 0;
  progress_book p = {.last = &last};
  isc_generation q = with_law(request(f, NULL), 0);
  q.user = &p;
  q.temperature = 2;
  q.batch = 5;
  q.deliver = keep_inside;
  q.progress = check_progress;
  isc_assert_ok(isc_generate(&q, f->s));
  cr_assert_eq(last, N * 4 * 12);
  teardown(f);
}
