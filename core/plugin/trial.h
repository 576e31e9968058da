/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading a plugin in a process of its own, to learn what it offers.
 *
 * Loading runs a library's constructors, and reading its descriptor follows pointers of its own. What
 * that breaks, breaks in a child.
 */
#ifndef ISC_CORE_TRIAL_H
#define ISC_CORE_TRIAL_H

#include "base/base.h"
#include <inversescope/plugin.h>

typedef struct isc_trial {
  const char *plugin, *version;
  const isc_class *classes; /* [n]: kind and texts as the plugin gives them; no options, no ops */
  int64_t n;
} isc_trial;

/* Load the plugin at `path` in a child process and say what it offers; memory is the pool's.
 * ISC_E_FORMAT with the reason when it cannot be used here, its loading crashes, ends the process or
 * takes more than five seconds. Forks: not while another thread may be loading a library. */
isc_status isc_plugin_trial(const char *path, isc_pool *pool, isc_trial *out);

#endif
