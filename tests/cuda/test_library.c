/* SPDX-License-Identifier: Apache-2.0
 *
 * Which products of the CUDA backend go to cuBLASLt, which to cuBLAS and which to its own kernels, and that all give the right
 * result, on the emulation of the device and of both libraries.
 */
#include "cuda/emulated_device.h"
#include "conform/reference.h"

#include <math.h>
#include <stdio.h>

enum { DEPENDENT = 4 /* of flags, beside trans_a and trans_b */ };

/* What is amiss with the emulated libraries; nothing: "". */
static void library_is(const char *amiss) {
  cr_assert_eq(setenv("INVERSESCOPE_EMULATED_LIBRARY", amiss, 1), 0);
}

/* ---- who makes a product */

typedef enum maker { OURS, CUBLAS, CUBLAS_LT } maker;

enum { COLUMNS = 2, MOST_ROWS = 3 };

/* Whole numbers, which all of them multiply exactly; but the emulated libraries then round up in the last place. */
static bool is_rounded_up(const isc_device *d, isc_gemm g) {
  const float ones[MOST_ROWS * 2] = {3, 3, 3, 3, 3, 3}, zeros[COLUMNS] = {0, 0};
  float got[2 * MOST_ROWS * COLUMNS];
  g.k = 1;
  g.n = COLUMNS;
  g.lda = g.trans_a ? g.m : 1;
  g.ldb = g.trans_b ? 1 : COLUMNS;
  g.ldc = COLUMNS;
  g.stride_a = g.m;
  g.stride_b = COLUMNS;
  g.stride_c = g.m * COLUMNS;
  g.alpha = 1;
  g.a = on_device(d, ones, sizeof ones);
  g.b = on_device(d, ones, sizeof ones);
  g.bias = g.bias ? on_device(d, zeros, sizeof zeros) : NULL;
  g.c = on_device(d, got, sizeof got);
  isc_assert_ok(d->ops->gemm(d->impl, &g));
  isc_assert_ok(d->ops->download(d->impl, got, g.c, sizeof got));
  const float up = nextafterf(9, INFINITY);
  for (int64_t i = 0; i < g.batch * g.m * COLUMNS; i++)
    cr_assert(got[i] == got[0] && (got[i] == 9 || got[i] == up), "[%d] is %.9g", (int)i,
              (double)got[i]);
  void *all[] = {(void *)(uintptr_t)g.a, (void *)(uintptr_t)g.b, (void *)(uintptr_t)g.bias, g.c};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    d->ops->free(d->impl, all[i]);
  return got[0] != 9;
}

/* cuBLASLt does so for an odd number of rows, cuBLAS for an even one. */
static maker maker_of(const isc_device *d, isc_gemm g) {
  g.m = 3;
  if (is_rounded_up(d, g)) return CUBLAS_LT;
  g.m = 2;
  return is_rounded_up(d, g) ? CUBLAS : OURS;
}

static const float any_bias; /* replaced by one on the device */

static void made_by(const char *products, const char *library, isc_gemm g, maker want) {
  isc_device d;
  library_is(library);
  isc_assert_ok(open_device(products, 0, &d));
  if (g.batch == 0) g.batch = 1;
  const maker got = maker_of(&d, g);
  cr_assert_eq(got, want, "products = \"%s\", library \"%s\", dependent %d, trans_a %d: made by %d",
               products, library, g.dependent_rows, g.trans_a, got);
  d.ops->close(d.impl);
}

Test(cuda_library, gets_products_of_dependent_rows_and_no_others) {
  const isc_gemm plain = {0}, gradient = {.trans_a = true}, training = {.dependent_rows = true},
                 rounded = {.dependent_rows = true, .product = ISC_BF16};
  made_by("auto", "", plain, OURS);
  made_by("auto", "", gradient, OURS);
  made_by("auto", "", training, CUBLAS_LT);
  made_by("auto", "", rounded, CUBLAS_LT);
  made_by("exact", "", training, OURS);
  made_by("exact", "", rounded, OURS);
}

Test(cuda_library, gets_what_it_is_asked_for_by_name) {
  const isc_gemm plain = {0}, gradient = {.trans_a = true};
  made_by("gradients", "", plain, OURS);
  made_by("gradients", "", gradient, CUBLAS_LT);
  made_by("cublas", "", plain, CUBLAS_LT);
  made_by("cublas", "", gradient, CUBLAS_LT);
}

