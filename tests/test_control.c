/* SPDX-License-Identifier: Apache-2.0
 *
 * The control layers against the paper's formula written out in double, their gradients, their initial state,
 * and that sites do not disturb each other.
 *
 * The reference takes no shortcut: it projects every position to queries and sums heads' values. Bound 2e-5 of the
 * largest element: sums of at most 100 products of numbers of size 1 in f32, and a tanh.
 */
#include "support.h"
#include "support_backend.h"
#include "support_control.h"
#include "support_decoder.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double CLOSE = 2e-5;

static const int64_t start[SITES + 1] = {0, 1, 1,
                                         4}; /* of BATCH rows: one of site 0, three of site 2 */

static isc_control_layers *make_deep(isc_device *dev, isc_control_value value,
                                     isc_condition_norm norm, int64_t blocks) {
  const isc_control_spec spec = {.n_layer = LAYERS,
                                 .d_model = MODEL,
                                 .heads = HEADS,
                                 .head_dim = KEY,
                                 .value = value,
                                 .normalise = norm,
                                 .score_scale = 0.3,
                                 .blocks = blocks,
                                 .sites = control_sites,
                                 .n_sites = norm == ISC_CONDITION_LAYERNORM ? 2 : SITES};
  isc_control_layers *l;
  isc_assert_ok(isc_control_layers_new(dev, &spec, &l));
  return l;
}

static isc_control_layers *make(isc_device *dev, isc_control_value value, isc_condition_norm norm) {
  return make_deep(dev, value, norm, 0);
}

/* Every parameter random, so that none can be left out unseen; the narrow site's spare rows stay 0. */
static void randomise(isc_control_layers *l) {
  for (int64_t i = 0; i < isc_params_count(l->params); i++) {
    isc_param *p = isc_params_at(l->params, i);
    int64_t n = isc_tensor_size(&p->value);
    float *x = malloc((size_t)n * sizeof *x);
    isc_test_normals((uint64_t)(300 + i), x, n);
    if (strcmp(p->name, "site.narrow.weight") == 0)
      memset(x + 4 * LATENT, 0, 3 * LATENT * sizeof *x);
    isc_assert_ok(isc_param_set(l->params, p, x));
    free(x);
  }
}

static void scale_down(isc_control_layers *l, float by) {
  for (int64_t i = 0; i < isc_params_count(l->params); i++) {
    isc_param *p = isc_params_at(l->params, i);
    int64_t n = isc_tensor_size(&p->value);
    float *x = malloc((size_t)n * sizeof *x);
    isc_assert_ok(isc_param_get(l->params, p, x));
    for (int64_t k = 0; k < n; k++)
      x[k] *= by;
    isc_assert_ok(isc_param_set(l->params, p, x));
    free(x);
  }
}

static void conditions(float *z /* [BATCH, LATENT] */) {
  isc_test_normals(77, z, BATCH * LATENT);
  for (int64_t b = 1; b < BATCH; b++)
    memset(z + b * LATENT + 4, 0, 3 * sizeof *z);
}

