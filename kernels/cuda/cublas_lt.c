/* SPDX-License-Identifier: Apache-2.0
 *
 * Products by cuBLASLt, with the bias added on the way.
 *
 * Which kernel it takes for a shape is asked once and kept. Of ways to cut a sum into parts only the one is allowed that adds
 * them up in a fixed order, and arrays are never said to be aligned to more than a vector, so that the choice does not
 * depend on where they happen to lie.
 * Rationale: of its activations none is the one of operations.h. Its GELU takes the device's approximate tanh, which is good
 * to 2^-11, and its ReLU makes 0 of NaN; so activations are left to a kernel of our own.
 */
#include "library.h"
#include <stdlib.h>
#include <string.h>

enum { SETS = 128, WAYS = 4, VECTOR = 16 /* bytes */ };

/* What a choice depends on; all of one type, so that no byte of it is undefined. */
typedef struct shape {
  int64_t batch, m, n, k, lda, ldb, ldc, stride_a, stride_b, stride_c;
  int64_t type, trans_a, trans_b, bias;
  int64_t aligned_a, aligned_b, aligned_out, aligned_bias; /* bytes */
} shape;

/* Matrices by rows are the transposes of matrices by columns: outᵀ = op(B)ᵀ op(A)ᵀ, so B is the left operand. */
typedef struct plan {
  shape of;
  bool known, refused;
  cublas_lt_product product;
  cublas_lt_layout left, right, out;
  cublas_lt_algorithm algorithm;
} plan;

struct library_lt {
  const cublas_lt_functions *f;
  cublas_lt_handle handle;
  cublas_lt_preference preference;
  plan plans[SETS][WAYS];
  int oldest[SETS];
};

#define LT_TRY(symbol, call) LIBRARY_TRY(c, g, symbol, call)

/* ---- opening */

static isc_status start(cuda *c, const isc_gemm *g, library_lt *lt) {
  const uint64_t workspace = LIBRARY_WORKSPACE;
  const uint32_t reductions = CUBLAS_LT_REDUCE_F32;
  LT_TRY("cublasLtCreate", lt->f->create(&lt->handle));
  LT_TRY("cublasLtMatmulPreferenceCreate", lt->f->preference_create(&lt->preference));
  LT_TRY("cublasLtMatmulPreferenceSetAttribute",
         lt->f->preference_set(lt->preference, CUBLAS_LT_WORKSPACE, &workspace, sizeof workspace));
  LT_TRY(
      "cublasLtMatmulPreferenceSetAttribute",
      lt->f->preference_set(lt->preference, CUBLAS_LT_REDUCTIONS, &reductions, sizeof reductions));
  return ISC_OK;
}

isc_status library_lt_open(cuda *c, const isc_gemm *g, library_lt **out) {
  const cublas_lt_functions *f;
  *out = NULL;
  if (cublas_lt_find(&f) != ISC_OK) return ISC_OK;
  library_lt *lt = calloc(1, sizeof *lt);
  if (!lt) return isc_fail(ISC_E_NOMEM, "CUDA backend: no host memory for %zu bytes", sizeof *lt);
  lt->f = f;
  const isc_status st = start(c, g, lt);
  if (st == ISC_OK)
    *out = lt;
  else
    library_lt_close(lt);
  return st;
}

static void drop(const library_lt *lt, plan *p) {
  if (p->out) lt->f->layout_destroy(p->out);
  if (p->right) lt->f->layout_destroy(p->right);
  if (p->left) lt->f->layout_destroy(p->left);
  if (p->product) lt->f->product_destroy(p->product);
  *p = (plan){0};
}

void library_lt_close(library_lt *lt) {
  if (!lt) return;
  for (int i = 0; i < SETS * WAYS; i++)
    drop(lt, &lt->plans[i / WAYS][i % WAYS]);
  if (lt->preference) lt->f->preference_destroy(lt->preference);
  if (lt->handle) lt->f->destroy(lt->handle);
  free(lt);
}

/* ---- plans */

static int64_t alignment(const void *p) {
  const uintptr_t bits = (uintptr_t)p | VECTOR;
  return (int64_t)(bits & (~bits + 1));
}

