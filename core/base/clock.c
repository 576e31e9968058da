/* SPDX-License-Identifier: Apache-2.0
 *
 * The two clocks: monotonic seconds for durations, UTC for records.
 *
 * Nothing that a result depends on may read either.
 */
#include "base/base.h"
#include <time.h>

double isc_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void isc_utc(char out[32]) {
  struct timespec t;
  struct tm utc;
  clock_gettime(CLOCK_REALTIME, &t);
  if (!gmtime_r(&t.tv_sec, &utc) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
    out[0] = '\0';
}