static void check_formula(isc_device *dev, isc_control_value value, isc_condition_norm norm,
                          int64_t blocks) {
  const int64_t z_shape[] = {BATCH, LATENT}, x_shape[] = {BATCH * LEN, MODEL};
  const int64_t one_site[] = {0, BATCH, BATCH};
  float z[BATCH * LATENT], x[BATCH * LEN * MODEL], got[BATCH * LEN * MODEL];
  isc_control_layers *l = make_deep(dev, value, norm, blocks);
  isc_control_condition cond[LAYERS];
  isc_tensor *tz, *tx, *y, *omega[LAYERS];
  isc_step *s;
  randomise(l);
  if (blocks)
    scale_down(l,
               0.5f); /* they would make of z' numbers too large for any accuracy behind a tanh */
  isc_test_normals(78, x, BATCH * LEN * MODEL);
  conditions(z);
  if (norm == ISC_CONDITION_LAYERNORM) isc_test_normals(77, z, BATCH * LATENT);
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_tensor_from(s, 2, z_shape, z, &tz));
  isc_assert_ok(isc_tensor_from(s, 2, x_shape, x, &tx));
  isc_assert_ok(isc_control_layers_condition(
      l, s, tz, norm == ISC_CONDITION_LAYERNORM ? one_site : start, cond));
  isc_control_tap tap = {l, cond, omega};
  const isc_taps taps = isc_control_taps(&tap);
  for (int64_t i = 0; i < LAYERS; i++) {
    isc_assert_ok(isc_tap(&taps, s, ISC_RESID_MID, i, tx, &y));
    isc_assert_ok(isc_tensor_download(s, y, got));
    cr_assert_eq(omega[i]->shape[2], HEADS);
    for (int64_t r = 0; r < BATCH * LEN; r++) {
      double latent[LATENT], want[MODEL];
      control_project(l, z, norm == ISC_CONDITION_LAYERNORM ? 0 : r / LEN, latent);
      if (norm == ISC_CONDITION_LAYERNORM) control_project(l, z + r / LEN * LATENT, 0, latent);
      control_reference(l, i, x + r * MODEL, latent, want);
      double most = 0;
      for (int64_t k = 0; k < MODEL; k++)
        most = fmax(most, fabs(want[k]));
      for (int64_t k = 0; k < MODEL; k++)
        cr_assert(fabs(got[r * MODEL + k] - want[k]) <= CLOSE * most,
                  "layer %d row %d element %d: %g, not %g", (int)i, (int)r, (int)k,
                  got[r * MODEL + k], want[k]);
    }
  }
  isc_step_free(s);
  isc_control_layers_free(l);
}

ISC_TEST_ON_BOTH(control, is_the_papers_formula_without_collapsing_the_scores) {
  check_formula(dev, ISC_VALUE_FULL, ISC_CONDITION_NONE, 0);
}
ISC_TEST_ON_BOTH(control, projected_values_are_the_formula_with_an_output_matrix) {
  check_formula(dev, ISC_VALUE_PROJECTED, ISC_CONDITION_RMS, 0);
}
ISC_TEST_ON_BOTH(control, layer_norm_of_the_condition) {
  check_formula(dev, ISC_VALUE_FULL, ISC_CONDITION_LAYERNORM, 0);
}
ISC_TEST_ON_BOTH(control, blocks_read_the_condition_before_the_layers_do) {
  check_formula(dev, ISC_VALUE_FULL, ISC_CONDITION_NONE, 2);
}

/* ---- with a decoder */

/* Loss of a fixed batch under control, Σ −logp/rows in double from f32 logps; with `tape`, its gradients too. */
static double decoder_loss(isc_device *dev, isc_decoder *d, isc_control_layers *l, bool tape) {
  const int64_t z_shape[] = {BATCH, LATENT};
  float z[BATCH * LATENT], logp[BATCH * LEN];
  int32_t *ids = isc_test_ids(5, BATCH * LEN, isc_decoder_get_spec(d)->vocab);
  int32_t *target = isc_test_ids(6, BATCH * LEN, isc_decoder_get_spec(d)->vocab);
  isc_control_condition cond[LAYERS];
  isc_tensor *tz, *hidden, *loss;
  isc_step *s;
  double sum = 0;
  conditions(z);
  isc_assert_ok(isc_step_new(dev, &s));
  if (tape) isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_tensor_from(s, 2, z_shape, z, &tz));
  isc_assert_ok(isc_control_layers_condition(l, s, tz, start, cond));
  isc_control_tap tap = {.layers = l, .cond = cond};
  const isc_taps taps = isc_control_taps(&tap);
  const isc_decoder_input in = {.size = sizeof in, .batch = BATCH, .len = LEN, .ids = ids};
  isc_assert_ok(isc_decoder_forward(d, s, &in, &taps, &hidden));
  isc_assert_ok(isc_op_xent(s, hidden, isc_decoder_head(d), target, NULL, logp, &loss));
  if (tape) isc_assert_ok(isc_tape_backward(s, loss));
  for (int64_t i = 0; i < BATCH * LEN; i++)
    sum -= logp[i] / (double)(BATCH * LEN);
  isc_step_free(s);
  free(ids);
  free(target);
  return sum;
}

