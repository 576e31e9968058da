/* SPDX-License-Identifier: Apache-2.0
 *
 * The shapes that are timed, and how many floating-point operations each stage needs in them.
 *
 * Counted is what the mathematics needs, with the savings that cost nothing (collapsed scores, no weight gradients of
 * frozen layers, no work behind the last site, no padding): what an implementation does beyond that lowers its share.
 * Norms, activations, softmax and AdamW are not counted.
 */
#include "bench.h"

const bench_shape bench_shapes[] = {
    {.name = "gpt2-small",
     .layers = 12,
     .heads = 12,
     .width = 768,
     .mlp = 3072,
     .vocab = 50257,
     .prompts = 64,
     .tokens = 24,
     .batch = 64,
     .len = 24,
     .control_batch = 64,
     .control_heads = 32,
     .control_dim = 64,
     .score_scale = 1,
     .rows = 16,
     .samples = 16,
     .draws = 20,
     .gemm = 1,
     .sites = {"head.*.*"}},
    {.name = "ioi-tiny",
     .layers = 2,
     .heads = 4,
     .width = 64,
     .mlp = 256,
     .vocab = 47,
     .prompts = 512,
     .tokens = 17,
     .batch = 128,
     .len = 17,
     .control_batch = 256,
     .control_heads = 16,
     .control_dim = 16,
     .score_scale = 0.1,
     .rows = 64,
     .samples = 16,
     .draws = 17,
     .gemm = 1,
     .sites = {"head.*.*"}},
    {.name = "llama-1b",
     .layers = 16,
     .heads = 32,
     .width = 2048,
     .mlp = 8192,
     .vocab = 8192,
     .prompts = 16,
     .tokens = 24,
     .gemm = 2,
     .family = BENCH_LLAMA,
     .kv_heads = 8,
     .sites = {"resid_post.3", "resid_post.7", "resid_post.11", "resid_post.15"}},
    {.name = "gemma2-2b",
     .layers = 26,
     .heads = 8,
     .width = 2304,
     .mlp = 9216,
     .vocab = 8192,
     .prompts = 16,
     .tokens = 24,
     .gemm = 2,
     .family = BENCH_GEMMA2,
     .kv_heads = 4,
     .head_dim = 256,
     .window = 4096,
     .sites = {"resid_post.3", "head.9.*", "resid_post.9", "resid_post.15", "head.21.*",
               "resid_post.21", "resid_post.25"}},
    {.name = "smoke-llama",
     .layers = 4,
     .heads = 4,
     .width = 24,
     .mlp = 40,
     .vocab = 19,
     .prompts = 6,
     .tokens = 7,
     .gemm = 12,
     .family = BENCH_LLAMA,
     .kv_heads = 2,
     .sites = {"resid_post.3"}},
    {.name = "smoke-gemma2",
     .layers = 4,
     .heads = 4,
     .width = 24,
     .mlp = 40,
     .vocab = 19,
     .prompts = 6,
     .tokens = 7,
     .gemm = 12,
     .family = BENCH_GEMMA2,
     .kv_heads = 2,
     .head_dim = 8,
     .window = 4,
     .sites = {"resid_post.1", "head.2.*", "resid_post.3"}},
    {.name = "smoke",
     .layers = 2,
     .heads = 2,
     .width = 24,
     .mlp = 40,
     .vocab = 19,
     .prompts = 6,
     .tokens = 7,
     .batch = 5,
     .len = 6,
     .control_batch = 7,
     .control_heads = 3,
     .control_dim = 4,
     .score_scale = 1,
     .rows = 3,
     .samples = 2,
     .draws = 5,
     .gemm = 12,
     .sites = {"head.*.*"}},
    {0}};

/* One position through a block's matrices. */
static double block(const bench_shape *s) {
  return 2.0 * (double)s->width * (4.0 * (double)s->width + 2.0 * (double)s->mlp);
}

static double mlp(const bench_shape *s) {
  return 4.0 * (double)s->width * (double)s->mlp;
}

/* Scores and mixture of one layer over n positions: position t sees t + 1. */
static double attention(const bench_shape *s, int64_t n) {
  return 2.0 * (double)s->width * (double)n * (double)(n + 1);
}

