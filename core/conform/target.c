/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of targets: what they say of themselves.
 */
#include "conform/conform.h"

const isc_check isc_checks_target[] = {{0}};
