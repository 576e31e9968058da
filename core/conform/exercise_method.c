/* SPDX-License-Identifier: Apache-2.0
 *
 * How a method is opened and used by the checks that know nothing of methods.
 *
 * The first use trains it for a few steps on a small part of the planted task; later ones only ask.
 */
#include "conform/method_use.h"
#include <stdlib.h>

enum { INPUTS = 48, STEPS = 4 };

typedef struct method {
  isc_reader reader;
  bool trained;
} method;

static isc_status open_method(isc_conform *c, const void *conf, uint64_t seed, int threads,
                              void **instance) {
  static int opened; /* names the directories of a process, nothing else */
  char name[32];
  void *p;
  ISC_TRY(isc_calloc(1, sizeof(method), "an opened method", &p));
  snprintf(name, sizeof name, "use-%d", opened++);
  isc_status st = isc_reader_open(c, conf, seed, threads, INPUTS, name, &((method *)p)->reader);
  if (st != ISC_OK) {
    free(p);
    return st;
  }
  ((method *)p)->reader.max_steps = STEPS;
  *instance = p;
  return ISC_OK;
}

static void close_method(isc_conform *c, void *instance) {
  (void)c;
  isc_reader_close(&((method *)instance)->reader);
  free(instance);
}

/* What it says of its stages. */
static isc_status describe(isc_reader *r, isc_sb *out) {
  for (int64_t k = 0; k < isc_reader_stages(r); k++) {
    isc_sb_add(out, isc_reader_stage_name(r, k));
    if (r->ops->stage_uses) isc_sb_addf(out, " uses %u", (unsigned)r->ops->stage_uses(r->self, k));
    const char *const *option = r->ops->stage_options ? r->ops->stage_options(r->self, k) : NULL;
    for (; option && *option; option++)
      isc_sb_add(out, *option);
    void *hex;
    if (!r->ops->fingerprint) continue;
    ISC_TRY(isc_guard_new(r->c, 33, &hex));
    ISC_TRY(r->ops->fingerprint(r->self, k, hex));
    isc_sb_addn(out, hex, 33);
  }
  return ISC_OK;
}

static isc_status use(isc_conform *c, void *instance, uint64_t seed, isc_sb *out) {
  method *m = instance;
  (void)c;
  (void)seed; /* the task's, since the method was opened on it */
  ISC_TRY(describe(&m->reader, out));
  if (!m->trained) ISC_TRY(isc_reader_fit(&m->reader));
  m->trained = true;
  return isc_reader_outputs(&m->reader, out);
}

const isc_exercise isc_exercise_method = {
    .open = open_method, .close = close_method, .use = use, .seeded = true};
