/* SPDX-License-Identifier: Apache-2.0
 *
 * Choosing IOI templates: the built-in ones in either order, or a user's file.
 *
 * What a template is (its order, which slot is the answer) is read off the template itself, so built-in
 * and published ones go through the same rule.
 */
#include "ioi_templates.h"
#include "ioi_lists.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 1 << 20 };

typedef struct reading { /* of one template */
  bool object_is_b, object_first;
} reading;

static int occurrences(const char *text, const char *slot, const char **first) {
  int n = 0;
  *first = strstr(text, slot);
  for (const char *p = *first; p; p = strstr(p + 1, slot))
    n++;
  return n;
}

static bool read_template(const char *text, reading *out) {
  const char *a, *b;
  int n_a = occurrences(text, "[A]", &a), n_b = occurrences(text, "[B]", &b);
  if (!(n_a == 1 && n_b == 2) && !(n_a == 2 && n_b == 1)) return false;
  out->object_is_b = n_b == 1;
  out->object_first = out->object_is_b ? b < a : a < b;
  return true;
}

void ioi_set_free(ioi_set *s) {
  for (int64_t i = 0; i < s->n; i++)
    free(s->text[i]);
  free(s->text);
  free(s->object_is_b);
  *s = (ioi_set){0};
}

static isc_status add(ioi_set *s, const char *text, bool object_is_b) {
  size_t n = (size_t)s->n + 1;
  char **texts = realloc(s->text, n * sizeof *texts);
  if (texts) s->text = texts;
  bool *roles = realloc(s->object_is_b, n * sizeof *roles);
  if (roles) s->object_is_b = roles;
  char *copy = strdup(text);
  if (!texts || !roles || !copy) {
    free(copy);
    return isc_fail(ISC_E_NOMEM, "no memory for %zu templates", n);
  }
  s->text[s->n] = copy;
  s->object_is_b[s->n++] = object_is_b;
  return ISC_OK;
}

/* The set being chosen from a run of templates: at most `count` of each order. */
typedef struct choice {
  ioi_order order;
  int64_t count, n_abba, n_baba;
  ioi_set *set;
} choice;

static isc_status consider(choice *c, const char *text, const char *where) {
  reading r;
  if (!read_template(text, &r))
    return isc_fail(ISC_E_CONFIG,
                    "%s: \"%s\": one of [A] and [B] must come twice and the other once", where,
                    text);
  int64_t *n = r.object_first ? &c->n_abba : &c->n_baba;
  bool wanted = c->order != (r.object_first ? IOI_BABA : IOI_ABBA);
  if (!wanted || (c->count > 0 && *n == c->count)) return ISC_OK;
  ++*n;
  return add(c->set, text, r.object_is_b);
}

static isc_status check_counts(const choice *c, const char *where) {
  int64_t abba = c->order == IOI_BABA ? c->count : c->n_abba;
  int64_t baba = c->order == IOI_ABBA ? c->count : c->n_baba;
  if (c->set->n == 0)
    return isc_fail(ISC_E_CONFIG, "%s: no template of the order asked for", where);
  if (c->count <= 0 || (abba >= c->count && baba >= c->count)) return ISC_OK;
  return isc_fail(ISC_E_CONFIG,
                  "n_templates = %" PRId64 ", but %s has %" PRId64 " ABBA and %" PRId64
                  " BABA templates",
                  c->count, where, c->n_abba, c->n_baba);
}

/* "," and "." as words of their own. */
static isc_status space_out(const char *from, isc_text *out) {
  ISC_TRY(isc_text_set(out, "", 0));
  for (; *from; from++) {
    if (*from == ',' || *from == '.') ISC_TRY(isc_text_append(out, " ", 1));
    ISC_TRY(isc_text_append(out, from, 1));
  }
  return ISC_OK;
}

/* Exchange the first [A] and the first [B]. */
static void exchange(char *text) {
  char *a = strstr(text, "[A]"), *b = strstr(text, "[B]");
  if (!a || !b) return;
  a[1] = 'B';
  b[1] = 'A';
}

isc_status ioi_built_in(ioi_order order, ioi_spacing spacing, int64_t count, ioi_set *out) {
  static const char where[] = "the built-in set";
  choice c = {order, count, 0, 0, out};
  isc_text text = {0};
  isc_status st = ISC_OK;
  *out = (ioi_set){0};
  for (int64_t i = 0; i < ioi_n_sentences; i++) {
    const char *s = ioi_sentences[i];
    ISC_GO(spacing == IOI_WORDS ? space_out(s, &text) : isc_text_set(&text, s, strlen(s)));
    ISC_GO(consider(&c, text.data, where));
    exchange(text.data);
    ISC_GO(consider(&c, text.data, where));
  }
  ISC_GO(check_counts(&c, where));
done:
  isc_text_free(&text);
  if (st != ISC_OK) ioi_set_free(out);
  return st;
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

/* Cut blanks and one name slot off the end; returns that slot's letter, or 0. */
static char cut_answer(char *line) {
  char slot = 0;
  size_t n = strlen(line);
  for (;;) {
    while (n > 0 && is_blank(line[n - 1]))
      n--;
    line[n] = '\0';
    if (slot || n < 4 || line[n - 1] != ']' || line[n - 3] != '[') return slot;
    if (line[n - 2] != 'A' && line[n - 2] != 'B') return slot;
    slot = line[n - 2];
    n -= 3;
  }
}

static isc_status consider_line(choice *c, char *line, const char *path, int64_t number) {
  reading r;
  char slot;
  while (is_blank(*line))
    line++;
  if (*line == '#') return ISC_OK;
  slot = cut_answer(line);
  if (*line == '\0') return ISC_OK;
  if (slot && read_template(line, &r) && r.object_is_b != (slot == 'B'))
    return isc_fail(ISC_E_CONFIG, "%s:%" PRId64 ": ends with the subject [%c], not the object",
                    path, number, slot);
  isc_status st = consider(c, line, path);
  return st == ISC_OK ? st : isc_fail_in("line %" PRId64, number);
}

isc_status ioi_from_file(const char *path, ioi_order order, int64_t count, ioi_set *out) {
  choice c = {order, count, 0, 0, out};
  isc_text file = {0};
  isc_status st = ISC_OK;
  int64_t number = 0;
  *out = (ioi_set){0};
  ISC_GO(isc_text_read(&file, path, MAX_FILE));
  if (strlen(file.data) != file.len) ISC_GO(isc_fail(ISC_E_FORMAT, "%s: holds a NUL byte", path));
  for (char *line = file.data, *next; line; line = next) {
    next = strchr(line, '\n');
    if (next) *next++ = '\0';
    ISC_GO(consider_line(&c, line, path, ++number));
  }
  ISC_GO(check_counts(&c, path));
done:
  isc_text_free(&file);
  if (st != ISC_OK) ioi_set_free(out);
  return st;
}