static shape shape_of(const library_product *p) {
  const isc_gemm *g = p->g;
  const bool many = g->batch > 1;
  return (shape){.batch = g->batch,
                 .m = g->m,
                 .n = g->n,
                 .k = g->k,
                 .lda = p->a.ld,
                 .ldb = p->b.ld,
                 .ldc = g->ldc,
                 .stride_a = many ? p->a.stride : 0,
                 .stride_b = many ? p->b.stride : 0,
                 .stride_c = many ? g->stride_c : 0,
                 .type = p->type,
                 .trans_a = g->trans_a,
                 .trans_b = g->trans_b,
                 .bias = g->bias != NULL,
                 .aligned_a = alignment(p->a.x),
                 .aligned_b = alignment(p->b.x),
                 .aligned_out = alignment(p->out),
                 .aligned_bias = alignment(g->bias)};
}

static uint64_t hash(const shape *s) {
  int64_t v[sizeof *s / sizeof(int64_t)];
  uint64_t h = 0;
  memcpy(v, s, sizeof v);
  for (size_t i = 0; i < sizeof v / sizeof *v; i++)
    h = (h ^ (uint64_t)v[i]) * 0x9E3779B97F4A7C15u;
  return h >> 32;
}

static isc_status lay_out(const cuda *c, const isc_gemm *g, const library_lt *lt, int64_t type,
                          int64_t rows, int64_t columns, int64_t ld, int64_t stride,
                          cublas_lt_layout *out) {
  const int32_t batch = (int32_t)g->batch;
  LT_TRY("cublasLtMatrixLayoutCreate",
         lt->f->layout_create(out, (int)type, (uint64_t)rows, (uint64_t)columns, ld));
  if (batch == 1) return ISC_OK;
  LT_TRY("cublasLtMatrixLayoutSetAttribute",
         lt->f->layout_set(*out, CUBLAS_LT_BATCH, &batch, sizeof batch));
  LT_TRY("cublasLtMatrixLayoutSetAttribute",
         lt->f->layout_set(*out, CUBLAS_LT_STRIDE, &stride, sizeof stride));
  return ISC_OK;
}

static isc_status set_bias(const cuda *c, const isc_gemm *g, const library_lt *lt, plan *p) {
  if (!g->bias) return ISC_OK;
  LT_TRY("cublasLtMatmulDescSetAttribute",
         lt->f->product_set(p->product, CUBLAS_LT_BIAS, &g->bias, sizeof g->bias));
  return ISC_OK;
}

static isc_status describe(const cuda *c, const isc_gemm *g, const library_lt *lt, plan *p) {
  const shape *s = &p->of;
  const int32_t op_left = g->trans_b ? CUBLAS_TRANSPOSE : CUBLAS_NO_TRANSPOSE,
                op_right = g->trans_a ? CUBLAS_TRANSPOSE : CUBLAS_NO_TRANSPOSE;
  const uint32_t epilogue = g->bias ? CUBLAS_LT_PLUS_BIAS : CUBLAS_LT_PLAIN;
  const int sums = s->type == CUBLAS_BF16 ? CUBLAS_SUMS_F32 : CUBLAS_SUMS_F32_PEDANTIC;
  LT_TRY("cublasLtMatmulDescCreate", lt->f->product_create(&p->product, sums, CUBLAS_F32));
  LT_TRY("cublasLtMatmulDescSetAttribute",
         lt->f->product_set(p->product, CUBLAS_LT_OP_A, &op_left, sizeof op_left));
  LT_TRY("cublasLtMatmulDescSetAttribute",
         lt->f->product_set(p->product, CUBLAS_LT_OP_B, &op_right, sizeof op_right));
  LT_TRY("cublasLtMatmulDescSetAttribute",
         lt->f->product_set(p->product, CUBLAS_LT_EPILOGUE, &epilogue, sizeof epilogue));
  ISC_TRY(set_bias(c, g, lt, p));
  ISC_TRY(lay_out(c, g, lt, s->type, g->trans_b ? s->k : s->n, g->trans_b ? s->n : s->k, s->ldb,
                  s->stride_b, &p->left));
  ISC_TRY(lay_out(c, g, lt, s->type, g->trans_a ? s->m : s->k, g->trans_a ? s->k : s->m, s->lda,
                  s->stride_a, &p->right));
  return lay_out(c, g, lt, CUBLAS_F32, s->n, s->m, s->ldc, s->stride_c, &p->out);
}

