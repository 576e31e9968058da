/* SPDX-License-Identifier: Apache-2.0
 *
 * What a decoder's spec may say.
 *
 * It may come from a stranger's config.json, so its numbers are bounded before anything is multiplied or
 * allocated, and choices that no pass could honour are refused by name.
 */
#include "base/base.h"
#include "model/decoder_internal.h"
#include <math.h>
#include <stdio.h>

/* Generous limits that keep every product of two within int64_t. */
enum { MAX_LAYERS = 1 << 14, MAX_HEADS = 1 << 16, MAX_WIDTH = 1 << 24, MAX_VOCAB = 1 << 28 };

static isc_status check_range(const char *name, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return ISC_OK;
  return isc_fail(ISC_E_SHAPE, "a decoder's %s is %lld; it must be %lld to %lld", name,
                  (long long)value, (long long)min, (long long)max);
}

static isc_status check_shape(const isc_decoder_spec *s) {
  ISC_TRY(check_range("n_layer", s->n_layer, 1, MAX_LAYERS));
  ISC_TRY(check_range("n_head", s->n_head, 1, MAX_HEADS));
  ISC_TRY(check_range("d_model", s->d_model, 1, MAX_WIDTH));
  ISC_TRY(check_range("d_head", s->d_head, 1, MAX_WIDTH));
  ISC_TRY(check_range("n_head * d_head", s->n_head * s->d_head, 1, MAX_WIDTH));
  ISC_TRY(check_range("d_mlp", s->d_mlp, 1, MAX_WIDTH));
  ISC_TRY(check_range("vocab", s->vocab, 1, MAX_VOCAB));
  ISC_TRY(check_range("n_ctx", s->n_ctx, 1, MAX_VOCAB));
  ISC_TRY(check_range("n_kv_head", s->n_kv_head, 0, s->n_head));
  ISC_TRY(check_range("window", s->window, 0, INT64_MAX));
  ISC_TRY(check_range("full_every", s->full_every, 0, MAX_LAYERS));
  if (s->n_kv_head && s->n_head % s->n_kv_head)
    return isc_fail(ISC_E_SHAPE, "a decoder's n_head %lld is not a multiple of its n_kv_head %lld",
                    (long long)s->n_head, (long long)s->n_kv_head);
  return ISC_OK;
}

static isc_status check_number(const char *name, double value) {
  if (value >= 0 && isfinite(value)) return ISC_OK;
  return isc_fail(ISC_E_SHAPE, "a decoder's %s is %g; it must be finite and not below 0", name,
                  value);
}

static isc_status check_numbers(const isc_decoder_spec *s) {
  if (!(s->norm_eps >= 0) || !isfinite(s->attn_scale))
    return isc_fail(ISC_E_SHAPE,
                    "a decoder's norm_eps is %g and attn_scale %g; both must be finite",
                    s->norm_eps, s->attn_scale);
  ISC_TRY(check_number("embed_scale", s->embed_scale));
  ISC_TRY(check_number("attn_soft_cap", s->attn_soft_cap));
  return check_number("logit_soft_cap", s->logit_soft_cap);
}

static isc_status check_factors(const isc_decoder_spec *s, int64_t n) {
  ISC_TRY(check_range("number of rope_factors", n, 1, ISC_ROPE_MAX_FACTORS));
  for (int64_t j = 0; j < n; j++)
    if (!(s->rope_factors[j] > 0) || !isfinite(s->rope_factors[j]))
      return isc_fail(ISC_E_SHAPE, "a decoder's rope_factors[%lld] is %g; it must be above 0",
                      (long long)j, (double)s->rope_factors[j]);
  return ISC_OK;
}

static isc_status check_yarn(const isc_decoder_spec *s) {
  ISC_TRY(check_number("rope_attention", s->rope_attention));
  if (s->rope_theta > 1) return ISC_OK;
  return isc_fail(ISC_E_SHAPE, "a decoder's rope_theta is %g; YaRN needs one above 1",
                  s->rope_theta);
}

