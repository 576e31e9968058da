/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations of a backend in double, with how far an f32 result may be from each value.
 *
 * Written from the formulas of operations.h alone, so that it can stand as an independent answer to any backend. A
 * result carries the sum of its terms' magnitudes, which the contract's tolerance is a multiple of; where a term is
 * itself computed from sums, what they may be off by carries over. All pointers are host memory.
 */
#ifndef ISC_CORE_CONFORM_REFERENCE_H
#define ISC_CORE_CONFORM_REFERENCE_H

#include <inversescope/backend.h>
#include <math.h>

/* The tolerance of operations.h: |got − value| ≤ ISC_EXACT_UNIT · slack. */
#define ISC_EXACT_UNIT 4e-6
/* Slacks count as many times more where operands are rounded to bf16: 2^-7 in place of 4e-6. */
#define ISC_EXACT_BF16 (0x1p-7 / ISC_EXACT_UNIT)
/* Slacks of elements that are not compared: it keeps its bits (a gap between rows); it is left out of the comparison. */
#define ISC_EXACT_KEPT (-1.0)
#define ISC_EXACT_ANY  (-2.0)

typedef struct isc_exact {
  double value, slack;
} isc_exact;

static inline isc_exact isc_exact_of(double x) {
  return (isc_exact){x, 0};
}

static inline isc_exact isc_exact_times(isc_exact a, isc_exact b) {
  return (isc_exact){a.value * b.value, fabs(a.value) * b.slack + fabs(b.value) * a.slack};
}

static inline void isc_exact_add(isc_exact *sum, isc_exact term) {
  sum->value += term.value;
  sum->slack += fabs(term.value) + term.slack;
}

/* Every result goes to an array of isc_exact that lies as the argument's own output does, gaps included; NULL where that
 * output is NULL. `+=` outputs are read from the argument. */
void isc_reference_gemm(const isc_gemm *a, int64_t every /* n-th element, the others ANY */,
                        isc_exact *c, isc_exact *pre);
float isc_reference_bf16(float x); /* rounded to nearest even; NaN stays NaN */
double isc_reference_element(const void *x, isc_dtype type, int64_t i); /* x[i] of an array */
double isc_reference_act(isc_act act, double x);
double isc_reference_act_slope(isc_act act, double x);
void isc_reference_acts(isc_act act, int64_t n, const float *x, isc_exact *y);
void isc_reference_act_grad(isc_act act, int64_t n, const float *pre, const float *dy,
                            isc_exact *dx);
void isc_reference_col_sum(int64_t rows, int64_t n, const float *x, const float *before,
                           isc_exact *out);
void isc_reference_add(int64_t n, const float *a, const float *b, isc_exact *out);
void isc_reference_axpy(int64_t n, float alpha, const float *x, const float *y, isc_exact *out);
void isc_reference_mul(int64_t n, const float *a, const float *b, isc_exact *out);
void isc_reference_gather(int64_t n, int64_t width, const float *x, const int64_t *row,
                          isc_exact *out);
/* out [rows of x, width]; the rows that `row` does not name are left as they are. */
void isc_reference_scatter_add(int64_t n, int64_t width, const float *in, const int64_t *row,
                               const float *x, isc_exact *out);
isc_exact isc_reference_sum_squares(int64_t n, const float *x);
void isc_reference_adamw(const isc_adamw *a, isc_exact *p, isc_exact *m, isc_exact *v);

void isc_reference_layernorm(const isc_layernorm *a, isc_exact *y, isc_exact *mean,
                             isc_exact *rstd);
void isc_reference_layernorm_grad(const isc_layernorm *a, isc_exact *dx, isc_exact *dg,
                                  isc_exact *db);
void isc_reference_embed(const isc_embed *a, isc_exact *out);
/* dwte, dwpe: of the rows that are named only. */
void isc_reference_embed_grad(const isc_embed *a, isc_exact *dwte, isc_exact *dwpe);
void isc_reference_rotary(const isc_rotary *a, isc_exact *y);
void isc_reference_gate(const isc_gate *a, isc_exact *y);
void isc_reference_gate_grad(const isc_gate *a, isc_exact *dx);
void isc_reference_jumprelu(const isc_jumprelu *a, isc_exact *y, isc_exact *l0);
void isc_reference_jumprelu_grad(const isc_jumprelu *a, isc_exact *dx, isc_exact *dtheta);
/* [n] each, or NULL */
typedef struct isc_exact_distances {
  isc_exact *dot, *aa, *bb, *apart, *chord;
} isc_exact_distances;
void isc_reference_distances(const isc_distances *a, const isc_exact_distances *out);
isc_status isc_reference_attention(const isc_attention *a, isc_exact *out, isc_exact *lse);
void isc_reference_attention_grad(const isc_attention *a, isc_exact *dq, isc_exact *dk,
                                  isc_exact *dv);
isc_status isc_reference_xent(const isc_xent *a, isc_exact *logp, isc_exact *dh, isc_exact *dw);
void isc_reference_control(const isc_control *a, isc_exact *out, isc_exact *omega);
void isc_reference_control_grad(const isc_control *a, isc_exact *dhn, isc_exact *du, isc_exact *dv,
                                isc_exact *dc);

/* One row: the token drawn and the log of its probability. */
int32_t isc_reference_sample(const isc_sample *a, int64_t row, double *logp);
isc_status isc_reference_noise(const isc_noise *a, isc_exact *out);

#endif
