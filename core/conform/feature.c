/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of features.
 */
#include "conform/conform.h"

const isc_check isc_checks_feature[] = {{0}};
