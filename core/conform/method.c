/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of methods: the list of them, and what a method says about its stages.
 *
 * The checks work on the planted task (toy.h). Except where it matters that a method learns, training ends after a few steps
 * by its budget, so that they are quick whatever the options say.
 */
#include "conform/method_use.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Directories of a run that are not a method's. */
static const char *const TAKEN[] = {"harvest", "sample", "score", "report", NULL};

static isc_status check_name(const isc_reader *r, int64_t k) {
  const char *name = isc_reader_stage_name(r, k);
  const size_t len = strlen(name);
  const bool clean = len > 0 && len <= 64 && name[0] >= 'a' && name[0] <= 'z' &&
                     strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
  if (!clean)
    return isc_fail(ISC_E_INTERNAL,
                    "stage %" PRId64 " is named \"%.80s\": it names a directory, so it must be "
                    "[a-z][a-z0-9-]*",
                    k, name);
  for (const char *const *t = TAKEN; *t; t++)
    if (!strcmp(name, *t))
      return isc_fail(ISC_E_INTERNAL, "stage %" PRId64 " is named \"%s\", as a run's own is", k,
                      name);
  for (int64_t i = 0; i < k; i++)
    if (!strcmp(name, isc_reader_stage_name(r, i)))
      return isc_fail(ISC_E_INTERNAL, "stages %" PRId64 " and %" PRId64 " are both named \"%s\"", i,
                      k, name);
  return ISC_OK;
}

static isc_status check_options(const isc_reader *r, int64_t k) {
  if (!r->ops->stage_options) return ISC_OK;
  const char *const *name = r->ops->stage_options(r->self, k);
  for (; name && *name; name++) {
    const isc_option *o = r->c->cls->options;
    while (o && o->name && strcmp(o->name, *name) != 0)
      o++;
    if (!o || !o->name)
      return isc_fail(ISC_E_INTERNAL,
                      "stage %s says that it reads the option \"%s\", which the class has not",
                      isc_reader_stage_name(r, k), *name);
  }
  return ISC_OK;
}

static isc_status check_fingerprint(const isc_reader *r, int64_t k, char hex[33]) {
  if (!r->ops->fingerprint) return ISC_OK;
  memset(hex, '?', 33);
  if (r->ops->fingerprint(r->self, k, hex) != ISC_OK)
    return isc_fail_in("the fingerprint of stage %s", isc_reader_stage_name(r, k));
  if (memchr(hex, 0, 33) == hex + 32 && strspn(hex, "0123456789abcdef") == 32) return ISC_OK;
  hex[32] = 0;
  return isc_fail(ISC_E_INTERNAL,
                  "the fingerprint of stage %s is \"%s\": 32 lower-case hex digits and a NUL are "
                  "expected",
                  isc_reader_stage_name(r, k), hex);
}

static isc_status check_uses(const isc_reader *r, int64_t k) {
  const uint32_t known = ISC_USES_ACTIVATIONS | ISC_USES_KERNEL;
  const uint32_t uses = r->ops->stage_uses ? r->ops->stage_uses(r->self, k) : 0;
  if ((uses & ~known) == 0) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "stage %s says that it uses 0x%x, of which only 0x%x is defined",
                  isc_reader_stage_name(r, k), (unsigned)uses, (unsigned)known);
}

isc_status isc_check_method_stages(isc_conform *c) {
  isc_reader r = {0};
  isc_status st = ISC_OK;
  char first[ISC_READER_STAGES][33], again[33];
  ISC_TRY(isc_reader_open(c, c->conf, c->seed, 1, ISC_TASK_TRAIN, "study", &r));
  if (!r.ops->invert && !r.ops->classify)
    ISC_GO(isc_fail(ISC_E_INTERNAL, "it has neither `invert` nor `classify`"));
  for (int64_t k = 0; k < isc_reader_stages(&r); k++) {
    ISC_GO(check_name(&r, k));
    ISC_GO(check_options(&r, k));
    ISC_GO(check_uses(&r, k));
    ISC_GO(check_fingerprint(&r, k, first[k]));
  }
  ISC_GO(isc_reader_reopen(&r));
  for (int64_t k = 0; r.ops->fingerprint && k < isc_reader_stages(&r); k++) {
    ISC_GO(check_fingerprint(&r, k, again));
    if (memcmp(first[k], again, 33) != 0)
      ISC_GO(isc_fail(ISC_E_INTERNAL,
                      "the fingerprint of stage %s is %s, and %s in a second instance",
                      isc_reader_stage_name(&r, k), first[k], again));
  }
done:
  isc_reader_close(&r);
  return st;
}

