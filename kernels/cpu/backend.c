/* SPDX-License-Identifier: Apache-2.0
 *
 * The CPU backend's plugin class: opening, memory, and the way from the operations table to those of
 * the SIMD level chosen when it is opened.
 *
 * Device memory is host memory, and every operation is finished when it returns.
 */
#include "cpu.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct cpu_conf {
  int64_t threads;
  int32_t simd;
} cpu_conf;

enum { SIMD_AUTO, SIMD_AVX512, SIMD_AVX2, SIMD_GENERIC, SIMD_AVX512_BF16, SIMD_AMX };
static const char *const simd_choices[] = {"auto",        "avx512", "avx2", "generic",
                                           "avx512-bf16", "amx",    NULL};

/* The level asked for, or NULL if this processor cannot run it; for auto the best it can. */
static const cpu_level *level_for(int32_t simd) {
  if (simd == SIMD_GENERIC) return &cpu_level_generic;
#if defined(__x86_64__)
  if (simd == SIMD_AUTO)
    return cpu_has_avx512() ? &cpu_level_avx512
           : cpu_has_avx2() ? &cpu_level_avx2
                            : &cpu_level_generic;
  if (simd == SIMD_AVX2) return cpu_has_avx2() ? &cpu_level_avx2 : NULL;
  return cpu_has_avx512() ? &cpu_level_avx512 : NULL;
#else
  return simd == SIMD_AUTO ? &cpu_level_generic : NULL;
#endif
}

/* The same for products of bf16. */
static const cpu_gemm_kernel *bf16_for(int32_t simd, const cpu_level *level) {
  const bool own = simd == SIMD_AMX || simd == SIMD_AVX512_BF16;
#if defined(CPU_BF16)
  if (simd == SIMD_AMX || simd == SIMD_AUTO)
    if (cpu_has_amx()) return &cpu_gemm_amx;
  if (simd == SIMD_AVX512_BF16 ? cpu_has_avx512bf16() : simd == SIMD_AUTO && cpu_avx512bf16_pays())
    return &cpu_gemm_avx512bf16;
#endif
  return own || !level ? NULL : level->bf16;
}

/* Processors this process may run on. */
static int available_cpus(void) {
  cpu_set_t set;
  const int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return n > 0 ? n : 1;
}

/* The kernel's name of the processor, without the padding and decoration vendors put around it. */
static void cpu_name(char *name, size_t n) {
  snprintf(name, n, "unknown processor");
  FILE *f = fopen("/proc/cpuinfo", "re");
  if (!f) return;
  char line[256];
  while (fgets(line, sizeof line, f)) {
    if (strncmp(line, "model name", 10) != 0) continue;
    const char *s = strchr(line, ':');
    if (!s) continue;
    s += 1 + strspn(s + 1, " \t");
    snprintf(name, n, "%.*s", (int)strcspn(s, "\n"), s);
    break;
  }
  fclose(f);
}

static isc_status cpu_probe(char *why, size_t n) {
  char name[96];
  const int threads = available_cpus();
  cpu_name(name, sizeof name);
  snprintf(why, n, "CPU: %s, %s, %d thread%s", name, level_for(SIMD_AUTO)->name, threads,
           threads == 1 ? "" : "s");
  return ISC_OK;
}

static isc_status cpu_open(const void *conf, void **impl) {
  const cpu_conf *want = conf ? conf : &(cpu_conf){0};
  const cpu_level *level = level_for(want->simd);
  const cpu_gemm_kernel *bf16 = bf16_for(want->simd, level);
  if (!level || !bf16)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "CPU backend: this processor cannot run simd = \"%s\"; use \"auto\"",
                    simd_choices[want->simd]);
  cpu *c = calloc(1, sizeof *c);
  if (!c) return isc_fail(ISC_E_NOMEM, "CPU backend: no memory for %zu bytes", sizeof *c);
  c->threads = want->threads > 0 ? (int)want->threads : available_cpus();
  c->level = level;
  c->bf16 = bf16;
  c->dnnl = want->simd == SIMD_AUTO;
  const isc_status st = cpu_pool_start(c);
  if (st != ISC_OK)
    free(c);
  else
    *impl = c;
  return st;
}

