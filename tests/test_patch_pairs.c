/* SPDX-License-Identifier: Apache-2.0
 *
 * Patching pairs of texts: what must come out when the source is the target itself, and when the site decides everything.
 */
#include "support.h"
#include "support_backend.h"
#include "support_target.h"

#include <stdlib.h>
#include <string.h>

enum { PAIRS = 5, VOCAB = 17 };
static const char *const SOURCE[PAIRS] = {"w1 w2 w3", "w4", "w5 w6 w7 w8 w9", "w2 w2", "w3 w14"};
static const char *const INTO[PAIRS] = {"w9 w1", "w2 w2 w7 w3", "w3", "w12 w13 w3", "w1 w1 w1"};

typedef struct seen {
  float *logits; /* [sites + 1, PAIRS, VOCAB] */
  int64_t calls;
} seen;

static isc_status keep(void *user, int64_t site, int64_t pair, const float *logits, int64_t vocab) {
  seen *k = user;
  cr_assert(vocab == VOCAB && pair >= 0 && pair < PAIRS);
  memcpy(k->logits + ((site + 1) * PAIRS + pair) * VOCAB, logits, VOCAB * sizeof *logits);
  k->calls++;
  return ISC_OK;
}

static const float *row(const seen *k, int64_t site, int64_t pair) {
  return k->logits + ((site + 1) * PAIRS + pair) * VOCAB;
}

static void lengths(const char *const *text, size_t *len) {
  for (int i = 0; i < PAIRS; i++)
    len[i] = strlen(text[i]);
}

static seen run(isc_device *dev, const isc_test_target *t, const isc_site_set *sites,
                const char *const *source, const char *const *into, int64_t batch) {
  size_t source_len[PAIRS], into_len[PAIRS];
  seen k = {.logits = calloc((size_t)((sites->n + 1) * PAIRS * VOCAB), sizeof(float))};
  isc_step *s;
  lengths(source, source_len);
  lengths(into, into_len);
  const isc_patch_pairs p = {.target = &t->target,
                             .sites = sites,
                             .source = source,
                             .into = into,
                             .source_len = source_len,
                             .into_len = into_len,
                             .n = PAIRS,
                             .batch = batch,
                             .source_position = -1,
                             .into_position = -1,
                             .each = keep,
                             .user = &k};
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_patch_pairs_run(&p, s));
  cr_assert_eq(k.calls, (sites->n + 1) * PAIRS);
  isc_step_free(s);
  return k;
}

static bool same(const float *a, const float *b) {
  return memcmp(a, b, VOCAB * sizeof *a) == 0;
}

ISC_TEST_ON_BOTH(patch_pairs, a_texts_own_activation_changes_nothing) {
  isc_test_target t = isc_test_target_new(dev);
  isc_site_set sites;
  isc_assert_ok(isc_sites_select(&t.target, (const char *const[]){"*"}, 1, &sites));
  seen k = run(dev, &t, &sites, INTO, INTO, 2);
  for (int64_t site = 0; site < sites.n; site++)
    for (int64_t i = 0; i < PAIRS; i++)
      cr_assert(same(row(&k, site, i), row(&k, -1, i)), "%s pair %d", sites.site[site].name,
                (int)i);
  free(k.logits);
  isc_sites_free(&sites);
  isc_test_target_free(&t);
}

/* What leaves the last block decides the logits, so they become the source's. */
ISC_TEST_ON_BOTH(patch_pairs, the_last_residual_brings_the_sources_logits) {
  isc_test_target t = isc_test_target_new(dev);
  isc_site_set sites;
  isc_assert_ok(
      isc_sites_select(&t.target, (const char *const[]){"resid_post.2", "head.0.1"}, 2, &sites));
  seen k = run(dev, &t, &sites, SOURCE, INTO, 3), own = run(dev, &t, &sites, SOURCE, SOURCE, 3);
  const int64_t last = isc_sites_find(&sites, "resid_post.2"),
                head = isc_sites_find(&sites, "L0H1");
  for (int64_t i = 0; i < PAIRS; i++) {
    cr_assert(same(row(&k, last, i), row(&own, -1, i)), "pair %d", (int)i);
    cr_assert_not(same(row(&k, head, i), row(&k, -1, i)), "pair %d: the head's patch was not felt",
                  (int)i);
    cr_assert_not(same(row(&k, head, i), row(&own, -1, i)), "pair %d: one head decided all",
                  (int)i);
  }
  free(k.logits);
  free(own.logits);
  isc_sites_free(&sites);
  isc_test_target_free(&t);
}

ISC_TEST_ON_BOTH(patch_pairs, do_not_depend_on_the_batch) {
  isc_test_target t = isc_test_target_new(dev);
  isc_site_set sites;
  isc_assert_ok(
      isc_sites_select(&t.target, (const char *const[]){"attn_out", "mlp_out"}, 2, &sites));
  seen one = run(dev, &t, &sites, SOURCE, INTO, 1), all = run(dev, &t, &sites, SOURCE, INTO, PAIRS);
  cr_assert_arr_eq(one.logits, all.logits, (size_t)((sites.n + 1) * PAIRS * VOCAB) * sizeof(float));
  free(one.logits);
  free(all.logits);
  isc_sites_free(&sites);
  isc_test_target_free(&t);
}

Test(patch_pairs, a_position_that_a_text_lacks_is_named) {
  isc_device dev = isc_test_plain_device();
  isc_test_target t = isc_test_target_new(&dev);
  isc_site_set sites;
  isc_step *s;
  size_t source_len[PAIRS], into_len[PAIRS];
  seen k = {.logits = calloc(2 * PAIRS * VOCAB, sizeof(float))};
  lengths(SOURCE, source_len);
  lengths(INTO, into_len);
  isc_assert_ok(isc_sites_select(&t.target, (const char *const[]){"attn_out.0"}, 1, &sites));
  isc_patch_pairs p = {.target = &t.target,
                       .sites = &sites,
                       .source = SOURCE,
                       .into = INTO,
                       .source_len = source_len,
                       .into_len = into_len,
                       .n = PAIRS,
                       .batch = 2,
                       .source_position = -1,
                       .into_position = 2,
                       .each = keep,
                       .user = &k};
  isc_assert_ok(isc_step_new(&dev, &s));
  isc_assert_fails(isc_patch_pairs_run(&p, s), ISC_E_SHAPE,
                   "target text 2 has 1 tokens and no position 2");
  p.source_position = 4;
  isc_assert_fails(isc_patch_pairs_run(&p, s), ISC_E_SHAPE, "text 0");
  p.batch = 0;
  isc_assert_fails(isc_patch_pairs_run(&p, s), ISC_E_USAGE, "batches of 0");
  isc_step_free(s);
  isc_sites_free(&sites);
  isc_test_target_free(&t);
  free(k.logits);
}
