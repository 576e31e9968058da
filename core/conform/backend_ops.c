/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of backends: every operation against float64.
 */
#include "conform/conform.h"

const isc_check isc_checks_backend_ops[] = {{0}};
