/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of priors.
 */
#include "conform/conform.h"

const isc_check isc_checks_prior[] = {{0}};
