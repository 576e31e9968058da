/* SPDX-License-Identifier: Apache-2.0
 *
 * The built-in words and templates of the IOI prior; each list ends with NULL.
 *
 * Every name, place and object is one token of GPT-2 after a space; objects begin with a consonant, for
 * "a [OBJECT]". A count option takes the first ones of a list, so lists begin with a fair mixture.
 */
#ifndef ISC_PRIOR_IOI_LISTS_H
#define ISC_PRIOR_IOI_LISTS_H

extern const char *const ioi_names[];
extern const char *const ioi_places[];
extern const char *const ioi_objects[];
/* [A] is the indirect object and comes once, [B] is the subject and comes twice; ABBA and BABA templates take turns. */
extern const char *const ioi_templates[];

#endif
