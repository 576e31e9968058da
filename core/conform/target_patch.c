/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of targets: patches.
 *
 * Causal claims about a site rest on patching it, so a patch must reach all that the model computes from it and
 * nothing else.
 */
#include "conform/target_use.h"

static isc_status patch_copies(isc_subject *s) {
  isc_prompts p;
  isc_pass before = {0}, after = {0};
  isc_status st = ISC_OK;
  isc_prompts_make(s, &p);
  isc_pass_request r = {.ids = p.ids, .batch = p.batch, .len = p.len, .patching = ISC_PATCH_SELF};
  ISC_GO(isc_pass_plain(s, p.ids, p.batch, p.len, &before));
  ISC_GO(isc_pass_run(s, &r, &after));
  ISC_GO(isc_pass_same(s, &before, &after, 0, "every place replaced by a copy of itself"));
done:
  isc_pass_free(&before);
  isc_pass_free(&after);
  return st;
}

static isc_status patch_self(isc_conform *c) {
  return isc_with_subject(c, patch_copies);
}

/* Does any entry from `first` on differ in any row from `row` to the end of its sequence? */
static bool changed(const isc_subject *s, const isc_pass *a, const isc_pass *b, int64_t first,
                    int64_t row, int64_t end) {
  for (int64_t r = row; r < end; r++)
    if (isc_pass_agree(s, a, r, b, r, first, a->entries, 1e-6, "") != ISC_OK) return true;
  return false;
}

/* A patch at one place and position of sequence 0, against the pass without it. */
static isc_status patch_one(isc_subject *s, const isc_prompts *p, isc_pass_request *r,
                            const isc_pass *before) {
  isc_pass after = {0};
  char what[128];
  int64_t here = isc_pass_entry(r->patch_place, r->patch_layer);
  isc_status st = ISC_OK;
  snprintf(what, sizeof what, "%s patched at position %lld of sequence 0", isc_pass_name(s, here),
           (long long)r->patch_position);
  ISC_GO(isc_pass_run(s, r, &after));
  for (int64_t row = 0; row < before->rows; row++) {
    bool upstream = row < r->patch_position || row >= p->len;
    int64_t end = upstream ? before->entries : here + 1; /* `here` is recorded before the patch */
    ISC_GO(isc_pass_agree(s, before, row, &after, row, 0, end, ISC_ROW_TOLERANCE, what));
  }
  if (after.offered[here] && !changed(s, before, &after, here + 1, r->patch_position, p->len))
    st = isc_fail(ISC_E_INTERNAL, "%s: nothing behind it changed", what);
done:
  isc_pass_free(&after);
  return st;
}

static isc_status patch_places(isc_subject *s) {
  isc_prompts p;
  isc_pass before = {0};
  const int64_t last = s->target.info.n_layer - 1, layers[] = {0, last / 2, last};
  isc_prompts_make(s, &p);
  isc_pass_request r = {.ids = p.ids,
                        .batch = p.batch,
                        .len = p.len,
                        .patching = ISC_PATCH_SHIFT,
                        .patch_position = p.len / 2};
  isc_status st = isc_pass_plain(s, p.ids, p.batch, p.len, &before);
  for (int k = 0; k < 3 && st == ISC_OK; k++)
    for (int place = 0; place < ISC_PLACE_COUNT && st == ISC_OK; place++) {
      r.patch_layer = layers[k];
      r.patch_place = (isc_place)place;
      if (k == 0 || layers[k] != layers[k - 1]) st = patch_one(s, &p, &r, &before);
    }
  isc_pass_free(&before);
  return st;
}

static isc_status patch_downstream(isc_conform *c) {
  return isc_with_subject(c, patch_places);
}

#define ENTRY(name, rule, advice, run)                                                             \
  { "target." name, ISC_OF(ISC_TARGET), ISC_PER_CASE, 60, rule, advice, run }
const isc_check isc_checks_target_patch[] = {
    ENTRY("patch-self", "Replacing every place by a copy of itself changes no bit.",
          "Go on with *out of isc_tap, in whatever memory it lies, and treat it like your own.",
          patch_self),
    ENTRY(
        "patch-downstream",
        "A patch changes nothing before its place, at earlier positions or in other sequences, and "
        "something behind it.",
        "Use the tensor that isc_tap gives back; a place whose patch changes nothing is not the "
        "one that the model reads.",
        patch_downstream),
    {0}};
