/* SPDX-License-Identifier: Apache-2.0
 *
 * The method kind: how an activation ẑ is read: inverted to texts, or classified.
 *
 * A method trains in named stages on data the core serves, saves and resumes its own state in a
 * directory, and then inverts or classifies. It sees training inputs only, by `text` and `activations` of its
 * environment, or fresh ones by `harvest`. Of the prior it may ask what a text's probability, answer and slots are and what values a slot can
 * take; `draw` and `enumerate` would give it held-out inputs, so it calls neither. All functions are called from one
 * thread at a time.
 */
#ifndef ISC_METHOD_H
#define ISC_METHOD_H

#include <inversescope/kernel.h>
#include <inversescope/prior.h>
#include <inversescope/tensor.h>
#include <inversescope/tokenizer.h>
#include <inversescope/training.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A site as methods see it: a name and where its activations lie. An activation z [dim] is kept as a factor
 * a [stored] with z = a·map; map NULL = stored is z itself. */
typedef struct isc_site {
  const char *name; /* "head.2.1" */
  int64_t dim, stored;
  const float *map; /* host [stored, dim] or NULL */
} isc_site;

/* What the core gives a method. Valid from open to close. */
typedef struct isc_method_env {
  size_t size;
  isc_device *device;
  uint64_t seed;
  const isc_prior *prior;
  const isc_tokenizer *target_tokenizer;
  const isc_site *sites; /* [n_sites]; read through isc_method_site */
  size_t site_size;      /* from one to the next                    */
  int64_t n_sites;
  const isc_kernel *const *kernels; /* [n_sites] opened for each site's dim (shared where equal) */
  isc_measure measure;
  int64_t n_train;
  /* Text of training input i, 0 ≤ i < n_train. */
  isc_status (*text)(const struct isc_method_env *env, int64_t i, isc_text *out);
  /* Stored factors of `n` training inputs at `site`: host out [n, stored]. `rows` NULL = 0 … n−1. */
  isc_status (*activations)(const struct isc_method_env *env, int64_t site, const int64_t *rows,
                            int64_t n, float *out);
  void *core; /* the core's own */
  /* since 1.1: fresh from the target, the stored factors at token position[i] of training input row[i], 0 ≤ i < n, at
   * `site`: host out [n, stored]. Tokens are counted as isc_tokenizer_encode gives them with the target's tokenizer, from 0;
   * a text without that position is ISC_E_SHAPE. What runs the target once for all of them is one call. */
  isc_status (*harvest)(const struct isc_method_env *env, int64_t site, const int64_t *row,
                        const int64_t *position, int64_t n, float *out);
} isc_method_env;

/* Site i, 0 ≤ i < n_sites, whatever size isc_site has in the library. */
static inline const isc_site *isc_method_site(const isc_method_env *env, int64_t i) {
  return (const isc_site *)(const void *)((const char *)env->sites + (size_t)i * env->site_size);
}

/* Whole activations instead of factors: host z [n, dim]. `rows` as above. */
ISC_API isc_status isc_method_activations(const isc_method_env *env, int64_t site,
                                          const int64_t *rows, int64_t n, float *z);
/* The same fresh, by env->harvest: host z [n, dim]; ISC_E_UNSUPPORTED where the environment cannot. Since 1.1. */
ISC_API isc_status isc_method_harvest(const isc_method_env *env, int64_t site, const int64_t *row,
                                      const int64_t *position, int64_t n, float *z);
/* For labels that are the values of a slot of the prior: the number of the slot `name` (NULL = the first that has a list of
 * values) and how many values it can take; ISC_E_CONFIG naming those there are. Then the label of training input i, −1 when
 * its text has none; prior->ops->slot_choice names it. */
ISC_API isc_status isc_method_slot(const isc_method_env *env, const char *name, int64_t *slot,
                                   int64_t *labels);
ISC_API isc_status isc_method_label(const isc_method_env *env, int64_t slot, int64_t i,
                                    int64_t *label);

/* Conditions to invert: row r asks `samples` texts for ẑ = z[r] at site[r]. */
typedef struct isc_invert {
  size_t size;
  int64_t n;
  const int64_t *site;   /* [n] host                                          */
  const float *const *z; /* [n] pointers to host [dim of the site]            */
  int64_t samples;
  double temperature; /* of the draws; log q is of the law at this temperature */
  uint64_t seed;
  const uint64_t *index; /* [n]: sample j of row r is drawn at Philox index[r] + j */
  int64_t batch;         /* sequences decoded together; changes no sample     */
  void *user;
  /* Called for each sample, in any order: row, j, text, log q(x | ẑ). A failure stops the inversion. */
  isc_status (*sample)(void *user, int64_t row, int64_t j, const char *text, size_t len,
                       double log_q);
} isc_invert;

/* What a training stage reads, beside its options and the training texts. */
enum { ISC_USES_ACTIVATIONS = 1u << 0, ISC_USES_KERNEL = 1u << 1 };

/* The ops table of a method. A method inverts, classifies, or does both; `inversescope run` takes those that invert. */
typedef struct isc_method_ops {
  size_t size; /* sizeof(isc_method_ops) */
  /* `conf` is the class's filled conf struct; it and *env may be used as long as the method lives. Activations cannot be
   * read yet. *self goes to all below; on failure it is left NULL. */
  isc_status (*open)(const void *conf, const isc_method_env *env, void **self);
  void (*close)(void *self); /* gives everything back */
  /* Names of the training stages in order, NULL-terminated: [a-z][a-z0-9-]*, and not "harvest", "sample", "score",
   * "compare" or "report", which are the run's. */
  const char *const *(*stages)(void *self);
  /* What stage k depends on beyond its conf (e.g. a pretrained directory's hash), 32 hex digits; NULL member = nothing. */
  isc_status (*fingerprint)(void *self, int64_t stage, char hex[33]);
  /* Option names that stage k reads (NULL-terminated), so that changing others does not retrain it; NULL member = all. */
  const char *const *(*stage_options)(void *self, int64_t stage);
  /* Train stage k from its newest checkpoint in io->dir (or the start); leaves the finished state there. */
  isc_status (*train)(void *self, int64_t stage, isc_train_io *io);
  /* Load the finished state of stage k from its directory. Called in order before a later stage or inversion. A file that
   * is not what `train` left is an error that names it. */
  isc_status (*load)(void *self, int64_t stage, const char *dir);
  /* Draw req->samples texts of q(x | ẑ) for each condition and hand each to req->sample, whose failure ends it. The same
   * request gives the same texts, whatever else was asked before. NULL: does not invert. */
  isc_status (*invert)(void *self, const isc_invert *req);
  /* Unconditional samples (the backbone's own), to judge validity; site/z ignored. NULL: none. */
  isc_status (*sample_prior)(void *self, int64_t n, double temperature, uint64_t seed,
                             int64_t batch, void *user,
                             isc_status (*sample)(void *user, int64_t row, int64_t j,
                                                  const char *text, size_t len, double log_q));
  /* Label of each of n activations at `site` (into caller's texts); NULL: does not classify. */
  isc_status (*classify)(void *self, int64_t site, const float *z, int64_t n, isc_text *label);
  int64_t (*parameters)(void *self); /* trained parameters, for reports */
  /* ISC_USES_… of stage k, so that changing the kernel or the sites does not redo what never saw them; NULL member = all. */
  uint32_t (*stage_uses)(void *self, int64_t stage);
} isc_method_ops;

#ifdef __cplusplus
}
#endif
#endif
