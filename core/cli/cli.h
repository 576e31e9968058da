/* SPDX-License-Identifier: Apache-2.0
 *
 * The subcommands of the inversescope program, one file each. Only this layer prints and exits.
 */
#ifndef ISC_CORE_CLI_H
#define ISC_CORE_CLI_H

#include "config/config.h"
#include <signal.h>
#include <stdbool.h>

typedef struct isc_command {
  const char *name, *synopsis, *summary;
  const char *help; /* options, one a line */
  int (*run)(int argc, char **argv);
} isc_command;

extern const isc_command isc_command_run, isc_command_plugins, isc_command_describe,
    isc_command_sample, isc_command_pretrain, isc_command_new, isc_command_conform,
    isc_command_generate, isc_command_inspect, isc_command_compare;

/* Print this thread's error as "inversescope: …" and return its exit code. */
int isc_cli_fail(isc_status s);
/* A usage error: prints the message and the command's synopsis; 64. */
int isc_cli_usage(const isc_command *c, const char *fmt, ...) ISC_PRINTF(2, 3);
/* Did argv[*i] match --name (with its value in argv[*i + 1] or after '=')? Advances *i; *value NULL when it is missing. */
bool isc_cli_option(int argc, char **argv, int *i, const char *name, const char **value);
/* Catch SIGINT and SIGTERM in `isc_cli_stop`: the first asks to stop, a second one ends the program. */
void isc_cli_catch_signals(void);
extern volatile sig_atomic_t isc_cli_stop;

/* One updating progress line on a terminal, timed lines elsewhere (stderr). */
typedef struct isc_progress {
  bool terminal;
  double last;
  char stage[64];
  int64_t first_done; /* steps already done when this process began the stage */
  double first_time;
  bool open; /* a line is on the terminal without its newline        */
} isc_progress;
void isc_progress_init(isc_progress *p);
void isc_progress_show(isc_progress *p, const char *stage, int64_t done, int64_t total,
                       const char *metrics, double seconds);
void isc_progress_line(isc_progress *p, const char *fmt, ...) ISC_PRINTF(2, 3);
void isc_progress_close(isc_progress *p);
/* Text of unknown origin made safe for a terminal: control characters become '?'. Static buffer. */
const char *isc_cli_safe(const char *text);
/* The same on standard output, of any length; line ends and tabs stay. */
void isc_cli_print_text(const char *text, size_t len);
/* "1.13 GB", in powers of 1000; "1,234,567". Static buffers, eight of each in turn. */
const char *isc_cli_bytes(double bytes);
const char *isc_cli_count(int64_t n);

#endif
