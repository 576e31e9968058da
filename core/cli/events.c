/* SPDX-License-Identifier: Apache-2.0
 *
 * A run's events as lines for people.
 */
#include "cli/events.h"

#include <stdio.h>
#include <string.h>

static void on_begin(void *user, const char *stage, const char *why) {
  isc_progress_line(user, "%s (%s)", stage, why);
}

static void on_progress(void *user, const char *stage, int64_t done, int64_t total,
                        const isc_metric *m, int64_t n, double seconds) {
  char text[160] = "";
  size_t len = 0;
  for (int64_t i = 0; i < n && i < 4 && len < sizeof text; i++)
    len += (size_t)snprintf(text + len, sizeof text - len, "%s%s %.4g", i ? "  " : "", m[i].name,
                            m[i].value);
  isc_progress_show(user, stage, done, total, text, seconds);
}

static void on_end(void *user, const char *stage, double seconds) {
  if (seconds < 0)
    isc_progress_line(user, "%s (up to date)", stage);
  else
    isc_progress_line(user, "%s done in %.1f s", stage, seconds);
}

static void on_note(void *user, const char *text) {
  isc_progress_line(user, "%s", isc_cli_safe(text));
}

isc_run_events isc_cli_events(isc_progress *p) {
  isc_progress_init(p);
  return (isc_run_events){
      .user = p, .begin = on_begin, .progress = on_progress, .end = on_end, .note = on_note};
}

int isc_cli_parse_source(const isc_command *c, int argc, char **argv, const char **set,
                         isc_run_request *req) {
  const char *value = NULL;
  for (int i = 1; i < argc; i++) {
    if (isc_cli_option(argc, argv, &i, "--set", &value)) {
      if (!value) return isc_cli_usage(c, "--set needs PATH=VALUE");
      set[req->source.n_overrides++] = value;
    } else if (isc_cli_option(argc, argv, &i, "--dir", &req->dir)) {
      if (!req->dir) return isc_cli_usage(c, "--dir needs a directory");
    } else if (!strcmp(argv[i], "--allow-outside-includes")) {
      req->source.allow_outside_includes = true;
    } else if (argv[i][0] == '-') {
      return isc_cli_usage(c, "%s: unknown option", isc_cli_safe(argv[i]));
    } else if (req->source.path) {
      return isc_cli_usage(c, "one config at a time, not also %s", isc_cli_safe(argv[i]));
    } else {
      req->source.path = argv[i];
    }
  }
  req->source.overrides = set;
  return req->source.path ? 0 : isc_cli_usage(c, "which config?");
}
