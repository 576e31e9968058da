/* SPDX-License-Identifier: Apache-2.0
 *
 * See prior_use.h.
 */
#include "conform/prior_use.h"
#include <inversescope/rng.h>
#include <inversescope/template.h>
#include <string.h>

isc_status isc_conform_prior_open(isc_conform *c, const void *conf, uint64_t seed, isc_prior *out) {
  const isc_prior_ops *ops = c->cls->ops;
  void *self = NULL;
  *out = (isc_prior){0};
  ISC_TRY(ops->open(conf, seed, &self));
  *out = (isc_prior){ops, self, c->cls->name};
  return ISC_OK;
}

void isc_conform_prior_close(isc_prior *p) {
  if (p->ops) p->ops->close(p->self);
  *p = (isc_prior){0};
}

const char *isc_split_name(isc_split split) {
  return split == ISC_TEST ? "test" : "train";
}

isc_status isc_conform_draw(const isc_prior *p, isc_split split, int64_t i, isc_text *out) {
  isc_text_clear(out);
  if (p->ops->draw(p->self, split, i, out) != ISC_OK)
    return isc_fail_in("draw(%s, %lld)", isc_split_name(split), (long long)i);
  if (out->data) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "draw(%s, %lld) returns ISC_OK without a text",
                  isc_split_name(split), (long long)i);
}

isc_status isc_conform_samples(const isc_prior *p, int64_t each, uint64_t seed, isc_texts *out) {
  isc_text text = {0};
  isc_status st = ISC_OK;
  for (int s = 0; s < 2; s++) {
    const isc_split split = s ? ISC_TEST : ISC_TRAIN;
    const int64_t count = p->ops->count(p->self, split), n = count < each ? count : each;
    for (int64_t i = 0; i < n; i++) {
      /* A bijection, so that nothing comes twice among the scattered ones. */
      const int64_t at =
          n == count || i < n / 2
              ? i
              : (int64_t)isc_rng_permute(seed, ISC_RNG_USER + 1, (uint64_t)count, (uint64_t)i);
      ISC_GO(isc_conform_draw(p, split, at, &text));
      ISC_GO(isc_texts_add(out, text.data, text.len));
    }
  }
done:
  isc_text_free(&text);
  return st;
}

/* ---- the toy */

static const isc_prior_ops TOY = {.size = sizeof TOY,
                                  .count = isc_template_count,
                                  .draw = isc_template_draw,
                                  .log_prob = isc_template_log_prob,
                                  .support = isc_template_support,
                                  .enumerate = isc_template_enumerate,
                                  .n_slots = isc_template_n_slots,
                                  .slot_name = isc_template_slot_name,
                                  .slot = isc_template_slot_value,
                                  .fingerprint = isc_template_fingerprint,
                                  .slot_choices = isc_template_slot_choices,
                                  .slot_choice = isc_template_slot_choice};

isc_status isc_toy_prior_open(uint64_t seed, isc_prior *out) {
  static const char *const names[] = {"Mary", "John", "Anna", "Paul", "Zoe", "Omar"};
  static const char *const numbers[] = {"2", "3", "5", "8"};
  static const char *const places[] = {"shop", "garden", "station"};
  static const char *const templates[] = {
      "Then, [A] and [B] went to the [PLACE]. [B] gave [NUMBER] coins to",
      "When [A] and [B] were in the [PLACE], [A] sold [NUMBER] pens to",
      "[NUMBER] days ago [A] met [B] at the [PLACE] and [B] wrote to"};
  static const isc_template_slot slots[] = {
      {.name = "A", .values = names, .n = 6},
      {.name = "B", .values = names, .n = 6, .differs_from = "A"},
      {.name = "NUMBER", .values = numbers, .n = 4},
      {.name = "PLACE", .values = places, .n = 3}};
  const isc_template_spec spec = {.size = sizeof spec,
                                  .templates = templates,
                                  .n_templates = 3,
                                  .slots = slots,
                                  .n_slots = 4,
                                  .test_fraction = 0.25,
                                  .seed = seed};
  isc_template *t = NULL;
  *out = (isc_prior){0};
  ISC_TRY(isc_template_new(&spec, &t));
  *out = (isc_prior){&TOY, t, "toy"};
  return ISC_OK;
}

void isc_toy_prior_close(isc_prior *p) {
  isc_template_free(p->self);
  *p = (isc_prior){0};
}
