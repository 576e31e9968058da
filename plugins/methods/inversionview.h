/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the method inversionview share: its settings, its network, and how a condition enters the decoder.
 *
 * All trained parameters are one set, the decoder's, so that one file and one checkpoint hold them. One thread.
 */
#ifndef INVERSIONVIEW_H
#define INVERSIONVIEW_H

#include <inversescope/decoding.h>
#include <inversescope/dropout.h>
#include <inversescope/method.h>
#include <inversescope/training_loop.h>

enum { IV_SLOT, IV_CROSS_ATTENTION };                                    /* conf.variant  */
enum { IV_FIXED, IV_ANY };                                               /* conf.position */
enum { IV_NOISE_NONE, IV_NOISE_STD, IV_NOISE_EPSILON, IV_NOISE_KERNEL }; /* conf.noise    */

typedef struct iv_conf {
  int32_t variant, position, noise, sampling_precision;
  int64_t layers, heads, width, mlp, context, blocks, batch_sites;
  double dropout, attention_dropout, init_std, bos_share, reweight, noise_scale;
  isc_recipe recipe;
} iv_conf;

extern const isc_option iv_options[];
extern const char *const iv_training_options[]; /* those that training reads */

/* A linear map and a norm; either has weight and bias. */
typedef struct iv_pair {
  isc_param *weight, *bias;
} iv_pair;

typedef struct iv_block {
  iv_pair norm, in, out; /* [D], [D, d_z], [d_z, D] */
} iv_block;

typedef struct iv_layer {
  iv_pair slot, norm; /* [D, d], [d]: what the layer attends to beside the tokens */
  iv_pair attention;  /* [d, 3 d]: the decoder's own queries, keys, values        */
  /* cross_attention: */
  iv_pair before;  /* [d] norm of the residual stream */
  isc_param *none; /* [1, d] the no-op slot           */
  iv_pair q;       /* [heads, d_head, d], [heads, d_head] */
  isc_param *k;    /* [d, d]; a bias would change both scores alike */
  iv_pair v;       /* [d, d], [d] */
  iv_pair o;       /* [heads, d_head, d], [d] */
} iv_layer;

typedef struct iv_method {
  const iv_conf *conf;
  const isc_method_env *env;
  int64_t d_z, d_u;     /* widest site; with the site embedding: D = d_z + n_sites */
  int32_t bos, eos;     /* of every text */
  int64_t vocab;        /* the target's, and one more where its tokenizer has neither */
  int64_t longest;      /* tokens of a training text with both: what n_ctx follows from */
  int64_t max_tokens;   /* of a sample, with both */
  isc_decoder *decoder; /* NULL until trained or loaded, and so below */
  isc_params *params;   /* the decoder's and those below */
  isc_param *embedding; /* [n_sites, n_sites] */
  iv_block *block;      /* [blocks] */
  iv_pair norm;         /* [D] */
  iv_layer *layer;      /* [layers] */
  /* Kept with the parameters, and never trained: */
  isc_param *std;  /* [n_sites, d_z] of each coordinate over training activations  */
  isc_param *loss; /* [n_sites] running mean of the loss at a site, for re-weighting */
} iv_method;

/* ---- network.c: zero parameters for m->longest; their first values; giving all back */
isc_status iv_network_new(iv_method *m);
isc_status iv_network_init(iv_method *m);
void iv_network_free(iv_method *m);
int64_t iv_network_parameters(const iv_method *m); /* trained ones */
isc_status iv_no_memory(const char *what);

/* ---- condition.c */
/* What rows condition one layer on. */
typedef struct iv_condition {
  isc_tensor *k, *v; /* default: [rows, 1, d]                                     */
  /* cross_attention: ω_m = tanh(½(⟨h, u_m⟩ + c_m)), a head's weight of y times 2, minus 1. */
  isc_tensor *u, *half; /* [rows, heads, d] */
  isc_tensor *c;        /* [rows, heads]    */
  isc_tensor *mean;     /* [rows, d] of all heads, with the output's bias */
} iv_condition;
/* cond [layers] of z, host [rows, d_z] with zeros beyond a site's dim, and site, host [rows]. */
isc_status iv_condition_rows(const iv_method *m, isc_step *s, const float *z, const int64_t *site,
                             int64_t rows, iv_condition *cond);
/* cond [layers] for rows left[0 … n) only. */
isc_status iv_condition_select(const iv_method *m, isc_step *s, const iv_condition *first,
                               const int64_t *left, int64_t n, iv_condition *cond);
/* The key/value slots that cond [layers] are; k, v [layers] are the caller's. */
void iv_condition_prefix(const iv_method *m, const iv_condition *cond, isc_tensor **k,
                         isc_tensor **v, isc_kv_prefix *out);

/* The taps of a pass: cross-attention where the variant has it, and dropout in training. */
typedef struct iv_taps {
  const iv_method *m;
  const iv_condition *cond; /* [layers]; the pass's sequences are cut evenly among its rows */
  isc_taps dropout;         /* at NULL = none */
} iv_taps;
isc_taps iv_taps_of(iv_taps *t);

/* ---- train.c, sample.c: as in isc_method_ops */
isc_status iv_train(iv_method *m, isc_train_io *io);
isc_status iv_load(iv_method *m, const char *dir);
isc_status iv_invert(const iv_method *m, const isc_invert *req);

#endif
