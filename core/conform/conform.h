/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of plugins: what a check is, what it is given, and how it says what it found.
 *
 * Every check runs in a process of its own (inversescope-check), so a plugin may crash, hang or leak without harm to
 * the others. A check is a function over a class opened on a case's settings. Its ID never changes once published:
 * docs/conformance.md has an anchor for it, and `inversescope conform --only ID` replays it.
 */
#ifndef ISC_CORE_CONFORM_H
#define ISC_CORE_CONFORM_H

#include "base/base.h"
#include "conform/case.h"
#include <inversescope/backend.h>
#include <inversescope/plugin.h>

/* What a check looks at, and so how often it runs. */
typedef enum isc_check_scope {
  ISC_PER_PLUGIN, /* the file: `path` alone is set                       */
  ISC_PER_CLASS,  /* a class's descriptor: also `plugin` and `cls`       */
  ISC_PER_CASE    /* a class with settings: everything                   */
} isc_check_scope;

typedef struct isc_conform {
  const char *path; /* of the .so */
  const isc_plugin *plugin;
  const isc_class *cls; /* in this library's size */
  const isc_case *cs;
  const void *conf; /* the class's conf struct, filled from the case's options */
  uint64_t seed;
  const char *scratch; /* a directory of this check's own, empty at the start */
  /* Guarding (guard.c): when set, buffers of isc_guard_new end at a page that cannot be touched, and sealed ones are
   * read-only. Off by default, so that a plugin that writes past an end fails one check and not all. */
  bool guard_outputs, guard_inputs;
  const struct isc_memory *memory; /* memory.h; NULL where the heap cannot be watched */
  bool skipped;
  char why[512];
} isc_conform;

/* A check passes by ISC_OK, fails by any other status with the message in the error record (say what was expected, what
 * came, for which input, so that an author can act on it), and is skipped by `return isc_conform_skip(c, "why")`. */
typedef struct isc_check {
  const char *id; /* "prior.index": kind or "any", a dot, words joined by dashes */
  unsigned kinds; /* ISC_OF(kind) | …; ISC_ALL_KINDS for any.*                    */
  isc_check_scope scope;
  int seconds;        /* time limit on a quiet machine                               */
  const char *rule;   /* what must hold, one sentence; part of the documentation      */
  const char *advice; /* what usually breaks it and what to do, one or two sentences   */
  isc_status (*run)(isc_conform *c);
} isc_check;
#define ISC_OF(kind)  (1u << (kind))
#define ISC_ALL_KINDS 0x7eu

/* Mark as skipped; returns ISC_OK. */
isc_status isc_conform_skip(isc_conform *c, const char *fmt, ...) ISC_PRINTF(2, 3);

/* The checks, one array a file, each ended by an entry without an id. */
extern const isc_check isc_checks_any_static[], isc_checks_any_dynamic[], isc_checks_any_memory[],
    isc_checks_any_options[], isc_checks_any_process[], isc_checks_target[],
    isc_checks_target_forward[], isc_checks_target_golden[], isc_checks_target_limits[],
    isc_checks_target_sites[], isc_checks_target_patch[], isc_checks_prior[],
    isc_checks_prior_texts[], isc_checks_prior_law[], isc_checks_prior_frequencies[],
    isc_checks_prior_slots[], isc_checks_kernel[], isc_checks_kernel_law[],
    isc_checks_kernel_backends[], isc_checks_feature[], isc_checks_feature_text[],
    isc_checks_method[], isc_checks_backend[], isc_checks_backend_ops[],
    isc_checks_backend_repeat[], isc_checks_backend_later[], isc_checks_backend_lane[];
/* All of them in documentation order; *n entries. Static. */
const isc_check *const *isc_checks_all(int64_t *n);
const isc_check *isc_check_find(const char *id); /* NULL when there is none */

/* How the checks of any.* use a class without knowing its kind: open it as the core does, use it a little, close it. */
typedef struct isc_exercise {
  /* *instance on the given conf; `threads` is what the device it runs on is opened with. */
  isc_status (*open)(isc_conform *c, const void *conf, uint64_t seed, int threads, void **instance);
  void (*close)(isc_conform *c, void *instance);
  /* Call every function of the ops table with small inputs made from `seed`, and append the bytes of all it gave. Well
   * below 100 ms on a conforming plugin. */
  isc_status (*use)(isc_conform *c, void *instance, uint64_t seed, isc_sb *out);
  bool seeded; /* another seed must give other bytes                               */
  bool shared; /* `use` may run on one instance from several threads at once        */
} isc_exercise;
extern const isc_exercise isc_exercise_target, isc_exercise_prior, isc_exercise_kernel,
    isc_exercise_feature, isc_exercise_method, isc_exercise_backend;
const isc_exercise *isc_exercise_of(isc_kind kind);

/* A buffer that goes into or comes out of the plugin; zero bytes, 64-byte aligned at its end or start. Lives until
 * isc_guard_free_all. Under c->guard_outputs the page behind its end cannot be touched, and the bytes before it are
 * canaries that isc_guard_intact examines. */
isc_status isc_guard_new(isc_conform *c, size_t bytes, void **out);
/* The content is an input now: under c->guard_inputs writing to it crashes. */
isc_status isc_guard_seal(isc_conform *c, void *p);
isc_status isc_guard_intact(isc_conform *c);
void isc_guard_free_all(void);

/* The device a class is tried on: a "cpu" of `threads`, or for a backend class itself. Closed by the caller. */
isc_status isc_conform_device(isc_conform *c, int threads, isc_device **out);

#endif