static double head(const bench_shape *s) {
  return 2.0 * (double)s->width * (double)s->vocab;
}

/* One position's scores against, and sum over, the values of one control layer. */
static double control(const bench_shape *s) {
  return 4.0 * (double)s->control_heads * (double)s->width;
}

static double site_projection(const bench_shape *s) {
  return 2.0 * (double)s->width * (double)s->width;
}

/* Keys, what they are to a layer-normed position, and values of one condition in one layer. */
static double condition(const bench_shape *s, isc_control_value value) {
  double d = (double)s->width, narrow = (double)s->control_heads * (double)s->control_dim;
  double keys = 2 * d * narrow + 2 * narrow * d + 2 * narrow;
  return keys + (value == ISC_VALUE_FULL ? 2 * d * (double)s->control_heads * d : 4 * d * narrow);
}

int64_t bench_head_dim(const bench_shape *s) {
  return s->head_dim ? s->head_dim : s->width / s->heads;
}

int64_t bench_context(const bench_shape *s) {
  return 2 * (s->len > s->tokens ? s->len : s->tokens);
}

void bench_shape_resize(bench_shape *s, int64_t batch) {
  s->prompts = s->batch = s->control_batch = batch;
  if (s->samples > 0) s->rows = (batch + s->samples - 1) / s->samples;
}

bool bench_harvest_only(const bench_shape *s) {
  return s->family != BENCH_GPT2;
}

int64_t bench_words(const bench_shape *s, int64_t i) {
  return s->least > 0 ? s->least + i % (s->tokens - s->least + 1) : s->tokens;
}

/* One text of n positions: of the last layer its heads, or the rest of it for the last position alone. */
static double harvest_of(const bench_shape *s, double n) {
  const bool gpt2 = s->family == BENCH_GPT2; /* whose last sites are heads */
  const double layers = (double)s->layers, d = (double)s->width;
  const double heads = (double)(s->heads * bench_head_dim(s));
  const double kv = (double)((s->kv_heads ? s->kv_heads : s->heads) * bench_head_dim(s));
  const double qkv = 2 * d * (heads + 2 * kv);
  const double rest = 2 * heads * d + 2 * (gpt2 ? 2 : 3) * d * (double)s->mlp;
  return (layers - 1) * n * (qkv + rest) + n * qkv + (gpt2 ? 0 : rest) +
         (layers - 1) * 2 * heads * n * (n + 1) + 4 * heads * n;
}

double bench_flops_harvest(const bench_shape *s) {
  double sum = 0;
  for (int64_t i = 0; i < s->prompts; i++)
    sum += harvest_of(s, (double)bench_words(s, i));
  return sum / (double)s->prompts;
}

/* The gradients of a product are two more like it. */
double bench_flops_backbone(const bench_shape *s) {
  double layers = (double)s->layers;
  return 3 * (layers * (block(s) + attention(s, s->len) / (double)s->len) + head(s));
}

/* Backwards through the frozen backbone only its inputs, and not beyond the first layer's control. */
double bench_flops_control(const bench_shape *s, isc_control_value value) {
  double layers = (double)s->layers, n = (double)s->len, d = (double)s->width;
  double forward = n * (layers * block(s) + head(s)) + layers * attention(s, s->len);
  double back =
      n * ((layers - 1) * block(s) + mlp(s) + head(s)) + 2 * (layers - 1) * attention(s, s->len);
  double noise = 2 * d * d / (double)s->heads; /* a head's factor to the residual stream */
  return forward + back + 3 * layers * (n * control(s) + condition(s, value)) +
         2 * site_projection(s) + noise;
}

double bench_flops_unsteered(const bench_shape *s) {
  const double layers = (double)s->layers, n = (double)s->draws;
  return n * (layers * block(s) + head(s)) + layers * attention(s, s->draws);
}

double bench_flops_sample(const bench_shape *s, isc_control_value value, int64_t samples) {
  const double layers = (double)s->layers;
  return bench_flops_unsteered(s) + (double)s->draws * layers * control(s) +
         (layers * condition(s, value) + site_projection(s)) / (double)samples;
}
