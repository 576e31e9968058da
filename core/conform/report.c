/* SPDX-License-Identifier: Apache-2.0
 *
 * A conformance report for people, and for test harnesses that speak TAP.
 */
#include "conform/report.h"
#include <string.h>

/* A control character, or the second byte of one of U+0080 … U+009F, which some terminals obey too. */
static bool is_control(const char *text, const char *at) {
  const unsigned char c = (unsigned char)*at;
  return c < 32 || c == 127 || (at > text && at[-1] == '\xC2' && c >= 0x80 && c < 0xA0);
}

/* Text of a plugin's making: control characters become '?', and lines start with `indent`. */
static void add_lines(isc_sb *b, const char *indent, const char *text) {
  bool fresh = true;
  for (const char *at = text; *at; at++) {
    if (fresh) isc_sb_add(b, indent);
    fresh = *at == '\n';
    isc_sb_addn(b, is_control(text, at) && !fresh && *at != '\t' ? "?" : at, 1);
  }
  if (!fresh) isc_sb_add(b, "\n");
}

static void add_word(isc_sb *b, const char *text) {
  for (const char *at = text; *at; at++)
    isc_sb_addn(b, is_control(text, at) ? "?" : at, 1);
}

void isc_conform_summary(isc_sb *b, const isc_conform_report *r) {
  for (int o = 0; o < ISC_OUTCOMES; o++)
    isc_sb_addf(b, "%s%lld %s", o ? ", " : "", (long long)r->totals[o],
                isc_outcome_name((isc_outcome)o));
}

/* ---- for people */

static void add_labelled(isc_sb *b, const char *label, const char *text) {
  isc_sb_addf(b, "      %-8s", label);
  add_lines(b, "", text);
}

static void add_failure(isc_sb *b, const isc_conform_result *r) {
  char doc[160];
  add_lines(b, "      ", r->message);
  add_labelled(b, "rule", r->check->rule);
  add_labelled(b, "advice", r->check->advice);
  add_labelled(b, "see", isc_check_doc(r->check, doc, sizeof doc));
  add_labelled(b, "replay", r->replay);
  if (!r->output[0]) return;
  isc_sb_add(b, "      it printed\n");
  add_lines(b, "      | ", r->output);
}

static void add_result(isc_sb *b, const isc_conform_result *r) {
  isc_sb_addf(b, "  %-9s %-24s %-24s %-12s", isc_outcome_name(r->outcome), r->check->id, r->cls,
              r->cs);
  if (r->outcome == ISC_SKIPPED) {
    isc_sb_add(b, " ");
    add_lines(b, "", r->message);
    return;
  }
  isc_sb_addf(b, " %6.2f s\n", r->seconds);
  if (r->outcome != ISC_PASSED) add_failure(b, r);
}

static void add_plugin(isc_sb *b, const isc_conform_plugin *p) {
  add_word(b, p->path);
  for (int64_t i = 0; i < p->n_classes; i++) {
    isc_sb_addf(b, "%s%s/%s ", i ? ", " : ": ", p->classes[i].kind, p->classes[i].name);
    add_word(b, p->classes[i].version);
  }
  isc_sb_add(b, "\n");
  if (p->cases_file) add_lines(b, "  cases from ", p->cases_file);
  for (int64_t i = 0; i < p->n_results; i++)
    add_result(b, &p->results[i]);
  if (p->problem) add_lines(b, "  not checked: ", p->problem);
  if (p->n_results == 0 && !p->problem)
    isc_sb_add(b, "  nothing to check: no check asked for is of what was named; those of a whole "
                  "file want its x.so\n");
  isc_sb_add(b, "\n");
}

void isc_conform_text(isc_sb *b, const isc_conform_report *r) {
  for (int64_t i = 0; i < r->n_plugins; i++)
    add_plugin(b, &r->plugins[i]);
  isc_conform_summary(b, r);
  isc_sb_add(b, "\n");
}

/* ---- TAP */

/* In a description '#' starts a directive. */
static void add_description(isc_sb *b, const char *text) {
  for (const char *at = text; *at; at++) {
    if (*at == '#' || *at == '\\') isc_sb_add(b, "\\");
    isc_sb_addn(b, is_control(text, at) ? "?" : at, 1);
  }
}

/* A JSON string is a YAML string too. */
static void add_field(isc_sb *b, const char *name, const char *value) {
  if (!value[0]) return;
  isc_sb_addf(b, "  %s: ", name);
  isc_sb_add_json(b, value, strlen(value));
  isc_sb_add(b, "\n");
}

static void add_diagnostics(isc_sb *b, const isc_conform_result *r) {
  char doc[160];
  isc_sb_add(b, "  ---\n");
  add_field(b, "status", isc_outcome_name(r->outcome));
  add_field(b, "message", r->message);
  add_field(b, "rule", r->check->rule);
  add_field(b, "advice", r->check->advice);
  add_field(b, "see", isc_check_doc(r->check, doc, sizeof doc));
  add_field(b, "replay", r->replay);
  add_field(b, "output", r->output);
  isc_sb_add(b, "  ...\n");
}

static void add_point(isc_sb *b, int64_t number, const isc_conform_plugin *p,
                      const isc_conform_result *r) {
  const char *slash = strrchr(p->path, '/');
  const bool ok = r->outcome == ISC_PASSED || r->outcome == ISC_SKIPPED;
  isc_sb_addf(b, "%s %lld - %s ", ok ? "ok" : "not ok", (long long)number, r->check->id);
  add_description(b, r->cls[0] ? r->cls : slash && p->path[0] == '/' ? slash + 1 : p->path);
  if (r->cs[0]) isc_sb_add(b, " ");
  add_description(b, r->cs);
  if (r->outcome == ISC_SKIPPED) isc_sb_add(b, " # SKIP ");
  if (r->outcome == ISC_SKIPPED) add_description(b, r->message);
  isc_sb_add(b, "\n");
  if (!ok) add_diagnostics(b, r);
}

void isc_conform_tap(isc_sb *b, const isc_conform_report *r) {
  int64_t all = 0, number = 0;
  for (int64_t t = 0; t < r->n_plugins; t++)
    all += r->plugins[t].n_results;
  isc_sb_addf(b, "TAP version 13\n1..%lld%s\n", (long long)all,
              all ? "" : " # SKIP nothing to check");
  for (int64_t t = 0; t < r->n_plugins; t++) {
    const isc_conform_plugin *p = &r->plugins[t];
    add_lines(b, "# ", p->path);
    for (int64_t i = 0; i < p->n_results; i++)
      add_point(b, ++number, p, &p->results[i]);
  }
  isc_sb_add(b, "# ");
  isc_conform_summary(b, r);
  isc_sb_add(b, "\n");
  for (int64_t t = 0; t < r->n_plugins; t++) {
    if (!r->plugins[t].problem) continue;
    isc_sb_add(b, "Bail out! ");
    add_description(b, r->plugins[t].problem);
    isc_sb_add(b, "\n");
    return;
  }
}
