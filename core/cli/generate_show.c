/* SPDX-License-Identifier: Apache-2.0
 *
 * Printing continuations and scores.
 *
 * Texts end in no set order, so they are kept until all are there.
 */
#include "cli/generate_show.h"
#include "cli/cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const ENDS[] = {[ISC_END_EOS] = "end of text",
                                   [ISC_END_STOP] = "stop text",
                                   [ISC_END_LENGTH] = "max tokens",
                                   [ISC_END_CONTEXT] = "end of context"};

static void show_model(const isc_show *s) {
  const isc_model *m = s->model;
  if (m->device_report && *m->device_report) fputs(m->device_report, stderr);
  fprintf(stderr, "target %s", isc_cli_safe(m->cls->name));
  if (m->type) fprintf(stderr, " (it reads model_type \"%s\")", isc_cli_safe(m->type));
  fprintf(stderr, " on %s\n", isc_cli_safe(m->device->description));
}

/* {"target": …, "device": …, "texts": [ */
static void begin_json(isc_sb *b, const isc_show *s) {
  const isc_model *m = s->model;
  isc_sb_add(b, "{\n \"target\": ");
  isc_sb_add_json(b, m->cls->name, strlen(m->cls->name));
  isc_sb_add(b, ",\n \"device\": ");
  isc_sb_add_json(b, m->device->description, strlen(m->device->description));
  isc_sb_add(b, ",\n \"texts\": [");
}

static void add_number(isc_sb *b, const char *before, double v) {
  isc_sb_add(b, before);
  if (isfinite(v))
    isc_sb_add_double(b, v);
  else
    isc_sb_add(b, "null");
}

static isc_status end_json(isc_sb *b) {
  char *text;
  isc_sb_add(b, "\n ]\n}");
  ISC_TRY(isc_sb_finish(b, &text));
  puts(text);
  free(text);
  return ISC_OK;
}

/* ---- continuations */

typedef struct kept {
  char *text;   /* malloc'd; NULL: not there */
  int32_t *ids; /* [n] malloc'd              */
  size_t len;
  int64_t n;
  double logp, log_q;
  isc_text_end end;
} kept;

typedef struct texts {
  const isc_show *show;
  const isc_generation *q;
  kept *at; /* [q->n · q->samples] */
  isc_progress progress;
  double started;
} texts;

static isc_status keep(void *user, const isc_generated *g) {
  texts *t = user;
  kept *k = &t->at[g->prompt * t->q->samples + g->sample];
  *k = (kept){.len = g->len, .n = g->n, .logp = g->logp, .log_q = g->log_q, .end = g->end};
  ISC_TRY(isc_malloc((size_t)g->n * sizeof *k->ids, "a text", (void **)&k->ids));
  memcpy(k->ids, g->ids, (size_t)g->n * sizeof *k->ids);
  ISC_TRY(isc_malloc(g->len + 1, "a text", (void **)&k->text));
  memcpy(k->text, g->text, g->len + 1);
  return ISC_OK;
}

static void show_progress(void *user, int64_t done, int64_t total) {
  texts *t = user;
  isc_progress_show(&t->progress, "tokens", done, total, "", isc_now() - t->started);
}

static void print_one(const texts *t, int64_t i, bool headed) {
  const isc_generation *q = t->q;
  const kept *k = &t->at[i];
  const int64_t prompt = i / q->samples;
  if (headed) printf("[text %lld", (long long)prompt + 1);
  if (headed && q->samples > 1) printf(", continuation %lld", (long long)(i % q->samples) + 1);
  if (headed) printf(": %lld tokens, log P %.3f, %s]\n", (long long)k->n, k->logp, ENDS[k->end]);
  isc_cli_print_text(q->text[prompt], q->len[prompt]);
  isc_cli_print_text(k->text, k->len);
  putchar('\n');
  if (headed) return;
  fflush(stdout);
  fprintf(stderr, "%lld tokens, log P %.3f, %s\n", (long long)k->n, k->logp, ENDS[k->end]);
}

static void add_json(isc_sb *b, const texts *t, int64_t i) {
  const kept *k = &t->at[i];
  const int64_t prompt = i / t->q->samples;
  isc_sb_addf(b, "{\"index\": %lld, \"continuation\": %lld, \"prompt\": ", (long long)prompt,
              (long long)(i % t->q->samples));
  isc_sb_add_json(b, t->q->text[prompt], t->q->len[prompt]);
  isc_sb_add(b, ", \"text\": ");
  isc_sb_add_json(b, k->text, k->len);
  add_number(b, ", \"log_p\": ", k->logp);
  add_number(b, ", \"log_q\": ", k->log_q);
  isc_sb_addf(b, ", \"end\": \"%s\", \"ids\": [", ENDS[k->end]);
  for (int64_t x = 0; x < k->n; x++)
    isc_sb_addf(b, x ? ", %d" : "%d", (int)k->ids[x]);
  isc_sb_add(b, "]}");
}

static isc_status print_all(const texts *t) {
  const int64_t n = t->q->n * t->q->samples;
  isc_sb b = {0};
  int64_t shown = 0;
  if (t->show->json) begin_json(&b, t->show);
  for (int64_t i = 0; i < n; i++) {
    if (!t->at[i].text) continue;
    if (t->show->json) {
      isc_sb_add(&b, shown ? ",\n  " : "\n  ");
      add_json(&b, t, i);
    } else {
      if (shown) putchar('\n');
      print_one(t, i, n > 1);
    }
    shown++;
  }
  return t->show->json ? end_json(&b) : ISC_OK;
}

