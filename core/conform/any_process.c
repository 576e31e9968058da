/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of the process around a plugin: what belongs to the program must be as it was.
 *
 * A plugin shares its process with a study that may have run for days; the working directory, the environment, the
 * locale, the floating-point mode, signals and the standard streams are the program's.
 */
#include "conform/exercise.h"
#include <inversescope/text.h>
#include <fcntl.h>
#include <fenv.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

/* One thing of the process, as text: it is read before and after a cycle. */
typedef isc_status (*probe)(isc_sb *out);

/* The first of the `;`-separated parts in which they differ. */
static isc_status differs(const char *before, const char *after, const char *what) {
  size_t at = 0, part = 0;
  for (; before[at] && before[at] == after[at]; at++)
    if (before[at] == ';') part = at + 1;
  if (!before[at] && !after[at]) return ISC_OK;
  before += part;
  after += part;
  return isc_fail(ISC_E_INTERNAL, "the %s was \"%.*s\" and is \"%.*s\"", what,
                  (int)strcspn(before, ";"), before, (int)strcspn(after, ";"), after);
}

static isc_status unchanged(isc_conform *c, probe look, const char *what) {
  isc_sb before = {0}, after = {0}, out = {0};
  isc_status st = ISC_OK;
  ISC_GO(look(&before));
  ISC_GO(isc_exercise_must(c, c->seed, 1, 1, &out));
  ISC_GO(look(&after));
  isc_sb_addn(&before, "", 1);
  isc_sb_addn(&after, "", 1);
  if (before.failed || after.failed) ISC_GO(isc_fail(ISC_E_NOMEM, "no memory for the %s", what));
  ISC_GO(differs(before.s, after.s, what));
done:
  isc_sb_free(&before);
  isc_sb_free(&after);
  isc_sb_free(&out);
  return st;
}

static isc_status look_cwd(isc_sb *out) {
  char *dir = getcwd(NULL, 0);
  isc_sb_addf(out, "%s", dir ? dir : "(none)");
  free(dir);
  const mode_t mask = umask(0);
  umask(mask);
  isc_sb_addf(out, ", umask %03o", (unsigned)mask);
  return ISC_OK;
}

static isc_status cwd(isc_conform *c) {
  return unchanged(c, look_cwd, "working directory");
}

/* A value may be a secret, and reports are shared: its hash stands for it. */
static isc_status look_environment(isc_sb *out) {
  for (char **e = environ; *e; e++) {
    char hex[33];
    ISC_TRY(isc_text_hash(*e, strlen(*e), hex));
    isc_sb_addf(out, "%.*s=(hash %.8s);", (int)strcspn(*e, "="), *e, hex);
  }
  return ISC_OK;
}

static isc_status environment(isc_conform *c) {
  return unchanged(c, look_environment, "environment");
}

static isc_status look_locale(isc_sb *out) {
  const char *name = setlocale(LC_ALL, NULL);
  isc_sb_addf(
      out, "%s%s, 0.5 is %g", name ? name : "(none)",
      uselocale((locale_t)0) == LC_GLOBAL_LOCALE ? "" : " with a locale of the thread's own", 0.5);
  return ISC_OK;
}

static isc_status locale_kept(isc_conform *c) {
  return unchanged(c, look_locale, "locale");
}

/* Rounding, subnormal numbers and traps. Raised flags are left out: any arithmetic sets them. */
static isc_status look_float(isc_sb *out) {
  volatile double tiny = 0x1p-1074, one = 1;
  volatile float small = 0x1p-149f;
  isc_sb_addf(out, "rounding %d, subnormals %s", fegetround(),
              tiny * one > 0 && small * (float)one > 0 ? "kept" : "flushed to zero");
#ifdef __GLIBC__
  isc_sb_addf(out, ", traps %d", fegetexcept());
#endif
  return ISC_OK;
}

static isc_status fp_mode(isc_conform *c) {
  return unchanged(c, look_float, "floating-point mode");
}

static isc_status look_signals(isc_sb *out) {
  sigset_t mask;
  sigemptyset(&mask);
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  for (int s = 1; s < 32; s++) {
    struct sigaction a;
    if (sigaction(s, NULL, &a) != 0) continue;
    const char *handler = a.sa_handler == SIG_DFL   ? "default"
                          : a.sa_handler == SIG_IGN ? "ignored"
                                                    : "handled";
    isc_sb_addf(out, "signal %d %s%s;", s, handler, sigismember(&mask, s) == 1 ? " blocked" : "");
  }
  return ISC_OK;
}

static isc_status signals(isc_conform *c) {
  return unchanged(c, look_signals, "handling of signals");
}

/* ---- output */

