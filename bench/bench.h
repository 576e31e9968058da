/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the benchmark share: the shape of a study, the study made of random numbers in that shape, and how a
 * stage is timed.
 */
#ifndef ISC_BENCH_H
#define ISC_BENCH_H

#include "method/control.h"
#include "model/sites.h"
#include <inversescope/method.h>

/* ---- shapes */
/* What a decoder is like. GPT-2's have every stage; of the others, whose matrices have no biases, there is a harvest only. */
typedef enum bench_family { BENCH_GPT2, BENCH_LLAMA, BENCH_GEMMA2 } bench_family;

enum { BENCH_SITES = 8 };

typedef struct bench_shape {
  const char *name;
  int64_t layers, heads, width, mlp, vocab;
  int64_t prompts, tokens; /* of a harvest                                       */
  int64_t batch, len;      /* of a backbone step: sequences, positions of each   */
  int64_t control_batch, control_heads, control_dim;
  double score_scale;
  int64_t rows, samples, draws; /* of a sampling: conditions, texts of each, tokens of a text */
  int64_t gemm; /* divides the sizes of the products that the rest is held against */
  bench_family family;
  int64_t kv_heads;               /* 0 = heads                                          */
  int64_t head_dim;               /* 0 = width / heads                                  */
  int64_t window;                 /* of every second layer; 0 = none                    */
  const char *sites[BENCH_SITES]; /* patterns, as in a study's settings; NULL at the end */
  /* As asked for: */
  int64_t
      least; /* texts of a harvest have `least` to `tokens` words, each length as often; 0 = all `tokens` */
  isc_dtype precision; /* of the weights of a harvest, and of products in training and sampling */
} bench_shape;

extern const bench_shape bench_shapes[]; /* ends with a NULL name */
int64_t bench_head_dim(const bench_shape *s);
int64_t bench_context(const bench_shape *s); /* positions of its decoder */
/* The same with `batch` prompts, sequences, examples and texts in a lap; texts are whole conditions' samples. */
void bench_shape_resize(bench_shape *s, int64_t batch);

/* ---- floating-point operations of one unit of work; a multiplication with its addition is two */
double bench_flops_harvest(const bench_shape *s);  /* a prompt: to the last site */
double bench_flops_backbone(const bench_shape *s); /* a token                             */
double bench_flops_control(const bench_shape *s, isc_control_value value); /* an example */
double bench_flops_sample(const bench_shape *s, isc_control_value value,
                          int64_t samples);         /* a text */
double bench_flops_unsteered(const bench_shape *s); /* a text of the backbone alone */

/* ---- the study */
typedef struct bench_study {
  const bench_shape *shape;
  isc_device *device;
  isc_tokenizer *tokenizer; /* the words "w0", "w1", …, then the end of text          */
  isc_decoder *decoder;     /* random weights, frozen; the target, and the backbone   */
  isc_target target;
  isc_site_set sites; /* every head                                             */
  isc_kernel kernel;  /* cosine-band, hard, ε = δ = 0.1                          */
  const isc_kernel **kernels;
  isc_method_env env; /* texts and activations by their index, from Philox      */
  char dir[64];       /* a fresh directory                                      */
} bench_study;

isc_status bench_study_open(const bench_shape *shape, isc_device *dev, bench_study *out);
void bench_study_close(bench_study *b);
/* A decoder with random weights that never ends a text. */
isc_status bench_decoder(const bench_study *b, isc_dtype weights, isc_decoder **out);
/* Text i of `words` words. */
isc_status bench_text(const bench_study *b, int64_t i, int64_t words, isc_text *out);

/* ---- time */
enum { BENCH_LAPS = 1000, BENCH_PRODUCTS = 4000 };

/* The machine's rate: a large product through the backend, timed again and again between the laps of a stage, because
 * the rest of the machine does not keep still. */
