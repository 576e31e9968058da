/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of determinism, memory and errors.
 */
#include "conform/conform.h"

const isc_check isc_checks_any_dynamic[] = {{0}};
