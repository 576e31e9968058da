/* SPDX-License-Identifier: Apache-2.0
 *
 * A description as mdoc source: a subsection with a tagged list, for inversescope-conf(5).
 */
#include "cli/describe.h"

/* Text that roff reads as text, a line for each sentence. */
static void add_text(isc_sb *b, const char *s) {
  for (const char *at = s; at && *at; at++) {
    const bool begins = at == s || at[-1] == '\n';
    if (*at == '\\')
      isc_sb_add(b, "\\e");
    else if (*at == '-')
      isc_sb_add(b, "\\-");
    else if (begins && (*at == '.' || *at == '\''))
      isc_sb_addf(b, "\\&%c", *at);
    else if (*at == ' ' && !begins && at[-1] == '.' && at[1] >= 'A' && at[1] <= 'Z')
      isc_sb_add(b, "\n");
    else
      isc_sb_addn(b, at, 1);
  }
}

static void add_row(isc_sb *b, const isc_option *o) {
  isc_sb facts = {0};
  isc_sb_add(b, ".It Ic ");
  add_text(b, o->name);
  isc_sb_add(b, "\n");
  if (o->doc) add_text(b, o->doc);
  isc_sb_add(b, "\n.br\n");
  isc_describe_facts(&facts, o);
  if (facts.failed)
    b->failed = true;
  else
    add_text(b, facts.s);
  isc_sb_add(b, "\n");
  isc_sb_free(&facts);
}

void isc_describe_man(isc_sb *b, const isc_description *d) {
  isc_sb_addf(b, ".Ss %s/", d->kind);
  add_text(b, d->name);
  isc_sb_add(b, "\n");
  add_text(b, d->summary);
  isc_sb_add(b, ".\n");
  if (!d->options || !d->options->name) {
    isc_sb_add(b, "It has no options.\n");
    return;
  }
  isc_sb_add(b, ".Bl -tag -width Ds\n");
  for (const isc_option *o = d->options; o->name; o++)
    add_row(b, o);
  isc_sb_add(b, ".El\n");
}