static isc_status prefer(const cuda *c, const isc_gemm *g, const library_lt *lt, const shape *s) {
  const struct {
    int attribute;
    uint32_t bytes;
  } aligned[] = {{CUBLAS_LT_ALIGNED_A, (uint32_t)s->aligned_b},
                 {CUBLAS_LT_ALIGNED_B, (uint32_t)s->aligned_a},
                 {CUBLAS_LT_ALIGNED_C, (uint32_t)s->aligned_out},
                 {CUBLAS_LT_ALIGNED_D, (uint32_t)s->aligned_out}};
  for (size_t i = 0; i < sizeof aligned / sizeof *aligned; i++)
    LT_TRY("cublasLtMatmulPreferenceSetAttribute",
           lt->f->preference_set(lt->preference, aligned[i].attribute, &aligned[i].bytes,
                                 sizeof aligned[i].bytes));
  return ISC_OK;
}

/* It has no kernel for the product: no failure, since cuBLAS has. */
static bool declines(cublas_status r) {
  return r == CUBLAS_SAYS_NOT_SUPPORTED || r == CUBLAS_SAYS_INVALID_VALUE;
}

static isc_status choose(const cuda *c, const isc_gemm *g, const library_lt *lt, plan *p) {
  cublas_lt_choice best = {0};
  int count = 0;
  ISC_TRY(prefer(c, g, lt, &p->of));
  const cublas_status r = lt->f->choose(lt->handle, p->product, p->left, p->right, p->out, p->out,
                                        lt->preference, 1, &best, &count);
  p->refused =
      declines(r) || (r == CUBLAS_SAYS_SUCCESS && (count < 1 || best.state != CUBLAS_SAYS_SUCCESS ||
                                                   best.workspace > LIBRARY_WORKSPACE));
  if (p->refused) return ISC_OK;
  LT_TRY("cublasLtMatmulAlgoGetHeuristic", r);
  p->algorithm = best.algorithm;
  return ISC_OK;
}

/* The plan for a shape, made where there is none in place of the oldest of its set. */
static isc_status find(const cuda *c, library_lt *lt, const library_product *product, plan **out) {
  const shape s = shape_of(product);
  const uint64_t set = hash(&s) % SETS;
  for (int i = 0; i < WAYS; i++) {
    *out = &lt->plans[set][i];
    if ((*out)->known && memcmp(&(*out)->of, &s, sizeof s) == 0) return ISC_OK;
  }
  plan *p = *out = &lt->plans[set][lt->oldest[set]];
  lt->oldest[set] = (lt->oldest[set] + 1) % WAYS;
  drop(lt, p);
  p->of = s;
  isc_status st = describe(c, product->g, lt, p);
  if (st == ISC_OK) st = choose(c, product->g, lt, p);
  p->known = st == ISC_OK;
  if (st != ISC_OK) drop(lt, p);
  return st;
}

isc_status library_lt_product(cuda *c, const library_product *product, bool *made) {
  const isc_gemm *g = product->g;
  const cuda_library *l = c->library;
  library_lt *lt = l->lt;
  plan *p;
  *made = false;
  ISC_TRY(find(c, lt, product, &p));
  if (p->refused) return ISC_OK;
  ISC_TRY(set_bias(c, g, lt, p));
  const cublas_status r =
      lt->f->matmul(lt->handle, p->product, &g->alpha, product->b.x, p->left, product->a.x,
                    p->right, &g->beta, product->out, p->out, product->out, p->out, &p->algorithm,
                    l->workspace, LIBRARY_WORKSPACE, c->stream);
  p->refused = declines(r);
  if (p->refused) return ISC_OK;
  LT_TRY("cublasLtMatmul", r);
  *made = true;
  return ISC_OK;
}
