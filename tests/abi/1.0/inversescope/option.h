/* SPDX-License-Identifier: Apache-2.0
 *
 * Options as data: the table by which a plugin class (or the core) declares its settings.
 *
 * The core parses, checks, defaults, documents and prints options from this table; the owner only
 * reads its filled conf struct. Nothing here runs at load time.
 */
#ifndef ISC_OPTION_H
#define ISC_OPTION_H

#include <inversescope/status.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* C type of the field at `offset`, by option type:
 *   BOOL bool · INT int64_t · FLOAT double · STRING, PATH const char * · ENUM int32_t (index into
 *   choices) · the *_LIST types isc_list. Strings belong to the core and live as long as the conf.
 * PATH is a string that the core makes absolute against the file it was written in. */
typedef enum isc_option_type {
  ISC_OPT_BOOL = 1,
  ISC_OPT_INT,
  ISC_OPT_FLOAT,
  ISC_OPT_STRING,
  ISC_OPT_ENUM,
  ISC_OPT_PATH,
  ISC_OPT_BOOL_LIST,
  ISC_OPT_INT_LIST,
  ISC_OPT_FLOAT_LIST,
  ISC_OPT_STRING_LIST,
  ISC_OPT_ENUM_LIST,
  ISC_OPT_PATH_LIST
} isc_option_type;

/* The value of a *_LIST option. The elements belong to the core and live as long as the conf. */
typedef struct isc_list {
  int64_t count;
  union {
    const bool *b;
    const int64_t *i;
    const double *f;
    const char *const *s; /* strings and paths */
    const int32_t *e;     /* enum indices      */
  } at;
} isc_list;

/* Flags of an option. */
enum {
  ISC_OPT_REQUIRED = 1u << 0,   /* no default: the config must give it                    */
  ISC_OPT_OPEN_MIN = 1u << 1,   /* the value must be > min, not ≥                         */
  ISC_OPT_OPEN_MAX = 1u << 2,   /* the value must be < max, not ≤                         */
  ISC_OPT_MUST_EXIST = 1u << 3, /* PATH: the file or directory must be there             */
  ISC_OPT_RUNTIME = 1u << 4     /* does not change results (threads, batch size of sampling …):
                                 left out of stage fingerprints                        */
};

/* One setting. In a class every one has a doc, and a default inside its range unless it is required, a string, a path or
 * a list. */
typedef struct isc_option {
  const char *name; /* snake_case key in the config; "backbone.lr" is lr in the sub-group backbone,
                           and such options stand together in the table                  */
  isc_option_type type;
  uint32_t flags;
  size_t offset;      /* of the field in the conf struct                                */
  const char *unit;   /* "steps", "tokens", … or NULL                                   */
  const char *preset; /* default as config text: "0.1", "hard", "[1, 2]" for lists; NULL = none
                           (then a STRING/PATH is NULL, a list is empty, or the option REQUIRED) */
  double min, max;    /* closed range of INT/FLOAT (and list elements); both 0 = unbounded */
  const char *const *choices; /* NULL-terminated, for ENUM                                */
  const char *doc;            /* one sentence                                                    */
} isc_option;

/* The last row of every table. */
#define ISC_OPTIONS_END                                                                            \
  { 0 }

#ifdef __cplusplus
}
#endif
#endif
