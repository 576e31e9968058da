/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope-check: the process that does one check, or tells what a plugin offers.
 *
 * It is started by `inversescope conform` and says what it found as one line of JSON. A plugin may crash or end
 * it: then the line is missing, which is an answer too.
 */
#include "conform/checker.h"
#include "conform/memory.h"
#include "conform/places.h"
#include "method/inversescope.h"
#include "plugin/registry.h"
#include <dlfcn.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static const char usage[] =
    "usage: inversescope-check --list PLUGIN\n"
    "       inversescope-check --check ID [--class KIND/NAME] [--case NAME] [--seed N]\n"
    "                          [--scratch DIR] [--cases FILE|DIR] [--result FD] PLUGIN\n\n"
    "PLUGIN is an x.so, or KIND/NAME of a class of the library. The answer goes to standard "
    "output\n"
    "or the descriptor FD. `inversescope conform` runs this for every check of a plugin.\n";

/* A sanitizer, where this is built with one: memory that is not there is an answer, and no reason to die. */
const char *__asan_default_options(void) __attribute__((used, visibility("default")));
const char *__asan_default_options(void) {
  return "allocator_may_return_null=1:detect_leaks=0";
}

/* ---- the command line */

static const char **place_of(isc_checker *k, const char *name, const char **number) {
  if (!strcmp(name, "--check")) return &k->check;
  if (!strcmp(name, "--class")) return &k->cls_name;
  if (!strcmp(name, "--case")) return &k->case_name;
  if (!strcmp(name, "--scratch")) return &k->scratch;
  if (!strcmp(name, "--cases")) return &k->cases_path;
  if (!strcmp(name, "--seed")) return &number[0];
  if (!strcmp(name, "--result")) return &number[1];
  return NULL;
}

static isc_status parse(isc_checker *k, int argc, char **argv) {
  const char *number[2] = {"1", "1"};
  for (int i = 1; i < argc; i++) {
    const char **value = place_of(k, argv[i], number);
    if (!strcmp(argv[i], "--list"))
      k->list = true;
    else if (value && i + 1 < argc)
      *value = argv[++i];
    else if (argv[i][0] != '-' && !k->given)
      k->given = argv[i];
    else
      return isc_fail(ISC_E_USAGE, "%s: unknown argument, or without its value", argv[i]);
  }
  if (!k->given || k->list == (k->check != NULL))
    return isc_fail(ISC_E_USAGE, "a plugin is needed, and either --list or --check");
  k->seed = strtoull(number[0], NULL, 10);
  k->result = atoi(number[1]);
  return ISC_OK;
}

/* ---- what to look at */

static bool is_file_name(const char *s) {
  const size_t n = strlen(s);
  return n > 3 && !strcmp(s + n - 3, ".so");
}

static isc_status search_beside(isc_checker *k) {
  char *dir;
  if (!k->path) return isc_registry_search_path(NULL, 0);
  ISC_TRY(isc_path_dir(k->path, &dir));
  isc_status st = isc_registry_search_path((const char *const[]){dir}, 1);
  free(dir);
  return st;
}

isc_status isc_checker_load(isc_checker *k) {
  if (!k->path) return ISC_OK;
  ISC_TRY(isc_registry_load(k->path));
  void *library = dlopen(k->path, RTLD_NOW | RTLD_LOCAL);
  k->plugin = library ? dlsym(library, "isc_plugin_v1") : NULL;
  return k->plugin ? ISC_OK : isc_fail(ISC_E_MISSING, "%s: its descriptor was lost", k->path);
}

int64_t isc_checker_classes(const isc_checker *k, const isc_class *out[ISC_CHECKER_CLASSES]) {
  const isc_registry_entry *const *e;
  int64_t n = isc_registry_list(0, &e), found = 0;
  for (int64_t i = 0; i < n && found < ISC_CHECKER_CLASSES; i++)
    if (!strcmp(e[i]->path, k->path ? k->path : "(built in)")) out[found++] = e[i]->cls;
  return found;
}

static isc_status find_class(isc_checker *k) {
  const isc_class *classes[ISC_CHECKER_CLASSES];
  const int64_t n = isc_checker_classes(k, classes);
  for (int64_t i = 0; i < n && k->cls_name; i++) {
    const char *kind = isc_kind_name(classes[i]->kind);
    const size_t len = strlen(kind);
    if (!strncmp(k->cls_name, kind, len) && k->cls_name[len] == '/' &&
        !strcmp(k->cls_name + len + 1, classes[i]->name))
      k->cls = classes[i];
  }
  if (!k->cls && !k->cls_name && n == 1) k->cls = classes[0];
  if (k->cls) return ISC_OK;
  return isc_fail(ISC_E_USAGE, "%s: %s: it has no such class", k->given,
                  k->cls_name ? k->cls_name : "--class KIND/NAME is needed");
}

/* ---- the check */

