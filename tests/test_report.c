/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about reports: hostile text stays text, the numbers shown are the document's, the bytes repeat.
 *
 * The fixture is a hand-made score document whose texts try to break out of HTML, CSV and the terminal.
 */
#include "support.h"

#include "base/base.h"
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

static char *slurp(const char *dir, const char *name) {
  char *path = NULL, *data = NULL;
  size_t len = 0;
  isc_assert_ok(isc_path_join(dir, name, &path));
  isc_assert_ok(isc_read_file(path, 1u << 24, &data, &len));
  free(path);
  return data;
}

static const char *written(void) {
  const char *dir = isc_test_dir("report");
  isc_assert_ok(isc_report_write(isc_test_source("tests/data/score.json"), dir, NULL));
  return dir;
}

Test(report, html_escapes_every_text) {
  char *html = slurp(written(), "report.html");
  cr_assert_null(strstr(html, "<script"));
  cr_assert_null(strstr(html, "<img"));
  cr_assert_null(strstr(html, "<b>&\""), "the run's name is not escaped");
  cr_assert(strstr(html, "&lt;script&gt;alert(1)"));
  cr_assert(strstr(html, "&lt;img src=x"));
  cr_assert_null(strchr(html, 0x1b), "a control character reached the page");
  free(html);
}

Test(report, html_needs_no_network) {
  char *html = slurp(written(), "report.html");
  cr_assert_null(strstr(html, "http://"));
  cr_assert_null(strstr(html, "https://"));
  cr_assert_null(strstr(html, "@import"));
  free(html);
}

Test(report, csv_quotes_and_defuses) {
  char *csv = slurp(written(), "samples.csv");
  cr_assert(strstr(csv, "\"'=cmd|\"\"x\"\","),
            "a formula is not defused or a quote not doubled: %s", csv);
  free(csv);
}

Test(report, csv_has_each_estimator_of_each_site) {
  char *csv = slurp(written(), "fcr.csv");
  int lines = 0;
  for (char *p = csv; *p; p++)
    lines += *p == '\n';
  cr_assert_eq(lines, 1 + 4 * 2 * 4, "header + 4 sites x 2 features x 4 estimators, got %d", lines);
  free(csv);
}

Test(report, heatmaps_of_few_heads_outline_none) {
  char *html = slurp(written(), "report.html");
  int outlined = 0;
  for (char *p = html; (p = strstr(p, "class='top'")); p++)
    outlined++;
  cr_assert_eq(outlined, 0, "all of four heads are the highest: got %d", outlined);
  cr_assert_null(strstr(html, "the 5 highest"));
  cr_assert_null(strstr(html, "<details>"), "four sites are folded away");
  free(html);
}

/* 60 heads whose FCR rises with their number: the last five are outlined, and nothing else. */
Test(report, of_many_heads_five_are_outlined_and_lists_are_folded) {
  const char *dir = isc_test_dir("many");
  isc_sb b = {0};
  char *text = NULL, *path = NULL;
  isc_sb_add(&b, "{\"features\":[{\"name\":\"f\"}],\"sites\":[");
  for (int i = 0; i < 60; i++)
    isc_sb_addf(&b,
                "%s{\"name\":\"h%d\",\"place\":\"head\",\"layer\":%d,\"head\":%d,"
                "\"fcr\":{\"f\":{\"reject\":{\"value\":%g}}}}",
                i ? "," : "", i, i / 12, i % 12, i / 100.0);
  isc_sb_add(&b, "]}");
  isc_assert_ok(isc_sb_finish(&b, &text));
  isc_assert_ok(isc_path_join(dir, "score.json", &path));
  isc_assert_ok(isc_write_file(path, text, strlen(text)));
  isc_assert_ok(isc_report_write(path, dir, NULL));
  char *html = slurp(dir, "report.html");
  int outlined = 0;
  for (char *p = html; (p = strstr(p, "class='top'")); p++) {
    char cell[40], *start = p;
    while (strncmp(start, "<title>", 7) != 0) /* of the cell that the outline is drawn on */
      start--;
    snprintf(cell, sizeof cell, "<title>h%d: %.3f", 55 + outlined, (55 + outlined) / 100.0);
    cr_assert_eq(strncmp(start, cell, strlen(cell)), 0, "%.30s is outlined, not %s", start, cell);
    outlined++;
  }
  cr_assert_eq(outlined, 5);
  cr_assert(strstr(html, "<details><summary>FCR by site (60 sites)</summary>"));
  free(html);
  free(text);
  free(path);
}

