/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of noise kernels.
 */
#include "conform/conform.h"

const isc_check isc_checks_kernel[] = {{0}};