static isc_status check_rotary(const isc_decoder_spec *s) {
  if (s->positions != ISC_ROTARY) return ISC_OK;
  const int64_t d_rot = s->d_rot ? s->d_rot : s->d_head;
  ISC_TRY(check_range("d_rot", d_rot, 2, s->d_head));
  if (d_rot % 2)
    return isc_fail(ISC_E_SHAPE, "a decoder's d_rot is %lld; rotary positions turn pairs",
                    (long long)d_rot);
  if (!(s->rope_theta > 0) || !isfinite(s->rope_theta))
    return isc_fail(ISC_E_SHAPE, "a decoder's rope_theta is %g; it must be above 0", s->rope_theta);
  ISC_TRY(check_number("rope_theta_window", s->rope_theta_window));
  if (s->rope_scaling == ISC_ROPE_PLAIN) return ISC_OK;
  if (s->rope_scaling == ISC_ROPE_FACTORS) return check_factors(s, d_rot / 2);
  if (!(s->rope_factor > 0) || !isfinite(s->rope_factor))
    return isc_fail(ISC_E_SHAPE, "a decoder's rope_factor is %g; it must be above 0",
                    s->rope_factor);
  if (s->rope_scaling == ISC_ROPE_LINEAR) return ISC_OK;
  if (!(s->rope_low > 0 && s->rope_high > s->rope_low && s->rope_original > 0) ||
      !isfinite(s->rope_high) || !isfinite(s->rope_original))
    return isc_fail(ISC_E_SHAPE,
                    "a decoder's rope_low is %g, rope_high %g and rope_original %g; 0 < low < high "
                    "and 0 < original are needed",
                    s->rope_low, s->rope_high, s->rope_original);
  return s->rope_scaling == ISC_ROPE_YARN ? check_yarn(s) : ISC_OK;
}

static isc_status check_choices(const isc_decoder_spec *s) {
  ISC_TRY(check_range("norm", s->norm, ISC_LAYERNORM, ISC_RMSNORM));
  ISC_TRY(check_range("positions", s->positions, ISC_LEARNED, ISC_ROTARY));
  ISC_TRY(check_range("mlp", s->mlp, ISC_MLP_PLAIN, ISC_MLP_GATED));
  ISC_TRY(check_range("rope_scaling", s->rope_scaling, ISC_ROPE_PLAIN, ISC_ROPE_FACTORS));
  ISC_TRY(check_range("weights", s->weights, ISC_F32, ISC_BF16));
  if (s->post_norms && s->norm != ISC_RMSNORM)
    return isc_fail(ISC_E_UNSUPPORTED, "a decoder with post_norms must have RMS norms");
  return ISC_OK;
}

isc_status isc_decoder_spec_check(const isc_decoder_spec *s) {
  ISC_TRY(check_shape(s));
  ISC_TRY(check_numbers(s));
  ISC_TRY(check_choices(s));
  return check_rotary(s);
}

/* Only of a decoder that has it, so that the texts of others are what they were. */
static void yarn_text(const isc_decoder_spec *s, char *text, size_t n) {
  text[0] = '\0';
  if (s->rope_scaling == ISC_ROPE_YARN)
    snprintf(text, n, " yarn %.17g %d", s->rope_attention, s->rope_exact);
}

void isc_decoder_spec_text(const isc_decoder_spec *s, char *text, size_t n) {
  char yarn[40];
  yarn_text(s, yarn, sizeof yarn);
  size_t at = (size_t)snprintf(
      text, n, "%lld %lld %lld %lld %lld %lld %lld act %d eps %.17g scale %.17g %d %d",
      (long long)s->n_layer, (long long)s->n_head, (long long)s->d_model, (long long)s->d_head,
      (long long)s->d_mlp, (long long)s->vocab, (long long)s->n_ctx, (int)s->act, s->norm_eps,
      s->attn_scale, s->scale_by_layer, s->untied_head);
  if (at >= n) return;
  snprintf(text + at, n - at,
           " kv %lld norm %d pos %d mlp %d bias %d%d%d post %d heads %d out_in %d embed %.17g caps "
           "%.17g %.17g window %lld %lld rot %lld theta %.17g %.17g rope %d %.17g %.17g %.17g "
           "%.17g dtype %d%s",
           (long long)s->n_kv_head, (int)s->norm, (int)s->positions, (int)s->mlp, s->no_qkv_bias,
           s->no_attn_out_bias, s->no_mlp_bias, s->post_norms, s->head_norms, s->out_in,
           s->embed_scale, s->attn_soft_cap, s->logit_soft_cap, (long long)s->window,
           (long long)s->full_every, (long long)s->d_rot, s->rope_theta, s->rope_theta_window,
           (int)s->rope_scaling, s->rope_factor, s->rope_low, s->rope_high, s->rope_original,
           (int)s->weights, yarn);
}