Test(cuda_library, gets_batches_but_for_those_with_a_bias) {
  const isc_gemm batch = {.dependent_rows = true, .batch = 2},
                 biased = {.dependent_rows = true, .batch = 2, .bias = &any_bias},
                 one = {.dependent_rows = true, .bias = &any_bias};
  made_by("auto", "", batch, CUBLAS_LT);
  made_by("auto", "", biased, OURS);
  made_by("auto", "", one, CUBLAS_LT);
}

Test(cuda_library, cublas_makes_what_cublas_lt_does_not) {
  const isc_gemm training = {.dependent_rows = true},
                 biased = {.dependent_rows = true, .bias = &any_bias};
  made_by("auto", "old", training, CUBLAS);
  made_by("auto", "old", biased, CUBLAS);
  made_by("auto", "refusing", training, CUBLAS);
  made_by("auto", "refusing", biased, CUBLAS);
}

/* ---- a library that is not there, or fails */

Test(cuda_library, that_is_not_there_is_done_without) {
  const isc_gemm training = {.dependent_rows = true};
  made_by("auto", "absent", training, OURS);
  made_by("auto", "unable", training, OURS);
}

static void check_told(isc_status got, isc_status want, const char *const *words) {
  cr_assert_eq(got, want, "%d: %s", got, isc_error());
  for (; *words; words++)
    cr_assert(strstr(isc_error(), *words), "\"%s\" is not in: %s", *words, isc_error());
}

Test(cuda_library, that_was_asked_for_by_name_must_be_there) {
  isc_device d;
  library_is("absent");
  check_told(open_device("cublas", 0, &d), ISC_E_UNSUPPORTED,
             (const char *const[]){"products = \"cublas\" needs cuBLAS", "without cuBLAS", NULL});
  check_told(open_device("gradients", 0, &d), ISC_E_UNSUPPORTED,
             (const char *const[]){"products = \"gradients\" needs cuBLAS", NULL});
}

static isc_status multiply_some(const isc_device *d) {
  const float x[8] = {0};
  const isc_gemm g = {.batch = 1,
                      .m = 2,
                      .n = 4,
                      .k = 1,
                      .a = on_device(d, x, sizeof x),
                      .b = on_device(d, x, sizeof x),
                      .c = on_device(d, x, sizeof x),
                      .lda = 1,
                      .ldb = 4,
                      .ldc = 4,
                      .alpha = 1,
                      .dependent_rows = true};
  return d->ops->gemm(d->impl, &g);
}

Test(cuda_library, that_fails_is_told_with_call_place_and_shape) {
  isc_device d;
  library_is("failing");
  isc_assert_ok(open_device("auto", 0, &d));
  check_told(multiply_some(&d), ISC_E_DEVICE,
             (const char *const[]){
                 "gemm: CUBLAS_STATUS_EXECUTION_FAILED (13) in cublasLtMatmul at cublas_lt.c:",
                 "[2, 1] x [1, 4], batch 1, in f32", "products = \"exact\"", NULL});
  d.ops->close(d.impl);
  library_is("unable");
  isc_assert_ok(open_device("cublas", 0, &d));
  check_told(multiply_some(&d), ISC_E_UNSUPPORTED,
             (const char *const[]){"CUBLAS_STATUS_NOT_INITIALIZED (1) in cublasCreate at cublas.c:",
                                   "products = \"exact\"", NULL});
  d.ops->close(d.impl);
}

/* ---- on paper */

