/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of files and descriptors.
 */
#include "conform/conform.h"

const isc_check isc_checks_any_static[] = {{0}};
