/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory of a study's target and of its harvest.
 */
#include "run/plan.h"

#include "run/model.h"

#include <string.h>

void isc_harvest_plan_make(const isc_memory_plan *p, const isc_site_sum *sites, int64_t texts,
                           int64_t batch, int64_t len, isc_harvest_plan *out) {
  const isc_decoder_spec *s = &p->spec;
  const int64_t at_once = texts < batch ? texts : batch;
  const int64_t chunk = texts < ISC_STORE_CHUNK ? texts : ISC_STORE_CHUNK;
  const double stored = (double)sites->stored * sizeof(float);
  *out = (isc_harvest_plan){
      .sites = *sites,
      .texts = texts,
      .batch = at_once,
      .len = len,
      .weights = isc_plan_weights(p, s->weights, p->streamed),
      .pass = isc_plan_pass(p, (double)at_once * (double)len),
      .waiting = p->streamed ? isc_plan_waiting(p, (double)chunk, (double)at_once, (double)len) : 0,
      .maps = (double)sites->heads * (double)(s->d_head * s->d_model) * sizeof(float),
      .chunk = (double)chunk * stored,
      .disk = (double)texts * stored};
  out->peak = out->weights + out->pass + out->waiting + out->maps + out->chunk;
}

isc_status isc_target_plan(const isc_class *cls, const void *conf, const isc_device *dev,
                           isc_memory_plan *out) {
  const isc_decoder_family *family;
  const isc_decoder_options *options;
  isc_family_files *files;
  isc_decoder_spec spec;
  isc_target_family(cls, conf, &family, &options);
  if (!family)
    return isc_fail(
        ISC_E_UNSUPPORTED,
        "target \"%s\" does not tell its shape before it is opened: its ops table names "
        "no family",
        cls->name);
  ISC_TRY(isc_family_open(family, options, &files, &spec));
  const bool streamed = strcmp(isc_decoder_residents[options->resident], "stream") == 0;
  const isc_status st = isc_memory_plan_files(files, &spec, streamed, dev, out);
  isc_family_files_close(files);
  return st;
}

/* ---- of a study */

enum { LOOKED_AT = 64 };

static isc_status count_tokens(const isc_study *s, const isc_tokenizer *tok, isc_study_plan *out) {
  isc_text text = {0};
  isc_status st = ISC_OK;
  out->looked_at = s->n_train < LOOKED_AT ? s->n_train : LOOKED_AT;
  for (int64_t i = 0, n; i < out->looked_at; i++) {
    ISC_GO(isc_study_text(s, ISC_TRAIN, i, &text));
    ISC_GO(isc_tokenizer_encode(tok, text.data ? text.data : "", text.len, NULL, 0, &n));
    if (i == 0 || n < out->shortest) out->shortest = n;
    if (n > out->longest) out->longest = n;
  }
done:
  isc_text_free(&text);
  return st;
}

static isc_status read_lengths(const isc_study *s, isc_study_plan *out) {
  const isc_decoder_family *family;
  const isc_decoder_options *options;
  isc_tokenizer *tok;
  isc_target_family(s->target_class, s->target_conf, &family, &options);
  ISC_TRY(isc_decoder_family_tokenizer(options, &tok));
  const isc_status st = count_tokens(s, tok, out);
  isc_tokenizer_close(tok);
  return st;
}

isc_status isc_study_plan_make(const isc_study *s, isc_study_plan *out) {
  const isc_target_settings *t = &s->target_settings;
  isc_site_sum sites;
  *out = (isc_study_plan){0};
  ISC_TRY(isc_target_plan(s->target_class, s->target_conf, s->device, &out->memory));
  ISC_TRY(isc_sites_measure(&out->memory.info, t->sites.at.s, t->sites.count, &sites));
  ISC_TRY(read_lengths(s, out));
  isc_harvest_plan_make(&out->memory, &sites, s->n_train + s->n_test, t->batch, out->longest,
                        &out->harvest);
  return ISC_OK;
}

double isc_memory_available(void) {
  FILE *f = fopen("/proc/meminfo", "re");
  char line[128];
  double kib = 0;
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "MemAvailable: %lf", &kib) == 1) break;
  if (f) fclose(f);
  return kib * 1024;
}
