/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope pretrain: a small target model, trained on a prior from scratch.
 */
#include "cli/events.h"
#include "run/pretrain_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void show(const isc_pretrain_result *r, const char *dir) {
  if (r->evaluated > 0 && !isnan(r->accuracy))
    printf("right answers on %lld held-out inputs: %.2f %%\n", (long long)r->evaluated,
           100 * r->accuracy);
  if (r->parameters > 0)
    printf("%lld parameters, vocabulary of %lld\n", (long long)r->parameters,
           (long long)r->vocabulary);
  printf("model: %s\n", dir);
}

static int run(int argc, char **argv) {
  const char **set = calloc((size_t)argc + 1, sizeof *set);
  isc_progress progress;
  isc_run_request req = {.stop = &isc_cli_stop};
  isc_pretrain_result result = {0};
  char *dir = NULL;
  if (!set) return isc_cli_fail(isc_fail(ISC_E_NOMEM, "no memory for the command line"));
  int code = isc_cli_parse_source(&isc_command_pretrain, argc, argv, set, &req);
  if (!code) {
    req.events = isc_cli_events(&progress);
    isc_cli_catch_signals();
    const isc_status st = isc_pretrain_run(&req, &result, &dir);
    isc_progress_close(&progress);
    if (st == ISC_OK)
      show(&result, dir);
    else
      code = isc_cli_fail(st);
  }
  free(dir);
  free(set);
  return code;
}

const isc_command isc_command_pretrain = {
    .name = "pretrain",
    .synopsis = "pretrain CONFIG [--set PATH=VALUE]… [--dir DIR]",
    .summary = "Train a small target on a prior and write a Hugging Face directory",
    .help = "  --set PATH=VALUE          override a setting: --set pretrain.steps=500\n"
            "  --dir DIR                 the working directory, instead of run.dir\n"
            "  --allow-outside-includes  let @include leave the config's own directory\n\n"
            "The model goes to pretrain.output: config.json, model.safetensors, tokenizer.json.\n",
    .run = run};
