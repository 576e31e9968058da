/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of checks for people, and as the sections of its documentation.
 */
#include "conform/report.h"
#include <string.h>

void isc_checks_text(isc_sb *b) {
  int64_t n;
  const isc_check *const *all = isc_checks_all(&n);
  for (int64_t i = 0; i < n; i++)
    isc_sb_addf(b, "%-24s %s\n", all[i]->id, all[i]->rule);
}

/* "any" or a kind: what stands before the dot. */
static size_t family(const isc_check *c) {
  return strcspn(c->id, ".");
}

static const char *scope_phrase(const isc_check *c) {
  static const char *const phrase[] = {[ISC_PER_PLUGIN] = "once for the file",
                                       [ISC_PER_CLASS] = "once for each class",
                                       [ISC_PER_CASE] = "for each case of a class"};
  return phrase[c->scope];
}

void isc_checks_markdown(isc_sb *b) {
  char doc[160];
  int64_t n;
  const isc_check *const *all = isc_checks_all(&n);
  for (int64_t i = 0; i < n; i++) {
    const isc_check *c = all[i];
    const size_t len = family(c);
    if (i == 0 || family(all[i - 1]) != len || strncmp(all[i - 1]->id, c->id, len) != 0) {
      const bool any = len == 3 && !strncmp(c->id, "any", 3);
      isc_sb_addf(b, "%s## Checks of %s%.*s%s\n", i ? "\n" : "", any ? "all kinds" : "",
                  any ? 0 : (int)len, c->id, any ? "" : "s");
    }
    isc_sb_addf(b, "\n<a id=\"%s\"></a>\n### `%s`\n\n%s\n\n%s\n\nRun %s, at most %d s.\n",
                strchr(isc_check_doc(c, doc, sizeof doc), '#') + 1, c->id, c->rule, c->advice,
                scope_phrase(c), c->seconds);
  }
}
