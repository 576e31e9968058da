/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of files and descriptors.
 *
 * The file is read as it lies on disk, so that what it exports and imports does not depend on this program; the
 * descriptor is data, so no function of the plugin runs here.
 */
#include "conform/conform.h"
#include "conform/descriptor.h"
#include "conform/forbidden.h"
#include "plugin/elf.h"
#include "plugin/registry.h"
#include <stdlib.h>
#include <string.h>

static bool is_built_in(const isc_conform *c) {
  return strcmp(c->path, "(built in)") == 0;
}

static isc_status skip_built_in(isc_conform *c) {
  return isc_conform_skip(c, "the class is part of the library, not a file of its own");
}

/* ---- loading */

/* A plugin that is not linked with the library loads only where the program brings it. */
static isc_status check_linked(const isc_elf *e) {
  const char *wanted = NULL;
  for (int64_t i = 0; i < e->n_symbols && !wanted; i++)
    if (!e->symbols[i].defined && strncmp(e->symbols[i].name, "isc_", 4) == 0)
      wanted = e->symbols[i].name;
  for (int64_t i = 0; i < e->n_needed; i++)
    if (strncmp(e->needed[i], "libinversescope.so", 18) == 0) return ISC_OK;
  if (!wanted) return ISC_OK;
  return isc_fail(ISC_E_FORMAT,
                  "it uses %s but is not linked with libinversescope: link with the libraries of "
                  "`pkg-config --libs inversescope`",
                  wanted);
}

static isc_status load(isc_conform *c) {
  isc_elf e;
  if (is_built_in(c)) return skip_built_in(c);
  ISC_TRY(isc_registry_load(c->path));
  isc_status st = isc_elf_open(c->path, &e);
  if (st == ISC_OK) st = check_linked(&e);
  if (st == ISC_OK && e.executable_stack)
    st = isc_fail(ISC_E_FORMAT, "it makes every thread's stack executable: link with "
                                "-Wl,-z,noexecstack, and have no nested functions");
  if (st == ISC_OK && e.text_relocations)
    st = isc_fail(ISC_E_FORMAT, "its code is changed while it is loaded: compile all of it with "
                                "-fPIC");
  isc_elf_close(&e);
  return st;
}

/* ---- symbols */

/* Some linkers and sanitizers export names of their own. */
static bool is_the_tools(const char *name) {
  static const char *const names[] = {"_init", "_fini", "_edata", "_end", "__bss_start", NULL};
  for (int i = 0; names[i]; i++)
    if (strcmp(name, names[i]) == 0) return true;
  return strncmp(name, "__odr_asan", 10) == 0;
}

/* "a, b, c and 4 more". */
static void add_name(isc_sb *b, const char *name, int64_t number) {
  enum { SHOWN = 8 };
  if (number < SHOWN) isc_sb_addf(b, "%s%s", number ? ", " : "", name);
  if (number == SHOWN) isc_sb_add(b, ", …");
}

static isc_status check_exports(const isc_elf *e) {
  isc_sb names = {0};
  int64_t n = 0;
  char *text = NULL;
  const isc_elf_symbol *own = isc_elf_find(e, "isc_plugin_v1");
  if (!own || own->function)
    return isc_fail(ISC_E_FORMAT, "it exports no datum isc_plugin_v1: declare it with ISC_PLUGIN");
  for (int64_t i = 0; i < e->n_symbols; i++) {
    const isc_elf_symbol *s = &e->symbols[i];
    if (s->defined && s != own && !is_the_tools(s->name)) add_name(&names, s->name, n++);
  }
  if (n == 0) return ISC_OK;
  ISC_TRY(isc_sb_finish(&names, &text));
  isc_status st = isc_fail(ISC_E_FORMAT,
                           "it exports %lld symbol%s besides isc_plugin_v1: %s; make functions "
                           "static, or compile with -fvisibility=hidden",
                           (long long)n, n == 1 ? "" : "s", text);
  free(text);
  return st;
}

