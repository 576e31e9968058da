/* SPDX-License-Identifier: Apache-2.0
 *
 * A comparison document (docs/report.md) as a part of the page and for a terminal.
 */
#include "report/document.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct pair {
  double a, b, difference, lo, hi;
} pair;

static pair pair_of(const json_t *j) {
  const isc_shown d = isc_doc_interval(j, "difference");
  return (pair){isc_doc_num(j, "a"), isc_doc_num(j, "b"), d.value, d.lo, d.hi};
}

/* The rows that both forms show, in this order. */
typedef struct row {
  const char *what, *name; /* shown one after the other */
  pair p;
} row;

const isc_compared isc_compared_refusal[ISC_COMPARED_REFUSALS] = {
    {"fixed", "kernel", "refusal"},
    {"fixed", "cosine", "refusal by cosine distance"},
    {"fixed", "l2", "refusal by normalised L2"},
    {"any", "kernel", "refusal at the best position"},
    {"any", "cosine", "… by cosine distance"},
    {"any", "l2", "… by normalised L2"}};
const isc_compared isc_compared_share[ISC_COMPARED_SHARES] = {
    {"validity", NULL, "validity"},
    {"copies", NULL, "samples that are x̂ itself"},
    {"unanswered", NULL, "x̂ without an accepted sample"}};

typedef void (*row_fn)(isc_sb *b, const row *r);

static void each_row(isc_sb *b, const json_t *doc, row_fn show) {
  size_t i;
  json_t *feature;
  row r = {.name = ""};
  for (int c = 0; c < ISC_COMPARED_REFUSALS; c++) {
    const isc_compared *k = &isc_compared_refusal[c];
    r.p = pair_of(isc_doc_get(isc_doc_get(isc_doc_get(doc, "refusal"), k->key), k->distance));
    r.what = k->name;
    if (!isnan(r.p.difference)) show(b, &r);
  }
  for (int k = 0; k < ISC_COMPARED_SHARES; k++) {
    r.p = pair_of(isc_doc_get(doc, isc_compared_share[k].key));
    r.what = isc_compared_share[k].name;
    if (!isnan(r.p.difference)) show(b, &r);
  }
  json_array_foreach(json_object_get(doc, "features"), i, feature) {
    r.p = pair_of(isc_doc_get(feature, "reject"));
    r.what = "FCR of ";
    r.name = isc_doc_str(feature, "name");
    if (!isnan(r.p.difference)) show(b, &r);
  }
}

static bool excludes_zero(const pair *p) {
  return p->lo > 0 || p->hi < 0;
}

/* ---- what each took */

static const struct {
  const char *key, *name;
} COSTS[] = {{"steps", "training steps"},
             {"examples", "training examples"},
             {"tokens", "training tokens"},
             {"flops", "training FLOP"},
             {"seconds", "training seconds"}};
enum { N_COSTS = sizeof COSTS / sizeof *COSTS };

static void show_cost(const json_t *side, const char *group, const char *key, char out[32]) {
  const double x = isc_doc_num(isc_doc_get(side, group), key);
  if (isnan(x))
    strcpy(out, "–");
  else
    snprintf(out, 32, x < 1e7 && (x >= 100 || x == floor(x)) ? "%.0f" : "%.3g", x);
}

static void show_parameters(const json_t *side, char out[32]) {
  const double x = isc_doc_num(side, "parameters");
  if (isnan(x))
    strcpy(out, "–");
  else
    snprintf(out, 32, "%.0f", x);
}

/* ---- the page */

static void text(isc_sb *b, const char *s) {
  isc_sb_add_html(b, s, strlen(s));
}

static void names_head(isc_sb *b, const json_t *doc, const char *more) {
  isc_sb_add(b, "<div class='wrap'><table><thead><tr><th></th><th class='n'>");
  text(b, isc_doc_str(isc_doc_get(doc, "a"), "name"));
  isc_sb_add(b, "</th><th class='n'>");
  text(b, isc_doc_str(isc_doc_get(doc, "b"), "name"));
  isc_sb_addf(b, "</th>%s</tr></thead><tbody>\n", more);
}

static void cost_row(isc_sb *b, const char *name, const char *x, const char *y) {
  isc_sb_addf(b, "<tr><td>%s</td><td class='n'>%s</td><td class='n'>%s</td></tr>\n", name, x, y);
}

static void cost_table(isc_sb *b, const json_t *doc) {
  const json_t *one = isc_doc_get(doc, "a"), *two = isc_doc_get(doc, "b");
  char x[32], y[32];
  names_head(b, doc, "");
  show_parameters(one, x);
  show_parameters(two, y);
  cost_row(b, "trained parameters", x, y);
  for (int i = 0; i < N_COSTS; i++) {
    show_cost(one, "training", COSTS[i].key, x);
    show_cost(two, "training", COSTS[i].key, y);
    cost_row(b, COSTS[i].name, x, y);
  }
  show_cost(one, "sampling", "flops", x);
  show_cost(two, "sampling", "flops", y);
  cost_row(b, "sampling FLOP", x, y);
  isc_sb_add(b, "</tbody></table></div>\n");
}

