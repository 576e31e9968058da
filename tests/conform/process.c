/* SPDX-License-Identifier: Apache-2.0
 *
 * A feature that does to its process what the runner of the checks must survive, as its option `mood` says.
 *
 * Not one of the broken plugins of broken.h: what is tried here is the runner and no check.
 */
#include <fcntl.h>
#include <inversescope/feature.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum mood { WELL, CRASH, HANG, EXIT, EXIT_AT_ONCE, PRINT, FORK, FAIL, LITTER, ESCAPE } mood;
static const char *const MOODS[] = {"well",         "crash",  "hang", "exit",
                                    "exit-at-once", "print",  "fork", "fail",
                                    "litter",       "escape", NULL};

typedef struct conf {
  int32_t mood;
  const char *note; /* file that is told the number of a process that stays behind */
} conf;

static const isc_option OPTIONS[] = {{"mood", ISC_OPT_ENUM, 0, offsetof(conf, mood), NULL, "well",
                                      0, 0, MOODS, "What happens on opening."},
                                     {"note", ISC_OPT_PATH, 0, offsetof(conf, note), NULL, NULL, 0,
                                      0, NULL,
                                      "File for the number of a process that stays behind."},
                                     ISC_OPTIONS_END};

static void write_note(const conf *k, pid_t pid) {
  FILE *f = k->note ? fopen(k->note, "w") : NULL;
  if (!f) return;
  fprintf(f, "%ld\n", (long)pid);
  fclose(f);
}

static void hang(void) {
  for (;;)
    pause();
}

static void print(void) {
  for (int i = 0; i < 100000; i++)
    printf("line %d\n", i);
  printf("the \033[31mlast\033[0m line\n");
  fflush(stdout);
  raise(SIGABRT);
}

/* A child with all pipes open that outlives the check. */
static void leave_child(const conf *k) {
  const pid_t pid = fork();
  if (pid == 0) hang();
  write_note(k, pid);
}

/* And one that leaves the group that it would be killed with. */
static void leave_stray(const conf *k) {
  int ready[2];
  char byte;
  if (pipe(ready) != 0) return;
  const pid_t pid = fork();
  if (pid == 0) {
    setsid();
    close(ready[0]);
    close(ready[1]);
    hang();
  }
  close(ready[1]);
  if (read(ready[0], &byte, 1) == 0) write_note(k, pid);
  close(ready[0]);
}

static void litter(void) {
  const int fd = open("litter", O_CREAT | O_WRONLY, 0400);
  if (fd >= 0) close(fd);
}

static isc_status open_feature(const void *settings, const isc_prior *prior, void **self) {
  static int instance;
  const conf *k = settings;
  (void)prior;
  switch ((mood)k->mood) {
  case WELL:
    break;
  case CRASH:
    raise(SIGABRT);
    break;
  case HANG:
    write_note(k, getpid());
    hang();
    break;
  case EXIT:
    exit(0);
  case EXIT_AT_ONCE:
    _exit(7);
  case PRINT:
    print();
    break;
  case FORK:
    leave_child(k);
    break;
  case FAIL:
    return isc_fail(ISC_E_CONFIG, "in a \"bad\" mood\ttoday");
  case ESCAPE:
    leave_stray(k);
    break;
  case LITTER:
    litter();
    break;
  }
  *self = &instance;
  return ISC_OK;
}

static void close_feature(void *self) {
  (void)self;
}

static isc_status label(void *self, const char *text, size_t len, isc_text *out) {
  (void)self;
  return isc_text_set(out, text, len ? 1 : 0);
}

static const isc_feature_ops OPS = {
    .size = sizeof OPS, .open = open_feature, .close = close_feature, .label = label};
static const isc_class CLASS = {
    ISC_CLASS(ISC_FEATURE),    .name = "mood",
    .version = "1.0.0",        .summary = "the first byte, if all goes well",
    .licence = "Apache-2.0",   .options = OPTIONS,
    .conf_size = sizeof(conf), .ops = &OPS};
ISC_PLUGIN("mood", "1.0.0", &CLASS);

#ifdef CRASH_ON_LOADING
static void __attribute__((constructor)) crash(void) {
  raise(SIGABRT);
}
#endif
