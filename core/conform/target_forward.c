/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of targets: what must not change a row of a forward pass.
 *
 * Activations of one text are compared between runs, batches and devices, so they may depend on nothing but the tokens up to
 * their position.
 */
#include "conform/target_use.h"
#include <string.h>

static isc_status pass_of(isc_subject *s, const isc_prompts *p, isc_pass *out) {
  return isc_pass_plain(s, p->ids, p->batch, p->len, out);
}

/* ---- the same again */

static isc_status run_twice(isc_subject *s) {
  isc_prompts p;
  isc_pass a = {0}, b = {0};
  isc_status st = ISC_OK;
  isc_prompts_make(s, &p);
  ISC_GO(pass_of(s, &p, &a));
  ISC_GO(pass_of(s, &p, &b));
  ISC_GO(isc_pass_same(s, &a, &b, 0, "the same ids twice"));
done:
  isc_pass_free(&a);
  isc_pass_free(&b);
  return st;
}

static isc_status repeat(isc_conform *c) {
  return isc_with_subject(c, run_twice);
}

/* ---- the batch */

/* Sequence i of a pass over p, and the first of a pass over `len` positions: rows of its own tokens agree. */
static isc_status same_sequence(isc_subject *s, const isc_prompts *p, const isc_pass *all,
                                int64_t i, const isc_pass *other, const char *what) {
  for (int64_t t = 0; t < p->length[i]; t++)
    ISC_TRY(
        isc_pass_agree(s, all, i * p->len + t, other, t, 0, all->entries, ISC_ROW_TOLERANCE, what));
  return ISC_OK;
}

/* Each sequence alone, with the padding it has in the batch, or cut to its own length. */
static isc_status run_alone(isc_subject *s, bool cut, const char *why) {
  isc_prompts p;
  isc_pass all = {0};
  char what[96];
  isc_prompts_make(s, &p);
  isc_status st = pass_of(s, &p, &all);
  for (int64_t i = 0; i < p.batch && st == ISC_OK; i++) {
    isc_pass one = {0};
    snprintf(what, sizeof what, "sequence %lld of %lld, and %s", (long long)i, (long long)p.batch,
             why);
    st = isc_pass_plain(s, p.ids + i * p.len, 1, cut ? p.length[i] : p.len, &one);
    if (st == ISC_OK) st = same_sequence(s, &p, &all, i, &one, what);
    isc_pass_free(&one);
  }
  isc_pass_free(&all);
  return st;
}

static isc_status run_rows(isc_subject *s) {
  return run_alone(s, false, "alone");
}

static isc_status run_cut(isc_subject *s) {
  return run_alone(s, true, "without its padding");
}

static isc_status batch(isc_conform *c) {
  return isc_with_subject(c, run_rows);
}

static isc_status padding(isc_conform *c) {
  return isc_with_subject(c, run_cut);
}

/* ---- order */

static isc_status run_reversed(isc_subject *s) {
  isc_prompts p, q;
  isc_pass a = {0}, b = {0};
  isc_status st = ISC_OK;
  isc_prompts_make(s, &p);
  q = p;
  for (int64_t i = 0; i < p.batch; i++)
    memcpy(q.ids + i * p.len, p.ids + (p.batch - 1 - i) * p.len, (size_t)p.len * sizeof *p.ids);
  ISC_GO(pass_of(s, &p, &a));
  ISC_GO(pass_of(s, &q, &b));
  for (int64_t r = 0; r < a.rows; r++)
    ISC_GO(isc_pass_agree(s, &a, r, &b, (p.batch - 1 - r / p.len) * p.len + r % p.len, 0, a.entries,
                          ISC_ROW_TOLERANCE, "sequences in order, and in reverse"));
done:
  isc_pass_free(&a);
  isc_pass_free(&b);
  return st;
}

static isc_status order(isc_conform *c) {
  return isc_with_subject(c, run_reversed);
}

/* ---- causality */

/* Change what follows position t in every sequence. */
static isc_status change_after(isc_subject *s, const isc_prompts *p, int64_t t,
                               const isc_pass *before) {
  isc_prompts q = *p;
  isc_pass after = {0};
  char what[96];
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < p->batch * p->len; i++)
    if (i % p->len > t) q.ids[i] = (int32_t)((q.ids[i] + 1 + i % 3) % s->valid);
  snprintf(what, sizeof what, "the tokens after position %lld changed", (long long)t);
  ISC_GO(pass_of(s, &q, &after));
  for (int64_t r = 0; r < before->rows; r++)
    if (r % p->len <= t)
      ISC_GO(isc_pass_agree(s, before, r, &after, r, 0, before->entries, ISC_ROW_TOLERANCE, what));
