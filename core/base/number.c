/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers to and from text without the process's locale.
 *
 * A host program may have set a locale with a decimal comma; files must not change with it.
 */
#include "base/base.h"
#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* glibc keeps the C locale as a constant: newlocale gives it without allocating, and needs no free. */
static locale_t c_locale(void) {
  return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool isc_text_double(const char *s, double *out) {
  char *end;
  if (!*s || isspace((unsigned char)*s)) return false;
  *out = strtod_l(s, &end, c_locale());
  return *end == '\0' && isfinite(*out);
}

/* Plain notation where people write it, the exponent beyond; both with the fewest digits that read back. */
static void shortest(char out[32], double v) {
  int digits = 1;
  for (; digits < 17; digits++) {
    snprintf(out, 32, "%.*e", digits - 1, v);
    if (strtod(out, NULL) == v) break;
  }
  snprintf(out, 32, "%.*e", digits - 1, v);
  int exponent = atoi(strchr(out, 'e') + 1);
  if (exponent >= -5 && exponent < 17)
    snprintf(out, 32, "%.*f", exponent < digits - 1 ? digits - 1 - exponent : 0, v);
}

void isc_sb_add_double(isc_sb *b, double v) {
  char text[32];
  if (isnan(v) || isinf(v)) {
    isc_sb_add(b, isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
    return;
  }
  locale_t before = uselocale(c_locale());
  shortest(text, v);
  uselocale(before);
  isc_sb_add(b, text);
}
