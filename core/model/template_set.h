/* SPDX-License-Identifier: Apache-2.0
 *
 * The templates a template prior uses, out of the built-in ones or a user's file.
 *
 * Both go through the same steps: spelling, the answer at the end, what the plugin reads off the template,
 * and the count of each group.
 */
#ifndef ISC_CORE_TEMPLATE_SET_H
#define ISC_CORE_TEMPLATE_SET_H

#include <inversescope/template_prior.h>

enum { ISC_MAX_GROUPS = 16 };

typedef struct isc_template_entry {
  char *text;     /* as isc_template_new takes it                */
  int64_t answer; /* number of the answer's slot, −1 = no answer */
  bool glued;     /* no space between the text and its answer    */
} isc_template_entry;

typedef struct isc_template_set {
  isc_template_entry *entry; /* [n] */
  int64_t n;
} isc_template_set;

/* `spec` is complete; `lists` [n_lists] are its lists, as this library knows them. */
isc_status isc_template_set_choose(const isc_template_prior_spec *spec,
                                   const isc_template_list *lists, isc_template_set *out);
void isc_template_set_free(isc_template_set *s);

#endif
