/* SPDX-License-Identifier: Apache-2.0
 *
 * The prior of indirect object identification (Wang et al. 2022; paper 4.1, D.1).
 *
 * Sentences in which two people do something together and one of them gives something to; the answer
 * is the other one. Templates and word lists are our own; a user's template file is taken as it is.
 */
#include "ioi_lists.h"
#include "ioi_templates.h"
#include <inversescope/template.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

typedef struct ioi_conf {
  const char *file;
  int32_t order, spacing;
  int64_t n_templates, n_names, n_places, n_objects;
  isc_list names, places, objects;
  double test_fraction;
} ioi_conf;

static const char *const orders[] = {"both", "abba", "baba", NULL};
static const char *const spacings[] = {"natural", "words", NULL};

#define AT(field) offsetof(ioi_conf, field)
static const isc_option options[] = {
    {"file", ISC_OPT_PATH, ISC_OPT_MUST_EXIST, AT(file), NULL, NULL, 0, 0, NULL,
     "A file of templates to use instead of the built-in ones: one a line, with [A], [B], [PLACE] "
     "and [OBJECT]."},
    {"order", ISC_OPT_ENUM, 0, AT(order), NULL, "both", 0, 0, orders,
     "Which templates: abba names the indirect object first, baba the subject."},
    {"spacing", ISC_OPT_ENUM, 0, AT(spacing), NULL, "natural", 0, 0, spacings,
     "words puts spaces around the punctuation of the built-in templates, for word-level "
     "tokenizers."},
    {"n_templates", ISC_OPT_INT, 0, AT(n_templates), "templates", "0", 0, 100000, NULL,
     "How many templates of each order to use, from the first on; 0 is all."},
    {"n_names", ISC_OPT_INT, 0, AT(n_names), "names", "0", 0, 1000000, NULL,
     "How many names to use, from the first on; 0 is all."},
    {"n_places", ISC_OPT_INT, 0, AT(n_places), "places", "0", 0, 1000000, NULL,
     "How many places to use, from the first on; 0 is all."},
    {"n_objects", ISC_OPT_INT, 0, AT(n_objects), "objects", "0", 0, 1000000, NULL,
     "How many objects to use, from the first on; 0 is all."},
    {"names", ISC_OPT_STRING_LIST, 0, AT(names), NULL, NULL, 0, 0, NULL,
     "Names to use instead of the built-in ones."},
    {"places", ISC_OPT_STRING_LIST, 0, AT(places), NULL, NULL, 0, 0, NULL,
     "Places to use instead of the built-in ones."},
    {"objects", ISC_OPT_STRING_LIST, 0, AT(objects), NULL, NULL, 0, 0, NULL,
     "Objects to use instead of the built-in ones."},
    {"test_fraction", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN | ISC_OPT_OPEN_MAX, AT(test_fraction), NULL,
     "0.1", 0, 1, NULL, "Share of the prompts held out as the test split."},
    ISC_OPTIONS_END};

typedef struct ioi {
  isc_template *t;
  ioi_set set;
} ioi;

enum { SLOT_A, SLOT_B, SLOT_PLACE, SLOT_OBJECT, N_SLOTS };

/* The first n of the user's list, or of the built-in one when that is empty. */
static isc_status pick(const char *name, const isc_list *user, const char *const *own,
                       int64_t n_own, int64_t n, isc_template_slot *slot) {
  int64_t have = user->count ? user->count : n_own;
  if (n > have)
    return isc_fail(ISC_E_CONFIG, "n_%s = %" PRId64 ", but there are %" PRId64 " %s", name, n, have,
                    name);
  slot->values = user->count ? user->at.s : own;
  slot->n = n ? n : have;
  return ISC_OK;
}

static isc_status build(ioi *p, const ioi_conf *c, uint64_t seed) {
  isc_template_slot slots[N_SLOTS] = {[SLOT_A] = {.name = "A"},
                                      [SLOT_B] = {.name = "B", .differs_from = "A"},
                                      [SLOT_PLACE] = {.name = "PLACE"},
                                      [SLOT_OBJECT] = {.name = "OBJECT"}};
  ISC_TRY(pick("names", &c->names, ioi_names, ioi_n_names, c->n_names, &slots[SLOT_A]));
  ISC_TRY(pick("names", &c->names, ioi_names, ioi_n_names, c->n_names, &slots[SLOT_B]));
  ISC_TRY(pick("places", &c->places, ioi_places, ioi_n_places, c->n_places, &slots[SLOT_PLACE]));
  ISC_TRY(
      pick("objects", &c->objects, ioi_objects, ioi_n_objects, c->n_objects, &slots[SLOT_OBJECT]));
  ISC_TRY(c->file ? ioi_from_file(c->file, (ioi_order)c->order, c->n_templates, &p->set)
                  : ioi_built_in((ioi_order)c->order, (ioi_spacing)c->spacing, c->n_templates,
                                 &p->set));
  const isc_template_spec spec = {.size = sizeof spec,
                                  .templates = (const char *const *)p->set.text,
                                  .n_templates = p->set.n,
                                  .slots = slots,
                                  .n_slots = N_SLOTS,
                                  .test_fraction = c->test_fraction,
                                  .seed = seed};
  return isc_template_new(&spec, &p->t);
}

