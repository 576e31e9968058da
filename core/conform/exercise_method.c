/* SPDX-License-Identifier: Apache-2.0
 *
 * How a method is opened and used by the checks that know nothing of methods.
 */
#include "conform/conform.h"

const isc_exercise isc_exercise_method = {0};
