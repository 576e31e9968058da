/* SPDX-License-Identifier: Apache-2.0
 *
 * One case: its entry in the file as an opened prior, texts, and conf structs.
 *
 * Every conf struct comes from a config of its own, so that changed options never disturb the ones
 * that were read before.
 */
#include "conform/case_file.h"
#include <stdlib.h>
#include <string.h>

typedef struct opened {
  isc_case_entry entry;
  const isc_class *cls;
  isc_config **config; /* [n]: one for each conf struct given out */
  int64_t n;
  isc_case_settings settings;
  isc_prior prior;
  void *prior_conf;
} opened;

static isc_status keep_config(opened *o, isc_config *c) {
  void *list = o->config;
  isc_status st = isc_realloc(&list, (size_t)o->n + 1, sizeof *o->config, "a case's settings");
  if (st != ISC_OK) {
    isc_config_free(c);
    return st;
  }
  o->config = list;
  o->config[o->n++] = c;
  return ISC_OK;
}

/* "cases.[3].options", in the caller's buffer. */
static const char *at(const opened *o, const char *what, char *room, size_t size) {
  snprintf(room, size, "cases.[%lld].%s", (long long)o->entry.index, what);
  return room;
}

static isc_status change(opened *o, isc_config *c, const char *assignment) {
  char place[64], *text;
  ISC_TRY(isc_asprintf(&text, "%s.%s", at(o, "options", place, sizeof place), assignment));
  isc_status st = isc_config_override(c, text);
  free(text);
  return st;
}

static isc_status fill_conf(opened *o, isc_config *c, void **conf) {
  char place[64];
  void *fresh;
  *conf = NULL;
  ISC_TRY(isc_calloc(1, o->cls->conf_size, "a class's settings", &fresh));
  isc_status st =
      isc_config_fill(c, at(o, "options", place, sizeof place), o->cls->options, NULL, fresh);
  if (st != ISC_OK)
    free(fresh);
  else
    *conf = fresh;
  return st;
}

static isc_status fill(const isc_case *cs, const char *const *changes, int64_t n, void **conf) {
  opened *o = cs->own;
  isc_config *c;
  *conf = NULL;
  ISC_TRY(isc_case_read(&o->entry, &c));
  ISC_TRY(keep_config(o, c));
  for (int64_t i = 0; i < n; i++)
    ISC_TRY(change(o, c, changes[i]));
  return fill_conf(o, c, conf);
}

/* The case's prior as settings; *cls NULL when it names none. */
static isc_status fill_prior(opened *o, isc_config *c, const isc_class **cls, void **conf) {
  char place[64];
  *cls = NULL;
  *conf = NULL;
  if (!isc_config_has(c, at(o, "prior", place, sizeof place))) return ISC_OK;
  return isc_config_plugin(c, place, ISC_PRIOR, NULL, NULL, cls, conf);
}

static isc_status open_prior(opened *o, isc_config *c, uint64_t seed) {
  const isc_class *cls;
  ISC_TRY(fill_prior(o, c, &cls, &o->prior_conf));
  if (!cls) return ISC_OK;
  const isc_prior_ops *ops = cls->ops;
  void *self = NULL;
  if (ops->open(o->prior_conf, seed, &self) != ISC_OK)
    return isc_fail_in("%s: the case's prior", o->entry.where);
  o->prior = (isc_prior){.ops = ops, .self = self, .name = cls->name};
  return ISC_OK;
}

static isc_status missing_option(const isc_class *cls) {
  for (const isc_option *o = cls->options; o && o->name; o++)
    if (o->flags & ISC_OPT_REQUIRED)
      return isc_fail(ISC_E_MISSING,
                      "option %s is required: give it in a case file, see "
                      "docs/conformance.md#case-files",
                      o->name);
  return ISC_OK;
}

isc_status isc_cases_try(const isc_cases *s, const isc_class *cls, const char *name) {
  opened o = {.cls = cls};
  isc_config *c = NULL;
  const isc_class *prior;
  void *conf = NULL, *prior_conf = NULL;
  isc_status st = ISC_OK;
  ISC_TRY(isc_cases_entry(s, cls, name, &o.entry));
  if (o.entry.standing_in) ISC_TRY(missing_option(cls));
  ISC_GO(isc_case_read(&o.entry, &c));
  ISC_GO(fill_conf(&o, c, &conf));
  ISC_GO(fill_prior(&o, c, &prior, &prior_conf));
done:
  if (st == ISC_E_MISSING && !o.entry.standing_in) st = isc_fail(ISC_E_CONFIG, "%s", isc_error());
  free(conf);
  free(prior_conf);
  isc_config_free(c);
  return st;
}

isc_status isc_case_open(const isc_cases *s, const isc_class *cls, const char *name, uint64_t seed,
                         isc_case *out) {
  void *memory;
  isc_config *c;
  *out = (isc_case){0};
  ISC_TRY(isc_calloc(1, sizeof(opened), "a case", &memory));
  opened *o = out->own = memory;
  isc_status st = ISC_OK;
  o->cls = cls;
  ISC_GO(isc_cases_entry(s, cls, name, &o->entry));
  ISC_GO(isc_case_read(&o->entry, &c));
  ISC_GO(keep_config(o, c));
  ISC_GO(isc_case_settings_of(&o->entry, c, &o->settings));
  ISC_GO(open_prior(o, c, seed));
  out->name = o->entry.name;
  out->prior = o->prior.ops ? &o->prior : NULL;
  out->texts = o->settings.texts.at.s;
  out->n_texts = o->settings.texts.count;
  out->golden = o->settings.golden;
  out->fill = fill;
done:
  if (st != ISC_OK) isc_case_close(out);
  return st;
}

void isc_case_close(isc_case *cs) {
  opened *o = cs->own;
  if (!o) return;
  if (o->prior.ops) o->prior.ops->close(o->prior.self);
  free(o->prior_conf);
  for (int64_t i = 0; i < o->n; i++)
    isc_config_free(o->config[i]);
  free(o->config);
  free(o);
  *cs = (isc_case){0};
}
