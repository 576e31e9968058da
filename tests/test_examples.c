/* SPDX-License-Identifier: Apache-2.0
 *
 * The control layers' training examples: noisy conditions, neighbours, sites in turn, in every geometry.
 *
 * Distances are recomputed here from the toy's own vectors; laws are tested by chi-square against the exact
 * probabilities over all training inputs.
 */
#include "support.h"
#include "support_method.h"
#include "method/examples.h"
#include "method/neighbours.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct world {
  isc_device *dev;
  isc_toy toy;
  isc_factors *factors;
  isc_control_layers *control;
  isc_step *step;
} world;

static void world_open(world *w, int64_t sites, int64_t budget) {
  w->dev = isc_toy_device(2);
  isc_toy_open(&w->toy, w->dev, sites);
  isc_assert_ok(isc_factors_new(&w->toy.env, budget, &w->factors));
  const isc_control_spec spec = {.n_layer = 1,
                                 .d_model = 8,
                                 .heads = 2,
                                 .head_dim = 4,
                                 .score_scale = 1,
                                 .sites = w->toy.site,
                                 .n_sites = sites};
  isc_assert_ok(isc_control_layers_new(w->dev, &spec, &w->control));
  float scale[3];
  for (int64_t g = 0; g < sites; g++)
    scale[g] = (float)(1 / w->factors->rms[g]);
  isc_assert_ok(isc_control_layers_set_scale(w->control, scale));
  isc_assert_ok(isc_step_new(w->dev, &w->step));
}

static void world_close(world *w) {
  isc_step_free(w->step);
  isc_control_layers_free(w->control);
  isc_factors_free(w->factors);
  isc_toy_close(&w->toy);
  isc_device_close(w->dev);
}

static isc_examples *examples(world *w, isc_example_noise noise, int64_t batch) {
  const isc_examples_spec spec = {
      .seed = 9, .batch = batch, .noise = noise, .neighbour_share = 0.5};
  isc_examples *x;
  isc_assert_ok(isc_examples_new(w->factors, w->control, &spec, &x));
  return x;
}

static double dot(const float *a, const float *b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    sum += (double)a[i] * b[i];
  return sum;
}

/* 1 − cos between the condition of row r and the activation of input i at its site; *ratio of their lengths. */
static double distance(const world *w, const isc_example_batch *b, const float *z, int64_t r,
                       int64_t i, double *ratio) {
  int64_t g = b->site[r], dim = w->toy.site[g].dim, d_z = w->control->d_z;
  float a[ISC_TOY_DIM];
  const float *x = z + r * d_z;
  isc_toy_activation(&w->toy, g, i, a);
  double aa = dot(a, a, dim), xx = dot(x, x, dim);
  *ratio = sqrt(xx / aa) / w->control->host_scale[g];
  for (int64_t k = dim; k < d_z; k++)
    cr_assert_eq(x[k], 0, "numbers beyond a narrow site's");
  return 1 - dot(a, x, dim) / sqrt(aa * xx);
}

/* Conditions lie where their recorded distances say; f32 in 16 numbers: 1e-5. */
Test(examples, a_condition_is_its_texts_activation_at_the_drawn_distance) {
  for (int64_t sites = 2; sites <= 3; sites++) {
    world w;
    world_open(&w, sites, sites == 2 ? 1 << 20 : 0 /* read as needed */);
    isc_examples *x = examples(&w, ISC_NOISE_KERNEL, 40);
    float z[40 * ISC_TOY_DIM];
    for (int64_t k = 0; k < 20; k++) {
      isc_example_batch b;
      isc_step_reset(w.step);
      isc_assert_ok(isc_examples_take(x, w.step, k, &b));
      isc_assert_ok(isc_tensor_download(w.step, b.z, z));
      for (int64_t r = 0; r < b.n; r++) {
        double ratio, d = distance(&w, &b, z, r, b.text[r], &ratio);
        cr_assert(fabs(d - b.distance[r]) < 1e-5 && d < 0.1 + 1e-5,
                  "step %d row %d: %g, recorded %g", (int)k, (int)r, d, b.distance[r]);
        cr_assert(fabs(ratio - 1) < 0.1 + 1e-5, "norm ratio %g", ratio);
        cr_assert(r >= b.start[b.site[r]] && r < b.start[b.site[r] + 1]);
      }
    }
    isc_examples_free(x);
    world_close(&w);
  }
}