/* A baseline's config says what it was held to; of two runs it is not known. */
static void budget_note(isc_sb *b, const json_t *doc) {
  const char *budget = isc_doc_str(doc, "budget");
  if (!*budget) return;
  isc_sb_add(b, "<p class='sub'>");
  text(b, isc_doc_str(isc_doc_get(doc, "b"), "name"));
  if (!strcmp(budget, "none")) {
    isc_sb_add(b, " was held to no budget: it trained for the steps of its own settings.</p>\n");
    return;
  }
  isc_sb_addf(b, " was given as many %s as the training of ", budget);
  text(b, isc_doc_str(isc_doc_get(doc, "a"), "name"));
  isc_sb_add(b, " took, and no more steps than its own settings.</p>\n");
}

static void score_row(isc_sb *b, const row *r) {
  isc_sb_add(b, "<tr><td>");
  text(b, r->what);
  text(b, r->name);
  const bool bold = excludes_zero(&r->p);
  isc_sb_addf(b,
              "</td><td class='n'>%.3f</td><td class='n'>%.3f</td><td class='n'>%+.3f</td><td "
              "class='n'>%s[%+.3f, %+.3f]%s</td></tr>\n",
              r->p.a, r->p.b, isc_shown_sign(r->p.difference, 5e-4), bold ? "<b>" : "", r->p.lo,
              r->p.hi, bold ? "</b>" : "");
}

static void agreement(isc_sb *b, const json_t *doc) {
  size_t i;
  json_t *feature;
  char rho[16];
  isc_sb_add(b, "<p class='sub'>Over sites, by feature. ");
  json_array_foreach(json_object_get(doc, "features"), i, feature) {
    const double ea = isc_doc_num(feature, "error_a"), eb = isc_doc_num(feature, "error_b");
    isc_sb_add(b, i ? " · " : "");
    text(b, isc_doc_str(feature, "name"));
    isc_show_number(isc_doc_num(feature, "spearman"), rho);
    isc_sb_addf(b, ": rank correlation %s", rho);
    if (isc_doc_top(doc))
      isc_sb_addf(b, ", %.0f of the top %d the same", isc_doc_num(feature, "shared_top"),
                  ISC_TOP_SITES);
    if (!isnan(ea) && !isnan(eb)) isc_sb_addf(b, ", mean |reject − exact| %.3f and %.3f", ea, eb);
  }
  isc_sb_add(b, ".</p>\n");
}

/* Values of a setting are short; those of a hash say nothing. */
static bool is_hash(const char *key) {
  const size_t n = strlen(key);
  return n > 5 && !strcmp(key + n - 5, ".hash");
}

static const char *meaning(const char *key) {
  return !strcmp(key, "target.hash")  ? "their targets: the same site is not the same activation"
         : !strcmp(key, "prior.hash") ? "what their priors draw, or which of it they hold out"
                                      : key;
}

