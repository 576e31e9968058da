/* SPDX-License-Identifier: Apache-2.0
 *
 * A library of the future and a plugin of the first headers.
 *
 * This program and its copy of the loader's adoption are compiled against headers in which every struct that carries its
 * size has a member more (abi/grow.awk), as a later minor's will.
 */
#include "plugin/adopt.h"
#include "support.h"
#include <dlfcn.h>
#include <inversescope/feature.h>
#include <inversescope/kernel.h>
#include <inversescope/method.h>
#include <inversescope/prior.h>
#include <string.h>

static const isc_plugin *old_plugin(void) {
  void *library = dlopen(isc_test_build("tests/abi/.libs/old_plugin.so"), RTLD_NOW | RTLD_LOCAL);
  cr_assert_not_null(library, "%s", dlerror());
  const isc_plugin *p = dlsym(library, "isc_plugin_v1");
  cr_assert_not_null(p);
  return p;
}

static const isc_class *of_kind(const isc_plugin *p, isc_kind kind) {
  int i = 0;
  /* The first members of a class are those of the first headers. */
  while (p->classes[i] && p->classes[i]->kind != kind)
    i++;
  return p->classes[i];
}

Test(abi_grown, the_headers_did_grow) {
  const isc_class *theirs = of_kind(old_plugin(), ISC_PRIOR);
  cr_assert_eq(theirs->size + sizeof(void *), sizeof(isc_class));
  cr_assert_eq(theirs->option_size + sizeof(void *), sizeof(isc_option));
  /* By more than that where today's is longer than the first. */
  cr_assert_geq(sizeof(isc_prior_ops), *(const size_t *)theirs->ops + sizeof(void *));
}

#define CHECK_KIND(kind_, ops_type)                                                                \
  do {                                                                                             \
    isc_adopted a;                                                                                 \
    isc_assert_ok(isc_class_adopt(of_kind(p, kind_), &a));                                         \
    const ops_type *ops = a.cls->ops;                                                              \
    cr_assert_eq(a.cls->size, sizeof(isc_class));                                                  \
    cr_assert_eq(ops->size, sizeof *ops);                                                          \
    cr_assert_not_null(ops->open);                                                                 \
    cr_assert_null(ops->grown);                                                                    \
    cr_assert_null(a.cls->grown);                                                                  \
    cr_assert_str_eq(a.cls->name, "old");                                                          \
    isc_adopted_free(&a);                                                                          \
  } while (0)

Test(abi_grown, what_an_old_plugin_lacks_is_zero) {
  const isc_plugin *p = old_plugin();
  CHECK_KIND(ISC_PRIOR, isc_prior_ops);
  CHECK_KIND(ISC_KERNEL, isc_kernel_ops);
  CHECK_KIND(ISC_FEATURE, isc_feature_ops);
  CHECK_KIND(ISC_METHOD, isc_method_ops);
}

Test(abi_grown, an_old_option_table_is_read_with_its_own_stride) {
  isc_adopted a;
  isc_assert_ok(isc_class_adopt(of_kind(old_plugin(), ISC_KERNEL), &a));
  const isc_option *o = a.cls->options;
  cr_assert_str_eq(o[0].name, "count");
  cr_assert_str_eq(o[1].name, "epsilon");
  cr_assert_eq(o[1].max, 10);
  cr_assert_str_eq(o[2].doc, "Words.");
  cr_assert_null(o[3].name);
  cr_assert_null(o[1].grown);
  isc_adopted_free(&a);
}

/* A struct larger than the library's, or smaller than the first, is refused with both sides' numbers. */
Test(abi_grown, impossible_sizes_are_refused) {
  const isc_class *theirs = of_kind(old_plugin(), ISC_FEATURE);
  isc_feature_ops ops = {.size = sizeof ops + 8};
  isc_class cls = {.grown = NULL};
  isc_adopted a;
  memcpy(&cls, theirs, theirs->size);
  cls.size = sizeof cls;
  cls.ops = &ops;
  isc_assert_fails(isc_class_adopt(&cls, &a), ISC_E_FORMAT, "this library's has");
  cls.size = 16;
  isc_assert_fails(isc_class_adopt(&cls, &a), ISC_E_FORMAT, "has 16 bytes");
}