static void ioi_close(void *self) {
  ioi *p = self;
  if (!p) return;
  isc_template_free(p->t);
  ioi_set_free(&p->set);
  free(p);
}

static isc_status ioi_open(const void *conf, uint64_t seed, void **self) {
  ioi *p = calloc(1, sizeof *p);
  if (!p) return isc_fail(ISC_E_NOMEM, "prior ioi: no memory");
  if (build(p, conf, seed) != ISC_OK) {
    ioi_close(p);
    return isc_fail_in("prior ioi");
  }
  *self = p;
  return ISC_OK;
}

static isc_template *of(void *self) {
  return ((ioi *)self)->t;
}

static int64_t ioi_count(void *self, isc_split split) {
  return isc_template_count(of(self), split);
}

static isc_status ioi_draw(void *self, isc_split split, int64_t i, isc_text *out) {
  return isc_template_draw(of(self), split, i, out);
}

/* " Mary", the space being part of what follows "to"; empty for a text that is not of this prior. */
static isc_status ioi_answer(void *self, const char *text, size_t len, isc_text *out) {
  const ioi *p = self;
  isc_text name = {0};
  isc_status st = ISC_OK;
  ISC_TRY(isc_text_set(out, "", 0));
  ISC_GO(isc_template_slot_value(p->t, text, len, N_SLOTS, &name)); /* the template's number */
  if (name.len == 0) goto done;
  int64_t template = strtoll(name.data, NULL, 10);
  ISC_GO(isc_template_slot_value(p->t, text, len, p->set.object_is_b[template] ? SLOT_B : SLOT_A,
                                 &name));
  ISC_GO(isc_text_set(out, " ", 1));
  ISC_GO(isc_text_append(out, name.data, name.len));
done:
  isc_text_free(&name);
  return st;
}

static isc_status ioi_log_prob(void *self, const char *text, size_t len, double *out) {
  return isc_template_log_prob(of(self), text, len, out);
}

static int64_t ioi_support(void *self) {
  return isc_template_support(of(self));
}

static isc_status ioi_enumerate(void *self, int64_t i, isc_text *out) {
  return isc_template_enumerate(of(self), i, out);
}

static int64_t ioi_count_slots(void *self) {
  return isc_template_n_slots(of(self));
}

static const char *ioi_slot_name(void *self, int64_t k) {
  return isc_template_slot_name(of(self), k);
}

static isc_status ioi_slot(void *self, const char *text, size_t len, int64_t k, isc_text *out) {
  return isc_template_slot_value(of(self), text, len, k, out);
}

static isc_status ioi_fingerprint(void *self, char hex[33]) {
  return isc_template_fingerprint(of(self), hex);
}

static int64_t ioi_slot_choices(void *self, int64_t k) {
  return isc_template_slot_choices(of(self), k);
}

static const char *ioi_slot_choice(void *self, int64_t k, int64_t j) {
  return isc_template_slot_choice(of(self), k, j);
}

static const isc_prior_ops ops = {
    .size = sizeof ops,
    .open = ioi_open,
    .close = ioi_close,
    .count = ioi_count,
    .draw = ioi_draw,
    .answer = ioi_answer,
    .log_prob = ioi_log_prob,
    .support = ioi_support,
    .enumerate = ioi_enumerate,
    .n_slots = ioi_count_slots,
    .slot_name = ioi_slot_name,
    .slot = ioi_slot,
    .fingerprint = ioi_fingerprint,
    .slot_choices = ioi_slot_choices,
    .slot_choice = ioi_slot_choice,
};

static const isc_class ioi_class = {
    ISC_CLASS(ISC_PRIOR),
    .name = "ioi",
    .version = "1.0.0",
    .summary = "Indirect object identification: who is given something by whom",
    .licence = "Apache-2.0",
    .source = "Wang et al. 2022, arXiv:2211.00593 (the task; templates and lists are our own)",
    .options = options,
    .conf_size = sizeof(ioi_conf),
    .ops = &ops,
};

ISC_PLUGIN("ioi", "1.0.0", &ioi_class);
