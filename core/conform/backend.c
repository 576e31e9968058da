/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of backends: memory, errors, the probe, and the stream that token draws use.
 */
#include "conform/conform.h"
#include <inversescope/tensor.h>
#include <inversescope/text.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory */

enum { BYTES = 100003, PIECE = 4099 };

/* A pattern goes up, a piece is copied, another zeroed, and all comes back. */
static isc_status round_trip(isc_device *dev, char *there, unsigned char *host,
                             unsigned char *back) {
  const isc_backend_ops *ops = dev->ops;
  for (size_t i = 0; i < BYTES; i++)
    host[i] = (unsigned char)(i * 31 + i / 251 + 1);
  ISC_TRY(ops->upload(dev->impl, there, host, BYTES));
  ISC_TRY(ops->copy(dev->impl, there + 50001, there + 3, PIECE));
  ISC_TRY(ops->zero(dev->impl, there + 90001, PIECE));
  ISC_TRY(ops->upload(dev->impl, there, host, 0));
  ISC_TRY(ops->copy(dev->impl, there, there + 500, 0));
  ISC_TRY(ops->zero(dev->impl, there, 0));
  memcpy(host + 50001, host + 3, PIECE);
  memset(host + 90001, 0, PIECE);
  ISC_TRY(ops->download(dev->impl, back, there, BYTES));
  for (size_t i = 0; i < BYTES; i++)
    if (host[i] != back[i])
      return isc_fail(
          ISC_E_INTERNAL,
          "byte %zu of %d is %u after upload, copy of [3, %d) to 50001, zero of %d from "
          "90001 and download; it should be %u",
          i, BYTES, back[i], PIECE + 3, PIECE, host[i]);
  return ISC_OK;
}

static isc_status blocks(isc_device *dev) {
  const size_t sizes[] = {0, 1, 3, 64, 65, 4096, 1000003};
  enum { N = sizeof sizes / sizeof *sizes };
  const isc_backend_ops *ops = dev->ops;
  void *p[N] = {0};
  isc_status st = ISC_OK;
  for (int i = 0; i < N && st == ISC_OK; i++) {
    st = ops->alloc(dev->impl, sizes[i], &p[i]);
    if (st != ISC_OK) break;
    if ((uintptr_t)p[i] % 64 || !p[i])
      st = isc_fail(ISC_E_INTERNAL,
                    "alloc of %zu bytes gave %p; it must be 64-byte aligned and "
                    "not NULL",
                    sizes[i], p[i]);
    for (int j = 0; j < i && st == ISC_OK; j++)
      if ((char *)p[i] < (char *)p[j] + sizes[j] && (char *)p[j] < (char *)p[i] + sizes[i])
        st =
            isc_fail(ISC_E_INTERNAL, "two blocks of %zu and %zu bytes overlap", sizes[j], sizes[i]);
  }
  for (int i = 0; i < N; i++)
    ops->free(dev->impl, p[i]);
  ops->free(dev->impl, NULL);
  return st;
}

static isc_status memory_check(isc_conform *c) {
  isc_device *dev;
  void *there = NULL, *host = NULL, *back = NULL;
  isc_status st = ISC_OK;
  ISC_TRY(isc_conform_device(c, 2, &dev));
  ISC_GO(blocks(dev));
  ISC_GO(isc_malloc(BYTES, "a pattern", &host));
  ISC_GO(isc_malloc(BYTES, "a pattern", &back));
  ISC_GO(dev->ops->alloc(dev->impl, BYTES, &there));
  ISC_GO(round_trip(dev, there, host, back));
done:
  dev->ops->free(dev->impl, there);
  isc_device_close(dev);
  free(host);
  free(back);
  return st;
}

/* ---- running out of memory */

