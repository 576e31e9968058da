/* SPDX-License-Identifier: Apache-2.0
 *
 * What an option table means: values, types, ranges, defaults.
 *
 * The registry checks descriptors with it, the config layer fills conf structs with it, and the
 * listing prints from it, so that the three cannot disagree.
 */
#ifndef ISC_CORE_SCHEMA_H
#define ISC_CORE_SCHEMA_H

#include "base/base.h"
#include <inversescope/option.h>

typedef enum isc_value_type {
  ISC_VALUE_BOOL = 1,
  ISC_VALUE_INT,
  ISC_VALUE_FLOAT,
  ISC_VALUE_STRING
} isc_value_type;

typedef struct isc_value {
  isc_value_type type;
  bool b;
  int64_t i; /* the INT; after isc_value_check also the index of an ENUM's choice */
  double f;
  const char *s;
} isc_value;

/* Read the longest number at s[0 … n-1] (decimal integer, hexadecimal 0x…, an optional suffix L, or
 * a decimal fraction) into *out and its length into *used. ISC_E_CONFIG when it starts no number, has
 * letters or a second point behind it, a leading zero (an octal number to some readers), or does not
 * fit 64 bits or a finite double. */
ISC_API isc_status isc_value_number(const char *s, size_t n, isc_value *out, size_t *used);
/* Read the quoted string at s[0] == '"' and append its bytes to `text`. Escapes: \n \r \t \f \\ \" \xHH.
 * A line end, a NUL (also \x00) or an unknown escape inside is an error. */
ISC_API isc_status isc_value_quoted(const char *s, size_t n, isc_sb *text, size_t *used);

/* The preset of `o` as values; *n = 0 and *v = NULL when it has none. Memory is the pool's. */
ISC_API isc_status isc_option_preset(const isc_option *o, isc_pool *pool, isc_value **v,
                                     int64_t *n);

/* Is `v` (one element, for lists) of the option's type and in its range? An INT given for a FLOAT
 * becomes one; an ENUM's index goes to v->i. The message says what must be given, without the place. */
ISC_API isc_status isc_value_check(const isc_option *o, isc_value *v);

ISC_API bool isc_option_is_list(isc_option_type type);
ISC_API isc_option_type
isc_option_element(isc_option_type type);                   /* of a list; else the type itself */
ISC_API size_t isc_option_field_size(isc_option_type type); /* 0 for an unknown type           */
ISC_API size_t isc_option_field_align(isc_option_type type);
/* "int", "list of float", …; for messages: "an integer", "a list of numbers", … */
ISC_API const char *isc_option_type_name(isc_option_type type);
ISC_API const char *isc_option_type_phrase(isc_option_type type);
/* The range in interval notation, "[1, 100]", "(0, inf)"; "" when unbounded. An open bound with min and max
 * both 0 bounds that side at 0. */
ISC_API void isc_option_add_range(isc_sb *b, const isc_option *o);

#endif
