/* SPDX-License-Identifier: Apache-2.0
 *
 * The child that loads a plugin on trial.
 *
 * It keeps nothing of its parent's that a plugin's constructor could harm: no open files, no signal
 * handlers, no exit handlers, no terminal. It dies with its parent.
 */
#include "plugin/trial_child.h"
#include "base/base.h"
#include "plugin/loader.h"
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { REPORT = 3, UNHEARD = 120 };

static int report_to; /* the descriptor that leads to the parent */

/* A constructor that calls exit() must not run the handlers that the parent registered. */
static void leave_at_once(int status, void *unused) {
  (void)unused;
  _exit(status);
}

static void default_signals(void) {
  sigset_t none;
  for (int s = 1; s < NSIG; s++)
    signal(s, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The report goes to descriptor 3, nothing else stays open. */
static bool keep_only(int fd) {
  int report = fcntl(fd, F_DUPFD, REPORT), nowhere = open("/dev/null", O_RDWR);
  if (report < 0 || nowhere < 0) return false;
  for (int i = 0; i < REPORT; i++)
    if (dup2(nowhere, i) < 0) return false;
  if (report != REPORT && dup2(report, REPORT) < 0) return false;
  report_to = REPORT;
#ifdef SYS_close_range
  syscall(SYS_close_range, REPORT + 1, ~0u, 0);
#endif
  return true;
}

static bool become_private(pid_t parent, int fd) {
  static const struct rlimit no_core = {0, 0};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(UNHEARD); /* it ended before it could be named */
  setsid();
  setrlimit(RLIMIT_CORE, &no_core);
  default_signals();
  return keep_only(fd) && on_exit(leave_at_once, NULL) == 0;
}

static void send_bytes(const void *from, size_t n) {
  const char *at = from;
  while (n > 0) {
    ssize_t k = write(report_to, at, n);
    if (k <= 0) _exit(UNHEARD);
    at += k;
    n -= (size_t)k;
  }
}

static void send_verdict(char letter, const char *bytes, size_t n) {
  uint32_t size = (uint32_t)n;
  send_bytes(&letter, 1);
  send_bytes(&size, sizeof size);
  send_bytes(bytes, n);
}

static void add(isc_sb *b, const char *s) {
  isc_sb_addn(b, s ? s : "", s ? strlen(s) + 1 : 1);
}

static void describe(const isc_plugin *p, isc_sb *b) {
  add(b, p->name);
  add(b, p->version);
  for (int i = 0; p->classes[i]; i++) {
    const isc_class *c = p->classes[i];
    add(b, isc_kind_name(c->kind));
    add(b, c->name);
    add(b, c->version);
    add(b, c->summary);
    add(b, c->licence);
    add(b, c->source);
  }
}

static noreturn void refuse(const char *reason) {
  send_verdict(ISC_TRIAL_REFUSED, reason, strlen(reason) + 1);
  _exit(0);
}

noreturn void isc_trial_child(pid_t parent, const char *path, int fd) {
  static const char loaded = ISC_TRIAL_LOADED;
  isc_sb b = {0};
  void *library;
  const isc_plugin *p;
  report_to = fd;
  isc_alloc_fail_at(0); /* a test's failing allocations are the parent's */
  if (!become_private(parent, fd))
    refuse("cannot be tried: no process of its own could be set up, is there a /dev/null?");
  if (isc_plugin_load(path, &library) != ISC_OK) refuse(isc_error());
  send_bytes(&loaded, 1);
  if (isc_plugin_read(library, path, &p) != ISC_OK) refuse(isc_error());
  describe(p, &b);
  if (b.failed || b.len > ISC_TRIAL_MAX) refuse("its descriptor is too large");
  send_verdict(ISC_TRIAL_OFFERS, b.s, b.len);
  _exit(0);
}
