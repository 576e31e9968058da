/* SPDX-License-Identifier: Apache-2.0
 *
 * How a kernel is opened and used by the checks that know nothing of kernels.
 */
#include "conform/conform.h"

const isc_exercise isc_exercise_kernel = {0};
