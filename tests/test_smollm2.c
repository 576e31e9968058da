/* SPDX-License-Identifier: Apache-2.0
 *
 * A published model, opened from its GGUF file and held against what transformers computes of the same weights.
 *
 * INVERSESCOPE_SMOLLM2 names SmolLM2-135M-Instruct.Q4_1.gguf; the expected numbers are those of tests/golden/smollm2.py.
 */
#include "support.h"
#include "support_backend.h"
#include "support_target.h"
#include "model/generate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char PROMPT[] = "Water boils at 100 degrees Celsius because";
static const int32_t GREEDY[] = {357, 314, 253, 5553, 30,   198,  198, 504, 16891, 1225,
                                 282, 913, 314, 253,  4959, 3501, 282, 511, 2631,  28};
static const char TEXT[] =
    " it is a liquid.\n\nThe boiling point of water is a fundamental property of all matter,";
static const char PARAGRAPH[] =
    "The river rises in the hills above the town and runs for eighty miles to the sea. In winter "
    "it "
    "floods the low fields, and the farmers move their sheep to higher ground; by June it is "
    "shallow "
    "enough to wade. There were 12 mills on its banks in 1850, and today there are none.";
enum { TOKENS = sizeof GREEDY / sizeof *GREEDY, PARAGRAPH_TOKENS = 68 };

typedef struct fixture {
  isc_device *dev;
  isc_test_gpt2 open;
  isc_step *s;
} fixture;

static fixture setup(void) {
  fixture f = {0};
  const char *path = getenv("INVERSESCOPE_SMOLLM2");
  if (!path || !*path)
    cr_skip_test("SKIPPED: needs SmolLM2-135M-Instruct.Q4_1.gguf (set INVERSESCOPE_SMOLLM2)");
  f.dev = isc_test_cpu_device();
  if (!f.dev) cr_skip_test("SKIPPED: needs the cpu backend in the build tree: %s", isc_error());
  isc_assert_ok(isc_test_plugin_try(f.dev, "llama", path, "", &f.open));
  isc_assert_ok(isc_step_new(f.dev, &f.s));
  return f;
}

static void teardown(fixture *f) {
  isc_step_free(f->s);
  isc_test_gpt2_close(&f->open);
  isc_device_close(f->dev);
}

/* The two likeliest tokens are nowhere closer than 0.01 in their logits, which f32 gives to about 1e-3. */
static isc_status check_text(void *user, const isc_generated *g) {
  *(bool *)user = true;
  cr_assert_eq(g->n, TOKENS);
  cr_assert_arr_eq(g->ids, GREEDY, sizeof GREEDY);
  cr_assert_str_eq(g->text, TEXT);
  cr_assert_eq(g->end, ISC_END_LENGTH);
  return ISC_OK;
}

Test(smollm2, writes_what_transformers_writes, .timeout = 600) {
  fixture f = setup();
  const char *const text = PROMPT;
  const size_t len = strlen(PROMPT);
  bool delivered = false;
  const isc_generation q = {.target = &f.open.target,
                            .text = &text,
                            .len = &len,
                            .n = 1,
                            .samples = 1,
                            .max_tokens = TOKENS,
                            .batch = 1,
                            .top_p = 1,
                            .user = &delivered,
                            .deliver = check_text};
  isc_assert_ok(isc_generate(&q, f.s));
  cr_assert(delivered);
  teardown(&f);
}

/* In f32, where transformers computed in f64: 30 layers leave about 1e-5 in the logits' size of 20, for each of 67 tokens in either
 * direction; 5e-5 was measured of the sum. */
static isc_status check_score(void *user, const isc_scored *g) {
  *(bool *)user = true;
  cr_log_info("log P %.6f", g->total);
  cr_assert_eq(g->n, PARAGRAPH_TOKENS);
  cr_assert_float_eq(g->total, -216.636819, 5e-3);
  cr_assert_float_eq(exp(-g->total / (PARAGRAPH_TOKENS - 1)), 25.365383, 2e-3);
  return ISC_OK;
}

Test(smollm2, finds_a_text_as_likely_as_transformers_does, .timeout = 600) {
  fixture f = setup();
  const char *const text = PARAGRAPH;
  const size_t len = strlen(PARAGRAPH);
  bool delivered = false;
  const isc_scoring q = {.target = &f.open.target,
                         .text = &text,
                         .len = &len,
                         .n = 1,
                         .batch = 1,
                         .user = &delivered,
                         .deliver = check_score};
  isc_assert_ok(isc_score_texts(&q, f.s));
  cr_assert(delivered);
  teardown(&f);
}