Test(report, insight_is_shown_with_its_numbers) {
  char *html = slurp(written(), "report.html"), *csv = slurp(written(), "insight.csv"),
       *words = slurp(written(), "words.csv");
  cr_assert(strstr(html, "+0.510 <span class='sub'>[+0.430, +0.580]</span>"));
  cr_assert(strstr(html, "A&lt;script&gt;</b> stands for first&lt;img src=x&gt; as well"));
  cr_assert(strstr(html, "nothing shown to be above chance"),
            "a site without discoveries does not say so");
  cr_assert(strstr(csv,
                   "\n\"head.0.0\",2,\"'=PLACE = OBJECT\",\"equality\",\"\",2,0.75,0.8,0.05,0.01,"
                   "0.09,200,0.004,0.008,,,\n"),
            "%s", csv);
  cr_assert(
      strstr(csv, "\n\"head.0.3\",2,\"'=PLACE = OBJECT\",\"equality\",\"\",2,0.75,,,,,,,,,,\n"),
      "%s", csv);
  cr_assert(strstr(words, "\n\"head.0.0\",\"<img src=x>\",0.87,0.2,6.5,33\n"), "%s", words);
  free(html);
  free(csv);
  free(words);
}

Test(report, scatter_says_what_its_noisy_samples_are_not) {
  char *html = slurp(written(), "report.html"), *csv = slurp(written(), "scatter.csv");
  cr_assert(strstr(html, "these samples do not follow P(x; ẑ)"));
  cr_assert(strstr(html, "object at head.0.0&lt;script&gt;"));
  cr_assert(strstr(html, "one half at d = 0.125"));
  const char *path = strstr(html, "class='smooth' d='");
  cr_assert_not_null(path);
  path += strlen("class='smooth' d='");
  char *end = strchr(path, '\'');
  int begun = 0;
  for (const char *c = path; c < end; c++)
    begun += *c == 'M';
  cr_assert_eq(begun, 2, "the curve is drawn through where it is not known: %.*s",
               (int)(end - path), path);
  int own = 0, noisy = 0;
  for (char *p = html; (p = strstr(p, "class='own'")); p++)
    own++;
  for (char *p = html; (p = strstr(p, "class='noisy'")); p++)
    noisy++;
  cr_assert(own == 2 && noisy == 1, "%d and %d points", own, noisy);
  cr_assert_str_eq(csv, "site,feature,d,match,noise\n"
                        "\"head.0.0<script>\",\"object\",0.1,1,0\n"
                        "\"head.0.0<script>\",\"object\",0.2,0,0.5\n"
                        "\"head.0.0<script>\",\"object\",0.05,1,0\n");
  free(html);
  free(csv);
}

/* What a figure shows is in a CSV: numbers that need not be read off it. */
Test(report, csvs_hold_curves_labels_and_agreement) {
  const char *dir = written();
  char *curves = slurp(dir, "scatter-curves.csv"), *agreement = slurp(dir, "agreement.csv"),
       *samples = slurp(dir, "samples.csv"), *sites = slurp(dir, "sites.csv");
  cr_assert_eq(
      strncmp(curves, "site,feature,d,rate,effective\n\"head.0.0<script>\",\"object\",", 58), 0,
      "%s", curves);
  cr_assert(strstr(curves, "\"object\",0.5,,2\n"), "%s", curves);
  cr_assert(strstr(agreement, "\"epsilon 0.05\",\"object\",reject,0.875,4,,\n"), "%s", agreement);
  cr_assert(strstr(samples, "sample,\"object\",\"object matches\",\"subject\",\"subject "
                            "matches\"\n"),
            "%s", samples);
  cr_assert(strstr(samples, ",inf,0,") && strstr(sites, ",inf\n"), "infinity is no number: %s",
            samples);
  free(curves);
  free(agreement);
  free(samples);
  free(sites);
}

