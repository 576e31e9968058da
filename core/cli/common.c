/* SPDX-License-Identifier: Apache-2.0
 *
 * What the subcommands share: error lines, option parsing, signals.
 */
#include "base/base.h"
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

volatile sig_atomic_t isc_cli_stop;

int isc_cli_fail(isc_status s) {
  fprintf(stderr, "inversescope: %s\n", isc_cli_safe(isc_error()));
  return isc_exit_code(s);
}

int isc_cli_usage(const isc_command *c, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fputs("inversescope: ", stderr);
  vfprintf(stderr, fmt, ap);
  va_end(ap);
  fprintf(stderr, "\nusage: inversescope %s\n", c->synopsis);
  return isc_exit_code(ISC_E_USAGE);
}

bool isc_cli_option(int argc, char **argv, int *i, const char *name, const char **value) {
  const char *arg = argv[*i];
  const size_t len = strlen(name);
  if (strncmp(arg, name, len)) return false;
  if (arg[len] == '=') {
    *value = arg + len + 1;
    return true;
  }
  if (arg[len]) return false;
  *value = *i + 1 < argc ? argv[++*i] : NULL;
  return true;
}

static void on_signal(int sig) {
  (void)sig;
  isc_cli_stop = 1;
  isc_cancel(true);
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

void isc_cli_catch_signals(void) {
  struct sigaction a = {.sa_handler = on_signal};
  sigemptyset(&a.sa_mask);
  a.sa_flags = SA_RESTART;
  sigaction(SIGINT, &a, NULL);
  sigaction(SIGTERM, &a, NULL);
  signal(SIGPIPE, SIG_IGN);
}

/* Also U+0080 … U+009F, which some terminals obey as they do ESC. */
static bool controls(const unsigned char *c, size_t at) {
  return c[at] < 32 || c[at] == 127 || (c[at] == 0xC2 && c[at + 1] >= 0x80 && c[at + 1] < 0xA0) ||
         (at > 0 && c[at - 1] == 0xC2 && c[at] >= 0x80 && c[at] < 0xA0);
}

const char *isc_cli_safe(const char *text) {
  static char buffer[4][4096];
  static int slot;
  char *b = buffer[slot = (slot + 1) % 4];
  size_t n = 0;
  for (; text[n] && n + 1 < sizeof buffer[0]; n++)
    b[n] = controls((const unsigned char *)text, n) ? '?' : text[n];
  b[n] = 0;
  return b;
}

void isc_cli_print_text(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    const unsigned char c = (unsigned char)text[i],
                        next = i + 1 < len ? (unsigned char)text[i + 1] : 0;
    const bool high = (c == 0xC2 && next >= 0x80 && next < 0xA0) ||
                      (i > 0 && (unsigned char)text[i - 1] == 0xC2 && c >= 0x80 && c < 0xA0);
    const bool control = high || c == 127 || (c < 32 && c != '\n' && c != '\t');
    putchar(control ? '?' : c);
  }
}
