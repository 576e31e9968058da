/* SPDX-License-Identifier: Apache-2.0
 *
 * Running `inversescope conform` and reading its report.
 */
#include "support_conform.h"
#include "support.h"
#include "support_run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void redirect(int fd, const char *path) {
  const int to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (to < 0 || dup2(to, fd) < 0) _exit(126);
  close(to);
}

static int status_of(pid_t pid) {
  int status;
  cr_assert_eq(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static bool has(const char *const *args, const char *what) {
  for (; *args; args++)
    if (!strcmp(*args, what)) return true;
  return false;
}

isc_conformed isc_conform_cli(const char *const *args) {
  isc_conformed c = {0};
  const char *argv[ISC_CONFORM_ARGS] = {isc_test_build("inversescope"), "conform"};
  int n = 0;
  for (; args[n]; n++) {
    cr_assert(n + 3 < ISC_CONFORM_ARGS);
    argv[n + 2] = args[n];
  }
  const char *dir = isc_scratch("conform-output");
  const char *out = isc_test_path(dir, "out"), *err = isc_test_path(dir, "err");
  const pid_t pid = fork();
  cr_assert(pid >= 0);
  if (pid == 0) {
    redirect(1, out);
    redirect(2, err);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
  }
  c.status = status_of(pid);
  c.out = isc_test_read(dir, "out", NULL);
  c.err = isc_test_read(dir, "err", NULL);
  if (has(args, "--json") && c.out[0]) {
    json_error_t why;
    c.json = json_loads(c.out, JSON_REJECT_DUPLICATES, &why);
    cr_assert(c.json, "line %d: %s", why.line, why.text);
  }
  return c;
}

void isc_conformed_free(isc_conformed *c) {
  json_decref(c->json);
  free(c->out);
  free(c->err);
  *c = (isc_conformed){0};
}

const char *isc_mood_plugin(void) {
  static char path[600]; /* lasts longer than the buffers of isc_test_build */
  snprintf(path, sizeof path, "%s", isc_test_build("tests/conform/.libs/process.so"));
  return path;
}

size_t isc_report_plugins(const json_t *report) {
  return json_array_size(json_object_get(report, "plugins"));
}

const json_t *isc_report_plugin(const json_t *report, size_t i) {
  const json_t *p = json_array_get(json_object_get(report, "plugins"), i);
  cr_assert(p, "the report has no plugin %zu", i);
  return p;
}

static const char *text(const json_t *object, const char *key) {
  const char *s = json_string_value(json_object_get(object, key));
  return s ? s : "";
}

static bool is_fine(const char *status) {
  return !strcmp(status, "passed") || !strcmp(status, "skipped");
}

const char *isc_report_status(const json_t *plugin, const char *id, const char *cs,
                              const char **message) {
  const char *found = "absent";
  size_t i;
  json_t *r;
  if (message) *message = "";
  json_array_foreach(json_object_get(plugin, "results"), i, r) {
    if (strcmp(text(r, "id"), id) != 0 || (cs && strcmp(text(r, "case"), cs) != 0)) continue;
    if (strcmp(found, "absent") != 0 && is_fine(text(r, "status"))) continue;
    found = text(r, "status");
    if (message) *message = text(r, "message");
    if (!is_fine(found)) break;
  }
  return found;
}

const char *isc_report_failures(const json_t *plugin) {
  static char all[4096];
  size_t i, n = 0;
  json_t *r;
  all[0] = '\0';
  json_array_foreach(json_object_get(plugin, "results"), i, r) {
    if (is_fine(text(r, "status")) || n + 1 >= sizeof all) continue;
    n += (size_t)snprintf(all + n, sizeof all - n, "%s%s (%s: %.300s)", n ? ", " : "",
                          text(r, "id"), text(r, "status"), text(r, "message"));
  }
  return all;
}
