/* SPDX-License-Identifier: Apache-2.0
 *
 * Label strings ↔ small integers, so that the evaluation compares integers.
 *
 * One table may serve all features of a study. The null label (empty text) is −1 and equals nothing.
 * One thread at a time.
 */
#ifndef ISC_CORE_LABELS_H
#define ISC_CORE_LABELS_H

#include <inversescope/status.h>
#include <stdint.h>

enum { ISC_LABEL_NULL = -1 };

/* Zero-initialise; free once. */
typedef struct isc_labels {
  int32_t count;
  char **text;   /* [count], each ends in a NUL that len does not count */
  size_t *len;   /* [count]                                             */
  int32_t *slot; /* [slots]: id + 1, or 0 = empty                       */
  int64_t slots; /* a power of two, at least twice count                */
  int64_t room;  /* of text and len                                     */
} isc_labels;

/* The id of a label, made at first sight: 0, 1, … in order of appearance. ISC_E_NOMEM. */
ISC_API isc_status isc_labels_intern(isc_labels *l, const char *s, size_t len, int32_t *id);
/* Its id, or ISC_LABEL_NULL when it was never interned. */
ISC_API int32_t isc_labels_find(const isc_labels *l, const char *s, size_t len);
/* The text of an id; "" for ISC_LABEL_NULL. Valid until the table is freed. */
ISC_API const char *isc_labels_text(const isc_labels *l, int32_t id);
ISC_API void isc_labels_free(isc_labels *l);

#endif
