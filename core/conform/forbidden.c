/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of forbidden imports.
 *
 * Allowed on purpose: clock_gettime, for deadlines on the monotonic clock; getenv and dlopen, which wrappers of
 * device libraries need; pthread_sigmask, which a library's own threads need.
 */
#include "conform/forbidden.h"
#include <stddef.h>
#include <string.h>

static const struct {
  const char *symbols; /* separated by spaces; one that ends in * stands for all that begin so */
  const char *instead;
} groups[] = {
    {"rand srand rand_r random srandom initstate setstate random_r srandom_r initstate_r "
     "setstate_r drand48 erand48 lrand48 nrand48 mrand48 jrand48 srand48 seed48 lcong48 drand48_r "
     "erand48_r lrand48_r nrand48_r mrand48_r jrand48_r srand48_r seed48_r lcong48_r arc4random "
     "arc4random_buf arc4random_uniform getrandom getentropy _ZNSt13random_device*",
     "draw with isc_rng_at from the seed that the call or `open` gives"},
    {"time gettimeofday ftime timespec_get clock times _ZNSt6chrono3_V212system_clock3nowEv",
     "results may not depend on the time; for a deadline read CLOCK_MONOTONIC with clock_gettime"},
    {"exit _exit _Exit quick_exit abort __assert_fail __assert_perror_fail __assert kill raise "
     "tgkill",
     "return isc_fail(ISC_E_INTERNAL, …): the caller decides what ends (assert is off with "
     "-DNDEBUG)"},
    {"fork vfork _Fork clone posix_spawn posix_spawnp system popen pclose execl execlp execle "
     "execv "
     "execvp execvpe execve execveat fexecve daemon wordexp",
     "link the library that does the work; a process with open devices and threads must not fork"},
    {"setlocale", "use a locale of your own with newlocale and the …_l functions"},
    {"signal sigaction __sysv_signal __bsd_signal bsd_signal sigset sigignore siginterrupt "
     "sigprocmask sigaltstack alarm setitimer ualarm timer_create",
     "ask isc_cancelled() now and then; signals are the program's"},
    {"stdin stdout stderr printf vprintf puts putchar putchar_unlocked putc_unlocked getchar "
     "getchar_unlocked scanf vscanf __isoc99_scanf __isoc99_vscanf __isoc23_scanf __isoc23_vscanf "
     "__printf_chk __vprintf_chk perror psignal err errx verr verrx warn warnx vwarn vwarnx error "
     "error_at_line syslog vsyslog __syslog_chk __vsyslog_chk _ZSt3cin _ZSt4cout _ZSt4cerr "
     "_ZSt4clog _ZSt5wcout _ZSt5wcerr _ZSt5wclog",
     "say what is wrong with isc_fail; output and input are the program's"},
    {"setenv putenv unsetenv clearenv", "take settings from options, give them on as arguments"},
    {"chdir fchdir chroot umask",
     "use absolute paths, which a path option is made into, or openat"},
    {"dlclose", "leave libraries open: code of theirs may still be on some thread's stack"},
};

static int matches(const char *pattern, size_t n, const char *symbol) {
  if (n > 0 && pattern[n - 1] == '*') return strncmp(symbol, pattern, n - 1) == 0;
  return strncmp(symbol, pattern, n) == 0 && symbol[n] == '\0';
}

const char *isc_forbidden_instead(const char *symbol) {
  for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
    for (const char *at = groups[g].symbols; *at;) {
      const size_t n = strcspn(at, " ");
      if (matches(at, n, symbol)) return groups[g].instead;
      at += n + strspn(at + n, " ");
    }
  return NULL;
}
