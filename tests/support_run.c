/* SPDX-License-Identifier: Apache-2.0
 *
 * The micro study: its configs, its target, and runs of it in this process, in a child and by the program.
 */
#include "support.h"
#include "support_run.h"

#include "report/report.h"
#include "run/pretrain_run.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const char *isc_test_path(const char *dir, const char *name) {
  static char buffer[8][1024];
  static int slot;
  char joined[1024];
  snprintf(joined, sizeof joined, "%s/%s", dir, name); /* dir may lie in the buffer to be reused */
  slot = (slot + 1) % 8;
  return memcpy(buffer[slot], joined, sizeof joined);
}

char *isc_test_read(const char *dir, const char *name, size_t *len) {
  char *data = NULL;
  size_t n = 0;
  isc_assert_ok(isc_read_file(isc_test_path(dir, name), (size_t)1 << 30, &data, &n));
  if (len) *len = n;
  return data;
}

void isc_test_write(const char *dir, const char *name, const void *data, size_t len) {
  isc_assert_ok(isc_write_file(isc_test_path(dir, name), data, len));
}

const char *isc_scratch(const char *name) {
  char *dir = NULL;
  isc_assert_ok(isc_strdup(isc_test_dir(name), &dir));
  return dir;
}

void isc_micro_write(const char *dir) {
  static const char *const names[] = {"prior.inc", "pretrain.cfg", "study.cfg", NULL};
  for (int i = 0; names[i]; i++) {
    size_t len;
    char *text = isc_test_read(isc_test_source("tests/data/micro"), names[i], &len);
    isc_test_write(dir, names[i], text, len);
    free(text);
  }
}

void isc_micro_pretrain(const char *dir) {
  isc_pretrain_result result = {0};
  char *model = NULL;
  const isc_run_request req = {.source = {.path = isc_test_path(dir, "pretrain.cfg")},
                               .dir = isc_test_path(dir, "pretrain")};
  isc_assert_ok(isc_pretrain_run(&req, &result, &model));
  free(model);
}

const char *isc_micro_new(const char *name) {
  const char *dir = isc_scratch(name);
  isc_micro_write(dir);
  isc_micro_pretrain(dir);
  return dir;
}

isc_status isc_micro_run(const char *dir, const char *run, const char *const *set,
                         const isc_run_events *events, const volatile sig_atomic_t *stop) {
  isc_run_request req = {.source = {.path = isc_test_path(dir, "study.cfg"), .overrides = set},
                         .dir = isc_test_path(dir, run),
                         .report = isc_report_write,
                         .stop = stop};
  char *report = NULL;
  while (set && set[req.source.n_overrides])
    req.source.n_overrides++;
  if (events) req.events = *events;
  const isc_status st = isc_run(&req, &report);
  free(report);
  return st;
}

static int status_of(pid_t pid) {
  int status = 0;
  cr_assert_eq(waitpid(pid, &status, 0), pid);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int isc_micro_run_child(const char *dir, const char *run, const char *const *set,
                        const isc_run_events *events) {
  const pid_t pid = fork();
  cr_assert(pid >= 0);
  if (pid == 0) {
    const isc_status st = isc_micro_run(dir, run, set, events, NULL);
    if (st != ISC_OK)
      isc_write_file(isc_test_path(dir, "child.err"), isc_error(), strlen(isc_error()));
    _exit(isc_exit_code(st));
  }
  return status_of(pid);
}

static void note_stage(void *user, const char *stage, const char *why) {
  char *list = user;
  (void)why;
  snprintf(list + strlen(list), 200 - strlen(list), "%s%s", *list ? " " : "", stage);
}

const char *isc_micro_redone(const char *dir, const char *run, const char *const *set) {
  static char list[200];
  const isc_run_events ev = {.user = list, .begin = note_stage};
  list[0] = 0;
  isc_assert_ok(isc_micro_run(dir, run, set, &ev, NULL));
  return list;
}

/* ---- the program */

static void redirect(int fd, const char *path) {
  const int to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (to < 0 || dup2(to, fd) < 0) _exit(126);
  close(to);
}

isc_cli isc_cli_run(const char *cwd, const char *const *args, void (*before)(void)) {
  isc_cli c = {0};
  const char *argv[32] = {isc_test_build("inversescope")};
  for (int i = 0; args[i] && i < 30; i++)
    argv[i + 1] = args[i];
  const char *dir = isc_scratch("cli-output"), *out = isc_test_path(dir, "out"),
             *err = isc_test_path(dir, "err");
  const pid_t pid = fork();
  cr_assert(pid >= 0);
  if (pid == 0) {
    redirect(1, out);
    redirect(2, err);
    if (chdir(cwd) != 0) _exit(126);
    if (before) before();
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
  }
  c.status = status_of(pid);
  c.out = isc_test_read(dir, "out", NULL);
  c.err = isc_test_read(dir, "err", NULL);
  return c;
}

void isc_cli_free(isc_cli *c) {
  free(c->out);
  free(c->err);
  *c = (isc_cli){0};
}
