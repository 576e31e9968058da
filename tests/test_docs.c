/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the documentation of settings: every setting is there, as its option table has it.
 *
 * The tables are read through the registry here, and through the program there; the settings a study has are those of
 * its resolved config.
 */
#include "support.h"
#include "support_run.h"

#include "config/config.h"
#include "method/inversescope.h"
#include "plugin/registry.h"
#include "run/settings.h"
#include "run/study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static isc_cli describe(int status, const char *const *args) {
  isc_cli c = isc_cli_run(isc_scratch("docs"), args, NULL);
  cr_assert_eq(c.status, status, "%s %s: ended with %d: %s", args[0], args[1], c.status, c.err);
  return c;
}

/* ---- the tables and the pages */

static int64_t entries(const isc_registry_entry *const **list) {
  isc_assert_ok(isc_registry_search_path(NULL, 0));
  isc_assert_ok(isc_registry_add_builtin(isc_method_inversescope_class()));
  isc_assert_ok(isc_registry_scan(0, NULL, NULL));
  return isc_registry_list(0, list);
}

/* Text without what Markdown and roff put around it, and with single blanks: what a reader sees of it. */
static char *seen(const char *s, size_t n) {
  char *out = malloc(n + 1);
  size_t len = 0;
  for (size_t i = 0; i < n; i++) {
    if (s[i] == '\\' && i + 1 < n && s[i + 1] == '&') i += 2;
    if (i < n && s[i] == '\\' && i + 1 < n && s[i + 1] == '[') { /* \[u2026]: not compared */
      while (i < n && s[i] != ']')
        i++;
      continue;
    }
    if (i >= n || strchr("\\`", s[i]) || (s[i] & 0x80)) continue;
    if (n - i > 4 && !memcmp(s + i, "&lt;", 4)) { /* Markdown's */
      out[len++] = '<';
      i += 3;
      continue;
    }
    const bool blank = strchr(" \n\t", s[i]);
    if (blank && len && out[len - 1] == ' ') continue;
    out[len++] = blank ? ' ' : s[i];
  }
  out[len] = '\0';
  return out;
}

/* Is `part` in text[0 … n), as a reader sees them? */
static bool says(const char *text, size_t n, const char *part) {
  char *a = seen(text, n), *b = seen(part, strlen(part));
  const bool found = strstr(a, b) != NULL;
  free(a);
  free(b);
  return found;
}

/* The part of a page from the line `from` to the next that begins with one of two marks. */
static const char *section(const char *page, const char *from, const char *a, const char *b,
                           size_t *n) {
  const char *at = strstr(page, from);
  cr_assert(at, "no \"%s\"", from);
  at += strlen(from);
  const char *end = strstr(at, a), *other = strstr(at, b);
  if (!end || (other && other < end)) end = other;
  *n = end ? (size_t)(end - at) : strlen(at);
  return at;
}

/* A page of the build, or the program's own output: one section with all of a table. */
static void check_table(const char *text, size_t n, const isc_option *options, const char *where,
                        const char *row) {
  for (const isc_option *o = options; o && o->name; o++) {
    char head[96];
    snprintf(head, sizeof head, row, o->name);
    char *whole = strndup(text, n);
    const char *at = strstr(whole, head);
    cr_assert(at, "%s lacks %s", where, o->name);
    cr_assert_null(strstr(at + 1, head), "%s has %s twice", where, o->name);
    const char *end = strstr(at + 1, row[0] == '|' ? "\n" : "\n.It ");
    const size_t len = end ? (size_t)(end - at) : strlen(at);
    cr_assert(says(at, len, o->doc), "%s: %s does not say \"%s\"", where, o->name, o->doc);
    if (o->preset) cr_assert(says(at, len, o->preset), "%s: %s: default", where, o->name);
    if (o->unit) cr_assert(says(at, len, o->unit), "%s: %s: unit", where, o->name);
    for (int i = 0; o->choices && o->choices[i]; i++)
      cr_assert(says(at, len, o->choices[i]), "%s: %s: %s", where, o->name, o->choices[i]);
    free(whole);
  }
}

static const char MARKDOWN[] = "| `%s` |", MAN[] = ".It Ic %s\n";

