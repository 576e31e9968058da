/* SPDX-License-Identifier: Apache-2.0
 *
 * What every test program shares: where reference data and the build lie, and opening the CPU backend.
 *
 * Reference data is looked for in $INVERSESCOPE_SHARED, then beside the source tree; a test that
 * needs it and has none skips and says what it wanted.
 */
#ifndef ISC_TESTS_SUPPORT_H
#define ISC_TESTS_SUPPORT_H

#include <inversescope/plugin.h>
#include <inversescope/status.h>
#include <criterion/criterion.h>

/* Absolute path of `rel` ("data/models/addition") below the reference data, or NULL when absent.
 * Static buffer: valid until the eighth next call. */
const char *isc_test_shared(const char *rel);
/* Paths below the source tree / the build tree; the same buffer rule. */
const char *isc_test_source(const char *rel);
const char *isc_test_build(const char *rel);
/* A fresh empty directory below the build tree, named for the test; the same buffer rule. */
const char *isc_test_dir(const char *name);

#define ISC_NEED_SHARED(var, rel)                                                                  \
  const char *var = isc_test_shared(rel);                                                          \
  if (!var) cr_skip_test("SKIPPED: needs the reference data %s (set INVERSESCOPE_SHARED)", rel)

/* The version of the plugin interface, as messages have it: "1.1". */
#define ISC_TEXT_OF_(number) #number
#define ISC_TEXT_OF(number)  ISC_TEXT_OF_(number)
#define ISC_ABI_TEXT         ISC_TEXT_OF(ISC_ABI_MAJOR) "." ISC_TEXT_OF(ISC_ABI_MINOR)

/* Assert success, showing the library's message on failure. */
#define isc_assert_ok(expr)                                                                        \
  do {                                                                                             \
    isc_status isc_s_ = (expr);                                                                    \
    cr_assert(isc_s_ == ISC_OK, "%s: %s: %s", #expr, isc_status_name(isc_s_), isc_error());        \
  } while (0)
/* Assert a given failure whose message contains `part`. */
#define isc_assert_fails(expr, code, part)                                                         \
  do {                                                                                             \
    isc_status isc_s_ = (expr);                                                                    \
    cr_assert(isc_s_ == (code), "%s: got %s (%s)", #expr, isc_status_name(isc_s_), isc_error());   \
    cr_assert(strstr(isc_error(), (part)), "message lacks \"%s\": %s", (part), isc_error());       \
  } while (0)

#endif
