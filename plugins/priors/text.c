/* SPDX-License-Identifier: Apache-2.0
 *
 * The prior that is a file: its distinct lines, all equally likely.
 *
 * Empty lines are skipped and a line that comes again counts once; order and split do not depend on how
 * often or where it does.
 */
#include <inversescope/prior.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE ((size_t)4 << 30)

typedef struct text_conf {
  const char *path;
  double test_fraction;
} text_conf;

#define AT(field) offsetof(text_conf, field)
static const isc_option options[] = {
    {"path", ISC_OPT_PATH, ISC_OPT_REQUIRED | ISC_OPT_MUST_EXIST, AT(path), NULL, NULL, 0, 0, NULL,
     "A UTF-8 file with one input a line."},
    {"test_fraction", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN | ISC_OPT_OPEN_MAX, AT(test_fraction), NULL,
     "0.1", 0, 1, NULL, "Share of the distinct lines held out as the test split."},
    ISC_OPTIONS_END};

typedef struct line {
  const char *s;
  size_t len;
} line;

typedef struct text {
  isc_text file;
  line *lines; /* [n] distinct, sorted by their bytes */
  int64_t n;
  double test_fraction;
  uint64_t seed;
} text;

static int by_bytes(const void *a, const void *b) {
  const line *x = a, *y = b;
  int c = memcmp(x->s, y->s, x->len < y->len ? x->len : y->len);
  return c ? c : (x->len > y->len) - (x->len < y->len);
}

/* The next line from *at, without its end. */
static line next_line(const isc_text *file, size_t *at) {
  const char *s = file->data + *at, *nl = memchr(s, '\n', file->len - *at);
  size_t len = nl ? (size_t)(nl - s) : file->len - *at;
  *at += len + (nl != NULL);
  if (len > 0 && s[len - 1] == '\r') len--;
  return (line){s, len};
}

static isc_status cut_lines(text *p, const char *path) {
  size_t start = p->file.len >= 3 && memcmp(p->file.data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
  int64_t n = 0, number = 0;
  for (size_t at = start; at < p->file.len;)
    n += next_line(&p->file, &at).len > 0;
  if (n == 0) return isc_fail(ISC_E_FORMAT, "%s: has no lines", path);
  p->lines = calloc((size_t)n, sizeof *p->lines);
  if (!p->lines) return isc_fail(ISC_E_NOMEM, "%s: no memory for %" PRId64 " lines", path, n);
  for (size_t at = start; at < p->file.len;) {
    line l = next_line(&p->file, &at);
    number++;
    if (l.len == 0) continue;
    if (memchr(l.s, '\0', l.len) || !isc_text_is_utf8(l.s, l.len))
      return isc_fail(ISC_E_FORMAT, "%s:%" PRId64 ": the line is not UTF-8 text", path, number);
    p->lines[p->n++] = l;
  }
  return ISC_OK;
}

static void keep_distinct(text *p) {
  int64_t n = 0;
  qsort(p->lines, (size_t)p->n, sizeof *p->lines, by_bytes);
  for (int64_t i = 0; i < p->n; i++)
    if (n == 0 || by_bytes(&p->lines[n - 1], &p->lines[i]) != 0) p->lines[n++] = p->lines[i];
  p->n = n;
}

static void text_close(void *self) {
  text *p = self;
  if (!p) return;
  isc_text_free(&p->file);
  free(p->lines);
  free(p);
}

static isc_status text_open(const void *conf, uint64_t seed, void **self) {
  const text_conf *c = conf;
  isc_status st = ISC_OK;
  text *p = calloc(1, sizeof *p);
  if (!p) return isc_fail(ISC_E_NOMEM, "prior text: no memory");
  p->test_fraction = c->test_fraction;
  p->seed = seed;
  ISC_GO(isc_text_read(&p->file, c->path, MAX_FILE));
  ISC_GO(cut_lines(p, c->path));
  keep_distinct(p);
  ISC_GO(isc_split_check(p->n, p->test_fraction));
  *self = p;
done:
  if (st == ISC_OK) return st;
  text_close(p);
  return isc_fail_in("prior text");
}

static int64_t text_support(void *self) {
  const text *p = self;
  return p->n;
}

static int64_t text_count(void *self, isc_split split) {
  const text *p = self;
  return isc_split_count(p->n, p->test_fraction, split);
}

static isc_status text_enumerate(void *self, int64_t i, isc_text *out) {
  const text *p = self;
  if (i < 0 || i >= p->n)
    return isc_fail(ISC_E_USAGE, "prior text: there is no line number %" PRId64, i);
  return isc_text_set(out, p->lines[i].s, p->lines[i].len);
}

static isc_status text_draw(void *self, isc_split split, int64_t i, isc_text *out) {
  const text *p = self;
  if (i < 0 || i >= text_count(self, split))
    return isc_fail(ISC_E_USAGE, "prior text: there is no input number %" PRId64, i);
  return text_enumerate(self, isc_split_index(p->seed, p->n, p->test_fraction, split, i), out);
}

static isc_status text_log_prob(void *self, const char *s, size_t len, double *out) {
  const text *p = self;
  const line wanted = {s, len};
  bool there = bsearch(&wanted, p->lines, (size_t)p->n, sizeof wanted, by_bytes) != NULL;
  *out = there ? -log((double)p->n) : -INFINITY;
  return ISC_OK;
}

/* Of the distinct lines, so that their order in the file and their number there do not matter. */
static isc_status text_fingerprint(void *self, char hex[33]) {
  const text *p = self;
  isc_text all = {0};
  char tail[100];
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < p->n; i++) {
    ISC_GO(isc_text_append(&all, p->lines[i].s, p->lines[i].len));
    ISC_GO(isc_text_append(&all, "\n", 1));
  }
  snprintf(tail, sizeof tail, "%a %" PRIu64, p->test_fraction, p->seed);
  ISC_GO(isc_text_append(&all, tail, strlen(tail)));
  ISC_GO(isc_text_hash(all.data, all.len, hex));
done:
  isc_text_free(&all);
  return st;
}

static const isc_prior_ops ops = {
    .size = sizeof ops,
    .open = text_open,
    .close = text_close,
    .count = text_count,
    .draw = text_draw,
    .log_prob = text_log_prob,
    .support = text_support,
    .enumerate = text_enumerate,
    .fingerprint = text_fingerprint,
};

static const isc_class text_class = {
    ISC_CLASS(ISC_PRIOR),
    .name = "text",
    .version = "1.0.0",
    .summary = "The distinct lines of a file",
    .licence = "Apache-2.0",
    .options = options,
    .conf_size = sizeof(text_conf),
    .ops = &ops,
};

ISC_PLUGIN("text", "1.0.0", &text_class);
