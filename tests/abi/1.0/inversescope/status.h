/* SPDX-License-Identifier: Apache-2.0
 *
 * Status codes and the per-thread error record.
 *
 * Every fallible function returns isc_status; 0 is success. The detail lives in a record of the
 * calling thread, written by isc_fail() and read by isc_error(). Nothing below the command line
 * exits, aborts or prints. Any thread may call any of these functions: each sees its own record.
 */
#ifndef ISC_STATUS_H
#define ISC_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A symbol that the library exports; a function that takes a printf format; one whose result must be looked at. */
#if defined(__GNUC__)
#define ISC_API          __attribute__((visibility("default")))
#define ISC_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define ISC_MUST_USE     __attribute__((warn_unused_result))
#else
#define ISC_API
#define ISC_PRINTF(f, a)
#define ISC_MUST_USE
#endif

/* Values are part of the ABI: append only. The sysexits code of each stands beside it. */
typedef enum isc_status {
  ISC_OK = 0,
  ISC_E_USAGE = 1,        /* 64: a wrong call, argument or command line          */
  ISC_E_CONFIG = 2,       /* 78: a config file or an option is wrong             */
  ISC_E_FORMAT = 3,       /* 65: a file's content breaks its format's rules      */
  ISC_E_MISSING = 4,      /* 66: a file, tensor, plugin or site is not there     */
  ISC_E_IO = 5,           /* 74: reading or writing failed                       */
  ISC_E_NOMEM = 6,        /* 70: memory (host or device) could not be had        */
  ISC_E_SHAPE = 7,        /* 65: shapes, lengths or vocabularies do not agree    */
  ISC_E_UNSUPPORTED = 8,  /* 70: valid, but this build, backend or plugin cannot */
  ISC_E_DEVICE = 9,       /* 70: a device or its library failed                  */
  ISC_E_INTERRUPTED = 10, /* 75: stopped on request; state was saved, run again */
  ISC_E_INTERNAL = 11,    /* 70: a broken invariant: a bug                       */
  ISC_E_NUMERIC = 12      /* 70: NaN or infinity where none may be               */
} isc_status;

/* Record a failure of this thread and return `code`. `fmt` says what, where (file, tensor, field)
 * and what to do, in one line without a trailing newline. Text beyond 2047 bytes is cut.
 * Any thread. */
ISC_API isc_status isc_fail(isc_status code, const char *fmt, ...) ISC_PRINTF(2, 3);
ISC_API isc_status isc_vfail(isc_status code, const char *fmt, va_list ap);

/* Put "context: " in front of this thread's message, keep its code, and return that code.
 * For callers that know the file or the stage the callee did not. Any thread. */
ISC_API isc_status isc_fail_in(const char *fmt, ...) ISC_PRINTF(1, 2);

/* The message and the code of this thread's latest failure ("" and ISC_OK if none), and forgetting both. The pointer is
 * valid until the thread's next failure. Success does not clear it. */
ISC_API const char *isc_error(void);
ISC_API isc_status isc_error_code(void);
ISC_API void isc_error_clear(void);

/* The program exit code (sysexits) of a status; 0 for ISC_OK. Any thread. */
ISC_API int isc_exit_code(isc_status s);
/* "ISC_E_FORMAT" …; never NULL. Static. */
ISC_API const char *isc_status_name(isc_status s);

/* Has the program been asked to stop? A function that may take longer than a second asks this now and then
 * and returns ISC_E_INTERRUPTED. Saving what is done goes on. Any thread. */
ISC_API bool isc_cancelled(void);

/* Return early with the callee's status. */
#define ISC_TRY(expr)                                                                              \
  do {                                                                                             \
    isc_status isc_try_ = (expr);                                                                  \
    if (isc_try_ != ISC_OK) return isc_try_;                                                       \
  } while (0)

/* Leave for the function's one clean-up label with the callee's status in the local `st`. */
#define ISC_GO(expr)                                                                               \
  do {                                                                                             \
    st = (expr);                                                                                   \
    if (st != ISC_OK) goto done;                                                                   \
  } while (0)

#ifdef __cplusplus
}
#endif
#endif
