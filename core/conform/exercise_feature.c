/* SPDX-License-Identifier: Apache-2.0
 *
 * How a feature is opened and used by the checks that know nothing of features.
 */
#include "conform/conform.h"

const isc_exercise isc_exercise_feature = {0};