/* Central differences along random directions of one parameter at a time; the loss is f32, about 1e-6 exact, so a step
 * that changes it by 1e-2 gives two digits at least. */
static void check_gradients(isc_device *dev, int64_t blocks) {
  isc_decoder_spec spec = isc_test_spec();
  cr_assert(spec.n_layer == LAYERS && spec.d_model == MODEL);
  isc_decoder *d = isc_test_decoder(dev, &spec, 3);
  isc_control_layers *l = make_deep(dev, ISC_VALUE_PROJECTED, ISC_CONDITION_NONE, blocks);
  randomise(l);
  scale_down(l, 0.5f);
  isc_params_train(isc_decoder_params(d), false);
  isc_params_train(l->params, true);
  isc_assert_ok(isc_params_zero_grad(l->params));
  decoder_loss(dev, d, l, true);
  for (int64_t i = 0; i < isc_params_count(l->params); i++) {
    isc_param *p = isc_params_at(l->params, i);
    int64_t n = isc_tensor_size(&p->value);
    if (!p->touched) continue;
    float *x = malloc((size_t)n * sizeof *x), *g = malloc((size_t)n * sizeof *g),
          *y = malloc((size_t)n * sizeof *y);
    double slope = 0, norm = 0, loss[2];
    isc_assert_ok(isc_param_get(l->params, p, x));
    isc_assert_ok(dev->ops->download(dev->impl, g, p->value.grad, (size_t)n * sizeof *g));
    for (int64_t k = 0; k < n; k++)
      norm += (double)g[k] * g[k];
    norm = sqrt(norm);
    const double h = norm > 0.5 ? 5e-3 / norm : 1e-2; /* along the gradient itself */
    for (int side = 0; side < 2; side++) {
      for (int64_t k = 0; k < n; k++)
        y[k] = (float)(x[k] + (side ? h : -h) * g[k] / (norm > 0 ? norm : 1));
      isc_assert_ok(isc_param_set(l->params, p, y));
      loss[side] = decoder_loss(dev, d, l, false);
    }
    isc_assert_ok(isc_param_set(l->params, p, x));
    slope = (loss[1] - loss[0]) / (2 * h);
    cr_assert(fabs(slope - norm) <= 2e-2 * norm + 2e-4, "%s: slope %g, gradient %g", p->name, slope,
              norm);
    free(x);
    free(g);
    free(y);
  }
  isc_control_layers_free(l);
  isc_decoder_free(d);
}

ISC_TEST_ON_BOTH(control, gradients_agree_with_differences_of_the_loss) {
  check_gradients(dev, 0);
}
ISC_TEST_ON_BOTH(control, gradients_of_blocks_agree_with_differences_of_the_loss) {
  check_gradients(dev, 1);
}

/* ---- the initial state */

static double decoder_alone(isc_device *dev, isc_decoder *d, float *out) {
  int32_t *ids = isc_test_ids(5, BATCH * LEN, isc_decoder_get_spec(d)->vocab);
  const isc_decoder_input in = {.size = sizeof in, .batch = BATCH, .len = LEN, .ids = ids};
  isc_tensor *hidden;
  isc_step *s;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_decoder_forward(d, s, &in, NULL, &hidden));
  isc_assert_ok(isc_tensor_download(s, hidden, out));
  isc_step_free(s);
  free(ids);
  return out[0];
}

