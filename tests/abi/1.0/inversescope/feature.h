/* SPDX-License-Identifier: Apache-2.0
 *
 * The feature kind: f(x), a discrete label of a text (paper 2, appendix A).
 *
 * Pure: the same text always has the same label. The null label (empty text) means "f says nothing of
 * this x": it equals no label, not even another null. `label` may be called from any thread.
 */
#ifndef ISC_FEATURE_H
#define ISC_FEATURE_H

#include <inversescope/prior.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The ops table of a feature. */
typedef struct isc_feature_ops {
  size_t size; /* sizeof(isc_feature_ops) */
  /* `conf` is the class's filled conf struct; it and `prior` may be used as long as the feature lives. A feature that needs
   * slots the prior lacks refuses here (ISC_E_CONFIG). *self goes to all below; on failure it is left NULL. */
  isc_status (*open)(const void *conf, const isc_prior *prior, void **self);
  void (*close)(void *self); /* gives everything back */
  /* f(x) of the `len` bytes at `text` into *out (replaced). Any bytes may come: text that f cannot read has the null label or
   * is an error. */
  isc_status (*label)(void *self, const char *text, size_t len, isc_text *out);
  /* Name of the prior's slot whose value the label is, valid as long as the feature; NULL member or NULL = the label is
   * no slot. On texts of the prior the two must agree. */
  const char *(*slot)(void *self);
} isc_feature_ops;

#ifdef __cplusplus
}
#endif
#endif
