/* SPDX-License-Identifier: Apache-2.0
 *
 * The setting `bos` of a family's target: what stands before its texts, and that nothing stands there twice.
 */
#include "support.h"
#include "support_backend.h"
#include "support_target.h"

#include <string.h>

enum { BOS = 1 }; /* "<eos>", which begins texts too */

static isc_test_gpt2 opened(isc_device *dev, const char *more) {
  isc_test_gpt2 o;
  isc_assert_ok(isc_test_family_try(dev, "llama", "llama", more, &o));
  return o;
}

static isc_status encode(const isc_test_gpt2 *o, const char *text, int32_t ids[4], int64_t *n) {
  return isc_tokenizer_encode(o->target.ops->tokenizer(o->target.self), text, strlen(text), ids, 4,
                              n);
}

static void begins(const char *more, const char *text, int64_t n_want, const int32_t *want) {
  isc_device dev = isc_test_plain_device();
  isc_test_gpt2 o = opened(&dev, more);
  int32_t ids[4];
  int64_t n;
  isc_assert_ok(encode(&o, text, ids, &n));
  cr_assert_eq(n, n_want, "%s: %d ids", more, (int)n);
  cr_assert_arr_eq(ids, want, (size_t)n * sizeof *ids, "%s", more);
  isc_test_gpt2_close(&o);
}

Test(family_tokenizer, puts_the_bos_as_the_setting_says) {
  begins("", "t7 t9", 2, (int32_t[]){7, 9});
  begins("bos = \"model\";", "t7 t9", 2, (int32_t[]){7, 9});
  begins("bos = \"always\";", "t7 t9", 3, (int32_t[]){BOS, 7, 9});
  begins("bos = \"never\";", "t7 t9", 2, (int32_t[]){7, 9});
  begins("bos = \"never\";", "<eos> t7", 2, (int32_t[]){BOS, 7});
}

Test(family_tokenizer, a_doubled_bos_is_refused_and_a_harvest_names_the_text) {
  isc_device dev = isc_test_plain_device();
  isc_test_gpt2 o = opened(&dev, "bos = \"always\";");
  const char *const texts[] = {"t7 t9", "<eos> t7"};
  const size_t len[] = {5, 8};
  float out[2 * 64], *at = out;
  int32_t ids[4];
  int64_t n;
  isc_site_set sites;
  isc_step *s;
  isc_assert_fails(encode(&o, texts[1], ids, &n), ISC_E_FORMAT, "would be two");
  isc_assert_ok(isc_sites_select(&o.target, (const char *const[]){"resid_pre.0"}, 1, &sites));
  isc_assert_ok(isc_step_new(&dev, &s));
  cr_assert(sites.site[0].stored <= 64);
  const isc_harvest h = {.target = &o.target,
                         .sites = &sites,
                         .text = texts,
                         .len = len,
                         .n = 2,
                         .position = -1,
                         .batch = 2,
                         .out = &at};
  isc_assert_fails(isc_harvest_run(&h, s), ISC_E_FORMAT, "text 1");
  isc_step_free(s);
  isc_sites_free(&sites);
  isc_test_gpt2_close(&o);
}

/* Whether texts begin with a BOS decides the activations, so it is part of the target's fingerprint. */
Test(family_tokenizer, the_setting_is_part_of_the_fingerprint) {
  isc_device dev = isc_test_plain_device();
  char a[33], b[33];
  isc_test_gpt2 model = opened(&dev, ""), always = opened(&dev, "bos = \"always\";");
  isc_assert_ok(model.target.ops->fingerprint(model.target.self, a));
  isc_assert_ok(always.target.ops->fingerprint(always.target.self, b));
  cr_assert_str_neq(a, b);
  isc_test_gpt2_close(&model);
  isc_test_gpt2_close(&always);
}
