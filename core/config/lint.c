/* SPDX-License-Identifier: Apache-2.0
 *
 * The scanner of config text.
 *
 * Comments, strings, numbers, names and brackets are told apart here and every trap is refused with
 * its file and line; what is left for libconfig is the nesting of settings.
 */
#include "config/lint.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct bracket {
  char close;
  int32_t line;
} bracket;

typedef struct scan {
  isc_lint *l;
  isc_lint_stack *stack;
  const char *s;
  size_t i, n;
  isc_lint_place here;
  bracket open[ISC_LINT_MAX_NESTING];
  int depth;
  char last;       /* the latest token: its character, 'n' name, 'v' value, '"' string, 0 none */
  size_t comma_at; /* where in `out` the latest comma went                                     */
} scan;

/* Put the place in front of this thread's message. */
static isc_status here(scan *k) {
  const isc_lint_file *f = &k->l->file[k->here.file];
  return f->whole ? isc_fail_in("%s", f->name) : isc_fail_in("%s:%d", f->name, (int)k->here.line);
}

#define FAIL_HERE(k, ...) (isc_fail(ISC_E_CONFIG, __VA_ARGS__), here(k))

static isc_status grow(void **list, size_t *cap, size_t n, size_t size) {
  if (n < *cap) return ISC_OK;
  ISC_TRY(isc_realloc(list, *cap ? 2 * *cap : 64, size, "a config's tables"));
  *cap = *cap ? 2 * *cap : 64;
  return ISC_OK;
}

static isc_status push_row(isc_lint *l, isc_lint_place p) {
  void *list = l->row;
  ISC_TRY(grow(&list, &l->cap_rows, l->n_rows, sizeof *l->row));
  l->row = list;
  l->row[l->n_rows++] = p;
  return ISC_OK;
}

static isc_status new_line(scan *k) {
  isc_sb_add(&k->l->out, "\n");
  return push_row(k->l, k->here);
}

static isc_status push_scalar(scan *k, isc_value v) {
  isc_lint *l = k->l;
  void *list = l->scalar, *places = l->at;
  ISC_TRY(grow(&list, &l->cap_scalars, l->n_scalars, sizeof *l->scalar));
  l->scalar = list;
  ISC_TRY(grow(&places, &l->cap_at, l->n_scalars, sizeof *l->at));
  l->at = places;
  l->scalar[l->n_scalars] = v;
  l->at[l->n_scalars] = k->here;
  isc_sb_addf(&l->out, "%zu ", l->n_scalars++);
  k->last = 'v';
  return ISC_OK;
}

static bool in_list(const scan *k) {
  return k->depth > 0 && k->open[k->depth - 1].close != '}';
}

/* Does a value belong here? */
static bool wants_value(const scan *k) {
  return in_list(k) || k->last == '=' || k->last == ':';
}

static isc_status comment(scan *k) {
  bool block = k->s[k->i] == '/' && k->s[k->i + 1] == '*';
  isc_lint_place start = k->here;
  if (!block) {
    while (k->i < k->n && k->s[k->i] != '\n' && k->s[k->i] != '\0')
      k->i++;
    return ISC_OK;
  }
  for (k->i += 2; k->i < k->n; k->i++) {
    if (k->s[k->i] == '*' && k->i + 1 < k->n && k->s[k->i + 1] == '/') {
      k->i += 2;
      return ISC_OK;
    }
    if (k->s[k->i] == '\0') break; /* the main loop tells of it */
    if (k->s[k->i] == '\n') {
      k->here.line++;
      ISC_TRY(new_line(k));
    }
  }
  if (k->i < k->n) return ISC_OK;
  k->here = start;
  return FAIL_HERE(k, "this comment is never closed; the rest of the file would be lost");
}

static isc_status string_text(scan *k, char **out, size_t *len) {
  isc_sb b = {0};
  char *text = NULL;
  size_t used = 0;
  isc_status st = ISC_OK;
  *out = NULL;
  if (isc_value_quoted(k->s + k->i, k->n - k->i, &b, &used) != ISC_OK) ISC_GO(here(k));
  *len = b.len;
  ISC_GO(isc_sb_finish(&b, &text));
  ISC_GO(isc_pool_strndup(k->l->pool, text, *len, out));
  k->i += used;
done:
  free(text);
  isc_sb_free(&b);
  return st;
}

