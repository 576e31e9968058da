/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the trial: the child's half, and the few bytes that it sends.
 *
 * The child writes ISC_TRIAL_LOADED as soon as the library is loaded, then one verdict: its letter, the
 * number of bytes that follow, the bytes. Those of ISC_TRIAL_OFFERS are strings, each with its NUL: plugin
 * name and version, and for each class kind, name, version, summary, licence and source.
 */
#ifndef ISC_CORE_TRIAL_CHILD_H
#define ISC_CORE_TRIAL_CHILD_H

#include <stdnoreturn.h>
#include <sys/types.h>

enum {
  ISC_TRIAL_LOADED = 'l',
  ISC_TRIAL_OFFERS = 'o',
  ISC_TRIAL_REFUSED = 'r', /* the bytes are the reason, with its NUL */
  ISC_TRIAL_MAX = 1 << 20  /* bytes of a verdict                     */
};

/* Run in the forked child of `parent`: try the plugin at `path`, write to `fd`, end. */
noreturn void isc_trial_child(pid_t parent, const char *path, int fd);

#endif