Test(docs, pages_and_man_page_have_every_option_of_every_class) {
  const isc_registry_entry *const *list = NULL;
  const int64_t n = entries(&list);
  char *man = isc_test_read(isc_test_build("docs"), "inversescope-conf.5", NULL), *page = NULL;
  cr_assert(n > 10);
  for (int64_t i = 0; i < n; i++) {
    const isc_class *c = list[i]->cls;
    char name[96], from[128];
    size_t len;
    const char *kind = isc_kind_name(c->kind);
    snprintf(name, sizeof name, "plugin-%s.md", kind);
    page = isc_test_read(isc_test_build("docs"), name, NULL);
    snprintf(from, sizeof from, "### %s/%s\n", kind, c->name);
    const char *at = section(page, from, "\n### ", "\n## ", &len);
    cr_assert(says(at, len, c->summary), "%s: summary", from);
    check_table(at, len, c->options, from, MARKDOWN);
    free(page);
    snprintf(from, sizeof from, ".Ss %s/", kind);
    /* A dash of a name is written \- there. */
    size_t k = strlen(from);
    for (const char *s = c->name; *s; s++)
      k += (size_t)snprintf(from + k, sizeof from - k, "%s%c", *s == '-' ? "\\" : "", *s);
    snprintf(from + k, sizeof from - k, "\n");
    at = section(man, from, "\n.Ss ", "\n.Sh ", &len);
    check_table(at, len, c->options, from, MAN);
  }
  free(man);
}

static bool names(const char *const *list, const char *name) {
  for (; *list; list++)
    if (!strcmp(*list, name)) return true;
  return false;
}

Test(docs, every_group_of_a_config_is_described) {
  static const struct {
    const char *name;
    const isc_option *options;
  } groups[] = {{"run", isc_run_options},
                {"target", isc_target_options},
                {"prior", isc_prior_options},
                {"features", isc_feature_options},
                {"baselines", isc_baseline_options},
                {"evaluate", isc_evaluate_options},
                {"report", isc_report_options},
                {"pretrain", isc_output_options},
                {"plugin_path", isc_path_options}};
  static const char *const plugins_only[] = {"backend", "kernel", "method", NULL};
  static const char *const *const keys[] = {isc_run_keys, isc_pretrain_keys};
  isc_cli list = describe(0, ARGS("describe", "--list"));
  for (int l = 0; l < 2; l++)
    for (const char *const *k = keys[l]; *k; k++) {
      char line[64];
      snprintf(line, sizeof line, "core/%s\n", *k);
      cr_assert(strstr(list.out, line) || names(plugins_only, *k), "%s is not described", *k);
    }
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
    char name[64];
    snprintf(name, sizeof name, "core/%s", groups[i].name);
    isc_cli markdown = describe(0, ARGS("describe", name, "--markdown")),
            man = describe(0, ARGS("describe", name, "--man"));
    check_table(markdown.out, strlen(markdown.out), groups[i].options, name, MARKDOWN);
    check_table(man.out, strlen(man.out), groups[i].options, name, MAN);
    isc_cli_free(&markdown);
    isc_cli_free(&man);
  }
  isc_cli_free(&list);
}

/* ---- the settings a study really has */

/* Does `describe TOPIC` have an entry "  key"? */
static bool told(const char *topic, const char *key) {
  char line[128];
  isc_cli c = isc_cli_run(isc_scratch("docs"), ARGS("describe", topic), NULL);
  snprintf(line, sizeof line, "\n  %s\n", key);
  const bool found = c.status == 0 && strstr(c.out, line);
  isc_cli_free(&c);
  return found;
}

typedef struct reader {
  char path[4][64]; /* groups that are open */
  int depth;
  int settings;
  const isc_study *study;
} reader;

/* Is the setting `key` of the open groups told by the core's table or by the plugin's? */
static void look_up(const reader *r, const char *key) {
  static const char *const kinds[] = {"target", "prior", "kernel", "method", NULL};
  const isc_class *const classes[] = {r->study->target.cls, r->study->prior_class,
                                      r->study->kernel_class, r->study->method[0].cls};
  char core[80], cls[80], full[160] = "";
  if (r->depth == 0 || !strcmp(key, "plugin")) return;
  for (int i = 1; i < r->depth; i++)
    snprintf(full + strlen(full), sizeof full - strlen(full), "%s.", r->path[i]);
  snprintf(full + strlen(full), sizeof full - strlen(full), "%s", key);
  snprintf(core, sizeof core, "core/%s", r->path[0]);
  if (told(core, full)) return;
  for (int k = 0; kinds[k]; k++) {
    if (strcmp(kinds[k], r->path[0])) continue;
    snprintf(cls, sizeof cls, "%s/%s", kinds[k], classes[k]->name);
    if (told(cls, full)) return;
  }
  cr_assert(false, "%s.%s is told nowhere", r->path[0], full);
}

