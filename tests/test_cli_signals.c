/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about signals to the program: the first asks a run to stop with 75, from where the next run goes on; the second
 * ends it.
 *
 * Nothing here waits for a time: every step waits for what the one before it brings about.
 */
#include "support.h"
#include "support_run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Saving at every step, hundreds of steps take far longer than a signal; without, no time at all. */
static const char STEPS[] = "method.backbone.steps=600", SAVING[] = "run.checkpoint_seconds=0";
static const char *const SETTINGS[] = {STEPS, NULL};

/* The program on dir/study.cfg with its error output to `err`. */
static pid_t start(const char *dir, int err) {
  const char *program = isc_test_build("inversescope");
  const pid_t pid = fork();
  cr_assert(pid >= 0);
  if (pid > 0) return pid;
  const int null = open("/dev/null", O_WRONLY);
  if (dup2(null, 1) < 0 || dup2(err, 2) < 0 || chdir(dir) != 0) _exit(126);
  execl(program, program, "run", "study.cfg", "--set", STEPS, "--set", SAVING, (char *)NULL);
  _exit(127);
}

static void nap(void) {
  usleep(2000);
}

/* Ends the wait, and the test, when the process has ended before what was waited for. */
static void assert_alive(pid_t pid) {
  int status;
  cr_assert_eq(waitpid(pid, &status, WNOHANG), 0, "the program ended early: %x", status);
}

/* Which file a name stands for: a replaced one has another number. 0 = none. */
static ino_t file_at(const char *path) {
  struct stat sb;
  return stat(path, &sb) == 0 ? sb.st_ino : 0;
}

static void wait_for_change(pid_t pid, const char *path, ino_t from) {
  while (file_at(path) == from || file_at(path) == 0) {
    assert_alive(pid);
    nap();
  }
}

/* Does the process catch SIGTERM? */
static bool catches(pid_t pid) {
  char path[64], line[256];
  unsigned long long caught = 0;
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  FILE *f = fopen(path, "r");
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "SigCgt: %llx", &caught) == 1) break;
  if (f) fclose(f);
  return caught >> (SIGTERM - 1) & 1;
}

static bool is_program(pid_t pid) {
  char path[64], exe[1024];
  snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
  const ssize_t n = readlink(path, exe, sizeof exe - 1);
  if (n < 0) return false;
  exe[n] = 0;
  return strstr(exe, "inversescope") && strstr(exe, ".libs/");
}

static int end_of(pid_t pid) {
  int status;
  cr_assert_eq(waitpid(pid, &status, 0), pid);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

Test(cli_signals, a_first_signal_checkpoints_and_the_next_run_goes_on) {
  static const int signals[] = {SIGTERM, SIGINT};
  const char *dir = isc_micro_new("signals");
  char checkpoint[1100];
  snprintf(checkpoint, sizeof checkpoint, "%s/study/backbone/checkpoint.safetensors", dir);
  for (int i = 0; i < 2; i++) {
    const int err = open(isc_test_path(dir, "err"), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    const ino_t before = file_at(checkpoint);
    const pid_t pid = start(dir, err);
    close(err);
    wait_for_change(pid, checkpoint, before);
    cr_assert_eq(kill(pid, signals[i]), 0);
    const int status = end_of(pid);
    cr_assert_eq(status, 75, "ended with %d", status);
    char *told = isc_test_read(dir, "err", NULL);
    cr_assert(strstr(told, "inversescope: stopped after training step"), "%s", told);
    cr_assert(strstr(told, i ? "backbone (resumed)" : "backbone (new)"), "%s", told);
    free(told);
  }
  isc_assert_ok(isc_micro_run(dir, "study", SETTINGS, NULL, NULL));
  isc_assert_ok(isc_micro_run(dir, "whole", SETTINGS, NULL, NULL));
  isc_assert_same_runs(dir, "whole", "study", "stopped twice");
}

/* The program waits to write its first line, because the pipe is full; so it cannot get to where it would stop. */
Test(cli_signals, a_second_signal_ends_the_program) {
  const char *dir = isc_micro_new("signals");
  static const char filler[4096];
  int pipe_fd[2];
  if (access("/proc/self/status", R_OK) != 0) cr_skip_test("SKIPPED: needs /proc");
  cr_assert_eq(pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK), 0);
  while (write(pipe_fd[1], filler, sizeof filler) > 0)
    ;
  while (write(pipe_fd[1], filler, 1) > 0)
    ;
  cr_assert_eq(fcntl(pipe_fd[1], F_SETFL, 0), 0);
  const pid_t pid = start(dir, pipe_fd[1]);
  while (!is_program(pid) || !catches(pid)) {
    assert_alive(pid);
    nap();
  }
  cr_assert_eq(kill(pid, SIGTERM), 0);
  while (catches(pid)) {
    assert_alive(pid);
    nap();
  }
  assert_alive(pid);
  cr_assert_eq(kill(pid, SIGTERM), 0);
  cr_assert_eq(end_of(pid), -SIGTERM);
  close(pipe_fd[0]);
  close(pipe_fd[1]);
}
