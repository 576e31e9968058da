/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of cosines and sines for rotary positions.
 *
 * Angles are products of f32 numbers rounded to f32, because that is how these models are defined and were trained; only the
 * cosine and sine themselves are better. A table grows with the longest sequence seen: config files promise 131,072
 * positions where prompts have a few dozen.
 */
#include "base/base.h"
#include "model/decoder_internal.h"
#include <math.h>
#include <stdlib.h>

enum { FIRST_POSITIONS = 256 };

/* Long wavelengths are stretched, short ones kept, and those between are mixed. */
static double llama3(const isc_decoder_spec *s, double frequency) {
  const double turns = s->rope_original * frequency / (2 * M_PI);
  if (turns < s->rope_low) return frequency / s->rope_factor;
  if (turns > s->rope_high) return frequency;
  const double kept = (turns - s->rope_low) / (s->rope_high - s->rope_low);
  return (1 - kept) * frequency / s->rope_factor + kept * frequency;
}

/* The pair, counted with fractions, that turns so many times within the texts of training. */
static double pair_of(const isc_decoder_spec *s, int64_t d_rot, double turns) {
  return (double)d_rot * log(s->rope_original / (turns * 2 * M_PI)) / (2 * log(s->rope_theta));
}

/* As llama3, but the mixture goes by the pair's place. */
static double yarn(const isc_decoder_spec *s, int64_t j, int64_t d_rot, double frequency) {
  double first = pair_of(s, d_rot, s->rope_high), last = pair_of(s, d_rot, s->rope_low);
  if (!s->rope_exact) {
    first = floor(first);
    last = ceil(last);
  }
  first = fmax(first, 0);
  last = fmin(last, (double)(d_rot - 1));
  if (first == last) last += 0.001;
  const double stretched = fmin(fmax(((double)j - first) / (last - first), 0), 1);
  return stretched * frequency / s->rope_factor + (1 - stretched) * frequency;
}

static double scaled(const isc_decoder_spec *s, int64_t j, int64_t d_rot, double frequency) {
  switch (s->rope_scaling) {
  case ISC_ROPE_LINEAR:
    return frequency / s->rope_factor;
  case ISC_ROPE_LLAMA3:
    return llama3(s, frequency);
  case ISC_ROPE_YARN:
    return yarn(s, j, d_rot, frequency);
  case ISC_ROPE_FACTORS:
    return frequency / (double)s->rope_factors[j];
  case ISC_ROPE_PLAIN:
    break;
  }
  return frequency;
}

static float frequency(const isc_decoder_spec *s, const isc_rotary_tables *t, int64_t j,
                       int64_t d_rot) {
  const double plain = (float)pow(t->theta, -2.0 * (double)j / (double)d_rot);
  return (float)(t->scaled ? scaled(s, j, d_rot, plain) : plain);
}

/* What cosines and sines are multiplied by. */
static double attention(const isc_decoder_spec *s, const isc_rotary_tables *t) {
  const bool given = t->scaled && s->rope_scaling == ISC_ROPE_YARN && s->rope_attention != 0;
  return given ? s->rope_attention : 1;
}

static isc_status fill(isc_decoder *d, const isc_rotary_tables *t, int64_t positions, int64_t half,
                       isc_tensor *cosines, isc_tensor *sines) {
  const size_t n = (size_t)(positions * half);
  const double size = attention(&d->spec, t);
  isc_status st = ISC_OK;
  float *c = NULL, *s = NULL;
  ISC_GO(isc_calloc(n, sizeof *c, "rotary positions", (void **)&c));
  ISC_GO(isc_calloc(n, sizeof *s, "rotary positions", (void **)&s));
  for (int64_t j = 0; j < half; j++) {
    const float f = frequency(&d->spec, t, j, 2 * half);
    for (int64_t p = 0; p < positions; p++) {
      const float angle = (float)p * f;
      c[p * half + j] = (float)(size * cos((double)angle));
      s[p * half + j] = (float)(size * sin((double)angle));
    }
  }
  ISC_GO(d->dev->ops->upload(d->dev->impl, cosines->data, c, n * sizeof *c));
  ISC_GO(d->dev->ops->upload(d->dev->impl, sines->data, s, n * sizeof *s));
done:
  free(c);
  free(s);
  return st;
}

static isc_status grow(isc_decoder *d, isc_rotary_tables *t, int64_t positions) {
  const int64_t half = (d->spec.d_rot ? d->spec.d_rot : d->spec.d_head) / 2;
  const int64_t shape[] = {positions, half};
  isc_tensor cosines = {0}, sines = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_tensor_alloc(d->dev, 2, shape, &cosines));
  ISC_GO(isc_tensor_alloc(d->dev, 2, shape, &sines));
  ISC_GO(fill(d, t, positions, half, &cosines, &sines));
  isc_rotary_tables_free(d->dev, t);
  t->cos = cosines;
  t->sin = sines;
  return ISC_OK;
done:
  isc_tensor_release(d->dev, &cosines);
  isc_tensor_release(d->dev, &sines);
  return st;
}

isc_status isc_decoder_rotary(isc_decoder *d, int64_t layer, int64_t positions,
                              isc_rotary_tables **out) {
  const bool windowed = isc_spec_windowed(&d->spec, layer);
  isc_rotary_tables *t = &d->rotary[windowed];
  const double theta = windowed ? d->spec.rope_theta_window : 0;
  t->theta = theta != 0 ? theta : d->spec.rope_theta;
  t->scaled = theta == 0;
  *out = t;
  if (t->cos.data && t->cos.shape[0] >= positions) return ISC_OK;
  int64_t room = t->cos.data ? 2 * t->cos.shape[0] : FIRST_POSITIONS;
  while (room < positions)
    room *= 2;
  return grow(d, t, room < d->spec.n_ctx ? room : d->spec.n_ctx);
}

void isc_rotary_tables_free(isc_device *dev, isc_rotary_tables *t) {
  isc_tensor_release(dev, &t->cos);
  isc_tensor_release(dev, &t->sin);
}