static isc_status check_imports(const isc_elf *e) {
  isc_sb b = {0};
  const char *last = NULL;
  char *text = NULL;
  for (int64_t i = 0; i < e->n_symbols; i++) {
    const isc_elf_symbol *s = &e->symbols[i];
    const char *instead = s->defined ? NULL : isc_forbidden_instead(s->name);
    if (!instead) continue;
    isc_sb_addf(&b, "%s%s", b.len ? "; " : "", s->name);
    if (instead != last) isc_sb_addf(&b, " (%s)", instead);
    last = instead;
  }
  if (b.len == 0) return b.failed ? isc_fail(ISC_E_NOMEM, "no memory for a message") : ISC_OK;
  ISC_TRY(isc_sb_finish(&b, &text));
  isc_status st = isc_fail(ISC_E_FORMAT, "it imports %s", text);
  free(text);
  return st;
}

static isc_status with_elf(isc_conform *c, isc_status (*check)(const isc_elf *)) {
  isc_elf e;
  if (is_built_in(c)) return skip_built_in(c);
  isc_status st = isc_elf_open(c->path, &e);
  if (st == ISC_OK) st = check(&e);
  isc_elf_close(&e);
  return st;
}

static isc_status exports(isc_conform *c) {
  return with_elf(c, check_exports);
}

static isc_status imports(isc_conform *c) {
  return with_elf(c, check_imports);
}

/* ---- descriptors */

static isc_status metadata(isc_conform *c) {
  return isc_descriptor_metadata(c->plugin, c->cls);
}

static isc_status options(isc_conform *c) {
  if (!c->cls->options || !c->cls->options->name) return isc_conform_skip(c, "it has no options");
  return isc_descriptor_options(c->cls);
}

const isc_check isc_checks_any_static[] = {
    {"any.load", ISC_ALL_KINDS, ISC_PER_PLUGIN, 10,
     "The file is a whole shared object that nobody else can change, loads with every symbol "
     "resolved, and describes its classes by the rules without which the core refuses them.",
     "Link with -Wl,-z,defs and libinversescope, so that a missing symbol is an error of the "
     "build. "
     "The message names what is wrong: permissions, a symbol, or a member of a descriptor, such as "
     "a default outside its range.",
     load},
    {"any.exports", ISC_ALL_KINDS, ISC_PER_PLUGIN, 10, "It exports one symbol, isc_plugin_v1.",
     "Any other may clash with that of another plugin. Make functions static, or compile with "
     "-fvisibility=hidden; a static library inside needs -Wl,--exclude-libs,ALL.",
     exports},
    {"any.imports", ISC_ALL_KINDS, ISC_PER_PLUGIN, 10,
     "It imports nothing that ends the process, starts another, prints, reads the time, draws "
     "random numbers of the process, or changes its locale, signals, environment or directory.",
     "Draw with isc_rng_at; report with isc_fail; ask isc_cancelled for signals; take settings "
     "from options. clock_gettime is allowed for deadlines on the monotonic clock.",
     imports},
    {"any.metadata", ISC_ALL_KINDS, ISC_PER_CLASS, 10,
     "Names are words joined by dashes, versions MAJOR.MINOR.PATCH, the summary is one clean line "
     "of several words without a full stop, the licence an SPDX expression, the source clean text "
     "or NULL.",
     "Texts are UTF-8 without control characters, since they are shown on terminals and in "
     "generated pages.",
     metadata},
    {"any.options", ISC_ALL_KINDS, ISC_PER_CLASS, 10,
     "Every option has a doc that is a sentence, a default inside its range, a field of its own "
     "inside the conf struct, a unit only if it is a number, and choices without doubles; options "
     "of a group stand together.",
     "Use offsetof for the offset and end the table with ISC_OPTIONS_END.", options},
    {0}};