Test(examples, a_batch_holds_every_site_equally_often_and_every_input_once_an_epoch) {
  world w;
  int seen[ISC_TOY_TRAIN] = {0};
  world_open(&w, 3, 1 << 20);
  isc_examples *x = examples(&w, ISC_NOISE_KERNEL, 20);
  for (int64_t k = 0; k < ISC_TOY_TRAIN / 20; k++) {
    isc_example_batch b;
    isc_step_reset(w.step);
    isc_assert_ok(isc_examples_take(x, w.step, k, &b));
    for (int64_t g = 0; g < 3; g++) {
      int64_t n = b.start[g + 1] - b.start[g];
      cr_assert(n == 6 || n == 7, "site %d has %d of 20", (int)g, (int)n);
    }
    for (int64_t r = 0; r < b.n; r++)
      seen[b.text[r]]++;
  }
  for (int i = 0; i < ISC_TOY_TRAIN; i++)
    cr_assert_eq(seen[i], 1);
  isc_examples_free(x);
  world_close(&w);
}

/* Clean conditions: the drawn text lies in the ball around the condition, which is some input's own activation. */
Test(examples, a_neighbours_condition_is_clean_and_its_text_in_the_ball) {
  world w;
  world_open(&w, 3, 1 << 20);
  isc_examples *x = examples(&w, ISC_NOISE_NEIGHBOURS, 30);
  float z[30 * ISC_TOY_DIM];
  int64_t moved = 0;
  for (int64_t k = 0; k < 10; k++) {
    isc_example_batch b;
    isc_step_reset(w.step);
    isc_assert_ok(isc_examples_take(x, w.step, k, &b));
    isc_assert_ok(isc_tensor_download(w.step, b.z, z));
    for (int64_t r = 0; r < b.n; r++) {
      double ratio, d = distance(&w, &b, z, r, b.text[r], &ratio);
      int64_t own = -1;
      cr_assert(d < 0.1 && fabs(1 / ratio - 1) < 0.1 + 1e-5, "distance %g, ratio %g", d, ratio);
      cr_assert(fabs(d - b.distance[r]) < 1e-5);
      for (int64_t i = 0; i < ISC_TOY_TRAIN && own < 0; i++)
        if (distance(&w, &b, z, r, i, &ratio) < 1e-6 && fabs(ratio - 1) < 1e-5) own = i;
      cr_assert(own >= 0, "the condition is no input's activation");
      moved += d > 1e-6;
    }
  }
  cr_assert(moved > 0, "no text but the condition's own was ever drawn");
  isc_examples_free(x);
  world_close(&w);
}

/* ---- every geometry */

static double gaussian(double ratio) {
  return -ratio * ratio;
}
static double hard(double ratio) {
  (void)ratio;
  return 0;
}

typedef struct law {
  const char *name;
  isc_geometry geometry;
  double (*log_profile)(double);
  double support, epsilon;
} law;

/* Bandwidths that give site 1's activations, about 4 long, a handful of neighbours. */
static const law laws[] = {{"angular hard", ISC_ANGULAR, hard, 1, 0.1},
                           {"angular gaussian", ISC_ANGULAR, gaussian, INFINITY, 0.1},
                           {"euclidean gaussian", ISC_EUCLIDEAN, gaussian, INFINITY, 2},
                           {"normalised hard", ISC_NORMALISED, hard, 1, 0.5}};
enum { LAWS = sizeof laws / sizeof *laws };

static void set_kernel(isc_toy *t, const law *l) {
  for (int k = 0; k < 2; k++) {
    const isc_noise_spec spec = {.size = sizeof spec,
                                 .geometry = l->geometry,
                                 .measure = ISC_LEBESGUE,
                                 .dim = k ? ISC_TOY_NARROW : ISC_TOY_DIM,
                                 .epsilon = l->epsilon,
                                 .band = 0.3,
                                 .log_profile = l->log_profile,
                                 .support = l->support};
    isc_noise_law_close(t->kernel[k].self);
    isc_assert_ok(isc_noise_law_open(&spec, &t->kernel[k].self));
  }
}

/* d(z, ẑ) from the definitions of kernel.h */
static double kernel_distance(const law *l, const float *z, const float *hat, int64_t n) {
  double zz = dot(z, z, n), hh = dot(hat, hat, n), square = 0;
  for (int64_t k = 0; k < n; k++)
    square += ((double)z[k] - hat[k]) * ((double)z[k] - hat[k]);
  if (l->geometry == ISC_ANGULAR)
    return fabs(sqrt(zz) - sqrt(hh)) < 0.3 * sqrt(hh) ? 1 - dot(z, hat, n) / sqrt(zz * hh)
                                                      : INFINITY;
  return sqrt(square) / (l->geometry == ISC_NORMALISED ? sqrt(hh) : 1);
}

