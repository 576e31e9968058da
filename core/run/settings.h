/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings of a run that belong to no plugin: option tables of the core's own groups.
 *
 * inversescope-conf(5), describe and validation all come from these tables.
 */
#ifndef ISC_CORE_SETTINGS_H
#define ISC_CORE_SETTINGS_H

#include <inversescope/option.h>

typedef struct isc_run_settings { /* group `run` */
  const char *name;
  const char *dir;
  int64_t seed;
  const char *device;
  int64_t threads;
  double checkpoint_seconds;
} isc_run_settings;

typedef struct isc_target_settings { /* in group `target`, beside the plugin's own */
  isc_list sites;
  int64_t position;
  int64_t batch;
} isc_target_settings;

typedef struct isc_prior_settings { /* in group `prior`, beside the plugin's own */
  int64_t train, test;
} isc_prior_settings;

typedef struct isc_feature_settings { /* in each group of `features` */
  const char *name;
} isc_feature_settings;

/* What two methods are given equally. */
typedef enum isc_budget {
  ISC_BUDGET_NONE,
  ISC_BUDGET_STEPS,
  ISC_BUDGET_TOKENS,
  ISC_BUDGET_SECONDS,
  ISC_BUDGET_FLOPS
} isc_budget;
ISC_API extern const char *const isc_budget_names[];

typedef struct isc_baseline_settings { /* in each group of `baselines`, beside the plugin's own */
  const char *name;
  int32_t budget;
} isc_baseline_settings;

typedef struct isc_evaluate_settings { /* group `evaluate` */
  int64_t conditions, samples;
  double temperature;
  int64_t batch;
  int64_t unconditional;
  int64_t max_support;
  int64_t bootstrap;
  bool any_position;
  bool insight;
  isc_list scatter_noise;
  int64_t scatter_conditions;
  isc_list epsilons;
} isc_evaluate_settings;

typedef struct isc_report_settings { /* group `report` */
  const char *title;
  int64_t table_sites, table_samples;
} isc_report_settings;

typedef struct isc_path_settings { /* at the top level */
  isc_list plugin_path;
} isc_path_settings;

typedef struct isc_output_settings { /* in group `pretrain`, beside the training's own */
  const char *output;
} isc_output_settings;

ISC_API extern const isc_option isc_run_options[];
ISC_API extern const isc_option isc_target_options[];
ISC_API extern const isc_option isc_prior_options[];
ISC_API extern const isc_option isc_feature_options[];
ISC_API extern const isc_option isc_baseline_options[];
ISC_API extern const isc_option isc_evaluate_options[];
ISC_API extern const isc_option isc_report_options[];
ISC_API extern const isc_option isc_path_options[];
ISC_API extern const isc_option isc_output_options[];

/* The top-level keys of a config of `run` and of `pretrain`, NULL-terminated. */
ISC_API extern const char *const isc_run_keys[];
ISC_API extern const char *const isc_pretrain_keys[];

#endif
