/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of backends: memory, determinism, errors.
 */
#include "conform/conform.h"

const isc_check isc_checks_backend[] = {{0}};
