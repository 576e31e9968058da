/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of methods.
 */
#include "conform/conform.h"

const isc_check isc_checks_method[] = {{0}};
