/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting what a stage takes, and keeping the count beside its checkpoints.
 */
#include "run/spent.h"

#include "base/base.h"
#include "tensor/optional.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of numbers ≥ 0 from a file, which may be any; what is too large to tell is the largest. */
static int64_t sum(int64_t a, int64_t b) {
  return b > INT64_MAX - a ? INT64_MAX : a + b;
}

void isc_spent_add(isc_spent *to, const isc_spent *more) {
  to->steps = sum(to->steps, more->steps);
  to->examples = sum(to->examples, more->examples);
  to->tokens = sum(to->tokens, more->tokens);
  to->flops = fmin(to->flops + more->flops, DBL_MAX);
  to->seconds = fmin(to->seconds + more->seconds, DBL_MAX);
  to->memory = fmax(to->memory, more->memory);
}

/* ---- the file: {"spent": [{…}, …]}, the newest last */

json_t *isc_spent_json(const isc_spent *s) {
  json_t *j = json_pack("{sI sI sI sf sf}", "steps", (json_int_t)s->steps, "examples",
                        (json_int_t)s->examples, "tokens", (json_int_t)s->tokens, "flops", s->flops,
                        "seconds", s->seconds);
  if (j && s->memory > 0) json_object_set_new(j, "memory", json_real(s->memory));
  return j;
}

static bool from_json(json_t *j, isc_spent *s) {
  json_int_t steps, examples, tokens;
  double flops, seconds, memory = 0;
  if (json_unpack(j, "{sI sI sI sF sF s?F}", "steps", &steps, "examples", &examples, "tokens",
                  &tokens, "flops", &flops, "seconds", &seconds, "memory", &memory) != 0)
    return false;
  *s = (isc_spent){steps, examples, tokens, flops, seconds, memory};
  return steps >= 0 && examples >= 0 && tokens >= 0 && flops >= 0 && seconds >= 0 && memory >= 0;
}

static isc_status write_spent(const char *dir, const isc_spent *s, int64_t n) {
  isc_status st = ISC_OK;
  char *path = NULL, *text = NULL;
  json_t *list = json_array(), *j = json_pack("{so}", "spent", list);
  for (int64_t i = 0; j && i < n; i++)
    json_array_append_new(list, isc_spent_json(&s[i]));
  text = j ? json_dumps(j, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
  json_decref(j);
  ISC_GO(isc_path_join(dir, ISC_SPENT_FILE, &path));
  if (!text) {
    st = isc_fail(ISC_E_NOMEM, "%s: no memory to write it", path);
    goto done;
  }
  st = isc_write_file(path, text, strlen(text));
done:
  free(path);
  free(text);
  return st;
}

static isc_status read_spent(const char *dir, isc_spent *s, int64_t most, int64_t *n) {
  isc_status st = ISC_OK;
  char *path = NULL;
  json_t *j = NULL;
  *n = 0;
  ISC_GO(isc_path_join(dir, ISC_SPENT_FILE, &path));
  if (!isc_exists(path)) goto done;
  j = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
  json_t *list = json_object_get(j, "spent");
  const size_t have = json_array_size(list);
  bool ok = have > 0 && have <= (size_t)most;
  for (size_t i = 0; ok && i < have; i++)
    ok = from_json(json_array_get(list, i), &s[i]);
  *n = (int64_t)have;
  if (!ok) st = isc_fail(ISC_E_FORMAT, "%s: not a record of what a stage took", path);
done:
  json_decref(j);
  free(path);
  return st;
}

isc_status isc_spent_read(const char *dir, isc_spent *out) {
  isc_spent s[2];
  int64_t n;
  ISC_TRY(read_spent(dir, s, 2, &n));
  if (n == 0) return isc_fail(ISC_E_MISSING, "%s: there is no " ISC_SPENT_FILE, dir);
  *out = s[n - 1];
  return ISC_OK;
}

/* ---- the count */

static void begin_step(isc_meter *m) {
  m->flops_from = m->device->flops;
  m->time_from = isc_now();
  m->examples = m->tokens = 0;
}

/* The most of the device that was held since it was last asked to begin anew. */
static isc_status held(const isc_device *dev, bool anew, double *most) {
  isc_memory_use use = {0};
  if (ISC_DEVICE_HAS(dev, memory)) ISC_TRY(dev->ops->memory(dev->impl, anew, &use));
  *most = (double)use.most;
  return ISC_OK;
}

isc_status isc_meter_begin(isc_meter *m, const isc_device *device, const char *dir) {
  *m = (isc_meter){.device = device};
  double most;
  begin_step(m);
  ISC_TRY(held(device, true, &most));
  return read_spent(dir, m->kept, 2, &m->n_kept);
}

/* What was taken since the step in progress began. */
static isc_spent taken(const isc_meter *m) {
  return (isc_spent){.examples = m->examples,
                     .tokens = m->tokens,
                     .flops = m->device->flops - m->flops_from,
                     .seconds = isc_now() - m->time_from};
}

void isc_meter_mark(isc_meter *m) {
  const isc_spent step = taken(m);
  if (m->open) { /* to be finished later */
    isc_spent_add(&m->begun, &step);
    m->n_begun++;
  }
  begin_step(m);
  m->open = true;
}

void isc_meter_took(isc_meter *m, int64_t examples, int64_t tokens) {
  m->examples += examples;
  m->tokens += tokens;
}

/* What the steps up to `steps` took in an earlier process. */
static isc_status take_up(isc_meter *m, int64_t steps, const char *dir) {
  for (int64_t i = 0; steps > 0 && i < m->n_kept; i++)
    if (m->kept[i].steps == steps) {
      m->so_far = m->kept[i];
      return ISC_OK;
    }
  if (steps == 0) return ISC_OK;
  return isc_fail(ISC_E_FORMAT,
                  "%s: " ISC_SPENT_FILE " does not tell what the first %lld steps took; delete the "
                  "directory to train anew",
                  dir, (long long)steps);
}

isc_status isc_meter_step(isc_meter *m, int64_t done, const char *dir) {
  if (!m->running) ISC_TRY(take_up(m, done - 1, dir));
  m->running = true;
  if (m->n_begun == 0) { /* the step in progress itself */
    m->begun = taken(m);
    begin_step(m);
    m->open = false;
  }
  isc_spent_add(&m->so_far, &m->begun);
  m->so_far.steps = done;
  m->begun = (isc_spent){0};
  m->n_begun = 0;
  return ISC_OK;
}

isc_status isc_meter_keep(isc_meter *m, const char *dir) {
  if (!m->running) return ISC_OK;
  const bool again = m->n_kept && m->kept[m->n_kept - 1].steps == m->so_far.steps;
  if (!again && m->n_kept == 2) m->kept[0] = m->kept[1];
  if (!again && m->n_kept < 2) m->n_kept++;
  m->kept[m->n_kept - 1] = m->so_far;
  return write_spent(dir, m->kept, m->n_kept);
}

isc_status isc_meter_finish(isc_meter *m, const char *dir) {
  if (!m->running && m->n_kept) /* resumed after its last step */
    m->so_far = m->kept[m->n_kept - 1];
  else if (!m->running)
    m->so_far = taken(m);
  ISC_TRY(held(m->device, false, &m->so_far.memory));
  return write_spent(dir, &m->so_far, 1);
}