Test(report, other_bandwidths_are_shown_with_what_they_rest_on) {
  char *html = slurp(written(), "report.html"), *csv = slurp(written(), "ablation.csv");
  cr_assert(strstr(html, "FCR of object, ε = 0.05"));
  cr_assert(strstr(html, "<td>reject</td><td class='n'>0.812</td><td class='n'>7.5</td>"
                         "<td class='n'>0.875</td><td class='n'>–</td>"));
  cr_assert_null(strstr(html, "<td>snis</td>"), "an estimator without numbers has a line");
  cr_assert_str_eq(csv, "epsilon,site,feature,estimator,fcr,lo,hi,ess,conditions,refusal\n"
                        "0.05,\"head.0.0\",\"object\",reject,0.8125,0.7625,0.8625,7.5,190,0.25\n"
                        "0.05,\"head.0.0\",\"object\",exact,0.8125,0.7725,0.8525,300,200,0.25\n");
  free(html);
  free(csv);
}

Test(report, table_shows_the_documents_numbers) {
  char *table = NULL;
  isc_assert_ok(isc_report_table(written(), &table));
  cr_assert(strstr(table, "mean refusal 8.0 % (worst site 19.0 %)"), "%s", table);
  cr_assert(strstr(table, "head.0.3"));
  cr_assert_null(strchr(table, 0x1b));
  free(table);
}

/* Seven features: three tables, each of which fits a terminal, and every number once. */
Test(report, many_features_are_shown_below_each_other) {
  const char *dir = isc_test_dir("wide");
  isc_sb b = {0};
  char *text = NULL, *path = NULL, *table = NULL;
  isc_sb_add(&b, "{\"features\":[");
  for (int i = 0; i < 7; i++)
    isc_sb_addf(&b, "%s{\"name\":\"feature%d\"}", i ? "," : "", i);
  isc_sb_add(&b, "],\"sites\":[{\"name\":\"resid_post.0\",\"fcr\":{");
  for (int i = 0; i < 7; i++)
    isc_sb_addf(&b, "%s\"feature%d\":{\"reject\":{\"value\":0.%d01}}", i ? "," : "", i, i + 1);
  isc_sb_add(&b, "}}]}");
  isc_assert_ok(isc_sb_finish(&b, &text));
  isc_assert_ok(isc_path_join(dir, "score.json", &path));
  isc_assert_ok(isc_write_file(path, text, strlen(text)));
  isc_assert_ok(isc_report_write(path, dir, NULL));
  isc_assert_ok(isc_report_table(dir, &table));
  for (char *line = table, *end; (end = strchr(line, '\n')); line = end + 1)
    cr_assert_leq(end - line, 130, "%.*s", (int)(end - line), line);
  for (int i = 0; i < 7; i++) {
    char value[32], name[32];
    snprintf(value, sizeof value, "0.%d01", i + 1);
    snprintf(name, sizeof name, "feature%d: FCR", i);
    const char *at = strstr(table, value);
    cr_assert(at && !strstr(at + 1, value) && strstr(table, name), "%s of %s", value, table);
  }
  char *html = slurp(dir, "report.html");
  cr_assert_null(strstr(html, "Which head"), "a study without heads has no heatmaps");
  free(html);
  free(table);
  free(text);
  free(path);
}

Test(report, same_scores_same_bytes) {
  static const char *const files[] = {"report.html",  "report.json",        "fcr.csv",
                                      "sites.csv",    "samples.csv",        "curves.csv",
                                      "insight.csv",  "words.csv",          "scatter.csv",
                                      "ablation.csv", "scatter-curves.csv", "agreement.csv"};
  const char *a = written(), *b = written();
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char *x = slurp(a, files[i]), *y = slurp(b, files[i]);
    cr_assert_str_eq(x, y, "%s differs", files[i]);
    free(x);
    free(y);
  }
}

Test(report, missing_and_broken_input) {
  isc_assert_fails(
      isc_report_write(isc_test_source("tests/data/absent.json"), isc_test_dir("r"), NULL),
      ISC_E_MISSING, "absent.json");
  const char *dir = isc_test_dir("broken");
  char *path = NULL;
  isc_assert_ok(isc_path_join(dir, "score.json", &path));
  isc_assert_ok(isc_write_file(path, "{\"a\": 1,", 8));
  isc_assert_fails(isc_report_write(path, dir, NULL), ISC_E_FORMAT, "score.json:1");
  free(path);
}
