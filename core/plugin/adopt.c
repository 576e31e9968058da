/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the descriptors of plugins that were built against an older minor of this ABI.
 *
 * Structs grow at the end only, so an old one is a prefix of ours: it is copied into a zeroed one of full
 * size. The sizes of the first version are written down by their last member, which never changes.
 */
#include "plugin/adopt.h"
#include "base/base.h"
#include <inversescope/backend.h>
#include <inversescope/feature.h>
#include <inversescope/kernel.h>
#include <inversescope/method.h>
#include <inversescope/prior.h>
#include <inversescope/target.h>
#include <stdlib.h>
#include <string.h>

typedef struct member {
  size_t at;
  const char *name;
} member;

#define HAS(type, name)                                                                            \
  { offsetof(type, name), #name }
#define END                                                                                        \
  { 0, NULL }

static const member TARGET[] = {
    HAS(isc_target_ops, open),      HAS(isc_target_ops, close),       HAS(isc_target_ops, info),
    HAS(isc_target_ops, tokenizer), HAS(isc_target_ops, forward),     HAS(isc_target_ops, logits),
    HAS(isc_target_ops, head_map),  HAS(isc_target_ops, fingerprint), END};
static const member PRIOR[] = {HAS(isc_prior_ops, open),        HAS(isc_prior_ops, close),
                               HAS(isc_prior_ops, count),       HAS(isc_prior_ops, draw),
                               HAS(isc_prior_ops, fingerprint), END};
static const member KERNEL[] = {HAS(isc_kernel_ops, open),
                                HAS(isc_kernel_ops, close),
                                HAS(isc_kernel_ops, geometry),
                                HAS(isc_kernel_ops, epsilon),
                                HAS(isc_kernel_ops, band),
                                HAS(isc_kernel_ops, profile),
                                HAS(isc_kernel_ops, draw),
                                HAS(isc_kernel_ops, distance_cdf),
                                HAS(isc_kernel_ops, norm_cdf),
                                HAS(isc_kernel_ops, measure),
                                END};
static const member FEATURE[] = {HAS(isc_feature_ops, open), HAS(isc_feature_ops, close),
                                 HAS(isc_feature_ops, label), END};
static const member METHOD[] = {HAS(isc_method_ops, open),
                                HAS(isc_method_ops, close),
                                HAS(isc_method_ops, stages),
                                HAS(isc_method_ops, train),
                                HAS(isc_method_ops, load),
                                HAS(isc_method_ops, parameters),
                                END};
/* Which operations it lacks a backend is told when it is opened (core/tensor/device.c). */
static const member BACKEND[] = {HAS(isc_backend_ops, probe), HAS(isc_backend_ops, open),
                                 HAS(isc_backend_ops, close), END};

static const struct {
  const char *name;
  size_t first_size, size; /* of the ops table: in version 1.0, and here */
  const member *required;
} KINDS[] = {
    [ISC_TARGET] = {"target", ISC_SIZE_TO(isc_target_ops, kv_cache), sizeof(isc_target_ops),
                    TARGET},
    [ISC_PRIOR] = {"prior", ISC_SIZE_TO(isc_prior_ops, max_bytes), sizeof(isc_prior_ops), PRIOR},
    [ISC_KERNEL] = {"kernel", ISC_SIZE_TO(isc_kernel_ops, measure), sizeof(isc_kernel_ops), KERNEL},
    [ISC_FEATURE] = {"feature", ISC_SIZE_TO(isc_feature_ops, slot), sizeof(isc_feature_ops),
                     FEATURE},
    [ISC_METHOD] = {"method", ISC_SIZE_TO(isc_method_ops, stage_uses), sizeof(isc_method_ops),
                    METHOD},
    [ISC_BACKEND] = {"backend", ISC_SIZE_TO(isc_backend_ops, scatter_add), sizeof(isc_backend_ops),
                     BACKEND},
};

const char *isc_kind_name(isc_kind kind) {
  return (size_t)kind < sizeof KINDS / sizeof *KINDS ? KINDS[kind].name : NULL;
}

size_t isc_kind_ops_size(isc_kind kind) {
  return (size_t)kind < sizeof KINDS / sizeof *KINDS ? KINDS[kind].size : 0;
}

static isc_status check_size(const char *what, size_t theirs, size_t first, size_t ours) {
  if (theirs >= first && theirs <= ours) return ISC_OK;
  if (theirs == 0)
    return isc_fail(ISC_E_FORMAT,
                    "%s says it has 0 bytes; set its first member, size, to its sizeof", what);
  return isc_fail(ISC_E_FORMAT,
                  "%s has %zu bytes, this library's has %zu (ABI %d.%d, which reads %zu to %zu); "
                  "rebuild the plugin against this library",
                  what, theirs, ours, ISC_ABI_MAJOR, ISC_ABI_MINOR, first, ours);
}

/* *at is `theirs`, or a zero-extended copy of it in *memory. */
static isc_status extend(const void *theirs, size_t has, size_t size, const void **at,
                         void **memory) {
  *at = theirs;
  if (has == size) return ISC_OK;
  ISC_TRY(isc_calloc(1, size, "a plugin's descriptor", memory));
  memcpy(*memory, theirs, has);
  memcpy(*memory, &size, sizeof size);
  *at = *memory;
  return ISC_OK;
}

static isc_status adopt_ops(const isc_class *c, const void **at, void **memory) {
  size_t has;
  if (!c->ops) return isc_fail(ISC_E_FORMAT, "has no ops table");
  memcpy(&has, c->ops, sizeof has);
  ISC_TRY(check_size("its ops table", has, KINDS[c->kind].first_size, KINDS[c->kind].size));
  for (const member *m = KINDS[c->kind].required; m->name; m++) {
    void (*function)(void);
    memcpy(&function, (const char *)c->ops + m->at, sizeof function);
    if (!function)
      return isc_fail(ISC_E_FORMAT, "its ops table lacks `%s`, which every %s has", m->name,
                      KINDS[c->kind].name);
  }
  return extend(c->ops, has, KINDS[c->kind].size, at, memory);
}

static isc_status adopt_options(const isc_class *c, const isc_option **at, void **memory) {
  const size_t has = c->option_size;
  *at = c->options;
  if (!c->options) return ISC_OK;
  ISC_TRY(check_size("an option (the class's option_size; begin the class with ISC_CLASS)", has,
                     ISC_SIZE_TO(isc_option, doc), sizeof(isc_option)));
  if (has == sizeof(isc_option)) return ISC_OK;
  const char *from = (const char *)c->options;
  size_t n = 0;
  for (const char *name; memcpy(&name, from + n * has, sizeof name), name; n++)
    if (n == ISC_MAX_OPTIONS)
      return isc_fail(ISC_E_FORMAT, "its option table has no ISC_OPTIONS_END");
  ISC_TRY(isc_calloc(n + 1, sizeof(isc_option), "a plugin's options", memory));
  isc_option *copy = *memory;
  for (size_t i = 0; i < n; i++)
    memcpy(&copy[i], from + i * has, has);
  *at = copy;
  return ISC_OK;
}

static isc_status adopt(const isc_class *theirs, isc_adopted *out) {
  const void *cls = theirs, *ops = NULL;
  const isc_option *options = NULL;
  ISC_TRY(extend(theirs, theirs->size, sizeof *theirs, &cls, &out->memory[0]));
  out->cls = cls;
  ISC_TRY(adopt_ops(cls, &ops, &out->memory[1]));
  ISC_TRY(adopt_options(cls, &options, &out->memory[2]));
  if (!out->memory[1] && !out->memory[2]) return ISC_OK;
  isc_class *own = out->memory[0];
  if (!own) {
    ISC_TRY(isc_malloc(sizeof *own, "a plugin's descriptor", &out->memory[0]));
    own = out->memory[0];
    *own = *out->cls;
  }
  own->ops = ops;
  own->options = options;
  own->option_size = sizeof(isc_option);
  out->cls = own;
  return ISC_OK;
}

isc_status isc_class_adopt(const isc_class *theirs, isc_adopted *out) {
  *out = (isc_adopted){0};
  if (!theirs) return isc_fail(ISC_E_FORMAT, "a class descriptor is missing");
  ISC_TRY(
      check_size("a class descriptor", theirs->size, ISC_SIZE_TO(isc_class, ops), sizeof *theirs));
  if (!isc_kind_name(theirs->kind))
    return isc_fail(ISC_E_FORMAT, "a class has the unknown kind %d", (int)theirs->kind);
  if (adopt(theirs, out) == ISC_OK) return ISC_OK;
  isc_adopted_free(out);
  return isc_fail_in("%s/%s", isc_kind_name(theirs->kind), theirs->name ? theirs->name : "?");
}

void isc_adopted_free(isc_adopted *a) {
  for (int i = 0; i < 3; i++)
    free(a->memory[i]);
  *a = (isc_adopted){0};
}
