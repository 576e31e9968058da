/* SPDX-License-Identifier: Apache-2.0
 *
 * How a target is opened and used by the checks that know nothing of targets: a pass with taps, through a cache too, and
 * all that it tells of itself.
 */
#include "conform/target_use.h"
#include <inversescope/tensor.h>
#include <stdlib.h>
#include <string.h>

static isc_status open_target(isc_conform *c, const void *conf, uint64_t seed, int threads,
                              void **instance) {
  void *memory;
  (void)seed;
  *instance = NULL;
  ISC_TRY(isc_calloc(1, sizeof(isc_subject), "a target", &memory));
  isc_status st = isc_subject_open(c, conf, threads, memory);
  if (st != ISC_OK)
    free(memory);
  else
    *instance = memory;
  return st;
}

static void close_target(isc_conform *c, void *instance) {
  (void)c;
  isc_subject_close(instance);
  free(instance);
}

static void append_pass(const isc_pass *p, isc_sb *out) {
  for (int64_t e = 0; e < p->entries; e++)
    if (p->at[e])
      isc_sb_addn(out, (const char *)p->at[e], (size_t)(p->rows * p->width[e]) * sizeof *p->at[e]);
}

/* A full pass, or one through a fresh cache. */
static isc_status use_forward(isc_subject *s, const int32_t *ids, const isc_prompts *p, bool cached,
                              isc_sb *out) {
  isc_pass pass = {0};
  isc_pass_request r = {.ids = ids, .batch = p->batch, .len = p->len};
  isc_status st = ISC_OK;
  if (cached && !s->target.ops->kv_cache) return ISC_OK;
  if (cached) ISC_GO(s->target.ops->kv_cache(s->target.self, p->batch, p->len, &r.cache));
  ISC_GO(isc_pass_run(s, &r, &pass));
  append_pass(&pass, out);
done:
  isc_pass_free(&pass);
  isc_kv_cache_free(r.cache);
  return st;
}

/* Ids from the seed, in memory that the plugin may not write. */
static isc_status use_passes(isc_subject *s, uint64_t seed, isc_sb *out) {
  isc_prompts p;
  void *ids;
  isc_prompts_random(s, seed, &p);
  size_t bytes = (size_t)(p.batch * p.len) * sizeof *p.ids;
  ISC_TRY(isc_guard_new(s->c, bytes, &ids));
  memcpy(ids, p.ids, bytes);
  ISC_TRY(isc_guard_seal(s->c, ids));
  ISC_TRY(use_forward(s, ids, &p, false, out));
  return use_forward(s, ids, &p, true, out);
}

static isc_status use_descriptions(isc_subject *s, isc_sb *out) {
  const isc_target_info *i = &s->target.info;
  size_t bytes = (size_t)(i->d_head * i->d_model) * sizeof(float);
  isc_text text = {0};
  void *map, *hex;
  ISC_TRY(isc_guard_new(s->c, bytes, &map));
  ISC_TRY(s->target.ops->head_map(s->target.self, i->n_layer - 1, i->n_head - 1, map));
  isc_sb_addn(out, map, bytes);
  ISC_TRY(isc_guard_new(s->c, 33, &hex));
  ISC_TRY(s->target.ops->fingerprint(s->target.self, hex));
  isc_sb_addn(out, hex, 33);
  const int32_t ids[] = {0, (int32_t)s->valid - 1};
  isc_status st = isc_tokenizer_decode(s->target.ops->tokenizer(s->target.self), ids, 2, &text);
  if (st == ISC_OK) isc_sb_addn(out, text.data ? text.data : "", text.len);
  isc_text_free(&text);
  return st;
}

static isc_status use_target(isc_conform *c, void *instance, uint64_t seed, isc_sb *out) {
  (void)c;
  ISC_TRY(use_passes(instance, seed, out));
  return use_descriptions(instance, out);
}

const isc_exercise isc_exercise_target = {
    .open = open_target, .close = close_target, .use = use_target, .seeded = true};
