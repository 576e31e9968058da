/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about what methods are given beside their environment: whole activations, labels, a saved state.
 */
#include "support.h"
#include "support_method.h"
#include "base/base.h"
#include <float.h>
#include <inversescope/template.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- activations */

Test(method_env, activations_are_whole_whatever_is_stored) {
  static const int64_t rows[] = {5, 0, 179, 5};
  isc_toy toy;
  float got[4 * ISC_TOY_DIM], want[ISC_TOY_DIM];
  isc_toy_open(&toy, NULL, 3);
  for (int64_t site = 0; site < 3; site++) {
    const int64_t dim = toy.site[site].dim;
    isc_assert_ok(isc_method_activations(&toy.env, site, rows, 4, got));
    for (int r = 0; r < 4; r++) {
      isc_toy_activation(&toy, site, rows[r], want);
      for (int64_t d = 0; d < dim; d++)
        /* six products of normals, the sum in another order: some ulps of terms below 10 */
        cr_assert(fabsf(got[r * dim + d] - want[d]) <= 100 * FLT_EPSILON, "site %d row %d",
                  (int)site, r);
    }
  }
  isc_assert_fails(isc_method_activations(&toy.env, 3, rows, 4, got), ISC_E_USAGE, "site number 3");
  isc_toy_close(&toy);
}

/* ---- labels */

static isc_status nth_text(const isc_method_env *env, int64_t i, isc_text *out) {
  return i < env->prior->ops->support(env->prior->self)
             ? env->prior->ops->enumerate(env->prior->self, i, out)
             : isc_text_set(out, "something else", 14);
}

static isc_status any_answer(const void *conf, uint64_t seed, void **self) {
  (void)conf, (void)seed, (void)self;
  return ISC_E_INTERNAL;
}

/* "red square", …; a second template without a shape. */
static isc_prior coloured_shapes(void) {
  static const char *const templates[] = {"[COLOUR] [SHAPE]", "only [COLOUR]"};
  static const char *const colours[] = {"red", "green"}, *const shapes[] = {"square", "circle"};
  static const isc_template_slot slots[] = {{.name = "COLOUR", .values = colours, .n = 2},
                                            {.name = "SHAPE", .values = shapes, .n = 2}};
  static const isc_template_spec spec = {.size = sizeof spec,
                                         .templates = templates,
                                         .n_templates = 2,
                                         .slots = slots,
                                         .n_slots = 2,
                                         .test_fraction = 0.5,
                                         .seed = 1};
  static const isc_prior_ops ops = {.size = sizeof ops,
                                    .open = any_answer,
                                    .support = isc_template_support,
                                    .enumerate = isc_template_enumerate,
                                    .n_slots = isc_template_n_slots,
                                    .slot_name = isc_template_slot_name,
                                    .slot = isc_template_slot_value,
                                    .slot_choices = isc_template_slot_choices,
                                    .slot_choice = isc_template_slot_choice};
  isc_template *t;
  isc_assert_ok(isc_template_new(&spec, &t));
  return (isc_prior){.ops = &ops, .self = t, .name = "shapes"};
}

Test(method_env, labels_are_the_values_of_a_slot) {
  const isc_prior prior = coloured_shapes();
  const isc_method_env env = {.size = sizeof env, .prior = &prior, .text = nth_text};
  int64_t slot, labels, label;
  isc_assert_ok(isc_method_slot(&env, NULL, &slot, &labels));
  cr_assert(slot == 0 && labels == 2);
  isc_assert_ok(isc_method_slot(&env, "SHAPE", &slot, &labels));
  cr_assert(slot == 1 && labels == 2);
  for (int64_t i = 0; i < 7; i++) { /* four texts of the first template, two of the second, none */
    isc_text text = {0};
    isc_assert_ok(nth_text(&env, i, &text));
    const int64_t want = strstr(text.data, "square") ? 0 : strstr(text.data, "circle") ? 1 : -1;
    isc_assert_ok(isc_method_label(&env, slot, i, &label));
    cr_assert_eq(label, want, "%s", text.data);
    cr_assert_eq(label < 0, i >= 4, "%s", text.data);
    isc_text_free(&text);
  }
  isc_assert_fails(isc_method_slot(&env, "SIZE", &slot, &labels), ISC_E_CONFIG,
                   "no slot \"SIZE\" with a list of values; it has COLOUR, SHAPE");
  isc_template_free(prior.self);
}

Test(method_env, a_prior_without_slots_has_no_labels) {
  isc_toy toy;
  int64_t slot, labels;
  isc_toy_open(&toy, NULL, 2);
  isc_assert_fails(isc_method_slot(&toy.env, NULL, &slot, &labels), ISC_E_CONFIG,
                   "the prior toy has no slot with a list of values; it has none");
  isc_toy_close(&toy);
}

/* ---- state */

static const char STATE[] = "twelve bytes";

Test(method_env, a_state_comes_back_as_it_was_saved) {
  const char *dir = isc_test_dir("state");
  char got[sizeof STATE] = "";
  isc_assert_fails(isc_state_restore(dir, "s", got, sizeof got), ISC_E_MISSING, "/s");
  isc_assert_ok(isc_state_save(dir, "s", "an older one", sizeof STATE));
  isc_assert_ok(isc_state_save(dir, "s", STATE, sizeof STATE));
  isc_assert_ok(isc_state_restore(dir, "s", got, sizeof got));
  cr_assert_str_eq(got, STATE);
  isc_assert_ok(isc_state_save(dir, "empty", NULL, 0));
  isc_assert_ok(isc_state_restore(dir, "empty", NULL, 0));
  isc_assert_fails(isc_state_save("/nowhere/at/all", "s", STATE, sizeof STATE), ISC_E_IO, "s");
}

/* The file cut at each length, with each byte changed, and with one more; then asked for in other lengths. */
Test(method_env, any_other_file_is_refused_and_nothing_is_written) {
  const char *dir = isc_test_dir("state");
  char *path, *file, got[sizeof STATE + 1] = "untouched";
  size_t len;
  isc_assert_ok(isc_state_save(dir, "s", STATE, sizeof STATE));
  isc_assert_ok(isc_path_join(dir, "s", &path));
  isc_assert_ok(isc_read_file(path, 1 << 10, &file, &len));
  for (size_t cut = 0; cut < len; cut++) {
    isc_assert_ok(isc_write_file(path, file, cut));
    isc_assert_fails(isc_state_restore(dir, "s", got, sizeof STATE), ISC_E_FORMAT, path);
  }
  for (size_t at = 0; at < len; at++) {
    file[at] ^= 1;
    isc_assert_ok(isc_write_file(path, file, len));
    isc_assert_fails(isc_state_restore(dir, "s", got, sizeof STATE), ISC_E_FORMAT, path);
    file[at] ^= 1;
  }
  isc_assert_ok(isc_write_file(path, file, len + 1)); /* with the NUL behind it */
  isc_assert_fails(isc_state_restore(dir, "s", got, sizeof STATE), ISC_E_FORMAT, path);
  isc_assert_ok(isc_write_file(path, file, len));
  isc_assert_fails(isc_state_restore(dir, "s", got, sizeof STATE - 1), ISC_E_FORMAT, path);
  isc_assert_fails(isc_state_restore(dir, "s", got, sizeof STATE + 1), ISC_E_FORMAT, path);
  cr_assert_str_eq(got, "untouched");
  isc_assert_ok(isc_state_restore(dir, "s", got, sizeof STATE));
  free(file);
  free(path);
}
