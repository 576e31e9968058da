/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings that families of models share in their config.json.
 *
 * The same thing is spelt in several ways over the years of the hub; whatever the spelling, a setting that changes
 * numbers and that the decoder cannot honour is refused by name.
 */
#include "base/base.h"
#include "model/decoder_internal.h"
#include <inversescope/decoder_family.h>
#include <math.h>
#include <string.h>

enum { MAX_SIZE = 1 << 24 };

isc_status isc_config_size(const isc_json *j, const char *key, int64_t or_else, int64_t *out) {
  return or_else ? isc_json_int_or(j, key, 1, MAX_SIZE, or_else, out)
                 : isc_json_int(j, key, 1, MAX_SIZE, out);
}

isc_status isc_config_act(const isc_json *j, const char *key, const char *or_else, isc_act *out) {
  const char *name, *known;
  ISC_TRY(isc_json_string_or(j, key, or_else, &name));
  if (!name) return isc_fail(ISC_E_FORMAT, "%s: \"%s\" is missing", isc_json_path(j), key);
  if (isc_decoder_act(name, out, &known)) return ISC_OK;
  return isc_fail(ISC_E_UNSUPPORTED, "%s: %s \"%s\" is not one of %s", isc_json_path(j), key, name,
                  known);
}

/* ---- rotary positions */

static isc_status positive(const isc_json *j, const char *key, double *out) {
  ISC_TRY(isc_json_float_or(j, key, NAN, out));
  if (*out > 0 && isfinite(*out)) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: \"%s\" must be there, a number above 0", isc_json_path(j),
                  key);
}

/* The length of the texts of training: beside the rotary settings in some files, in them in others, or left to be the longest
 * that the model takes. */
static isc_status read_original(const isc_json *whole, const isc_json *j, isc_decoder_spec *s) {
  static const char key[] = "original_max_position_embeddings";
  double longest;
  ISC_TRY(isc_json_float_or(whole, "max_position_embeddings", NAN, &longest));
  ISC_TRY(isc_json_float_or(j, key, longest, &s->rope_original));
  ISC_TRY(isc_json_float_or(whole, key, s->rope_original, &s->rope_original));
  if (s->rope_original > 0 && isfinite(s->rope_original)) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: \"%s\" must be there, a number above 0", isc_json_path(j),
                  key);
}

static isc_status read_llama3(const isc_json *whole, const isc_json *j, isc_decoder_spec *s) {
  s->rope_scaling = ISC_ROPE_LLAMA3;
  ISC_TRY(positive(j, "factor", &s->rope_factor));
  ISC_TRY(positive(j, "low_freq_factor", &s->rope_low));
  ISC_TRY(positive(j, "high_freq_factor", &s->rope_high));
  return read_original(whole, j, s);
}

/* 0 and null are the default. */
static isc_status read_turns(const isc_json *j, const char *key, double or_else, double *out) {
  ISC_TRY(isc_json_float_or(j, key, or_else, out));
  if (*out == 0) *out = or_else;
  return ISC_OK;
}

static double temperature(double factor, double scale) {
  return factor > 1 ? 0.1 * scale * log(factor) + 1 : 1;
}

/* What makes up for attention spread over longer texts: given, or by the factor. */
static isc_status read_attention(const isc_json *j, isc_decoder_spec *s) {
  double scale, all;
  ISC_TRY(isc_json_float_or(j, "mscale", 0, &scale));
  ISC_TRY(isc_json_float_or(j, "mscale_all_dim", 0, &all));
  const double by_factor =
      scale != 0 && all != 0 ? temperature(s->rope_factor, scale) / temperature(s->rope_factor, all)
                             : temperature(s->rope_factor, 1);
  ISC_TRY(isc_json_float_or(j, "attention_factor", by_factor, &s->rope_attention));
  if (s->rope_attention > 0 && isfinite(s->rope_attention)) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: the attention factor is %g; it must be above 0",
                  isc_json_path(j), s->rope_attention);
}

static isc_status read_yarn(const isc_json *whole, const isc_json *j, isc_decoder_spec *s) {
  bool truncate;
  s->rope_scaling = ISC_ROPE_YARN;
  ISC_TRY(positive(j, "factor", &s->rope_factor));
  ISC_TRY(read_original(whole, j, s));
  ISC_TRY(read_turns(j, "beta_fast", 32, &s->rope_high));
  ISC_TRY(read_turns(j, "beta_slow", 1, &s->rope_low));
  ISC_TRY(isc_json_bool_or(j, "truncate", true, &truncate));
  s->rope_exact = !truncate;
  return read_attention(j, s);
}

/* The object with a type and its numbers; NULL = nothing is scaled. */
static isc_status read_scaling(const isc_json *whole, const isc_json *j, isc_decoder_spec *s) {
  const char *old, *type;
  if (!j) return ISC_OK;
  ISC_TRY(isc_json_string_or(j, "type", "default", &old)); /* the key before rope_type */
  ISC_TRY(isc_json_string_or(j, "rope_type", old, &type));
  if (strcmp(type, "default") == 0) return ISC_OK;
  if (strcmp(type, "llama3") == 0) return read_llama3(whole, j, s);
  if (strcmp(type, "yarn") == 0) return read_yarn(whole, j, s);
  if (strcmp(type, "linear") == 0) {
    s->rope_scaling = ISC_ROPE_LINEAR;
    return positive(j, "factor", &s->rope_factor);
  }
  return isc_fail(ISC_E_UNSUPPORTED,
                  "%s: rope_type \"%s\" is not one of default, linear, llama3, yarn: the "
                  "activations would be wrong",
                  isc_json_path(j), type);
}