isc_status isc_check_method_parameters(isc_conform *c) {
  isc_reader r;
  isc_status st = ISC_OK;
  ISC_TRY(isc_reader_fitted(c, ISC_READER_FEW, "study", &r));
  const int64_t trained = r.ops->parameters(r.self);
  if (trained < 0) ISC_GO(isc_fail(ISC_E_INTERNAL, "it has %" PRId64 " parameters", trained));
  ISC_GO(isc_reader_reopen(&r));
  ISC_GO(isc_reader_load(&r, isc_reader_stages(&r)));
  const int64_t loaded = r.ops->parameters(r.self);
  if (loaded != trained)
    st = isc_fail(ISC_E_INTERNAL,
                  "it has %" PRId64 " parameters when trained and %" PRId64 " when loaded", trained,
                  loaded);
done:
  isc_reader_close(&r);
  return st;
}

/* ---- the list */

#define CHECK(id, seconds) "method." id, ISC_OF(ISC_METHOD), ISC_PER_CASE, seconds

const isc_check isc_checks_method[] = {
    {CHECK("chance", 60),
     "On the planted task it reads, on held-out inputs, what a site tells: it is right more often "
     "than chance is once in a million.",
     "Give the method enough steps for a task of 288 texts in a case file (options of the class); "
     "check that a site's activations go with its own texts.",
     isc_check_method_chance},
    {CHECK("noise-site", 60),
     "At a site that is noise it is right about held-out inputs no more often than chance allows.",
     "It knows more than its activation: look for state that goes from one call or row to the "
     "next, and for conditions that are mixed up between sites.",
     isc_check_method_noise_site},
    {CHECK("held-out", 30), "It asks for training inputs only.",
     "Read texts by env->text and activations by env->activations, 0 to n_train - 1; do not call "
     "the prior's draw and enumerate.",
     isc_check_method_held_out},
    {CHECK("stages", 20),
     "Its stages have distinct names fit for directories, read options that exist, and have "
     "fingerprints of 32 hex digits that every instance agrees on.",
     "Return static tables; hash with isc_text_hash.", isc_check_method_stages},
    {CHECK("stage-uses", 30),
     "A stage that does not say it uses activations, or the kernel, does not ask for them.",
     "List what the stage reads in stage_uses, or leave stage_uses out: what is not listed may not "
     "be there yet, and its changes do not retrain the stage.",
     isc_check_method_stage_uses},
    {CHECK("parameters", 30),
     "The number of parameters is not negative, and the same when trained and when loaded.",
     "Count what the stages left, not what happens to be in memory.", isc_check_method_parameters},
    {CHECK("progress", 30),
     "Progress counts up to a total that stays the same and is reached, with metrics named by one "
     "word, and its failure ends the training.",
     "Report each step once, after it is done; return the status that progress returns.",
     isc_check_method_progress},
    {CHECK("budget", 30), "A stage makes no more steps than its budget, and is then finished.",
     "Train for isc_train_steps(io, steps) steps and give that as the total.",
     isc_check_method_budget},
    {CHECK("interrupt", 30),
     "Asked to stop, training ends with ISC_E_INTERRUPTED within a second, after one more step at "
     "most.",
     "Ask io->should_stop before each step; let a step be short enough.",
     isc_check_method_interrupt},
    {CHECK("resume", 60),
     "Training that was stopped and goes on in a fresh instance ends as if it had never been "
     "stopped, and makes no step twice.",
     "Save everything a step depends on: parameters, moments, counters; draw random numbers by the "
     "number of the step.",
     isc_check_method_resume},
    {CHECK("checkpoint", 60),
     "Training that was killed goes on from where it was last told to save, to the same end.",
     "Ask io->checkpoint_due after each step and save the state then, atomically, as "
     "isc_state_save does.",
     isc_check_method_checkpoint},
    {CHECK("load", 30), "A fresh instance that loads the stages gives what the trained one gave.",
     "Save everything that sampling or labelling reads, in full precision.", isc_check_method_load},
    {CHECK("damage", 60),
     "Stages whose files are missing, cut or overwritten are an error that names the file, unless "
     "the file does not matter.",
     "Check sizes and hashes before use, as isc_state_restore does.", isc_check_method_damage},
    {CHECK("samples", 30),
     "Inversion delivers each sample of each row once, and ends with the status of a delivery that "
     "fails.",
     "Call req->sample for every row and j, and return what it returns when that is a failure.",
     isc_check_method_samples},
    {CHECK("batch", 30),
     "A sample depends on its condition, seed and index alone: not on the batch size, the other "
     "rows or their order; a label on its activation alone.",
     "Draw sample j of row r at Philox index[r] + j; sum in an order that the batch does not "
     "change.",
     isc_check_method_batch},
    {CHECK("log-q", 60),
     "log q of a sample is at most 0, and the samples' frequencies agree with it.",
     "log q is the log-probability of the whole text under the law it was drawn from, its end and "
     "the temperature included.",
     isc_check_method_log_q},
    {0}};
