/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope pretrain, below its command line: one stage of a run directory, whose model is then copied to
 * pretrain.output.
 */
#include "run/pretrain_run.h"

#include "run/run_dir.h"
#include "run/study_open.h"

#include <stdlib.h>
#include <string.h>

/* config.json last: a directory that has it has a whole model. */
static const char *const model_files[] = {"tokenizer.json", "tokenizer_config.json",
                                          "model.safetensors", "config.json", NULL};

typedef struct job {
  isc_pretrain_conf conf;
  isc_output_settings out;
  isc_pretrain_result *result;
} job;

static isc_status fill_group(isc_config *c, job *j) {
  static const char *const outs[] = {"output", NULL};
  const char *own[64] = {NULL};
  int64_t n = 0;
  for (const isc_option *o = isc_pretrain_options; o->name && n < 63; o++)
    own[n++] = o->name;
  ISC_TRY(isc_config_fill(c, "pretrain", isc_pretrain_options, outs, &j->conf));
  return isc_config_fill(c, "pretrain", isc_output_options, own, &j->out);
}

static isc_status open_study(const isc_run_request *q, isc_study *s, job *j) {
  ISC_TRY(isc_config_load(&q->source, &s->config));
  ISC_TRY(isc_strdup(q->source.path, &s->config_path));
  ISC_TRY(isc_study_search_path(s->config));
  ISC_TRY(isc_config_check_unused(s->config, isc_pretrain_keys));
  ISC_TRY(isc_config_fill(s->config, "run", isc_run_options, NULL, &s->run));
  ISC_TRY(fill_group(s->config, j));
  ISC_TRY(isc_study_run_dir(s, q->dir));
  ISC_TRY(isc_study_run_device(s));
  ISC_TRY(isc_study_fill(s->config, "prior", ISC_PRIOR, NULL, isc_prior_options, &s->prior_settings,
                         &s->prior_class, &s->prior_conf));
  s->prior.ops = s->prior_class->ops;
  s->prior.name = s->prior_class->name;
  return isc_study_in(s, "prior",
                      s->prior.ops->open(s->prior_conf, (uint64_t)s->run.seed, &s->prior.self));
}

static isc_status train(isc_run_state *r, void *arg) {
  job *j = arg;
  isc_train_io io = isc_stage_io(r);
  return isc_pretrain(&r->study->prior, r->study->device, &j->conf, r->stage_dir, &io, j->result);
}

static isc_status copy_file(const char *from_dir, const char *to_dir, const char *name) {
  char *from = NULL, *to = NULL, *data = NULL;
  size_t len = 0;
  isc_status st = ISC_OK;
  ISC_GO(isc_path_join(from_dir, name, &from));
  ISC_GO(isc_path_join(to_dir, name, &to));
  ISC_GO(isc_read_file(from, (size_t)1 << 40, &data, &len));
  ISC_GO(isc_write_file(to, data, len));
done:
  free(from);
  free(to);
  free(data);
  return st;
}

isc_status isc_pretrain_run(const isc_run_request *request, isc_pretrain_result *result,
                            char **model_dir) {
  isc_status st = ISC_OK;
  isc_study *s = NULL;
  job j = {.result = result};
  isc_run_state r = {.request = request, .started = isc_now()};
  char key[33];
  int lock = -1;
  *model_dir = NULL;
  ISC_TRY(isc_calloc(1, sizeof *s, "study", (void **)&s));
  r.study = s;
  ISC_GO(open_study(request, s, &j));
  if (request->events.note) request->events.note(request->events.user, s->device->description);
  ISC_GO(isc_run_dir_open(&r, &lock));
  ISC_GO(isc_key_pretrain(s, key));
  ISC_GO(isc_stage_run(&r, "pretrain", key, train, &j));
  ISC_GO(isc_mkdirs(j.out.output));
  for (int i = 0; model_files[i]; i++)
    ISC_GO(copy_file(r.stage_dir, j.out.output, model_files[i]));
  ISC_GO(isc_strdup(j.out.output, model_dir));
done:
  isc_curve_free(&r.curve);
  free(r.stage_dir);
  isc_study_close(s);
  isc_run_dir_close(&r, lock);
  return st;
}