isc_status isc_show_texts(const isc_show *s, const isc_generation *request) {
  isc_generation q = *request;
  texts t = {.show = s, .q = &q, .started = isc_now()};
  const size_t n = (size_t)(q.n * q.samples);
  ISC_TRY(isc_calloc(n, sizeof *t.at, "texts", (void **)&t.at));
  q.want_logp = true;
  q.user = &t;
  q.deliver = keep;
  q.progress = show_progress;
  show_model(s);
  isc_progress_init(&t.progress);
  isc_status st = isc_generate(&q, s->model->step);
  isc_progress_close(&t.progress);
  if (st == ISC_OK)
    st = print_all(&t);
  else if (st == ISC_E_INTERRUPTED && !s->json)
    print_all(&t);
  for (size_t i = 0; i < n; i++) {
    free(t.at[i].text);
    free(t.at[i].ids);
  }
  free(t.at);
  return st;
}

/* ---- scores */

typedef struct scores {
  const isc_show *show;
  const isc_generation *q;
  double *total;    /* [q->n]                                        */
  int64_t *counted; /* [q->n] tokens that have one before them       */
  char **detail;    /* [q->n] JSON of the tokens; NULL unless asked for */
} scores;

static isc_status add_tokens(const scores *t, const isc_scored *g, char **out) {
  const isc_target *target = t->q->target;
  const isc_tokenizer *tok = target->ops->tokenizer(target->self);
  isc_sb b = {0};
  for (int64_t i = 0; i < g->n; i++) {
    const char *token = isc_tokenizer_token(tok, g->ids[i]);
    isc_sb_addf(&b, "%s{\"id\": %d, \"token\": ", i ? ", " : "", (int)g->ids[i]);
    isc_sb_add_json(&b, token ? token : "", token ? strlen(token) : 0);
    add_number(&b, ", \"log_p\": ", i ? g->logp[i] : (double)NAN);
    isc_sb_add(&b, "}");
  }
  return isc_sb_finish(&b, out);
}

static isc_status keep_score(void *user, const isc_scored *g) {
  scores *t = user;
  t->total[g->text] = g->total;
  t->counted[g->text] = g->n - 1;
  return t->show->json ? add_tokens(t, g, &t->detail[g->text]) : ISC_OK;
}

static void print_row(double total, int64_t n) {
  const double each = n ? total / (double)n : (double)NAN;
  if (n)
    printf("%7lld %12.4f %11.4f %12.4f  ", (long long)n, total, each, exp(-each));
  else
    printf("%7d %12s %11s %12s  ", 0, "-", "-", "-");
}

static void print_scores(const scores *t) {
  enum { SHOWN = 60 };
  double total = 0;
  int64_t counted = 0;
  printf("%7s %12s %11s %12s  %s\n", "tokens", "log P", "per token", "perplexity", "text");
  for (int64_t i = 0; i < t->q->n; i++) {
    char text[SHOWN + 1];
    const size_t len = t->q->len[i];
    size_t n = len < SHOWN ? len : SHOWN;
    while (n < len && n > 0 && ((unsigned char)t->q->text[i][n] & 0xC0) == 0x80)
      n--;
    memcpy(text, t->q->text[i], n);
    text[n] = '\0';
    print_row(t->total[i], t->counted[i]);
    printf("%s%s\n", isc_cli_safe(text), n < len ? "…" : "");
    total += t->total[i];
    counted += t->counted[i];
  }
  if (t->q->n < 2) return;
  print_row(total, counted);
  puts("(all)");
}

static isc_status print_scores_json(const scores *t) {
  isc_sb b = {0};
  begin_json(&b, t->show);
  for (int64_t i = 0; i < t->q->n; i++) {
    const int64_t n = t->counted[i];
    isc_sb_addf(&b, "%s  {\"index\": %lld, \"text\": ", i ? ",\n" : "\n", (long long)i);
    isc_sb_add_json(&b, t->q->text[i], t->q->len[i]);
    isc_sb_addf(&b, ", \"counted\": %lld", (long long)n);
    add_number(&b, ", \"log_p\": ", t->total[i]);
    add_number(&b, ", \"perplexity\": ", n ? exp(-t->total[i] / (double)n) : (double)NAN);
    isc_sb_addf(&b, ",\n   \"tokens\": [%s]}", t->detail[i]);
  }
  return end_json(&b);
}

isc_status isc_show_scores(const isc_show *s, const isc_generation *q) {
  scores t = {.show = s, .q = q};
  const size_t n = (size_t)q->n;
  isc_status st = ISC_OK;
  const isc_scoring scoring = {.target = q->target,
                               .text = q->text,
                               .len = q->len,
                               .n = q->n,
                               .batch = q->batch,
                               .user = &t,
                               .deliver = keep_score};
  ISC_GO(isc_calloc(n, sizeof *t.total, "scores", (void **)&t.total));
  ISC_GO(isc_calloc(n, sizeof *t.counted, "scores", (void **)&t.counted));
  ISC_GO(isc_calloc(n, sizeof *t.detail, "scores", (void **)&t.detail));
  show_model(s);
  ISC_GO(isc_score_texts(&scoring, s->model->step));
  if (s->json)
    ISC_GO(print_scores_json(&t));
  else
    print_scores(&t);
done:
  for (size_t i = 0; t.detail && i < n; i++)
    free(t.detail[i]);
  free(t.detail);
  free(t.total);
  free(t.counted);
  return st;
}