static void decoder_steered(isc_device *dev, isc_decoder *d, isc_control_layers *l, float *out) {
  const int64_t z_shape[] = {BATCH, LATENT};
  float z[BATCH * LATENT];
  int32_t *ids = isc_test_ids(5, BATCH * LEN, isc_decoder_get_spec(d)->vocab);
  const isc_decoder_input in = {.size = sizeof in, .batch = BATCH, .len = LEN, .ids = ids};
  isc_control_condition cond[LAYERS];
  isc_tensor *tz, *hidden;
  isc_step *s;
  conditions(z);
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_tensor_from(s, 2, z_shape, z, &tz));
  isc_assert_ok(isc_control_layers_condition(l, s, tz, start, cond));
  isc_control_tap tap = {.layers = l, .cond = cond};
  const isc_taps taps = isc_control_taps(&tap);
  isc_assert_ok(isc_decoder_forward(d, s, &in, &taps, &hidden));
  isc_assert_ok(isc_tensor_download(s, hidden, out));
  isc_step_free(s);
  free(ids);
}

ISC_TEST_ON_BOTH(control, a_new_generator_is_its_backbone_to_the_bit) {
  float a[BATCH * LEN * MODEL], b[BATCH * LEN * MODEL];
  isc_decoder_spec spec = isc_test_spec();
  isc_decoder *d = isc_test_decoder(dev, &spec, 3);
  for (int value = 0; value < 2; value++) {
    isc_control_layers *l =
        make_deep(dev, (isc_control_value)value, ISC_CONDITION_NONE, 2 * (int64_t)value);
    isc_assert_ok(isc_control_layers_init(l, 1));
    decoder_alone(dev, d, a);
    decoder_steered(dev, d, l, b);
    cr_assert_arr_eq(a, b, sizeof a);
    isc_control_layers_free(l);
  }
  isc_decoder_free(d);
}

/* Standard deviation of a parameter's numbers; within 5 standard errors of it, 1/sqrt(2n) each. */
static void check_std(isc_control_layers *l, const char *name, int64_t used, double want) {
  double *x = control_get(l, name, 0), sum = 0;
  for (int64_t i = 0; i < used; i++)
    sum += x[i] * x[i];
  double std = sqrt(sum / (double)used);
  cr_assert(fabs(std / want - 1) < 5 / sqrt(2.0 * (double)used), "%s: std %g, not %g", name, std,
            want);
  free(x);
}

ISC_TEST_ON_BOTH(control, weights_start_kaiming_normal_and_values_zero) {
  isc_control_layers *l = make(dev, ISC_VALUE_PROJECTED, ISC_CONDITION_NONE);
  isc_assert_ok(isc_control_layers_init(l, 1));
  check_std(l, "control.%d.query.weight", HEADS * KEY * MODEL, sqrt(2.0 / MODEL));
  check_std(l, "control.%d.key.weight", LATENT * HEADS * KEY, sqrt(2.0 / LATENT));
  check_std(l, "control.%d.output.weight", HEADS * KEY * MODEL, sqrt(2.0 / (HEADS * KEY)));
  check_std(l, "site.a.weight", LATENT * LATENT, sqrt(2.0 / LATENT));
  check_std(l, "site.narrow.weight", 4 * LATENT, sqrt(2.0 / 4));
  const char *zero[] = {"control.%d.value.weight", "control.%d.value.bias", "control.%d.key.bias",
                        "control.%d.query.bias", "site.a.bias"};
  for (size_t k = 0; k < sizeof zero / sizeof *zero; k++) {
    double *x = control_get(l, zero[k], 0);
    cr_assert_eq(x[0], 0);
    free(x);
  }
  isc_control_layers_free(l);
}

/* ---- sites */

/* Training on sites 0 and 2 moves them and leaves site 1 and its optimiser as they were; the narrow site's spare rows
 * stay zero, weight decay and all. */