done:
  isc_pass_free(&after);
  return st;
}

static isc_status run_changed(isc_subject *s) {
  isc_prompts p;
  isc_pass before = {0};
  isc_prompts_make(s, &p);
  if (p.len < 2 || s->valid < 2)
    return isc_conform_skip(s->c, "a context of %lld and %lld tokens leave nothing to change",
                            (long long)p.len, (long long)s->valid);
  isc_status st = pass_of(s, &p, &before);
  for (int64_t t = 0; t < p.len - 1 && st == ISC_OK; t++)
    st = change_after(s, &p, t, &before);
  isc_pass_free(&before);
  return st;
}

static isc_status causal(isc_conform *c) {
  return isc_with_subject(c, run_changed);
}

/* ---- taps */

/* Without taps, and with taps that keep nothing: the target may then use less memory. */
static isc_status run_thrifty(isc_subject *s) {
  isc_prompts p;
  isc_pass full = {0}, bare = {0}, thrifty = {0};
  isc_status st = ISC_OK;
  isc_prompts_make(s, &p);
  isc_pass_request r = {.ids = p.ids, .batch = p.batch, .len = p.len, .untapped = true};
  ISC_GO(pass_of(s, &p, &full));
  ISC_GO(isc_pass_run(s, &r, &bare));
  for (int64_t i = 0; i < full.rows; i++)
    ISC_GO(isc_pass_agree(s, &full, i, &bare, i, isc_pass_hidden(s), full.entries,
                          ISC_ROW_TOLERANCE, "with taps, and without"));
  r.untapped = false;
  r.transient = true;
  ISC_GO(isc_pass_run(s, &r, &thrifty));
  ISC_GO(isc_pass_same(s, &full, &thrifty, ISC_ROW_TOLERANCE, "with taps, and transient ones"));
done:
  isc_pass_free(&full);
  isc_pass_free(&bare);
  isc_pass_free(&thrifty);
  return st;
}

static isc_status transient(isc_conform *c) {
  return isc_with_subject(c, run_thrifty);
}

/* ---- cache */

/* The next `len` positions of all sequences through the cache; they agree with the full pass. */
static isc_status run_chunk(isc_subject *s, const isc_prompts *p, isc_kv_cache *cache, int64_t from,
                            int64_t len, const isc_pass *full) {
  int32_t ids[ISC_PROMPTS * ISC_PROMPT_LONGEST];
  isc_pass part = {0};
  char what[96];
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < p->batch; i++)
    memcpy(ids + i * len, p->ids + i * p->len + from, (size_t)len * sizeof *ids);
  snprintf(what, sizeof what, "positions %lld to %lld through a cache, and in a full pass",
           (long long)from, (long long)(from + len - 1));
  ISC_GO(isc_pass_run(
      s, &(isc_pass_request){.ids = ids, .batch = p->batch, .len = len, .cache = cache}, &part));
  if (isc_kv_cache_len(cache) != from + len)
    ISC_GO(isc_fail(ISC_E_INTERNAL, "the cache holds %lld positions after %lld went through it",
                    (long long)isc_kv_cache_len(cache), (long long)(from + len)));
  for (int64_t r = 0; r < part.rows; r++)
    ISC_GO(isc_pass_agree(s, &part, r, full, r / len * p->len + from + r % len, 0, part.entries,
                          ISC_ROW_TOLERANCE, what));
done:
  isc_pass_free(&part);
  return st;
}

static isc_status run_cached(isc_subject *s) {
  isc_prompts p;
  isc_pass full = {0};
  isc_kv_cache *cache = NULL;
  isc_status st = ISC_OK;
  if (!s->target.ops->kv_cache) return isc_conform_skip(s->c, "the target has no kv_cache");
  isc_prompts_make(s, &p);
  const int64_t size[] = {1, 3, p.len};
  ISC_GO(pass_of(s, &p, &full));
  ISC_GO(s->target.ops->kv_cache(s->target.self, p.batch, p.len, &cache));
  for (int64_t k = 0, at = 0; k < 3 && at < p.len; k++) {
    int64_t len = size[k] < p.len - at ? size[k] : p.len - at;
    ISC_GO(run_chunk(s, &p, cache, at, len, &full));
    at += len;
  }
done:
  isc_kv_cache_free(cache);
  isc_pass_free(&full);
  return st;
}

static isc_status cache(isc_conform *c) {
  return isc_with_subject(c, run_cached);
}

