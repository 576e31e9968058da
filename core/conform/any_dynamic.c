/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of determinism: seeds, threads, instances.
 *
 * A study's numbers must not depend on anything but its config, so what one seed gives is compared byte for byte
 * between fresh instances, thread counts and neighbours in the same process.
 */
#include "conform/exercise.h"
#include <pthread.h>

enum { THREADS = 8 };

static isc_status same_seed(isc_conform *c) {
  isc_sb a = {0}, b = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_exercise_must(c, c->seed, 1, 2, &a));
  ISC_GO(isc_exercise_must(c, c->seed, 1, 2, &b));
  ISC_GO(isc_transcripts_agree(&a, &b, "two fresh instances with one seed"));
done:
  isc_sb_free(&a);
  isc_sb_free(&b);
  return st;
}

static isc_status other_seed(isc_conform *c) {
  isc_sb a = {0}, b = {0};
  isc_status st = ISC_OK;
  if (!isc_exercise_of(c->cls->kind)->seeded)
    return isc_conform_skip(c, "a %s takes no seed", isc_kind_name(c->cls->kind));
  ISC_GO(isc_exercise_must(c, c->seed, 1, 1, &a));
  ISC_GO(isc_exercise_must(c, c->seed + 1, 1, 1, &b));
  if (isc_transcripts_agree(&a, &b, "") == ISC_OK)
    st = isc_fail(ISC_E_INTERNAL, "seeds %llu and %llu give the same %zu bytes: is it used?",
                  (unsigned long long)c->seed, (unsigned long long)c->seed + 1, a.len);
done:
  isc_sb_free(&a);
  isc_sb_free(&b);
  return st;
}

/* ---- threads */

typedef struct worker {
  isc_conform *c;
  void *instance;
  isc_sb out;
  isc_status st;
  char error[512];
} worker;

static void *work(void *arg) {
  worker *w = arg;
  w->st = isc_exercise_of(w->c->cls->kind)->use(w->c, w->instance, w->c->seed, &w->out);
  if (w->st != ISC_OK) snprintf(w->error, sizeof w->error, "%s", isc_error());
  return NULL;
}

/* One instance, used from several threads at once: each must get what one alone got. */
static isc_status together(isc_conform *c, const isc_sb *alone) {
  const isc_exercise *e = isc_exercise_of(c->cls->kind);
  worker w[THREADS] = {{0}};
  pthread_t thread[THREADS];
  void *instance = NULL;
  isc_status st = ISC_OK;
  int started = 0;
  ISC_GO(e->open(c, c->conf, c->seed, 1, &instance));
  for (; started < THREADS; started++) {
    w[started] = (worker){.c = c, .instance = instance};
    if (pthread_create(&thread[started], NULL, work, &w[started]) != 0)
      ISC_GO(isc_fail(ISC_E_NOMEM, "could not start a thread"));
  }
done:
  for (int i = 0; i < started; i++)
    pthread_join(thread[i], NULL);
  for (int i = 0; i < started && st == ISC_OK; i++)
    st = w[i].st != ISC_OK
             ? isc_fail(w[i].st, "in one of %d threads: %s", THREADS, w[i].error)
             : isc_transcripts_agree(alone, &w[i].out, "alone, and 8 threads at once");
  for (int i = 0; i < started; i++)
    isc_sb_free(&w[i].out);
  if (instance) e->close(c, instance);
  return st;
}

static isc_status threads(isc_conform *c) {
  isc_sb one = {0}, many = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_exercise_must(c, c->seed, 1, 1, &one));
  ISC_GO(isc_exercise_must(c, c->seed, THREADS, 1, &many));
  ISC_GO(isc_transcripts_agree(&one, &many, "1 and 8 threads"));
  if (isc_exercise_of(c->cls->kind)->shared) ISC_GO(together(c, &one));
done:
  isc_sb_free(&one);
  isc_sb_free(&many);
  return st;
}

/* ---- instances */

