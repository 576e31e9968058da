/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop that starts, hears, times and ends the processes of a run.
 *
 * A job is over when its own process is: children that it left behind may hold its pipes open, so the pipes
 * say nothing. They share its process group, are killed with it, and are waited for, because a process that was sent
 * SIGKILL still writes for a moment; so for the length of a run this process is the one that orphans fall to. Those that left
 * the group are found among its children when no job runs any more.
 */
#include "conform/runner_jobs.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TICK_MS = 20 };

extern char **environ;

typedef struct running {
  isc_job *job; /* NULL = a free place */
  pid_t pid;
  int fd[2]; /* of answer and output, to read; −1 = closed */
  double start;
} running;

typedef struct crew {
  running *place; /* [n] */
  struct pollfd *poll;
  int n;
  char **env;
} crew;

/* ---- scratch directories */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
  (void)st;
  (void)at;
  if (type == FTW_DNR && chmod(path, 0700) != 0) return 0;
  remove(path);
  return 0;
}

void isc_remove_tree(const char *path) {
  enum { OPEN_DIRECTORIES = 16 };
  nftw(path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
}

/* ---- starting */

static isc_status add_pipe(posix_spawn_file_actions_t *a, const int ends[2], int as) {
  return posix_spawn_file_actions_adddup2(a, ends[1], as) == 0
             ? ISC_OK
             : isc_fail(ISC_E_NOMEM, "no memory to start a check");
}

static isc_status spawn(crew *k, running *r, int answer[2], int output[2]) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t all, none;
  isc_status st = ISC_OK;
  sigfillset(&all);
  sigemptyset(&none);
  if (posix_spawn_file_actions_init(&files) != 0 || posix_spawnattr_init(&attributes) != 0)
    return isc_fail(ISC_E_NOMEM, "no memory to start a check");
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  ISC_GO(add_pipe(&files, output, 1));
  ISC_GO(add_pipe(&files, output, 2));
  ISC_GO(add_pipe(&files, answer, ISC_JOB_ANSWER_FD));
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  char **argv = (char **)(uintptr_t)r->job->argv;
  const int why = posix_spawn(&r->pid, argv[0], &files, &attributes, argv, k->env);
  if (why != 0)
    ISC_GO(isc_fail(ISC_E_IO, "%s: cannot be started: %s", r->job->argv[0], strerror(why)));
done:
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  return st;
}

/* Both ends above the standard descriptors and the answer's, so that dup2 in the child clobbers none. */
static isc_status make_pipe(int ends[2]) {
  int raw[2];
  if (pipe2(raw, O_CLOEXEC) != 0)
    return isc_fail(ISC_E_IO, "cannot make a pipe: %s", strerror(errno));
  for (int i = 0; i < 2; i++) {
    ends[i] = fcntl(raw[i], F_DUPFD_CLOEXEC, ISC_JOB_ANSWER_FD + 1);
    close(raw[i]);
  }
  if (ends[0] < 0 || ends[1] < 0)
    return isc_fail(ISC_E_IO, "cannot make a pipe: %s", strerror(errno));
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return ISC_OK;
}

