/* SPDX-License-Identifier: Apache-2.0
 *
 * What the CUDA backend does beside the rules for all backends, on the emulation of the device: memory that runs out, a device
 * that fails, host arrays that are used again at once, long ones, and uploads beside other work.
 */
#include "cuda/emulated_device.h"
#include "conform/reference.h"

/* ---- opening */

Test(cuda_device, a_device_that_is_not_there_is_named) {
  isc_device d;
  cr_assert_eq(open_device("exact", 3, &d), ISC_E_UNSUPPORTED);
  cr_assert(strstr(isc_error(), "device 3 is not there"), "%s", isc_error());
}

/* ---- memory; the emulated device has 2 GiB */

enum { MIB = 1 << 20 };

Test(cuda_device, memory_that_was_freed_is_given_out_again) {
  const isc_device d = exact();
  void *p, *q;
  isc_assert_ok(d.ops->alloc(d.impl, 5 * MIB, &p));
  d.ops->free(d.impl, p);
  isc_assert_ok(d.ops->alloc(d.impl, 5 * MIB - 1000, &q));
  cr_assert_eq(p, q);
  d.ops->free(d.impl, q);
  d.ops->close(d.impl);
}

Test(cuda_device, memory_that_runs_out_is_told_in_numbers_and_what_lies_free_is_tried_first) {
  const isc_device d = exact();
  void *big, *more;
  isc_assert_ok(d.ops->alloc(d.impl, (size_t)1200 * MIB, &big));
  cr_assert_eq(d.ops->alloc(d.impl, (size_t)1000 * MIB, &more), ISC_E_NOMEM);
  cr_assert_null(more);
  cr_assert(strstr(isc_error(), "1048576000 bytes") && strstr(isc_error(), "2147483648"), "%s",
            isc_error());
  d.ops->free(d.impl, big); /* kept for the next of that size, but not in the way of another */
  isc_assert_ok(d.ops->alloc(d.impl, (size_t)1700 * MIB, &more));
  d.ops->free(d.impl, more);
  d.ops->close(d.impl);
}

Test(cuda_device, many_blocks_of_all_sizes_are_apart) {
  enum { N = 400 };
  const isc_device d = exact();
  char *p[N];
  size_t size[N];
  isc_rng r = isc_rng_at(3, ISC_RNG_USER, 0);
  for (int i = 0; i < N; i++)
    p[i] = NULL;
  for (int round = 0; round < 5 * N; round++) {
    const int i = (int)isc_rng_below(&r, N);
    d.ops->free(d.impl, p[i]);
    size[i] = (size_t)isc_rng_below(&r, (uint64_t)1 << isc_rng_below(&r, 22));
    isc_assert_ok(d.ops->alloc(d.impl, size[i], (void **)&p[i]));
    for (int k = 0; k < N; k++)
      if (k != i && p[k])
        cr_assert(p[i] + size[i] <= p[k] || p[k] + size[k] <= p[i], "blocks %d and %d overlap", i,
                  k);
  }
  for (int i = 0; i < N; i++)
    d.ops->free(d.impl, p[i]);
  d.ops->close(d.impl);
}

/* ---- a device that fails */

Test(cuda_device, after_a_failure_every_operation_says_what_was_said_first) {
  const isc_device d = exact();
  float x[64] = {0}, *there = on_device(&d, x, sizeof x);
  isc_assert_ok(d.ops->sync(d.impl));
  cr_assert_eq(setenv("INVERSESCOPE_EMULATION", "fail", 1), 0);
  isc_status st = ISC_OK;
  for (int i = 0; i < 100 && st == ISC_OK; i++)
    st = d.ops->add(d.impl, 64, there, there, there);
  if (st == ISC_OK) st = d.ops->sync(d.impl);
  cr_assert_eq(st, ISC_E_DEVICE);
  cr_assert(strstr(isc_error(), "the test asked for it"), "%s", isc_error());
  cr_assert_eq(setenv("INVERSESCOPE_EMULATION", "", 1), 0);
  cr_assert_eq(d.ops->mul(d.impl, 64, there, there, there), ISC_E_DEVICE);
  cr_assert(strstr(isc_error(), "mul: the device failed before") &&
                strstr(isc_error(), "the test asked for it"),
            "%s", isc_error());
  cr_assert_eq(d.ops->alloc(d.impl, 8, (void **)&there), ISC_E_DEVICE);
  d.ops->close(d.impl);
}

/* ---- between host and device */

