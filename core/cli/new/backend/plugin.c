/* SPDX-License-Identifier: Apache-2.0
 *
 * The backend @NAME@: hands every operation to the backend "cpu".
 *
 * A new device begins here: replace the operations one by one, each line PASS below by a function of your own, and hold
 * each against its contract in inversescope/backend.h with `make check`. Memory belongs together: once alloc is yours,
 * an operation still passed on must move its operands to the host and back.
 */
#include <inversescope/tensor.h>
#include <stdio.h>

/* `impl` is the isc_device of the backend that does the work. */
static isc_status open_backend(const void *conf, void **impl) {
  isc_device *cpu = NULL;
  (void)conf;
  ISC_TRY(isc_device_open("cpu", NULL, &cpu, NULL));
  *impl = cpu;
  return ISC_OK;
}

static void close_backend(void *impl) {
  isc_device_close(impl);
}

/* Can this machine run it? `why` is the device's name, or the reason it cannot. */
static isc_status probe(char *why, size_t n) {
  isc_device *cpu = NULL;
  isc_status st = isc_device_open("cpu", NULL, &cpu, NULL);
  snprintf(why, n, "%s", st == ISC_OK ? cpu->description : isc_error());
  isc_device_close(cpu);
  return st;
}

static void free_memory(void *impl, void *p) {
  isc_device *cpu = impl;
  cpu->ops->free(cpu->impl, p);
}

#define PASS(op, parameters, ...)                                                                  \
  static isc_status op parameters {                                                                \
    isc_device *cpu = impl;                                                                        \
    return cpu->ops->op(cpu->impl, __VA_ARGS__);                                                   \
  }

/* Memory. */
PASS(alloc, (void *impl, size_t bytes, void **out), bytes, out)
PASS(upload, (void *impl, void *dst, const void *host, size_t bytes), dst, host, bytes)
PASS(download, (void *impl, void *host, const void *src, size_t bytes), host, src, bytes)
PASS(copy, (void *impl, void *dst, const void *src, size_t bytes), dst, src, bytes)
PASS(zero, (void *impl, void *dst, size_t bytes), dst, bytes)
static isc_status sync(void *impl) {
  isc_device *cpu = impl;
  return cpu->ops->sync(cpu->impl);
}

/* What a transformer is made of. */
PASS(gemm, (void *impl, const isc_gemm *a), a)
PASS(act, (void *impl, isc_act f, int64_t n, const float *x, float *y), f, n, x, y)
PASS(act_grad, (void *impl, isc_act f, int64_t n, const float *pre, const float *dy, float *dx), f,
     n, pre, dy, dx)
PASS(col_sum, (void *impl, int64_t rows, int64_t n, const float *x, float *out), rows, n, x, out)
PASS(layernorm, (void *impl, const isc_layernorm *a), a)
PASS(layernorm_grad, (void *impl, const isc_layernorm *a), a)
PASS(embed, (void *impl, const isc_embed *a), a)
PASS(embed_grad, (void *impl, const isc_embed *a), a)
PASS(rotary, (void *impl, const isc_rotary *a), a)
PASS(gate, (void *impl, const isc_gate *a), a)
PASS(gate_grad, (void *impl, const isc_gate *a), a)
PASS(jumprelu, (void *impl, const isc_jumprelu *a), a)
PASS(jumprelu_grad, (void *impl, const isc_jumprelu *a), a)
PASS(attention, (void *impl, const isc_attention *a), a)
PASS(attention_grad, (void *impl, const isc_attention *a), a)
PASS(xent, (void *impl, const isc_xent *a), a)
PASS(control, (void *impl, const isc_control *a), a)
PASS(control_grad, (void *impl, const isc_control *a), a)

/* Training and sampling. */
PASS(adamw, (void *impl, const isc_adamw *const *list, int64_t count), list, count)
PASS(sum_squares, (void *impl, int64_t n, const float *x, double *host_out), n, x, host_out)
PASS(sample, (void *impl, const isc_sample *a), a)
PASS(noise, (void *impl, const isc_noise *a), a)

/* Elements and rows. */
PASS(add, (void *impl, int64_t n, const float *a, const float *b, float *out), n, a, b, out)
PASS(axpy, (void *impl, int64_t n, float alpha, const float *x, float *y), n, alpha, x, y)
PASS(mul, (void *impl, int64_t n, const float *a, const float *b, float *out), n, a, b, out)
PASS(gather, (void *impl, int64_t n, int64_t width, const float *x, const int64_t *row, float *out),
     n, width, x, row, out)
PASS(scatter_add,
     (void *impl, int64_t n, int64_t width, const float *in, const int64_t *row, float *x), n,
     width, in, row, x)
PASS(distances, (void *impl, const isc_distances *a), a)
PASS(to_bf16, (void *impl, int64_t n, const float *x, uint16_t *out), n, x, out)

static const isc_backend_ops ops = {
    .size = sizeof ops,
    .probe = probe,
    .open = open_backend,
    .close = close_backend,
    .alloc = alloc,
    .free = free_memory,
    .upload = upload,
    .download = download,
    .copy = copy,
    .zero = zero,
    .sync = sync,
    .gemm = gemm,
    .act = act,
    .act_grad = act_grad,
    .col_sum = col_sum,
    .layernorm = layernorm,
    .layernorm_grad = layernorm_grad,
    .embed = embed,
    .embed_grad = embed_grad,
    .attention = attention,
    .attention_grad = attention_grad,
    .xent = xent,
    .control = control,
    .control_grad = control_grad,
    .adamw = adamw,
    .sum_squares = sum_squares,
    .sample = sample,
    .noise = noise,
    .add = add,
    .axpy = axpy,
    .mul = mul,
    .gather = gather,
    .scatter_add = scatter_add,
    .rotary = rotary,
    .gate = gate,
    .gate_grad = gate_grad,
    .jumprelu = jumprelu,
    .jumprelu_grad = jumprelu_grad,
    .distances = distances,
    .to_bf16 = to_bf16,
};

ISC_PLUGIN_CLASS(ISC_BACKEND, "@NAME@", "0.1.0",
                 .summary = "Every operation by way of the CPU backend", .licence = "Apache-2.0",
                 .ops = &ops);
