/* SPDX-License-Identifier: Apache-2.0
 *
 * A complete pre-norm transformer decoder driven by a spec, with taps at every named place.
 *
 * A target plugin maps its model's config.json and tensor names to a spec and a weight map; the
 * generator's backbone is the same decoder, so what is tested once serves both.
 * A decoder is used by one thread at a time.
 */
#ifndef ISC_DECODER_H
#define ISC_DECODER_H

#include <inversescope/ops.h>
#include <inversescope/parameters.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Taps */
/* The named places of a block, in the order a forward pass comes to them. Append only. */
typedef enum isc_place {
  ISC_RESID_PRE = 0, /* [batch·len, d_model] entering the block                             */
  ISC_HEADS,         /* [batch·len, n_head·d_head] heads' outputs before W_O                 */
  ISC_ATTN_OUT,      /* [batch·len, d_model] after W_O and its bias, before a post-norm      */
  ISC_RESID_MID,     /* [batch·len, d_model] after the attention's residual add              */
  ISC_MLP_OUT,       /* [batch·len, d_model] before a post-norm                              */
  ISC_RESID_POST,    /* [batch·len, d_model] leaving the block                               */
  ISC_PLACE_COUNT,   /* places that are sites */
  ISC_QKV =
      ISC_PLACE_COUNT /* [batch·len, (n_head + 2·n_kv_head)·d_head] queries, keys, values as the weights give
                         them; no site, and tapped only where `wants` asks for it */
} isc_place;

/* What a forward pass does at each place. `at` may capture x and may return a replacement in *out (which it
 * sets to x to change nothing); it is called only where `wants` (NULL = everywhere) says yes. */
typedef struct isc_taps {
  size_t size; /* sizeof(isc_taps)    */
  void *user;  /* for wants and at    */
  bool (*wants)(void *user, isc_place place, int64_t layer);
  isc_status (*at)(void *user, isc_step *s, isc_place place, int64_t layer, isc_tensor *x,
                   isc_tensor **out);
  /* The forward pass ends right after this place (no final norm, hidden = NULL); stop_layer < 0 = run to the end. */
  int64_t stop_layer;
  isc_place stop_place;
  /* The tap keeps no tensor beyond the layer it was given in: then a pass without a tape needs one layer's memory,
   * whatever the depth. A pass without taps does the same. */
  bool transient;
} isc_taps;

/* Call the tap if there is one: *out = x when nobody asked. For targets that write their own forward. */
ISC_API isc_status isc_tap(const isc_taps *taps, isc_step *s, isc_place place, int64_t layer,
                           isc_tensor *x, isc_tensor **out);
/* Does the pass end after this place? */
ISC_API bool isc_tap_stops(const isc_taps *taps, isc_place place, int64_t layer);

/* ---- Decoders */
/* How a residual branch's input is normalised. Append only. */
typedef enum isc_norm_kind { ISC_LAYERNORM, ISC_RMSNORM } isc_norm_kind;
/* How a decoder knows positions. Append only. */
typedef enum isc_position_kind { ISC_LEARNED, ISC_ROTARY } isc_position_kind;
/* act(x W) W', or (act(x W_gate) · x W_up) W'. Append only. */
typedef enum isc_mlp_kind { ISC_MLP_PLAIN, ISC_MLP_GATED } isc_mlp_kind;
/* How rotary frequencies are stretched for texts longer than those of training. Append only. */
typedef enum isc_rope_scaling {
  ISC_ROPE_PLAIN,
  ISC_ROPE_LINEAR, /* positions divided by rope_factor                                       */
  ISC_ROPE_LLAMA3, /* wavelengths beyond rope_original/rope_low divided by rope_factor, those below
                      rope_original/rope_high kept, between them a mixture by turns           */
  ISC_ROPE_YARN,   /* the same, the mixture by the pair's place; rope_attention               */
  ISC_ROPE_FACTORS /* the frequency of pair j divided by rope_factors[j]                      */
} isc_rope_scaling;
enum { ISC_ROPE_MAX_FACTORS = 256 }; /* pairs of a head that factors can be given for */