/* `bytes` cannot be had: ISC_E_NOMEM with the number, and nothing in *out. */
static isc_status refused(isc_device *dev, size_t bytes) {
  char number[32];
  void *p = NULL;
  snprintf(number, sizeof number, "%zu", bytes);
  isc_error_clear();
  isc_status got = dev->ops->alloc(dev->impl, bytes, &p);
  if (got == ISC_OK) {
    dev->ops->free(dev->impl, p);
    return isc_fail(ISC_E_INTERNAL, "alloc of %s bytes succeeded", number);
  }
  if (got != ISC_E_NOMEM)
    return isc_fail(ISC_E_INTERNAL, "alloc of %s bytes gave %s; ISC_E_NOMEM is expected", number,
                    isc_status_name(got));
  if (!strstr(isc_error(), number)) {
    char said[256];
    snprintf(said, sizeof said, "%.200s", isc_error());
    return isc_fail(ISC_E_INTERNAL,
                    "alloc of %s bytes failed with \"%s\", which does not name them", number, said);
  }
  return ISC_OK;
}

static isc_status still_usable(isc_device *dev, void **there, unsigned char *host,
                               unsigned char *back) {
  memset(host, 0xA7, BYTES);
  ISC_TRY(dev->ops->alloc(dev->impl, BYTES, there));
  ISC_TRY(dev->ops->upload(dev->impl, *there, host, BYTES));
  ISC_TRY(dev->ops->download(dev->impl, back, *there, BYTES));
  if (memcmp(host, back, BYTES) == 0) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "%d bytes that went up came back changed", BYTES);
}

static isc_status out_of_memory(isc_conform *c) {
  const size_t absurd[] = {SIZE_MAX, SIZE_MAX - 63, SIZE_MAX / 2, (size_t)1 << 55};
  isc_device *dev;
  void *there = NULL, *host = NULL, *back = NULL;
  isc_status st = ISC_OK;
  ISC_TRY(isc_conform_device(c, 2, &dev));
  ISC_GO(isc_malloc(BYTES, "a pattern", &host));
  ISC_GO(isc_malloc(BYTES, "a pattern", &back));
  /* A sanitizer's heap ends the process at sizes that a plain one refuses; those that overflow never get to it. */
  for (size_t i = 0; i < (c->memory ? sizeof absurd / sizeof *absurd : 2); i++)
    ISC_GO(refused(dev, absurd[i]));
  st = still_usable(dev, &there, host, back);
  if (st != ISC_OK) st = isc_fail_in("after allocations that failed");
done:
  dev->ops->free(dev->impl, there);
  isc_device_close(dev);
  free(host);
  free(back);
  return st;
}

/* ---- probe */

enum { ROOM = 160 };

/* What the probe says in n bytes: ended within them, and nothing written behind. */
static isc_status ask(const isc_backend_ops *ops, size_t n, char why[ROOM + 64], isc_status *said) {
  memset(why, 0x5A, ROOM + 64);
  *said = ops->probe(why, n);
  if (!memchr(why, '\0', n))
    return isc_fail(ISC_E_INTERNAL,
                    "probe with room for %zu bytes gave a text that does not end "
                    "in them",
                    n);
  for (size_t i = n; i < ROOM + 64; i++)
    if (why[i] != 0x5A)
      return isc_fail(ISC_E_INTERNAL, "probe with room for %zu bytes wrote byte %zu", n, i);
  return ISC_OK;
}

static isc_status probe(isc_conform *c) {
  const isc_backend_ops *ops = c->cls->ops;
  const size_t rooms[] = {1, 2, 3, 8, 40, ROOM};
  char why[ROOM + 64];
  isc_status first = ISC_OK, said;
  for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
    ISC_TRY(ask(ops, rooms[i], why, &said));
    if (i && said != first)
      return isc_fail(ISC_E_INTERNAL, "probe gives %s with room for %zu bytes and %s with %zu",
                      isc_status_name(first), rooms[0], isc_status_name(said), rooms[i]);
    first = said;
  }
  if (!why[0] || strpbrk(why, "\n\r") || !isc_text_is_utf8(why, strlen(why)))
    return isc_fail(ISC_E_INTERNAL,
                    "probe gives %s and says \"%s\": one line of UTF-8 that names "
                    "the device, or the reason, is expected",
                    isc_status_name(said), why);
  return ISC_OK;
}

