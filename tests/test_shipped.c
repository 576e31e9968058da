/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about what is shipped: each config opens, its target is small and right on inputs it never saw.
 *
 * The right answer comes from the prior (the name that occurs once, the sum, the count), not from the model.
 */
#include "support.h"

#include "method/inversescope.h"
#include "run/study.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ASKED = 512, BATCH = 64, LONGEST = 64 };

static isc_study *open_study(const char *config) {
  const isc_config_source source = {.path = isc_test_source(config)};
  isc_study *s = NULL;
  isc_assert_ok(isc_study_open(&source, isc_test_dir("shipped"), &s));
  return s;
}

/* Tokens of input i followed by those of its answer; returns where the answer begins. */
static int64_t sequence(const isc_study *s, int64_t i, int32_t ids[LONGEST], int64_t *len) {
  const isc_tokenizer *tok = s->target.ops->tokenizer(s->target.self);
  isc_text x = {0}, answer = {0};
  int64_t text = 0, more = 0;
  isc_assert_ok(isc_study_text(s, ISC_TEST, i, &x));
  isc_assert_ok(s->prior.ops->answer(s->prior.self, x.data, x.len, &answer));
  cr_assert(answer.len > 0);
  isc_assert_ok(isc_tokenizer_encode(tok, x.data, x.len, ids, LONGEST, &text));
  isc_assert_ok(
      isc_tokenizer_encode_plain(tok, answer.data, answer.len, ids + text, LONGEST - text, &more));
  *len = text + more;
  isc_text_free(&x);
  isc_text_free(&answer);
  return text;
}

static int64_t argmax(const float *x, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; i++)
    if (x[i] > x[best]) best = i;
  return best;
}

/* Is every token of the answer the most likely one where it stands? */
static bool is_right(isc_study *s, int64_t i) {
  int32_t ids[LONGEST];
  int64_t len = 0;
  const int64_t from = sequence(s, i, ids, &len), vocab = s->target.info.vocab;
  const isc_decoder_input in = {.size = sizeof in, .batch = 1, .len = len, .ids = ids};
  isc_tensor *hidden = NULL, *logits = NULL;
  float *host = malloc((size_t)(len * vocab) * sizeof *host);
  isc_step_reset(s->step);
  isc_assert_ok(s->target.ops->forward(s->target.self, s->step, &in, NULL, &hidden));
  isc_assert_ok(s->target.ops->logits(s->target.self, s->step, hidden, &logits));
  isc_assert_ok(isc_tensor_download(s->step, logits, host));
  bool right = true;
  for (int64_t t = from; t < len; t++)
    right = right && argmax(host + (t - 1) * vocab, vocab) == ids[t];
  free(host);
  return right;
}

static double accuracy(isc_study *s) {
  int64_t right = 0;
  for (int64_t i = 0; i < ASKED; i++)
    right += is_right(s, i);
  return (double)right / ASKED;
}

static int64_t file_size(const char *rel) {
  struct stat sb;
  cr_assert(stat(isc_test_source(rel), &sb) == 0, "%s is missing", rel);
  return (int64_t)sb.st_size;
}

Test(shipped, ioi_tiny_is_right_and_small) {
  isc_study *s = open_study("conf/ioi-tiny.cfg");
  const double share = accuracy(s);
  cr_assert(share > 0.99, "right on %.3f of held-out prompts", share);
  cr_assert(file_size("conf/models/ioi-tiny/model.safetensors") < 3 << 20);
  cr_assert_eq(s->sites.n, s->target.info.n_layer * s->target.info.n_head, "all heads are studied");
  cr_assert(s->prior.ops->support(s->prior.self) >= 20000);
  isc_study_close(s);
}

Test(shipped, addition_is_right_and_small) {
  isc_study *s = open_study("conf/addition.cfg");
  const double share = accuracy(s);
  cr_assert(share > 0.99, "right on %.3f of held-out sums", share);
  cr_assert(file_size("conf/models/addition/model.safetensors") < 3 << 20);
  isc_study_close(s);
}

Test(shipped, counting_is_right_small_and_enumerable) {
  isc_study *s = open_study("conf/counting.cfg");
  const double share = accuracy(s);
  cr_assert(share > 0.99, "right on %.3f of held-out texts", share);
  cr_assert(file_size("conf/models/counting/model.safetensors") < 3 << 20);
  cr_assert(s->prior.ops->support(s->prior.self) <= s->evaluate.max_support);
  isc_study_close(s);
}

Test(shipped, addition_config_takes_another_model_of_the_task) {
  ISC_NEED_SHARED(model, "data/models/addition");
  char set[1200];
  snprintf(set, sizeof set, "target.path=%s", model);
  const char *const overrides[] = {set};
  const isc_config_source source = {
      .path = isc_test_source("conf/addition.cfg"), .overrides = overrides, .n_overrides = 1};
  isc_study *s = NULL;
  isc_assert_ok(isc_study_open(&source, isc_test_dir("shipped"), &s));
  cr_assert_eq(s->sites.n, 8);
  const double share = accuracy(s);
  cr_assert(share > 0.95, "its README says 98 %% exact; right on %.3f", share);
  isc_study_close(s);
}

/* Its two models are the user's; any will do to read the rest. */
Test(shipped, the_papers_config_has_the_papers_settings) {
  char target[1200], backbone[1200];
  snprintf(target, sizeof target, "target.path=\"%s\"", isc_test_source("conf/models/ioi-tiny"));
  snprintf(backbone, sizeof backbone, "method.backbone.path=\"%s\"",
           isc_test_source("conf/models/ioi-tiny"));
  const char *const set[] = {target, backbone};
  const isc_config_source source = {
      .path = isc_test_source("conf/ioi-gpt2.cfg"), .overrides = set, .n_overrides = 2};
  isc_study *s;
  isc_assert_ok(isc_study_read(&source, isc_test_dir("shipped"), &s));
  const isc_inversescope_conf *c = s->method[0].conf;
  cr_assert(s->n_train == 100000 && s->n_test == 5000 && s->n_conditions == 5000);
  cr_assert(c->backbone.recipe.lr == 1e-5 && c->control.recipe.lr == 1e-5);
  cr_assert_eq(c->control.recipe.warmup, 1000);
  cr_assert(c->control.heads == 32 && c->control.head_dim == 64 && c->control.score_scale == 1);
  cr_assert(c->control.value == ISC_VALUE_FULL && c->control.normalise == ISC_CONDITION_NONE &&
            c->control.noise == ISC_NOISE_KERNEL && c->control.blocks == 0);
  void *kernel = NULL;
  const isc_kernel_ops *k = s->kernel_class->ops;
  isc_assert_ok(k->open(s->kernel_conf, 768, &kernel));
  cr_assert(k->epsilon(kernel) == 0.1 && k->band(kernel) == 0.1);
  cr_assert(k->profile(kernel, 0.999) == 1 && k->profile(kernel, 1.001) == 0);
  k->close(kernel);
  cr_assert_eq(s->n_methods, 2);
  cr_assert_str_eq(s->method[1].cls->name, "inversionview");
  isc_study_close(s);
}
