/* SPDX-License-Identifier: Apache-2.0
 *
 * The prior that is a file: its distinct lines, all equally likely.
 *
 * Empty lines are skipped and a line that comes again counts once; order and split do not depend on how
 * often or where it does.
 */
#include <inversescope/uniform.h>
#include <inttypes.h>
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
  isc_uniform uniform;
  isc_text file;
  line *lines; /* [n] distinct, sorted by their bytes */
  int64_t n;
} text;

static int by_bytes(const void *a, const void *b) {
  const line *x = a, *y = b;
  int c = memcmp(x->s, y->s, x->len < y->len ? x->len : y->len);
  return c ? c : (x->len > y->len) - (x->len < y->len);
}

static isc_status cut_lines(text *p, const char *path) {
  const size_t start = p->file.len >= 3 && memcmp(p->file.data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
  int64_t n = 0, number = 1;
  line l;
  for (size_t at = start; isc_text_line(&p->file, &at, &l.s, &l.len);)
    n += l.len > 0;
  if (n == 0) return isc_fail(ISC_E_FORMAT, "%s: has no lines", path);
  p->lines = calloc((size_t)n, sizeof *p->lines);
  if (!p->lines) return isc_fail(ISC_E_NOMEM, "%s: no memory for %" PRId64 " lines", path, n);
  for (size_t at = start; isc_text_line(&p->file, &at, &l.s, &l.len); number++) {
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

static int64_t longest(const text *p) {
  size_t most = 0;
  for (int64_t i = 0; i < p->n; i++)
    if (p->lines[i].len > most) most = p->lines[i].len;
  return (int64_t)most;
}

static isc_status text_of(const void *self, int64_t i, isc_text *out) {
  const text *p = self;
  return isc_text_set(out, p->lines[i].s, p->lines[i].len);
}

static int64_t index_of(const void *self, const char *s, size_t len) {
  const text *p = self;
  const line wanted = {s, len};
  const line *at = bsearch(&wanted, p->lines, (size_t)p->n, sizeof wanted, by_bytes);
  return at ? at - p->lines : -1;
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
  ISC_GO(isc_text_read(&p->file, c->path, MAX_FILE));
  ISC_GO(cut_lines(p, c->path));
  keep_distinct(p);
  ISC_GO(isc_split_check(p->n, c->test_fraction));
  p->uniform = (isc_uniform){.size = sizeof p->uniform,
                             .name = "text",
                             .support = p->n,
                             .test_fraction = c->test_fraction,
                             .seed = seed,
                             .text = text_of,
                             .index = index_of,
                             .max_bytes = longest(p)};
  *self = p;
done:
  if (st == ISC_OK) return st;
  text_close(p);
  return isc_fail_in("prior text");
}

/* Of the distinct lines, so that their order in the file and their number there do not matter. */
static isc_status text_fingerprint(void *self, char hex[33]) {
  const text *p = self;
  isc_text all = {0}, tail = {0};
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < p->n; i++) {
    ISC_GO(isc_text_append(&all, p->lines[i].s, p->lines[i].len));
    ISC_GO(isc_text_append(&all, "\n", 1));
  }
  ISC_GO(isc_text_format(&tail, "%a %" PRIu64, p->uniform.test_fraction, p->uniform.seed));
  ISC_GO(isc_text_append(&all, tail.data, tail.len));
  ISC_GO(isc_text_hash(all.data, all.len, hex));
done:
  isc_text_free(&all);
  isc_text_free(&tail);
  return st;
}

static const isc_prior_ops ops = {ISC_UNIFORM_PRIOR, .open = text_open, .close = text_close,
                                  .fingerprint = text_fingerprint};

ISC_PLUGIN_CLASS(ISC_PRIOR, "text", "1.0.0", .summary = "The distinct lines of a file",
                 .licence = "Apache-2.0", .options = options, .conf_size = sizeof(text_conf),
                 .ops = &ops);