/* Two instances whose uses alternate, the first outliving the second; x gets the first's three uses, y the second's two. */
static isc_status alternate(isc_conform *c, isc_sb *x, isc_sb *y) {
  const isc_exercise *e = isc_exercise_of(c->cls->kind);
  void *a = NULL, *b = NULL;
  isc_status st = ISC_OK;
  ISC_GO(e->open(c, c->conf, c->seed, 1, &a));
  ISC_GO(e->open(c, c->conf, c->seed + 1, 1, &b));
  for (int i = 0; i < 2; i++) {
    ISC_GO(e->use(c, a, c->seed, x));
    ISC_GO(e->use(c, b, c->seed + 1, y));
  }
  e->close(c, b);
  b = NULL;
  ISC_GO(e->use(c, a, c->seed, x));
done:
  if (b) e->close(c, b);
  if (a) e->close(c, a);
  return st;
}

static isc_status instances(isc_conform *c) {
  isc_sb a = {0}, b = {0}, x = {0}, y = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_exercise_must(c, c->seed, 1, 3, &a));
  ISC_GO(isc_exercise_must(c, c->seed + 1, 1, 2, &b));
  ISC_GO(alternate(c, &x, &y));
  ISC_GO(isc_transcripts_agree(&a, &x, "alone, and beside another instance"));
  ISC_GO(isc_transcripts_agree(&b, &y, "alone, and opened as the second instance"));
done:
  isc_sb_free(&a);
  isc_sb_free(&b);
  isc_sb_free(&x);
  isc_sb_free(&y);
  return st;
}

/* ---- buffers */

static isc_status guards(isc_conform *c) {
  isc_sb out = {0};
  const isc_exercise *e = isc_exercise_of(c->cls->kind);
  void *instance = NULL;
  isc_status st = ISC_OK;
  c->guard_outputs = true;
  ISC_GO(e->open(c, c->conf, c->seed, 1, &instance));
  ISC_GO(e->use(c, instance, c->seed, &out));
  ISC_GO(isc_guard_intact(c));
done:
  if (instance) e->close(c, instance);
  isc_guard_free_all();
  isc_sb_free(&out);
  return st;
}

static isc_status inputs(isc_conform *c) {
  isc_sb out = {0};
  c->guard_inputs = true;
  isc_status st = isc_exercise_must(c, c->seed, 1, 1, &out);
  isc_sb_free(&out);
  return st;
}

const isc_check isc_checks_any_dynamic[] = {
    {"any.same-seed", ISC_ALL_KINDS, ISC_PER_CASE, 20,
     "The same settings and seed give the same bytes in a fresh instance.",
     "Look for uninitialised memory, addresses or the clock in what is given out, and for static "
     "variables. Draw "
     "randomness from isc_rng_at alone.",
     same_seed},
    {"any.other-seed", ISC_ALL_KINDS, ISC_PER_CASE, 20, "Another seed gives other bytes.",
     "Pass the seed of `open`, or of the call, on to isc_rng_at.", other_seed},
    {"any.threads", ISC_ALL_KINDS, ISC_PER_CASE, 30,
     "One thread and eight give the same bytes, and so does an instance that eight threads use at "
     "once, where its kind "
     "allows that.",
     "Keep scratch memory on the stack or in the call, not in the instance or in static variables; "
     "let no sum's order "
     "depend on the number of threads.",
     threads},
    {"any.instances", ISC_ALL_KINDS, ISC_PER_CASE, 30,
     "Two open instances do not disturb each other, and one outlives the other.",
     "Keep state in the instance that `open` returns, never in static variables.", instances},
    {"any.guards", ISC_ALL_KINDS, ISC_PER_CASE, 20,
     "Nothing is written before the start or behind the end of an output, or read behind the end "
     "of an input.",
     "A text comes with its length and need not end in a NUL; a buffer has the size its contract "
     "says, no more.",
     guards},
    {"any.inputs", ISC_ALL_KINDS, ISC_PER_CASE, 20, "Inputs are left as they were.",
     "Copy what you want to change: const data of the core may be shared or read-only.", inputs},
    {0}};
