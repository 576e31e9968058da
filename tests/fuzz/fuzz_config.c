/* SPDX-License-Identifier: Apache-2.0
 *
 * A run's config: the linter, the parser behind it, options of every type, and what they resolve to.
 *
 * Resolved text must read back: if it does not, that is a bug like a crash.
 */
#include "fuzz.h"
#include "config/config.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct conf {
  bool yes;
  int64_t n;
  double x;
  const char *s, *path;
  int32_t kind;
  isc_list bools, ints, floats, strings, kinds;
} conf;

static const char *const kinds[] = {"hard", "soft", NULL};

#define OPTION(name_, type_, member)                                                               \
  { .name = name_, .type = type_, .offset = offsetof(conf, member), .doc = "Any." }
static const isc_option options[] = {OPTION("yes", ISC_OPT_BOOL, yes),
                                     OPTION("n", ISC_OPT_INT, n),
                                     OPTION("x", ISC_OPT_FLOAT, x),
                                     OPTION("s", ISC_OPT_STRING, s),
                                     OPTION("path", ISC_OPT_PATH, path),
                                     OPTION("sub.ints", ISC_OPT_INT_LIST, ints),
                                     OPTION("sub.floats", ISC_OPT_FLOAT_LIST, floats),
                                     OPTION("bools", ISC_OPT_BOOL_LIST, bools),
                                     OPTION("strings", ISC_OPT_STRING_LIST, strings),
                                     {.name = "kind",
                                      .type = ISC_OPT_ENUM,
                                      .offset = offsetof(conf, kind),
                                      .preset = "hard",
                                      .choices = kinds,
                                      .doc = "Any."},
                                     {.name = "kinds",
                                      .type = ISC_OPT_ENUM_LIST,
                                      .offset = offsetof(conf, kinds),
                                      .choices = kinds,
                                      .doc = "Any."},
                                     ISC_OPTIONS_END};

/* Where the config lies: with one file beside it that it may include. */
static const char *beside(void) {
  static const char text[] = "x = 0.5;\n";
  return isc_fuzz_dir("other.cfg", (const uint8_t *)text, sizeof text - 1);
}

/* malloc'd, or NULL where the text is refused. */
static char *resolve(const char *text, size_t size) {
  isc_config *c = NULL;
  conf filled;
  char *out = NULL, *canonical = NULL;
  if (isc_config_parse(text, size, "input.cfg", beside(), &c) != ISC_OK) return NULL;
  if (isc_config_fill(c, "", options, NULL, &filled) == ISC_OK) {
    if (isc_config_check_unused(c, NULL) == ISC_OK) (void)isc_config_resolved(c, &out);
    (void)isc_config_canonical(c, "", &canonical);
  }
  free(canonical);
  isc_config_free(c);
  return out;
}

/* The text with the input as one more override of it. */
static void override(const uint8_t *data, size_t size) {
  static const char text[] = "n = 1; sub = { ints = [1, 2]; }; list = ( { n = 1; }, { n = 2; } );";
  isc_config *c = NULL;
  char *assignment = calloc(size + 1, 1);
  if (!assignment) return;
  if (size) memcpy(assignment, data, size);
  if (isc_config_parse(text, sizeof text - 1, "input.cfg", beside(), &c) == ISC_OK) {
    (void)isc_config_override(c, assignment);
    (void)isc_config_has(c, assignment);
    (void)isc_config_count(c, assignment);
    (void)isc_config_where(c, assignment);
  }
  isc_config_free(c);
  free(assignment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *once = resolve((const char *)data, size), *twice = NULL;
  if (once) {
    twice = resolve(once, strlen(once));
    if (!twice || strcmp(once, twice) != 0) {
      fprintf(stderr, "resolved:\n%s\nread back:\n%s\n", once, twice ? twice : isc_error());
      abort();
    }
  }
  free(once);
  free(twice);
  override(data, size);
  return 0;
}
