/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments that name a model and its settings.
 */
#include "cli/model_arguments.h"

#include <errno.h>
#include <stdlib.h>

bool isc_cli_whole(const char *s, int64_t lo, int64_t hi, int64_t *out) {
  char *end = NULL;
  if (!s || !*s) return false;
  errno = 0;
  const long long x = strtoll(s, &end, 10);
  *out = x;
  return !errno && !*end && x >= lo && x <= hi;
}

bool isc_cli_number(const char *s, double lo, double hi, double *out) {
  return s && isc_text_double(s, out) && *out >= lo && *out <= hi;
}

isc_status isc_model_arguments_new(isc_model_arguments *a, int argc) {
  *a = (isc_model_arguments){0};
  return isc_calloc((size_t)argc + 1, sizeof *a->set, "arguments", (void **)&a->set);
}

void isc_model_arguments_free(isc_model_arguments *a) {
  free(a->set);
  free(a->device);
}

static int set(isc_model_arguments *a, const char *assignment) {
  a->set[a->request.n_set++] = assignment;
  a->request.set = a->set;
  return 0;
}

int isc_model_arguments_device(const isc_command *c, isc_model_arguments *a, const char *name) {
  if (!name) return isc_cli_usage(c, "--device needs the name of a backend, or auto");
  if (a->device) return isc_cli_usage(c, "one --device at a time");
  const isc_status st = isc_asprintf(&a->device, "run.device=%s", name);
  return st == ISC_OK ? set(a, a->device) : isc_cli_fail(st);
}

int isc_model_arguments_take(const isc_command *c, isc_model_arguments *a, int argc, char **argv,
                             int *i, bool *taken) {
  const char *value = NULL;
  *taken = true;
  if (isc_cli_option(argc, argv, i, "--set", &value))
    return value ? set(a, value) : isc_cli_usage(c, "--set needs PATH=VALUE");
  if (isc_cli_option(argc, argv, i, "--plugin", &a->request.plugin))
    return a->request.plugin ? 0 : isc_cli_usage(c, "--plugin needs the name of a target");
  *taken = argv[*i][0] != '-';
  if (!*taken) return 0;
  if (a->request.path)
    return isc_cli_usage(c, "one model at a time, not also %s", isc_cli_safe(argv[*i]));
  a->request.path = argv[*i];
  return 0;
}