Test(cuda_device, long_copies_arrive_whole_and_the_host_may_use_its_memory_again_at_once) {
  const size_t n = 11 * MIB + 12345;
  const isc_device d = exact();
  unsigned char *host = malloc(n), *back = calloc(1, n);
  for (size_t i = 0; i < n; i++)
    host[i] = (unsigned char)(i * 7 + i / 1000);
  void *there = on_device(&d, host, n);
  memset(host, 0xEE, n);
  isc_assert_ok(d.ops->download(d.impl, back, there, n));
  for (size_t i = 0; i < n; i++)
    cr_assert_eq(back[i], (unsigned char)(i * 7 + i / 1000), "byte %zu", i);
  d.ops->free(d.impl, there);
  d.ops->close(d.impl);
  free(host);
  free(back);
}

/* Lists of rows short and too long for the pinned buffers, overwritten as soon as the call returns. */
Test(cuda_device, host_arrays_of_operations_may_be_used_again_at_once) {
  enum { TABLE = 1000, LONG = 300000, MANY = 40 };
  const isc_device d = exact();
  float *x = normals(1, TABLE), *there = on_device(&d, x, TABLE * sizeof *x), *out[MANY];
  int64_t *row = malloc(LONG * sizeof *row);
  for (int k = 0; k < MANY; k++) {
    const int64_t n = k % 8 == 7 ? LONG : 20000;
    for (int64_t i = 0; i < n; i++)
      row[i] = (i * 31 + k) % TABLE;
    isc_assert_ok(d.ops->alloc(d.impl, (size_t)n * sizeof(float), (void **)&out[k]));
    isc_assert_ok(d.ops->gather(d.impl, n, 1, there, row, out[k]));
    memset(row, 0x7F, LONG * sizeof *row);
  }
  float *got = malloc(LONG * sizeof *got);
  for (int k = 0; k < MANY; k++) {
    const int64_t n = k % 8 == 7 ? LONG : 20000;
    isc_assert_ok(d.ops->download(d.impl, got, out[k], (size_t)n * sizeof *got));
    for (int64_t i = 0; i < n; i++)
      cr_assert_eq(got[i], x[(i * 31 + k) % TABLE], "list %d, row %lld", k, (long long)i);
    d.ops->free(d.impl, out[k]);
  }
  d.ops->free(d.impl, there);
  d.ops->close(d.impl);
  free(x);
  free(row);
  free(got);
}

/* ---- lanes */

enum { LANE_FLOATS = 3000, LANE_ROUNDS = 12 };

/* Value i of round k. */
static float lane_value(int k, int64_t i) {
  return (float)(1000 * k + i % 997);
}

/* Round k up into `to`, in pieces of 700 floats. */
static void send(const isc_device *d, void *lane, int k, float *to) {
  enum { PIECE = 700 };
  for (int64_t at = 0; at < LANE_FLOATS; at += PIECE) {
    void *host;
    const int64_t n = LANE_FLOATS - at < PIECE ? LANE_FLOATS - at : PIECE;
    isc_assert_ok(d->ops->lane_room(lane, (size_t)n * sizeof(float), &host));
    for (int64_t i = 0; i < n; i++)
      ((float *)host)[i] = lane_value(k, at + i);
    isc_assert_ok(d->ops->lane_upload(lane, to + at, (size_t)n * sizeof(float)));
  }
}

/* Two buffers take turns: while one is read, the other is filled. Every sum is what it is in the order of the calls. */
static void lane_turns(void) {
  const isc_device d = exact();
  float *buffer[2], *sum[LANE_ROUNDS], got[LANE_FLOATS];
  size_t piece;
  void *lane;
  isc_assert_ok(d.ops->lane_open(d.impl, 1000, 3000, &piece, &lane));
  cr_assert(piece >= 3000);
  for (int i = 0; i < 2; i++)
    isc_assert_ok(d.ops->alloc(d.impl, sizeof got, (void **)&buffer[i]));
  for (int k = 0; k < LANE_ROUNDS; k++)
    isc_assert_ok(d.ops->alloc(d.impl, sizeof got, (void **)&sum[k]));
  isc_assert_ok(d.ops->lane_follow(lane));
  send(&d, lane, 0, buffer[0]);
  for (int k = 0; k < LANE_ROUNDS; k++) {
    isc_assert_ok(d.ops->lane_join(lane));
    isc_assert_ok(d.ops->lane_follow(lane));
    isc_assert_ok(d.ops->add(d.impl, LANE_FLOATS, buffer[k % 2], buffer[k % 2], sum[k]));
    send(&d, lane, k + 1, buffer[(k + 1) % 2]);
  }
  for (int k = 0; k < LANE_ROUNDS; k++) {
    isc_assert_ok(d.ops->download(d.impl, got, sum[k], sizeof got));
    for (int64_t i = 0; i < LANE_FLOATS; i++)
      cr_assert_eq(got[i], 2 * lane_value(k, i), "round %d, [%lld]: %g", k, (long long)i,
                   (double)got[i]);
    d.ops->free(d.impl, sum[k]);
  }
  d.ops->lane_close(lane);
  for (int i = 0; i < 2; i++)
    d.ops->free(d.impl, buffer[i]);
  d.ops->close(d.impl);
}