/* "a" "b" is "ab", as in C; but in a list it would hide a forgotten comma. */
static isc_status join(scan *k, const char *more, size_t len) {
  isc_value *v = &k->l->scalar[k->l->n_scalars - 1];
  size_t before = strlen(v->s);
  void *both;
  if (in_list(k)) return FAIL_HERE(k, "two strings without a comma between them");
  ISC_TRY(isc_pool_alloc(k->l->pool, before + len + 1, 1, "a string", &both));
  memcpy(both, v->s, before);
  memcpy((char *)both + before, more, len);
  v->s = both;
  return ISC_OK;
}

static isc_status string(scan *k) {
  char *text;
  size_t len;
  ISC_TRY(string_text(k, &text, &len));
  if (k->last == '"') return join(k, text, len);
  ISC_TRY(push_scalar(k, (isc_value){.type = ISC_VALUE_STRING, .s = text}));
  k->last = '"';
  return ISC_OK;
}

static isc_status number(scan *k) {
  isc_value v;
  size_t used;
  if (isc_value_number(k->s + k->i, k->n - k->i, &v, &used) != ISC_OK) return here(k);
  k->i += used;
  return push_scalar(k, v);
}

static bool name_char(char c) {
  return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '*';
}

static isc_status word(scan *k) {
  const char *s = k->s + k->i;
  size_t len = 0;
  while (k->i + len < k->n && name_char(s[len]))
    len++;
  k->i += len;
  bool yes = len == 4 && strncasecmp(s, "true", 4) == 0;
  bool no = len == 5 && strncasecmp(s, "false", 5) == 0;
  if (yes || no) return push_scalar(k, (isc_value){.type = ISC_VALUE_BOOL, .b = yes});
  if (wants_value(k))
    return FAIL_HERE(k, "%.*s is not a value; a string needs quotes: \"%.*s\"", (int)len, s,
                     (int)len, s);
  if (++k->l->settings > ISC_LINT_MAX_SETTINGS)
    return FAIL_HERE(k, "more than %d settings", (int)ISC_LINT_MAX_SETTINGS);
  isc_sb_addn(&k->l->out, s, len);
  isc_sb_add(&k->l->out, " ");
  k->last = 'n';
  return ISC_OK;
}

static isc_status open_bracket(scan *k, char c) {
  if (k->depth == ISC_LINT_MAX_NESTING)
    return FAIL_HERE(k, "nested deeper than %d levels", (int)ISC_LINT_MAX_NESTING);
  k->open[k->depth++] = (bracket){.close = c == '{'   ? '}'
                                           : c == '[' ? ']'
                                                      : ')',
                                  .line = k->here.line};
  return ISC_OK;
}

static isc_status close_bracket(scan *k, char c) {
  if (k->depth == 0) return FAIL_HERE(k, "\"%c\" closes nothing", c);
  bracket b = k->open[--k->depth];
  if (b.close != c)
    return FAIL_HERE(k, "\"%c\" where \"%c\" is due for the bracket of line %d", c, b.close,
                     (int)b.line);
  /* libconfig 1.5 knows no comma before the end of a list; newer ones do. */
  if (c != '}' && k->last == ',' && !k->l->out.failed) k->l->out.s[k->comma_at] = ' ';
  return ISC_OK;
}

static isc_status punctuation(scan *k, char c) {
  if (strchr("{[(", c)) ISC_TRY(open_bracket(k, c));
  if (strchr("}])", c)) ISC_TRY(close_bracket(k, c));
  if (c == ',') k->comma_at = k->l->out.len;
  isc_sb_addn(&k->l->out, &c, 1);
  k->last = c;
  k->i++;
  return ISC_OK;
}

static isc_status include(scan *k) {
  static const char directive[] = "@include";
  size_t len = sizeof directive - 1;
  char *name;
  size_t name_len;
  if (k->n - k->i < len || memcmp(k->s + k->i, directive, len) != 0)
    return FAIL_HERE(k, "unexpected character \"@\"; did you mean @include?");
  if (wants_value(k) || k->last == 'n')
    return FAIL_HERE(k, "@include stands where settings stand, not inside one");
  k->i += len;
  while (k->i < k->n && (k->s[k->i] == ' ' || k->s[k->i] == '\t'))
    k->i++;
  if (k->i >= k->n || k->s[k->i] != '"')
    return FAIL_HERE(k, "@include needs a file name in quotes");
  ISC_TRY(string_text(k, &name, &name_len));
  isc_status st = isc_lint_include(k->l, k->stack, name);
  if (st == ISC_E_NOMEM) return st;
  if (st != ISC_OK) return here(k);
  k->last = 0;
  return new_line(k);
}

