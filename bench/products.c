/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products alone, of f32 and of bf16: a large one, and a decoder's step, which reads its weights once.
 *
 * A large product of bf16 is the same as the f32 one that is timed between its laps, so that its share of that is how many
 * times faster it is. A step's rate is that at which it reads its weights.
 */
#include "bench.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 16 }; /* of weights that a step reads, so that no cache holds them all */

static const struct {
  const char *name;
  isc_dtype type;
  int64_t rows; /* of a step; 0 = the large product */
} PRODUCTS[] = {{"gemm", ISC_F32, 0},       {"gemm-bf16", ISC_BF16, 0},
                {"decode", ISC_F32, 1},     {"decode-bf16", ISC_BF16, 1},
                {"decode-16", ISC_F32, 16}, {"decode-16-bf16", ISC_BF16, 16},
                {NULL, ISC_F32, 0}};

static double step_bytes(const bench_gemm *g, isc_dtype type) {
  return LAYERS * (double)(g->in * g->out) * (type == ISC_BF16 ? 2 : 4);
}

bool bench_product(const bench_gemm *g, int64_t k, bench_result *out) {
  if (!PRODUCTS[k].name) return false;
  const int64_t rows = PRODUCTS[k].rows;
  if (rows == 0) {
    *out = (bench_result){PRODUCTS[k].name, "products/s", 1, bench_gemm_flops(g), 1};
    return true;
  }
  const double gigabytes = step_bytes(g, PRODUCTS[k].type) * 1e-9;
  *out = (bench_result){PRODUCTS[k].name, "GB/s", gigabytes,
                        2.0 * LAYERS * (double)(rows * g->in * g->out) / gigabytes, 1};
  return true;
}

/* Weights [out, in] of bf16 or f32; which numbers does not matter as long as none is a zero or a denormal. */
static isc_status weights(isc_device *dev, int64_t n, isc_dtype type, void **out) {
  isc_status st = ISC_OK;
  const size_t size = type == ISC_BF16 ? 2 : 4, bytes = (size_t)n * size;
  void *host = NULL;
  uint32_t x = 1;
  ISC_GO(isc_malloc(bytes, "weights", &host));
  for (int64_t i = 0; i < n; i++, x = x * 1664525 + 1013904223) {
    const float f = (float)(int32_t)(x | 1) * 0x1p-31f;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (type == ISC_BF16)
      ((uint16_t *)host)[i] = (uint16_t)(bits >> 16);
    else
      ((uint32_t *)host)[i] = bits;
  }
  ISC_GO(dev->ops->alloc(dev->impl, bytes, out));
  ISC_GO(dev->ops->upload(dev->impl, *out, host, bytes));
done:
  free(host);
  return st;
}

static isc_status large(bench_gemm *g, isc_dtype type, const void *w, bench_timer *t) {
  isc_gemm product = g->product;
  bool enough = false;
  product.product = type;
  if (type == ISC_BF16 && !g->gradient) { /* a gradient has no weights to be narrow */
    product.b = w;
    product.b_dtype = ISC_BF16;
    product.trans_b = true;
    product.ldb = g->in;
  }
  while (!enough) {
    ISC_TRY(g->device->ops->gemm(g->device->impl, &product));
    ISC_TRY(bench_timer_lap(t, &enough));
  }
  return ISC_OK;
}

static isc_status step(bench_gemm *g, isc_dtype type, int64_t rows, const void *w, bench_timer *t) {
  isc_gemm product = {.batch = 1,
                      .m = rows,
                      .n = g->out,
                      .k = g->in,
                      .a = g->x,
                      .lda = g->in,
                      .ldb = g->in,
                      .trans_b = true,
                      .c = g->y,
                      .ldc = g->out,
                      .alpha = 1,
                      .b_dtype = type,
                      .product = type};
  const size_t layer = (size_t)(g->in * g->out) * (type == ISC_BF16 ? 2 : 4);
  bool enough = false;
  while (!enough) {
    for (size_t i = 0; i < LAYERS; i++) {
      product.b = (const float *)(const void *)((const char *)w + i * layer);
      ISC_TRY(g->device->ops->gemm(g->device->impl, &product));
    }
    ISC_TRY(bench_timer_lap(t, &enough));
  }
  return ISC_OK;
}

isc_status bench_product_run(bench_gemm *g, int64_t k, bench_timer *t) {
  isc_device *dev = g->device;
  const int64_t rows = PRODUCTS[k].rows, n = g->in * g->out * (rows ? LAYERS : 1);
  isc_status st = ISC_OK;
  void *w = NULL;
  ISC_GO(weights(dev, n, PRODUCTS[k].type, &w));
  if (rows)
    ISC_GO(step(g, PRODUCTS[k].type, rows, w, t));
  else
    ISC_GO(large(g, PRODUCTS[k].type, w, t));
done:
  dev->ops->free(dev->impl, w);
  return st;
}
