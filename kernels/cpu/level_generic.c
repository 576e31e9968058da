/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations for the compiler's own vectors of four floats: runs on every processor.
 *
 * It is the reference the other levels are tested against, and all that processors other than x86-64 get.
 */
#include "cpu.h"
#include <math.h>

#define LEVEL 128
#include "simd/table.h"

const cpu_level cpu_level_generic = LEVEL_TABLE("generic");
