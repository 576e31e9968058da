/* SPDX-License-Identifier: Apache-2.0
 *
 * The CUDA backend's plugin class: probing, opening, and the way from the operations table to the operations.
 */
#include "cuda_backend.h"
#include "cublas.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct cuda_conf {
  int64_t device;
  int32_t products;
  bool synchronous;
} cuda_conf;

static const char *const product_choices[] = {"auto", "exact", "gradients", "cublas", NULL};

/* ---- probing */

/* One line of what the device is. */
static isc_status describe(const cuda_driver *d, int ordinal, char *text, size_t n) {
  char name[96] = "";
  int count = 0, major = 0, minor = 0;
  size_t bytes = 0;
  cu_device device;
  if (d->device_count(&count) != CU_OK || count == 0)
    return isc_fail(ISC_E_UNSUPPORTED, "the NVIDIA driver sees no device");
  if (ordinal >= count)
    return isc_fail(ISC_E_UNSUPPORTED, "device %d is not there; the driver sees %d", ordinal,
                    count);
  if (d->device_get(&device, ordinal) != CU_OK ||
      d->device_name(name, sizeof name, device) != CU_OK ||
      d->device_memory(&bytes, device) != CU_OK ||
      d->device_attribute(&major, CU_ATTRIBUTE_MAJOR, device) != CU_OK ||
      d->device_attribute(&minor, CU_ATTRIBUTE_MINOR, device) != CU_OK)
    return isc_fail(ISC_E_DEVICE, "device %d does not answer", ordinal);
  snprintf(text, n, "CUDA: %s, sm_%d%d, %.0f GiB", name, major, minor, (double)bytes / 0x1p30);
  return ISC_OK;
}

static isc_status backend_probe(char *why, size_t n) {
  const cuda_driver *d;
  isc_status st = cuda_driver_open(&d);
  if (st == ISC_OK) st = describe(d, 0, why, n);
  if (st != ISC_OK) snprintf(why, n, "%s", isc_error());
  return st;
}

/* ---- opening */

/* The context that all libraries of the process share. It is kept for good: making it takes longer than many a run's
 * operation, and the driver does not give all of it back. */
static isc_status open_context(cuda *c, int ordinal) {
  cu_device device;
  CU(c, device_get(&device, ordinal), "device %d", ordinal);
  CU(c, context_retain(&c->context, device), "device %d", ordinal);
  CU(c, context_set(c->context), "device %d", ordinal);
  CU(c, device_attribute(&c->multiprocessors, CU_ATTRIBUTE_MULTIPROCESSORS, device), "device %d",
     ordinal);
  CU(c, device_attribute(&c->shared_most, CU_ATTRIBUTE_SHARED_OPTIN, device), "device %d", ordinal);
  return ISC_OK;
}

static const struct {
  int module;
  const char *symbol;
} KERNELS[] = {
#define IN_EACH(name, type)      {0, "isc_" #name},
#define IN_ROWS(name, type)      {1, "isc_" #name},
#define IN_GEMM(name, type)      {2, "isc_" #name},
#define IN_HALF(name, type)      {3, "isc_" #name},
#define IN_ATTENTION(name, type) {4, "isc_" #name},
#define IN_TRAIN(name, type)     {5, "isc_" #name},
#define IN_RANDOM(name, type)    {6, "isc_" #name},
    CUDA_KERNELS_EACH(IN_EACH) CUDA_KERNELS_ROWS(IN_ROWS) CUDA_KERNELS_GEMM(IN_GEMM)
        CUDA_KERNELS_HALF(IN_HALF) CUDA_KERNELS_ATTENTION(IN_ATTENTION) CUDA_KERNELS_TRAIN(IN_TRAIN)
            CUDA_KERNELS_RANDOM(IN_RANDOM)};

/* The kernels of a context are loaded once and kept with it, for good: loading takes milliseconds, and the driver does not
 * give back all that it took. */
enum { CONTEXTS = 64 };
static struct {
  pthread_mutex_t lock;
  struct {
    cu_context context;
    cu_function kernel[CUDA_KERNEL_COUNT];
  } of[CONTEXTS];
} loaded = {.lock = PTHREAD_MUTEX_INITIALIZER};

