/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps of AdamW with checkpoints, progress and a way to stop.
 *
 * Nothing here draws a random number or looks at a clock: what a step does depends on its number and
 * the parameters alone.
 */
#include <inversescope/training_loop.h>
#include "base/base.h"
#include "model/params_io.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const isc_schedule_names[] = {"constant", "linear", "cosine", NULL};

static const char *const NO_PREFIX[] = {""};

static isc_status checkpoint_path(const isc_train_io *io, char **path) {
  return isc_path_join(io->dir, "checkpoint.safetensors", path);
}

static isc_status save(const isc_train_loop *t, const char *path, int64_t done) {
  isc_meta meta[] = {{.key = "step"}, {.key = "held"}};
  isc_sb b = {0};
  char *held = NULL;
  isc_sb_add_double(&b, t->held ? *t->held : 0);
  ISC_TRY(isc_sb_finish(&b, &held));
  snprintf(meta[0].value, sizeof meta[0].value, "%" PRId64, done);
  snprintf(meta[1].value, sizeof meta[1].value, "%s", held);
  free(held);
  return isc_params_checkpoint(path, &t->params, NO_PREFIX, 1, meta, 2);
}

static isc_status restore(const isc_train_loop *t, const char *path, int64_t *done) {
  isc_meta meta[] = {{.key = "step"}, {.key = "held"}};
  char *end;
  *done = 0;
  if (!isc_exists(path)) return ISC_OK;
  ISC_TRY(isc_params_restore(path, &t->params, NO_PREFIX, 1, meta, 2));
  errno = 0;
  *done = strtoll(meta[0].value, &end, 10);
  if (end == meta[0].value || *end || errno || *done < 0 || *done > t->recipe->steps ||
      (t->held && !isc_text_double(meta[1].value, t->held)))
    return isc_fail(ISC_E_FORMAT,
                    "%s: step \"%s\" (held \"%s\") is not one of a training of %lld steps; delete "
                    "the file to start anew",
                    path, meta[0].value, meta[1].value, (long long)t->recipe->steps);
  return ISC_OK;
}

static isc_optimizer optimizer(const isc_train_loop *t, double lr) {
  const isc_recipe *r = t->recipe;
  isc_optimizer o = {
      .size = sizeof o, .beta1 = 0.9, .beta2 = r->beta2, .eps = 1e-8, .clip = r->clip};
  for (int g = 0; g < 8; g++) {
    o.lr[g] = lr * t->group_lr[g];
    o.weight_decay[g] = r->weight_decay;
  }
  return o;
}

/* One update; m[0 … 3) are the loop's own metrics. */
static isc_status update(const isc_train_loop *t, isc_step *s, int64_t k, isc_metric *m,
                         int64_t *n) {
  const isc_recipe *r = t->recipe;
  double lr =
      r->lr * isc_schedule((isc_schedule_kind)r->schedule, k, r->warmup, r->steps, r->final_lr);
  isc_optimizer opt = optimizer(t, lr);
  isc_tensor *loss;
  float value;
  double norm = 0;
  isc_step_reset(s);
  ISC_TRY(isc_params_zero_grad(t->params));
  ISC_TRY(isc_tape_begin(s));
  *n = 0;
  ISC_TRY(t->forward(t->user, s, k, &loss, m + 3, n));
  ISC_TRY(isc_tape_backward(s, loss));
  ISC_TRY(isc_tensor_download(s, loss, &value));
  ISC_TRY(isc_adamw_step(t->params, &opt, &norm));
  m[0] = (isc_metric){"loss", value};
  m[1] = (isc_metric){"lr", lr};
  m[2] = (isc_metric){"grad_norm", norm};
  *n += 3;
  return ISC_OK;
}

static isc_status step(const isc_train_loop *t, isc_step *s, int64_t k) {
  isc_metric m[3 + ISC_TRAIN_METRICS];
  int64_t n;
  if (update(t, s, k, m, &n) != ISC_OK) return isc_fail_in("training step %lld", (long long)k);
  return t->io->progress ? t->io->progress(t->io, k + 1, t->recipe->steps, m, n) : ISC_OK;
}

static isc_status stopped(const isc_train_loop *t, const char *path, int64_t done) {
  ISC_TRY(save(t, path, done));
  return isc_fail(ISC_E_INTERRUPTED, "stopped after training step %lld of %lld; the state is in %s",
                  (long long)done, (long long)t->recipe->steps, path);
}

isc_status isc_train_run(const isc_train_loop *given) {
  isc_status st = ISC_OK;
  isc_train_loop loop, *const t = &loop;
  ISC_TRY(isc_struct_read(given, "a training loop", ISC_SIZE_TO(isc_train_loop, forward),
                          sizeof loop, &loop));
  isc_train_io *io = loop.io;
  isc_recipe recipe = *loop.recipe;
  isc_step *s = NULL;
  char *path = NULL;
  int64_t done = 0;
  recipe.steps = isc_train_steps(io, recipe.steps);
  loop.recipe = &recipe;
  isc_params_train(t->params, true);
  ISC_GO(checkpoint_path(io, &path));
  ISC_GO(restore(t, path, &done));
  ISC_GO(isc_step_new(t->device, &s));
  while (done < t->recipe->steps) {
    if (io->should_stop && io->should_stop(io)) ISC_GO(stopped(t, path, done));
    ISC_GO(step(t, s, done));
    done++;
    if (done < t->recipe->steps && io->checkpoint_due && io->checkpoint_due(io))
      ISC_GO(save(t, path, done));
  }
done:
  isc_step_free(s);
  free(path);
  return st;
}

isc_status isc_train_finish(const isc_train_io *io) {
  isc_status st = ISC_OK;
  char *path = NULL;
  ISC_GO(checkpoint_path(io, &path));
  if (unlink(path) != 0 && errno != ENOENT)
    st = isc_fail(ISC_E_IO, "%s: cannot be removed: %s", path, strerror(errno));
done:
  free(path);
  return st;
}
