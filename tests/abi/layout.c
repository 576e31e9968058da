/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiled against the frozen headers as layout_frozen and against today's as layout_now.
 */
#include "layout.h"
#include <inversescope/backend.h>
#include <inversescope/decoder.h>
#include <inversescope/decoder_target.h>
#include <inversescope/feature.h>
#include <inversescope/json.h>
#include <inversescope/kernel.h>
#include <inversescope/method.h>
#include <inversescope/noise_law.h>
#include <inversescope/operations.h>
#include <inversescope/ops.h>
#include <inversescope/option.h>
#include <inversescope/parameters.h>
#include <inversescope/plugin.h>
#include <inversescope/prior.h>
#include <inversescope/regex.h>
#include <inversescope/rng.h>
#include <inversescope/slot.h>
#include <inversescope/status.h>
#include <inversescope/target.h>
#include <inversescope/template.h>
#include <inversescope/template_options.h>
#include <inversescope/template_prior.h>
#include <inversescope/tensor.h>
#include <inversescope/text.h>
#include <inversescope/tokenizer.h>
#include <inversescope/training.h>
#include <inversescope/uniform.h>
#include <inversescope/words.h>

#define MEMBER(type, member)                                                                       \
  {#type "." #member, offsetof(type, member), sizeof(((type *)0)->member), 0},
#define CONSTANT(constant) {#constant, 0, 0, (long long)(constant)},

const layout LAYOUT[] = {
#include "1.0/list.h"
    {NULL, 0, 0, 0}};