/* ---- packed */

/* Every entry of a packed pass and of a padded one; of the places of stop_layer that have last positions alone, those. */
static isc_status same_packed(isc_subject *s, const isc_prompts *p, const isc_pass *padded,
                              const isc_pass_request *r) {
  isc_pass packed = {0};
  isc_status st = ISC_OK;
  const int64_t narrow = isc_pass_entry(ISC_HEADS, r->stop_layer);
  ISC_GO(isc_pass_run(s, r, &packed));
  const int64_t end = r->last ? narrow : packed.entries;
  for (int64_t i = 0, row = 0; i < p->batch; i++) {
    for (int64_t t = 0; t < p->length[i]; t++, row++)
      ISC_GO(isc_pass_agree(s, &packed, row, padded, i * p->len + t, 0, end, ISC_ROW_TOLERANCE,
                            "packed, and padded"));
    for (int64_t e = narrow; r->last && e <= isc_pass_entry(r->stop_place, r->stop_layer); e++)
      ISC_GO(isc_pass_agree(s, &packed, i, padded, i * p->len + p->length[i] - 1, e, e + 1,
                            ISC_ROW_TOLERANCE, "last positions alone, and padded"));
  }
done:
  isc_pass_free(&packed);
  return st;
}

static isc_status run_packed(isc_subject *s) {
  static const isc_place STOPS[] = {ISC_HEADS, ISC_RESID_MID, ISC_RESID_POST};
  int32_t ids[ISC_PROMPTS * ISC_PROMPT_LONGEST];
  isc_prompts p;
  isc_pass padded = {0};
  isc_status st = ISC_OK;
  int64_t n = 0;
  if (!s->target.info.packed)
    return isc_conform_skip(s->c, "the target does not say that it takes packed sequences");
  isc_prompts_make(s, &p);
  for (int64_t i = 0; i < p.batch; n += p.length[i++])
    memcpy(ids + n, p.ids + i * p.len, (size_t)p.length[i] * sizeof *ids);
  isc_pass_request r = {.ids = ids, .batch = p.batch, .len = p.len, .lens = p.length};
  ISC_GO(pass_of(s, &p, &padded));
  ISC_GO(same_packed(s, &p, &padded, &r));
  r.stops = r.last = r.transient = true;
  for (r.stop_layer = 0; r.stop_layer < s->target.info.n_layer; r.stop_layer++)
    for (int k = 0; k < 3; k++) {
      r.stop_place = STOPS[k];
      ISC_GO(same_packed(s, &p, &padded, &r));
    }
done:
  isc_pass_free(&padded);
  return st;
}

static isc_status packed(isc_conform *c) {
  return isc_with_subject(c, run_packed);
}

#define ENTRY(name, rule, advice, run)                                                             \
  { "target." name, ISC_OF(ISC_TARGET), ISC_PER_CASE, 60, rule, advice, run }
const isc_check isc_checks_target_forward[] = {
    ENTRY("repeat", "The same ids give the same bits.",
          "Look for uninitialised memory, dropout left on, and sums whose order varies.", repeat),
    ENTRY(
        "batch",
        "A sequence alone gives what it gives in a batch, within 1e-5 of a row's largest element.",
        "Nothing may be computed over the batch: no batch statistics, no scale shared by rows.",
        batch),
    ENTRY("padding",
          "Padding on the right changes no real position, within 1e-5 of a row's largest element.",
          "Count positions from the left, and let nothing depend on len but the mask.", padding),
    ENTRY("order",
          "The order of the sequences in a batch changes nothing, within 1e-5 of a row's largest "
          "element.",
          "Look for rows that are told apart by their place in the batch.", order),
    ENTRY("causal",
          "Later tokens leave all places of earlier positions unchanged, within 1e-5 of a row's "
          "largest element.",
          "Mask keys behind the query in every layer; a mask one off shows here.", causal),
    ENTRY("transient",
          "A pass without taps, or with taps that say they keep nothing, gives the same numbers.",
          "When memory is used again for the next layer, copy what the next layer reads.",
          transient),
    ENTRY("cache",
          "Positions that go through a key/value cache in pieces give what a full pass gives, "
          "within 1e-5 of a row's largest element.",
          "Continue positions where the cache ends, and append keys after they got their position.",
          cache),
    ENTRY("packed",
          "Packed sequences, and last positions alone in the layer where a pass stops, give what "
          "padded ones give, within 1e-5 of a row's largest element.",
          "Count positions from each sequence's own begin, and let attention end there; or leave "
          "packed in info false.",
          packed),
    {0}};
