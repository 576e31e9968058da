/* SPDX-License-Identifier: Apache-2.0
 *
 * What a GGUF file says of rotary positions, and what is refused of it by name.
 *
 * tests/test_families holds the numbers of whole models against another implementation; here are the files that must not open.
 */
#include "support.h"
#include "support_backend.h"
#include "support_gguf.h"
#include "support_target.h"
#include "base/base.h"
#include "model/family.h"
#include <math.h>
#include <stdlib.h>

static const char *fresh(const void *bytes_, size_t n) {
  static char path[1200];
  snprintf(path, sizeof path, "%s/model.gguf", isc_test_dir("family-gguf"));
  isc_assert_ok(isc_write_file(path, bytes_, n));
  return path;
}

static void cannot_open(const char *path, isc_status code, const char *part) {
  isc_device dev = isc_test_plain_device();
  isc_test_gpt2 o;
  isc_assert_fails(isc_test_plugin_try(&dev, "llama", path, "", &o), code, part);
  isc_test_gpt2_close(&o);
}

/* ---- a model whose frequencies are divided one by one */

/* tests/data/families/llama3/llama3.gguf with n bytes at `skip` behind the first `mark` replaced. */
static const char *llama3_with(const char *mark, size_t skip, const void *by, size_t n) {
  char *data, *at;
  size_t len;
  isc_assert_ok(isc_read_file(isc_test_source("tests/data/families/llama3/llama3.gguf"), 1 << 20,
                              &data, &len));
  at = memmem(data, len, mark, strlen(mark));
  cr_assert(at && at + skip + n <= data + len, "%s", mark);
  memcpy(at + skip, by, n);
  const char *path = fresh(data, len);
  free(data);
  return path;
}

enum { NAME = sizeof "rope_freqs.weight" - 1, DIMENSION = NAME + 4 };

Test(family_gguf, as_many_factors_as_pairs_are_wanted) {
  cannot_open(
      llama3_with("rope_freqs.weight", DIMENSION, &(uint64_t){2}, 8), ISC_E_SHAPE,
      "\"rope_freqs.weight\" has 2 elements in 1 dimensions, not one for each of the 3 pairs");
}

Test(family_gguf, factors_are_above_zero) {
  static const float wrong[] = {0, -1, INFINITY, NAN};
  const float first = 1.7359412f; /* as tests/golden/gguf_models.py made it */
  char mark[5] = "";
  memcpy(mark, &first, sizeof first);
  for (int i = 0; i < 4; i++)
    cannot_open(llama3_with(mark, 0, &wrong[i], 4), ISC_E_SHAPE, "rope_factors[0] is");
}

Test(family_gguf, factors_by_the_texts_length_are_refused) {
  cannot_open(llama3_with("blk.0.attn_output.weight", 0, "rope_factors_long.weight", 24),
              ISC_E_UNSUPPORTED, "\"rope_factors_long.weight\"");
}

/* ---- metadata alone */

typedef struct setting {
  const char *key;
  float value;
  const char *word; /* in place of the number */
  uint32_t count;   /* the same */
} setting;

static void setting_of(bytes *b, const setting *s) {
  text(b, s->key);
  u32(b, s->word ? ISC_GGUF_STRING : s->count ? ISC_GGUF_U32 : ISC_GGUF_F32);
  if (s->word)
    text(b, s->word);
  else if (s->count)
    u32(b, s->count);
  else
    raw(b, &s->value, sizeof s->value);
}

/* A llama of 2 heads of width 8 and no tensors. */
static const char *metadata(const setting *more, uint64_t n) {
  static bytes b;
  b = start(0, 7 + n);
  text(&b, "general.architecture"), u32(&b, ISC_GGUF_STRING), text(&b, "llama");
  pair_u32(&b, "llama.block_count", 1);
  pair_u32(&b, "llama.attention.head_count", 2);
  pair_u32(&b, "llama.embedding_length", 16);
  pair_u32(&b, "llama.context_length", 64);
  pair_u32(&b, "llama.feed_forward_length", 8);
  pair_u32(&b, "llama.vocab_size", 5);
  for (uint64_t i = 0; i < n; i++)
    setting_of(&b, &more[i]);
  return fresh(b.at, b.n);
}

Test(family_gguf, settings_that_no_config_has_must_be_neutral) {
  static const setting wrong[] = {{.key = "llama.rope.scaling.yarn_log_multiplier", .value = 0.1f},
                                  {.key = "llama.rope.scaling.yarn_attn_factor", .value = 1.2f},
                                  {.key = "llama.rope.scaling.yarn_ext_factor", .value = 0},
                                  {.key = "llama.rope.scaling.attn_factor", .value = 2},
                                  {.key = "llama.rope.scaling.alpha", .value = 1000},
                                  {.key = "llama.rope.scale_linear", .value = 0.25f}},
                       neutral[] = {{.key = "llama.rope.scaling.attn_factor", .value = 1},
                                    {.key = "llama.rope.scaling.alpha", .value = 0}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    cannot_open(metadata(&wrong[i], 1), ISC_E_UNSUPPORTED, wrong[i].key);
  cannot_open(metadata(neutral, 2), ISC_E_MISSING, "token_embd.weight");
}

Test(family_gguf, other_ways_to_scale_are_refused_by_name) {
  const setting how[] = {{.key = "llama.rope.scaling.type", .word = "longrope"},
                         {.key = "llama.rope.scaling.type", .word = "yarn"},
                         {.key = "llama.rope.scaling.factor", .value = 0}};
  cannot_open(metadata(how, 1), ISC_E_UNSUPPORTED, "rope_type \"longrope\"");
  cannot_open(metadata(how + 1, 2), ISC_E_FORMAT, "\"factor\"");
  cannot_open(metadata(how + 1, 1), ISC_E_MISSING, "token_embd.weight"); /* its factor is 1 */
}

Test(family_gguf, heads_are_turned_whole) {
  const setting some = {.key = "llama.rope.dimension_count", .count = 4},
                all = {.key = "llama.rope.dimension_count", .count = 8};
  cannot_open(metadata(&some, 1), ISC_E_UNSUPPORTED, "partial_rotary_factor is 0.5");
  cannot_open(metadata(&all, 1), ISC_E_MISSING, "token_embd.weight");
}
