/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings written back as config text.
 *
 * Our own writer: libconfig's loses digits and does not escape. Two forms: the resolved config, which
 * reads back to the same run, and the canonical lines a fingerprint hashes.
 */
#include "config/tree.h"
#include <stdlib.h>
#include <string.h>

static void write_string(isc_sb *b, const char *s) {
  isc_sb_add(b, "\"");
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\')
      isc_sb_addf(b, "\\%c", c);
    else if (c == '\n')
      isc_sb_add(b, "\\n");
    else if (c == '\t')
      isc_sb_add(b, "\\t");
    else if (c < 0x20 || c == 0x7F)
      isc_sb_addf(b, "\\x%02x", c);
    else
      isc_sb_addn(b, s, 1);
  }
  isc_sb_add(b, "\"");
}

static void write_float(isc_sb *b, double v) {
  size_t from = b->len;
  isc_sb_add_double(b, v);
  if (!b->failed && !strpbrk(b->s + from, ".e")) isc_sb_add(b, ".0");
}

void isc_value_write(isc_sb *b, const isc_option *o, const isc_value *v) {
  bool is_enum = o && isc_option_element(o->type) == ISC_OPT_ENUM;
  switch (v->type) {
  case ISC_VALUE_BOOL:
    isc_sb_add(b, v->b ? "true" : "false");
    return;
  /* The suffix is for other readers of libconfig files. */
  case ISC_VALUE_INT:
    isc_sb_addf(b, v->i == (int32_t)v->i ? "%lld" : "%lldL", (long long)v->i);
    return;
  case ISC_VALUE_FLOAT:
    write_float(b, v->f);
    return;
  case ISC_VALUE_STRING:
    write_string(b, is_enum ? o->choices[v->i] : v->s);
    return;
  }
}

static isc_status value_text(isc_config *c, const isc_resolved *r, const char **out) {
  isc_sb b = {0};
  char *text, *kept;
  bool list = r->option && isc_option_is_list(r->option->type);
  if (list) isc_sb_add(&b, "[");
  for (int64_t i = 0; i < r->n; i++) {
    if (i) isc_sb_add(&b, ", ");
    isc_value_write(&b, r->option, &r->values[i]);
  }
  if (list) isc_sb_add(&b, "]");
  ISC_TRY(isc_sb_finish(&b, &text));
  isc_status st = isc_pool_strndup(&c->pool, text, strlen(text), &kept);
  free(text);
  *out = kept;
  return st;
}

/* The one spelling of a path: steps joined by dots, "a.[0].b". */
static isc_status spell(isc_config *c, const char *path, const char **out) {
  isc_sb b = {0};
  isc_step step;
  char *text, *kept;
  while (isc_path_step(&path, &step) && step.len)
    isc_sb_addf(&b, "%s%.*s", b.len ? "." : "", (int)step.len, step.s);
  ISC_TRY(isc_sb_finish(&b, &text));
  isc_status st = isc_pool_strndup(&c->pool, text, strlen(text), &kept);
  free(text);
  *out = kept;
  return st;
}

isc_status isc_record_add(isc_config *c, const isc_resolved *r) {
  const char *text, *path;
  isc_record *at = c->first;
  void *p;
  char *key;
  ISC_TRY(value_text(c, r, &text));
  ISC_TRY(spell(c, r->path, &path));
  while (at && (strcmp(at->path, path) != 0 || strcmp(at->key, r->key) != 0))
    at = at->next;
  if (!at) {
    ISC_TRY(isc_pool_strndup(&c->pool, r->key, strlen(r->key), &key));
    ISC_TRY(isc_pool_alloc(&c->pool, 1, sizeof *at, "a resolved setting", &p));
    at = p;
    at->path = path;
    at->key = key;
    if (c->last)
      c->last->next = at;
    else
      c->first = at;
    c->last = at;
  }
  at->text = text;
  at->runtime = r->option && r->option->flags & ISC_OPT_RUNTIME;
  return ISC_OK;
}

/* ---- the resolved config */

typedef struct writer {
  const isc_config *c;
  isc_sb *out;
} writer;

/* What of the record's path lies below `prefix` ("" for the group itself); NULL when it is elsewhere. */
static const char *below(const isc_record *r, const char *prefix, size_t len) {
  if (strncmp(r->path, prefix, len) != 0) return NULL;
  const char *rest = r->path + len;
  if (*rest == '\0' || len == 0 || *rest == '.' || *rest == '[') return rest;
  return NULL;
}

static void indent(writer *w, int depth) {
  isc_sb_addf(w->out, "%*s", 2 * depth, "");
}

static void write_group(writer *w, const char *prefix, size_t len, int depth);

