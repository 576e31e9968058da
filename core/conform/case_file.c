/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding a plugin's case file, and which cases it has.
 *
 * All entries are checked when the file is opened, so that a mistake in it is told once and with its place,
 * before anything runs.
 */
#include "conform/case_file.h"
#include "conform/places.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const isc_option entry_options[] = {{.name = "class",
                                            .type = ISC_OPT_STRING,
                                            .flags = ISC_OPT_REQUIRED,
                                            .offset = offsetof(isc_case_settings, cls),
                                            .doc = "The class, as KIND/NAME."},
                                           {.name = "name",
                                            .type = ISC_OPT_STRING,
                                            .offset = offsetof(isc_case_settings, name),
                                            .doc = "The case's name."},
                                           {.name = "golden",
                                            .type = ISC_OPT_PATH,
                                            .flags = ISC_OPT_MUST_EXIST,
                                            .offset = offsetof(isc_case_settings, golden),
                                            .doc = "A safetensors file with expected values."},
                                           {.name = "texts",
                                            .type = ISC_OPT_STRING_LIST,
                                            .offset = offsetof(isc_case_settings, texts),
                                            .doc = "Inputs to try."},
                                           ISC_OPTIONS_END};
static const char *const entry_groups[] = {"options", "prior", NULL};
static const char *const top_names[] = {"cases", NULL};

isc_status isc_case_read(const isc_case_entry *e, isc_config **out) {
  static const char defaults[] = "cases = ({ });";
  if (e->standing_in)
    return isc_config_parse(defaults, sizeof defaults - 1, "the default case", "/", out);
  return isc_config_load(&(isc_config_source){.path = e->cases->file}, out);
}

isc_status isc_case_settings_of(const isc_case_entry *e, isc_config *c, isc_case_settings *out) {
  char place[48];
  *out = (isc_case_settings){0};
  if (e->standing_in) return ISC_OK;
  snprintf(place, sizeof place, "cases.[%lld]", (long long)e->index);
  return isc_config_fill(c, place, entry_options, entry_groups, out);
}

/* ---- reading the entries */

static bool is_class(const isc_case_entry *e, const isc_class *cls) {
  const char *kind = isc_kind_name(cls->kind);
  const size_t len = strlen(kind);
  return !strncmp(e->cls, kind, len) && e->cls[len] == '/' && !strcmp(e->cls + len + 1, cls->name);
}

/* An entry without a name is called by its place among those of its class. */
static isc_status name_entry(isc_cases *s, isc_case_entry *e, const char *given) {
  int64_t earlier = 0;
  for (const isc_case_entry *o = s->entry; o != e; o++)
    earlier += !strcmp(o->cls, e->cls);
  char made[32], *kept;
  snprintf(made, sizeof made, "case-%lld", (long long)earlier + 1);
  if (!given) given = made;
  for (const char *c = given; *c || c == given; c++)
    if ((unsigned char)*c < 32 || *c == 127)
      return isc_fail(ISC_E_CONFIG, "%s: a case's name must be text of one line", e->where);
  ISC_TRY(isc_pool_strndup(&s->pool, given, strlen(given), &kept));
  e->name = kept;
  for (const isc_case_entry *o = s->entry; o != e; o++)
    if (!strcmp(o->cls, e->cls) && !strcmp(o->name, e->name))
      return isc_fail(ISC_E_CONFIG, "%s: %s has a case \"%s\" already, at %s", e->where, e->cls,
                      e->name, o->where);
  return ISC_OK;
}

static isc_status read_entry(isc_cases *s, int64_t i) {
  isc_case_entry *e = &s->entry[i];
  isc_case_settings settings;
  char place[48];
  snprintf(place, sizeof place, "cases.[%lld]", (long long)i);
  *e = (isc_case_entry){.cases = s, .index = i, .where = isc_config_where(s->text, place)};
  ISC_TRY(isc_case_settings_of(e, s->text, &settings));
  e->cls = settings.cls;
  return name_entry(s, e, settings.name);
}

static isc_status read_file(isc_cases *s) {
  ISC_TRY(isc_config_load(&(isc_config_source){.path = s->file}, &s->text));
  ISC_TRY(isc_config_check_unused(s->text, top_names));
  const int64_t n = isc_config_count(s->text, "cases");
  if (n == 0) return isc_fail(ISC_E_CONFIG, "%s: has no cases = ( { class = …; } )", s->file);
  if (!isc_config_has(s->text, "cases.[0]"))
    return isc_fail(ISC_E_CONFIG, "%s: cases: must be a list ( { class = …; }, … )",
                    isc_config_where(s->text, "cases"));
  ISC_TRY(isc_calloc((size_t)n, sizeof *s->entry, "a case file's entries", (void **)&s->entry));
  for (; s->n < n; s->n++)
    ISC_TRY(read_entry(s, s->n));
  return ISC_OK;
}

/* ---- finding the file */

static isc_status absolute(const char *path, char **out) {
  *out = realpath(path, NULL);
  return *out ? ISC_OK : isc_fail(ISC_E_MISSING, "%s: there is no such case file", path);
}

/* *out = dir/stem + ending when that is there, else NULL. */
static isc_status look(const char *dir, const char *stem, const char *ending, char **out) {
  ISC_TRY(isc_asprintf(out, "%s/%s%s", dir, stem, ending));
  if (isc_exists(*out)) return ISC_OK;
  free(*out);
  *out = NULL;
  return ISC_OK;
}

