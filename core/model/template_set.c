/* SPDX-License-Identifier: Apache-2.0
 *
 * Choosing templates: the built-in ones or a user's file, so many of each group.
 *
 * What a template is (its group, which slot is the answer) is read off the template itself, so that
 * built-in and published ones go through the same rule.
 */
#include "model/template_set.h"
#include "base/base.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 1 << 20, MAX_TEMPLATES = 100000, WORDS = 1 };

const char *const isc_template_spacings[] = {"natural", "words", NULL};

typedef struct choice {
  const isc_template_prior_spec *spec;
  const isc_template_list *lists;
  int64_t n_groups, count[ISC_MAX_GROUPS]; /* of each group, those used */
  const char *where;                       /* the file, or what the built-in ones are called */
  isc_template_set *set;
} choice;

int64_t isc_template_occurrences(const char *text, const char *slot) {
  const size_t len = strlen(slot);
  int64_t n = 0;
  for (const char *p = strchr(text, '['); p; p = strchr(p + 1, '['))
    n += strncmp(p + 1, slot, len) == 0 && p[1 + len] == ']';
  return n;
}

void isc_template_set_free(isc_template_set *s) {
  for (int64_t i = 0; i < s->n; i++)
    free(s->entry[i].text);
  free(s->entry);
  *s = (isc_template_set){0};
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

/* ", " and the like as words of their own, "%s" as the slot it stands for. */
static isc_status spell(const choice *c, bool spaced, const char *from, size_t len, isc_text *out) {
  const char *percent_s = c->spec->percent_s;
  ISC_TRY(isc_text_set(out, "", 0));
  for (size_t i = 0; i < len; i++) {
    if (percent_s && i + 1 < len && from[i] == '%' && from[i + 1] == 's') {
      ISC_TRY(isc_text_append(out, "[", 1));
      ISC_TRY(isc_text_append(out, percent_s, strlen(percent_s)));
      ISC_TRY(isc_text_append(out, "]", 1));
      i++;
      continue;
    }
    if (spaced && memchr(",.;:!?", from[i], 6)) ISC_TRY(isc_text_append(out, " ", 1));
    ISC_TRY(isc_text_append(out, from + i, 1));
  }
  return ISC_OK;
}

static int64_t answer_slot(const choice *c, const char *name, size_t len) {
  for (int64_t i = 0; i < c->spec->n_lists; i++)
    if (c->lists[i].answers && strlen(c->lists[i].slot) == len &&
        memcmp(c->lists[i].slot, name, len) == 0)
      return i;
  return -1;
}

/* Cut the blanks off both ends, and the answer's slot off the last one. */
static char *cut(const choice *c, isc_text *line, isc_template_entry *e) {
  char *text = line->data;
  size_t n;
  while (is_blank(*text))
    text++;
  n = strlen(text);
  *e = (isc_template_entry){.answer = -1};
  for (;;) {
    while (n > 0 && is_blank(text[n - 1]))
      n--;
    e->glued = e->answer >= 0 && !is_blank(text[n]);
    text[n] = '\0';
    const char *open = strrchr(text, '[');
    if (e->answer >= 0 || !open || text[n - 1] != ']') return text;
    e->answer = answer_slot(c, open + 1, (size_t)(text + n - 1 - (open + 1)));
    if (e->answer < 0) return text;
    n = (size_t)(open - text);
  }
}

static isc_status slot_number(const choice *c, const char *name, int64_t *out) {
  *out = -1;
  if (!name) return ISC_OK;
  for (int64_t i = 0; i < c->spec->n_lists; i++)
    if (strcmp(c->lists[i].slot, name) == 0) *out = i;
  return *out >= 0 ? ISC_OK
                   : isc_fail(ISC_E_USAGE,
                              "the answer is said to be slot \"%s\", of which there "
                              "is none",
                              name);
}

/* The plugin's word on the template; without one, the slot cut off is the answer. */
static isc_status read_entry(const choice *c, const char *text, isc_template_entry *e,
                             int64_t *group) {
  isc_template_reading r = {.size = sizeof r,
                            .answer = e->answer >= 0 ? c->lists[e->answer].slot : NULL};
  if (c->spec->read) ISC_TRY(c->spec->read(text, &r));
  if (r.group < 0 || r.group >= c->n_groups)
    return isc_fail(ISC_E_USAGE, "is said to be of group %" PRId64 "; there are %" PRId64, r.group,
                    c->n_groups);
  *group = r.group;
  return slot_number(c, r.answer, &e->answer);
}

static isc_status keep(isc_template_set *s, const char *text, isc_template_entry e) {
  void *entries = s->entry;
  if (s->n == MAX_TEMPLATES) return isc_fail(ISC_E_CONFIG, "more than %d templates", MAX_TEMPLATES);
  ISC_TRY(isc_realloc(&entries, (size_t)s->n + 1, sizeof *s->entry, "templates"));
  s->entry = entries;
  ISC_TRY(isc_strdup(text, &e.text));
  s->entry[s->n++] = e;
  return ISC_OK;
}

/* `line` is used up. */
static isc_status consider(choice *c, isc_text *line) {
  isc_template_entry e;
  int64_t group = 0;
  const char *text = cut(c, line, &e);
  if (*text == '\0') return ISC_OK;
  ISC_TRY(read_entry(c, text, &e, &group));
  const bool wanted = c->spec->group < 0 || c->spec->group == group;
  const int64_t most = c->spec->conf->n_templates;
  if (!wanted || (most > 0 && c->count[group] == most)) return ISC_OK;
  c->count[group]++;
  return keep(c->set, text, e);
}

static isc_status choose_built_in(choice *c, isc_text *line) {
  const bool spaced = c->spec->conf->spacing == WORDS;
  for (const char *const *t = c->spec->templates; t && *t; t++) {
    ISC_TRY(spell(c, spaced, *t, strlen(*t), line));
    if (consider(c, line) != ISC_OK) return isc_fail_in("%s: \"%s\"", c->where, *t);
  }
  return ISC_OK;
}

static isc_status choose_from_file(choice *c, isc_text *line) {
  isc_text file = {0};
  isc_status st = ISC_OK;
  const char *s;
  size_t at = 0, len;
  ISC_GO(isc_text_read(&file, c->where, MAX_FILE));
  for (int64_t number = 1; isc_text_line(&file, &at, &s, &len); number++) {
    if (memchr(s, '\0', len))
      ISC_GO(isc_fail(ISC_E_FORMAT, "%s:%" PRId64 ": holds a NUL byte", c->where, number));
    size_t blank = 0;
    while (blank < len && is_blank(s[blank]))
      blank++;
    if (blank < len && s[blank] == '#') continue;
    ISC_GO(spell(c, false, s, len, line));
    st = consider(c, line);
    if (st != ISC_OK) ISC_GO(isc_fail_in("%s:%" PRId64, c->where, number));
  }
done:
  isc_text_free(&file);
  return st;
}

/* "16 ABBA and 16 BABA templates" */
static void add_counts(const choice *c, isc_sb *b) {
  const char *const *name = c->spec->groups;
  for (int64_t g = 0; g < c->n_groups; g++) {
    if (c->spec->group >= 0 && c->spec->group != g) continue;
    isc_sb_addf(b, "%s%" PRId64 "%s%s", b->len ? " and " : "", c->count[g], name ? " " : "",
                name ? name[g] : "");
  }
  isc_sb_add(b, " templates");
}

static isc_status check_counts(const choice *c) {
  const int64_t most = c->spec->conf->n_templates;
  isc_sb b = {0};
  bool enough = true;
  char *have;
  for (int64_t g = 0; g < c->n_groups; g++)
    enough &= (c->spec->group >= 0 && c->spec->group != g) || c->count[g] >= most;
  if (c->set->n > 0 && enough) return ISC_OK;
  if (c->set->n == 0)
    return isc_fail(ISC_E_CONFIG, "%s: there is no template of the kind asked for", c->where);
  add_counts(c, &b);
  ISC_TRY(isc_sb_finish(&b, &have));
  isc_status st =
      isc_fail(ISC_E_CONFIG, "n_templates = %" PRId64 ", but %s has %s", most, c->where, have);
  free(have);
  return st;
}

isc_status isc_template_set_choose(const isc_template_prior_spec *spec,
                                   const isc_template_list *lists, isc_template_set *out) {
  choice c = {.spec = spec, .lists = lists, .set = out};
  isc_text line = {0};
  isc_status st = ISC_OK;
  *out = (isc_template_set){0};
  c.where = spec->conf->file ? spec->conf->file : "the built-in set";
  while (spec->groups && spec->groups[c.n_groups])
    c.n_groups++;
  if (c.n_groups > ISC_MAX_GROUPS)
    return isc_fail(ISC_E_USAGE, "more than %d groups of templates", ISC_MAX_GROUPS);
  if (!spec->groups) c.n_groups = 1;
  ISC_GO(spec->conf->file ? choose_from_file(&c, &line) : choose_built_in(&c, &line));
  ISC_GO(check_counts(&c));
done:
  isc_text_free(&line);
  if (st != ISC_OK) isc_template_set_free(out);
  return st;
}
