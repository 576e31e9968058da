/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_ops: how long each operation of a backend takes at the shapes of a GPT-2-small study.
 *
 * ops_pytorch.py prints the same lines for PyTorch on the same machine. Times are medians of runs of calls with one wait for
 * the device at the end of a run, so that what the host does besides is hidden as in a study.
 */
#include "base/base.h"
#include "plugin/registry.h"
#include <inversescope/rng.h>
#include <inversescope/tensor.h>
#include <stdlib.h>
#include <string.h>

static const char HELP[] =
    "usage: bench_ops [--device NAME] [--only TEXT] [--small] [--seconds S]\n\n"
    "Times the operations of a backend at the shapes of a GPT-2-small study: a batch of 64 texts "
    "of 24\n"
    "tokens. The last column is the rate: GFLOP/s where an operation multiplies, else GB/s of "
    "memory.\n\n"
    "  --device NAME  the backend (default auto)\n"
    "  --only TEXT    operations whose name has it\n"
    "  --small        everything a sixteenth as large: to see that all of it runs\n"
    "  --seconds S    for each operation (default 0.3)\n";

enum { MASTER = 1 << 20, BUFFERS = 64, RUNS = 101 };

typedef struct ops_bench {
  isc_device *dev;
  const isc_backend_ops *ops;
  void *impl;
  const char *device, *only;
  double seconds;
  int64_t divide;
  float *master; /* device, [MASTER] normals */
  void *buffer[BUFFERS];
  int used;
} ops_bench;

/* ---- arrays on the device */

static isc_status room(ops_bench *b, size_t bytes, void **out) {
  if (b->used == BUFFERS) return isc_fail(ISC_E_INTERNAL, "too many arrays in one operation");
  ISC_TRY(b->ops->alloc(b->impl, bytes, out));
  b->buffer[b->used++] = *out;
  return ISC_OK;
}

static void give_back(ops_bench *b) {
  while (b->used > 0)
    b->ops->free(b->impl, b->buffer[--b->used]);
}

/* n numbers of a normal law, those of `master` again and again. */
static isc_status numbers(ops_bench *b, int64_t n, float **out) {
  void *p;
  ISC_TRY(room(b, (size_t)n * sizeof **out, &p));
  *out = p;
  for (int64_t i = 0; i < n; i += MASTER) {
    const int64_t some = n - i < MASTER ? n - i : MASTER;
    ISC_TRY(b->ops->copy(b->impl, *out + i, b->master, (size_t)some * sizeof **out));
  }
  return ISC_OK;
}

/* n ids below `below`. */
static isc_status ids(ops_bench *b, int64_t n, int64_t below, const int32_t **out) {
  void *p, *host;
  ISC_TRY(isc_malloc((size_t)n * sizeof **out, "ids", &host));
  for (int64_t i = 0; i < n; i++)
    ((int32_t *)host)[i] = (int32_t)((uint64_t)i * 2654435761u % (uint64_t)below);
  isc_status st = room(b, (size_t)n * sizeof **out, &p);
  if (st == ISC_OK) st = b->ops->upload(b->impl, p, host, (size_t)n * sizeof **out);
  free(host);
  *out = p;
  return st;
}

static isc_status make_master(ops_bench *b) {
  void *host, *p;
  isc_rng r = isc_rng_at(1, ISC_RNG_USER, 0);
  ISC_TRY(isc_malloc(MASTER * sizeof(float), "numbers", &host));
  isc_rng_normals(&r, host, MASTER);
  isc_status st = b->ops->alloc(b->impl, MASTER * sizeof(float), &p);
  if (st == ISC_OK) {
    b->master = p;
    st = b->ops->upload(b->impl, p, host, MASTER * sizeof(float));
  }
  free(host);
  return st;
}

/* ---- timing */

typedef isc_status (*call_fn)(ops_bench *b, const void *args);

