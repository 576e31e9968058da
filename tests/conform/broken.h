/* SPDX-License-Identifier: Apache-2.0
 *
 * Deliberately broken plugins: for every conformance check one that fails exactly that check.
 *
 * A source of this folder is a small conforming plugin with its defects behind BROKEN("check.id"). build.sh compiles it once
 * with DEFECT "none", which must pass everything, and once for every ID its text names, into broken/<id>.so, which must
 * pass everything but <id>. What must be settled by the preprocessor asks for DEFECT_any_load, the ID with underscores,
 * and names the ID in a comment.
 */
#ifndef ISC_TESTS_BROKEN_H
#define ISC_TESTS_BROKEN_H

#include <stdbool.h>
#include <string.h>

#ifndef DEFECT
#define DEFECT "none"
#endif

#define BROKEN(id) (strcmp(DEFECT, id) == 0)

#endif