/* Bytes of the device at most, after a product of bf16 with an activation. */
static size_t taken(isc_status (*open)(const void *conf, void **impl), const char *products) {
  enum { SIDE = 512 };
  isc_device d;
  isc_memory_use use;
  void *x[4];
  isc_assert_ok(open_device_by(open, products, 0, &d));
  for (int i = 0; i < 4; i++)
    isc_assert_ok(d.ops->alloc(d.impl, SIDE * SIDE * sizeof(float), &x[i]));
  const isc_gemm g = {.batch = 1,
                      .m = SIDE,
                      .n = SIDE,
                      .k = 1,
                      .a = x[0],
                      .b = x[1],
                      .c = x[2],
                      .pre = x[3],
                      .lda = 1,
                      .ldb = SIDE,
                      .ldc = SIDE,
                      .alpha = 1,
                      .act = ISC_ACT_RELU,
                      .product = ISC_BF16,
                      .dependent_rows = true};
  isc_assert_ok(d.ops->zero(d.impl, x[0], SIDE * sizeof(float)));
  isc_assert_ok(d.ops->zero(d.impl, x[1], SIDE * sizeof(float)));
  isc_assert_ok(d.ops->gemm(d.impl, &g));
  isc_assert_ok(d.ops->memory(d.impl, false, &use));
  for (int i = 0; i < 4; i++)
    d.ops->free(d.impl, x[i]);
  d.ops->close(d.impl);
  return use.most;
}

Test(cuda_library, takes_on_paper_what_it_takes_and_is_not_asked) {
  library_is("");
  const size_t automatic = taken(emulated_ops()->open, "auto"),
               ours = taken(emulated_ops()->open, "exact");
  cr_assert_gt(automatic, ours);
  library_is("failing");
  cr_assert_eq(taken(emulated_ops()->plan, "auto"), automatic);
  cr_assert_eq(taken(emulated_ops()->plan, "exact"), ours);
  library_is("absent");
  cr_assert_eq(taken(emulated_ops()->plan, "cublas"), automatic);
}

/* ---- what is kept */

/* More shapes than are kept, twice: each is found, or made anew, and none is taken for another. */
Test(cuda_library, any_number_of_shapes) {
  enum { SHAPES = 700, K = 2 };
  isc_device d;
  library_is("");
  isc_assert_ok(open_device("auto", 0, &d));
  float ones[2 * SHAPES], got[SHAPES], *a, *b, *c;
  for (int i = 0; i < 2 * SHAPES; i++)
    ones[i] = (float)(1 + i % 5);
  a = on_device(&d, ones, sizeof ones);
  b = on_device(&d, ones, sizeof ones);
  c = on_device(&d, got, sizeof got);
  for (int round = 0; round < 2; round++)
    for (int64_t n = 1; n <= SHAPES; n++) {
      const isc_gemm g = {.batch = 1,
                          .m = 1,
                          .n = n,
                          .k = K,
                          .a = a,
                          .b = b,
                          .c = c,
                          .lda = K,
                          .ldb = n,
                          .ldc = n,
                          .alpha = 1,
                          .dependent_rows = true};
      isc_assert_ok(d.ops->gemm(d.impl, &g));
      isc_assert_ok(d.ops->download(d.impl, got, c, (size_t)n * sizeof *got));
      for (int64_t i = 0; i < n; i++)
        cr_assert_eq(got[i], nextafterf(ones[0] * ones[i] + ones[1] * ones[n + i], INFINITY),
                     "%lld columns, [%lld]: %.9g", (long long)n, (long long)i, (double)got[i]);
    }
  d.ops->close(d.impl);
}

/* The libraries' own ReLU would make 0 of it. */
Test(cuda_library, a_relu_keeps_what_is_no_number) {
  const float x[2] = {NAN, -1}, one = 1;
  float got[2];
  isc_device d;
  library_is("");
  isc_assert_ok(open_device("auto", 0, &d));
  const isc_gemm g = {.batch = 1,
                      .m = 1,
                      .n = 2,
                      .k = 1,
                      .a = on_device(&d, &one, sizeof one),
                      .b = on_device(&d, x, sizeof x),
                      .c = on_device(&d, x, sizeof x),
                      .lda = 1,
                      .ldb = 2,
                      .ldc = 2,
                      .alpha = 1,
                      .act = ISC_ACT_RELU,
                      .dependent_rows = true};
  isc_assert_ok(d.ops->gemm(d.impl, &g));
  isc_assert_ok(d.ops->download(d.impl, got, g.c, sizeof got));
  cr_assert(isnan(got[0]) && got[1] == 0, "%g, %g", (double)got[0], (double)got[1]);
  d.ops->close(d.impl);
}

/* ---- their results */

