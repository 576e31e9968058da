/* SPDX-License-Identifier: Apache-2.0
 *
 * The set of IOI templates a config asks for.
 *
 * In each, one of [A] and [B] comes twice (the subject) and the other once (the indirect object); which
 * of the two is named first makes it ABBA (the object) or BABA (the subject).
 */
#ifndef ISC_PRIOR_IOI_TEMPLATES_H
#define ISC_PRIOR_IOI_TEMPLATES_H

#include <inversescope/text.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum ioi_order { IOI_BOTH, IOI_ABBA, IOI_BABA } ioi_order;
typedef enum ioi_spacing { IOI_NATURAL, IOI_WORDS } ioi_spacing;

typedef struct ioi_set {
  char **text;       /* [n]                                    */
  bool *object_is_b; /* [n] the indirect object is slot B, not A */
  int64_t n;
} ioi_set;

/* The built-in templates: the first `count` of each order (0 = all). */
isc_status ioi_built_in(ioi_order order, ioi_spacing spacing, int64_t count, ioi_set *out);
/* The templates of a file, one a line, '#' begins a comment line; taken as they are, but for a name slot at the end of
 * a line (the published form), which is the answer and is cut off. */
isc_status ioi_from_file(const char *path, ioi_order order, int64_t count, ioi_set *out);
void ioi_set_free(ioi_set *s);

#endif