/* The shape of a decoder. Append only; zero means the first choice of each enum. */
typedef struct isc_decoder_spec {
  size_t size; /* sizeof(isc_decoder_spec) */
  int64_t n_layer, n_head, d_model, d_head, d_mlp, vocab, n_ctx;
  isc_act act;
  double norm_eps;
  double attn_scale;   /* 0 = 1/sqrt(d_head)                       */
  bool scale_by_layer; /* GPT-2's scale_attn_by_inverse_layer_idx  */
  bool untied_head;    /* false: the head is wte                   */
  /* since 1.1; zeros are GPT-2 */
  int64_t n_kv_head; /* 0 = n_head: query head h uses key head h·n_kv_head/n_head */
  isc_norm_kind norm;
  isc_position_kind positions;
  isc_mlp_kind mlp;
  bool no_qkv_bias, no_attn_out_bias, no_mlp_bias;
  bool post_norms; /* the branches' outputs are normalised before they are added           */
  bool head_norms; /* queries and keys are RMS-normalised per head, before their positions */
  bool out_in;     /* c_attn, c_fc and mlp.c_proj lie as [out, in]; attn.c_proj never does */
  double embed_scale, attn_soft_cap, logit_soft_cap; /* 0 = none */
  int64_t window;     /* layers attend to that many positions; 0 = all                         */
  int64_t full_every; /* of layers with a window, every n-th attends to all; 0 = none          */
  int64_t d_rot;      /* 0 = d_head                                                            */
  double rope_theta, rope_theta_window; /* of layers with a window; 0 = rope_theta             */
  isc_rope_scaling rope_scaling;        /* not of layers with rope_theta_window                */
  double rope_factor, rope_low, rope_high, rope_original;
  isc_dtype weights; /* of matrices; norms and biases are f32; bf16 parameters stay frozen     */
  double rope_attention; /* of YaRN: multiplies cosines and sines; 0 = 1                       */
  bool rope_exact; /* of YaRN: the mixture's ends are not rounded outwards to whole pairs      */
  float rope_factors[ISC_ROPE_MAX_FACTORS]; /* [d_rot/2] */
} isc_decoder_spec;

typedef struct isc_decoder isc_decoder; /* a spec and its weights on a device */

/* A decoder with zero weights. Parameters, all of group 0 (names are canonical, GPT-2's):
 *   wte.weight [vocab, d] · wpe.weight [n_ctx, d] · h.L.ln_1.weight/bias [d] ·
 *   h.L.attn.c_attn.weight [d, (n_head + 2·n_kv_head)·d_head] /bias · h.L.attn.c_proj.weight [n_head·d_head, d] /bias ·
 *   h.L.ln_2.* · h.L.mlp.c_fc.weight [d, d_mlp] /bias (gated: [d, 2·d_mlp], the gate's columns first) ·
 *   h.L.mlp.c_proj.weight [d_mlp, d] /bias · ln_f.weight/bias · lm_head.weight [vocab, d] if untied; with head_norms
 *   h.L.attn.q_norm.weight, k_norm.weight [d_head]; with post_norms h.L.ln_1_post.weight, ln_2_post.weight [d].
 * Only those that the spec has: no wpe with rotary positions, no norm's bias with RMS norms, no bias that is left out. A
 * backend of an ABI before 1.1 serves GPT-2's choices only; others → ISC_E_UNSUPPORTED. */
ISC_API isc_status isc_decoder_new(isc_device *dev, const isc_decoder_spec *spec,
                                   isc_decoder **out);
ISC_API void isc_decoder_free(isc_decoder *d); /* NULL is fine */
/* Its spec and its parameters; both belong to the decoder and live as long. */
ISC_API const isc_decoder_spec *isc_decoder_get_spec(const isc_decoder *d);
ISC_API isc_params *isc_decoder_params(isc_decoder *d);
/* GPT-2's initialisation: N(0, 0.02), residual projections scaled by 1/sqrt(2·n_layer), norms 1, biases 0. */
ISC_API isc_status isc_decoder_init(isc_decoder *d, uint64_t seed);
/* The same with the matrices' standard deviation `std` where GPT-2 has 0.02. Small decoders learn several times faster from
 * about 0.1. Since 1.1. */
ISC_API isc_status isc_decoder_init_std(isc_decoder *d, uint64_t seed, double std);

/* The spec that a Hugging Face GPT-2 directory's config.json asks for; the caller sets out->size. Another model type, an unknown activation
 * function or cross-attention → ISC_E_UNSUPPORTED naming the setting; an impossible number → ISC_E_FORMAT. */
ISC_API isc_status isc_decoder_spec_read(const char *dir, isc_decoder_spec *out);
/* Fill the parameters from a directory's model.safetensors (or its index of shards). `rename(user, canonical, buf, n)`
 * writes the file's name for a canonical one; names are tried with and without the prefix "transformer.". A missing
 * tensor, a wrong shape (both are printed) or a dtype that cannot be converted is an error; f32, f16, bf16 are read. */
typedef void (*isc_rename_fn)(void *user, const char *canonical, char *buf, size_t n);
ISC_API isc_status isc_decoder_load(isc_decoder *d, const char *dir, isc_rename_fn rename,
                                    void *user);
/* Write model.safetensors (Hugging Face GPT-2 names, f32) and config.json into `dir`, each atomically. `bos`, `eos` < 0 = none.
 * A spec that config.json cannot say (another attn_scale, n_head·d_head ≠ d_model) → ISC_E_UNSUPPORTED. */
ISC_API isc_status isc_decoder_save(isc_decoder *d, const char *dir, int32_t bos, int32_t eos);
/* Rewrite the weights as TransformerLens does by default: the norms' weights folded into the layers that read them, the
 * values' biases into the output biases, and everything that writes to the residual stream (wte, wpe, W_O, b_O and the
 * MLP's output) centred over d_model. The logits stay the same. The head must be untied, because wte is centred;
 * ln_f and the head are left as they are: no site reads them. */
