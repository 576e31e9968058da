/* SPDX-License-Identifier: Apache-2.0
 *
 * A fact about streamed decoders on a device with lanes: they have the bits of resident ones, whether what a lane uploads is there
 * as early or as late as the contract allows, they keep the lanes' rules, and layers are read by another thread ahead of need.
 *
 * The device is the plain one with lanes that watch: early ones copy at once, late ones when they are joined.
 */
#include "support.h"
#include "support_backend.h"
#include "support_harvest.h"
#include "support_target.h"
#include "base/base.h"
#include "model/decoder_internal.h"
#include "run/plan.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- lanes that watch */

enum { PIECE = 4096, LATE_MOST = 4096 };

typedef struct copy {
  void *dst;
  char *bytes;
  size_t n;
} copy;

static struct {
  bool late;
  size_t piece;        /* the most that is given */
  pthread_t thread;    /* the device's           */
  atomic_int within;   /* callers of room and upload */
  atomic_int offences; /* against the thread rule    */
  atomic_long uploads, elsewhere;
  int open, follows, joins;
  int64_t fail_at; /* this upload fails; 0 = none */
  char *room;
  copy waiting[LATE_MOST];
  int n;
} lane;

static isc_status lane_open(void *impl, size_t least, size_t most, size_t *piece, void **out) {
  (void)impl;
  *piece = lane.piece > least ? lane.piece : least;
  if (*piece > most && most >= least) *piece = most;
  lane.room = malloc(*piece);
  lane.thread = pthread_self();
  lane.open++;
  *out = &lane;
  return ISC_OK;
}

static void arrive(void) {
  for (int i = 0; i < lane.n; i++) {
    memcpy(lane.waiting[i].dst, lane.waiting[i].bytes, lane.waiting[i].n);
    free(lane.waiting[i].bytes);
  }
  lane.n = 0;
}

/* Of functions for the device's thread alone, when nobody is in the lane. */
static void rest(void) {
  if (!pthread_equal(pthread_self(), lane.thread) || atomic_load(&lane.within) != 0)
    atomic_fetch_add(&lane.offences, 1);
}

static void lane_close(void *of) {
  (void)of;
  rest();
  arrive();
  free(lane.room);
  lane.open--;
}

static isc_status lane_room(void *of, size_t bytes, void **host) {
  (void)of, (void)bytes;
  if (atomic_fetch_add(&lane.within, 1) != 0) atomic_fetch_add(&lane.offences, 1);
  *host = lane.room;
  atomic_fetch_sub(&lane.within, 1);
  return ISC_OK;
}

static isc_status lane_upload(void *of, void *dst, size_t bytes) {
  (void)of;
  if (atomic_fetch_add(&lane.within, 1) != 0) atomic_fetch_add(&lane.offences, 1);
  const long k = atomic_fetch_add(&lane.uploads, 1) + 1;
  if (!pthread_equal(pthread_self(), lane.thread)) atomic_fetch_add(&lane.elsewhere, 1);
  if (lane.late && lane.n < LATE_MOST) {
    copy *c = &lane.waiting[lane.n++];
    *c = (copy){dst, malloc(bytes), bytes};
    memcpy(c->bytes, lane.room, bytes);
  } else {
    memcpy(dst, lane.room, bytes);
  }
  atomic_fetch_sub(&lane.within, 1);
  return lane.fail_at && k >= lane.fail_at ? isc_fail(ISC_E_DEVICE, "the lane fails") : ISC_OK;
}

static isc_status lane_join(void *of) {
  (void)of;
  rest();
  arrive();
  lane.joins++;
  return ISC_OK;
}

static isc_status lane_follow(void *of) {
  (void)of;
  rest();
  lane.follows++;
  return ISC_OK;
}

static isc_device device_with_lanes(bool late, size_t piece) {
  static isc_backend_ops ops;
  isc_device d = isc_test_plain_device();
  ops = *d.ops;
  ops.size = sizeof ops;
  ops.lane_open = lane_open;
  ops.lane_close = lane_close;
  ops.lane_room = lane_room;
  ops.lane_upload = lane_upload;
  ops.lane_join = lane_join;
  ops.lane_follow = lane_follow;
  d.ops = &ops;
  memset(&lane, 0, sizeof lane);
  lane.late = late;
  lane.piece = piece;
  return d;
}

