/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a compute backend by name, or the best one this machine can run.
 *
 * A backend that lacks an operation is refused here, so that no run finds out in its middle.
 */
#include "base/base.h"
#include "config/config.h"
#include "plugin/registry.h"
#include "tensor/plan_device.h"
#include <inversescope/tensor.h>
#include <stdlib.h>
#include <string.h>

#define OP(name)                                                                                   \
  { offsetof(isc_backend_ops, name), #name }
static const struct {
  size_t offset;
  const char *name;
} NEEDED[] = {
    OP(probe),          OP(open),        OP(close),        OP(alloc),     OP(free),
    OP(upload),         OP(download),    OP(copy),         OP(zero),      OP(sync),
    OP(gemm),           OP(act),         OP(act_grad),     OP(col_sum),   OP(layernorm),
    OP(layernorm_grad), OP(embed),       OP(embed_grad),   OP(attention), OP(attention_grad),
    OP(xent),           OP(control),     OP(control_grad), OP(adamw),     OP(sum_squares),
    OP(sample),         OP(noise),       OP(add),          OP(axpy),      OP(mul),
    OP(gather),         OP(scatter_add),
};

static isc_status check_ops(const isc_class *cls) {
  const isc_backend_ops *ops = cls->ops;
  for (size_t i = 0; i < sizeof NEEDED / sizeof *NEEDED; i++) {
    void (*op)(void) = NULL;
    if (ops->size >= NEEDED[i].offset + sizeof op)
      memcpy(&op, (const char *)ops + NEEDED[i].offset, sizeof op);
    if (!op)
      return isc_fail(
          ISC_E_UNSUPPORTED,
          "backend \"%s\" %s: it lacks the operation \"%s\"; rebuild it for this version",
          cls->name, cls->version, NEEDED[i].name);
  }
  return ISC_OK;
}

/* The conf of a class with every option at its default; malloc'd, NULL for a class without options. The
 * config owns the conf's strings. */
static isc_status default_conf(const isc_class *cls, isc_config **config, void **conf) {
  *config = NULL;
  *conf = NULL;
  if (cls->conf_size == 0) return ISC_OK;
  ISC_TRY(isc_calloc(1, cls->conf_size, "a backend's settings", conf));
  if (!cls->options) return ISC_OK;
  isc_status st = isc_config_parse("", 0, "defaults", ".", config);
  return st == ISC_OK ? isc_config_fill(*config, "", cls->options, NULL, *conf) : st;
}

/* By `open`, the table's `open` or `plan`. */
static isc_status open_impl(const isc_class *cls, const void *conf,
                            isc_status (*open)(const void *conf, void **impl), void **impl) {
  isc_config *config = NULL;
  void *made = NULL;
  isc_status st;
  if (!conf) {
    ISC_GO(default_conf(cls, &config, &made));
    conf = made;
  }
  ISC_GO(open(conf, impl));
done:
  free(made);
  isc_config_free(config);
  return st;
}

isc_status isc_device_plan(const isc_class *cls, const void *conf, void **impl) {
  return open_impl(cls, conf, ((const isc_backend_ops *)cls->ops)->plan, impl);
}

static isc_status check_probe(const isc_class *cls, char *why, size_t n) {
  const isc_backend_ops *ops = cls->ops;
  why[0] = '\0';
  ISC_TRY(check_ops(cls));
  if (ops->probe(why, n) == ISC_OK) return ISC_OK;
  return isc_fail(ISC_E_UNSUPPORTED, "backend \"%s\": %s", cls->name,
                  why[0] ? why : "it cannot run here");
}

static isc_status open_class(const isc_class *cls, const void *conf, isc_device **out) {
  char why[sizeof(*out)->description];
  void *p;
  ISC_TRY(check_probe(cls, why, sizeof why));
  ISC_TRY(isc_calloc(1, sizeof **out, "a device", &p));
  isc_device *dev = p;
  dev->ops = cls->ops;
  dev->cls = cls;
  memcpy(dev->description, why, sizeof why);
  isc_status st = open_impl(cls, conf, dev->ops->open, &dev->impl);
  if (st != ISC_OK) {
    free(dev);
    return st;
  }
  *out = dev;
  return ISC_OK;
}

void isc_device_close(isc_device *dev) {
  if (!dev) return;
  dev->ops->close(dev->impl);
  free(dev);
}

/* ---- "auto" */

static int rank(const char *name) {
  return !strcmp(name, "cuda") ? 0 : strcmp(name, "cpu") ? 1 : 2;
}

/* Load the backends there are; files of backends that would not load are worth a line. */
static isc_status scan(isc_sb *report) {
  char **problem = NULL;
  int64_t n = 0;
  isc_status st = isc_registry_scan(ISC_BACKEND, &problem, &n);
  if (st == ISC_E_NOMEM) return st; /* nothing is wrong with the backends */
  if (st != ISC_OK) isc_sb_addf(report, "%s\n", isc_error());
  for (int64_t i = 0; i < n; i++) {
    if (strstr(problem[i], "backend_")) isc_sb_addf(report, "%s\n", problem[i]);
    free(problem[i]);
  }
  free(problem);
  return ISC_OK;
}

/* The backends in order of preference; malloc'd. */
static isc_status candidates(isc_sb *report, const isc_class ***out, int64_t *n) {
  const isc_registry_entry *const *list;
  void *p;
  ISC_TRY(scan(report));
  int64_t count = isc_registry_list(ISC_BACKEND, &list), k = 0;
  ISC_TRY(isc_calloc((size_t)count, sizeof **out, "the list of backends", &p));
  *out = p;
  for (int r = 0; r <= 2; r++)
    for (int64_t i = 0; i < count; i++)
      if (rank(list[i]->cls->name) == r) (*out)[k++] = list[i]->cls;
  *n = k;
  return ISC_OK;
}

/* Probe (and, if `dev` is not NULL, open) the candidates until one works. */
static isc_status first_that_works(isc_sb *report, const isc_class **cls, isc_device **dev) {
  const isc_class **list = NULL;
  char why[160];
  int64_t n = 0;
  isc_status code = ISC_E_MISSING;
  *cls = NULL;
  ISC_TRY(candidates(report, &list, &n));
  for (int64_t i = 0; i < n && !*cls; i++) {
    isc_status st = dev ? open_class(list[i], NULL, dev) : check_probe(list[i], why, sizeof why);
    if (st == ISC_OK)
      *cls = list[i];
    else
      isc_sb_addf(report, "%s\n", isc_error());
    if (st == ISC_E_NOMEM) code = st;
  }
  free(list);
  if (*cls) return ISC_OK;
  for (size_t i = 0; i < report->len; i++) /* a message is one line */
    if (report->s[i] == '\n') report->s[i] = i + 1 < report->len ? ';' : '.';
  return isc_fail(code, "device \"auto\": no backend works here: %s",
                  report->len ? report->s : "none was found on the plugin path");
}

static isc_status pick(const isc_class **cls, isc_device **dev, char **report) {
  isc_sb lines = {0};
  if (report) *report = NULL;
  isc_status st = first_that_works(&lines, cls, dev);
  if (st == ISC_OK && report) {
    st = isc_sb_finish(&lines, report);
    if (st != ISC_OK && dev) {
      isc_device_close(*dev);
      *dev = NULL;
    }
  }
  isc_sb_free(&lines);
  return st;
}

isc_status isc_device_pick(char **name, char **report) {
  const isc_class *cls;
  *name = NULL;
  ISC_TRY(pick(&cls, NULL, report));
  return isc_strdup(cls->name, name);
}

isc_status isc_device_open(const char *name, const void *conf, isc_device **out, char **report) {
  const isc_registry_entry *entry;
  const isc_class *cls;
  *out = NULL;
  if (strcmp(name, "auto")) {
    if (report) *report = NULL;
    ISC_TRY(isc_registry_find(ISC_BACKEND, name, &entry));
    return open_class(entry->cls, conf, out);
  }
  if (conf) return isc_fail(ISC_E_USAGE, "device \"auto\": settings belong to a backend; name it");
  return pick(&cls, out, report);
}
