/* SPDX-License-Identifier: Apache-2.0
 *
 * How a backend is opened and used by the checks that know nothing of backends.
 */
#include "conform/conform.h"

const isc_exercise isc_exercise_backend = {0};
