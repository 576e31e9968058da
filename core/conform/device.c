/* SPDX-License-Identifier: Apache-2.0
 *
 * The device that a class is tried on.
 *
 * A backend class is opened from its descriptor and not by its name, so that the file under test is what is
 * tried, whatever else of that name is installed.
 */
#include "conform/conform.h"
#include "plugin/registry.h"
#include <inversescope/tensor.h>
#include <stdlib.h>
#include <string.h>

/* Where there is such an option. */
static void set_threads(const isc_class *cls, int threads, void *conf) {
  for (const isc_option *o = cls->options; o && o->name; o++)
    if (strcmp(o->name, "threads") == 0 && o->type == ISC_OPT_INT)
      memcpy((char *)conf + o->offset, &(int64_t){threads}, sizeof(int64_t));
}

/* The backend under test, on the case's settings. */
static isc_status open_own(isc_conform *c, int threads, isc_device **out) {
  const isc_backend_ops *ops = c->cls->ops;
  void *conf = NULL, *memory = NULL;
  isc_status st = ISC_OK;
  if (c->conf) {
    ISC_GO(isc_malloc(c->cls->conf_size, "a backend's settings", &conf));
    memcpy(conf, c->conf, c->cls->conf_size);
    set_threads(c->cls, threads, conf);
  }
  ISC_GO(isc_calloc(1, sizeof **out, "a device", &memory));
  isc_device *dev = memory;
  dev->ops = ops;
  dev->cls = c->cls;
  ISC_GO(ops->probe(dev->description, sizeof dev->description));
  ISC_GO(ops->open(conf, &dev->impl));
  *out = dev;
  memory = NULL;
done:
  free(memory);
  free(conf);
  return st;
}

/* The defaults are of an empty text, which is read without libconfig: that cannot do without memory. */
static isc_status open_cpu(int threads, isc_device **out) {
  const isc_registry_entry *entry;
  isc_config *config = NULL;
  void *conf = NULL;
  isc_status st = ISC_OK;
  ISC_TRY(isc_registry_find(ISC_BACKEND, "cpu", &entry));
  ISC_GO(isc_calloc(1, entry->cls->conf_size, "a backend's settings", &conf));
  ISC_GO(isc_config_parse("", 0, "a device", ".", &config));
  ISC_GO(isc_config_fill(config, "", entry->cls->options, NULL, conf));
  set_threads(entry->cls, threads, conf);
  ISC_GO(isc_device_open("cpu", conf, out, NULL));
done:
  isc_config_free(config);
  free(conf);
  return st;
}

isc_status isc_conform_device(isc_conform *c, int threads, isc_device **out) {
  *out = NULL;
  return c->cls->kind == ISC_BACKEND ? open_own(c, threads, out) : open_cpu(threads, out);
}
