/* SPDX-License-Identifier: Apache-2.0
 *
 * The key/value cache: decoding piece by piece must be the whole pass, whatever is dropped, repeated or forgotten.
 */
#include "support.h"
#include "support_backend.h"
#include "support_decoder.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 3, LEN = 7 };
/* The same sums over the same keys; only the order inside attention may differ between the two ways. */
static const float TOLERANCE = 1e-5f;

typedef struct fixture {
  isc_decoder *d;
  isc_step *s;
  int32_t *ids;  /* [BATCH, LEN] */
  float *whole;  /* [BATCH, LEN, d_model] from one pass without a cache */
  int64_t width; /* d_model */
} fixture;

static fixture setup(isc_device *dev) {
  isc_decoder_spec spec = isc_test_spec();
  fixture f = {.d = isc_test_decoder(dev, &spec, 11),
               .ids = isc_test_ids(11, BATCH * LEN, spec.vocab),
               .width = 12};
  isc_decoder_input in = {.size = sizeof in, .batch = BATCH, .len = LEN, .ids = f.ids};
  isc_tensor *hidden;
  isc_assert_ok(isc_step_new(dev, &f.s));
  isc_assert_ok(isc_decoder_forward(f.d, f.s, &in, NULL, &hidden));
  f.whole = malloc((size_t)(BATCH * LEN * f.width) * sizeof(float));
  isc_assert_ok(isc_tensor_download(f.s, hidden, f.whole));
  return f;
}

static void teardown(fixture *f) {
  isc_step_free(f->s);
  isc_decoder_free(f->d);
  free(f->ids);
  free(f->whole);
}

/* Feed tokens [from, from + n) of sequences source[0 … batch) and hold each against the whole pass. */
static void feed(fixture *f, isc_kv_cache *c, const int64_t *source, int64_t batch, int64_t from,
                 int64_t n) {
  int32_t ids[BATCH * LEN];
  for (int64_t b = 0; b < batch; b++)
    memcpy(ids + b * n, f->ids + source[b] * LEN + from, (size_t)n * sizeof *ids);
  isc_decoder_input in = {.size = sizeof in, .batch = batch, .len = n, .ids = ids, .cache = c};
  isc_tensor *hidden;
  isc_step_reset(f->s);
  isc_assert_ok(isc_decoder_forward(f->d, f->s, &in, NULL, &hidden));
  float got[BATCH * LEN * 12];
  isc_assert_ok(isc_tensor_download(f->s, hidden, got));
  for (int64_t b = 0; b < batch; b++)
    for (int64_t i = 0; i < n * f->width; i++)
      cr_assert_float_eq(got[b * n * f->width + i],
                         f->whole[(source[b] * LEN + from) * f->width + i], TOLERANCE,
                         "row %d, value %d behind position %d", (int)b, (int)i, (int)from);
  cr_assert_eq(isc_kv_cache_len(c), from + n);
}

static const int64_t IN_ORDER[BATCH] = {0, 1, 2};

ISC_TEST_ON_BOTH(cache, equals_the_whole_pass) {
  fixture f = setup(dev);
  isc_kv_cache *c;
  isc_assert_ok(isc_kv_cache_new(f.d, BATCH, 9, &c));
  cr_assert_eq(isc_kv_cache_len(c), 0);
  feed(&f, c, IN_ORDER, BATCH, 0, 3);
  feed(&f, c, IN_ORDER, BATCH, 3, 1);
  feed(&f, c, IN_ORDER, BATCH, 4, 3);
  isc_kv_cache_free(c);
  teardown(&f);
}

ISC_TEST_ON_BOTH(cache, forgets_what_is_rewound) {
  fixture f = setup(dev);
  isc_kv_cache *c;
  isc_assert_ok(isc_kv_cache_new(f.d, BATCH, LEN, &c));
  feed(&f, c, IN_ORDER, BATCH, 0, 5);
  isc_kv_cache_rewind(c, 2);
  cr_assert_eq(isc_kv_cache_len(c), 2);
  feed(&f, c, IN_ORDER, BATCH, 2, 5);
  isc_kv_cache_rewind(c, 0);
  feed(&f, c, (int64_t[]){2, 2, 1}, BATCH, 0, LEN);
  isc_kv_cache_free(c);
  teardown(&f);
}