/* Rows on boundaries of four elements, which are read four at a time, and rows that are not. */
static void check_product(const isc_device *d, int64_t m, int64_t n, int64_t k, int flags,
                          isc_dtype product, isc_dtype b_type, int64_t pad) {
  const bool ta = flags & 1, tb = flags & 2, dependent = flags & 4;
  isc_gemm g = {.batch = 1,
                .m = m,
                .n = n,
                .k = k,
                .trans_a = ta,
                .trans_b = tb,
                .alpha = 0.5f,
                .beta = 1,
                .product = product,
                .b_dtype = b_type,
                .dependent_rows = dependent};
  g.lda = (ta ? m : k) + pad;
  g.ldb = (tb ? k : n) + pad;
  g.ldc = n + pad;
  const int64_t na = (ta ? k : m) * g.lda, nb = (tb ? n : k) * g.ldb, nc = m * g.ldc;
  float *a = normals(1, na), *b = normals(2, nb), *c = normals(3, nc),
        *got = malloc((size_t)nc * 4);
  uint16_t *half = malloc((size_t)nb * sizeof *half);
  for (int64_t i = 0; i < nb; i++) {
    const float x = isc_reference_bf16(b[i]);
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    half[i] = (uint16_t)(u >> 16);
  }
  isc_exact *want = calloc((size_t)nc, sizeof *want);
  g.a = a;
  g.b = b_type == ISC_BF16 ? (const float *)(const void *)half : b;
  g.c = c;
  isc_reference_gemm(&g, 13, want, NULL);
  isc_gemm there = g;
  there.a = on_device(d, a, (size_t)na * 4);
  there.b =
      b_type == ISC_BF16 ? on_device(d, half, (size_t)nb * 2) : on_device(d, b, (size_t)nb * 4);
  there.c = on_device(d, c, (size_t)nc * 4);
  isc_assert_ok(d->ops->gemm(d->impl, &there));
  isc_assert_ok(d->ops->download(d->impl, got, there.c, (size_t)nc * 4));
  for (int64_t i = 0; i < m * n; i += 13) {
    const int64_t at = i / n * g.ldc + i % n;
    cr_assert(fabs((double)got[at] - want[at].value) <= ISC_EXACT_UNIT * want[at].slack,
              "%lld x %lld x %lld, flags %d, product %d, b %d, pad %lld: [%lld] is %.9g, not %.9g",
              (long long)m, (long long)n, (long long)k, flags, product, b_type, (long long)pad,
              (long long)at, (double)got[at], want[at].value);
  }
  d->ops->free(d->impl, (void *)(uintptr_t)there.a);
  d->ops->free(d->impl, (void *)(uintptr_t)there.b);
  d->ops->free(d->impl, there.c);
  void *all[] = {a, b, c, got, half, want};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    free(all[i]);
}

static void products_agree(const char *products, const char *library, int flag) {
  static const int64_t SHAPES[][3] = {{40, 36, 24},   {260, 384, 40}, {256, 256, 64},
                                      {64, 40, 2100}, {24, 72, 1152}, {5, 40, 128}};
  isc_device d;
  library_is(library);
  isc_assert_ok(open_device(products, 0, &d));
  for (size_t s = 0; s < sizeof SHAPES / sizeof *SHAPES; s++)
    for (int flags = 0; flags < 4; flags++)
      for (int64_t pad = 0; pad < 2; pad++) {
        const int64_t *m = SHAPES[s];
        check_product(&d, m[0], m[1], m[2], flags | flag, ISC_F32, ISC_F32, pad);
        check_product(&d, m[0], m[1], m[2], flags | flag, ISC_BF16, ISC_F32, pad);
        check_product(&d, m[0], m[1], m[2], flags | flag, ISC_BF16, ISC_BF16, pad);
      }
  d.ops->close(d.impl);
}

Test(cuda_library, products_by_own_kernels) {
  products_agree("exact", "", DEPENDENT);
}

Test(cuda_library, products_with_gradients_by_it) {
  products_agree("gradients", "", 0);
}

Test(cuda_library, products_by_cublas_lt) {
  products_agree("cublas", "", 0);
}

Test(cuda_library, products_by_cublas) {
  products_agree("cublas", "old", 0);
}

Test(cuda_library, products_of_dependent_rows) {
  products_agree("auto", "", DEPENDENT);
}
