/* SPDX-License-Identifier: Apache-2.0
 *
 * The checker's own malloc family: glibc's, counted, and failing when asked to.
 *
 * Defined in the program, so that the dynamic linker gives it to every library and plugin in the process;
 * nothing of a plugin needs rebuilding to have its out-of-memory paths walked. What a device's driver allocates neither fails
 * nor counts: what it makes of that is not the plugin's, and some drivers crash.
 */
#include "conform/memory.h"
#include <inversescope/status.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define WATCHED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED 0
#endif
#endif
#if !defined(WATCHED) && defined(__GLIBC__)
#define WATCHED 1
#endif

#if WATCHED
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* glibc's allocator under the names it keeps for those who replace the public ones. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static _Atomic int64_t live_bytes, count, fatal;

static int64_t live(void) {
  return atomic_load(&live_bytes);
}

static int64_t made(void) {
  return atomic_load(&count);
}

/* ---- where the drivers' code lies, as of the last fail_at: a plugin has opened its device by then */

enum { DRIVERS = 32 };
static struct { uintptr_t begin, end; } driver[DRIVERS];
static int drivers;

static bool is_driver(const char *path) {
  const char *slash = path ? strrchr(path, '/') : NULL, *name = slash ? slash + 1 : path;
  return name && (strncmp(name, "libcuda.so", 10) == 0 || strncmp(name, "libnvidia-", 10) == 0);
}

static int note_driver(struct dl_phdr_info *info, size_t size, void *unused) {
  (void)size;
  (void)unused;
  if (!is_driver(info->dlpi_name)) return 0;
  for (int i = 0; i < info->dlpi_phnum && drivers < DRIVERS; i++) {
    const ElfW(Phdr) *h = &info->dlpi_phdr[i];
    if (h->p_type != PT_LOAD || !(h->p_flags & PF_X)) continue;
    driver[drivers].begin = info->dlpi_addr + h->p_vaddr;
    driver[drivers++].end = info->dlpi_addr + h->p_vaddr + h->p_memsz;
  }
  return 0;
}

static bool of_driver(const void *caller) {
  for (int i = 0; i < drivers; i++)
    if ((uintptr_t)caller >= driver[i].begin && (uintptr_t)caller < driver[i].end) return true;
  return false;
}

static void fail_at(int64_t k) {
  atomic_store(&fatal, 0);
  drivers = 0;
  dl_iterate_phdr(note_driver, NULL);
  atomic_store(&count, 0);
  atomic_store(&fatal, k);
}

const isc_memory *isc_memory_watched(void) {
  static const isc_memory watched = {live, made, fail_at};
  return &watched;
}

/* One of the public functions on behalf of the code that called it. */
typedef struct caller {
  bool counts, fails;
} caller;

static caller called_from(const void *code) {
  if (drivers && of_driver(code)) return (caller){false, false};
  const int64_t number = atomic_fetch_add(&count, 1) + 1, at = atomic_load(&fatal);
  const bool fails = at != 0 && number == at;
  if (fails) errno = ENOMEM;
  return (caller){true, fails};
}

static void *counted(caller c, void *p) {
  if (p && c.counts) atomic_fetch_add(&live_bytes, (int64_t)malloc_usable_size(p));
  return p;
}

#define CALLER called_from(__builtin_return_address(0))

ISC_API void *malloc(size_t n) {
  const caller c = CALLER;
  return c.fails ? NULL : counted(c, __libc_malloc(n));
}

ISC_API void *calloc(size_t n, size_t size) {
  const caller c = CALLER;
  return c.fails ? NULL : counted(c, __libc_calloc(n, size));
}

ISC_API void *realloc(void *p, size_t n) {
  const caller c = CALLER;
  const int64_t before = p ? (int64_t)malloc_usable_size(p) : 0;
  if (c.fails) return NULL;
  void *q = __libc_realloc(p, n);
  if ((q || n == 0) && c.counts) atomic_fetch_sub(&live_bytes, before);
  return counted(c, q);
}

ISC_API void free(void *p) {
  if (p && !(drivers && of_driver(__builtin_return_address(0))))
    atomic_fetch_sub(&live_bytes, (int64_t)malloc_usable_size(p));
  __libc_free(p);
}

static void *aligned(caller c, size_t alignment, size_t n) {
  return c.fails ? NULL : counted(c, __libc_memalign(alignment, n));
}

ISC_API void *memalign(size_t alignment, size_t n) {
  return aligned(CALLER, alignment, n);
}

ISC_API void *aligned_alloc(size_t alignment, size_t n) {
  return aligned(CALLER, alignment, n);
}

ISC_API int posix_memalign(void **out, size_t alignment, size_t n) {
  const int kept = errno;
  if (alignment % sizeof(void *) || (alignment & (alignment - 1)) || alignment == 0) return EINVAL;
  *out = aligned(CALLER, alignment, n);
  if (*out) return 0;
  errno = kept;
  return ENOMEM;
}

#else

const isc_memory *isc_memory_watched(void) {
  return NULL;
}

#endif
