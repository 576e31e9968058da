/* SPDX-License-Identifier: Apache-2.0
 *
 * From a template prior's description and the user's options to a set of templates with answers.
 *
 * The set itself is an isc_template; what is added here is where its lists and templates come from, and
 * what follows each text.
 */
#include "base/base.h"
#include "model/template_parts.h"
#include "model/template_set.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The first n of the user's list, or of the built-in one when that is empty. */
static isc_status pick(const isc_template_list *from, isc_template_slot *out) {
  const isc_template_list_conf none = {{0}, 0}, *c = from->conf ? from->conf : &none;
  int64_t have = c->own.count;
  *out = (isc_template_slot){.name = from->slot,
                             .values = have ? c->own.at.s : from->values,
                             .differs_from = from->differs_from};
  if (!have)
    while (from->values && from->values[have])
      have++;
  if (c->n > have)
    return isc_fail(ISC_E_CONFIG, "n_%s = %" PRId64 ", but there are %" PRId64 " %s", from->what,
                    c->n, have, from->what);
  out->n = c->n ? c->n : have;
  return ISC_OK;
}

/* The lists as this library knows them: what an older plugin's lack is zero. */
static isc_status read_lists(const isc_template_prior_spec *spec, isc_template_list *out,
                             isc_template_slot *slots) {
  for (int64_t i = 0; i < spec->n_lists; i++) {
    memcpy(&out[i], (const char *)spec->lists + (size_t)i * spec->list_size, spec->list_size);
    if (!out[i].slot) return isc_fail(ISC_E_USAGE, "list %" PRId64 " names no slot", i);
    if (!out[i].what) out[i].what = out[i].slot;
    ISC_TRY(pick(&out[i], &slots[i]));
  }
  return ISC_OK;
}

/* The answers decide the task too, but for those that `read` takes from the text, which is hashed already. */
static isc_status hash_answers(const isc_template_prior_spec *spec, isc_template *t) {
  isc_hash h;
  bool any = false;
  for (int64_t i = 0; i < t->n_shapes; i++)
    any |= t->answer[i].slot >= 0;
  if (spec->read || !any) return ISC_OK;
  ISC_TRY(isc_hash_begin(&h));
  isc_hash_str(&h, t->fingerprint);
  for (int64_t i = 0; i < t->n_shapes; i++)
    isc_hash_str(&h, t->answer[i].slot < 0 ? "" : t->slot[t->answer[i].slot].name);
  isc_digest_hex(isc_hash_end(&h), t->fingerprint);
  return ISC_OK;
}

static isc_status check_answers(const isc_template *t) {
  for (int64_t i = 0; i < t->n_shapes; i++)
    if (t->answer[i].slot >= 0 && !t->shape[i].uses[t->answer[i].slot])
      return isc_fail(
          ISC_E_CONFIG,
          "template \"%s\" does not hold [%s], so that no answer follows from its texts",
          t->shape[i].text, t->slot[t->answer[i].slot].name);
  return ISC_OK;
}

static isc_status take_answers(const isc_template_prior_spec *spec, const isc_template_set *set,
                               isc_template *t) {
  ISC_TRY(isc_calloc((size_t)set->n, sizeof *t->answer, "answers", (void **)&t->answer));
  for (int64_t i = 0; i < set->n; i++)
    t->answer[i] = (isc_template_rule){set->entry[i].answer, set->entry[i].glued};
  ISC_TRY(check_answers(t));
  return hash_answers(spec, t);
}

static isc_status build(const isc_template_prior_spec *spec, const isc_template_set *set,
                        const isc_template_slot *slots, isc_template **t) {
  isc_status st = ISC_OK;
  const char **texts;
  ISC_TRY(isc_calloc((size_t)set->n, sizeof *texts, "templates", (void **)&texts));
  for (int64_t i = 0; i < set->n; i++)
    texts[i] = set->entry[i].text;
  const isc_template_spec t_spec = {.size = sizeof t_spec,
                                    .templates = texts,
                                    .n_templates = set->n,
                                    .slots = slots,
                                    .n_slots = spec->n_lists,
                                    .test_fraction = spec->conf->test_fraction,
                                    .seed = spec->seed};
  ISC_GO(isc_template_new(&t_spec, t));
  ISC_GO(take_answers(spec, set, *t));
done:
  free(texts);
  return st;
}

static isc_status check_spec(const isc_template_prior_spec *spec) {
  if (!spec->name || !spec->conf)
    return isc_fail(ISC_E_USAGE, "a template prior's spec lacks its name or conf");
  if (spec->n_lists < 0 || spec->n_lists > ISC_MAX_SLOTS)
    return isc_fail(ISC_E_USAGE, "%" PRId64 " lists; there may be %d", spec->n_lists,
                    ISC_MAX_SLOTS);
  if (spec->n_lists > 0 && (spec->list_size < ISC_SIZE_TO(isc_template_list, answers) ||
                            spec->list_size > sizeof *spec->lists))
    return isc_fail(ISC_E_USAGE, "lists of %zu bytes; this library's have %zu", spec->list_size,
                    sizeof *spec->lists);
  return ISC_OK;
}

isc_status isc_template_prior_open(const isc_template_prior_spec *given, void **self) {
  isc_template_prior_spec spec;
  isc_template_list lists[ISC_MAX_SLOTS] = {{0}};
  isc_template_slot slots[ISC_MAX_SLOTS];
  isc_template_set set = {0};
  isc_template *t = NULL;
  isc_status st = ISC_OK;
  ISC_TRY(isc_struct_read(given, "a template prior's spec",
                          ISC_SIZE_TO(isc_template_prior_spec, seed), sizeof spec, &spec));
  ISC_GO(check_spec(&spec));
  ISC_GO(read_lists(&spec, lists, slots));
  ISC_GO(isc_template_set_choose(&spec, lists, &set));
  ISC_GO(build(&spec, &set, slots, &t));
  *self = t;
done:
  isc_template_set_free(&set);
  if (st == ISC_OK) return st;
  isc_template_prior_close(t);
  return isc_fail_in("prior %s", spec.name ? spec.name : "(unnamed)");
}

void isc_template_prior_close(void *self) {
  isc_template *t = self;
  if (!t) return;
  free(t->answer);
  isc_template_free(t);
}

isc_status isc_template_answer(void *self, const char *text, size_t len, isc_text *out) {
  const isc_template *t = self;
  int64_t value[ISC_MAX_SLOTS], i = isc_template_parse(self, text, len);
  ISC_TRY(isc_text_set(out, "", 0));
  if (i < 0 || !t->answer) return ISC_OK;
  const isc_shape *s = isc_template_locate(t, i, value);
  const isc_template_rule *rule = &t->answer[s - t->shape];
  if (rule->slot < 0) return ISC_OK;
  const isc_key *key = &t->slot[rule->slot].key[value[rule->slot]];
  if (!rule->glued) ISC_TRY(isc_text_append(out, " ", 1));
  return isc_text_append(out, key->p, key->len);
}