/* Conditions are at the recorded distance from their text's activation; f32 in 16 numbers of size 4: 1e-5. */
Test(examples, noise_has_its_distance_in_every_geometry) {
  for (int k = 0; k < LAWS; k++) {
    world w;
    float z[40 * ISC_TOY_DIM], clean[ISC_TOY_DIM], noisy[ISC_TOY_DIM];
    isc_example_batch b;
    world_open(&w, 3, 1 << 20);
    set_kernel(&w.toy, &laws[k]);
    isc_examples *x = examples(&w, ISC_NOISE_KERNEL, 40);
    isc_assert_ok(isc_examples_take(x, w.step, 1, &b));
    isc_assert_ok(isc_tensor_download(w.step, b.z, z));
    for (int64_t r = 0; r < b.n; r++) {
      int64_t g = b.site[r], dim = w.toy.site[g].dim;
      isc_toy_activation(&w.toy, g, b.text[r], clean);
      for (int64_t i = 0; i < dim; i++)
        noisy[i] = z[r * w.control->d_z + i] / w.control->host_scale[g];
      double d = kernel_distance(&laws[k], noisy, clean, dim);
      cr_assert(fabs(d - b.distance[r]) < 1e-5 * (1 + d), "%s, row %d: %g, recorded %g",
                laws[k].name, (int)r, d, b.distance[r]);
    }
    isc_examples_free(x);
    world_close(&w);
  }
}

/* At site 1, neighbours of one input: frequencies against k(d/ε)/Σ over the candidates and the input itself, by chi-square
 * over those expected at least 8 times (a right draw fails with probability below 1e-6). */
static void check_law(const law *l, int64_t candidates, int64_t input) {
  enum { DRAWS = 4000 };
  static isc_rng rng[DRAWS];
  world w;
  isc_neighbours *nb;
  int64_t row[DRAWS], drawn[DRAWS], count[ISC_TOY_TRAIN] = {0};
  double d[DRAWS], weight[ISC_TOY_TRAIN] = {0}, total = 0, chi2 = 0, rest = 0, rest_want = 0,
                   df = -1;
  float zi[ISC_TOY_DIM], zj[ISC_TOY_DIM];
  world_open(&w, 2, 1 << 20);
  set_kernel(&w.toy, l);
  isc_assert_ok(isc_neighbours_new(w.factors, candidates, &nb));
  for (int i = 0; i < DRAWS; i++) {
    row[i] = input;
    rng[i] = isc_rng_at(1, ISC_RNG_USER, (uint64_t)(input * DRAWS + i));
  }
  isc_assert_ok(isc_neighbours_draw(nb, 1, row, rng, DRAWS, drawn, d));
  isc_toy_activation(&w.toy, 1, input, zi);
  for (int64_t j = 0; j < ISC_TOY_TRAIN; j++) {
    isc_toy_activation(&w.toy, 1, j, zj);
    double ratio = kernel_distance(l, zj, zi, ISC_TOY_DIM) / l->epsilon;
    if (j == input)
      weight[j] = 1;
    else if (j < candidates && ratio < l->support)
      weight[j] = exp(l->log_profile(ratio));
    total += weight[j];
  }
  for (int i = 0; i < DRAWS; i++) {
    isc_toy_activation(&w.toy, 1, drawn[i], zj);
    /* ‖a − b‖ from ‖a‖² + ‖b‖² − 2⟨a, b⟩ in f32 is good to sqrt(1e-7) of the norms, about 4. */
    double close = l->geometry == ISC_ANGULAR ? 1e-5 : 4e-3;
    cr_assert(fabs(kernel_distance(l, zj, zi, ISC_TOY_DIM) - d[i]) < close, "%s: recorded distance",
              l->name);
    count[drawn[i]]++;
  }
  for (int64_t j = 0; j < ISC_TOY_TRAIN; j++) {
    double want = DRAWS * weight[j] / total;
    if (want < 8) {
      rest += (double)count[j];
      rest_want += want;
      continue;
    }
    chi2 += pow((double)count[j] - want, 2) / want;
    df++;
  }
  if (rest_want >= 8) {
    chi2 += pow(rest - rest_want, 2) / rest_want;
    df++;
  } else {
    cr_assert(rest <= rest_want + 40, "%s: %g draws of what should hardly be drawn", l->name, rest);
  }
  cr_assert(df >= 2, "%s: input %d has too few neighbours to say anything", l->name, (int)input);
  cr_assert(chi2 < df + 4.75 * sqrt(2 * df) + 15, "%s: chi-square %g at %g degrees of freedom",
            l->name, chi2, df);
  isc_neighbours_free(nb);
  world_close(&w);
}

/* 180 candidates: mostly rejection serves. An input that is no candidate: always enumeration. */
Test(examples, neighbours_are_drawn_from_the_exact_law) {
  for (int k = 0; k < LAWS; k++) {
    check_law(&laws[k], ISC_TOY_TRAIN, 4);
    check_law(&laws[k], 120, 150);
  }
}
