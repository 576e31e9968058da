/* SPDX-License-Identifier: Apache-2.0
 *
 * Parameter files: a resumed optimiser goes on in the same bits, and a wrong file changes nothing.
 */
#include "support.h"
#include "support_backend.h"
#include "base/base.h"
#include "model/params_io.h"
#include <inversescope/ops.h>
#include <inversescope/parameters.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N = 12 };

typedef struct model {
  isc_params *set[2];
  isc_param *w, *untouched, *b;
} model;

static const char *const PREFIX[2] = {"", "control."};

static model new_model(isc_device *dev) {
  model m;
  for (int i = 0; i < 2; i++)
    isc_assert_ok(isc_params_new(dev, &m.set[i]));
  isc_assert_ok(isc_params_add(m.set[0], "w", 2, (int64_t[]){3, 4}, 0, &m.w));
  isc_assert_ok(isc_params_add(m.set[0], "untouched", 1, (int64_t[]){N}, 0, &m.untouched));
  isc_assert_ok(isc_params_add(m.set[1], "w", 3, (int64_t[]){2, 3, 2}, 0,
                               &m.b)); /* same name, other prefix */
  for (int i = 0; i < 2; i++)
    isc_params_train(m.set[i], true);
  return m;
}

static model random_model(isc_device *dev) {
  model m = new_model(dev);
  isc_assert_ok(isc_param_init_normal(m.set[0], m.w, 1, 1));
  isc_assert_ok(isc_param_init_normal(m.set[0], m.untouched, 1, 1));
  isc_assert_ok(isc_param_init_normal(m.set[1], m.b, 2, 1));
  return m;
}

static void free_model(model *m) {
  isc_params_free(m->set[0]);
  isc_params_free(m->set[1]);
}

/* One AdamW step on loss = Σ w² + Σ b², made through the tape. */
static void train(isc_device *dev, model *m) {
  const isc_optimizer opt = {.size = sizeof opt,
                             .beta1 = 0.9,
                             .beta2 = 0.999,
                             .eps = 1e-8,
                             .lr = {0.1},
                             .weight_decay = {0.01}};
  isc_step *s;
  isc_assert_ok(isc_step_new(dev, &s));
  for (int i = 0; i < 2; i++) {
    isc_param *q = i ? m->b : m->w;
    isc_tensor *row, *sum;
    isc_step_reset(s);
    isc_assert_ok(isc_params_zero_grad(m->set[i]));
    isc_assert_ok(isc_tape_begin(s));
    isc_assert_ok(isc_tensor_reshape(s, &q->value, 2, (int64_t[]){1, N}, &row));
    isc_assert_ok(isc_op_linear(s, row, row, ISC_OUT_IN, NULL, ISC_ACT_NONE, &sum));
    isc_assert_ok(isc_tensor_reshape(s, sum, 1, (int64_t[]){1}, &sum));
    isc_assert_ok(isc_tape_backward(s, sum));
    isc_assert_ok(isc_adamw_step(m->set[i], &opt, NULL));
  }
  isc_step_free(s);
}

static void same(model *a, model *b) {
  for (int i = 0; i < 2; i++)
    for (int64_t k = 0; k < isc_params_count(a->set[i]); k++) {
      isc_param *p = isc_params_at(a->set[i], k), *q = isc_params_at(b->set[i], k);
      float x[6][N];
      isc_assert_ok(isc_param_get(a->set[i], p, x[0]));
      isc_assert_ok(isc_param_get(b->set[i], q, x[1]));
      isc_assert_ok(isc_param_get_moments(a->set[i], p, x[2], x[4]));
      isc_assert_ok(isc_param_get_moments(b->set[i], q, x[3], x[5]));
      cr_assert_eq(memcmp(x[0], x[1], sizeof x[0]), 0, "values of %s differ", p->name);
      cr_assert_eq(memcmp(x[2], x[3], sizeof x[0]), 0, "first moments of %s differ", p->name);
      cr_assert_eq(memcmp(x[4], x[5], sizeof x[0]), 0, "second moments of %s differ", p->name);
      cr_assert_eq(p->steps, q->steps);
    }
}

static const char *new_path(void) {
  static char path[1200];
  snprintf(path, sizeof path, "%s/x.safetensors", isc_test_dir("params"));
  return path;
}

