/* SPDX-License-Identifier: Apache-2.0
 *
 * Sizes and counts as people read them.
 */
#include "cli/cli.h"

#include <stdio.h>

enum { BUFFERS = 8 };

const char *isc_cli_bytes(double bytes) {
  static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
  enum { LAST = sizeof units / sizeof *units - 1 };
  static char buffer[BUFFERS][32];
  static int slot;
  int unit = 0;
  /* 999.5 would be printed as 1000 */
  for (; bytes >= 999.5 && unit < LAST; unit++)
    bytes /= 1000;
  const int digits = unit == 0 || bytes >= 99.95 ? 0 : bytes >= 9.995 ? 1 : 2;
  char *b = buffer[slot = (slot + 1) % BUFFERS];
  snprintf(b, sizeof buffer[0], "%.*f %s", digits, bytes, units[unit]);
  return b;
}

const char *isc_cli_count(int64_t n) {
  static char buffer[BUFFERS][32];
  static int slot;
  char digits[24], *b = buffer[slot = (slot + 1) % BUFFERS];
  const int len = snprintf(digits, sizeof digits, "%lld", (long long)n), sign = n < 0;
  int at = 0;
  for (int i = 0; i < len; i++) {
    if (i > sign && (len - i) % 3 == 0) b[at++] = ',';
    b[at++] = digits[i];
  }
  b[at] = '\0';
  return b;
}