static void rules_were_kept(void) {
  cr_assert_eq(atomic_load(&lane.offences), 0);
  cr_assert_eq(lane.open, 0);
}

/* ---- the bits */

static void agrees(bool late, size_t piece) {
  static const char *const names[] = {"gpt2", "llama", "gemma2", "gemma3"},
                           *const how[] = {"", "precision = \"bf16\";"},
                           *const sites[] = {"*", "resid_post.1"};
  isc_device plain = isc_test_plain_device(), d = device_with_lanes(late, piece);
  for (int f = 0; f < 4; f++)
    for (int k = 0; k < 2; k++)
      for (int s = 0; s < 2; s++) {
        char more[64];
        snprintf(more, sizeof more, "resident = \"stream\"; %s", how[k]);
        isc_test_harvest_job job = {
            .plugin = names[f], .name = names[f], .more = how[k], .sites = sites[s], .times = 1};
        isc_test_harvested all = isc_test_harvest(&plain, &job);
        job.more = more;
        job.times = 3;
        isc_test_harvested streamed = isc_test_harvest(&d, &job);
        isc_test_same_harvest(&all, &streamed, names[f]);
        isc_test_harvested_free(&all);
        isc_test_harvested_free(&streamed);
      }
  rules_were_kept();
  cr_assert(atomic_load(&lane.elsewhere) > 0, "no layer was read ahead");
}

Test(layer_stream, has_the_bits_of_a_resident_model_when_uploads_are_there_at_once) {
  agrees(false, PIECE);
}

Test(layer_stream, has_the_bits_of_a_resident_model_when_uploads_are_late) {
  agrees(true, PIECE);
}

Test(layer_stream, has_the_bits_of_a_resident_model_by_small_pieces) {
  agrees(false, 1); /* so of a row at a time */
}

/* ---- what is read, and when */

static isc_status load_nothing(void *user, isc_decoder *d, isc_params *set, int64_t layer,
                               const isc_param_way *way) {
  int64_t *read = user; /* [n_layer + 1], the last for those that were given up */
  (void)set;
  void *room;
  if (atomic_load(way->stop)) {
    read[d->spec.n_layer]++;
    return isc_fail(ISC_E_INTERRUPTED, "not wanted");
  }
  read[layer]++;
  ISC_TRY(isc_lane_room(way->lane, 0, &room));
  return isc_lane_upload(way->lane, room, 0);
}

static const isc_decoder_spec FIVE = {.size = sizeof FIVE,
                                      .n_layer = 5,
                                      .n_head = 2,
                                      .d_model = 8,
                                      .d_head = 4,
                                      .d_mlp = 16,
                                      .vocab = 7,
                                      .n_ctx = 8,
                                      .norm_eps = 1e-5};

static isc_decoder *five_layers(isc_device *d, int64_t *read) {
  isc_decoder *out;
  const isc_layer_source source = {.user = read, .load = load_nothing};
  isc_assert_ok(isc_decoder_new_streamed(d, &FIVE, &source, &out));
  return out;
}

static void need(isc_decoder *d, const int64_t *layers, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    isc_assert_ok(isc_decoder_need_layer(d, layers[i]));
}

/* Three passes over all layers: each layer is read once for each pass, though a pass ends with its last two in memory. */
Test(layer_stream, reads_a_layer_once_a_pass) {
  static const int64_t pass[] = {0, 0, 1, 2, 2, 2, 3, 4};
  int64_t read[6] = {0};
  isc_device dev = device_with_lanes(false, PIECE);
  isc_decoder *d = five_layers(&dev, read);
  for (int i = 0; i < 3; i++)
    need(d, pass, sizeof pass / sizeof *pass);
  isc_decoder_free(d); /* ends what is read ahead for a fourth */
  for (int l = 1; l < 5; l++)
    cr_assert_eq(read[l], 3, "layer %d was read %lld times", l, (long long)read[l]);
  cr_assert_eq(read[0] + read[5], 4);
  rules_were_kept();
  cr_assert_eq(atomic_load(&lane.elsewhere),
               read[0] + read[1] + read[2] + read[3] + read[4] - 1 - 1,
               "only the first layer, and the first again, were read when they were needed");
}