/* One line of a resolved config: a group begins, a group ends, or a setting. */
static void read_line(reader *r, const char *line) {
  char key[64];
  if (sscanf(line, " %63[a-z_0-9]", key) == 1) {
    const char *value = strchr(line, '=');
    cr_assert(value, "%s", line);
    if (strchr(value, '{')) {
      cr_assert(r->depth < 4);
      snprintf(r->path[r->depth++], sizeof r->path[0], "%s", key);
    } else if (!strchr(value, '(') || strchr(value, ')')) {
      look_up(r, key);
      r->settings++;
    }
  } else if (strchr(line, '}') && !strchr(line, '{') && r->depth > 0) {
    r->depth--;
  }
}

/* A list of groups, whose settings are the classes' own. */
static void drop_list(char *text, const char *begin) {
  char *at = strstr(text, begin);
  if (!at) return;
  char *end = strstr(at, ");");
  cr_assert(end);
  memmove(at, end + 2, strlen(end + 2) + 1);
}

Test(docs, every_setting_of_a_resolved_config_is_described, .timeout = 120) {
  const isc_config_source source = {.path = isc_test_source("conf/ioi-tiny.cfg")};
  isc_study *s = NULL;
  char *text = NULL, *save = NULL;
  isc_assert_ok(isc_study_open(&source, isc_test_dir("docs"), &s));
  isc_assert_ok(isc_config_resolved(s->config, &text));
  reader r = {.study = s};
  drop_list(text, "features = (");
  drop_list(text, "baselines = (");
  for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
    read_line(&r, line);
  cr_assert(r.settings > 60, "only %d settings were read", r.settings);
  free(text);
  isc_study_close(s);
}

/* ---- describe */

Test(docs, describe_names_what_is_near) {
  static const char *const cases[][3] = {{"core/evaluat", "66", "did you mean \"core/evaluate\"?"},
                                         {"core/xyzzy", "66", "the core's are run, target,"},
                                         {"cor/run", "64", "did you mean \"core\"?"},
                                         {"kernle/hard", "64", "did you mean \"kernel\"?"},
                                         {"core", "64", "KIND/NAME"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    isc_cli c = describe(atoi(cases[i][1]), ARGS("describe", cases[i][0]));
    cr_assert(strstr(c.err, cases[i][2]), "%s: %s", cases[i][0], c.err);
    cr_assert_str_empty(c.out);
    isc_cli_free(&c);
  }
  isc_cli two = describe(64, ARGS("describe", "core/run", "--man", "--conf"));
  cr_assert(strstr(two.err, "one form at a time"), "%s", two.err);
  isc_cli_free(&two);
}

/* The core's stanzas with what a study needs beside them are a config, and the defaults are what is set anyway. */
Test(docs, stanzas_of_the_core_read_back) {
  static const char *const groups[] = {"run",      "target", "prior",       "features",
                                       "evaluate", "report", "plugin_path", "pretrain"};
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
    char name[64];
    isc_config *c = NULL;
    snprintf(name, sizeof name, "core/%s", groups[i]);
    isc_cli conf = describe(0, ARGS("describe", name, "--conf"));
    isc_assert_ok(isc_config_parse(conf.out, strlen(conf.out), name, ".", &c));
    /* All of plugin_path is a comment: it has no default. */
    cr_assert_eq(isc_config_has(c, groups[i]), strcmp(groups[i], "plugin_path") != 0, "%s", name);
    isc_config_free(c);
    isc_cli_free(&conf);
  }
}

Test(docs, a_pretrain_config_may_have_a_plugin_path) {
  const char *dir = isc_scratch("docs");
  isc_micro_write(dir);
  char *old = isc_test_read(dir, "pretrain.cfg", NULL), *text = NULL;
  cr_assert(asprintf(&text, "plugin_path = [\".\"];\n%s", old) > 0);
  isc_test_write(dir, "pretrain.cfg", text, strlen(text));
  isc_cli c = isc_cli_run(dir, ARGS("pretrain", "pretrain.cfg", "--set", "pretrain.steps=2"), NULL);
  cr_assert_eq(c.status, 0, "%s", c.err);
  isc_cli_free(&c);
  free(old);
  free(text);
}