/* ---- the stream of token draws */

enum { TOKENS = 4096, DRAWS = 64 };

/* Over equal logits token k is drawn when the uniform lies in [k, k + 1)/4096. */
static isc_status expect_draw(const isc_sample *a, int64_t row) {
  double u = isc_sample_uniform(a->seed, a->index[row], a->draw) * TOKENS;
  if (a->id[row] == (int32_t)floor(u)) return ISC_OK;
  return isc_fail(
      ISC_E_INTERNAL,
      "seed %llu, index %llu, draw %u: token %d of %d equally likely ones was drawn; the "
      "uniform %.9g of isc_sample_uniform gives %d",
      (unsigned long long)a->seed, (unsigned long long)a->index[row], a->draw, a->id[row], TOKENS,
      u / TOKENS, (int)floor(u));
}

static isc_status draw_all(isc_device *dev, float *logits) {
  static const uint64_t seeds[] = {0, 1, 77, UINT64_MAX, (uint64_t)1 << 32};
  static const uint32_t draws[] = {0, 1, 2, 3, 1000, 0x7FFFFFFF};
  uint64_t index[DRAWS];
  int32_t id[DRAWS];
  double logp[DRAWS] = {0};
  for (int i = 0; i < DRAWS; i++)
    index[i] = i < 32 ? (uint64_t)i : (uint64_t)1 << i;
  for (size_t s = 0; s < sizeof seeds / sizeof *seeds; s++)
    for (size_t d = 0; d < sizeof draws / sizeof *draws; d++) {
      isc_sample a = {.rows = DRAWS,
                      .vocab = TOKENS,
                      .logits = logits,
                      .temperature = 1,
                      .seed = seeds[s],
                      .index = index,
                      .draw = draws[d],
                      .id = id,
                      .logp = logp};
      ISC_TRY(dev->ops->sample(dev->impl, &a));
      for (int64_t i = 0; i < DRAWS; i++)
        ISC_TRY(expect_draw(&a, i));
    }
  return ISC_OK;
}

static isc_status sample_uniform(isc_conform *c) {
  const size_t bytes = (size_t)DRAWS * TOKENS * sizeof(float);
  isc_device *dev;
  void *logits = NULL;
  isc_status st = ISC_OK;
  ISC_TRY(isc_conform_device(c, 2, &dev));
  ISC_GO(dev->ops->alloc(dev->impl, bytes, &logits));
  ISC_GO(dev->ops->zero(dev->impl, logits, bytes));
  ISC_GO(draw_all(dev, logits));
done:
  dev->ops->free(dev->impl, logits);
  isc_device_close(dev);
  return st;
}

#define ENTRY(name, rule, advice, run)                                                             \
  { "backend." name, ISC_OF(ISC_BACKEND), ISC_PER_CASE, 20, rule, advice, run }
const isc_check isc_checks_backend[] = {
    ENTRY("probe",
          "probe gives a status and one line that says why, within the room it was given, the same "
          "each time.",
          "Use snprintf with n, and fill in the reason on failure too: it is what `device = "
          "\"auto\"` reports.",
          probe),
    ENTRY("memory",
          "Blocks are 64-byte aligned and apart, of any size from 0; upload, copy, zero and "
          "download move exactly the bytes asked for.",
          "Round the size up before allocating, give a size of 0 a block too, and make download "
          "wait for what was asked before.",
          memory_check),
    ENTRY("out-of-memory",
          "An allocation that cannot be had gives ISC_E_NOMEM naming the bytes, and the device "
          "stays usable.",
          "Check for overflow before rounding a size up, and clear a sticky error of the driver's.",
          out_of_memory),
    ENTRY("sample-uniform",
          "Token draws use the uniform of isc_sample_uniform for every seed, index and draw.",
          "Take all 64 bits of seed and index, and the first uniform of block `draw`.",
          sample_uniform),
    {0}};
