/* SPDX-License-Identifier: Apache-2.0
 *
 * The parent's half of a trial: it listens, for five seconds, and understands how the child ended.
 *
 * Nothing that arrives is believed: the constructor of a hostile plugin can write to the pipe itself.
 */
#include "plugin/trial.h"
#include "plugin/trial_child.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIMIT_SECONDS = 5, HEAD = 1 + sizeof(uint32_t) };

typedef struct child {
  const char *path;
  pid_t pid;
  int fd;
  isc_sb heard;
  bool silent; /* nobody writes any more            */
  bool ended;  /* how is in `end`                   */
  siginfo_t end;
} child;

/* Where the verdict starts in what was heard. */
static size_t verdict_at(const child *c) {
  return c->heard.len > 0 && c->heard.s[0] == ISC_TRIAL_LOADED;
}

static bool is_complete(const child *c) {
  uint32_t size;
  size_t at = verdict_at(c);
  if (c->heard.len - at < HEAD) return false;
  memcpy(&size, c->heard.s + at + 1, sizeof size);
  return c->heard.len - at - HEAD >= size;
}

static isc_status hear(child *c) {
  char part[4096];
  while (!c->silent) {
    ssize_t n = read(c->fd, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ISC_OK; /* nothing there now */
    c->silent = n == 0;
    isc_sb_addn(&c->heard, part, (size_t)n);
    if (c->heard.failed)
      return isc_fail(ISC_E_NOMEM, "no memory for what the plugin %s offers", c->path);
    if (c->heard.len > ISC_TRIAL_MAX + HEAD + 1)
      return isc_fail(ISC_E_FORMAT, "%s: its descriptor is too large", c->path);
  }
  return ISC_OK;
}

static void look_whether_ended(child *c) {
  siginfo_t end = {0};
  if (waitid(P_PID, (id_t)c->pid, &end, WEXITED | WNOHANG | WNOWAIT) != 0) {
    /* Without SIGCHLD there is no news of how a child ended. */
    c->ended = errno == ECHILD;
  } else if (end.si_pid == c->pid) {
    c->ended = true;
    c->end = end;
  }
}

static const char *doing(const child *c) {
  return verdict_at(c) ? "reading its descriptor" : "its loading";
}

/* Until the verdict is there, the child has ended, or its time is up. */
static isc_status listen_to(child *c) {
  const double deadline = isc_now() + LIMIT_SECONDS;
  for (;;) {
    struct pollfd p = {.fd = c->silent ? -1 : c->fd, .events = POLLIN};
    look_whether_ended(c); /* before the last words are read, so that none is lost */
    ISC_TRY(hear(c));
    if (is_complete(c) || c->ended) return ISC_OK;
    if (isc_now() > deadline)
      return isc_fail(ISC_E_FORMAT, "%s: %s did not end within %d s", c->path, doing(c),
                      LIMIT_SECONDS);
    poll(&p, 1, 5);
  }
}

/* ---- what was heard */

static isc_status nonsense(const child *c) {
  return isc_fail(ISC_E_FORMAT, "%s: its loading disturbed the process it was tried in", c->path);
}

static isc_status how_it_ended(const child *c) {
  if (c->end.si_code == CLD_KILLED || c->end.si_code == CLD_DUMPED) {
    const char *name = sigabbrev_np(c->end.si_status);
    return isc_fail(ISC_E_FORMAT, "%s: %s crashed (SIG%s)", c->path, doing(c), name ? name : "?");
  }
  if (c->end.si_code == CLD_EXITED)
    return isc_fail(ISC_E_FORMAT, "%s: %s exited with status %d", c->path, doing(c),
                    c->end.si_status);
  return isc_fail(ISC_E_FORMAT, "%s: %s ended the process", c->path, doing(c));
}

/* The next string of [*at, end), or NULL. */
static const char *next(const char **at, const char *end) {
  const char *s = *at, *nul = memchr(s, '\0', (size_t)(end - s));
  if (nul) *at = nul + 1;
  return nul ? s : NULL;
}

static isc_kind kind_named(const char *name) {
  for (int k = 1; k <= ISC_KIND_COUNT; k++)
    if (strcmp(name, isc_kind_name((isc_kind)k)) == 0) return (isc_kind)k;
  return 0;
}

static bool next_class(const char **at, const char *end, isc_class *c) {
  const char *text[6];
  for (int i = 0; i < 6; i++)
    if (!(text[i] = next(at, end))) return false;
  *c = (isc_class){.size = sizeof *c,
                   .kind = kind_named(text[0]),
                   .name = text[1],
                   .version = text[2],
                   .summary = text[3],
                   .licence = text[4],
                   .source = *text[5] ? text[5] : NULL};
  return c->kind != 0;
}

static isc_status read_offers(const child *c, const char *bytes, size_t n, isc_pool *pool,
                              isc_trial *out) {
  char *copy;
  void *memory;
  int64_t strings = 0;
  ISC_TRY(isc_pool_strndup(pool, bytes, n, &copy));
  const char *at = copy, *end = copy + n;
  for (size_t i = 0; i < n; i++)
    strings += copy[i] == '\0';
  if (strings < 2 || copy[n - 1] || (strings - 2) % 6 != 0) return nonsense(c);
  out->plugin = next(&at, end);
  out->version = next(&at, end);
  out->n = (strings - 2) / 6;
  ISC_TRY(isc_pool_alloc(pool, (size_t)out->n, sizeof *out->classes, "plugin classes", &memory));
  isc_class *list = memory;
  out->classes = list;
  for (int64_t i = 0; i < out->n; i++)
    if (!next_class(&at, end, &list[i])) return nonsense(c);
  return ISC_OK;
}

static isc_status understand(const child *c, isc_pool *pool, isc_trial *out) {
  if (!is_complete(c)) return how_it_ended(c);
  const char *verdict = c->heard.s + verdict_at(c), *bytes = verdict + HEAD;
  uint32_t n;
  memcpy(&n, verdict + 1, sizeof n);
  if (verdict[0] == ISC_TRIAL_OFFERS) return read_offers(c, bytes, n, pool, out);
  if (verdict[0] != ISC_TRIAL_REFUSED || n == 0 || bytes[n - 1]) return nonsense(c);
  return isc_fail(ISC_E_FORMAT, "%s", bytes);
}

/* ---- */

static isc_status start(child *c) {
  int ends[2];
  pid_t parent = getpid();
  if (pipe2(ends, O_CLOEXEC) != 0)
    return isc_fail(ISC_E_NOMEM, "cannot make a pipe to try plugins: %s", strerror(errno));
  c->pid = fork();
  if (c->pid == 0) isc_trial_child(parent, c->path, ends[1]);
  int why = errno;
  close(ends[1]);
  c->fd = ends[0];
  if (c->pid < 0)
    return isc_fail(ISC_E_NOMEM, "cannot start a process to try plugins: %s", strerror(why));
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  return ISC_OK;
}

/* The child leads a group: processes that a constructor started end with it. */
static void stop(child *c) {
  if (c->pid > 0) {
    kill(-c->pid, SIGKILL);
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR) {
    }
  }
  if (c->fd >= 0) close(c->fd);
  isc_sb_free(&c->heard);
}

isc_status isc_plugin_trial(const char *path, isc_pool *pool, isc_trial *out) {
  child c = {.path = path, .fd = -1};
  *out = (isc_trial){0};
  isc_status st = start(&c);
  if (st == ISC_OK) st = listen_to(&c);
  if (st == ISC_OK) st = understand(&c, pool, out);
  stop(&c);
  return st;
}
