/* SPDX-License-Identifier: Apache-2.0
 *
 * The one flag that asks long work to stop.
 *
 * Process-wide because a signal is; plugins read it, only the program sets it.
 */
#include "base/base.h"
#include <stdatomic.h>

static atomic_bool asked;

void isc_cancel(bool on) {
  atomic_store(&asked, on);
}

bool isc_cancelled(void) {
  return atomic_load(&asked);
}
