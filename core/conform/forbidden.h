/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions and data that a plugin may not import, and what to use instead.
 *
 * Each of them changes or reads state of the whole process, which belongs to the program, or makes results
 * depend on more than the config and the seed.
 */
#ifndef ISC_CORE_CONFORM_FORBIDDEN_H
#define ISC_CORE_CONFORM_FORBIDDEN_H

/* What to do instead of importing `symbol`; NULL when it may be imported. */
const char *isc_forbidden_instead(const char *symbol);

#endif
