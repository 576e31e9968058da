/* SPDX-License-Identifier: Apache-2.0
 *
 * A target made of a decoder in memory, for what the core does with targets; and the real plugin's opening.
 */
#include "support_target.h"
#include "support.h"
#include "support_backend.h"
#include "support_decoder.h"
#include "plugin/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct self {
  isc_decoder *decoder;
  isc_tokenizer *tokenizer;
} self;

static const isc_tokenizer *tokenizer(void *p) {
  return ((self *)p)->tokenizer;
}

static isc_status forward(void *p, isc_step *s, const isc_decoder_input *in, const isc_taps *taps,
                          isc_tensor **hidden) {
  return isc_decoder_forward(((self *)p)->decoder, s, in, taps, hidden);
}

static isc_status logits(void *p, isc_step *s, isc_tensor *hidden, isc_tensor **out) {
  return isc_decoder_logits(((self *)p)->decoder, s, hidden, out);
}

static isc_status head_map(void *p, int64_t layer, int64_t head, float *out) {
  return isc_decoder_head_map(((self *)p)->decoder, layer, head, out);
}

static const isc_target_ops OPS = {.size = sizeof OPS,
                                   .tokenizer = tokenizer,
                                   .forward = forward,
                                   .logits = logits,
                                   .head_map = head_map};

static isc_tokenizer *seventeen_words(void) {
  static char word[16][8];
  const char *list[17];
  isc_tokenizer *t;
  for (int i = 0; i < 16; i++) {
    snprintf(word[i], sizeof word[i], "w%d", i);
    list[i] = word[i];
  }
  list[16] = "<eos>";
  isc_assert_ok(isc_tokenizer_from_words(list, 17, "<eos>", &t));
  return t;
}

isc_test_target isc_test_target_new(isc_device *dev) {
  isc_decoder_spec spec = isc_test_spec();
  static isc_device plain; /* the decoder keeps its address */
  isc_test_target t = {0};
  self *p = calloc(1, sizeof *p);
  if (dev) p->tokenizer = t.tokenizer = seventeen_words();
  plain = isc_test_plain_device();
  if (!dev) dev = &plain;
  p->decoder = t.decoder = isc_test_decoder(dev, &spec, 51);
  t.target = (isc_target){.ops = &OPS, .self = p};
  t.target.info = (isc_target_info){.size = sizeof t.target.info,
                                    .n_layer = 3,
                                    .n_head = 2,
                                    .d_model = 12,
                                    .d_head = 6,
                                    .n_ctx = 9,
                                    .vocab = 17};
  return t;
}

void isc_test_target_free(isc_test_target *t) {
  isc_decoder_free(t->decoder);
  if (t->tokenizer) isc_tokenizer_close(t->tokenizer);
  free(t->target.self);
}

isc_status isc_test_gpt2_try(isc_device *dev, const char *dir, const char *more,
                             isc_test_gpt2 *out) {
  return isc_test_plugin_try(dev, "gpt2", dir, more, out);
}

isc_status isc_test_plugin_try(isc_device *dev, const char *plugin, const char *dir,
                               const char *more, isc_test_gpt2 *out) {
  const isc_class *cls;
  char text[2048];
  *out = (isc_test_gpt2){0};
  snprintf(text, sizeof text, "target = { plugin = \"%s\"; path = \"%s\"; %s };", plugin, dir,
           more);
  ISC_TRY(isc_registry_search_path(NULL, 0));
  ISC_TRY(isc_config_parse(text, strlen(text), "test.cfg", "/", &out->config));
  ISC_TRY(isc_config_plugin(out->config, "target", ISC_TARGET, NULL, NULL, &cls, &out->conf));
  return isc_target_open(cls, out->conf, dev, &out->target);
}

const char *isc_test_family_tokenizer(void) {
  static char words[ISC_TEST_FAMILY_VOCAB][8];
  const char *list[ISC_TEST_FAMILY_VOCAB], *dir = isc_test_dir("families-tokenizer");
  isc_tokenizer *t;
  for (int i = 0; i < ISC_TEST_FAMILY_VOCAB; i++) {
    snprintf(words[i], sizeof words[i], "t%d", i);
    list[i] = words[i];
  }
  list[1] = "<eos>";
  isc_assert_ok(isc_tokenizer_from_words(list, ISC_TEST_FAMILY_VOCAB, list[1], &t));
  isc_assert_ok(isc_tokenizer_save(t, dir));
  isc_tokenizer_close(t);
  return dir;
}

isc_status isc_test_family_try(isc_device *dev, const char *plugin, const char *name,
                               const char *more, isc_test_gpt2 *out) {
  char dir[1024], settings[1200];
  snprintf(dir, sizeof dir, "%s/%s", isc_test_source("tests/data/families"), name);
  snprintf(settings, sizeof settings, "tokenizer = \"%s\"; %s", isc_test_family_tokenizer(), more);
  return isc_test_plugin_try(dev, plugin, dir, settings, out);
}

isc_test_gpt2 isc_test_gpt2_open(isc_device *dev, const char *dir, const char *more) {
  isc_test_gpt2 o;
  isc_assert_ok(isc_test_gpt2_try(dev, dir, more, &o));
  return o;
}

void isc_test_gpt2_close(isc_test_gpt2 *o) {
  isc_target_close(&o->target);
  isc_config_free(o->config);
  free(o->conf);
}
