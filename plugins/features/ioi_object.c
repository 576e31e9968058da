/* SPDX-License-Identifier: Apache-2.0
 *
 * The feature Object(x) of indirect object identification (paper D.1.2): the name that comes once. There
 * is none unless one name comes twice, one once and no other at all, whether x is of the prior or not.
 */
#include <inversescope/feature.h>
#include <inversescope/words.h>

typedef struct names_conf {
  isc_list names;
} names_conf;

static const isc_option options[] = {
    {"names", ISC_OPT_STRING_LIST, 0, offsetof(names_conf, names), NULL, NULL, 0, 0, NULL,
     "The names to count; without them, those of the prior's slots A and B."},
    ISC_OPTIONS_END};

static isc_status open_names(const void *conf, const isc_prior *prior, void **self) {
  static const char *const slots[] = {"A", "B", NULL};
  const names_conf *c = conf;
  isc_status st = isc_words_open(&c->names, "names", prior, slots, self);
  return st == ISC_OK ? st : isc_fail_in("feature ioi-object");
}

static isc_status label(void *names, const char *text, size_t len, isc_text *out) {
  isc_word_count w[3] = {{0}};
  const int64_t n = isc_words_count(names, text, len, w, 3);
  if (n != 2 || w[0].count + w[1].count != 3) return isc_text_set(out, "", 0);
  const isc_word_count *name = &w[w[0].count == 1 ? 0 : 1];
  return isc_text_set(out, name->word, name->len);
}

static const isc_feature_ops ops = {
    .size = sizeof ops, .open = open_names, .close = isc_words_close, .label = label};

ISC_PLUGIN_CLASS(ISC_FEATURE, "ioi-object", "1.0.0",
                 .summary = "The indirect object of an IOI prompt: the name that comes once",
                 .licence = "Apache-2.0", .source = "InverseScope, appendix D.1.2",
                 .options = options, .conf_size = sizeof(names_conf), .ops = &ops);
