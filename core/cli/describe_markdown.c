/* SPDX-License-Identifier: Apache-2.0
 *
 * A description as Markdown: a heading and the option table, for the documentation pages.
 */
#include "cli/describe.h"
#include "plugin/schema.h"

#include <string.h>

/* Text of a table cell: what Markdown would read as its own is escaped. */
static void add_cell(isc_sb *b, const char *s) {
  for (; s && *s; s++) {
    if (*s == '<') {
      isc_sb_add(b, "&lt;");
      continue;
    }
    if (strchr("|*\\`_", *s)) isc_sb_add(b, "\\");
    isc_sb_addn(b, s, 1);
  }
}

/* The same as code: nothing is special but the bar that ends a cell. */
static void add_code(isc_sb *b, const char *s) {
  isc_sb_add(b, "`");
  for (; *s; s++)
    isc_sb_addf(b, "%s%c", *s == '|' ? "\\" : "", *s);
  isc_sb_add(b, "`");
}

static void add_range(isc_sb *b, const isc_option *o) {
  for (size_t i = 0; o->choices && o->choices[i]; i++) {
    if (i) isc_sb_add(b, ", ");
    add_code(b, o->choices[i]);
  }
  if (!o->choices) isc_option_add_range(b, o);
}

static void add_default(isc_sb *b, const isc_option *o) {
  if (o->flags & ISC_OPT_REQUIRED)
    isc_sb_add(b, "required");
  else if (o->preset)
    add_code(b, *o->preset ? o->preset : "\"\"");
}

static void add_row(isc_sb *b, const isc_option *o) {
  isc_sb_add(b, "| ");
  add_code(b, o->name);
  isc_sb_addf(b, " | %s | ", isc_option_type_name(o->type));
  add_cell(b, o->unit);
  isc_sb_add(b, " | ");
  add_range(b, o);
  isc_sb_add(b, " | ");
  add_default(b, o);
  isc_sb_add(b, " | ");
  add_cell(b, o->doc);
  if (o->flags & ISC_OPT_MUST_EXIST) isc_sb_add(b, " Must exist.");
  if (o->flags & ISC_OPT_RUNTIME) isc_sb_add(b, " Changes no result.");
  isc_sb_add(b, " |\n");
}

void isc_describe_markdown(isc_sb *b, const isc_description *d) {
  isc_sb_addf(b, "### %s/%s\n\n", d->kind, d->name);
  add_cell(b, d->summary);
  isc_sb_add(b, ".");
  if (d->source) {
    isc_sb_add(b, " Source: ");
    add_cell(b, d->source);
    isc_sb_add(b, ".");
  }
  if (d->version) isc_sb_addf(b, " Version %s, %s.", d->version, d->licence);
  if (!d->options || !d->options->name) {
    isc_sb_add(b, "\n\nNo options.\n");
    return;
  }
  isc_sb_add(b, "\n\n| option | type | unit | range | default | meaning |\n"
                "|---|---|---|---|---|---|\n");
  for (const isc_option *o = d->options; o->name; o++)
    add_row(b, o);
}
