/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory plans against what is really allocated, byte by byte for what is exact.
 */
#include "support.h"
#include "support_backend.h"
#include "support_target.h"
#include "model/decoder_internal.h"
#include "run/plan.h"

#include <stdlib.h>
#include <string.h>

/* ---- a device that counts */

enum { BLOCKS = 1024 };

static struct {
  isc_device inner;
  void *at[BLOCKS];
  size_t bytes[BLOCKS];
  double held, most;
} counted;

static isc_status count_alloc(void *impl, size_t bytes, void **out) {
  int i = 0;
  ISC_TRY(counted.inner.ops->alloc(impl, bytes, out));
  while (counted.at[i])
    cr_assert_lt(++i, BLOCKS);
  counted.at[i] = *out;
  counted.bytes[i] = bytes;
  counted.held += (double)bytes;
  if (counted.held > counted.most) counted.most = counted.held;
  return ISC_OK;
}

static void count_free(void *impl, void *p) {
  for (int i = 0; p && i < BLOCKS; i++)
    if (counted.at[i] == p) {
      counted.held -= (double)counted.bytes[i];
      counted.at[i] = NULL;
    }
  counted.inner.ops->free(impl, p);
}

static isc_device counting_device(void) {
  static isc_backend_ops ops;
  counted.inner = isc_test_plain_device();
  ops = *counted.inner.ops;
  ops.alloc = count_alloc;
  ops.free = count_free;
  isc_device dev = counted.inner;
  dev.ops = &ops;
  return dev;
}

/* ---- weights and caches */

static const char *const MODELS[][2] = {
    {"gpt2", "gpt2"},   {"gpt2", "gpt2-other"}, {"llama", "llama"},   {"llama", "llama-gqa"},
    {"llama", "qwen2"}, {"llama", "qwen3"},     {"gemma2", "gemma2"}, {"gemma3", "gemma3"}};

static isc_memory_plan plan_of(const isc_device *dev, const isc_test_gpt2 *o) {
  isc_memory_plan p;
  isc_assert_ok(isc_target_plan(o->target.cls, o->conf, dev, &p));
  return p;
}

Test(memory_plan, weights_and_caches_are_what_is_allocated) {
  static const char *const settings[] = {"", "precision = \"bf16\";", "resident = \"stream\";",
                                         "precision = \"bf16\"; resident = \"stream\";"};
  isc_device dev = counting_device();
  for (size_t m = 0; m < sizeof MODELS / sizeof *MODELS; m++)
    for (int s = 0; s < 4; s++) {
      isc_test_gpt2 o;
      isc_kv_cache *cache;
      isc_assert_ok(isc_test_family_try(&dev, MODELS[m][0], MODELS[m][1], settings[s], &o));
      const isc_memory_plan p = plan_of(&dev, &o);
      const double weights = counted.held;
      cr_assert_eq(p.streamed, s >= 2);
      cr_assert_eq(isc_plan_weights(&p, s % 2 ? ISC_BF16 : ISC_F32, s >= 2), weights, "%s %s",
                   MODELS[m][1], settings[s]);
      cr_assert_eq(p.info.parameters, o.target.info.parameters);
      isc_assert_ok(o.target.ops->kv_cache(o.target.self, 3, 7, &cache));
      cr_assert_eq(isc_plan_cache(&p, 3, 7), counted.held - weights, "%s", MODELS[m][1]);
      isc_kv_cache_free(cache);
      isc_test_gpt2_close(&o);
      cr_assert_eq(counted.held, 0);
    }
}

/* ---- passes */

static isc_decoder_spec wide(int kind) {
  isc_decoder_spec s = {.size = sizeof s,
                        .n_layer = 3,
                        .n_head = 4,
                        .d_model = 48,
                        .d_head = 16,
                        .d_mlp = 160,
                        .vocab = 11,
                        .n_ctx = 128,
                        .act = ISC_ACT_SILU,
                        .norm_eps = 1e-5};
  if (kind > 0) {
    s.norm = ISC_RMSNORM;
    s.positions = ISC_ROTARY;
    s.rope_theta = 10000;
    s.mlp = ISC_MLP_GATED;
    s.n_kv_head = 2;
  }
  s.post_norms = s.head_norms = kind > 1;
  return s;
}

