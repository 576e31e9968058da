/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 one character at a time, for the readers of untrusted text.
 *
 * Well-formed means Unicode 15, table 3-7: no overlong forms, surrogates or values above U+10FFFF.
 */
#ifndef ISC_CORE_TEXT_UTF8_H
#define ISC_CORE_TEXT_UTF8_H

#include <inversescope/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the well-formed sequence at s[0 … n-1] and its code point; 0 if there is none. */
ISC_API size_t isc_utf8_decode(const char *s, size_t n, uint32_t *cp);
/* Bytes written for a code point ≤ U+10FFFF. */
ISC_API size_t isc_utf8_encode(uint32_t cp, char out[4]);

#endif
