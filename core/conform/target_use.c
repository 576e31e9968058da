/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a target to be checked, and prompts for it.
 */
#include "conform/target_use.h"
#include <inversescope/tensor.h>
#include <string.h>

isc_status isc_subject_open(isc_conform *c, const void *conf, int threads, isc_subject *out) {
  isc_status st = ISC_OK;
  *out = (isc_subject){.c = c};
  ISC_GO(isc_conform_device(c, threads, &out->dev));
  ISC_GO(isc_target_open(c->cls, conf, out->dev, &out->target));
  ISC_GO(isc_step_new(out->dev, &out->step));
  const isc_tokenizer *t = out->target.ops->tokenizer(out->target.self);
  out->valid = out->target.info.vocab;
  if (t && isc_tokenizer_vocab(t) < out->valid) out->valid = isc_tokenizer_vocab(t);
done:
  if (st != ISC_OK) isc_subject_close(out);
  return st;
}

void isc_subject_close(isc_subject *s) {
  isc_step_free(s->step);
  isc_target_close(&s->target);
  isc_device_close(s->dev);
  *s = (isc_subject){0};
}

isc_status isc_with_subject(isc_conform *c, isc_status (*use)(isc_subject *s)) {
  isc_subject s;
  ISC_TRY(isc_subject_open(c, c->conf, 2, &s));
  isc_status st = use(&s);
  isc_subject_close(&s);
  return st;
}

void isc_prompts_random(const isc_subject *s, uint64_t seed, isc_prompts *out) {
  int64_t n_ctx = s->target.info.n_ctx;
  isc_rng r = isc_rng_at(seed, ISC_RNG_USER + 78, 0);
  *out = (isc_prompts){.batch = ISC_PROMPTS};
  out->len = n_ctx < ISC_PROMPT_LONGEST ? n_ctx : ISC_PROMPT_LONGEST;
  for (int64_t i = 0; i < ISC_PROMPTS; i++)
    out->length[i] = out->len - i * out->len / (ISC_PROMPTS + 1);
  for (int64_t i = 0; i < ISC_PROMPTS * out->len; i++)
    out->ids[i] = (int32_t)isc_rng_below(&r, (uint64_t)s->valid);
}

/* The start of a text, when it has two tokens or more; what follows in the row stays. */
static bool take_text(const isc_subject *s, const char *text, int32_t *row, int64_t most,
                      int64_t *length) {
  const isc_tokenizer *t = s->target.ops->tokenizer(s->target.self);
  int32_t ids[ISC_PROMPT_LONGEST];
  int64_t n = 0;
  if (!t || isc_tokenizer_encode(t, text, strlen(text), ids, most, &n) != ISC_OK || n < 2)
    return false;
  *length = n < most ? n : most;
  for (int64_t i = 0; i < *length; i++)
    if (ids[i] >= s->valid) return false;
  memcpy(row, ids, (size_t)*length * sizeof *row);
  return true;
}

void isc_prompts_make(const isc_subject *s, isc_prompts *out) {
  const isc_case *cs = s->c->cs;
  int64_t taken = 0;
  isc_prompts_random(s, s->c->seed, out);
  for (int64_t i = 0; i < cs->n_texts && taken < out->batch; i++)
    taken += take_text(s, cs->texts[i], out->ids + taken * out->len, out->length[taken],
                       &out->length[taken]);
}
