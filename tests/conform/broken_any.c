/* SPDX-License-Identifier: Apache-2.0
 *
 * A feature, and one way each to break what is asked of every kind.
 *
 * The label is the text's first word. A defect shows itself only where its own check looks, so that the other checks
 * pass: hence the counting of instances and calls.
 */
#include "broken.h"
#include <fcntl.h>
#include <fenv.h>
#include <inversescope/feature.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

typedef struct conf {
  int64_t longest;
  double share;
  bool upper;
  const char *except;
  int32_t side;
  isc_list words;
} conf;

static const char *const SIDES[] = {"first", "second", NULL};
static const isc_option OPTIONS[] = {
    {
        "longest",
        ISC_OPT_INT,
        0,
        offsetof(conf, longest),
        "bytes",
        "100",
        1,
        1000,
        NULL,
        "Longest label.",
    },
    {"share", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN, offsetof(conf, share), NULL, "1.0", 0, 1, NULL,
     "Share of the word that is kept."},
    {"upper", ISC_OPT_BOOL, 0, offsetof(conf, upper), NULL, "false", 0, 0, NULL,
     "Begin words at an upper-case letter only."},
    {"except", ISC_OPT_STRING, 0, offsetof(conf, except), NULL, NULL, 0, 0, NULL,
     "A word of letters that is no label."},
    {"side", ISC_OPT_ENUM, 0, offsetof(conf, side), NULL, "first", 0, 0, SIDES,
     "Which half of the word is kept."},
    {"words", ISC_OPT_STRING_LIST, 0, offsetof(conf, words), NULL, NULL, 0, 0, NULL,
     "Words that may be labels; all, when the list is empty."},
    ISC_OPTIONS_END};

typedef struct feature {
  int64_t longest;
  int number; /* of this instance among those of the process */
  pthread_t opener;
} feature;

static int opened, open_now, unused_closed;
static int first_text_seen; /* how often instance 1 was asked for the first text it saw */
static int first_asked;     /* and for any; feature.pure asks it for one text alone     */
static char first_text[64];
static bool used;
static void *volatile lost;

static isc_status open_feature(const void *settings, const isc_prior *prior, void **self) {
  const conf *c = settings;
  (void)prior;
  if (c->except && strpbrk(c->except, " ()"))
    return BROKEN("any.bad-option")
               ? isc_fail(ISC_E_CONFIG, "a bad word")
               : isc_fail(ISC_E_CONFIG, "feature broken: except = \"%s\" is no word", c->except);
  if (BROKEN("any.option-bounds") && c->longest == 1000) *(volatile int *)8 = 1;
  if (BROKEN("any.files") && open("/dev/null", O_RDONLY) < 0) return isc_fail(ISC_E_IO, "no file");
  if (BROKEN("any.leaks") && unused_closed > 20) lost = malloc(64);
  feature *f = malloc(sizeof *f);
  if (!f) return isc_fail(ISC_E_NOMEM, "feature broken: no memory");
  open_now++;
  *f = (feature){.longest = c->longest, .number = ++opened, .opener = pthread_self()};
  *self = f;
  used = false;
  return ISC_OK;
}

static void close_feature(void *self) {
  open_now--;
  unused_closed = used ? 0 : unused_closed + 1; /* in a row */
  free(self);
}

/* What a defect does to the process. Through system calls and pointers where the plain function is forbidden. */
static void disturb(void) {
  static char variable[] = "BROKEN=1", *changed[] = {variable, NULL};
  if (BROKEN("any.cwd")) (void)!syscall(SYS_chdir, "/");
  if (BROKEN("any.environment")) environ = changed;
  if (BROKEN("any.locale")) uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
  if (BROKEN("any.fp-mode")) fesetround(FE_UPWARD);
  if (BROKEN("any.output")) (void)!write(1, "hello\n", 6);
  if (BROKEN("any.signals")) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
  }
  if (BROKEN("any.cancel") && isc_cancelled()) nanosleep(&(struct timespec){.tv_sec = 3}, NULL);
}

/* Does this call give what it should not? */
static bool wrong(const feature *f, const char *text, size_t len) {
  char start[sizeof first_text] = "";
  memcpy(start, text, len < sizeof start - 1 ? len : sizeof start - 1);
  if (BROKEN("any.same-seed")) {
    if (f->number == 1 && !first_text[0]) memcpy(first_text, start, sizeof first_text);
    if (f->number == 1) first_text_seen += strcmp(first_text, start) == 0;
    first_asked += f->number == 1;
    return f->number == 2 && first_text_seen == 2 && first_asked > 2;
  }
  if (BROKEN("any.threads")) return !pthread_equal(f->opener, pthread_self());
  if (BROKEN("any.instances")) return open_now > 1 && f->number > 3;
  return false;
}

static isc_status label(void *self, const char *text, size_t len, isc_text *out) {
  const feature *f = self;
  size_t n = 0;
  used = true;
  disturb();
  if (BROKEN("any.inputs") && len) *(volatile char *)(uintptr_t)text = text[0];
  if (BROKEN("any.guards") && ((const volatile char *)text)[len] == 'x') n = 1;
  if (BROKEN("any.out-of-memory")) {
    volatile char *scratch = malloc(64);
    scratch[0] = 1;
    free((void *)(uintptr_t)scratch);
  }
  if (!isc_text_is_utf8(text, len)) return isc_text_set(out, "", 0);
  while (n < len && (unsigned char)text[n] > ' ' && n < (size_t)f->longest)
    n++;
  while (n < len && ((unsigned char)text[n] & 0xC0) == 0x80)
    n--; /* never inside a character */
  if (wrong(f, text, len)) return isc_text_set(out, "wrong", 5);
  return isc_text_set(out, text, n);
}

static const isc_feature_ops OPS = {
    .size = sizeof OPS, .open = open_feature, .close = close_feature, .label = label};

static const isc_class BROKEN_CLASS = {
    ISC_CLASS(ISC_FEATURE),
    .name = "broken-any",
    .version = "1.0.0",
    .summary = "The first word of a text",
    .licence = "Apache-2.0",
    .source = "the conformance tests",
    .options = OPTIONS,
    .conf_size = sizeof(conf),
    .ops = &OPS,
};

ISC_PLUGIN("broken-any", "1.0.0", &BROKEN_CLASS);