/* An empty directory to be in, so that what a plugin leaves behind is found and removed. */
static isc_status enter_scratch(isc_checker *k) {
  static char made[] = "/tmp/inversescope-check-XXXXXX";
  k->own_scratch = !k->scratch;
  if (k->own_scratch) k->scratch = mkdtemp(made);
  if (!k->scratch || chdir(k->scratch) != 0)
    return isc_fail(ISC_E_IO, "the scratch directory %s cannot be entered",
                    k->scratch ? k->scratch : made);
  return ISC_OK;
}

/* Everything the check is given, as far as its scope goes. */
static isc_status prepare(isc_checker *k, const isc_check *check, isc_conform *c, isc_case *cs) {
  void *conf = NULL;
  *c = (isc_conform){.path = k->path ? k->path : "(built in)",
                     .seed = k->seed,
                     .scratch = k->scratch,
                     .memory = isc_memory_watched()};
  if (check->scope == ISC_PER_PLUGIN) return ISC_OK;
  ISC_TRY(isc_checker_load(k));
  ISC_TRY(find_class(k));
  c->plugin = k->plugin;
  c->cls = k->cls;
  if (check->scope == ISC_PER_CLASS) return ISC_OK;
  if (!k->case_name) k->case_name = isc_cases_name(k->cases, k->cls, 0);
  ISC_TRY(isc_cases_try(k->cases, k->cls, k->case_name));
  ISC_TRY(isc_case_open(k->cases, k->cls, k->case_name, k->seed, cs));
  ISC_TRY(cs->fill(cs, NULL, 0, &conf));
  c->cs = cs;
  c->conf = conf;
  return ISC_OK;
}

static json_t *verdict(const char *status, const char *message) {
  /* A plugin's own words may not be UTF-8. */
  json_t *text = json_string(message);
  if (!text) {
    isc_sb b = {0};
    isc_sb_add_json(&b, message, strlen(message));
    text = b.s ? json_loadb(b.s, b.len, JSON_DECODE_ANY, NULL) : NULL;
    isc_sb_free(&b);
  }
  return json_pack("{ss so*}", "status", status, "message", text);
}

/* A backend cannot be tried where its device is not: the probe says so, and is itself checked everywhere. */
static bool lacks_device(const isc_conform *c, const isc_check *check, char why[256]) {
  if (check->scope != ISC_PER_CASE || c->cls->kind != ISC_BACKEND) return false;
  const isc_backend_ops *ops = c->cls->ops;
  why[0] = '\0';
  return strcmp(check->id, "backend.probe") != 0 && ops->probe(why, 256) == ISC_E_UNSUPPORTED;
}

static json_t *do_check(isc_checker *k) {
  char why[256];
  static isc_conform c;
  static isc_case cs;
  const isc_check *check = isc_check_find(k->check);
  if (!check) {
    isc_fail(ISC_E_USAGE, "%s: there is no such check", k->check);
    return verdict("broken", isc_error());
  }
  if (prepare(k, check, &c, &cs) != ISC_OK) return verdict("broken", isc_error());
  if (lacks_device(&c, check, why)) return verdict("skipped", why);
  isc_error_clear();
  const isc_status st = check->run(&c);
  if (c.memory) c.memory->fail_at(0);
  if (st != ISC_OK) return verdict("failed", isc_error()[0] ? isc_error() : isc_status_name(st));
  return c.skipped ? verdict("skipped", c.why) : verdict("passed", "");
}

/* ---- */

static isc_status set_up(isc_checker *k, int argc, char **argv) {
  ISC_TRY(parse(k, argc, argv));
  if (is_file_name(k->given)) ISC_TRY(isc_conform_absolute(k->given, &k->path));
  ISC_TRY(search_beside(k));
  ISC_TRY(isc_registry_add_builtin(isc_method_inversescope_class()));
  if (isc_cases_open(k->path ? k->path : k->given, k->cases_path, &k->cases) != ISC_OK) {
    ISC_TRY(isc_strdup(isc_error(), &k->cases_error));
    ISC_TRY(isc_cases_open("none/none", NULL, &k->cases));
  }
  return k->check ? enter_scratch(k) : ISC_OK;
}

static int say(int fd, json_t *answer) {
  char *text = answer ? json_dumps(answer, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
  size_t at = 0, len = text ? strlen(text) : 0;
  fflush(NULL);
  if (text) text[len++] = '\n';
  for (ssize_t n; at < len && (n = write(fd, text + at, len - at)) > 0;)
    at += (size_t)n;
  return len > 0 && at == len ? 0 : 1;
}

int main(int argc, char **argv) {
  static const struct rlimit no_core = {0, 0};
  static isc_checker k;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setrlimit(RLIMIT_CORE, &no_core);
  if (set_up(&k, argc, argv) != ISC_OK) {
    if (k.result > STDERR_FILENO) return say(k.result, verdict("broken", isc_error()));
    fprintf(stderr, "inversescope-check: %s\n%s", isc_error(), usage);
    return 2;
  }
  const int status = say(k.result, k.list ? isc_checker_list(&k) : do_check(&k));
  if (k.own_scratch) rmdir(k.scratch);
  /* Neither exit handlers nor destructors of the plugin come after the answer. */
  _exit(status);
}