ISC_TEST_ON_BOTH(control, an_untouched_site_does_not_move) {
  isc_decoder_spec spec = isc_test_spec();
  isc_decoder *d = isc_test_decoder(dev, &spec, 3);
  isc_control_layers *l = make(dev, ISC_VALUE_FULL, ISC_CONDITION_NONE);
  const isc_optimizer opt = {
      .size = sizeof opt,
      .beta1 = 0.9,
      .beta2 = 0.999,
      .eps = 1e-8,
      .lr = {[ISC_GROUP_CONTROL] = 1e-2, [ISC_GROUP_SITES] = 1e-2},
      .weight_decay = {[ISC_GROUP_CONTROL] = 0.01, [ISC_GROUP_SITES] = 0.01}};
  isc_params_train(isc_decoder_params(d), false);
  isc_params_train(l->params, true);
  isc_assert_ok(isc_control_layers_init(l, 1));
  double *other = control_get(l, "site.b.weight", 0), *mine = control_get(l, "site.a.weight", 0);
  for (int k = 0; k < 3; k++) {
    isc_assert_ok(isc_params_zero_grad(l->params));
    decoder_loss(dev, d, l, true);
    isc_assert_ok(isc_adamw_step(l->params, &opt, NULL));
  }
  double *other_now = control_get(l, "site.b.weight", 0),
         *mine_now = control_get(l, "site.a.weight", 0);
  double *narrow = control_get(l, "site.narrow.weight", 0);
  cr_assert_arr_eq(other, other_now, LATENT * LATENT * sizeof *other);
  cr_assert_eq(isc_params_find(l->params, "site.b.weight")->steps, 0);
  cr_assert_eq(isc_params_find(l->params, "site.a.weight")->steps, 3);
  cr_assert(memcmp(mine, mine_now, LATENT * LATENT * sizeof *mine) != 0);
  for (int64_t i = 4 * LATENT; i < LATENT * LATENT; i++)
    cr_assert_eq(narrow[i], 0);
  free(other);
  free(other_now);
  free(mine);
  free(mine_now);
  free(narrow);
  isc_control_layers_free(l);
  isc_decoder_free(d);
}

ISC_TEST_ON_BOTH(control, a_file_brings_back_every_bit_and_the_scales) {
  const char *dir = isc_test_dir("control");
  char path[1100];
  float a[BATCH * LEN * MODEL], b[BATCH * LEN * MODEL];
  const float scale[SITES] = {2, 0.5f, 3};
  isc_decoder_spec spec = isc_test_spec();
  isc_decoder *d = isc_test_decoder(dev, &spec, 3);
  isc_control_layers *l = make(dev, ISC_VALUE_FULL, ISC_CONDITION_RMS),
                     *m = make(dev, ISC_VALUE_FULL, ISC_CONDITION_RMS);
  snprintf(path, sizeof path, "%s/model.safetensors", dir);
  randomise(l);
  isc_assert_ok(isc_control_layers_set_scale(l, scale));
  isc_assert_ok(isc_control_layers_save(l, path));
  isc_assert_ok(isc_control_layers_load(m, path));
  cr_assert_arr_eq(m->host_scale, scale, sizeof scale);
  decoder_steered(dev, d, l, a);
  decoder_steered(dev, d, m, b);
  cr_assert_arr_eq(a, b, sizeof a);
  isc_control_layers_free(l);
  isc_control_layers_free(m);
  isc_decoder_free(d);
}

ISC_TEST_ON_BOTH(control, conditions_of_another_width_are_refused) {
  const int64_t shape[] = {BATCH, LATENT - 1};
  isc_control_layers *l = make(dev, ISC_VALUE_FULL, ISC_CONDITION_NONE);
  isc_control_condition cond[LAYERS];
  isc_tensor *z;
  isc_step *s;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_tensor_zeros(s, 2, shape, &z));
  isc_assert_fails(isc_control_layers_condition(l, s, z, start, cond), ISC_E_SHAPE, "7");
  isc_step_free(s);
  isc_control_layers_free(l);
}
