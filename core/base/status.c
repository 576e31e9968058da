/* SPDX-License-Identifier: Apache-2.0
 *
 * The per-thread error record behind isc_fail() and isc_error().
 *
 * A fixed buffer, so that reporting "out of memory" needs no memory. A message may quote the record
 * itself (isc_error() as an argument), so it is formatted aside before it replaces the old one.
 */
#include <inversescope/status.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_SIZE = 2048 };

static _Thread_local struct {
  isc_status code;
  char message[MESSAGE_SIZE];
} record;

/* A cut must not leave half a UTF-8 sequence at the end. */
static void trim_partial_utf8(char *s) {
  size_t len = strlen(s), i = len;
  while (i > 0 && len - i < 3 && ((unsigned char)s[i - 1] & 0xC0u) == 0x80u)
    i--;
  if (i == 0) return;
  unsigned char lead = (unsigned char)s[i - 1];
  size_t need = lead >= 0xF0u ? 4 : lead >= 0xE0u ? 3 : lead >= 0xC0u ? 2 : 1;
  if (need > 1 && len - (i - 1) < need) s[i - 1] = '\0';
}

static isc_status store(isc_status code, char *text, int written) {
  if (written < 0) snprintf(text, MESSAGE_SIZE, "(the message could not be formatted)");
  if (written >= MESSAGE_SIZE) trim_partial_utf8(text);
  memcpy(record.message, text, MESSAGE_SIZE);
  record.code = code == ISC_OK ? ISC_E_INTERNAL : code;
  return record.code;
}

isc_status isc_vfail(isc_status code, const char *fmt, va_list ap) {
  char text[MESSAGE_SIZE] = "";
  int n = vsnprintf(text, sizeof text, fmt, ap);
  return store(code, text, n);
}

isc_status isc_fail(isc_status code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  isc_status s = isc_vfail(code, fmt, ap);
  va_end(ap);
  return s;
}

isc_status isc_fail_in(const char *fmt, ...) {
  char text[MESSAGE_SIZE] = "";
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  if (n >= 0 && n < MESSAGE_SIZE) {
    int m = snprintf(text + n, sizeof text - (size_t)n, ": %s", record.message);
    n = m < 0 ? m : n + m;
  }
  return store(record.code, text, n);
}

const char *isc_error(void) {
  return record.message;
}

isc_status isc_error_code(void) {
  return record.code;
}

void isc_error_clear(void) {
  record.code = ISC_OK;
  record.message[0] = '\0';
}

static const struct {
  const char *name;
  int exit_code;
} statuses[] = {
    [ISC_OK] = {"ISC_OK", 0},
    [ISC_E_USAGE] = {"ISC_E_USAGE", 64},
    [ISC_E_CONFIG] = {"ISC_E_CONFIG", 78},
    [ISC_E_FORMAT] = {"ISC_E_FORMAT", 65},
    [ISC_E_MISSING] = {"ISC_E_MISSING", 66},
    [ISC_E_IO] = {"ISC_E_IO", 74},
    [ISC_E_NOMEM] = {"ISC_E_NOMEM", 70},
    [ISC_E_SHAPE] = {"ISC_E_SHAPE", 65},
    [ISC_E_UNSUPPORTED] = {"ISC_E_UNSUPPORTED", 70},
    [ISC_E_DEVICE] = {"ISC_E_DEVICE", 70},
    [ISC_E_INTERRUPTED] = {"ISC_E_INTERRUPTED", 75},
    [ISC_E_INTERNAL] = {"ISC_E_INTERNAL", 70},
    [ISC_E_NUMERIC] = {"ISC_E_NUMERIC", 70},
};

static int known(isc_status s) {
  return (size_t)s < sizeof statuses / sizeof *statuses;
}

int isc_exit_code(isc_status s) {
  return known(s) ? statuses[s].exit_code : 70;
}

const char *isc_status_name(isc_status s) {
  return known(s) ? statuses[s].name : "unknown status";
}
