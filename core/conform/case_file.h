/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the cases: the entries of a case file.
 *
 * An entry is a place in the file; its settings are read from the file anew whenever they are wanted.
 */
#ifndef ISC_CORE_CONFORM_CASE_FILE_H
#define ISC_CORE_CONFORM_CASE_FILE_H

#include "conform/case.h"

/* An entry's own settings. */
typedef struct isc_case_settings {
  const char *cls, *name, *golden;
  isc_list texts;
} isc_case_settings;

typedef struct isc_case_entry {
  const isc_cases *cases;
  int64_t index;     /* in the file                                                    */
  const char *cls;   /* "kernel/hard"                                                  */
  const char *name;  /* unique within the class                                        */
  const char *where; /* "file:line"                                                    */
  bool standing_in;  /* the default case of a class that the file does not name        */
} isc_case_entry;

struct isc_cases {
  char *file;       /* NULL without one               */
  isc_config *text; /* owns the strings of `entry`    */
  isc_pool pool;    /* and of the names made up       */
  isc_case_entry *entry;
  int64_t n;
};

/* The config that an entry stands in; the caller frees. */
isc_status isc_case_read(const isc_case_entry *e, isc_config **out);
isc_status isc_case_settings_of(const isc_case_entry *e, isc_config *c, isc_case_settings *out);
/* The entry of a class's case; ISC_E_MISSING names the nearest. Its strings are those of `s`. */
isc_status isc_cases_entry(const isc_cases *s, const isc_class *cls, const char *name,
                           isc_case_entry *out);

#endif