/* What a pass of 8 · 128 tokens takes at most, in a step's first use. */
static double measured(isc_device *dev, isc_decoder *d) {
  static int32_t ids[8 * 128];
  const isc_decoder_input in = {.size = sizeof in, .batch = 8, .len = 128, .ids = ids};
  const double before = counted.held;
  isc_step *s;
  isc_tensor *hidden;
  counted.most = before;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_decoder_forward(d, s, &in, NULL, &hidden));
  isc_step_free(s);
  return counted.most - before;
}

Test(memory_plan, a_pass_takes_no_more_than_planned_and_not_much_less) {
  isc_device dev = counting_device();
  for (int kind = 0; kind < 3; kind++) {
    const isc_decoder_spec spec = wide(kind);
    isc_memory_plan p;
    isc_decoder *d;
    isc_assert_ok(isc_decoder_new(&dev, &spec, &d));
    isc_assert_ok(isc_memory_plan_of(&spec, false, NULL, &p));
    const double got = measured(&dev, d), want = isc_plan_pass(&p, 8 * 128);
    cr_log_info("kind %d: %.0f of %.0f", kind, got, want);
    cr_assert(got <= want && got > want / 1.6, "kind %d: %g of %g planned", kind, got, want);
    isc_decoder_free(d);
  }
}

/* ---- what waits */

Test(memory_plan, residual_streams_wait_until_a_gibibyte_or_for_a_batch) {
  const isc_decoder_spec spec = wide(1); /* 192 bytes a token */
  isc_memory_plan p;
  isc_assert_ok(isc_memory_plan_of(&spec, true, NULL, &p));
  cr_assert_eq(isc_plan_waiting(&p, 10, 128, 20), 10 * 20 * 192);
  cr_assert_eq(isc_plan_waiting(&p, 1e9, 128, 20), 1 << 30);
  cr_assert_eq(isc_plan_waiting(&p, 1e9, 1e6, 20), 1e6 * 20 * 192);
}

/* ---- sites */

Test(memory_plan, a_selection_is_measured_before_the_target_is_open) {
  static const char *const patterns[] = {"head.1-2.*", "resid_post.0"};
  isc_test_target t = isc_test_target_new(NULL);
  isc_site_set set;
  isc_site_sum sum;
  int64_t stored = 0;
  isc_assert_ok(isc_sites_select(&t.target, patterns, 2, &set));
  isc_assert_ok(isc_sites_measure(&t.target.info, patterns, 2, &sum));
  for (int64_t i = 0; i < set.n; i++)
    stored += set.site[i].stored;
  cr_assert_eq(sum.sites, 5);
  cr_assert_eq(sum.sites, set.n);
  cr_assert_eq(sum.heads, 4);
  cr_assert_eq(sum.stored, stored);
  cr_assert_eq(sum.last_layer, set.last_layer);
  isc_assert_fails(isc_sites_measure(&t.target.info, (const char *const[]){"head.3"}, 1, &sum),
                   ISC_E_MISSING, "head.3");
  isc_sites_free(&set);
  isc_test_target_free(&t);
}

Test(memory_plan, a_harvest_is_the_sum_of_its_parts) {
  const isc_decoder_spec spec = wide(1);
  const isc_site_sum sites = {.sites = 5, .heads = 4, .stored = 4 * 16 + 48};
  isc_memory_plan p;
  isc_harvest_plan h;
  isc_assert_ok(isc_memory_plan_of(&spec, true, NULL, &p));
  isc_harvest_plan_make(&p, &sites, 100000, 128, 20, &h);
  cr_assert_eq(h.weights, isc_plan_weights(&p, ISC_F32, true));
  cr_assert_eq(h.pass, isc_plan_pass(&p, 128 * 20));
  cr_assert_eq(h.waiting, 4096.0 * 20 * 192);
  cr_assert_eq(h.maps, 4.0 * 16 * 48 * 4);
  cr_assert_eq(h.chunk, 4096.0 * 112 * 4);
  cr_assert_eq(h.disk, 100000.0 * 112 * 4);
  cr_assert_eq(h.peak, h.weights + h.pass + h.waiting + h.maps + h.chunk);
}
