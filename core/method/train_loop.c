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
#include "tensor/optional.h"
#include "tensor/params.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const isc_schedule_names[] = {"constant", "linear", "cosine", NULL};
const char *const isc_precision_names[] = {"f32", "bf16", NULL};

static const char *const NO_PREFIX[] = {""};

static isc_status checkpoint_path(const isc_train_io *io, char **path) {
  return isc_path_join(io->dir, "checkpoint.safetensors", path);
}

static int64_t n_held(const isc_train_loop *t) {
  return t->held ? (t->n_held ? t->n_held : 1) : 0;
}

/* "0.25 0.5" */
static isc_status held_text(const isc_train_loop *t, char *out, size_t size) {
  isc_sb b = {0};
  char *text = NULL;
  for (int64_t i = 0; i < n_held(t); i++) {
    if (i) isc_sb_add(&b, " ");
    isc_sb_add_double(&b, t->held[i]);
  }
  ISC_TRY(isc_sb_finish(&b, &text));
  snprintf(out, size, "%s", text);
  free(text);
  return ISC_OK;
}

static bool held_of_text(const isc_train_loop *t, char *text) {
  if (!t->held) return true;
  char *save = NULL, *word = strtok_r(text, " ", &save);
  for (int64_t i = 0; i < n_held(t); i++, word = strtok_r(NULL, " ", &save))
    if (!word || !isc_text_double(word, &t->held[i])) return false;
  return !word;
}

static isc_status save(const isc_train_loop *t, const char *path, int64_t done) {
  isc_meta meta[] = {{.key = "step"}, {.key = "held"}};
  ISC_TRY(held_text(t, meta[1].value, sizeof meta[1].value));
  snprintf(meta[0].value, sizeof meta[0].value, "%" PRId64, done);
  return isc_params_checkpoint(path, &t->params, NO_PREFIX, 1, meta, 2);
}

