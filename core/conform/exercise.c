/* SPDX-License-Identifier: Apache-2.0
 *
 * One cycle of open, use, close, for the checks that know nothing of the kind.
 */
#include "conform/exercise.h"
#include <string.h>

isc_status isc_exercise_cycle(isc_conform *c, uint64_t seed, int threads, int uses, isc_sb *out) {
  const isc_exercise *e = isc_exercise_of(c->cls->kind);
  void *instance = NULL;
  isc_status st = e->open(c, c->conf, seed, threads, &instance);
  for (int i = 0; st == ISC_OK && i < uses; i++)
    st = e->use(c, instance, seed, out);
  if (instance) e->close(c, instance);
  isc_guard_free_all();
  if (st == ISC_OK && out->failed) st = isc_fail(ISC_E_NOMEM, "no memory for what came out");
  return st;
}

isc_status isc_exercise_must(isc_conform *c, uint64_t seed, int threads, int uses, isc_sb *out) {
  if (isc_exercise_cycle(c, seed, threads, uses, out) == ISC_OK) return ISC_OK;
  return isc_fail_in("opening and using it");
}

isc_status isc_transcripts_agree(const isc_sb *a, const isc_sb *b, const char *what) {
  size_t n = a->len < b->len ? a->len : b->len, at = 0;
  while (at < n && a->s[at] == b->s[at])
    at++;
  if (a->len == b->len && at == n) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL,
                  "%s: the outputs have %zu and %zu bytes and differ from byte %zu on", what,
                  a->len, b->len, at);
}