static isc_status load_kernels(cuda *c) {
  cu_module module[CUDA_MODULES];
  for (int i = 0; i < CUDA_MODULES; i++) {
    const cu_result r = c->d->module_load(&module[i], cuda_images[i]);
    if (r == CU_NO_BINARY)
      return isc_fail(ISC_E_UNSUPPORTED,
                      "CUDA backend: it was built for other devices than this one; build it with "
                      "--with-cuda-arch for this device");
    ISC_TRY(cuda_check(c, r, "module_load", __FILE__, __LINE__, "image %d", i));
  }
  for (int k = 0; k < CUDA_KERNEL_COUNT; k++)
    CU(c, module_function(&c->kernel[k], module[KERNELS[k].module], KERNELS[k].symbol), "kernel %s",
       KERNELS[k].symbol);
  return ISC_OK;
}

static isc_status open_kernels(cuda *c) {
  int i = 0;
  isc_status st = ISC_OK;
  pthread_mutex_lock(&loaded.lock);
  while (i < CONTEXTS && loaded.of[i].context && loaded.of[i].context != c->context)
    i++;
  if (i < CONTEXTS && loaded.of[i].context) {
    memcpy(c->kernel, loaded.of[i].kernel, sizeof c->kernel);
  } else {
    st = load_kernels(c);
    if (st == ISC_OK && i < CONTEXTS) {
      memcpy(loaded.of[i].kernel, c->kernel, sizeof c->kernel);
      loaded.of[i].context = c->context;
    }
  }
  pthread_mutex_unlock(&loaded.lock);
  return st;
}

static void backend_close(void *impl) {
  cuda *c = impl;
  if (!c) return;
  if (c->context) c->d->context_set(c->context);
  if (c->stream) c->d->stream_wait(c->stream);
  cuda_library_close(c);
  cuda_graph_close(c);
  cuda_reads_close(c);
  if (c->pool) {
    for (int i = 0; i < CUDA_SLOTS; i++)
      cuda_free(c, c->scratch[i].p);
    cuda_staging_close(c);
    cuda_pool_close(c);
  }
  if (c->stream) c->d->stream_destroy(c->stream);
  free(c);
}

/* Asked for by name, the library has to be here. */
static isc_status find_library(const cuda *c) {
  const cublas_functions *f;
  if (c->paper || c->products == CUDA_AUTO || c->products == CUDA_EXACT) return ISC_OK;
  const isc_status st = cublas_find(&f);
  if (st == ISC_OK) return ISC_OK;
  char why[256];
  snprintf(why, sizeof why, "%s", isc_error());
  return isc_fail(st,
                  "CUDA backend: products = \"%s\" needs cuBLAS: %s; \"auto\" takes it where it is",
                  product_choices[c->products], why);
}

static isc_status open_all(cuda *c, const cuda_conf *conf) {
  char text[160];
  if (c->paper)
    c->d = cuda_paper_driver();
  else
    ISC_TRY(cuda_driver_open(&c->d));
  ISC_TRY(describe(c->d, (int)conf->device, text, sizeof text));
  ISC_TRY(open_context(c, (int)conf->device));
  CU(c, stream_create(&c->stream, CU_STREAM_APART), "its stream");
  ISC_TRY(open_kernels(c));
  ISC_TRY(cuda_pool_open(c));
  ISC_TRY(cuda_staging_open(c));
  ISC_TRY(cuda_reads_open(c));
  c->products = (cuda_products)conf->products;
  c->synchronous = conf->synchronous;
  return find_library(c);
}

static isc_status open_backend(const void *conf, bool paper, void **impl) {
  cuda *c = calloc(1, sizeof *c);
  if (!c) return isc_fail(ISC_E_NOMEM, "CUDA backend: no host memory for %zu bytes", sizeof *c);
  c->paper = paper;
  const isc_status st = open_all(c, conf ? conf : &(cuda_conf){0});
  if (st == ISC_OK)
    *impl = c;
  else
    backend_close(c);
  return st;
}

static isc_status backend_open(const void *conf, void **impl) {
  return open_backend(conf, false, impl);
}

