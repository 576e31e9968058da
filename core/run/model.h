/* SPDX-License-Identifier: Apache-2.0
 *
 * A model opened by its path, without a config file: the plugin is found by what the model calls itself.
 *
 * Settings are those of a config's groups `target` and `run`, given as "target.precision=bf16". One thread.
 */
#ifndef ISC_CORE_MODEL_H
#define ISC_CORE_MODEL_H

#include "config/config.h"
#include "model/family.h"
#include "model/sites.h"
#include "run/settings.h"

typedef struct isc_model_request {
  const char *path;       /* directory or GGUF file                            */
  const char *plugin;     /* name of the target class; NULL = the one that reads the model */
  const char *const *set; /* [n_set] overrides; they are applied in their order */
  int64_t n_set;
} isc_model_request;

typedef struct isc_model {
  isc_config *config;
  isc_run_settings run;
  isc_target_settings settings;
  char *type; /* the model_type that the plugin was found by; NULL when it was named */
  const isc_class *cls;
  void *conf;
  isc_device *device; /* from here on NULL until isc_model_open */
  void *device_conf;
  char *device_report;
  isc_step *step;
  isc_target target;
} isc_model;

/* The class and its settings; nothing is loaded. No class or several that read the model → ISC_E_MISSING or ISC_E_USAGE naming them. */
ISC_API isc_status isc_model_find(const isc_model_request *q, isc_model *out);
/* The device and the target. */
ISC_API isc_status isc_model_open(isc_model *m);
ISC_API void isc_model_close(isc_model *m); /* zeros are fine */

/* The family and the options of a target's conf; *family is NULL when its class tells none. */
ISC_API void isc_target_family(const isc_class *cls, const void *conf,
                               const isc_decoder_family **family,
                               const isc_decoder_options **options);

#endif