static char *value_of(const json_t *d, const char *side) {
  return json_dumps(json_object_get(d, side), JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
}

static void differences(isc_sb *b, const json_t *doc) {
  size_t i;
  json_t *d;
  if (!json_array_size(json_object_get(doc, "differences"))) return;
  isc_sb_add(b, "<p class='sub'>The two differ in ");
  json_array_foreach(json_object_get(doc, "differences"), i, d) {
    const char *key = isc_doc_str(d, "key");
    char *x = value_of(d, "a"), *y = value_of(d, "b");
    isc_sb_add(b, i ? "; <b>" : "<b>");
    text(b, meaning(key));
    isc_sb_add(b, "</b>");
    if (!is_hash(key)) {
      isc_sb_add(b, " (");
      text(b, x ? x : "?");
      isc_sb_add(b, " and ");
      text(b, y ? y : "?");
      isc_sb_add(b, ")");
    }
    free(x);
    free(y);
  }
  isc_sb_add(b, ".</p>\n");
}

void isc_html_comparison(isc_sb *b, const json_t *doc) {
  isc_sb_add(b, "<h2>");
  text(b, isc_doc_str(isc_doc_get(doc, "a"), "name"));
  isc_sb_add(b, " and ");
  text(b, isc_doc_str(isc_doc_get(doc, "b"), "name"));
  isc_sb_addf(
      b,
      "</h2><p class='sub'>On the same %.0f held-out inputs at the same sites; differences are "
      "paired, with 95 %% intervals over those inputs, in bold where they leave out 0.</p>\n",
      isc_doc_num(doc, "conditions"));
  differences(b, doc);
  isc_sb_add(b, "<div class='row'>");
  isc_svg_histograms(b, doc);
  isc_sb_add(b, "</div>\n");
  names_head(b, doc, "<th class='n'>difference</th><th class='n'>95 % interval</th>");
  each_row(b, doc, score_row);
  isc_sb_add(b, "</tbody></table></div>\n");
  agreement(b, doc);
  isc_sb_add(b, "<h3>What each took</h3>");
  budget_note(b, doc);
  cost_table(b, doc);
}

/* ---- the terminal */

static bool goes_on(const char *s) { /* in the middle of a character */
  return ((unsigned char)*s & 0xC0) == 0x80;
}

/* At most so many characters of a text of unknown origin, in one line. */
static void safe(isc_sb *b, const char *s, size_t most) {
  for (; *s && most; s++) {
    isc_sb_addn(b, (unsigned char)*s < 32 || *s == 127 ? "?" : s, 1);
    most -= most && !goes_on(s + 1);
  }
}

/* Marks such as the hat of x̂ (U+0300 to U+036F) stand on the character before. */
static bool is_mark(const char *s) {
  const unsigned char a = (unsigned char)s[0], b = (unsigned char)s[1];
  return a == 0xCC || (a == 0xCD && b < 0xB0);
}

static size_t characters(const char *s) {
  size_t n = 0;
  for (; *s; s++)
    n += !goes_on(s) && !is_mark(s);
  return n;
}

static void terminal_row(isc_sb *b, const row *r) {
  const size_t name = characters(r->name), shown = characters(r->what) + (name < 60 ? name : 60);
  isc_sb_add(b, r->what);
  safe(b, r->name, 60);
  isc_sb_addf(b, "%*s %8.3f %8.3f %+9.3f  [%+.3f, %+.3f]%s\n", shown < 30 ? (int)(30 - shown) : 0,
              "", r->p.a, r->p.b, isc_shown_sign(r->p.difference, 5e-4), r->p.lo, r->p.hi,
              excludes_zero(&r->p) ? "  *" : "");
}

static void side_line(isc_sb *b, const char *which, const json_t *side) {
  const json_t *t = isc_doc_get(side, "training");
  char parameters[32], x[32];
  show_parameters(side, parameters);
  isc_sb_addf(b, "%s  ", which);
  safe(b, isc_doc_str(side, "name"), 80);
  isc_sb_addf(b, ": %s parameters", parameters);
  for (int i = 0; json_is_object(t) && i < N_COSTS; i++) {
    show_cost(side, "training", COSTS[i].key, x);
    isc_sb_addf(b, ", %s %s", x, COSTS[i].key);
  }
  isc_sb_add(b, json_is_object(t) ? " of training\n" : "\n");
}

static void terminal_differences(isc_sb *b, const json_t *doc) {
  size_t i;
  json_t *d;
  json_array_foreach(json_object_get(doc, "differences"), i, d) {
    const char *key = isc_doc_str(d, "key");
    char *x = value_of(d, "a"), *y = value_of(d, "b");
    isc_sb_add(b, "differ in ");
    safe(b, meaning(key), 80);
    if (!is_hash(key)) {
      isc_sb_add(b, ": ");
      safe(b, x ? x : "?", 80);
      isc_sb_add(b, " and ");
      safe(b, y ? y : "?", 80);
    }
    isc_sb_add(b, "\n");
    free(x);
    free(y);
  }
}

static void terminal_features(isc_sb *b, const json_t *doc) {
  size_t i;
  json_t *f;
  char rho[16];
  json_array_foreach(json_object_get(doc, "features"), i, f) {
    const double ea = isc_doc_num(f, "error_a"), eb = isc_doc_num(f, "error_b");
    safe(b, isc_doc_str(f, "name"), 60);
    isc_show_number(isc_doc_num(f, "spearman"), rho);
    isc_sb_addf(b, ": rank correlation of sites %s", rho);
    if (isc_doc_top(doc))
      isc_sb_addf(b, ", %.0f of the top %d shared", isc_doc_num(f, "shared_top"), ISC_TOP_SITES);
    if (!isnan(ea) && !isnan(eb)) isc_sb_addf(b, "; |reject - exact| mean %.3f and %.3f", ea, eb);
    isc_sb_add(b, "\n");
  }
}

void isc_terminal_comparison(isc_sb *b, const json_t *doc) {
  size_t i;
  json_t *site;
  side_line(b, "a", isc_doc_get(doc, "a"));
  side_line(b, "b", isc_doc_get(doc, "b"));
  terminal_differences(b, doc);
  isc_sb_addf(b, "\n%-30s %8s %8s %9s  95 %% interval, %.0f held-out inputs\n", "means over sites",
              "a", "b", "a - b", isc_doc_num(doc, "conditions"));
  each_row(b, doc, terminal_row);
  isc_sb_add(b, "\n");
  terminal_features(b, doc);
  isc_sb_addf(b, "\n%-30s %8s %8s %9s\n", "refusal by site", "a", "b", "a - b");
  json_array_foreach(json_object_get(doc, "sites"), i, site) {
    const row r = {
        .what = "", .name = isc_doc_str(site, "name"), .p = pair_of(isc_doc_get(site, "refusal"))};
    if (!isnan(r.p.difference)) terminal_row(b, &r);
  }
}
