/* SPDX-License-Identifier: Apache-2.0
 *
 * The gpt2 target on directories that the library wrote itself: what it says of them, and what it refuses.
 */
#include "support.h"
#include "support_backend.h"
#include "support_decoder.h"
#include "support_target.h"

#include <string.h>

static const char *own_directory(isc_device *dev, int64_t vocab) {
  static const char *const words[] = {"a", "b", "c", "d", "e", "f", "<eos>"};
  const char *dir = isc_test_dir("gpt2");
  isc_decoder_spec spec = isc_test_spec();
  isc_tokenizer *tok;
  spec.vocab = vocab;
  isc_decoder *d = isc_test_decoder(dev, &spec, 71);
  isc_assert_ok(isc_decoder_save(d, dir, 6, 6));
  isc_assert_ok(isc_tokenizer_from_words(words, 7, "<eos>", &tok));
  isc_assert_ok(isc_tokenizer_save(tok, dir));
  isc_tokenizer_close(tok);
  isc_decoder_free(d);
  return dir;
}

ISC_TEST_ON_BOTH(gpt2, opens_what_the_library_saved) {
  isc_test_gpt2 o = isc_test_gpt2_open(dev, own_directory(dev, 9), ""); /* a padded table is fine */
  const isc_target_info *i = &o.target.info;
  cr_assert(i->n_layer == 3 && i->n_head == 2 && i->d_model == 12 && i->d_head == 6 &&
            i->n_ctx == 9 && i->vocab == 9);
  cr_assert_eq(i->parameters,
               9 * 12 + 9 * 12 +
                   3 * (4 * 12 + 12 * 36 + 36 + 12 * 12 + 12 + 2 * 12 * 20 + 20 + 12) + 24);
  cr_assert_str_eq(o.target.cls->name, "gpt2");
  isc_kv_cache *c;
  isc_assert_ok(o.target.ops->kv_cache(o.target.self, 2, 9, &c));
  isc_kv_cache_free(c);
  isc_test_gpt2_close(&o);
}

Test(gpt2, a_wrong_directory_is_one_clear_line) {
  isc_device dev = isc_test_plain_device();
  isc_test_gpt2 o;
  isc_assert_fails(isc_test_gpt2_try(&dev, own_directory(&dev, 6), "", &o), ISC_E_SHAPE,
                   "the tokenizer has 7 ids and the embedding wte.weight only 6 rows");
  isc_test_gpt2_close(&o);
  isc_assert_fails(isc_test_gpt2_try(&dev, isc_test_dir("empty"), "", &o), ISC_E_MISSING,
                   "config.json");
  isc_test_gpt2_close(&o);
  isc_assert_fails(isc_test_gpt2_try(&dev, "/nonexistent", "", &o), ISC_E_MISSING, "/nonexistent");
  isc_test_gpt2_close(&o);
  isc_assert_fails(isc_test_gpt2_try(&dev, own_directory(&dev, 7), "weights = \"folded\"", &o),
                   ISC_E_CONFIG, "raw");
  isc_test_gpt2_close(&o);
}

/* Open, select, harvest, with allocation number `at` failing. */
static isc_status whole_way(isc_device *dev, const isc_test_gpt2 *from, int64_t at) {
  static const char *const patterns[] = {"head.*.*", "resid_post.0"};
  static const char *const text[] = {"a b", "c"};
  static const size_t len[] = {3, 1};
  float space[7][2 * 12];
  float *out[7];
  isc_status st = ISC_OK;
  isc_target t = {0};
  isc_site_set sites = {0};
  isc_step *s = NULL;
  for (int i = 0; i < 7; i++)
    out[i] = space[i];
  isc_alloc_fail_at(at);
  ISC_GO(isc_target_open(from->target.cls, from->conf, dev, &t));
  ISC_GO(isc_sites_select(&t, patterns, 2, &sites));
  ISC_GO(isc_step_new(dev, &s));
  isc_harvest h = {.target = &t,
                   .sites = &sites,
                   .text = text,
                   .len = len,
                   .n = 2,
                   .position = -1,
                   .batch = 2,
                   .out = out};
  ISC_GO(isc_harvest_run(&h, s));
done:
  isc_alloc_fail_at(0);
  if (s) isc_step_free(s);
  isc_sites_free(&sites);
  isc_target_close(&t);
  return st;
}

Test(gpt2, survives_every_failing_allocation) {
  isc_device dev = isc_test_plain_device();
  isc_test_gpt2 o = isc_test_gpt2_open(&dev, own_directory(&dev, 7), "weights = \"tl\"");
  int64_t at = 1;
  isc_status st;
  while ((st = whole_way(&dev, &o, at)) != ISC_OK) {
    cr_assert_eq(st, ISC_E_NOMEM, "allocation %d: %s", (int)at, isc_error());
    cr_assert_lt(++at, 100000);
  }
  cr_assert_gt(at, 100); /* the failures did strike */
  isc_test_gpt2_close(&o);
}
