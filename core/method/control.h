/* SPDX-License-Identifier: Apache-2.0
 *
 * The control layers and site projections that steer a frozen decoder by an activation (paper 3.1, C.2).
 *
 * Block ℓ gets h + Control_ℓ(h, ẑ') right after its self-attention's residual add:
 *   ẑ' = S_site ẑ + s̄_site, through residual blocks ẑ' + W₂ gelu(W₁ LN(ẑ')) where there are any;  per head m: ω_m = tanh(scale·⟨Q_m LN(h) + q̄_m, K_m ẑ' + k̄_m⟩);
 *   Control = Σ_m ω_m (V_m ẑ' + v̄_m).
 * One key serves all positions of a sequence, so the scores are taken as ⟨LN(h), u_m⟩ + c_m with
 * u_m = Q_mᵀk_m and c_m = ⟨q̄_m, k_m⟩, once per condition. One thread.
 */
#ifndef ISC_CORE_CONTROL_H
#define ISC_CORE_CONTROL_H

#include <inversescope/decoder.h>
#include <inversescope/method.h>

typedef enum isc_control_value {
  ISC_VALUE_FULL,     /* V_m maps ẑ' to d_model (the paper)                         */
  ISC_VALUE_PROJECTED /* V_m maps to head_dim, an output matrix from there to d_model */
} isc_control_value;

/* What is done to ẑ before its site's projection. */
typedef enum isc_condition_norm {
  ISC_CONDITION_NONE,     /* nothing (the paper)                                   */
  ISC_CONDITION_RMS,      /* divided by the site's root mean square over training  */
  ISC_CONDITION_LAYERNORM /* layer norm without gain and bias: drops ‖ẑ‖           */
} isc_condition_norm;

typedef struct isc_control_spec {
  int64_t n_layer, d_model, heads, head_dim;
  isc_control_value value;
  isc_condition_norm normalise;
  double score_scale;
  int64_t blocks; /* residual blocks behind the site projections; 0 = none (the paper) */
  isc_params *
      with; /* NULL, or the parameters of the decoder to be trained along: the layers' are added to them, and
                       they must outlive the layers */
  const isc_site *sites; /* [n_sites] names and dims are read, at creation only */
  int64_t n_sites;
} isc_control_spec;

typedef struct isc_control_layer {
  isc_param *ln_weight, *ln_bias; /* [d_model]                                        */
  isc_param *q, *q_bias;          /* [heads, head_dim, d_model], [heads, head_dim]    */
  isc_param *k, *k_bias;          /* [d_z, heads·head_dim], [heads·head_dim]          */
  isc_param *v, *v_bias;          /* [d_z, heads·n], [heads·n], n = d_model or head_dim */
  isc_param *o;                   /* [heads, head_dim, d_model] when projected, else NULL */
} isc_control_layer;

/* What the sites share of reading ẑ', once per condition. */
typedef struct isc_control_block {
  isc_param *ln_weight, *ln_bias; /* [d_z]                   */
  isc_param *in, *in_bias;        /* [d_z, 4·d_z], [4·d_z]   */
  isc_param *out, *out_bias;      /* [4·d_z, d_z], [d_z]     */
} isc_control_block;

/* Parameter groups: a decoder's own, control layers, site projections. */
enum { ISC_GROUP_BACKBONE = 0, ISC_GROUP_CONTROL = 1, ISC_GROUP_SITES = 2 };

typedef struct isc_control_layers {
  isc_device *device;
  isc_control_spec spec;    /* spec.sites is not kept                                        */
  int64_t d_z;              /* the common latent's width: the largest site's dim             */
  isc_params *params;       /* spec.with, or the layers' own                                 */
  int64_t first;            /* of params: those before it are the decoder's                  */
  isc_control_layer *layer; /* [n_layer]                                            */
  isc_control_block *block; /* [blocks]                                             */
  isc_tensor **site_w,
      **site_b;          /* [n_sites] of [d_z, d_z], [d_z]; a site's rows beyond its dim are 0
                                     and, as they meet zeros, stay so                     */
  int64_t *site_dim;     /* [n_sites]                                            */
  isc_params *constants; /* one parameter, never trained:                        */
  isc_param *scale;      /* [n_sites] what ẑ of a site is multiplied by: 1/RMS or 1 */
  float *host_scale;     /* [n_sites] the same on the host                       */
} isc_control_layers;

/* Zero weights, scales 1. */
ISC_API isc_status isc_control_layers_new(isc_device *dev, const isc_control_spec *spec,
                                          isc_control_layers **out);
ISC_API void isc_control_layers_free(isc_control_layers *l);
/* Kaiming-normal weights, biases 0, V and v̄ 0: at first the decoder is as if alone. Blocks begin as the identity. */
ISC_API isc_status isc_control_layers_init(isc_control_layers *l, uint64_t seed);
/* Set the sites' scales, host [n_sites]. */
ISC_API isc_status isc_control_layers_set_scale(isc_control_layers *l, const float *scale);
/* Weights, those of spec.with too, and constants to and from one file. */
ISC_API isc_status isc_control_layers_save(isc_control_layers *l, const char *path);
ISC_API isc_status isc_control_layers_load(isc_control_layers *l, const char *path);

/* What a batch of conditions is to one layer. */
typedef struct isc_control_condition {
  isc_tensor *u, *v; /* [batch, heads, d_model] */
  isc_tensor *c;     /* [batch, heads]          */
} isc_control_condition;

/* cond[n_layer] of z [batch, d_z]: scaled activations, zero beyond their site's dim, sorted by site; site g has rows
 * [start[g], start[g+1]), start host [n_sites + 1]. */
ISC_API isc_status isc_control_layers_condition(isc_control_layers *l, isc_step *s, isc_tensor *z,
                                                const int64_t *start, isc_control_condition *cond);

/* The tap that adds the control. It and what it points to must outlive the forward pass. The pass's rows are cut evenly
 * among the conditions, in order: a condition's are the positions of its sequence, or of several sequences in a row. */
typedef struct isc_control_tap {
  isc_control_layers *layers;
  const isc_control_condition *cond; /* [n_layer]                                           */
  isc_tensor **omega;                /* [n_layer] gets the scores [batch, len, heads]; or NULL */
} isc_control_tap;
ISC_API isc_taps isc_control_taps(isc_control_tap *tap);

#endif
