/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the config layer: the linter that stands before libconfig.
 *
 * It reads the text itself, character by character, and hands libconfig only the structure: every
 * scalar is replaced by its number in a table. So libconfig 1.5 never converts a value (it wraps
 * integers above 2^31 and reads fractions by the locale), never sees a comment (it drops the rest
 * of the file after one that is not closed), and never opens an included file.
 */
#ifndef ISC_CORE_LINT_H
#define ISC_CORE_LINT_H

#include "base/base.h"
#include "plugin/schema.h"

/* libconfig compares a setting's name with all before it, so the count is bounded as well as the size. */
enum {
  ISC_LINT_MAX_BYTES = 1 << 20, /* of all included files together */
  ISC_LINT_MAX_SETTINGS = 4000,
  ISC_LINT_MAX_NESTING = 32,
  ISC_LINT_MAX_INCLUDES = 10 /* deep */
};

typedef struct isc_lint_file {
  const char *name; /* for messages                              */
  const char *dir;  /* absolute; paths written in it start here  */
  const char *real; /* canonical path; NULL for text             */
  bool whole;       /* an override: messages need no line number */
} isc_lint_file;

typedef struct isc_lint_place {
  int32_t file, line;
} isc_lint_place;

typedef struct isc_lint {
  isc_pool *pool;   /* of everything that outlives the lint           */
  const char *tree; /* @include must stay below it; NULL = no include */
  bool allow_outside;
  isc_sb out;          /* what libconfig reads                           */
  isc_value *scalar;   /* [n_scalars]                                    */
  isc_lint_place *at;  /* [n_scalars]                                    */
  isc_lint_place *row; /* [n_rows] where each line of `out` came from    */
  isc_lint_file *file; /* [n_files]                                      */
  size_t n_scalars, n_rows, n_files;
  size_t cap_scalars, cap_at, cap_rows, cap_files;
  size_t bytes, settings;
} isc_lint;

/* Check `text` and append its structure to l->out. `file->real` guards against cycles. */
isc_status isc_lint_text(isc_lint *l, const char *text, size_t len, const isc_lint_file *file);
void isc_lint_free(isc_lint *l);

/* "name:line" of a place, in the pool. */
isc_status isc_lint_where(isc_lint *l, isc_lint_place p, const char **out);

/* A config file's text; one beyond the size limit is ISC_E_CONFIG. */
isc_status isc_lint_read(const char *path, char **text, size_t *len);

/* The files being read, outermost first. */
typedef struct isc_lint_stack {
  int32_t file[ISC_LINT_MAX_INCLUDES + 1];
  int depth;
} isc_lint_stack;
/* Lint the file `name`, relative to the directory of the innermost one, where it is included. */
isc_status isc_lint_include(isc_lint *l, isc_lint_stack *stack, const char *name);
isc_status isc_lint_file_text(isc_lint *l, isc_lint_stack *stack, const char *text, size_t len);
isc_status isc_lint_push_file(isc_lint *l, isc_lint_stack *stack, const isc_lint_file *file);

#endif
