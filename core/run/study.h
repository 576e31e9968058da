/* SPDX-License-Identifier: Apache-2.0
 *
 * A study: everything a config names, opened and wired together.
 *
 * The stages of a run, `sample` and the tests all start from here. Not thread-safe; opened and closed by one thread.
 */
#ifndef ISC_CORE_STUDY_H
#define ISC_CORE_STUDY_H

#include "base/base.h"
#include "config/config.h"
#include "model/sites.h"
#include "run/settings.h"
#include "run/store.h"
#include <inversescope/feature.h>

typedef struct isc_feature {
  const char *name;
  const isc_class *cls;
  const isc_feature_ops *ops;
  void *conf, *self;
} isc_feature;

/* How the activations are inverted: the study's own method, or a baseline. */
typedef struct isc_study_method {
  const char *name; /* in reports                                                       */
  char group[40];   /* of the config: "method", "baselines.[0]"                         */
  char *below;      /* where its stages lie in the run directory: "" or "NAME/"; malloc'd */
  const isc_class *cls;
  void *conf;
  const isc_method_ops *ops;
  void *self;
  isc_budget budget; /* of a baseline, by what the study's own method took */
} isc_study_method;

typedef struct isc_study {
  isc_config *config;
  char *config_path;
  isc_run_settings run;
  isc_target_settings target_settings;
  isc_prior_settings prior_settings;
  isc_evaluate_settings evaluate;
  isc_report_settings report;
  char *dir;  /* absolute run directory                                */
  char *name; /* run.name, or the config file's name without its suffix */
  isc_device *device;
  void *device_conf;   /* its settings; NULL = the defaults            */
  char *device_report; /* why other backends were passed over, or NULL */
  isc_step *step;

  const isc_class *target_class;
  void *target_conf;
  isc_target target;
  isc_site_set sites;

  const isc_class *prior_class;
  void *prior_conf;
  isc_prior prior;
  int64_t n_train, n_test, n_conditions;

  const isc_class *kernel_class;
  void *kernel_conf;
  isc_kernel *kernel;  /* [n_kernels] one per distinct dimension      */
  int64_t *kernel_dim; /* [n_kernels]                                 */
  int64_t n_kernels;
  const isc_kernel **site_kernel; /* [sites.n]                               */

  isc_feature *feature; /* [n_features] */
  int64_t n_features;

  isc_study_method *method; /* [n_methods] the study's own, then the baselines */
  int64_t n_methods;
  isc_method_env env;
  isc_store *train_store; /* activations of the training inputs, once harvested */
  /* Hex digits that stand for the target's weights and for what the prior draws from; "" where there is none, or before
   * isc_study_hash. */
  char target_hash[33], prior_hash[33];
} isc_study;

/* Read the config and open everything it names. `dir` overrides run.dir when not NULL. On failure nothing stays open. */
ISC_API isc_status isc_study_open(const isc_config_source *source, const char *dir,
                                  isc_study **out);
/* The same without target, sites, kernels and method, of which the settings are read: what is known before anything expensive
 * starts. */
ISC_API isc_status isc_study_read(const isc_config_source *source, const char *dir,
                                  isc_study **out);
ISC_API void isc_study_close(isc_study *s);

/* Read every weight of the target, if it has one, and hash it and the prior. */
isc_status isc_study_hash(isc_study *s);

/* Path below the run directory; malloc'd. */
ISC_API isc_status isc_study_path(const isc_study *s, char **out, const char *fmt, ...)
    ISC_PRINTF(3, 4);

/* Text of input i of a split. */
ISC_API isc_status isc_study_text(const isc_study *s, isc_split split, int64_t i, isc_text *out);

/* How many texts go through the target between two looks at whether to stop, at most ISC_STORE_CHUNK. Changes no
 * result. */
int64_t isc_study_piece(const isc_study *s);

/* Name of a method's training stage k, NULL past the end. It lies in `below`NAME of the run directory. */
ISC_API const char *isc_method_stage(const isc_study_method *m, int64_t k);

#endif