/* Every device that is opened draws another order of its streams. */
Test(cuda_device, what_a_lane_uploads_is_there_when_it_is_joined_and_not_before_it_may) {
  for (int orders = 0; orders < 100; orders++)
    lane_turns();
}

Test(cuda_device, a_lane_makes_do_with_less_pinned_memory_and_says_how_much_it_lacks) {
  const isc_device d = exact();
  size_t piece;
  void *lane;
  cr_assert_eq(setenv("INVERSESCOPE_EMULATION_PINNED", "100000", 1), 0);
  isc_assert_ok(d.ops->lane_open(d.impl, 1000, 10 * MIB, &piece, &lane));
  cr_assert(piece >= 1000 && piece <= 50000, "%zu", piece);
  d.ops->lane_close(lane);
  cr_assert_eq(d.ops->lane_open(d.impl, 60000, MIB, &piece, &lane), ISC_E_NOMEM);
  cr_assert_null(lane);
  cr_assert(strstr(isc_error(), "twice 60000 bytes of pinned memory"), "%s", isc_error());
  cr_assert_eq(unsetenv("INVERSESCOPE_EMULATION_PINNED"), 0);
  isc_assert_ok(d.ops->sync(d.impl));
  d.ops->close(d.impl);
}

Test(cuda_device, a_lane_on_a_device_that_failed_says_so) {
  const isc_device d = exact();
  float *there = NULL;
  size_t piece;
  void *lane, *host;
  isc_assert_ok(d.ops->lane_open(d.impl, 4096, 4096, &piece, &lane));
  isc_assert_ok(d.ops->alloc(d.impl, 4096, (void **)&there));
  cr_assert_eq(setenv("INVERSESCOPE_EMULATION", "fail", 1), 0);
  isc_status st = ISC_OK;
  for (int i = 0; i < 100 && st == ISC_OK; i++) {
    st = d.ops->lane_room(lane, 4096, &host);
    if (st == ISC_OK) st = d.ops->lane_upload(lane, there, 4096);
  }
  cr_assert_eq(st, ISC_E_DEVICE);
  cr_assert(strstr(isc_error(), "lane_") && strstr(isc_error(), "the test asked for it"), "%s",
            isc_error());
  cr_assert_eq(setenv("INVERSESCOPE_EMULATION", "", 1), 0);
  cr_assert_eq(d.ops->lane_join(lane), ISC_E_DEVICE);
  cr_assert(strstr(isc_error(), "the device failed before"), "%s", isc_error());
  d.ops->lane_close(lane);
  d.ops->close(d.impl);
}

/* ---- more parameters than a launch has room for */

Test(cuda_device, adamw_of_more_parameters_than_fit_one_launch) {
  enum { COUNT = 93, N = 37 };
  const isc_device d = exact();
  isc_adamw host[COUNT], there[COUNT];
  const isc_adamw *list[COUNT];
  for (int k = 0; k < COUNT; k++) {
    host[k] = (isc_adamw){.n = N - k % 3,
                          .lr = 1e-2,
                          .beta1 = 0.9,
                          .beta2 = 0.99,
                          .eps = 1e-8,
                          .weight_decay = 0.1,
                          .grad_scale = 0.5,
                          .step = 4 + k};
    host[k].p = normals((uint64_t)k, N);
    host[k].g = normals((uint64_t)k + 1000, N);
    host[k].m = normals((uint64_t)k + 2000, N);
    host[k].v = normals((uint64_t)k + 3000, N);
    for (int i = 0; i < N; i++)
      host[k].v[i] *= host[k].v[i];
    there[k] = host[k];
    there[k].p = on_device(&d, host[k].p, N * sizeof(float));
    there[k].m = on_device(&d, host[k].m, N * sizeof(float));
    there[k].v = on_device(&d, host[k].v, N * sizeof(float));
    there[k].g = on_device(&d, host[k].g, N * sizeof(float));
    list[k] = &there[k];
  }
  isc_assert_ok(d.ops->adamw(d.impl, list, COUNT));
  for (int k = 0; k < COUNT; k++) {
    isc_exact p[N], m[N], v[N];
    float got[N];
    isc_reference_adamw(&host[k], p, m, v);
    isc_assert_ok(d.ops->download(d.impl, got, there[k].p, sizeof got));
    for (int i = 0; i < host[k].n; i++)
      cr_assert(fabs((double)got[i] - p[i].value) <= ISC_EXACT_UNIT * p[i].slack, "%d, %d", k, i);
    for (int64_t i = host[k].n; i < N; i++)
      cr_assert_eq(got[i], host[k].p[i], "parameter %d was written past its end", k);
  }
  d.ops->close(d.impl);
}
