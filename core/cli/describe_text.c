/* SPDX-License-Identifier: Apache-2.0
 *
 * A description for a terminal, and the line of facts that every form shares.
 */
#include "cli/describe.h"
#include "plugin/schema.h"

static void add_choices(isc_sb *b, const isc_option *o) {
  isc_sb_add(b, isc_option_is_list(o->type) ? "list of " : "one of ");
  for (size_t i = 0; o->choices && o->choices[i]; i++)
    isc_sb_addf(b, "%s%s", i ? ", " : "", o->choices[i]);
}

static void add_type(isc_sb *b, const isc_option *o) {
  if (isc_option_element(o->type) == ISC_OPT_ENUM) {
    add_choices(b, o);
    return;
  }
  isc_sb_add(b, isc_option_type_name(o->type));
  const size_t before = b->len;
  isc_sb_add(b, " in ");
  const size_t bare = b->len;
  isc_option_add_range(b, o);
  if (b->failed) return;
  if (b->len > bare)
    isc_sb_addf(b, "%s%s", o->unit ? " " : "", o->unit ? o->unit : "");
  else if (o->unit)
    isc_sb_add(b, o->unit);
  else
    b->s[b->len = before] = '\0';
}

void isc_describe_facts(isc_sb *b, const isc_option *o) {
  add_type(b, o);
  if (o->flags & ISC_OPT_REQUIRED)
    isc_sb_add(b, "; required");
  else if (o->preset)
    isc_sb_addf(b, "; default %s", *o->preset ? o->preset : "\"\"");
  else
    isc_sb_add(b, "; optional");
  if (o->flags & ISC_OPT_MUST_EXIST) isc_sb_add(b, "; must exist");
  if (o->flags & ISC_OPT_RUNTIME) isc_sb_add(b, "; changes no result");
}

void isc_describe_text(isc_sb *b, const isc_description *d) {
  isc_sb_addf(b, "%s/%s%s%s\n%s.\n", d->kind, d->name, d->version ? " " : "",
              d->version ? d->version : "", d->summary);
  if (d->licence) isc_sb_addf(b, "\nlicence  %s\n", d->licence);
  if (d->source) isc_sb_addf(b, "source   %s\n", d->source);
  if (d->file) isc_sb_addf(b, "file     %s\n", d->file);
  if (!d->options || !d->options->name) {
    isc_sb_add(b, "\nNo options.\n");
    return;
  }
  isc_sb_add(b, "\nOptions:\n");
  for (const isc_option *o = d->options; o->name; o++) {
    isc_sb_addf(b, "  %s\n      ", o->name);
    isc_describe_facts(b, o);
    isc_sb_addf(b, "\n      %s\n", o->doc ? o->doc : "");
  }
}
