/* SPDX-License-Identifier: Apache-2.0
 *
 * Site names and patterns, and selection from a model: which names are accepted and what they choose.
 */
#include "support.h"
#include "support_target.h"

#include <stdio.h>
#include <string.h>

static const char *names(const isc_site_set *s) {
  static char text[4096];
  text[0] = '\0';
  for (int64_t i = 0; i < s->n; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "",
             s->site[i].name);
  return text;
}

static void selects(const isc_target *t, const char *pattern, const char *want) {
  isc_site_set s;
  isc_assert_ok(isc_sites_select(t, &pattern, 1, &s));
  cr_assert_str_eq(names(&s), want, "\"%s\" chose %s", pattern, names(&s));
  isc_sites_free(&s);
}

Test(sites, patterns_choose_in_model_order) {
  isc_test_target t = isc_test_target_new(NULL);
  selects(&t.target, "head.1.0", "head.1.0");
  selects(&t.target, "head.2.*", "head.2.0 head.2.1");
  selects(&t.target, "head.0-1.1", "head.0.1 head.1.1");
  selects(&t.target, "head.*.*", "head.0.0 head.0.1 head.1.0 head.1.1 head.2.0 head.2.1");
  selects(&t.target, "head", "head.0.0 head.0.1 head.1.0 head.1.1 head.2.0 head.2.1");
  selects(&t.target, "head.1", "head.1.0 head.1.1");
  selects(&t.target, "attn_out.*", "attn_out.0 attn_out.1 attn_out.2");
  selects(&t.target, "resid_*.2", "resid_pre.2 resid_mid.2 resid_post.2");
  selects(&t.target, "*.0",
          "resid_pre.0 head.0.0 head.0.1 attn_out.0 resid_mid.0 mlp_out.0 resid_post.0");
  selects(&t.target, "*_out.1-2", "attn_out.1 mlp_out.1 attn_out.2 mlp_out.2");
  isc_site_set all;
  isc_assert_ok(isc_sites_select(&t.target, (const char *const[]){"*"}, 1, &all));
  cr_assert_eq(all.n, 3 * 7);
  cr_assert(all.last_layer == 2 && all.last_place == ISC_RESID_POST);
  isc_sites_free(&all);
  isc_test_target_free(&t);
}

Test(sites, aliases_choose_the_same) {
  isc_test_target t = isc_test_target_new(NULL);
  selects(&t.target, "blocks.1.attn.hook_result.0", "head.1.0");
  selects(&t.target, "blocks.1.attn.hook_result", "head.1.0 head.1.1");
  selects(&t.target, "blocks.*.attn.hook_result.1", "head.0.1 head.1.1 head.2.1");
  selects(&t.target, "blocks.0.hook_attn_out", "attn_out.0");
  selects(&t.target, "blocks.0-1.hook_mlp_out", "mlp_out.0 mlp_out.1");
  selects(&t.target, "blocks.2.hook_resid_pre", "resid_pre.2");
  selects(&t.target, "blocks.2.hook_resid_mid", "resid_mid.2");
  selects(&t.target, "blocks.2.hook_resid_post", "resid_post.2");
  selects(&t.target, "L2H1", "head.2.1");
  selects(&t.target, "L0-1H*", "head.0.0 head.0.1 head.1.0 head.1.1");
  isc_test_target_free(&t);
}

Test(sites, several_patterns_join_without_duplicates) {
  isc_test_target t = isc_test_target_new(NULL);
  static const char *const patterns[] = {"resid_post.0", "L1H1", "head.1.*",
                                         "blocks.1.attn.hook_result.0"};
  isc_site_set s;
  isc_assert_ok(isc_sites_select(&t.target, patterns, 4, &s));
  cr_assert_str_eq(names(&s), "resid_post.0 head.1.0 head.1.1");
  cr_assert(s.last_layer == 1 && s.last_place == ISC_HEADS);
  cr_assert(s.head[0] == -1 && s.head[2] == 1 && s.layer[0] == 0 && s.place[0] == ISC_RESID_POST);
  cr_assert(s.site[0].dim == 12 && s.site[0].stored == 12 && !s.site[0].map);
  cr_assert(s.site[2].dim == 12 && s.site[2].stored == 6 && s.site[2].map);
  float map[6 * 12];
  isc_assert_ok(t.target.ops->head_map(t.target.self, 1, 1, map));
  cr_assert_eq(memcmp(s.site[2].map, map, sizeof map), 0);
  isc_sites_free(&s);
  isc_test_target_free(&t);
}

static void refuses(const isc_target *t, const char *pattern, isc_status code) {
  isc_site_set s;
  isc_assert_fails(isc_sites_select(t, &pattern, 1, &s), code, "head.L.H");
  cr_assert(strstr(isc_error(), pattern) && strstr(isc_error(), "L 0-2 and H 0-1"), "%s",
            isc_error());
  cr_assert_null(s.site);
}

Test(sites, what_is_no_site_is_refused_with_what_exists) {
  isc_test_target t = isc_test_target_new(NULL);
  static const char *const malformed[] = {"",
                                          "heads.0.0",
                                          "head.",
                                          "head.x",
                                          "head.0.1.2",
                                          "head.2-1.0",
                                          "L1",
                                          "L1H",
                                          "LxH0",
                                          "L1H0x",
                                          "head.-1.0",
                                          "attn_out.0x",
                                          "blocks.1",
                                          "blocks.1.hook_z",
                                          "blocks.1.hook_attn_out.3",
                                          "blocks.x.hook_mlp_out",
                                          "head.99999999999.0",
                                          "blocks.1.attn.hook_resultx"};
  for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
    refuses(&t.target, malformed[i], ISC_E_CONFIG);
  refuses(&t.target, "head.3.0", ISC_E_MISSING);
  refuses(&t.target, "L0H2", ISC_E_MISSING);
  refuses(&t.target, "attn_out.0.0", ISC_E_MISSING);
  isc_site_set s;
  isc_assert_fails(isc_sites_select(&t.target, NULL, 0, &s), ISC_E_CONFIG, "no sites are selected");
  isc_assert_fails(
      isc_sites_select(&t.target, (const char *const[]){"head.0.0", "head.7.0"}, 2, &s),
      ISC_E_MISSING, "head.7.0");
  isc_test_target_free(&t);
}

Test(sites, are_found_by_any_single_name) {
  isc_test_target t = isc_test_target_new(NULL);
  isc_site_set s;
  isc_assert_ok(
      isc_sites_select(&t.target, (const char *const[]){"head.*.*", "resid_post.1"}, 2, &s));
  cr_assert_eq(isc_sites_find(&s, "head.1.1"), 3);
  cr_assert_eq(isc_sites_find(&s, "L1H1"), 3);
  cr_assert_eq(isc_sites_find(&s, "blocks.1.attn.hook_result.1"), 3);
  cr_assert_eq(isc_sites_find(&s, "blocks.1.hook_resid_post"), 4);
  cr_assert_eq(isc_sites_find(&s, "resid_post.1"), 4);
  cr_assert_eq(isc_sites_find(&s, "resid_post.0"), -1);
  cr_assert_eq(isc_sites_find(&s, "resid_post"), -1);
  cr_assert_eq(isc_sites_find(&s, "head.1"), -1);
  cr_assert_eq(isc_sites_find(&s, "head.*.1"), -1);
  cr_assert_eq(isc_sites_find(&s, "nonsense"), -1);
  isc_sites_free(&s);
  isc_test_target_free(&t);
}