static void cpu_close(void *impl) {
  cpu *c = impl;
  if (!c) return;
  cpu_pool_stop(c);
  free(c->scratch[CPU_OUTER].p);
  free(c->scratch[CPU_INNER].p);
  free(c);
}

/* ---- memory */

static isc_status cpu_alloc(void *impl, size_t bytes, void **out) {
  (void)impl;
  *out = bytes > SIZE_MAX / 2 ? NULL : cpu_memory(bytes ? cpu_round64(bytes) : 64);
  return *out ? ISC_OK : isc_fail(ISC_E_NOMEM, "CPU backend: no memory for %zu bytes", bytes);
}

static void cpu_free(void *impl, void *p) {
  (void)impl;
  free(p);
}

static isc_status cpu_copy(void *impl, void *dst, const void *src, size_t bytes) {
  (void)impl;
  if (bytes) memmove(dst, src, bytes);
  return ISC_OK;
}

static isc_status cpu_zero(void *impl, void *dst, size_t bytes) {
  (void)impl;
  if (bytes) memset(dst, 0, bytes);
  return ISC_OK;
}

static isc_status cpu_sync(void *impl) {
  (void)impl;
  return ISC_OK;
}

typedef struct gather_args {
  int64_t width;
  const float *x;     /* [?, width] */
  const int64_t *row; /* [n]        */
  float *out;         /* [n, width] */
} gather_args;

static void gather_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const gather_args *g = ctx;
  (void)thread;
  for (int64_t i = begin; i < end; i++)
    memcpy(g->out + i * g->width, g->x + g->row[i] * g->width, (size_t)g->width * sizeof(float));
}

static isc_status cpu_gather(void *impl, int64_t n, int64_t width, const float *x,
                             const int64_t *row, float *out) {
  gather_args g = {.width = width, .x = x, .row = row, .out = out};
  if (width > 0) cpu_for(impl, n, 1 + 32768 / width, gather_job, &g);
  return ISC_OK;
}

/* ---- the rest belongs to the level */

#define LEVEL_OP(name, params, args)                                                               \
  static isc_status cpu_##name params {                                                            \
    cpu *c = impl;                                                                                 \
    return c->level->name args;                                                                    \
  }
LEVEL_OP(gemm, (void *impl, const isc_gemm *a), (c, a))
LEVEL_OP(act, (void *impl, isc_act act, int64_t n, const float *x, float *y), (c, act, n, x, y))
LEVEL_OP(act_grad,
         (void *impl, isc_act act, int64_t n, const float *pre, const float *dy, float *dx),
         (c, act, n, pre, dy, dx))
LEVEL_OP(col_sum, (void *impl, int64_t rows, int64_t n, const float *x, float *out),
         (c, rows, n, x, out))
LEVEL_OP(layernorm, (void *impl, const isc_layernorm *a), (c, a))
LEVEL_OP(layernorm_grad, (void *impl, const isc_layernorm *a), (c, a))
LEVEL_OP(embed, (void *impl, const isc_embed *a), (c, a))
LEVEL_OP(embed_grad, (void *impl, const isc_embed *a), (c, a))
LEVEL_OP(attention, (void *impl, const isc_attention *a), (c, a))
LEVEL_OP(attention_grad, (void *impl, const isc_attention *a), (c, a))
LEVEL_OP(xent, (void *impl, const isc_xent *a), (c, a))
LEVEL_OP(control, (void *impl, const isc_control *a), (c, a))
LEVEL_OP(control_grad, (void *impl, const isc_control *a), (c, a))
LEVEL_OP(adamw, (void *impl, const isc_adamw *const *list, int64_t count), (c, list, count))
LEVEL_OP(sum_squares, (void *impl, int64_t n, const float *x, double *host_out),
         (c, n, x, host_out))
