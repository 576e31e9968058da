/* SPDX-License-Identifier: Apache-2.0
 *
 * Sites: names ↔ places of a target, and the capture of their activations in one forward pass.
 *
 * Canonical names: head.L.H attn_out.L mlp_out.L resid_pre.L resid_mid.L resid_post.L; TransformerLens names
 * (blocks.9.attn.hook_result.6, blocks.3.hook_resid_post …) and the paper's L9H6 are aliases; "*", "head.*.*",
 * "head.0-2.*" select many.
 */
#ifndef ISC_CORE_SITES_H
#define ISC_CORE_SITES_H

#include <inversescope/method.h>
#include <inversescope/target.h>

/* A target opened from its class, as the core passes it around. */
typedef struct isc_target {
  const isc_class *cls;
  const isc_target_ops *ops;
  void *self;
  isc_target_info info;
} isc_target;

typedef struct isc_site_set {
  int64_t n;
  isc_site *site;        /* [n] name, dim, stored, map: what methods see              */
  isc_place *place;      /* [n]                                                       */
  int64_t *layer, *head; /* [n]; head −1 unless a head site                           */
  int64_t last_layer;    /* the forward pass may stop after (last_layer, last_place)  */
  isc_place last_place;
  float *maps; /* storage of the head maps                                  */
  char *names; /* storage of the names                                      */
} isc_site_set;

ISC_API isc_status isc_target_open(const isc_class *cls, const void *conf, isc_device *dev,
                                   isc_target *out);
ISC_API void isc_target_close(isc_target *t);

/* Patterns → sites, in model order (layer, place, head), duplicates dropped. A pattern that matches nothing is an error
 * that says what exists. An index left out stands for all: "head", "attn_out", "*.3". */
ISC_API isc_status isc_sites_select(const isc_target *t, const char *const *patterns, int64_t n,
                                    isc_site_set *out);
ISC_API void isc_sites_free(isc_site_set *s);
/* What a selection comes to, before the target is opened. */
typedef struct isc_site_sum {
  int64_t sites, heads;
  int64_t stored; /* floats of one position at all of them */
  int64_t last_layer;
} isc_site_sum;
ISC_API isc_status isc_sites_measure(const isc_target_info *info, const char *const *patterns,
                                     int64_t n, isc_site_sum *out);
/* Index of a site given by any accepted name, or −1. */
ISC_API int64_t isc_sites_find(const isc_site_set *s, const char *name);

/* Activations of `n` texts at every site of the set, at position `position` (−1 = the last token, −2 the one before …;
 * ≥ 0 from the start): out[site] is host [n, stored]. Texts are tokenised with the target's tokenizer, bucketed by length
 * and run `batch` at a time; the results do not depend on `batch`. A text that has no such position, is longer than n_ctx
 * or cannot be tokenised is an error naming it; with `bad` given (host [n], preset to false) it is marked there instead
 * and its rows are zero. `positions` (host [n]) gives each text its own in place of `position`. Sites whose `out` is NULL are left
 * out, and the pass ends behind the deepest of the others. */
typedef struct isc_harvest {
  const isc_target *target;
  const isc_site_set *sites;
  const char *const *text; /* [n] */
  const size_t *len;       /* [n] */
  int64_t n, position, batch;
  float *const *out; /* [sites->n] host [n, stored], or NULL */
  bool *bad;
  const int64_t *positions; /* [n] or NULL */
} isc_harvest;
/* Bytes of residual streams that may wait between the layers of a streamed target, beside a batch's own. */
enum { ISC_HARVEST_WAITING = 1 << 30 };
/* The step is reset before every batch and at the end. */
ISC_API isc_status isc_harvest_run(const isc_harvest *h, isc_step *s);

/* Activations of texts at every token: for each text that can be run, in an order of their own, `each` gets its number, its tokens
 * (a BOS counted) and a[site] host [tokens, stored]. What `each` returns other than ISC_OK ends the work. `bad` and the rest as
 * in isc_harvest; no result depends on `batch`. */
typedef struct isc_harvest_all {
  const isc_target *target;
  const isc_site_set *sites;
  const char *const *text; /* [n] */
  const size_t *len;       /* [n] */
  int64_t n, batch;
  bool *bad;
  isc_status (*each)(void *user, int64_t text, int64_t tokens, const float *const *a);
  void *user;
} isc_harvest_all;
ISC_API isc_status isc_harvest_all_run(const isc_harvest_all *h, isc_step *s);

/* A patch: at the site, in sequence b, position pos[b], the stored value becomes value[b] [stored]. */
typedef struct isc_patch {
  int64_t site;
  const int64_t *pos; /* [batch] */
  const float *value; /* host [batch, stored] */
} isc_patch;
/* Capture and patch in one pass over given ids: captures[site] host [batch, len, stored] (NULL entries skipped; NULL = none),
 * taken after the patches. With `hidden` NULL the pass ends at the set's deepest site. */
ISC_API isc_status isc_forward_patched(const isc_target *t, const isc_site_set *sites, isc_step *s,
                                       const isc_decoder_input *in, const isc_patch *patch,
                                       int64_t n_patch, float *const *captures,
                                       isc_tensor **hidden);

/* Patching of whole texts: the activation of source text i at a site, put into the pass of target text i. */
typedef struct isc_patch_pairs {
  const isc_target *target;
  const isc_site_set *sites;
  const char *const *source,
      *const *into; /* [n] texts                                                     */
  const size_t *source_len,
      *into_len; /* [n]                                                           */
  int64_t n, batch;
  int64_t source_position,
      into_position; /* −1 = the last token …, as in isc_harvest                       */
  /* logits [vocab] at the last token of pair i's target with the site patched; site −1: nothing patched. Pairs come in an
   * order of their own, each site of a batch of pairs after the other. An error ends the work. */
  isc_status (*each)(void *user, int64_t site, int64_t pair, const float *logits, int64_t vocab);
  void *user;
} isc_patch_pairs;
/* Every site of the set by itself. The result does not depend on `batch`. A text that cannot be run, or lacks the position, is an
 * error naming it. The step is reset before every pass and at the end. */
ISC_API isc_status isc_patch_pairs_run(const isc_patch_pairs *p, isc_step *s);

#endif
