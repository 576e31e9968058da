/* SPDX-License-Identifier: Apache-2.0
 *
 * Harvests for tests, of texts of lengths that differ so that batches of them are packed, padded and left short.
 */
#include "support_harvest.h"
#include "support.h"
#include "support_target.h"

#include <stdlib.h>
#include <string.h>

enum { TEXTS = ISC_TEST_HARVEST_TEXTS };

static const char *const TEXT[TEXTS] = {"t3 t4 t5",  "t9",          "t60 t2 t2 t2 t2 t2 t2 t2 t7",
                                        "t8 t8 t12", "t13 t14 t15", "t16 t17",
                                        "t21 t20"};

isc_test_harvested isc_test_harvest(isc_device *dev, const isc_test_harvest_job *job) {
  isc_test_gpt2 open;
  isc_test_harvested h;
  isc_step *s;
  size_t len[TEXTS];
  for (int i = 0; i < TEXTS; i++)
    len[i] = strlen(TEXT[i]);
  isc_assert_ok(isc_test_family_try(dev, job->plugin, job->name, job->more, &open));
  cr_assert(open.target.info.packed);
  open.target.info.packed = !job->padded;
  isc_assert_ok(isc_sites_select(&open.target, &job->sites, 1, &h.sites));
  h.at = malloc((size_t)h.sites.n * sizeof *h.at);
  for (int64_t i = 0; i < h.sites.n; i++)
    h.at[i] = malloc((size_t)(TEXTS * h.sites.site[i].stored) * sizeof(float));
  isc_assert_ok(isc_step_new(dev, &s));
  const isc_harvest harvest = {.target = &open.target,
                               .sites = &h.sites,
                               .text = TEXT,
                               .len = len,
                               .n = TEXTS,
                               .position = -1,
                               .batch = 2,
                               .out = h.at};
  for (int i = 0; i < job->times; i++) {
    for (int64_t k = 0; k < h.sites.n; k++)
      memset(h.at[k], 0xFF, (size_t)(TEXTS * h.sites.site[k].stored) * sizeof(float));
    isc_assert_ok(isc_harvest_run(&harvest, s));
  }
  isc_assert_ok(open.target.ops->fingerprint(open.target.self, h.fingerprint));
  isc_step_free(s);
  isc_test_gpt2_close(&open);
  return h;
}

void isc_test_harvested_free(isc_test_harvested *h) {
  for (int64_t i = 0; i < h->sites.n; i++)
    free(h->at[i]);
  free(h->at);
  isc_sites_free(&h->sites);
}

void isc_test_same_harvest(const isc_test_harvested *a, const isc_test_harvested *b,
                           const char *what) {
  cr_assert_str_eq(a->fingerprint, b->fingerprint, "%s", what);
  cr_assert_eq(a->sites.n, b->sites.n);
  for (int64_t i = 0; i < a->sites.n; i++) {
    const isc_site *x = &a->sites.site[i], *y = &b->sites.site[i];
    cr_assert_eq(x->stored, y->stored);
    cr_assert_arr_eq(a->at[i], b->at[i], (size_t)(TEXTS * x->stored) * sizeof(float), "%s, %s",
                     what, x->name);
    if (x->map)
      cr_assert_arr_eq(x->map, y->map, (size_t)(x->stored * x->dim) * sizeof(float), "%s, %s", what,
                       x->name);
  }
}
