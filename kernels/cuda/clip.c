/* SPDX-License-Identifier: Apache-2.0
 *
 * The norm over all gradients and what clips them, found on the device and left there for the update.
 */
#include "cuda_backend.h"
#include <stdlib.h>

/* The pieces of as many arrays as a launch's arguments have room for. */
static isc_status clip_some(cuda *c, clip_args *a) {
  const cuda_size threads = {.x = SQUARES_THREADS};
  if (a->pieces > 0)
    ISC_TRY(CUDA_LAUNCH(c, clip_squares, ((cuda_size){.x = a->pieces}), threads, 0, a));
  a->first += a->pieces;
  a->pieces = 0;
  a->count = 0;
  return ISC_OK;
}

static isc_status clip_pieces(cuda *c, const isc_clip *clip, const int64_t *first, double *part) {
  clip_args a = {.part = part};
  for (int64_t i = 0; i < clip->count; i++) {
    if (first[i] == first[i + 1]) continue;
    a.tensor[a.count++] = (clip_tensor){clip->n[i], first[i], clip->x[i]};
    a.pieces += first[i + 1] - first[i];
    if (a.count == CLIP_TENSORS) ISC_TRY(clip_some(c, &a));
  }
  return clip_some(c, &a);
}

static isc_status clip_with(cuda *c, const isc_clip *clip, int64_t *first) {
  const int64_t n = clip->count;
  const cuda_size threads = {.x = SQUARES_THREADS}, one = {.x = 1};
  const void *places;
  void *part;
  first[0] = 0;
  for (int64_t i = 0; i < n; i++)
    first[i + 1] = first[i] + (clip->n[i] > 0 ? cuda_ceil(clip->n[i], SQUARES_PIECE) : 0);
  ISC_TRY(cuda_scratch(c, CUDA_OUTER, (size_t)(first[n] + 1) * sizeof(double), &part));
  ISC_TRY(clip_pieces(c, clip, first, part));
  ISC_TRY(cuda_argument(c, first, (size_t)(n + 1) * sizeof *first, &places));
  const clip_end_args a = {
      .count = n, .first = places, .part = part, .out = clip->out, .most = clip->most};
  if (n > 0) ISC_TRY(CUDA_LAUNCH(c, clip_sums, ((cuda_size){.x = n}), threads, 0, &a));
  return CUDA_LAUNCH(c, clip_end, one, ((cuda_size){.x = CLIP_THREADS}), 0, &a);
}

isc_status cuda_clip(cuda *c, const isc_clip *clip) {
  const size_t bytes = ((size_t)clip->count + 1) * sizeof(int64_t);
  int64_t *first = malloc(bytes);
  if (!first) return isc_fail(ISC_E_NOMEM, "clip: no host memory for %zu bytes", bytes);
  const isc_status st = clip_with(c, clip, first);
  free(first);
  return st;
}
