/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the planted task that methods are checked on: what its sites tell, and that its canaries sing.
 *
 * And one about the method that the library carries: it keeps the contract.
 */
#include "conform/toy.h"
#include "support.h"
#include "support_conform.h"
#include <math.h>
#include <string.h>

enum { SEED = 5 };

static isc_task *open_task(uint64_t seed) {
  isc_task *t;
  isc_assert_ok(isc_task_open(NULL, seed, ISC_TASK_TRAIN, &t));
  return t;
}

static isc_status text_of(const isc_task *t, isc_split split, int64_t i, isc_text *out) {
  return isc_template_draw(t->texts, split, i, out);
}

/* ---- texts */

Test(conform_toy, every_text_is_in_one_split_and_has_the_values_it_says) {
  isc_task *t = open_task(SEED);
  isc_text text = {0};
  int64_t seen[8][8][6] = {{{0}}}, said[ISC_TASK_SLOTS], read[ISC_TASK_SLOTS];
  for (int64_t k = 0; k < ISC_TASK_TEXTS; k++) {
    const isc_split split = k < ISC_TASK_TRAIN ? ISC_TRAIN : ISC_TEST;
    const int64_t i = split == ISC_TRAIN ? k : k - ISC_TASK_TRAIN;
    char expected[16];
    isc_assert_ok(text_of(t, split, i, &text));
    isc_task_values(t, split, i, said);
    snprintf(expected, sizeof expected, "a%d b%d c%d", (int)said[0], (int)said[1], (int)said[2]);
    cr_assert_str_eq(text.data, expected);
    cr_assert(isc_task_parse(t, text.data, text.len, read));
    cr_assert_arr_eq(said, read, sizeof said);
    cr_assert_eq(seen[said[0]][said[1]][said[2]]++, 0, "%s twice", text.data);
  }
  cr_assert_eq(t->prior.ops->count(t, ISC_TRAIN), ISC_TASK_TRAIN);
  cr_assert_eq(t->prior.ops->count(t, ISC_TEST), ISC_TASK_HELD_OUT);
  cr_assert_not(isc_task_parse(t, "a0 b0 c9", 8, read));
  isc_text_free(&text);
  isc_task_close(t);
}

Test(conform_toy, labels_are_values) {
  int slot;
  int64_t value;
  cr_assert(isc_task_label("b7", &slot, &value));
  cr_assert(slot == ISC_TASK_B && value == 7);
  cr_assert_not(isc_task_label("c6", &slot, &value));
  cr_assert_not(isc_task_label("", &slot, &value));
}

/* ---- activations */

/* What env serves, expanded by the library, is z(x): two ways to the same numbers, f32 sums of 8 products. */
Test(conform_toy, the_method_sees_the_activations_of_its_inputs) {
  isc_task *t = open_task(SEED);
  float seen[ISC_TASK_WIDEST], z[ISC_TASK_WIDEST];
  const int64_t row = 17;
  t->harvested = true;
  for (int64_t s = 0; s < ISC_TASK_SITES; s++) {
    isc_assert_ok(isc_method_activations(&t->env, s, &row, 1, seen));
    isc_task_activation(t, s, ISC_TRAIN, row, z);
    for (int64_t d = 0; d < t->site[s].dim; d++)
      cr_assert_float_eq(seen[d], z[d], 1e-5);
  }
  cr_assert_eq(t->counts.activations, ISC_TASK_SITES);
  cr_assert_eq(t->counts.held_out, 0);
  isc_task_close(t);
}

/* Mean activation of each value of a slot over the training inputs. */
static void means_of(const isc_task *t, int64_t site, int slot, double mean[8][ISC_TASK_WIDEST]) {
  int64_t count[8] = {0}, value[ISC_TASK_SLOTS];
  float z[ISC_TASK_WIDEST];
  memset(mean, 0, 8 * sizeof *mean);
  for (int64_t i = 0; i < ISC_TASK_TRAIN; i++) {
    isc_task_values(t, ISC_TRAIN, i, value);
    isc_task_activation(t, site, ISC_TRAIN, i, z);
    count[value[slot]]++;
    for (int64_t d = 0; d < t->site[site].dim; d++)
      mean[value[slot]][d] += z[d];
  }
  for (int v = 0; v < 8; v++)
    for (int64_t d = 0; d < t->site[site].dim; d++)
      mean[v][d] /= (double)count[v];
}

/* Held-out inputs whose value is that of the nearest mean. */
static int64_t nearest_mean_is_right(const isc_task *t, int64_t site, int slot) {
  double mean[8][ISC_TASK_WIDEST];
  int64_t right = 0, value[ISC_TASK_SLOTS];
  float z[ISC_TASK_WIDEST];
  means_of(t, site, slot, mean);
  for (int64_t i = 0; i < ISC_TASK_HELD_OUT; i++) {
    double best = INFINITY;
    int64_t at = -1;
    isc_task_activation(t, site, ISC_TEST, i, z);
    for (int64_t v = 0; v < 8; v++) {
      double d2 = 0;
      for (int64_t d = 0; d < t->site[site].dim; d++)
        d2 += pow(z[d] - mean[v][d], 2);
      if (d2 < best) best = d2, at = v;
    }
    isc_task_values(t, ISC_TEST, i, value);
    right += at == value[slot];
  }
  return right;
}