typedef struct bench_gemm {
  isc_device *device;
  isc_gemm product;
  int64_t in, out; /* of w */
  bool gradient;   /* is the product a weight's gradient? */
  float *x, *w, *y;
  int64_t n;
  double last; /* when a product was timed last */
  double wall[BENCH_PRODUCTS], core[BENCH_PRODUCTS];
} bench_gemm;

isc_status bench_gemm_open(isc_device *dev, int64_t divide, bench_gemm *out);
void bench_gemm_close(bench_gemm *g);
double bench_gemm_flops(const bench_gemm *g);
isc_status bench_gemm_time(bench_gemm *g);

double bench_core_seconds(void); /* of this process so far */

/* Where the time goes: a device that counts what each operation of another costs. */
enum { BENCH_OPS = 40 };
typedef struct bench_op {
  const char *name;
  int64_t calls;
  double seconds, flops; /* processor seconds */
} bench_op;
typedef struct bench_account bench_account;
isc_status bench_account_new(const isc_device *inner, bench_account **out);
void bench_account_free(bench_account *a);
isc_device *bench_account_device(bench_account *a);
void bench_account_clear(bench_account *a);
/* The operations that were used, the dearest first. What the counting itself cost is taken off them, and off *total. */
int64_t bench_account_read(const bench_account *a, bench_op out[BENCH_OPS], double *total);

typedef struct bench_limits {
  int64_t repeat; /* laps that count, at most           */
  int64_t group;  /* steps, harvests or samplings of a lap, whose time is divided by it */
  double seconds; /* of laps, unless they are fewer than 2 */
  bool
      paced; /* a lap begins with a line on stdin and ends with one on stdout: its wall and processor seconds */
} bench_limits;

typedef struct bench_timer {
  bench_gemm *gemm;
  bench_limits limits;
  bench_account *account; /* cleared before the first lap that counts; or NULL */
  int64_t skip;           /* laps that do not count, before those that do */
  int64_t n;
  int64_t inside; /* of the lap's group so far */
  double wall_at, core_at, spent;
  int64_t parameters; /* that a training moves; 0 = none         */
  double loss;        /* of a training's first step; NaN = none */
  double wall[BENCH_LAPS], core[BENCH_LAPS];
} bench_timer;

isc_status bench_timer_start(bench_timer *t, bench_gemm *g, const bench_limits *limits,
                             int64_t skip);
/* A lap ends and the next one begins, unless its group goes on; *enough = no more are wanted. */
isc_status bench_timer_lap(bench_timer *t, bool *enough);
double bench_median(const double *x, int64_t n);
double bench_least(const double *x, int64_t n);

/* ---- stages */
typedef struct bench_result {
  const char *stage, *unit;
  double units; /* in a lap */
  double flops; /* in a unit */
  int64_t warm; /* laps before those that count, in which memory is had for the first time */
} bench_result;

/* Product `k` alone: its result without running it; false beyond the last. */
bool bench_product(const bench_gemm *g, int64_t k, bench_result *out);
isc_status bench_product_run(bench_gemm *g, int64_t k, bench_timer *t);

/* Stage `k`: its result without running it; NULL beyond the last. */
bool bench_stage(const bench_shape *s, int64_t k, bench_result *out);
/* Is there nothing but a harvest in this shape? */
bool bench_harvest_only(const bench_shape *s);
/* Words of the harvest's text i. */
int64_t bench_words(const bench_shape *s, int64_t i);
isc_status bench_stage_run(bench_study *b, int64_t k, bench_timer *t);

/* ---- the command line */
typedef struct bench_options {
  const char *shape, *stage; /* NULL = all */
  const char *device, *settings;
  bench_limits limits;
  int64_t threads, least, batch; /* 0 = as it is */
  isc_dtype precision;
  bool json, ops, describe, help;
} bench_options;

extern const char BENCH_HELP[];
isc_status bench_options_parse(int argc, char **argv, bench_options *o);
/* The shape as it was asked for. */
isc_status bench_options_apply(const bench_options *o, bench_shape *s);
/* The shape and its stages, with the operations of a unit, as a JSON object. */
isc_status bench_describe(const bench_shape *s);

#endif
