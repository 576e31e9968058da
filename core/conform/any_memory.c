/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of what a class does with memory, files and errors.
 *
 * A study opens a class once, but a library's user may do so a thousand times, and a cluster's job must end in a
 * message when memory ends; so every cycle must give back all it took, also when an allocation fails half-way.
 */
#include "conform/exercise.h"
#include "conform/memory.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { CYCLES = 100, WARM = 10, USED_EVERY = 25, MAX_POINTS = 64 };

/* ---- a hundred cycles */

static int64_t entries(const char *dir) {
  int64_t n = 0;
  DIR *d = opendir(dir);
  if (!d) return -1;
  while (readdir(d))
    n++;
  closedir(d);
  return n;
}

static int64_t maps(void) {
  int64_t n = 0;
  FILE *f = fopen("/proc/self/maps", "r");
  if (!f) return -1;
  for (int ch; (ch = fgetc(f)) != EOF;)
    n += ch == '\n';
  fclose(f);
  return n;
}

/* Cycles `from` … `to`; now and then the instance is used too. */
static isc_status cycles(isc_conform *c, int from, int to) {
  for (int i = from; i < to; i++) {
    isc_sb out = {0};
    isc_status st = isc_exercise_cycle(c, c->seed, 1, i % USED_EVERY == 0, &out);
    isc_sb_free(&out);
    if (st != ISC_OK) return isc_fail_in("open/close cycle %d", i + 1);
  }
  return ISC_OK;
}

static isc_status leaks(isc_conform *c) {
  if (!c->memory)
    return isc_conform_skip(c, "this checker cannot watch the heap (run it without sanitizers)");
  ISC_TRY(cycles(c, 0, WARM));
  const int64_t bytes = c->memory->live(), mapped = maps();
  ISC_TRY(cycles(c, WARM, CYCLES));
  const int64_t grown = c->memory->live() - bytes, more = maps() - mapped;
  /* What a library keeps for good it keeps once; a leak comes back in each of the 90 cycles, or each used one. */
  if (grown >= (CYCLES - WARM) / USED_EVERY * (int64_t)sizeof(void *))
    return isc_fail(ISC_E_INTERNAL,
                    "%lld bytes more are allocated after %d further cycles of open and close",
                    (long long)grown, CYCLES - WARM);
  if (more > (CYCLES - WARM) / 2)
    return isc_fail(ISC_E_INTERNAL, "%lld more memory mappings after %d further cycles",
                    (long long)more, CYCLES - WARM);
  return ISC_OK;
}

static isc_status files(isc_conform *c) {
  ISC_TRY(cycles(c, 0, 1));
  const int64_t open = entries("/proc/self/fd"), running = entries("/proc/self/task");
  if (open < 0) return isc_conform_skip(c, "this system has no /proc/self/fd to count in");
  ISC_TRY(cycles(c, 1, CYCLES));
  const int64_t left = entries("/proc/self/fd") - open,
                threads = entries("/proc/self/task") - running;
  if (left > 0)
    return isc_fail(ISC_E_INTERNAL, "%lld more files are open after %d cycles of open and close",
                    (long long)left, CYCLES - 1);
  if (threads > 0)
    return isc_fail(ISC_E_INTERNAL, "%lld more threads run after %d cycles of open and close",
                    (long long)threads, CYCLES - 1);
  return ISC_OK;
}

/* ---- failing allocations */

/* One cycle in which allocation k fails. Whatever it ends with, it must have a message unless it ended well. */
static isc_status failing_cycle(isc_conform *c, int64_t k, isc_sb *out) {
  isc_error_clear();
  c->memory->fail_at(k);
  isc_status st = isc_exercise_cycle(c, c->seed, 1, 1, out);
  c->memory->fail_at(0);
  if (st != ISC_OK && !isc_error()[0])
    return isc_fail(ISC_E_INTERNAL, "allocation %lld failing: %s comes without a message",
                    (long long)k, isc_status_name(st));
  return ISC_OK;
}

/* Twice, because what a library builds once it may keep: only the second time is a loss a leak. */
static isc_status point(isc_conform *c, int64_t k) {
  isc_sb out = {0};
  isc_status st = failing_cycle(c, k, &out);
  isc_sb_free(&out);
  if (st != ISC_OK) return st;
  const int64_t before = c->memory->live();
  st = failing_cycle(c, k, &out);
  isc_sb_free(&out);
  const int64_t lost = c->memory->live() - before;
  if (st == ISC_OK && lost > 0)
    return isc_fail(ISC_E_INTERNAL, "allocation %lld failing: %lld bytes are not given back",
                    (long long)k, (long long)lost);
  return st;
}

static isc_status out_of_memory(isc_conform *c) {
  isc_sb first = {0}, again = {0};
  isc_status st = ISC_OK;
  if (!c->memory)
    return isc_conform_skip(c, "this checker cannot watch the heap (run it without sanitizers)");
  ISC_GO(isc_exercise_must(c, c->seed, 1, 1, &first));
  c->memory->fail_at(0);
  ISC_GO(isc_exercise_must(c, c->seed, 1, 1, &again));
  const int64_t all = c->memory->made(), points = all < MAX_POINTS ? all : MAX_POINTS;
  if (all == 0) ISC_GO(isc_fail(ISC_E_INTERNAL, "no allocation was seen: the heap is not watched"));
  for (int64_t i = 0; i < points; i++) {
    /* The first ones all, then spread: what `open` does is small and what `use` does repeats. */
    int64_t k = i < points / 2 || all <= MAX_POINTS ? i + 1 : 1 + i * (all - 1) / (points - 1);
    ISC_GO(point(c, k));
  }
  isc_sb_free(&again);
  ISC_GO(isc_exercise_must(c, c->seed, 1, 1, &again));
  ISC_GO(isc_transcripts_agree(&first, &again, "before and after the failures"));
done:
  c->memory->fail_at(0);
  isc_sb_free(&first);
  isc_sb_free(&again);
  return st;
}

const isc_check isc_checks_any_memory[] = {
    {"any.leaks", ISC_ALL_KINDS, ISC_PER_CASE, 60,
     "A hundred cycles of open, use and close leave no memory behind.",
     "Free in `close` all that `open` took, and in a call all that the call took; isc_text buffers "
     "are the caller's.",
     leaks},
    {"any.files", ISC_ALL_KINDS, ISC_PER_CASE, 60,
     "A hundred cycles of open, use and close leave no file open and no thread running.",
     "Close files on every path, also when reading fails; join the threads you start.", files},
    {"any.out-of-memory", ISC_ALL_KINDS, ISC_PER_CASE, 120,
     "When the k-th allocation fails, for any k, the call ends in an error with a message, nothing "
     "leaks and the next "
     "call works.",
     "Check every allocation, also those of libraries and of strdup; release what was taken on the "
     "way out; "
     "initialise pointers before the first failure can jump to the clean-up.",
     out_of_memory},
    {0}};