ISC_TEST_ON_BOTH(params_io, a_resumed_run_goes_on_in_the_same_bits) {
  const char *path = new_path();
  model a = random_model(dev), b = new_model(dev);
  isc_meta meta[2] = {{"step", "3"}, {"note", "a \"b\""}};
  for (int i = 0; i < 3; i++)
    train(dev, &a);
  isc_assert_ok(isc_params_checkpoint(path, a.set, PREFIX, 2, meta, 2));
  isc_meta got[3] = {{"step", ""}, {"note", ""}, {"absent", "kept"}};
  isc_assert_ok(isc_params_restore(path, b.set, PREFIX, 2, got, 3));
  cr_assert_str_eq(got[0].value, "3");
  cr_assert_str_eq(got[1].value, "a \"b\"");
  cr_assert_str_eq(got[2].value, "kept");
  cr_assert_eq(b.w->steps, 3);
  cr_assert_eq(b.untouched->steps, 0);
  same(&a, &b);
  for (int i = 0; i < 2; i++) {
    train(dev, &a);
    train(dev, &b);
  }
  same(&a, &b);
  free_model(&a);
  free_model(&b);
}

Test(params_io, weights_alone_forget_the_optimiser) {
  isc_device dev = isc_test_plain_device();
  const char *path = new_path();
  model a = random_model(&dev), b = random_model(&dev);
  isc_assert_ok(isc_params_save(path, a.set, PREFIX, 2, NULL, 0));
  isc_safetensors *f;
  isc_assert_ok(isc_st_open(path, &f));
  cr_assert_eq(isc_st_count(f), 3);
  cr_assert(isc_st_find(f, "w") && isc_st_find(f, "untouched") && isc_st_find(f, "control.w"));
  isc_st_close(f);
  train(&dev, &b);
  isc_assert_ok(isc_params_restore(path, b.set, PREFIX, 2, NULL, 0));
  cr_assert_eq(b.w->steps, 0);
  same(&a, &b);
  free_model(&a);
  free_model(&b);
}

Test(params_io, the_same_state_is_the_same_file) {
  isc_device dev = isc_test_plain_device();
  char first[1200];
  snprintf(first, sizeof first, "%s", new_path());
  const char *second = new_path();
  model a = random_model(&dev);
  train(&dev, &a);
  isc_digest x, y;
  isc_assert_ok(isc_params_checkpoint(first, a.set, PREFIX, 2, NULL, 0));
  isc_assert_ok(isc_params_checkpoint(second, a.set, PREFIX, 2, NULL, 0));
  isc_assert_ok(isc_hash_file(first, &x));
  isc_assert_ok(isc_hash_file(second, &y));
  cr_assert(x.hi == y.hi && x.lo == y.lo);
  free_model(&a);
}

/* A set whose second parameter does not fit must come out as it went in, the first included. */
Test(params_io, a_file_that_does_not_fit_changes_nothing) {
  isc_device dev = isc_test_plain_device();
  const char *path = new_path();
  model a = random_model(&dev);
  isc_assert_ok(isc_params_checkpoint(path, a.set, PREFIX, 2, NULL, 0));
  isc_params *other;
  isc_param *w, *u;
  float before[N], after[N];
  isc_assert_ok(isc_params_new(&dev, &other));
  isc_assert_ok(isc_params_add(other, "w", 2, (int64_t[]){3, 4}, 0, &w));
  isc_assert_ok(isc_params_add(other, "untouched", 2, (int64_t[]){2, 6}, 0, &u));
  isc_assert_ok(isc_param_fill(other, w, 7));
  isc_assert_ok(isc_param_get(other, w, before));
  isc_assert_fails(isc_params_restore(path, &other, PREFIX, 1, NULL, 0), ISC_E_SHAPE,
                   "\"untouched\" has shape [12], and the model needs [2, 6]");
  isc_assert_ok(isc_param_get(other, w, after));
  cr_assert_arr_eq(before, after, sizeof before);
  isc_params_free(other);
  isc_assert_ok(isc_params_new(&dev, &other));
  isc_assert_ok(isc_params_add(other, "elsewhere", 1, (int64_t[]){2}, 0, &w));
  isc_assert_fails(isc_params_restore(path, &other, PREFIX, 1, NULL, 0), ISC_E_MISSING,
                   "\"elsewhere\"");
  isc_params_free(other);
  cr_assert_eq(truncate(path, 300), 0);
  isc_assert_fails(isc_params_restore(path, a.set, PREFIX, 2, NULL, 0), ISC_E_FORMAT, path);
  isc_assert_fails(isc_params_restore("/nonexistent/x", a.set, PREFIX, 2, NULL, 0), ISC_E_MISSING,
                   "/nonexistent/x");
  free_model(&a);
}