LEVEL_OP(sample, (void *impl, const isc_sample *a), (c, a))
LEVEL_OP(noise, (void *impl, const isc_noise *a), (c, a))
LEVEL_OP(add, (void *impl, int64_t n, const float *a, const float *b, float *out),
         (c, n, a, b, out))
LEVEL_OP(axpy, (void *impl, int64_t n, float alpha, const float *x, float *y), (c, n, alpha, x, y))
LEVEL_OP(mul, (void *impl, int64_t n, const float *a, const float *b, float *out),
         (c, n, a, b, out))
LEVEL_OP(scatter_add,
         (void *impl, int64_t n, int64_t width, const float *in, const int64_t *row, float *x),
         (c, n, width, in, row, x))
LEVEL_OP(rotary, (void *impl, const isc_rotary *a), (c, a))
LEVEL_OP(gate, (void *impl, const isc_gate *a), (c, a))
LEVEL_OP(gate_grad, (void *impl, const isc_gate *a), (c, a))
LEVEL_OP(jumprelu, (void *impl, const isc_jumprelu *a), (c, a))
LEVEL_OP(jumprelu_grad, (void *impl, const isc_jumprelu *a), (c, a))
LEVEL_OP(distances, (void *impl, const isc_distances *a), (c, a))
LEVEL_OP(to_bf16, (void *impl, int64_t n, const float *x, uint16_t *out), (c, n, x, out))

static const isc_backend_ops cpu_ops = {
    .size = sizeof(isc_backend_ops),
    .probe = cpu_probe,
    .open = cpu_open,
    .close = cpu_close,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .upload = cpu_copy,
    .download = cpu_copy,
    .copy = cpu_copy,
    .zero = cpu_zero,
    .sync = cpu_sync,
    .gemm = cpu_gemm,
    .act = cpu_act,
    .act_grad = cpu_act_grad,
    .col_sum = cpu_col_sum,
    .layernorm = cpu_layernorm,
    .layernorm_grad = cpu_layernorm_grad,
    .embed = cpu_embed,
    .embed_grad = cpu_embed_grad,
    .attention = cpu_attention,
    .attention_grad = cpu_attention_grad,
    .xent = cpu_xent,
    .control = cpu_control,
    .control_grad = cpu_control_grad,
    .adamw = cpu_adamw,
    .sum_squares = cpu_sum_squares,
    .sample = cpu_sample,
    .noise = cpu_noise,
    .add = cpu_add,
    .axpy = cpu_axpy,
    .mul = cpu_mul,
    .gather = cpu_gather,
    .scatter_add = cpu_scatter_add,
    .rotary = cpu_rotary,
    .gate = cpu_gate,
    .gate_grad = cpu_gate_grad,
    .jumprelu = cpu_jumprelu,
    .jumprelu_grad = cpu_jumprelu_grad,
    .distances = cpu_distances,
    .to_bf16 = cpu_to_bf16,
};

static const isc_option cpu_options[] = {
    {.name = "threads",
     .type = ISC_OPT_INT,
     .flags = ISC_OPT_RUNTIME,
     .offset = offsetof(cpu_conf, threads),
     .unit = "threads",
     .preset = "0",
     .min = 0,
     .max = 1024,
     .doc = "Threads to compute with; 0 takes every core the process may use. Results do not "
            "depend on it."},
    {.name = "simd",
     .type = ISC_OPT_ENUM,
     .offset = offsetof(cpu_conf, simd),
     .preset = "auto",
     .choices = simd_choices,
     .doc = "Vector instructions to use; name one to get the same bits on machines that differ. "
            "The last two are AVX-512 with instructions of their own for products of bf16."},
    ISC_OPTIONS_END,
};

static const isc_class cpu_class = {
    ISC_CLASS(ISC_BACKEND),
    .name = "cpu",
    .version = "0.1.0",
    .summary =
        "f32 and products of bf16 on the processor: AMX, AVX-512, AVX2 or generic vectors, on all "
        "cores",
    .licence = "Apache-2.0",
    .options = cpu_options,
    .conf_size = sizeof(cpu_conf),
    .ops = &cpu_ops,
};

ISC_PLUGIN("cpu", "0.1.0", &cpu_class);
