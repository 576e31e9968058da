/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress for people: one updating line on a terminal, a line every few seconds elsewhere.
 */
#include "base/base.h"
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void isc_progress_init(isc_progress *p) {
  memset(p, 0, sizeof *p);
  p->terminal = isatty(STDERR_FILENO);
}

void isc_progress_close(isc_progress *p) {
  if (p->open) fputc('\n', stderr);
  p->open = false;
}

static void clear_line(isc_progress *p) {
  if (p->open) fputs("\r\033[K", stderr);
  p->open = false;
}

void isc_progress_line(isc_progress *p, const char *fmt, ...) {
  va_list ap;
  clear_line(p);
  va_start(ap, fmt);
  vfprintf(stderr, fmt, ap);
  va_end(ap);
  fputc('\n', stderr);
}

static void format_time(double s, char out[32]) {
  if (s < 90)
    snprintf(out, 32, "%.0f s", s);
  else if (s < 5400)
    snprintf(out, 32, "%.0f min", s / 60);
  else
    snprintf(out, 32, "%.1f h", s / 3600);
}

void isc_progress_show(isc_progress *p, const char *stage, int64_t done, int64_t total,
                       const char *metrics, double seconds) {
  const double every = p->terminal ? 0.2 : 5;
  if (strcmp(p->stage, stage)) {
    snprintf(p->stage, sizeof p->stage, "%s", stage);
    p->first_done = done;
    p->first_time = seconds;
    p->last = -1e9;
  }
  if (done < total && seconds - p->last < every) return;
  p->last = seconds;
  const double rate =
      seconds > p->first_time ? (double)(done - p->first_done) / (seconds - p->first_time) : 0;
  char left[32] = "";
  if (rate > 0) format_time((double)(total - done) / rate, left);
  if (p->terminal) fputs("\r\033[K", stderr);
  fprintf(stderr, "  %-9s %lld/%lld", stage, (long long)done, (long long)total);
  if (metrics[0]) fprintf(stderr, "  %s", metrics);
  if (rate > 0) fprintf(stderr, "  %.*f/s", rate < 10 ? 1 : 0, rate);
  if (left[0] && done < total) fprintf(stderr, "  %s left", left);
  if (p->terminal)
    fflush(stderr);
  else
    fputc('\n', stderr);
  p->open = p->terminal;
}