/* Run a cycle with both standard streams going to `file`. */
static isc_status cycle_into(isc_conform *c, int file) {
  isc_sb out = {0};
  fflush(NULL);
  const int kept[2] = {dup(1), dup(2)};
  if (kept[0] < 0 || kept[1] < 0 || dup2(file, 1) < 0 || dup2(file, 2) < 0)
    return isc_fail(ISC_E_IO, "the standard streams could not be turned aside");
  isc_status st = isc_exercise_must(c, c->seed, 1, 1, &out);
  fflush(NULL);
  for (int i = 0; i < 2; i++) {
    dup2(kept[i], i + 1);
    close(kept[i]);
  }
  isc_sb_free(&out);
  return st;
}

static isc_status output(isc_conform *c) {
  char *path = NULL, said[128];
  ISC_TRY(isc_path_join(c->scratch, "output", &path));
  const int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  free(path);
  if (file < 0) return isc_fail(ISC_E_IO, "%s: no file for the output could be made", c->scratch);
  isc_status st = cycle_into(c, file);
  const ssize_t n = pread(file, said, sizeof said - 1, 0);
  close(file);
  if (st != ISC_OK || n <= 0) return st;
  said[n] = 0;
  return isc_fail(ISC_E_INTERNAL, "it printed \"%s\"", said);
}

/* ---- cancellation */

enum { GRACE = 1 }; /* seconds a call may go on after the program was asked to stop */

static void *ask_to_stop(void *arg) {
  usleep(20000);
  *(double *)arg = isc_now();
  isc_cancel(true);
  return NULL;
}

/* One cycle, timed; ending well, or because it was asked to stop. */
static isc_status timed_cycle(isc_conform *c, double *seconds) {
  isc_sb out = {0};
  const double start = isc_now();
  isc_status st = isc_exercise_cycle(c, c->seed, 1, 1, &out);
  *seconds = isc_now() - start;
  isc_sb_free(&out);
  if (st == ISC_OK || st == ISC_E_INTERRUPTED) return ISC_OK;
  return isc_fail_in("asked to stop, it ended in %s instead of ISC_E_INTERRUPTED",
                     isc_status_name(st));
}

static isc_status too_slow(double took, double usual) {
  return isc_fail(ISC_E_INTERNAL,
                  "it went on for %.1f s after it was asked to stop (a whole cycle takes %.2f s)",
                  took, usual);
}

static isc_status cancel(isc_conform *c) {
  double usual, took, asked = 0;
  pthread_t thread;
  ISC_TRY(timed_cycle(c, &usual));
  /* Asked beforehand: a cycle does no more than it needs. The machine may be busy, so its usual time counts. */
  isc_cancel(true);
  isc_status st = timed_cycle(c, &took);
  isc_cancel(false);
  if (st == ISC_OK && took > GRACE + 3 * usual) st = too_slow(took, usual);
  if (st != ISC_OK) return st;
  if (pthread_create(&thread, NULL, ask_to_stop, &asked) != 0)
    return isc_fail(ISC_E_NOMEM, "could not start a thread");
  while (st == ISC_OK && !isc_cancelled())
    st = timed_cycle(c, &took);
  const double end = isc_now();
  pthread_join(thread, NULL);
  isc_cancel(false);
  if (st == ISC_OK && end - asked > GRACE + 3 * usual) st = too_slow(end - asked, usual);
  return st;
}

const isc_check isc_checks_any_process[] = {
    {"any.cwd", ISC_ALL_KINDS, ISC_PER_CASE, 20,
     "The working directory and the umask stay as they are.",
     "Use absolute paths: PATH options come absolute.", cwd},
    {"any.environment", ISC_ALL_KINDS, ISC_PER_CASE, 20,
     "No environment variable is set, changed or removed.",
     "Take settings as options; do not steer another library through the environment.",
     environment},
    {"any.locale", ISC_ALL_KINDS, ISC_PER_CASE, 20, "The locale stays as it is.",
     "Never call setlocale; parse and print numbers with functions that do not depend on it.",
     locale_kept},
    {"any.fp-mode", ISC_ALL_KINDS, ISC_PER_CASE, 20,
     "Rounding, subnormal numbers and floating-point traps stay as they are.",
     "Do not link start-up code of -ffast-math, and restore what you change inside a call before "
     "it returns.",
     fp_mode},
    {"any.signals", ISC_ALL_KINDS, ISC_PER_CASE, 20,
     "Signal handlers and the signal mask stay as they are.",
     "Ask isc_cancelled() instead of catching signals.", signals},
    {"any.output", ISC_ALL_KINDS, ISC_PER_CASE, 20,
     "Nothing is printed to standard output or standard error.",
     "Report by isc_fail; progress goes through the callbacks of the kind.", output},
    {"any.cancel", ISC_ALL_KINDS, ISC_PER_CASE, 60,
     "When the program is asked to stop, a call ends within a second, well or with "
     "ISC_E_INTERRUPTED.",
     "In everything that may take longer than a second ask isc_cancelled() now and then and return "
     "ISC_E_INTERRUPTED.",
     cancel},
    {0}};
