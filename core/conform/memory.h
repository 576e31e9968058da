/* SPDX-License-Identifier: Apache-2.0
 *
 * What the checker process knows of its heap: live bytes, and making the k-th allocation fail.
 *
 * Everything in the process counts, the plugin's own allocations and those that the library makes for it.
 */
#ifndef ISC_CORE_CONFORM_MEMORY_H
#define ISC_CORE_CONFORM_MEMORY_H

#include <stdint.h>

typedef struct isc_memory {
  int64_t (*live)(void);      /* bytes allocated and not freed                                */
  int64_t (*made)(void);      /* allocations since the last fail_at                           */
  void (*fail_at)(int64_t k); /* the k-th allocation from now fails, once; 0 = none           */
} isc_memory;

/* The checker's heap; NULL where it cannot be watched (another C library than glibc, a sanitizer's own heap). */
const isc_memory *isc_memory_watched(void);

#endif
