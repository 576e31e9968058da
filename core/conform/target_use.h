/* SPDX-License-Identifier: Apache-2.0
 *
 * A target under observation: prompts for it, and all that one forward pass gives, brought to the host.
 */
#ifndef ISC_CORE_CONFORM_TARGET_USE_H
#define ISC_CORE_CONFORM_TARGET_USE_H

#include "conform/conform.h"
#include "model/sites.h"
#include <inversescope/rng.h>

/* How far apart, relative to the largest element of a row, two computations of it may be when they are not the same
 * call. The library's own decoder gives the same bits; a forward pass of a target's own may choose its blocks by
 * the size of the batch. */
#define ISC_ROW_TOLERANCE 1e-5

enum { ISC_PROMPTS = 3, ISC_PROMPT_LONGEST = 12 };

typedef struct isc_subject {
  isc_conform *c;
  isc_device *dev;
  isc_target target;
  isc_step *step;
  int64_t valid; /* ids below it are valid input */
} isc_subject;

/* *out is zero after a failure. */
isc_status isc_subject_open(isc_conform *c, const void *conf, int threads, isc_subject *out);
void isc_subject_close(isc_subject *s);

/* Right-padded sequences of differing lengths, longest first. */
typedef struct isc_prompts {
  int64_t batch, len;                            /* len: of the longest */
  int64_t length[ISC_PROMPTS];                   /* of each             */
  int32_t ids[ISC_PROMPTS * ISC_PROMPT_LONGEST]; /* [batch, len]        */
} isc_prompts;
/* The case's texts as far as they go, then random ids. A length never exceeds the context. */
void isc_prompts_make(const isc_subject *s, isc_prompts *out);
/* Random ones alone. */
void isc_prompts_random(const isc_subject *s, uint64_t seed, isc_prompts *out);

/* ---- one forward pass */

typedef enum isc_patching {
  ISC_PATCH_NONE,
  ISC_PATCH_SELF, /* every place is replaced by a copy of what it is                                */
  ISC_PATCH_SHIFT /* at one place, sequence 0 and one position, a random vector is added            */
} isc_patching;

typedef struct isc_pass_request {
  const int32_t *ids; /* [batch, len] host */
  int64_t batch, len;
  isc_kv_cache *cache;
  isc_patching patching;
  isc_place patch_place;
  int64_t patch_layer, patch_position;
  bool
      stops; /* at stop_layer and stop_place, which isc_pass_run otherwise sets to run to the end */
  int64_t stop_layer;
  isc_place stop_place;
  bool selects; /* `wants` says yes for this place and layer only */
  isc_place wanted_place;
  int64_t wanted_layer;
  bool transient, untapped;
  const int64_t *lens; /* [batch] host: packed, ids [Σ lens]                                   */
  bool last;           /* with `stops`                                                         */
} isc_pass_request;

/* What it gave. Entries are the places in order of the pass, then hidden, then logits. */
typedef struct isc_pass {
  int64_t rows, entries;
  float **at;        /* [entries] of [rows, width]; NULL where nothing came   */
  int64_t *width;    /* [entries]                                             */
  int64_t *offered;  /* [entries] how often                                   */
  int64_t *order;    /* [entries] the first offers, in the order they came    */
  int64_t n_offered; /* different places                                      */
  int64_t odd_ndim;  /* an entry that was no matrix of `rows` rows, or −1     */
  int64_t qkv;       /* offers of a place that is no site                     */
} isc_pass;

int64_t isc_pass_entry(isc_place place, int64_t layer);
int64_t isc_pass_hidden(const isc_subject *s);
int64_t isc_pass_logits(const isc_subject *s);
/* "resid_post.1", "hidden", "logits"; one of a few static buffers. */
const char *isc_pass_name(const isc_subject *s, int64_t entry);

/* Free with isc_pass_free, also after a failure. The step is reset. */
isc_status isc_pass_run(isc_subject *s, const isc_pass_request *r, isc_pass *out);
void isc_pass_free(isc_pass *p);
/* All of `p`, without taps or patches. */
isc_status isc_pass_plain(isc_subject *s, const int32_t *ids, int64_t batch, int64_t len,
                          isc_pass *out);

/* Row i of a and row j of b agree in entries [first, end), within `tolerance` of the row's largest element (0 = in every
 * bit). Otherwise the message says "WHAT: NAME, row i, element e: x and y". */
isc_status isc_pass_agree(const isc_subject *s, const isc_pass *a, int64_t i, const isc_pass *b,
                          int64_t j, int64_t first, int64_t end, double tolerance,
                          const char *what);
/* All rows of two passes over the same shape. */
isc_status isc_pass_same(const isc_subject *s, const isc_pass *a, const isc_pass *b,
                         double tolerance, const char *what);

/* Open a subject, let `use` look at it, close it. */
isc_status isc_with_subject(isc_conform *c, isc_status (*use)(isc_subject *s));

#endif
