/* SPDX-License-Identifier: Apache-2.0
 *
 * The prior kind: P(x), the distribution of inputs a study is about (paper 3.2).
 *
 * Input i of a split is addressed by its index, so any batch order or number of ranks gives the
 * same data. Train and test never share an input. All functions but open and close may be called from
 * any thread.
 */
#ifndef ISC_PRIOR_H
#define ISC_PRIOR_H

#include <inversescope/text.h>
#include <inversescope/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The two halves of a prior's inputs. */
typedef enum isc_split { ISC_TRAIN = 0, ISC_TEST = 1 } isc_split;

/* How often a text may come in a split. Append only. */
typedef enum isc_draws {
  ISC_DRAWS_DISTINCT = 0, /* once: for texts that are all equally likely               */
  ISC_DRAWS_REPEAT =
      1 /* as often as P says: draw(i) has the law P(x | split) for each i, whatever other
                             draws give; for texts of unequal probability, which inputs that come once misrepresent */
} isc_draws;

/* The ops table of a prior. Texts come in *out, replaced; an index outside its range → ISC_E_USAGE. */
typedef struct isc_prior_ops {
  size_t size; /* sizeof(isc_prior_ops) */
  /* `conf` is the class's filled conf struct and lives as long as the prior; `seed` is the run's and decides the split and
   * the order. *self goes to all below; on failure it is left NULL. */
  isc_status (*open)(const void *conf, uint64_t seed, void **self);
  void (*close)(void *self); /* gives everything back */
  /* Number of inputs in a split, distinct unless `draws` says otherwise; draw(i) needs 0 ≤ i < count. A training set of
   * N inputs is its first N. Both counts together are the support, where that is known. */
  int64_t (*count)(void *self, isc_split split);
  isc_status (*draw)(void *self, isc_split split, int64_t i, isc_text *out);
  /* What follows x in the world (the indirect object, the sum), for training a target and for its accuracy, with the
   * space before it where one belongs, so that x and answer join into one text; NULL member or an empty text = nothing. */
  isc_status (*answer)(void *self, const char *text, size_t len, isc_text *out);
  /* log P(x) over the whole prior (both splits); −INFINITY when x is not of this prior. NULL member = unknown. */
  isc_status (*log_prob)(void *self, const char *text, size_t len, double *out);
  /* Distinct inputs in the whole support, and the i-th of them; NULL members = cannot be enumerated. */
  int64_t (*support)(void *self);
  isc_status (*enumerate)(void *self, int64_t i, isc_text *out);
  /* Slots of x: count, names (NULL of a k that is no slot), and the value of slot k in a text (empty when the text is
   * not of this prior, or lacks it); NULL members = no slots. */
  int64_t (*n_slots)(void *self);
  const char *(*slot_name)(void *self, int64_t k);
  isc_status (*slot)(void *self, const char *text, size_t len, int64_t k, isc_text *out);
  /* Hash of what decides the distribution (templates, lists, a file's content), 32 hex digits. */
  isc_status (*fingerprint)(void *self, char hex[33]);
  /* The values slot k can take: their number, and the j-th (NULL when there is none), valid as long as the prior; NULL
   * members or a count of 0 = not a list, or no slot. */
  int64_t (*slot_choices)(void *self, int64_t k);
  const char *(*slot_choice)(void *self, int64_t k, int64_t j);
  /* Bytes of the longest text, so that its tokens can be bounded before any is made; NULL member or 0 = unknown. */
  int64_t (*max_bytes)(void *self);
  isc_draws draws; /* 0 = ISC_DRAWS_DISTINCT */
} isc_prior_ops;

/* An opened prior, as features and methods see it. */
typedef struct isc_prior {
  const isc_prior_ops *ops;
  void *self;
  const char *name; /* class name */
} isc_prior;

/* The split of the shipped priors: the test inputs are the first ⌈test_fraction·support⌉ of a shuffle of the support
 * that depends on the seed alone, the training inputs the rest in shuffled order. The check fails (ISC_E_CONFIG) when a
 * side would be empty; the count is that of a split. Any thread. */
ISC_API isc_status isc_split_check(int64_t support, double test_fraction);
ISC_API int64_t isc_split_count(int64_t support, double test_fraction, isc_split split);
/* Index in the support of input i of a split, 0 ≤ i < count. Any thread. */
ISC_API int64_t isc_split_index(uint64_t seed, int64_t support, double test_fraction,
                                isc_split split, int64_t i);

#ifdef __cplusplus
}
#endif
#endif