static isc_status read_theta(const isc_json *j, double or_else, double *out) {
  ISC_TRY(isc_json_float_or(j, "rope_theta", or_else, out));
  if (*out > 0 && isfinite(*out)) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: \"rope_theta\" is %g; it must be above 0", isc_json_path(j),
                  *out);
}

static isc_status check_whole(const isc_json *j) {
  double share;
  ISC_TRY(isc_json_float_or(j, "partial_rotary_factor", 1, &share));
  if (share == 1) return ISC_OK;
  return isc_fail(ISC_E_UNSUPPORTED,
                  "%s: partial_rotary_factor is %g; only whole heads are turned here",
                  isc_json_path(j), share);
}

/* {"full_attention": {…}, "sliding_attention": {…}} */
static isc_status read_rope_by_layer(const isc_json *whole, isc_json *both, isc_json *full,
                                     isc_decoder_spec *s) {
  isc_decoder_spec window = {.size = sizeof window};
  isc_json *sliding;
  ISC_TRY(isc_json_object(both, "sliding_attention", &sliding));
  ISC_TRY(read_theta(full, 10000, &s->rope_theta));
  ISC_TRY(read_scaling(whole, full, s));
  if (!sliding) return ISC_OK;
  ISC_TRY(read_theta(sliding, 10000, &s->rope_theta_window));
  ISC_TRY(read_scaling(whole, sliding, &window));
  if (window.rope_scaling == ISC_ROPE_PLAIN) return ISC_OK;
  return isc_fail(ISC_E_UNSUPPORTED,
                  "%s: positions of layers with a window are scaled; only those of the others can "
                  "be",
                  isc_json_path(sliding));
}

isc_status isc_config_rope(isc_json *j, isc_decoder_spec *s) {
  isc_json *now, *before, *full = NULL;
  s->positions = ISC_ROTARY;
  ISC_TRY(check_whole(j));
  ISC_TRY(isc_json_object(j, "rope_parameters", &now));
  ISC_TRY(isc_json_object(j, "rope_scaling", &before));
  if (now) ISC_TRY(isc_json_object(now, "full_attention", &full));
  if (full) return read_rope_by_layer(j, now, full, s);
  if (now) ISC_TRY(check_whole(now));
  ISC_TRY(read_theta(j, 10000, &s->rope_theta));
  if (now) ISC_TRY(read_theta(now, s->rope_theta, &s->rope_theta));
  ISC_TRY(isc_json_float_or(j, "rope_local_base_freq", 0, &s->rope_theta_window));
  return read_scaling(j, now ? now : before, s);
}

/* ---- windows */

static bool is_full(const isc_json *j, int64_t layer) {
  return strcmp(isc_json_string_at(j, "layer_types", layer), "full_attention") == 0;
}

static isc_status check_layer_type(const isc_json *j, int64_t layer) {
  const char *type = isc_json_string_at(j, "layer_types", layer);
  if (is_full(j, layer) || strcmp(type, "sliding_attention") == 0) return ISC_OK;
  return isc_fail(ISC_E_UNSUPPORTED,
                  "%s: layer_types has \"%s\"; full_attention and sliding_attention are supported",
                  isc_json_path(j), type);
}

/* The n of "every n-th layer attends to all" that layer_types says; 0: none does. */
static isc_status read_pattern(const isc_json *j, int64_t n_layer, int64_t *every) {
  int64_t first = 0;
  for (int64_t i = 0; i < n_layer; i++)
    ISC_TRY(check_layer_type(j, i));
  while (first < n_layer && !is_full(j, first))
    first++;
  *every = first < n_layer ? first + 1 : 0;
  for (int64_t i = 0; i < n_layer; i++)
    if (is_full(j, i) != (*every > 0 && (i + 1) % *every == 0))
      return isc_fail(ISC_E_UNSUPPORTED,
                      "%s: layer_types does not alternate regularly: by the first full_attention "
                      "every %lld-th layer should have it, and layer %lld breaks that",
                      isc_json_path(j), (long long)*every, (long long)i);
  return ISC_OK;
}

isc_status isc_config_windows(const isc_json *j, int64_t full_every, isc_decoder_spec *s) {
  int64_t types;
  ISC_TRY(isc_json_int_or(j, "sliding_window", 1, INT64_MAX, 0, &s->window));
  ISC_TRY(isc_json_strings(j, "layer_types", &types));
  s->full_every = full_every;
  if (s->window == 0 || types == 0) return ISC_OK;
  if (types != s->n_layer)
    return isc_fail(ISC_E_FORMAT, "%s: layer_types has %lld entries for %lld layers",
                    isc_json_path(j), (long long)types, (long long)s->n_layer);
  return read_pattern(j, s->n_layer, &s->full_every);
}
