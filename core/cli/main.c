/* SPDX-License-Identifier: Apache-2.0
 *
 * The inversescope program: finds the subcommand and nothing more.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const isc_command *const commands[] = {&isc_command_run,
                                              &isc_command_sample,
                                              &isc_command_compare,
                                              &isc_command_generate,
                                              &isc_command_inspect,
                                              &isc_command_pretrain,
                                              &isc_command_plugins,
                                              &isc_command_describe,
                                              &isc_command_new,
                                              &isc_command_conform,
                                              NULL};

static void print_help(FILE *f) {
  fputs("usage: inversescope COMMAND [ARGUMENT…]\n\n"
        "Asks what an activation of a language model encodes, by sampling the inputs that produce "
        "it.\n\n",
        f);
  for (int i = 0; commands[i]; i++)
    fprintf(f, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
  fputs("\ninversescope COMMAND --help tells about one command. Exit codes are those of "
        "sysexits(3), and 75\n"
        "for a run that was checkpointed on a signal: run it again to go on. `conform` has its "
        "own.\n",
        f);
}

static const isc_command *find(const char *name) {
  for (int i = 0; commands[i]; i++)
    if (!strcmp(commands[i]->name, name)) return commands[i];
  return NULL;
}

static int unknown(const char *name) {
  const char *names[sizeof commands / sizeof *commands] = {NULL};
  for (int i = 0; commands[i]; i++)
    names[i] = commands[i]->name;
  const char *near = isc_nearest_name(name, names);
  fprintf(stderr, "inversescope: \"%s\": unknown command", isc_cli_safe(name));
  if (near) fprintf(stderr, "; did you mean \"%s\"?", near);
  fputc('\n', stderr);
  return isc_exit_code(ISC_E_USAGE);
}

static bool asks_help(int argc, char **argv) {
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return true;
  return false;
}

static int print_command_help(const isc_command *c) {
  printf("usage: inversescope %s\n\n%s.\n\n%s", c->synopsis, c->summary, c->help);
  return 0;
}

static int dispatch(int argc, char **argv) {
  if (argc < 2) {
    print_help(stderr);
    return isc_exit_code(ISC_E_USAGE);
  }
  if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
    print_help(stdout);
    return 0;
  }
  if (!strcmp(argv[1], "--version")) {
    puts("inversescope " PACKAGE_VERSION);
    return 0;
  }
  const isc_command *c = find(argv[1]);
  if (!c) return unknown(argv[1]);
  if (asks_help(argc - 1, argv + 1)) return print_command_help(c);
  return c->run(argc - 1, argv + 1);
}

int main(int argc, char **argv) {
  int code = dispatch(argc, argv);
  /* A full disk or a closed pipe behind stdout must not look like success. */
  if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0) {
    fprintf(stderr, "inversescope: standard output: %s\n", strerror(errno));
    code = isc_exit_code(ISC_E_IO);
  }
  return code;
}