ISC_TEST_ON_BOTH(cache, drops_and_repeats_sequences) {
  fixture f = setup(dev);
  isc_kv_cache *c;
  isc_assert_ok(isc_kv_cache_new(f.d, BATCH, 8, &c));
  feed(&f, c, IN_ORDER, BATCH, 0, 4);
  isc_assert_ok(isc_kv_cache_select(c, (int64_t[]){0, 2}, 2));
  feed(&f, c, (int64_t[]){0, 2}, 2, 4, 1);
  isc_assert_ok(isc_kv_cache_select(c, (int64_t[]){1, 0, 1}, 3)); /* 2, 0, 2 of the first batch */
  feed(&f, c, (int64_t[]){2, 0, 2}, 3, 5, 1);
  isc_assert_ok(isc_kv_cache_select(c, (int64_t[]){1}, 1));
  feed(&f, c, (int64_t[]){0}, 1, 6, 1);
  isc_kv_cache_free(c);
  teardown(&f);
}

ISC_TEST_ON_BOTH(cache, refuses_what_does_not_fit) {
  fixture f = setup(dev);
  isc_kv_cache *c, *none;
  isc_tensor *hidden;
  isc_assert_fails(isc_kv_cache_new(f.d, BATCH, 10, &none), ISC_E_SHAPE,
                   "the model has 9 positions");
  isc_assert_ok(isc_kv_cache_new(f.d, 2, 3, &c));
  isc_decoder_input in = {.size = sizeof in, .batch = 2, .len = 4, .ids = f.ids, .cache = c};
  isc_assert_fails(isc_decoder_forward(f.d, f.s, &in, NULL, &hidden), ISC_E_SHAPE,
                   "4 positions do not fit");
  in.batch = 1;
  isc_assert_fails(isc_decoder_forward(f.d, f.s, &in, NULL, &hidden), ISC_E_SHAPE,
                   "holds 2 sequences");
  isc_assert_fails(isc_kv_cache_select(c, (int64_t[]){2}, 1), ISC_E_SHAPE, "no row 2");
  isc_assert_fails(isc_kv_cache_select(c, (int64_t[]){0, 0, 0}, 3), ISC_E_SHAPE, "room for 2");
  in = (isc_decoder_input){.size = sizeof in, .batch = 2, .len = 1, .ids = f.ids, .cache = c};
  isc_step_reset(f.s);
  isc_assert_ok(isc_tape_begin(f.s));
  isc_assert_fails(isc_decoder_forward(f.d, f.s, &in, NULL, &hidden), ISC_E_USAGE, "no gradient");
  isc_decoder_spec other_spec = isc_test_spec();
  other_spec.n_layer = 2;
  isc_decoder *other = isc_test_decoder(dev, &other_spec, 1);
  isc_step_reset(f.s);
  isc_assert_fails(isc_decoder_forward(other, f.s, &in, NULL, &hidden), ISC_E_SHAPE,
                   "another decoder");
  isc_decoder_free(other);
  isc_kv_cache_free(c);
  teardown(&f);
}

/* Every failure on the way out is carried out, and the cache is as it was: the same call then succeeds. */
Test(cache, survives_a_failing_device) {
  isc_device plain = isc_test_plain_device();
  isc_test_wrapper w;
  isc_test_wrap(&w, plain);
  fixture f = setup(&w.device);
  isc_kv_cache *c;
  isc_assert_ok(isc_kv_cache_new(f.d, BATCH, LEN, &c));
  feed(&f, c, IN_ORDER, BATCH, 0, 3);
  for (int64_t at = 1;; at++) {
    isc_decoder_input in = {.size = sizeof in, .batch = BATCH, .len = 0, .ids = f.ids, .cache = c};
    int32_t ids[BATCH];
    for (int b = 0; b < BATCH; b++)
      ids[b] = f.ids[b * LEN + 3];
    in.len = 1;
    in.ids = ids;
    isc_tensor *hidden;
    isc_step_reset(f.s);
    w.n = (isc_test_counts){.fail_at = at};
    isc_status st = isc_decoder_forward(f.d, f.s, &in, NULL, &hidden);
    bool struck = w.n.calls >= at;
    w.n.fail_at = 0;
    if (!struck) {
      isc_assert_ok(st);
      break;
    }
    cr_assert_eq(st, ISC_E_DEVICE, "call %d failed unseen", (int)at);
    cr_assert_eq(isc_kv_cache_len(c), 3);
    cr_assert_lt(at, 1000);
  }
  feed(&f, c, IN_ORDER, BATCH, 4, 3);
  isc_kv_cache_free(c);
  teardown(&f);
}