static void close_end(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static isc_status start(crew *k, running *r, isc_job *job) {
  int answer[2] = {-1, -1}, output[2] = {-1, -1};
  isc_status st = ISC_OK;
  *r = (running){.job = job, .fd = {-1, -1}, .start = isc_now()};
  if (job->scratch && mkdir(job->scratch, 0700) != 0)
    ISC_GO(isc_fail(ISC_E_IO, "%s: cannot be made: %s", job->scratch, strerror(errno)));
  ISC_GO(make_pipe(answer));
  ISC_GO(make_pipe(output));
  ISC_GO(spawn(k, r, answer, output));
  r->fd[0] = answer[0];
  r->fd[1] = output[0];
done:
  close_end(&answer[1]);
  close_end(&output[1]);
  if (st == ISC_OK) return st;
  close_end(&answer[0]);
  close_end(&output[0]);
  if (job->scratch) isc_remove_tree(job->scratch);
  r->job = NULL;
  return st;
}

/* ---- hearing */

static void keep_end(isc_sb *b) {
  if (b->len <= 2 * ISC_JOB_OUTPUT_MAX) return;
  memmove(b->s, b->s + b->len - ISC_JOB_OUTPUT_MAX, ISC_JOB_OUTPUT_MAX);
  b->len = ISC_JOB_OUTPUT_MAX;
  b->s[b->len] = '\0';
}

/* What is there now, and no more than a fair share of a process that prints without end. */
static void hear(running *r) {
  enum { SHARE = 64 };
  char part[4096];
  for (int p = 0; p < 2; p++)
    for (int i = 0; i < SHARE && r->fd[p] >= 0; i++) {
      const ssize_t n = read(r->fd[p], part, sizeof part);
      if (n < 0) break;
      if (n == 0) close_end(&r->fd[p]);
      if (p == 1) {
        isc_sb_addn(&r->job->output, part, (size_t)n);
        keep_end(&r->job->output);
      } else if (r->job->answer.len < ISC_JOB_ANSWER_MAX) {
        isc_sb_addn(&r->job->answer, part, (size_t)n);
      }
    }
}

/* ---- ending */

static bool has_ended(const running *r) {
  siginfo_t end = {0};
  if (waitid(P_PID, (id_t)r->pid, &end, WEXITED | WNOHANG | WNOWAIT) != 0) return errno == ECHILD;
  return end.si_pid == r->pid;
}

static int wait_for(pid_t pid, int *status) {
  int found;
  do
    found = waitpid(pid, status, 0);
  while (found < 0 && errno == EINTR);
  return found;
}

/* The whole group goes while its leader still holds the number; its members are ours once the leader is gone. */
static void end(running *r) {
  isc_job *j = r->job;
  int status = 0;
  kill(-r->pid, SIGKILL);
  kill(r->pid, SIGKILL);
  wait_for(r->pid, &status);
  while (wait_for(-r->pid, NULL) > 0) {
  }
  hear(r);
  close_end(&r->fd[0]);
  close_end(&r->fd[1]);
  j->seconds = isc_now() - r->start;
  j->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  j->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  if (j->scratch) isc_remove_tree(j->scratch);
  r->job = NULL;
}

static void wait_for_news(crew *k) {
  int n = 0;
  for (int i = 0; i < k->n; i++)
    for (int p = 0; p < 2 && k->place[i].job; p++)
      k->poll[n++] = (struct pollfd){.fd = k->place[i].fd[p], .events = POLLIN};
  poll(k->poll, (nfds_t)n, TICK_MS);
}

/* Every process that has ended, or whose time is up, leaves its place; the number of those that go on. */
static int look_after(crew *k) {
  int busy = 0;
  for (int i = 0; i < k->n; i++) {
    running *r = &k->place[i];
    if (!r->job) continue;
    hear(r);
    const bool over = has_ended(r);
    r->job->timed_out = !over && isc_now() - r->start > r->job->limit;
    if (over || r->job->timed_out)
      end(r);
    else
      busy++;
  }
  return busy;
}

static isc_status fill_places(crew *k, isc_job *jobs, int64_t n, int64_t *next) {
  for (int i = 0; i < k->n && *next < n; i++)
    if (!k->place[i].job) ISC_TRY(start(k, &k->place[i], &jobs[(*next)++]));
  return ISC_OK;
}

static isc_status work(crew *k, isc_job *jobs, int64_t n) {
  int64_t next = 0;
  for (int busy = 0; busy > 0 || next < n;) {
    if (isc_cancelled()) return isc_fail(ISC_E_INTERRUPTED, "stopped on request");
    ISC_TRY(fill_places(k, jobs, n, &next));
    wait_for_news(k);
    busy = look_after(k);
  }
  return ISC_OK;
}

/* ---- */

/* Children that are no job's: what a plugin started in a session of its own. Without the kernel's list they stay. */
static int end_strays(void) {
  char path[64];
  long pid;
  int n = 0;
  snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
  FILE *f = fopen(path, "re");
  if (!f) return 0;
  while (fscanf(f, "%ld", &pid) == 1) {
    kill((pid_t)pid, SIGKILL);
    wait_for((pid_t)pid, NULL);
    n++;
  }
  fclose(f);
  return n;
}

/* This process's environment, with LD_LIBRARY_PATH led by `dir`; strings and list are the pool's. */
static isc_status make_environment(isc_pool *pool, const char *dir, char ***out) {
  static const char name[] = "LD_LIBRARY_PATH=";
  const char *old = getenv("LD_LIBRARY_PATH");
  size_t n = 0, k = 0;
  void *list;
  char *text, *kept;
  *out = environ;
  if (!dir) return ISC_OK;
  while (environ[n])
    n++;
  ISC_TRY(isc_pool_alloc(pool, n + 2, sizeof **out, "an environment", &list));
  ISC_TRY(isc_asprintf(&text, "%s%s%s%s", name, dir, old ? ":" : "", old ? old : ""));
  isc_status st = isc_pool_strndup(pool, text, strlen(text), &kept);
  free(text);
  ISC_TRY(st);
  char **env = list;
  for (size_t i = 0; i < n; i++)
    if (strncmp(environ[i], name, sizeof name - 1) != 0) env[k++] = environ[i];
  env[k] = kept;
  *out = env;
  return ISC_OK;
}

isc_status isc_jobs_run(isc_job *jobs, int64_t n, int at_once, const char *library_dir) {
  isc_pool pool = {0};
  void *memory;
  crew k = {.n = n < at_once ? (int)n : at_once};
  isc_status st = ISC_OK;
  int was_reaper = 0;
  prctl(PR_GET_CHILD_SUBREAPER, &was_reaper);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  ISC_GO(isc_pool_alloc(&pool, (size_t)k.n, sizeof *k.place, "running checks", &memory));
  k.place = memory;
  ISC_GO(isc_pool_alloc(&pool, 2 * (size_t)k.n, sizeof *k.poll, "running checks", &memory));
  k.poll = memory;
  ISC_GO(make_environment(&pool, library_dir, &k.env));
  ISC_GO(work(&k, jobs, n));
done:
  for (int i = 0; i < k.n && k.place; i++)
    if (k.place[i].job) end(&k.place[i]);
  while (end_strays() > 0) { /* the end of one may make orphans of others */
  }
  prctl(PR_SET_CHILD_SUBREAPER, was_reaper);
  isc_pool_free(&pool);
  return st;
}

void isc_job_free(isc_job *j) {
  isc_sb_free(&j->answer);
  isc_sb_free(&j->output);
}