/* The number of elements a list at this prefix needs: one more than the highest index recorded. */
static int64_t list_length(const writer *w, const char *prefix, size_t len) {
  int64_t n = 0;
  for (const isc_record *r = w->c->first; r; r = r->next) {
    isc_step step;
    const char *rest = below(r, prefix, len);
    if (rest && isc_path_step(&rest, &step) && step.index >= n) n = step.index + 1;
  }
  return n;
}

static void write_element(writer *w, const char *prefix, size_t len, int64_t i, int depth) {
  indent(w, depth);
  isc_sb_add(w->out, "{\n");
  for (const isc_record *r = w->c->first; r; r = r->next) {
    isc_step step;
    const char *rest = below(r, prefix, len);
    if (!rest || !isc_path_step(&rest, &step) || step.index != i) continue;
    write_group(w, r->path, (size_t)(rest - r->path), depth + 1);
    break;
  }
  indent(w, depth);
  isc_sb_add(w->out, "}");
}

static void write_child(writer *w, const char *prefix, size_t len, const isc_step *name,
                        int depth) {
  int64_t n = list_length(w, prefix, len);
  indent(w, depth);
  isc_sb_addf(w->out, "%.*s = %s\n", (int)name->len, name->s, n ? "(" : "{");
  for (int64_t i = 0; i < n; i++) {
    write_element(w, prefix, len, i, depth + 1);
    isc_sb_add(w->out, i + 1 < n ? ",\n" : "\n");
  }
  if (n == 0) write_group(w, prefix, len, depth + 1);
  indent(w, depth);
  isc_sb_add(w->out, n ? ");\n" : "};\n");
}

/* Has an earlier record already led into the child `step` of `prefix`? */
static bool seen_before(const writer *w, const isc_record *r, const char *prefix, size_t len,
                        const isc_step *step) {
  for (const isc_record *e = w->c->first; e != r; e = e->next) {
    isc_step other;
    const char *rest = below(e, prefix, len);
    if (rest && isc_path_step(&rest, &other) && other.len == step->len &&
        strncmp(other.s, step->s, step->len) == 0)
      return true;
  }
  return false;
}

static void write_group(writer *w, const char *prefix, size_t len, int depth) {
  for (const isc_record *r = w->c->first; r; r = r->next) {
    const char *rest = below(r, prefix, len);
    if (!rest || *rest) continue;
    indent(w, depth);
    isc_sb_addf(w->out, "%s = %s;\n", r->key, r->text);
  }
  for (const isc_record *r = w->c->first; r; r = r->next) {
    isc_step step;
    const char *rest = below(r, prefix, len);
    if (!rest || !isc_path_step(&rest, &step) || step.index >= 0) continue;
    if (!seen_before(w, r, prefix, len, &step))
      write_child(w, r->path, (size_t)(rest - r->path), &step, depth);
  }
}

isc_status isc_config_resolved(const isc_config *c, char **text) {
  isc_sb b = {0};
  writer w = {.c = c, .out = &b};
  write_group(&w, "", 0, 0);
  return isc_sb_finish(&b, text);
}

/* ---- the canonical lines */

static int by_text(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Is `path` the record itself rather than a group above it? */
static bool is_leaf(const isc_record *r, const char *path) {
  const size_t len = strlen(r->path);
  return strncmp(path, r->path, len) == 0 && path[len] == '.' &&
         strcmp(path + len + 1, r->key) == 0;
}

isc_status isc_config_canonical(const isc_config *c, const char *path, char **text) {
  isc_sb b = {0};
  size_t len = strlen(path), n = 0;
  void *p = NULL;
  char **line = NULL;
  isc_status st = ISC_OK;
  *text = NULL;
  for (const isc_record *r = c->first; r; r = r->next)
    n++;
  ISC_TRY(isc_calloc(n + 1, sizeof *line, "a canonical config", &p));
  line = p;
  n = 0;
  for (const isc_record *r = c->first; r; r = r->next) {
    const char *rest = below(r, path, len);
    if (r->runtime || (!rest && !is_leaf(r, path))) continue;
    if (rest && *rest == '.') rest++;
    ISC_GO(isc_asprintf(&line[n], "%s%s%s = %s\n", rest ? rest : "", rest && *rest ? "." : "",
                        r->key, r->text));
    n++;
  }
  qsort(line, n, sizeof *line, by_text);
  for (size_t i = 0; i < n; i++)
    isc_sb_add(&b, line[i]);
  ISC_GO(isc_sb_finish(&b, text));
done:
  for (size_t i = 0; i < n; i++)
    free(line[i]);
  free(line);
  return st;
}