/* A libtool build leaves the module in .libs, and the author's files one above. */
static isc_status look_beside(const char *plugin, const char *stem, char **out) {
  char *dir = NULL, *parent = NULL;
  isc_status st = ISC_OK;
  *out = NULL;
  ISC_GO(isc_path_dir(plugin, &dir));
  ISC_GO(look(dir, stem, ".conform.cfg", out));
  const char *last = strrchr(dir, '/');
  if (*out || strcmp(last ? last + 1 : dir, ".libs") != 0) goto done;
  ISC_GO(last ? isc_path_dir(dir, &parent) : isc_strdup(".", &parent));
  ISC_GO(look(parent, stem, ".conform.cfg", out));
done:
  free(dir);
  free(parent);
  return st;
}

static isc_status find_file(const char *plugin, const char *stem, const char *given, char **out) {
  char *dir = NULL;
  isc_status st = ISC_OK;
  *out = NULL;
  if (given && isc_is_dir(given)) {
    ISC_TRY(look(given, stem, ".conform.cfg", out));
    return *out ? ISC_OK : look(given, stem, ".cfg", out);
  }
  if (given) return isc_strdup(given, out);
  ISC_TRY(look_beside(plugin, stem, out));
  if (*out) return ISC_OK;
  ISC_TRY(isc_conform_data_dir(&dir));
  if (dir) st = look(dir, stem, ".cfg", out);
  free(dir);
  return st;
}

/* "a/b/target_gpt2.so" and "target/gpt2" have the stem target_gpt2. */
static isc_status stem_of(const char *plugin, char **out) {
  const size_t len = strlen(plugin);
  const bool is_file = len > 3 && !strcmp(plugin + len - 3, ".so");
  const char *base = is_file ? strrchr(plugin, '/') : NULL;
  base = base ? base + 1 : plugin;
  ISC_TRY(isc_asprintf(out, "%.*s", (int)(strlen(base) - (is_file ? 3 : 0)), base));
  for (char *c = *out; *c && !is_file; c++)
    if (*c == '/' || *c == '-') *c = '_';
  return ISC_OK;
}

isc_status isc_cases_open(const char *plugin, const char *given, isc_cases **out) {
  void *memory;
  char *stem = NULL, *file = NULL;
  isc_status st = ISC_OK;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof(isc_cases), "cases", &memory));
  isc_cases *s = memory;
  ISC_GO(stem_of(plugin, &stem));
  ISC_GO(find_file(plugin, stem, given, &file));
  if (file) ISC_GO(absolute(file, &s->file));
  if (file) ISC_GO(read_file(s));
  *out = s;
  s = NULL;
done:
  free(stem);
  free(file);
  isc_cases_free(s);
  return st;
}

void isc_cases_free(isc_cases *s) {
  if (!s) return;
  isc_config_free(s->text);
  isc_pool_free(&s->pool);
  free(s->entry);
  free(s->file);
  free(s);
}

/* ---- asking */

const char *isc_cases_file(const isc_cases *s) {
  return s->file;
}

static const isc_case_entry *entry_at(const isc_cases *s, const isc_class *cls, int64_t i) {
  for (int64_t k = 0; k < s->n; k++)
    if (is_class(&s->entry[k], cls) && i-- == 0) return &s->entry[k];
  return NULL;
}

int64_t isc_cases_count(const isc_cases *s, const isc_class *cls) {
  int64_t n = 0;
  while (entry_at(s, cls, n))
    n++;
  return n ? n : 1;
}

const char *isc_cases_name(const isc_cases *s, const isc_class *cls, int64_t i) {
  const isc_case_entry *e = entry_at(s, cls, i);
  return e ? e->name : "default";
}

isc_status isc_cases_entry(const isc_cases *s, const isc_class *cls, const char *name,
                           isc_case_entry *out) {
  const isc_case_entry *e;
  int64_t i = 0;
  for (; (e = entry_at(s, cls, i)); i++)
    if (!strcmp(e->name, name)) {
      *out = *e;
      return ISC_OK;
    }
  *out = (isc_case_entry){.cases = s, .name = "default", .standing_in = true};
  if (i == 0 && !strcmp(name, "default")) return ISC_OK;
  return isc_fail(ISC_E_MISSING, "%s/%s has no case \"%s\"", isc_kind_name(cls->kind), cls->name,
                  name);
}

const char *isc_cases_stranger(const isc_cases *s, const isc_class *const *classes, int64_t n,
                               int64_t *at, char *message, size_t room) {
  enum { NAMES = 64 };
  char text[NAMES][128];
  const char *names[NAMES + 1] = {NULL};
  for (int64_t k = 0; k < n && k < NAMES; k++) {
    snprintf(text[k], sizeof text[k], "%s/%s", isc_kind_name(classes[k]->kind), classes[k]->name);
    names[k] = text[k];
  }
  while (*at < s->n) {
    const isc_case_entry *e = &s->entry[(*at)++];
    int64_t k = 0;
    while (k < n && !is_class(e, classes[k]))
      k++;
    if (k < n) continue;
    const char *near = isc_nearest_name(e->cls, names);
    snprintf(message, room, "%s: the plugin has no class \"%s\"%s%s%s", e->where, e->cls,
             near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return e->cls;
  }
  return NULL;
}