ISC_API isc_status isc_decoder_fold(isc_decoder *d);
/* Hash of the spec and the weights, and of `more` (what else decides the caller's numbers; may be NULL): 32 hex digits. */
ISC_API isc_status isc_decoder_fingerprint(isc_decoder *d, const char *more, char hex[33]);

/* ---- Forward passes */
typedef struct isc_kv_cache isc_kv_cache; /* keys and values of the positions seen so far */

/* An empty cache for `batch` sequences of at most n_ctx positions; more than the decoder has → ISC_E_SHAPE. It uses the
 * decoder's device and must be freed before that is closed; the decoder may go first. */
ISC_API isc_status isc_kv_cache_new(isc_decoder *d, int64_t batch, int64_t n_ctx,
                                    isc_kv_cache **out);
/* The same with room for n_prefix key/value slots before the first position (isc_kv_prefix below). Since 1.1. */
ISC_API isc_status isc_kv_cache_new_prefixed(isc_decoder *d, int64_t batch, int64_t n_ctx,
                                             int64_t n_prefix, isc_kv_cache **out);
ISC_API void isc_kv_cache_free(isc_kv_cache *c);                /* NULL is fine               */
ISC_API int64_t isc_kv_cache_len(const isc_kv_cache *c);        /* positions of each sequence */
ISC_API void isc_kv_cache_rewind(isc_kv_cache *c, int64_t len); /* forget positions ≥ len */
/* The cache's sequences become rows `row[0…n)` (host) of the present ones, in this order: drops finished sequences, and
 * repeats one that branches. n is at most the batch the cache was made for; another row or n → ISC_E_SHAPE. */
ISC_API isc_status isc_kv_cache_select(isc_kv_cache *c, const int64_t *row, int64_t n);

/* Keys and values before the first token: slots without a query and a position, which every token attends to. The pass's
 * sequences are cut evenly among the `rows` of k and v, in order. Gradients flow to both. Layers with a window →
 * ISC_E_UNSUPPORTED. Since 1.1. */
typedef struct isc_kv_prefix {
  size_t size;                     /* sizeof(isc_kv_prefix) */
  int64_t n;                       /* slots, ≥ 1            */
  isc_tensor *const *k, *const *v; /* [n_layer] of [rows, n, n_kv_head·d_head] */
} isc_kv_prefix;

/* What goes into a forward pass. */
typedef struct isc_decoder_input {
  size_t size;         /* sizeof(isc_decoder_input)                            */
  int64_t batch, len;  /* right-padded; padding ids may be any valid id        */
  const int32_t *ids;  /* [batch, len] host                                    */
  isc_kv_cache *cache; /* NULL = whole sequences from position 0               */
  /* since 1.1: a pass in parts, without cache and tape. Blocks [first_layer, end_layer) are run, all from first_layer on if
   * end_layer is 0. `resid` [batch·len, d_model], NULL for a whole pass, is where the pass begins unless first_layer is 0,
   * and gets the residual stream behind the last block; *hidden is NULL unless that was the model's last. */
  isc_tensor *resid;
  int64_t first_layer, end_layer;
  /* since 1.1: sequences of several lengths without padding, without cache and tape. lens host [batch] in [1, len]; ids are
   * [Σ lens], one sequence after the other, and so are the rows of every tensor, [Σ lens, …] for [batch·len, …]. Neighbours of
   * one length are run together. NULL = all have `len`. */
  const int64_t *lens;
  /* since 1.1: only each sequence's last position is asked for in the block where the taps stop the pass, which they must:
   * there the places from ISC_HEADS on have one row for each sequence, [batch, …], the same bits as in the whole. Without cache and tape. */
  bool last;
  /* since 1.1: NULL = no slots. With a cache, given to the pass that begins it (length 0), which keeps them: later passes
   * give none, and isc_kv_cache_select takes a sequence's slots with it. They count as no position. Not with `lens` or `last`. */
  const isc_kv_prefix *prefix;
  /* since 1.1: in place of ids, [batch, len] on the device, of which nobody checks that they are in the vocabulary. */
  const int32_t *device_ids;
} isc_decoder_input;

/* *hidden = final-norm output [batch·len, d_model] (NULL when the taps stop earlier). Longer than n_ctx →
 * ISC_E_SHAPE. Padding never changes a real position. With a cache, `ids` continue its sequences and its length grows
 * by len (no tape); a pass that taps stopped fills the layers it ran only, so it must always stop at one place. */
ISC_API isc_status isc_decoder_forward(isc_decoder *d, isc_step *s, const isc_decoder_input *in,
                                       const isc_taps *taps, isc_tensor **hidden);
/* The head's weight [vocab, d] for isc_op_xent, and logits = hidden·wᵀ. */
ISC_API isc_tensor *isc_decoder_head(isc_decoder *d);
ISC_API isc_status isc_decoder_logits(isc_decoder *d, isc_step *s, isc_tensor *hidden,
                                      isc_tensor **logits);
/* W_O of one head, host [d_head, d_model]: maps the head's factor to its contribution to the residual stream. */
ISC_API isc_status isc_decoder_head_map(isc_decoder *d, int64_t layer, int64_t head, float *out);

#ifdef __cplusplus
}
#endif
#endif
