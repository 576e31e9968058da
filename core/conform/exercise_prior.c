/* SPDX-License-Identifier: Apache-2.0
 *
 * How a prior is opened and used by the checks that know nothing of priors.
 */
#include "conform/conform.h"

const isc_exercise isc_exercise_prior = {0};