static isc_status unexpected(scan *k, unsigned char c) {
  if (c == '\0') return FAIL_HERE(k, "a NUL byte; is this a text file?");
  if (c < 0x20 || c >= 0x7F)
    return FAIL_HERE(k, "unexpected byte 0x%02X outside a string or comment", c);
  return FAIL_HERE(k, "unexpected character \"%c\"", c);
}

static isc_status token(scan *k) {
  char c = k->s[k->i], next = k->i + 1 < k->n ? k->s[k->i + 1] : '\0';
  if (c == '\n') {
    k->i++;
    k->here.line++;
    return new_line(k);
  }
  if (c == ' ' || c == '\t' || c == '\r' || c == '\f') {
    k->i++;
    return ISC_OK;
  }
  if (c == '#' || (c == '/' && (next == '/' || next == '*'))) return comment(k);
  if (c == '"') return string(k);
  if (c == '@') return include(k);
  if (isdigit((unsigned char)c) || c == '+' || c == '-' ||
      (c == '.' && isdigit((unsigned char)next)))
    return number(k);
  if (isalpha((unsigned char)c) || c == '*') return word(k);
  if (c != '\0' && strchr("{}[]()=:;,", c)) return punctuation(k, c);
  return unexpected(k, (unsigned char)c);
}

isc_status isc_lint_file_text(isc_lint *l, isc_lint_stack *stack, const char *text, size_t len) {
  scan k = {.l = l, .stack = stack, .s = text, .n = len};
  k.here = (isc_lint_place){.file = stack->file[stack->depth - 1], .line = 1};
  if (len > ISC_LINT_MAX_BYTES || l->bytes > ISC_LINT_MAX_BYTES - len)
    return FAIL_HERE(&k, "the config and what it includes exceed %d bytes",
                     (int)ISC_LINT_MAX_BYTES);
  l->bytes += len;
  if (l->n_rows > 0) isc_sb_add(&l->out, "\n"); /* an included file starts on a line of its own */
  ISC_TRY(push_row(l, k.here));
  if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) k.i = 3;
  while (k.i < k.n)
    ISC_TRY(token(&k));
  if (k.depth > 0) {
    k.here.line = k.open[k.depth - 1].line;
    return FAIL_HERE(&k, "a bracket opened here lacks its \"%c\"", k.open[k.depth - 1].close);
  }
  return ISC_OK;
}

isc_status isc_lint_push_file(isc_lint *l, isc_lint_stack *stack, const isc_lint_file *file) {
  void *list = l->file;
  ISC_TRY(grow(&list, &l->cap_files, l->n_files, sizeof *l->file));
  l->file = list;
  l->file[l->n_files] = *file;
  stack->file[stack->depth++] = (int32_t)l->n_files++;
  return ISC_OK;
}

isc_status isc_lint_text(isc_lint *l, const char *text, size_t len, const isc_lint_file *file) {
  isc_lint_stack stack = {.depth = 0};
  ISC_TRY(isc_lint_push_file(l, &stack, file));
  return isc_lint_file_text(l, &stack, text, len);
}

isc_status isc_lint_where(isc_lint *l, isc_lint_place p, const char **out) {
  const isc_lint_file *f = &l->file[p.file];
  char *text, *kept = NULL;
  *out = f->name;
  if (f->whole) return ISC_OK;
  ISC_TRY(isc_asprintf(&text, "%s:%d", f->name, (int)p.line));
  isc_status st = isc_pool_strndup(l->pool, text, strlen(text), &kept);
  free(text);
  *out = kept;
  return st;
}

void isc_lint_free(isc_lint *l) {
  isc_sb_free(&l->out);
  free(l->scalar);
  free(l->at);
  free(l->row);
  free(l->file);
  *l = (isc_lint){0};
}
