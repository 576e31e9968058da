/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance check of lanes: what is uploaded beside the device's other work is there when the lane was joined, and overwrites
 * nothing that is still to be read.
 */
#include "conform/conform.h"
#include "tensor/lane.h"
#include <inversescope/tensor.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* PIECE does not divide N, and many pieces go through the lane's memory. */
enum { N = 60013, PIECE = 4099, ROUNDS = 16, TIMES = 20, LEAST = PIECE * sizeof(float) };

typedef struct bench {
  isc_device *dev;
  isc_lane lane;
  float *buffer[2], *sum[ROUNDS]; /* [N] on the device */
  float *host;                    /* [N]               */
} bench;

static float value(int64_t round, int64_t i) {
  return (float)(1000 * round + i % 911);
}

static isc_status bench_open(isc_conform *c, bench *b) {
  const size_t bytes = N * sizeof(float);
  void *host;
  *b = (bench){0};
  ISC_TRY(isc_conform_device(c, 2, &b->dev));
  if (!isc_device_has_lanes(b->dev)) return ISC_OK;
  ISC_TRY(isc_malloc(bytes, "a check's numbers", &host));
  b->host = host;
  for (int i = 0; i < 2; i++)
    ISC_TRY(b->dev->ops->alloc(b->dev->impl, bytes, (void **)&b->buffer[i]));
  for (int i = 0; i < ROUNDS; i++)
    ISC_TRY(b->dev->ops->alloc(b->dev->impl, bytes, (void **)&b->sum[i]));
  ISC_TRY(isc_lane_open(b->dev, LEAST, 2 * LEAST, &b->lane));
  if (b->lane.piece >= LEAST) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "lane_open for pieces of %zu bytes or more gave pieces of %zu",
                  (size_t)LEAST, b->lane.piece);
}

static void bench_close(bench *b) {
  isc_lane_close(&b->lane);
  if (!b->dev) return;
  for (int i = 0; i < 2; i++)
    b->dev->ops->free(b->dev->impl, b->buffer[i]);
  for (int i = 0; i < ROUNDS; i++)
    b->dev->ops->free(b->dev->impl, b->sum[i]);
  free(b->host);
  isc_device_close(b->dev);
}

/* ---- a thread that sends a round's numbers */

typedef struct sender {
  bench *b;
  int64_t round;
  isc_status status;
  char error[512];
} sender;

static isc_status send(sender *s) {
  float *to = s->b->buffer[s->round % 2];
  void *room;
  for (int64_t at = 0; at < N; at += PIECE) {
    const int64_t n = N - at < PIECE ? N - at : PIECE;
    ISC_TRY(isc_lane_room(&s->b->lane, LEAST, &room)); /* not all of it is sent at the end */
    for (int64_t i = 0; i < n; i++)
      ((float *)room)[i] = value(s->round, at + i);
    ISC_TRY(isc_lane_upload(&s->b->lane, to + at, (size_t)n * sizeof *to));
  }
  ISC_TRY(isc_lane_room(&s->b->lane, 0, &room));
  return isc_lane_upload(&s->b->lane, to, 0);
}

static void *send_in_thread(void *of) {
  sender *s = of;
  s->status = send(s);
  if (s->status != ISC_OK) snprintf(s->error, sizeof s->error, "%s", isc_error());
  return NULL;
}

/* While the next round's numbers are sent, the device reads this one's. */
static isc_status one_round(bench *b, int64_t round) {
  sender next = {.b = b, .round = round + 1};
  pthread_t thread;
  ISC_TRY(b->dev->ops->zero(b->dev->impl, b->sum[round], N * sizeof(float)));
  ISC_TRY(isc_lane_join(&b->lane));
  ISC_TRY(isc_lane_follow(&b->lane));
  if (pthread_create(&thread, NULL, send_in_thread, &next) != 0)
    return isc_fail(ISC_E_NOMEM, "no thread for a check");
  const float *from = b->buffer[round % 2];
  const isc_status st = b->dev->ops->axpy(b->dev->impl, N, 2, from, b->sum[round]);
  pthread_join(thread, NULL);
  if (st != ISC_OK) return st;
  return next.status == ISC_OK ? ISC_OK : isc_fail(next.status, "%s", next.error);
}

static isc_status compare(bench *b, int64_t round) {
  ISC_TRY(b->dev->ops->download(b->dev->impl, b->host, b->sum[round], N * sizeof(float)));
  for (int64_t i = 0; i < N; i++)
    if (b->host[i] != 2 * value(round, i))
      return isc_fail(ISC_E_INTERNAL,
                      "float %lld of round %lld, uploaded by a lane and doubled, is %g, not "
                      "%g; an upload was read before it was there, or overwritten before it was "
                      "read",
                      (long long)i, (long long)round, (double)b->host[i],
                      (double)(2 * value(round, i)));
  return ISC_OK;
}

static isc_status refuses_what_it_cannot_have(isc_device *dev) {
  isc_lane lane;
  const isc_status st = isc_lane_open(dev, SIZE_MAX - 4096, SIZE_MAX, &lane);
  isc_lane_close(&lane);
  if (st == ISC_E_NOMEM) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "lane_open for pieces of %zu bytes gave %s, not ISC_E_NOMEM",
                  SIZE_MAX - 4096, isc_status_name(st));
}

static isc_status take_turns(bench *b) {
  ISC_TRY(refuses_what_it_cannot_have(b->dev));
  ISC_TRY(isc_lane_follow(&b->lane));
  ISC_TRY(send(&(sender){.b = b}));
  for (int64_t round = 0; round < ROUNDS; round++)
    ISC_TRY(one_round(b, round));
  for (int64_t round = 0; round < ROUNDS; round++)
    ISC_TRY(compare(b, round));
  return ISC_OK;
}

/* Several times, for what has no order has another one each time. */
static isc_status lanes(isc_conform *c) {
  isc_status st = ISC_OK;
  for (int i = 0; i < TIMES && st == ISC_OK && !c->skipped; i++) {
    bench b;
    st = bench_open(c, &b);
    if (st == ISC_OK && !isc_device_has_lanes(b.dev))
      st = isc_conform_skip(c, "the backend has no lanes");
    else if (st == ISC_OK)
      st = take_turns(&b);
    bench_close(&b);
  }
  return st;
}

const isc_check isc_checks_backend_lane[] = {
    {"backend.lanes", ISC_OF(ISC_BACKEND), ISC_PER_CASE, 30,
     "Where a backend offers lanes, what one uploads is there after lane_join, and overwrites "
     "nothing that was asked to be read before lane_follow, from whatever thread it is sent.",
     "Keep the order by events of the device, and what a lane changes apart from the device's own "
     "state.",
     lanes},
    {0}};