/* Passes that stop after layer 2: the guess that layer 3 follows is wrong once. */
Test(layer_stream, learns_where_passes_stop) {
  static const int64_t pass[] = {0, 1, 2};
  int64_t read[6] = {0};
  isc_device dev = device_with_lanes(false, PIECE);
  isc_decoder *d = five_layers(&dev, read);
  for (int i = 0; i < 4; i++)
    need(d, pass, 3);
  isc_decoder_free(d);
  cr_assert_leq(read[3] + read[5], 2);
  cr_assert_eq(read[4], 0);
  cr_assert_eq(read[1], 4);
  cr_assert_eq(read[2], 4);
  rules_were_kept();
}

/* Both of two layers stay. */
Test(layer_stream, reads_two_layers_once) {
  static const int64_t passes[] = {0, 1, 0, 1, 1, 0, 0, 1};
  int64_t read[3] = {0};
  isc_decoder_spec two = FIVE;
  isc_decoder *d;
  isc_device dev = device_with_lanes(false, PIECE);
  two.n_layer = 2;
  const isc_layer_source source = {.user = read, .load = load_nothing};
  isc_assert_ok(isc_decoder_new_streamed(&dev, &two, &source, &d));
  need(d, passes, 8);
  isc_decoder_free(d);
  cr_assert_eq(read[0], 1);
  cr_assert_eq(read[1], 1);
  rules_were_kept();
}

/* ---- errors */

/* The thread's failure is told by the pass that needs its layer, with the parameter's name; the layers before go through. */
Test(layer_stream, a_copy_that_fails_names_what_was_copied) {
  static const int32_t ids[] = {3, 4, 5};
  const isc_decoder_input in = {.size = sizeof in, .batch = 1, .len = 3, .ids = ids};
  isc_device d = device_with_lanes(false, PIECE);
  isc_test_gpt2 o;
  isc_step *s;
  isc_tensor *hidden;
  isc_assert_ok(isc_test_family_try(&d, "llama", "llama", "resident = \"stream\";", &o));
  isc_assert_ok(isc_step_new(&d, &s));
  lane.fail_at = 12; /* a layer has six parameters, some of several pieces */
  const isc_status st = o.target.ops->forward(o.target.self, s, &in, NULL, &hidden);
  cr_assert_eq(st, ISC_E_DEVICE, "%s", isc_error());
  cr_assert(strstr(isc_error(), "weight of layer ") && strstr(isc_error(), "the lane fails"), "%s",
            isc_error());
  lane.fail_at = 0;
  isc_assert_ok(o.target.ops->forward(o.target.self, s, &in, NULL, &hidden));
  isc_step_free(s);
  isc_test_gpt2_close(&o);
  rules_were_kept();
}

Test(layer_stream, a_gradient_is_refused) {
  static const int32_t ids[] = {3, 4, 5};
  const isc_decoder_input in = {.size = sizeof in, .batch = 1, .len = 3, .ids = ids};
  isc_device d = isc_test_plain_device();
  isc_test_gpt2 o;
  isc_step *s;
  isc_tensor *hidden;
  isc_assert_ok(isc_test_family_try(&d, "llama", "llama", "resident = \"stream\";", &o));
  isc_assert_ok(isc_step_new(&d, &s));
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_fails(o.target.ops->forward(o.target.self, s, &in, NULL, &hidden), ISC_E_UNSUPPORTED,
                   "a streamed decoder has no gradient");
  isc_step_free(s);
  isc_test_gpt2_close(&o);
}

/* ---- memory */

Test(layer_stream, is_planned_by_what_the_device_can) {
  isc_device plain = isc_test_plain_device(), d = device_with_lanes(false, PIECE);
  isc_decoder_spec one = FIVE;
  isc_memory_plan p;
  one.n_layer = 1;
  isc_assert_ok(isc_memory_plan_of(&FIVE, true, &d, &p));
  cr_assert_eq(p.held, 2);
  cr_assert_eq(isc_plan_weights(&p, ISC_F32, true), p.outside[ISC_F32] + 2 * p.layer[ISC_F32]);
  isc_assert_ok(isc_memory_plan_of(&FIVE, true, &plain, &p));
  cr_assert_eq(p.held, 1);
  isc_assert_ok(isc_memory_plan_of(&one, true, &d, &p));
  cr_assert_eq(p.held, 1);
}
