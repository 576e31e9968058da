/* SPDX-License-Identifier: Apache-2.0
 *
 * The name a user most likely meant.
 *
 * Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours,
 * the slips fingers make. Case and the choice between '-' and '_' cost nothing.
 */
#include "base/base.h"
#include <ctype.h>
#include <string.h>

enum { LONGEST = 64 };

static int fold(char c) {
  return c == '-' ? '_' : tolower((unsigned char)c);
}

static int min3(int a, int b, int c) {
  int m = a < b ? a : b;
  return m < c ? m : c;
}

static int distance(const char *a, int na, const char *b, int nb) {
  int row[3][LONGEST + 1];
  for (int j = 0; j <= nb; j++)
    row[0][j] = j;
  for (int i = 1; i <= na; i++) {
    int *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
    now[0] = i;
    for (int j = 1; j <= nb; j++) {
      int same = fold(a[i - 1]) == fold(b[j - 1]);
      now[j] = min3(up[j] + 1, now[j - 1] + 1, up[j - 1] + !same);
      bool swapped =
          i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]);
      if (swapped && up2[j - 2] + 1 < now[j]) now[j] = up2[j - 2] + 1;
    }
  }
  return row[na % 3][nb];
}

const char *isc_nearest_name(const char *name, const char *const *names) {
  const char *best = NULL;
  size_t n = strlen(name);
  int best_cost = 0;
  if (n == 0 || n > LONGEST) return NULL;
  for (; names && *names; names++) {
    size_t m = strlen(*names);
    if (m == 0 || m > LONGEST) continue;
    /* A slip in every third letter is still a slip; more is another word. An abbreviation or an
     * over-long form of three letters or more counts as one slip. */
    int cost = distance(name, (int)n, *names, (int)m), limit = (int)((n > m ? n : m) + 2) / 3;
    size_t shorter = n < m ? n : m;
    if (shorter >= 3 && cost > 1 && strncasecmp(name, *names, shorter) == 0) cost = 1;
    if (cost <= limit && (!best || cost < best_cost)) {
      best = *names;
      best_cost = cost;
    }
  }
  return best;
}