static isc_status run(ops_bench *b, call_fn call, const void *args, int64_t calls,
                      double *seconds) {
  const double start = isc_now();
  for (int64_t i = 0; i < calls; i++)
    ISC_TRY(call(b, args));
  ISC_TRY(b->ops->sync(b->impl));
  *seconds = (isc_now() - start) / (double)calls;
  return ISC_OK;
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* `work`: operations, or bytes where `bytes`. */
static isc_status time_one(ops_bench *b, const char *name, call_fn call, const void *args,
                           double work, bool bytes) {
  double lap[RUNS], first;
  int n = 0;
  ISC_TRY(run(b, call, args, 2, &first));
  ISC_TRY(run(b, call, args, 1, &first));
  const int64_t calls = first < 0.01 ? (int64_t)(0.01 / (first + 1e-7)) + 1 : 1;
  const double end = isc_now() + b->seconds;
  do
    ISC_TRY(run(b, call, args, calls, &lap[n++]));
  while (n < RUNS && (n < 3 || isc_now() < end));
  qsort(lap, (size_t)n, sizeof *lap, by_size);
  printf("%-36s %12.2f us %10.1f %s\n", name, lap[n / 2] * 1e6, work / lap[n / 2] * 1e-9,
         bytes ? "GB/s" : "GFLOP/s");
  return ISC_OK;
}

static bool is_wanted(const ops_bench *b, const char *name) {
  return !b->only || strstr(name, b->only);
}

/* ---- products */

static isc_status call_gemm(ops_bench *b, const void *args) {
  return b->ops->gemm(b->impl, args);
}

static const struct {
  const char *name;
  int64_t m, n, k;
  bool trans_a, trans_b, epilogue;
  isc_dtype product;
} PRODUCTS[] = {
    {"gemm f32 forward, bias, gelu", 1536, 3072, 768, false, true, true, ISC_F32},
    {"gemm f32 gradient of input", 1536, 768, 3072, false, false, false, ISC_F32},
    {"gemm f32 gradient of weight", 768, 3072, 1536, true, false, false, ISC_F32},
    {"gemm f32 4096", 4096, 4096, 4096, false, true, false, ISC_F32},
    {"gemm f32 decoding 64 rows", 64, 3072, 768, false, true, false, ISC_F32},
    {"gemm bf16 forward", 1536, 3072, 768, false, true, false, ISC_BF16},
    {"gemm bf16 4096", 4096, 4096, 4096, false, true, false, ISC_BF16},
};

static isc_status product(ops_bench *b, size_t i) {
  const int64_t m = PRODUCTS[i].m / b->divide, n = PRODUCTS[i].n / b->divide,
                k = PRODUCTS[i].k / b->divide;
  isc_gemm g = {.batch = 1, .m = m, .n = n, .k = k, .alpha = 1, .ldc = n};
  float *x, *w, *bias;
  g.trans_a = PRODUCTS[i].trans_a;
  g.trans_b = PRODUCTS[i].trans_b;
  g.product = PRODUCTS[i].product;
  g.lda = g.trans_a ? m : k;
  g.ldb = g.trans_b ? k : n;
  ISC_TRY(numbers(b, m * k, &x));
  ISC_TRY(numbers(b, n * k, &w));
  ISC_TRY(numbers(b, n, &bias));
  ISC_TRY(numbers(b, m * n, &g.c));
  g.a = x;
  g.b = w;
  if (PRODUCTS[i].epilogue) {
    g.bias = bias;
    g.act = ISC_ACT_GELU_TANH;
  }
  return time_one(b, PRODUCTS[i].name, call_gemm, &g, 2.0 * (double)m * (double)n * (double)k,
                  false);
}

static isc_status products(ops_bench *b) {
  for (size_t i = 0; i < sizeof PRODUCTS / sizeof *PRODUCTS; i++) {
    if (!is_wanted(b, PRODUCTS[i].name)) continue;
    const isc_status st = product(b, i);
    give_back(b);
    ISC_TRY(st);
  }
  return ISC_OK;
}

/* ---- attention */

static isc_status call_attention(ops_bench *b, const void *args) {
  return b->ops->attention(b->impl, args);
}
static isc_status call_attention_grad(ops_bench *b, const void *args) {
  return b->ops->attention_grad(b->impl, args);
}

static const struct {
  const char *name;
  int64_t batch, len, past;
  bool grad;
} ATTENTIONS[] = {{"attention 64 x 24", 64, 24, 0, false},
                  {"attention gradient 64 x 24", 64, 24, 0, true},
                  {"attention 4 x 1024", 4, 1024, 0, false},
                  {"attention gradient 4 x 1024", 4, 1024, 0, true},
                  {"attention decoding 64 x 512", 64, 1, 511, false}};

static isc_status attention(ops_bench *b, size_t i) {
  enum { HEADS = 12, D = 64 };
  const int64_t batch = ATTENTIONS[i].batch / (b->divide > 1 ? 4 : 1), len = ATTENTIONS[i].len,
                keys = len + ATTENTIONS[i].past, width = HEADS * D;
  isc_attention a = {.batch = batch,
                     .q_len = len,
                     .past = ATTENTIONS[i].past,
                     .n_head = HEADS,
                     .n_kv_head = HEADS,
                     .d_head = D,
                     .scale = 0.125f,
                     .q_batch = len * width,
                     .q_row = width,
                     .kv_batch = keys * width,
                     .kv_row = width,
                     .out_batch = len * width,
                     .out_row = width};
  float *q, *k, *v, *dout;
  ISC_TRY(numbers(b, batch * len * width, &q));
  ISC_TRY(numbers(b, batch * keys * width, &k));
  ISC_TRY(numbers(b, batch * keys * width, &v));
  ISC_TRY(numbers(b, batch * len * width, &a.out));
  ISC_TRY(numbers(b, batch * len * HEADS, &a.lse));
  a.q = q;
  a.k = k;
  a.v = v;
  double pairs = (double)(len * a.past) + (double)len * (double)(len + 1) / 2;
  pairs *= 2.0 * (double)(batch * width);
  if (!ATTENTIONS[i].grad)
    return time_one(b, ATTENTIONS[i].name, call_attention, &a, 2 * pairs, false);
  ISC_TRY(b->ops->attention(b->impl, &a));
  ISC_TRY(numbers(b, batch * len * width, &dout));
  ISC_TRY(numbers(b, batch * len * width, &a.dq));
  ISC_TRY(numbers(b, batch * len * width, &a.dk));
  ISC_TRY(numbers(b, batch * len * width, &a.dv));
  a.dout = dout;
  return time_one(b, ATTENTIONS[i].name, call_attention_grad, &a, 5 * pairs, false);
}

static isc_status attentions(ops_bench *b) {
  for (size_t i = 0; i < sizeof ATTENTIONS / sizeof *ATTENTIONS; i++) {
    if (!is_wanted(b, ATTENTIONS[i].name)) continue;
    const isc_status st = attention(b, i);
    give_back(b);
    ISC_TRY(st);
  }
  return ISC_OK;
}

/* ---- rows */

static isc_status call_layernorm(ops_bench *b, const void *args) {
  return b->ops->layernorm(b->impl, args);
}
static isc_status call_layernorm_grad(ops_bench *b, const void *args) {
  return b->ops->layernorm_grad(b->impl, args);
}

static isc_status norms(ops_bench *b) {
  isc_layernorm a = {.rows = 1536 / b->divide * 8, .d = 768, .eps = 1e-5};
  const int64_t n = a.rows * a.d;
  float *x, *g, *bias, *dy;
  if (!is_wanted(b, "layer norm") && !is_wanted(b, "layer norm gradient")) return ISC_OK;
  ISC_TRY(numbers(b, n, &x));
  ISC_TRY(numbers(b, a.d, &g));
  ISC_TRY(numbers(b, a.d, &bias));
  ISC_TRY(numbers(b, n, &a.y));
  ISC_TRY(numbers(b, a.rows, &a.mean));
  ISC_TRY(numbers(b, a.rows, &a.rstd));
  ISC_TRY(numbers(b, n, &dy));
  ISC_TRY(numbers(b, n, &a.dx));
  ISC_TRY(numbers(b, a.d, &a.dg));
  ISC_TRY(numbers(b, a.d, &a.db));
  a.x = x;
  a.g = g;
  a.b = bias;
  a.dy = dy;
  ISC_TRY(time_one(b, "layer norm", call_layernorm, &a, 8.0 * (double)n, true));
  return time_one(b, "layer norm gradient", call_layernorm_grad, &a, 16.0 * (double)n, true);
}

static isc_status call_embed_grad(ops_bench *b, const void *args) {
  return b->ops->embed_grad(b->impl, args);
}

static isc_status embeds(ops_bench *b) {
  isc_embed a = {.rows = 1536, .d = 768, .vocab = 50257 / b->divide, .n_ctx = 24};
  float *dout;
  if (!is_wanted(b, "embedding gradient")) return ISC_OK;
  ISC_TRY(ids(b, a.rows, a.vocab, &a.id));
  ISC_TRY(ids(b, a.rows, a.n_ctx, &a.pos));
  ISC_TRY(numbers(b, a.rows * a.d, &dout));
  ISC_TRY(numbers(b, a.vocab * a.d, &a.dwte));
  ISC_TRY(numbers(b, a.n_ctx * a.d, &a.dwpe));
  a.dout = dout;
  return time_one(b, "embedding gradient", call_embed_grad, &a, 16.0 * (double)(a.rows * a.d),
                  true);
}

typedef struct flat {
  int64_t n;
  const float *x, *y;
  float *out;
} flat;

static isc_status call_add(ops_bench *b, const void *args) {
  const flat *f = args;
  return b->ops->add(b->impl, f->n, f->x, f->y, f->out);
}
static isc_status call_act(ops_bench *b, const void *args) {
  const flat *f = args;
  return b->ops->act(b->impl, ISC_ACT_GELU_TANH, f->n, f->x, f->out);
}
static isc_status call_col_sum(ops_bench *b, const void *args) {
  const flat *f = args;
  return b->ops->col_sum(b->impl, f->n / 3072, 3072, f->x, f->out);
}

static isc_status flats(ops_bench *b) {
  flat f = {.n = (int64_t)3072 * 12288 / b->divide};
  float *x, *y;
  if (!is_wanted(b, "add") && !is_wanted(b, "gelu") && !is_wanted(b, "column sums")) return ISC_OK;
  ISC_TRY(numbers(b, f.n, &x));
  ISC_TRY(numbers(b, f.n, &y));
  ISC_TRY(numbers(b, f.n, &f.out));
  f.x = x;
  f.y = y;
  ISC_TRY(time_one(b, "add", call_add, &f, 12.0 * (double)f.n, true));
  ISC_TRY(time_one(b, "gelu", call_act, &f, 8.0 * (double)f.n, true));
  return time_one(b, "column sums", call_col_sum, &f, 4.0 * (double)f.n, true);
}

/* ---- training */

static isc_status call_xent(ops_bench *b, const void *args) {
  return b->ops->xent(b->impl, args);
}

static isc_status losses(ops_bench *b) {
  isc_xent a = {.rows = 1536 / b->divide, .d = 768, .vocab = 50257 / b->divide};
  float *h, *w;
  if (!is_wanted(b, "cross-entropy f32") && !is_wanted(b, "cross-entropy bf16")) return ISC_OK;
  ISC_TRY(numbers(b, a.rows * a.d, &h));
  ISC_TRY(numbers(b, a.vocab * a.d, &w));
  ISC_TRY(ids(b, a.rows, a.vocab, &a.target));
  ISC_TRY(numbers(b, a.rows, &a.logp));
  ISC_TRY(numbers(b, a.rows * a.d, &a.dh));
  ISC_TRY(numbers(b, a.vocab * a.d, &a.dw));
  a.h = h;
  a.w = w;
  const double flops = 6.0 * (double)a.rows * (double)a.d * (double)a.vocab;
  ISC_TRY(time_one(b, "cross-entropy f32", call_xent, &a, flops, false));
  a.product = ISC_BF16;
  return time_one(b, "cross-entropy bf16", call_xent, &a, flops, false);
}

static isc_status call_control(ops_bench *b, const void *args) {
  return b->ops->control(b->impl, args);
}
static isc_status call_control_grad(ops_bench *b, const void *args) {
  return b->ops->control_grad(b->impl, args);
}

static isc_status controls(ops_bench *b) {
  isc_control a = {.batch = 64, .len = 24, .heads = 32, .d = 768 / b->divide, .scale = 0.01f};
  const int64_t n = a.batch * a.len * a.d, heads = a.batch * a.heads;
  float *x, *hn, *u, *v, *c, *dout;
  if (!is_wanted(b, "control") && !is_wanted(b, "control gradient")) return ISC_OK;
  ISC_TRY(numbers(b, n, &x));
  ISC_TRY(numbers(b, n, &hn));
  ISC_TRY(numbers(b, heads * a.d, &u));
  ISC_TRY(numbers(b, heads * a.d, &v));
  ISC_TRY(numbers(b, heads, &c));
  ISC_TRY(numbers(b, n, &a.out));
  ISC_TRY(numbers(b, a.batch * a.len * a.heads, &a.omega));
  ISC_TRY(numbers(b, n, &dout));
  ISC_TRY(numbers(b, n, &a.dhn));
  ISC_TRY(numbers(b, heads * a.d, &a.du));
  ISC_TRY(numbers(b, heads * a.d, &a.dv));
  ISC_TRY(numbers(b, heads, &a.dc));
  a.x = x;
  a.hn = hn;
  a.u = u;
  a.v = v;
  a.c = c;
  a.dout = dout;
  const double flops = 2.0 * (double)n * (double)a.heads;
  ISC_TRY(time_one(b, "control", call_control, &a, 2 * flops, false));
  return time_one(b, "control gradient", call_control_grad, &a, 4 * flops, false);
}

static isc_status call_adamw(ops_bench *b, const void *args) {
  const isc_adamw *list[] = {args};
  return b->ops->adamw(b->impl, list, 1);
}

static isc_status steps(ops_bench *b) {
  isc_adamw a = {.n = (int64_t)124 * 1000 * 1000 / b->divide / b->divide,
                 .lr = 1e-5,
                 .beta1 = 0.9,
                 .beta2 = 0.999,
                 .eps = 1e-8,
                 .weight_decay = 0.01,
                 .grad_scale = 1,
                 .step = 3};
  float *g;
  if (!is_wanted(b, "AdamW 124M")) return ISC_OK;
  ISC_TRY(numbers(b, a.n, &a.p));
  ISC_TRY(numbers(b, a.n, &a.m));
  ISC_TRY(numbers(b, a.n, &a.v));
  ISC_TRY(numbers(b, a.n, &g));
  ISC_TRY(b->ops->mul(b->impl, a.n, a.v, a.v, a.v));
  a.g = g;
  return time_one(b, "AdamW 124M", call_adamw, &a, 28.0 * (double)a.n, true);
}

/* ---- draws */

enum { DRAWS = 1024 };

static isc_status call_sample(ops_bench *b, const void *args) {
  return b->ops->sample(b->impl, args);
}
static isc_status call_noise(ops_bench *b, const void *args) {
  return b->ops->noise(b->impl, args);
}

static isc_status draws(ops_bench *b) {
  static uint64_t index[DRAWS];
  static int32_t id[DRAWS];
  static double logp[DRAWS];
  static float radius[DRAWS];
  isc_sample s = {.rows = DRAWS,
                  .vocab = 50257 / b->divide,
                  .temperature = 1,
                  .seed = 1,
                  .index = index,
                  .id = id,
                  .logp = logp};
  isc_noise z = {.rows = DRAWS, .dim = 768, .radius = radius, .seed = 1, .index = index};
  float *logits, *activations;
  if (!is_wanted(b, "sample") && !is_wanted(b, "noise")) return ISC_OK;
  for (int i = 0; i < DRAWS; i++) {
    index[i] = (uint64_t)i;
    radius[i] = 0.5f;
  }
  ISC_TRY(numbers(b, s.rows * s.vocab, &logits));
  ISC_TRY(numbers(b, z.rows * z.dim, &activations));
  ISC_TRY(numbers(b, z.rows * z.dim, &z.out));
  s.logits = logits;
  z.z = activations;
  ISC_TRY(time_one(b, "sample 1024", call_sample, &s, 8.0 * (double)(s.rows * s.vocab), true));
  return time_one(b, "noise 1024", call_noise, &z, 8.0 * (double)(z.rows * z.dim), true);
}

/* ---- */

static isc_status parse(int argc, char **argv, ops_bench *b, bool *help) {
  *b = (ops_bench){.device = "auto", .seconds = 0.3, .divide = 1};
  for (int i = 1; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (!strcmp(argv[i], "--help")) {
      *help = true;
    } else if (!strcmp(argv[i], "--small")) {
      b->divide = 16;
      b->seconds = 0;
    } else if (!strcmp(argv[i], "--device") && value) {
      b->device = argv[++i];
    } else if (!strcmp(argv[i], "--only") && value) {
      b->only = argv[++i];
    } else if (!strcmp(argv[i], "--seconds") && value) {
      b->seconds = atof(argv[++i]);
    } else {
      return isc_fail(ISC_E_USAGE, "\"%s\": unknown option, or one without its value", argv[i]);
    }
  }
  return ISC_OK;
}

static isc_status all(ops_bench *b) {
  static isc_status (*const parts[])(ops_bench *) = {products, attentions, norms, embeds, flats,
                                                     losses,   controls,   steps, draws};
  ISC_TRY(isc_registry_search_path(NULL, 0));
  ISC_TRY(isc_device_open(b->device, NULL, &b->dev, NULL));
  b->ops = b->dev->ops;
  b->impl = b->dev->impl;
  printf("# %s\n", b->dev->description);
  ISC_TRY(make_master(b));
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    const isc_status st = parts[i](b);
    give_back(b);
    ISC_TRY(st);
  }
  return ISC_OK;
}

int main(int argc, char **argv) {
  ops_bench b;
  bool help = false;
  isc_status st = parse(argc, argv, &b, &help);
  if (st == ISC_OK && help) {
    fputs(HELP, stdout);
    return 0;
  }
  if (st == ISC_OK) st = all(&b);
  if (b.master) b.ops->free(b.impl, b.master);
  isc_device_close(b.dev);
  if (st == ISC_OK) return 0;
  fprintf(stderr, "bench_ops: %s\n", isc_error());
  return isc_exit_code(st);
}
