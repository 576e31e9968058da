/* SPDX-License-Identifier: Apache-2.0
 *
 * Small host-side tools of the core: memory, growing strings, files, hashes, the clock.
 *
 * Allocation goes through isc_malloc & co. so that a test can make the k-th one fail.
 */
#ifndef ISC_CORE_BASE_H
#define ISC_CORE_BASE_H

#include <inversescope/status.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* ---- memory. Fail with ISC_E_NOMEM and a message naming `what`; size 0 gives a non-NULL pointer. */
ISC_API isc_status isc_malloc(size_t size, const char *what, void **out);
ISC_API isc_status isc_calloc(size_t n, size_t size, const char *what,
                              void **out); /* overflow-checked */
ISC_API isc_status isc_realloc(void **p, size_t n, size_t size, const char *what);
ISC_API isc_status isc_strdup(const char *s, char **out);
ISC_API isc_status isc_asprintf(char **out, const char *fmt, ...) ISC_PRINTF(2, 3);
/* Test hook: make the n-th allocation from now fail (1 = next), 0 = off. Returns how many allocations
 * were made since the last call. */
ISC_API int64_t isc_alloc_fail_at(int64_t n);

/* A caller's size-first struct as this library's: what lies beyond its size is zero. ISC_E_USAGE when `given` is smaller
 * than the first version of the struct (`least`) or larger than this one. */
ISC_API isc_status isc_struct_read(const void *given, const char *what, size_t least, size_t size,
                                   void *out /* [size] */);
/* Bytes of `type` up to and including `member`. */
#define ISC_SIZE_TO(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/* Ask everything that runs long to stop, or take that back (isc_cancelled in status.h). Safe in a signal handler. */
ISC_API void isc_cancel(bool on);

/* a*b and a+b with overflow → ISC_E_SHAPE naming `what`. */
ISC_API isc_status isc_mul_size(size_t a, size_t b, const char *what, size_t *out);
ISC_API isc_status isc_add_size(size_t a, size_t b, const char *what, size_t *out);

/* A pool: many allocations that die together. Zero-initialise, isc_pool_free when done. Memory comes
 * zeroed, aligned for any type. One thread at a time. */
typedef struct isc_pool {
  void *blocks;
} isc_pool;
ISC_API isc_status isc_pool_alloc(isc_pool *p, size_t n, size_t size, const char *what, void **out);
ISC_API isc_status isc_pool_strndup(isc_pool *p, const char *s, size_t n, char **out);
ISC_API void isc_pool_free(isc_pool *p);

/* ---- a growing string; zero-initialise, isc_sb_free when done. A failed append is remembered and
 * reported by isc_sb_finish, so a run of appends needs one check. */
typedef struct isc_sb {
  char *s;
  size_t len, cap;
  bool failed;
} isc_sb;
ISC_API void isc_sb_add(isc_sb *b, const char *s);
ISC_API void isc_sb_addn(isc_sb *b, const char *s, size_t n);
ISC_API void isc_sb_addf(isc_sb *b, const char *fmt, ...) ISC_PRINTF(2, 3);
ISC_API void isc_sb_add_json(isc_sb *b, const char *s,
                             size_t n); /* quoted, escaped; bad UTF-8 → U+FFFD */
ISC_API void isc_sb_add_html(isc_sb *b, const char *s,
                             size_t n); /* &<>"' escaped; bad UTF-8, controls → U+FFFD */
ISC_API void isc_sb_add_shell(isc_sb *b, const char *s); /* one word to a POSIX shell */
/* The shortest decimal that reads back to the same double, whatever the locale; "nan", "inf", "-inf". */
ISC_API void isc_sb_add_double(isc_sb *b, double v);
ISC_API isc_status isc_sb_finish(isc_sb *b, char **out); /* hands the string over */
ISC_API void isc_sb_free(isc_sb *b);

/* ---- small text helpers */
/* The whole of `s` as a decimal number, whatever the locale; false when it is none, or not finite. */
ISC_API bool isc_text_double(const char *s, double *out);
/* "Did you mean": the nearest of `names` (NULL-terminated) by edit distance; NULL when none is near. */
ISC_API const char *isc_nearest_name(const char *name, const char *const *names);

/* ---- files */
/* Read a whole file (≤ max bytes) into malloc'd memory with a NUL behind it. */
ISC_API isc_status isc_read_file(const char *path, size_t max, char **data, size_t *len);
/* Write beside the target, fsync, rename over it, fsync the directory. */
ISC_API isc_status isc_write_file(const char *path, const void *data, size_t len);
/* The same streamed: open → write to f → close (commit) or abandon. */
typedef struct isc_atomic_file {
  FILE *f;
  char *path, *tmp;
} isc_atomic_file;
ISC_API isc_status isc_atomic_open(const char *path, isc_atomic_file *a);
ISC_API isc_status isc_atomic_commit(isc_atomic_file *a); /* also checks earlier write errors */
ISC_API void isc_atomic_abandon(isc_atomic_file *a);      /* no-op after commit */

/* A regular file read by position. It may be shared by threads; closing twice is fine. */
typedef struct isc_input {
  int fd; /* −1 when closed */
  uint64_t size;
  char *path;
} isc_input;
ISC_API isc_status isc_input_open(const char *path, isc_input *in); /* size 0 is an error */
/* Bytes [at, at + n). Beyond its size when opened → ISC_E_FORMAT; cut short since → ISC_E_IO. */
ISC_API isc_status isc_input_read(const isc_input *in, uint64_t at, void *out, size_t n);
ISC_API void isc_input_close(isc_input *in);

/* fsync the directory that holds `path`, so that a rename into it survives a crash. */
ISC_API isc_status isc_sync_dir(const char *path);
ISC_API isc_status isc_mkdirs(const char *path);
ISC_API bool isc_exists(const char *path);
ISC_API bool isc_is_dir(const char *path);
ISC_API bool isc_dir_is_empty(const char *path); /* also true of what is not a directory */
ISC_API isc_status isc_path_join(const char *dir, const char *name,
                                 char **out); /* absolute `name` wins */
ISC_API isc_status isc_path_dir(const char *path, char **out);

/* ---- hashing (XXH3-128), as a stream or at once. */
typedef struct isc_hash {
  void *state;
} isc_hash;
typedef struct isc_digest {
  uint64_t hi, lo;
} isc_digest;
ISC_API isc_status isc_hash_begin(isc_hash *h);
ISC_API void isc_hash_add(isc_hash *h, const void *data, size_t len);
ISC_API void
isc_hash_str(isc_hash *h,
             const char *s); /* with its terminator, so that fields do not run together */
ISC_API isc_digest isc_hash_end(isc_hash *h);
ISC_API isc_status isc_hash_file(const char *path, isc_digest *out);
ISC_API void isc_digest_hex(isc_digest d, char out[33]);

/* ---- clock */
ISC_API double isc_now(void);       /* monotonic seconds        */
ISC_API void isc_utc(char out[32]); /* "2026-01-31T12:00:00Z"   */

#endif