static isc_status restore(const isc_train_loop *t, const char *path, int64_t *done) {
  isc_meta meta[] = {{.key = "step"}, {.key = "held"}};
  char *end, held[sizeof meta[1].value];
  *done = 0;
  if (!isc_exists(path)) return ISC_OK;
  ISC_TRY(isc_params_restore(path, &t->params, NO_PREFIX, 1, meta, 2));
  memcpy(held, meta[1].value, sizeof held);
  errno = 0;
  *done = strtoll(meta[0].value, &end, 10);
  if (end == meta[0].value || *end || errno || *done < 0 || *done > t->recipe->steps ||
      !held_of_text(t, held))
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

/* A step that was begun: what it reports once the host hears of it. */
typedef struct flight {
  bool on;
  int64_t step, tickets; /* the first of its two */
  isc_metric m[3 + ISC_TRAIN_METRICS];
  int64_t n;
} flight;

/* Where the device answers later, step k is begun before step k − 1 is heard of, so that the device never waits. */
typedef struct training {
  const isc_train_loop *t;
  isc_step *s;
  const char *path;
  bool later;
  flight flight[2]; /* of even and of odd steps */
} training;

/* Metrics 0 and 2, loss and norm of the gradient. */
static void say(flight *f, double loss, double norm) {
  f->m[0].value = loss;
  f->m[2].value = norm;
}

/* The loss is read before the update begins: another step may use its memory. */
static isc_status finish_now(const training *r, const isc_tensor *loss, const isc_optimizer *opt,
                             flight *f) {
  float value;
  double norm = 0;
  ISC_TRY(isc_tensor_download(r->s, loss, &value));
  ISC_TRY(isc_adamw_step(r->t->params, opt, &norm));
  say(f, value, norm);
  return ISC_OK;
}

static isc_status finish_later(const training *r, const isc_tensor *loss, const isc_optimizer *opt,
                               const flight *f) {
  const isc_device *dev = r->t->device;
  ISC_TRY(dev->ops->read_begin(dev->impl, f->tickets, loss->data, sizeof(float)));
  return isc_adamw_begin(r->t->params, opt, f->tickets + 1);
}

/* One update; m[0 … 3) are the loop's own metrics. */
static isc_status update(const training *r, int64_t k, flight *f) {
  const isc_train_loop *t = r->t;
  const isc_recipe *c = t->recipe;
  const double lr =
      c->lr * isc_schedule((isc_schedule_kind)c->schedule, k, c->warmup, c->steps, c->final_lr);
  const isc_optimizer opt = optimizer(t, lr);
  isc_tensor *loss;
  isc_step_reset(r->s);
  ISC_TRY(isc_params_zero_grad(t->params));
  ISC_TRY(isc_tape_begin(r->s));
  ISC_TRY(t->forward(t->user, r->s, k, &loss, f->m + 3, &f->n));
  ISC_TRY(isc_tape_backward(r->s, loss));
  f->m[0] = (isc_metric){"loss", 0};
  f->m[1] = (isc_metric){"lr", lr};
  f->m[2] = (isc_metric){"grad_norm", 0};
  f->n += 3;
  return r->later ? finish_later(r, loss, &opt, f) : finish_now(r, loss, &opt, f);
}

static isc_status hear(const training *r, flight *f) {
  const isc_device *dev = r->t->device;
  float loss;
  double norm;
  ISC_TRY(dev->ops->read_end(dev->impl, f->tickets, &loss));
  ISC_TRY(isc_adamw_end(r->t->params, f->tickets + 1, &norm));
  say(f, loss, norm);
  return ISC_OK;
}

/* Reports a step that was begun, if it was not reported before. */
static isc_status land(const training *r, flight *f) {
  isc_train_io *io = r->t->io;
  if (!f->on) return ISC_OK;
  f->on = false;
  if (r->later && hear(r, f) != ISC_OK)
    return isc_fail_in("training step %lld", (long long)f->step);
  return io->progress ? io->progress(io, f->step + 1, r->t->recipe->steps, f->m, f->n) : ISC_OK;
}

static isc_status land_all(training *r, int64_t next) {
  ISC_TRY(land(r, &r->flight[next & 1]));
  return land(r, &r->flight[(next + 1) & 1]);
}

static isc_status step(training *r, int64_t k) {
  flight *f = &r->flight[k & 1];
  *f = (flight){.step = k, .tickets = ISC_READ_TRAINING + 2 * (k & 1)};
  if (update(r, k, f) != ISC_OK) return isc_fail_in("training step %lld", (long long)k);
  f->on = true;
  return land(r, r->later ? &r->flight[(k + 1) & 1] : f);
}

static isc_status stopped(training *r, int64_t done) {
  ISC_TRY(land_all(r, done));
  ISC_TRY(save(r->t, r->path, done));
  return isc_fail(ISC_E_INTERRUPTED, "stopped after training step %lld of %lld; the state is in %s",
                  (long long)done, (long long)r->t->recipe->steps, r->path);
}

static isc_status keep(training *r, int64_t done) {
  isc_train_io *io = r->t->io;
  if (done == r->t->recipe->steps || !io->checkpoint_due || !io->checkpoint_due(io)) return ISC_OK;
  ISC_TRY(land_all(r, done));
  return save(r->t, r->path, done);
}

isc_status isc_train_run(const isc_train_loop *given) {
  isc_status st = ISC_OK;
  isc_train_loop loop, *const t = &loop;
  ISC_TRY(isc_struct_read(given, "a training loop", ISC_SIZE_TO(isc_train_loop, forward),
                          sizeof loop, &loop));
  isc_train_io *io = loop.io;
  isc_recipe recipe = *loop.recipe;
  if (loop.n_held < 0 || loop.n_held > ISC_TRAIN_HELD)
    return isc_fail(ISC_E_USAGE, "a training loop holds %lld metrics; %d is the most",
                    (long long)loop.n_held, ISC_TRAIN_HELD);
  training r = {.t = t, .later = isc_device_reads_later(t->device)};
  char *path = NULL;
  int64_t done = 0;
  recipe.steps = isc_train_steps(io, recipe.steps);
  loop.recipe = &recipe;
  isc_params_train(t->params, true);
  ISC_GO(checkpoint_path(io, &path));
  r.path = path;
  ISC_GO(restore(t, path, &done));
  ISC_GO(isc_step_new(t->device, &r.s));
  isc_step_set_product(r.s, recipe.precision);
  while (done < t->recipe->steps) {
    if (io->should_stop && io->should_stop(io)) ISC_GO(stopped(&r, done));
    ISC_GO(step(&r, done));
    done++;
    ISC_GO(keep(&r, done));
  }
  ISC_GO(land_all(&r, done));
done:
  isc_step_free(r.s);
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
