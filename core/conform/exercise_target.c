/* SPDX-License-Identifier: Apache-2.0
 *
 * How a target is opened and used by the checks that know nothing of targets.
 */
#include "conform/conform.h"

const isc_exercise isc_exercise_target = {0};