/* Rows of a Hadamard matrix of order 8 are 4 apart, the noise is 0.57 long; the map of site 0 shrinks some directions, and
 * still leaves nearly all right. By chance 12 of 96 are right, 31 once in a million (P(X ≥ 31) = 3.5e-7, binomial). */
Test(conform_toy, sites_tell_their_slot_and_nothing_else) {
  for (uint64_t seed = 1; seed <= 5; seed++) {
    isc_task *t = open_task(seed);
    for (int slot = ISC_TASK_A; slot <= ISC_TASK_B; slot++)
      for (int64_t site = 0; site < ISC_TASK_SITES; site++) {
        const int64_t right = nearest_mean_is_right(t, site, slot);
        if (site == slot)
          cr_assert_geq(right, 85, "seed %d, site %d: %d", (int)seed, (int)site, (int)right);
        else
          cr_assert_lt(right, 31, "seed %d, site %d, slot %d: %d", (int)seed, (int)site, slot,
                       (int)right);
      }
    isc_task_close(t);
  }
}

Test(conform_toy, another_seed_is_another_task) {
  isc_task *a = open_task(1), *b = open_task(2);
  float x[ISC_TASK_WIDEST], y[ISC_TASK_WIDEST];
  for (int64_t s = 0; s < ISC_TASK_SITES; s++) {
    isc_task_activation(a, s, ISC_TEST, 0, x);
    isc_task_activation(b, s, ISC_TEST, 0, y);
    cr_assert_arr_neq(x, y, (size_t)a->site[s].dim * sizeof *x);
  }
  isc_task_close(a);
  isc_task_close(b);
}

/* ---- canaries */

Test(conform_toy, what_a_method_may_ask_is_not_counted) {
  isc_task *t = open_task(SEED);
  const isc_prior_ops *p = t->prior.ops;
  isc_text text = {0};
  double log_p;
  int64_t slot, labels, label;
  isc_assert_ok(t->env.text(&t->env, ISC_TASK_TRAIN - 1, &text));
  isc_assert_ok(p->log_prob(t, text.data, text.len, &log_p));
  cr_assert_float_eq(log_p, -log(384), 1e-12);
  isc_assert_ok(isc_method_slot(&t->env, "B", &slot, &labels));
  isc_assert_ok(isc_method_label(&t->env, slot, 3, &label));
  cr_assert(labels == 8 && label >= 0 && label < 8);
  cr_assert_str_eq(p->slot_choice(t, slot, 7), "b7");
  isc_assert_ok(p->draw(t, ISC_TRAIN, 0, &text));
  cr_assert_eq(t->counts.held_out, 0, "%s", t->counts.offence);
  isc_text_free(&text);
  isc_task_close(t);
}

Test(conform_toy, what_gives_held_out_inputs_is_counted) {
  isc_task *t = open_task(SEED);
  const int64_t beyond[] = {0, ISC_TASK_TRAIN};
  isc_text text = {0};
  float z[2 * ISC_TASK_WIDEST];
  isc_assert_ok(t->prior.ops->draw(t, ISC_TEST, 3, &text));
  cr_assert_eq(t->counts.held_out, 1);
  cr_assert(strstr(t->counts.offence, "held-out input 3"), "%s", t->counts.offence);
  isc_assert_ok(t->prior.ops->enumerate(t, 0, &text));
  cr_assert_eq(t->counts.held_out, 2);
  isc_assert_fails(t->env.text(&t->env, ISC_TASK_TRAIN, &text), ISC_E_USAGE, "288 of 288");
  cr_assert_eq(t->counts.held_out, 3);
  isc_assert_fails(t->env.activations(&t->env, 0, beyond, 2, z), ISC_E_INTERNAL, "harvest");
  t->harvested = true;
  isc_assert_fails(t->env.activations(&t->env, 0, beyond, 2, z), ISC_E_USAGE, "288");
  cr_assert_eq(t->counts.held_out, 4);
  cr_assert(strstr(t->counts.offence, "held-out input 3"), "the first is kept");
  isc_text_free(&text);
  isc_task_close(t);
}

Test(conform_toy, uses_of_the_kernel_are_counted) {
  isc_task *t = open_task(SEED);
  const isc_kernel *k = t->env.kernels[ISC_TASK_SITE_B];
  cr_assert_eq(k->ops->profile(k->self, 0.5), 1);
  cr_assert_eq(k->ops->profile(k->self, 1.5), 0);
  cr_assert_eq(t->counts.kernel, 2);
  isc_task_close(t);
}

/* ---- the library's own method */

Test(conform_toy, the_built_in_method_conforms) {
  isc_conformed c = isc_conform_cli((const char *const[]){
      "--json", "--timeout-scale", "10", "--cases",
      isc_test_source("conf/conform/method_inversescope.cfg"), "method/inversescope", NULL});
  cr_assert(c.json, "ended with %d: %s", c.status, c.err);
  cr_assert_eq(isc_report_plugins(c.json), 1);
  cr_expect_str_empty(isc_report_failures(isc_report_plugin(c.json, 0)), "%s",
                      isc_report_failures(isc_report_plugin(c.json, 0)));
  cr_assert_eq(c.status, 0);
  isc_conformed_free(&c);
}
