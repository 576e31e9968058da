/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of a plugin need: the class under test, its settings, and checks.
 *
 * A test is a program that ends with 0, or with 1 and a message. `make check` runs it with INVERSESCOPE_PLUGIN, the
 * plugin's path, and INVERSESCOPE_PLUGIN_PATH, its directory, in the environment.
 */
#ifndef PLUGIN_TEST_H
#define PLUGIN_TEST_H

#include <inversescope/plugin.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(fact)    plugin_check((fact), #fact, "", __FILE__, __LINE__)
#define CHECK_OK(call) plugin_check((call) == ISC_OK, #call, isc_error(), __FILE__, __LINE__)

static inline void plugin_check(bool ok, const char *what, const char *why, const char *file,
                                int line) {
  if (ok) return;
  fprintf(stderr, "%s:%d: does not hold: %s  %s\n", file, line, what, why);
  exit(1);
}

/* The plugin's first class of a kind. */
static inline const isc_class *plugin_class(isc_kind kind) {
  const char *path = getenv("INVERSESCOPE_PLUGIN");
  void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  if (!library) fprintf(stderr, "%s\n", path ? dlerror() : "INVERSESCOPE_PLUGIN is not set");
  CHECK(library != NULL);
  const isc_plugin *plugin = (const isc_plugin *)dlsym(library, "isc_plugin_v1");
  CHECK(plugin != NULL);
  for (int i = 0; plugin->classes[i]; i++)
    if (plugin->classes[i]->kind == kind) return plugin->classes[i];
  CHECK(!"the plugin has a class of this kind");
  return NULL;
}

static inline void plugin_set_value(const isc_option *o, const char *text, void *field) {
  int32_t choice = 0;
  switch (o->type) {
  case ISC_OPT_BOOL:
    *(bool *)field = strcmp(text, "true") == 0;
    break;
  case ISC_OPT_INT:
    *(int64_t *)field = strtoll(text, NULL, 10);
    break;
  case ISC_OPT_FLOAT:
    *(double *)field = strtod(text, NULL);
    break;
  case ISC_OPT_STRING:
  case ISC_OPT_PATH:
    *(const char **)field = text;
    break;
  case ISC_OPT_ENUM:
    while (o->choices[choice] && strcmp(o->choices[choice], text))
      choice++;
    CHECK(o->choices[choice] != NULL);
    *(int32_t *)field = choice;
    break;
  default:
    CHECK(!"a list has to be set by the test itself");
  }
}

/* Set an option as a config would. */
static inline void plugin_set(const isc_class *cls, void *conf, const char *name,
                              const char *text) {
  const isc_option *o = cls->options;
  while (o->name && strcmp(o->name, name))
    o++;
  CHECK(o->name != NULL);
  plugin_set_value(o, text, (char *)conf + o->offset);
}

/* The class's settings at their defaults, lists empty; freed by the caller. */
static inline void *plugin_conf(const isc_class *cls) {
  void *conf = calloc(1, cls->conf_size ? cls->conf_size : 1);
  CHECK(conf != NULL);
  for (const isc_option *o = cls->options; o && o->name; o++)
    if (o->preset && o->type <= ISC_OPT_PATH)
      plugin_set_value(o, o->preset, (char *)conf + o->offset);
  return conf;
}

#endif
