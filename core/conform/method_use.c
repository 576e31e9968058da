/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening, training and loading a method on the planted task.
 *
 * Every stage is trained and then loaded in the same instance, and later stages follow, as in a run.
 */
#include "conform/method_use.h"
#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- directories */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
  (void)st;
  (void)type;
  (void)at;
  return remove(path);
}

static void remove_tree(const char *path) {
  enum { OPEN_DIRECTORIES = 8 };
  nftw(path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
}

isc_status isc_reader_stage_dir(const isc_reader *r, int64_t k, char **out) {
  return isc_path_join(r->dir, isc_reader_stage_name(r, k), out);
}

/* ---- opening */

/* The method's own status, so that the checks of options see its message as it is. */
static isc_status open_method(isc_reader *r) {
  void *self = NULL;
  ISC_TRY(r->ops->open(r->conf, &r->task->env, &self));
  r->self = self;
  return ISC_OK;
}

isc_status isc_reader_open(isc_conform *c, const void *conf, uint64_t seed, int threads,
                           int64_t n_train, const char *name, isc_reader *r) {
  isc_status st = ISC_OK;
  *r = (isc_reader){.c = c, .conf = conf, .ops = c->cls->ops};
  ISC_GO(isc_path_join(c->scratch, name, &r->dir));
  ISC_GO(isc_conform_device(c, threads, &r->device));
  ISC_GO(isc_task_open(r->device, seed, n_train, &r->task));
  ISC_GO(open_method(r));
done:
  if (st != ISC_OK) isc_reader_close(r);
  return st;
}

void isc_reader_close(isc_reader *r) {
  if (r->self) r->ops->close(r->self);
  isc_task_close(r->task);
  if (r->device) isc_device_close(r->device);
  if (r->dir) remove_tree(r->dir);
  free(r->dir);
  *r = (isc_reader){0};
}

isc_status isc_reader_reopen(isc_reader *r) {
  if (r->self) r->ops->close(r->self);
  r->self = NULL;
  r->task->harvested = false;
  if (open_method(r) == ISC_OK) return ISC_OK;
  return isc_fail_in("opened a second time");
}

/* ---- stages */

int64_t isc_reader_stages(const isc_reader *r) {
  const char *const *names = r->ops->stages(r->self);
  int64_t n = 0;
  while (n < ISC_READER_STAGES && names && names[n])
    n++;
  return n;
}

const char *isc_reader_stage_name(const isc_reader *r, int64_t k) {
  return r->ops->stages(r->self)[k];
}

/* ---- training */

static void problem(isc_training *t, const char *fmt, ...) ISC_PRINTF(2, 3);

static void problem(isc_training *t, const char *fmt, ...) {
  va_list ap;
  if (t->problem[0]) return;
  va_start(ap, fmt);
  vsnprintf(t->problem, sizeof t->problem, fmt, ap);
  va_end(ap);
}

static void examine(isc_training *t, int64_t done, int64_t total, const isc_metric *m, int64_t n) {
  if (t->calls > 1 && total != t->total)
    problem(t, "the total was %" PRId64 " and became %" PRId64 " at step %" PRId64, t->total, total,
            done);
  if (t->calls > 1 && done <= t->done)
    problem(t, "step %" PRId64 " was reported after step %" PRId64, done, t->done);
  if (done < 1 || done > total) problem(t, "step %" PRId64 " of %" PRId64, done, total);
  for (int64_t i = 0; i < n; i++)
    if (!m[i].name || !m[i].name[0] || strpbrk(m[i].name, " \t\n,\""))
      problem(t, "metric %" PRId64 " of step %" PRId64 " is named \"%s\", which is no word", i,
              done, m[i].name ? m[i].name : "(null)");
}

static isc_status on_progress(isc_train_io *io, int64_t done, int64_t total, const isc_metric *m,
                              int64_t n) {
  isc_training *t = io->core;
  t->calls++;
  if (t->calls == 1) {
    t->first = done;
    t->total = total;
  }
  examine(t, done, total, m, n);
  t->done = done;
  t->late += t->asked > 0;
  if (t->fail_at >= 0 && done >= t->fail_at)
    return isc_fail(ISC_E_IO, "the run was killed at step %" PRId64, done);
  return ISC_OK;
}

static bool on_checkpoint_due(isc_train_io *io) {
  isc_training *t = io->core;
  if (t->saved >= 0 || t->checkpoint_at < 0 || t->done < t->checkpoint_at) return false;
  t->saved = t->done;
  return true;
}

static bool on_should_stop(isc_train_io *io) {
  isc_training *t = io->core;
  const bool stop = isc_cancelled() || (t->stop_after >= 0 && t->done >= t->stop_after);
  if (stop && t->asked == 0) t->asked = isc_now();
  return stop;
}

isc_training isc_training_new(void) {
  return (isc_training){.io = {.size = sizeof(isc_train_io),
                               .progress = on_progress,
                               .checkpoint_due = on_checkpoint_due,
                               .should_stop = on_should_stop},
                        .stop_after = -1,
                        .checkpoint_at = -1,
                        .fail_at = -1,
                        .saved = -1};
}

isc_status isc_reader_train(isc_reader *r, int64_t k, isc_training *t) {
  isc_status st = ISC_OK;
  char *dir = NULL;
  ISC_GO(isc_reader_stage_dir(r, k, &dir));
  ISC_GO(isc_mkdirs(dir));
  r->task->harvested = !r->as_listed || (r->ops->stage_uses(r->self, k) & ISC_USES_ACTIVATIONS);
  t->io.dir = dir;
  t->io.core = t;
  if (t->io.max_steps == 0) t->io.max_steps = r->max_steps;
  st = r->ops->train(r->self, k, &t->io);
done:
  t->io.dir = NULL;
  free(dir);
  return st;
}

static isc_status load_stage(isc_reader *r, int64_t k) {
  char *dir = NULL;
  ISC_TRY(isc_reader_stage_dir(r, k, &dir));
  isc_status st = r->ops->load(r->self, k, dir);
  free(dir);
  return st;
}

isc_status isc_reader_load(isc_reader *r, int64_t n) {
  for (int64_t k = 0; k < n; k++)
    ISC_TRY(load_stage(r, k));
  return ISC_OK;
}

isc_status isc_reader_fit(isc_reader *r) {
  for (int64_t k = 0; k < isc_reader_stages(r); k++) {
    isc_training t = isc_training_new();
    if (isc_reader_train(r, k, &t) != ISC_OK)
      return isc_fail_in("training stage %s", isc_reader_stage_name(r, k));
    if (load_stage(r, k) != ISC_OK)
      return isc_fail_in("loading stage %s after its training", isc_reader_stage_name(r, k));
  }
  return ISC_OK;
}

isc_status isc_reader_fitted(isc_conform *c, int64_t max_steps, const char *name, isc_reader *r) {
  ISC_TRY(isc_reader_open(c, c->conf, c->seed, 1, ISC_TASK_TRAIN, name, r));
  r->max_steps = max_steps;
  isc_status st = isc_reader_fit(r);
  if (st != ISC_OK) isc_reader_close(r);
  return st;
}
