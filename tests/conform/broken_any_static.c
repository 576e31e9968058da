/* SPDX-License-Identifier: Apache-2.0
 *
 * A feature, and one way each to break what a plugin's file and descriptor must be.
 *
 * What a file exports or describes is settled when it is compiled, so these defects are chosen by the preprocessor.
 */
#include "broken.h"
#include <inversescope/feature.h>
#include <inversescope/plugin.h>
#include <stdlib.h>

typedef struct conf {
  int64_t longest;
  int32_t side;
} conf;

typedef struct feature {
  conf conf;
} feature;

static isc_status open_feature(const void *settings, const isc_prior *prior, void **self) {
  (void)prior;
  feature *f = malloc(sizeof *f);
  if (!f) return isc_fail(ISC_E_NOMEM, "feature broken-any-static: no memory");
  f->conf = *(const conf *)settings;
  *self = f;
  return ISC_OK;
}

static void close_feature(void *self) {
  free(self);
}

/* Is text[i] inside a character of UTF-8, not its start? */
static bool is_inside(const char *text, size_t len, size_t i) {
  return i < len && ((unsigned char)text[i] & 0xC0) == 0x80;
}

/* The text's first or second half, at most so many bytes, and whole characters. */
static isc_status label(void *self, const char *text, size_t len, isc_text *out) {
  const conf *c = &((const feature *)self)->conf;
  if (!isc_text_is_utf8(text, len)) return isc_text_set(out, "", 0);
  size_t from = c->side ? len / 2 : 0, to = c->side ? len : len / 2;
  while (is_inside(text, len, from))
    from++;
  if (to - from > (size_t)c->longest) to = from + (size_t)c->longest;
  while (to > from && is_inside(text, len, to))
    to--;
  return isc_text_set(out, text + from, to - from);
}

static const isc_feature_ops OPS = {
    .size = sizeof OPS, .open = open_feature, .close = close_feature, .label = label};

#ifdef DEFECT_any_load /* BROKEN("any.load") */
#define LONGEST "0"
#else
#define LONGEST "100"
#endif
#ifdef DEFECT_any_options /* BROKEN("any.options") */
#define THIRD "first"
#else
#define THIRD "third"
#endif
#ifdef DEFECT_any_metadata /* BROKEN("any.metadata") */
#define LICENCE "Apache 2.0"
#else
#define LICENCE "Apache-2.0"
#endif
#ifdef DEFECT_any_exports /* BROKEN("any.exports") */
ISC_API int helper(void);
int helper(void) {
  return 1;
}
#endif
#ifdef DEFECT_any_imports /* BROKEN("any.imports") */
extern __attribute__((visibility("hidden"))) int (*volatile broken_never_called)(void);
int (*volatile broken_never_called)(void) = rand;
#endif

static const char *const SIDES[] = {"first", "second", THIRD, NULL};
static const isc_option OPTIONS[] = {{.name = "longest",
                                      .type = ISC_OPT_INT,
                                      .offset = offsetof(conf, longest),
                                      .unit = "bytes",
                                      .preset = LONGEST,
                                      .min = 1,
                                      .max = 1000,
                                      .doc = "Longest label."},
                                     {.name = "side",
                                      .type = ISC_OPT_ENUM,
                                      .offset = offsetof(conf, side),
                                      .preset = "first",
                                      .choices = SIDES,
                                      .doc = "Which half of the text is the label."},
                                     ISC_OPTIONS_END};

ISC_PLUGIN_CLASS(ISC_FEATURE, "broken-any-static", "1.0.0", .summary = "One half of a text",
                 .licence = LICENCE, .source = "the conformance tests", .options = OPTIONS,
                 .conf_size = sizeof(conf), .ops = &OPS);
