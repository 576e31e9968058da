/* SPDX-License-Identifier: Apache-2.0
 *
 * The one call a forward pass makes at each named place: capture, replace, stop.
 *
 * A pass without taps must cost nothing here, so everything is a pointer test until somebody asks.
 */
#include <inversescope/decoder.h>

isc_status isc_tap(const isc_taps *taps, isc_step *s, isc_place place, int64_t layer, isc_tensor *x,
                   isc_tensor **out) {
  *out = x;
  if (!taps || !taps->at) return ISC_OK;
  if (taps->wants && !taps->wants(taps->user, place, layer)) return ISC_OK;
  return taps->at(taps->user, s, place, layer, x, out);
}

bool isc_tap_stops(const isc_taps *taps, isc_place place, int64_t layer) {
  return taps && taps->stop_layer >= 0 && taps->stop_layer == layer && taps->stop_place == place;
}
