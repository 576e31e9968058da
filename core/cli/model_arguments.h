/* SPDX-License-Identifier: Apache-2.0
 *
 * What `generate` and `inspect` share: which model, and its settings.
 */
#ifndef ISC_CORE_CLI_MODEL_ARGUMENTS_H
#define ISC_CORE_CLI_MODEL_ARGUMENTS_H

#include "cli/cli.h"
#include "run/model.h"

typedef struct isc_model_arguments {
  isc_model_request request;
  const char **set; /* room for what the command line can hold */
  char *device;     /* the override that --device is           */
} isc_model_arguments;

isc_status isc_model_arguments_new(isc_model_arguments *a, int argc);
void isc_model_arguments_free(isc_model_arguments *a);
/* Takes argv[*i] if it is --plugin, --set, or the model's path; *taken tells. 0 or an exit code. */
int isc_model_arguments_take(const isc_command *c, isc_model_arguments *a, int argc, char **argv,
                             int *i, bool *taken);
/* --device NAME, which is --set run.device=NAME. */
int isc_model_arguments_device(const isc_command *c, isc_model_arguments *a, const char *name);

/* "--top-k" and its like: a whole number from lo to hi; a number from lo to hi. False when it is none. */
bool isc_cli_whole(const char *s, int64_t lo, int64_t hi, int64_t *out);
bool isc_cli_number(const char *s, double lo, double hi, double *out);

#endif
