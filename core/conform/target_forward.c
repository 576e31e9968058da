/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of targets: the forward pass.
 */
#include "conform/conform.h"

const isc_check isc_checks_target_forward[] = {{0}};
