/* SPDX-License-Identifier: Apache-2.0
 *
 * Every operation of one SIMD level, and the level's table. Included once by each level's source
 * file, with LEVEL set and the processor's features switched on.
 */
#include "attention.h"
#include "distances.h"
#include "elementwise.h"
#include "gemm_bf16.h"
#include "jumprelu.h"
#include "random.h"
#include "rotary.h"
#include "rows.h"
#include "train.h"

static const cpu_gemm_kernel gemm16_kernel = GEMM16_KERNEL("f32");

#define LEVEL_TABLE(level_name)                                                                    \
  {                                                                                                \
    .name = level_name, .width = W, .bf16 = &gemm16_kernel, .gemm = gemm, .act = act,              \
    .act_grad = act_grad, .col_sum = col_sum, .layernorm = layernorm,                              \
    .layernorm_grad = layernorm_grad, .embed = embed, .embed_grad = embed_grad,                    \
    .attention = attention, .attention_grad = attention_grad, .xent = xent, .control = control,    \
    .control_grad = control_grad, .adamw = adamw, .sum_squares = sum_squares, .sample = sample,    \
    .noise = noise, .add = add, .axpy = axpy, .mul = mul, .scatter_add = scatter_add,              \
    .rotary = rotary, .gate = gate, .gate_grad = gate_grad, .jumprelu = jumprelu,                  \
    .jumprelu_grad = jumprelu_grad, .distances = distances, .to_bf16 = to_bf16                     \
  }