/* A file with the parameter "p" [1] and the named companions, all of one element; "#steps" says `steps`. */
static isc_status restore_with(const char *path, isc_params *set, const char *const *names,
                               int64_t n, int64_t steps) {
  isc_st_writer *w;
  const int64_t one = 1;
  const float x = 1;
  isc_assert_ok(isc_st_writer_new(path, &w));
  for (int64_t i = 0; i < n; i++)
    isc_assert_ok(isc_st_writer_declare(
        w, names[i], strstr(names[i], "#steps") ? ISC_ST_I64 : ISC_ST_F32, 1, &one));
  for (int64_t i = 0; i < n; i++)
    isc_assert_ok(strstr(names[i], "#steps") ? isc_st_writer_data(w, &steps, sizeof steps)
                                             : isc_st_writer_data(w, &x, sizeof x));
  isc_assert_ok(isc_st_writer_commit(w));
  return isc_params_restore(path, &set, PREFIX, 1, NULL, 0);
}

Test(params_io, an_optimiser_state_that_makes_no_sense_is_refused) {
  static const char *const names[] = {"p#steps", "p", "p#m", "p#v"};
  isc_device dev = isc_test_plain_device();
  const char *path = new_path();
  isc_params *set;
  isc_param *q;
  isc_assert_ok(isc_params_new(&dev, &set));
  isc_assert_ok(isc_params_add(set, "p", 1, (int64_t[]){1}, 0, &q));
  isc_assert_fails(restore_with(path, set, names, 2, 3), ISC_E_FORMAT, "optimiser state of \"p\"");
  isc_assert_fails(restore_with(path, set, names + 1, 2, 3), ISC_E_FORMAT,
                   "optimiser state of \"p\"");
  isc_assert_fails(restore_with(path, set, names, 4, -1), ISC_E_FORMAT, "-1 updates");
  isc_assert_ok(restore_with(path, set, names, 4, 3));
  cr_assert_eq(q->steps, 3);
  isc_assert_ok(restore_with(path, set, names + 1, 1, 0));
  cr_assert_eq(q->steps, 0);
  isc_params_free(set);
}

/* Memory runs out at every point in turn: a failure each time, never a leak (run under valgrind) or half a file. */
Test(params_io, survives_every_failing_allocation) {
  isc_device dev = isc_test_plain_device();
  const char *path = new_path();
  model a = random_model(&dev), b = new_model(&dev);
  train(&dev, &a);
  for (int64_t at = 1;; at++) {
    isc_alloc_fail_at(at);
    isc_status st = isc_params_checkpoint(path, a.set, PREFIX, 2, NULL, 0);
    isc_alloc_fail_at(0);
    if (st == ISC_OK) break;
    cr_assert_eq(st, ISC_E_NOMEM, "allocation %d: %s", (int)at, isc_error());
    isc_safetensors *f;
    if (isc_exists(path)) { /* the rename was done, and its directory not yet synced */
      isc_assert_ok(isc_st_open(path, &f));
      cr_assert_eq(isc_st_count(f), 3 + 2 * 3);
      isc_st_close(f);
    }
    cr_assert_lt(at, 10000);
  }
  for (int64_t at = 1;; at++) {
    isc_alloc_fail_at(at);
    isc_status st = isc_params_restore(path, b.set, PREFIX, 2, NULL, 0);
    isc_alloc_fail_at(0);
    if (st == ISC_OK) break;
    cr_assert_eq(st, ISC_E_NOMEM, "allocation %d: %s", (int)at, isc_error());
    cr_assert_lt(at, 10000);
  }
  same(&a, &b);
  free_model(&a);
  free_model(&b);
}

/* ---- one set by its directory and name */

Test(params_io, one_set_comes_back_from_its_file) {
  isc_device *dev;
  const char *dir = isc_test_dir("one_set");
  float want[N], got[N];
  isc_assert_ok(isc_device_open("cpu", NULL, &dev, NULL));
  model a = random_model(dev), b = new_model(dev);
  isc_assert_ok(isc_params_write(a.set[0], dir, "weights.safetensors"));
  isc_assert_ok(isc_params_read(b.set[0], dir, "weights.safetensors"));
  isc_assert_ok(isc_param_get(a.set[0], a.w, want));
  isc_assert_ok(isc_param_get(b.set[0], b.w, got));
  cr_assert_arr_eq(got, want, sizeof want);
  isc_assert_fails(isc_params_read(b.set[1], dir, "weights.safetensors"), ISC_E_SHAPE,
                   "weights.safetensors");
  isc_assert_fails(isc_params_read(b.set[0], dir, "none.safetensors"), ISC_E_MISSING,
                   "none.safetensors");
  free_model(&a);
  free_model(&b);
  isc_device_close(dev);
}