static isc_status backend_plan(const void *conf, void **impl) {
  return open_backend(conf, true, impl);
}

/* ---- operations */

static isc_status backend_alloc(void *impl, size_t bytes, void **out) {
  cuda *c = impl;
  *out = NULL;
  ISC_TRY(cuda_begin(c, "alloc"));
  return cuda_alloc(c, bytes, out);
}

static void backend_free(void *impl, void *p) {
  cuda_free(impl, p);
}

static isc_status backend_sync(void *impl) {
  cuda *c = impl;
  ISC_TRY(cuda_begin(c, "sync"));
  CU(c, stream_wait(c->stream), "what was asked before");
  return ISC_OK;
}

#define OP(name, params, args)                                                                     \
  static isc_status backend_##name params {                                                        \
    cuda *c = impl;                                                                                \
    ISC_TRY(cuda_begin(c, #name));                                                                 \
    ISC_TRY(cuda_##name args);                                                                     \
    return cuda_end(c);                                                                            \
  }
OP(upload, (void *impl, void *dst, const void *host, size_t bytes), (c, dst, host, bytes))
OP(download, (void *impl, void *host, const void *src, size_t bytes), (c, host, src, bytes))
OP(copy, (void *impl, void *dst, const void *src, size_t bytes), (c, dst, src, bytes))
OP(zero, (void *impl, void *dst, size_t bytes), (c, dst, bytes))
OP(gemm, (void *impl, const isc_gemm *a), (c, a))
OP(act, (void *impl, isc_act act, int64_t n, const float *x, float *y), (c, act, n, x, y))
OP(act_grad, (void *impl, isc_act act, int64_t n, const float *pre, const float *dy, float *dx),
   (c, act, n, pre, dy, dx))
OP(col_sum, (void *impl, int64_t rows, int64_t n, const float *x, float *out), (c, rows, n, x, out))
OP(layernorm, (void *impl, const isc_layernorm *a), (c, a))
OP(layernorm_grad, (void *impl, const isc_layernorm *a), (c, a))
OP(embed, (void *impl, const isc_embed *a), (c, a))
OP(embed_grad, (void *impl, const isc_embed *a), (c, a))
OP(attention, (void *impl, const isc_attention *a), (c, a))
OP(attention_grad, (void *impl, const isc_attention *a), (c, a))
OP(xent, (void *impl, const isc_xent *a), (c, a))
OP(control, (void *impl, const isc_control *a), (c, a))
OP(control_grad, (void *impl, const isc_control *a), (c, a))
OP(adamw, (void *impl, const isc_adamw *const *list, int64_t count), (c, list, count))
OP(sum_squares, (void *impl, int64_t n, const float *x, double *host_out), (c, n, x, host_out))
OP(sample, (void *impl, const isc_sample *a), (c, a))
OP(noise, (void *impl, const isc_noise *a), (c, a))
OP(add, (void *impl, int64_t n, const float *a, const float *b, float *out), (c, n, a, b, out))
OP(axpy, (void *impl, int64_t n, float alpha, const float *x, float *y), (c, n, alpha, x, y))
OP(mul, (void *impl, int64_t n, const float *a, const float *b, float *out), (c, n, a, b, out))
OP(gather, (void *impl, int64_t n, int64_t width, const float *x, const int64_t *row, float *out),
   (c, n, width, x, row, out))
OP(scatter_add,
   (void *impl, int64_t n, int64_t width, const float *in, const int64_t *row, float *x),
   (c, n, width, in, row, x))
OP(rotary, (void *impl, const isc_rotary *a), (c, a))
OP(gate, (void *impl, const isc_gate *a), (c, a))
OP(gate_grad, (void *impl, const isc_gate *a), (c, a))
OP(jumprelu, (void *impl, const isc_jumprelu *a), (c, a))
OP(jumprelu_grad, (void *impl, const isc_jumprelu *a), (c, a))
OP(distances, (void *impl, const isc_distances *a), (c, a))
OP(to_bf16, (void *impl, int64_t n, const float *x, uint16_t *out), (c, n, x, out))
OP(clip, (void *impl, const isc_clip *a), (c, a))
OP(sample_there, (void *impl, const isc_sample *a), (c, a))
OP(read_begin, (void *impl, int64_t ticket, const void *src, size_t bytes), (c, ticket, src, bytes))
OP(read_end, (void *impl, int64_t ticket, void *host), (c, ticket, host))
OP(record, (void *impl), (c))
OP(play, (void *impl, bool drop), (c, drop))
OP(memory, (void *impl, bool anew, isc_memory_use *out), (c, anew, out))

static const isc_backend_ops backend_ops = {
    .size = sizeof(isc_backend_ops),
    .probe = backend_probe,
    .open = backend_open,
    .close = backend_close,
    .alloc = backend_alloc,
    .free = backend_free,
    .upload = backend_upload,
    .download = backend_download,
    .copy = backend_copy,
    .zero = backend_zero,
    .sync = backend_sync,
    .gemm = backend_gemm,
    .act = backend_act,
    .act_grad = backend_act_grad,
    .col_sum = backend_col_sum,
    .layernorm = backend_layernorm,
    .layernorm_grad = backend_layernorm_grad,
    .embed = backend_embed,
    .embed_grad = backend_embed_grad,
    .attention = backend_attention,
    .attention_grad = backend_attention_grad,
    .xent = backend_xent,
    .control = backend_control,
    .control_grad = backend_control_grad,
    .adamw = backend_adamw,
    .sum_squares = backend_sum_squares,
    .sample = backend_sample,
    .noise = backend_noise,
    .add = backend_add,
    .axpy = backend_axpy,
    .mul = backend_mul,
    .gather = backend_gather,
    .scatter_add = backend_scatter_add,
    .rotary = backend_rotary,
    .gate = backend_gate,
    .gate_grad = backend_gate_grad,
    .clip = backend_clip,
    .sample_there = backend_sample_there,
    .read_begin = backend_read_begin,
    .read_end = backend_read_end,
    .record = backend_record,
    .play = backend_play,
    .memory = backend_memory,
    .plan = backend_plan,
    .lane_open = cuda_lane_open,
    .lane_close = cuda_lane_close,
    .lane_room = cuda_lane_room,
    .lane_upload = cuda_lane_upload,
    .lane_join = cuda_lane_join,
    .lane_follow = cuda_lane_follow,
    .jumprelu = backend_jumprelu,
    .jumprelu_grad = backend_jumprelu_grad,
    .distances = backend_distances,
    .to_bf16 = backend_to_bf16,
};

static const isc_option backend_options[] = {
    {.name = "device",
     .type = ISC_OPT_INT,
     .flags = ISC_OPT_RUNTIME,
     .offset = offsetof(cuda_conf, device),
     .preset = "0",
     .min = 0,
     .max = 1023,
     .doc = "Number of the device, as CUDA_VISIBLE_DEVICES leaves them."},
    {.name = "products",
     .type = ISC_OPT_ENUM,
     .offset = offsetof(cuda_conf, products),
     .preset = "auto",
     .choices = product_choices,
     .doc = "Matrix products: auto, by own kernels, where a row's bits depend on no other row, but "
            "those of training by cuBLAS if it is there; exact, all by own kernels; gradients, "
            "gradients of weights by cuBLAS; cublas, all by cuBLAS, and a sample then depends on "
            "its batch. The last two need cuBLAS."},
    {.name = "synchronous",
     .type = ISC_OPT_BOOL,
     .flags = ISC_OPT_RUNTIME,
     .offset = offsetof(cuda_conf, synchronous),
     .preset = "false",
     .doc = "Wait for the device after each operation, so that an error is reported by the "
            "operation that made it; slow."},
    ISC_OPTIONS_END,
};

static const isc_class backend_class = {
    ISC_CLASS(ISC_BACKEND),
    .name = "cuda",
    .version = "0.1.0",
    .summary = "f32 and bf16 on an NVIDIA GPU of compute capability 8.0 or newer",
    .licence = "Apache-2.0",
    .options = backend_options,
    .conf_size = sizeof(cuda_conf),
    .ops = &backend_ops,
};

ISC_PLUGIN("cuda", "0.1.0", &backend_class);
