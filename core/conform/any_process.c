/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of the process's state.
 */
#include "conform/conform.h"

const isc_check isc_checks_any_process[] = {{0}};
