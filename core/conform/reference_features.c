/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference of thresholds and of the sums that distances are made of.
 *
 * Whether a unit is active, or near its threshold, is decided in f32 as operations.h says; all else is double.
 */
#include "conform/reference_math.h"

void isc_reference_jumprelu(const isc_jumprelu *a, isc_exact *y, isc_exact *l0) {
  for (int64_t r = 0; a->d && r < a->rows; r++) {
    int64_t active = 0;
    for (int64_t j = 0; j < a->d; j++) {
      float x = a->x[r * a->d + j];
      active += x > a->theta[j];
      y[r * a->d + j] = isc_exact_of(x <= a->theta[j] ? 0 : (double)x);
    }
    if (l0) l0[r] = isc_exact_of((double)active);
  }
}

void isc_reference_jumprelu_grad(const isc_jumprelu *a, isc_exact *dx, isc_exact *dtheta) {
  isc_exact_begin(dtheta, a->dtheta, a->d);
  for (int64_t i = 0; i < a->rows * a->d; i++) {
    float x = a->x[i], theta = a->theta[i % a->d], from = x - theta;
    double dy = a->dy ? (double)a->dy[i] : 0, dl0 = a->dl0 ? (double)a->dl0[i / a->d] : 0;
    if (dx) dx[i] = isc_exact_of(x <= theta ? 0 : dy);
    if (!dtheta || !(fabsf(from) < 0.5f * a->width)) continue;
    isc_exact_add(&dtheta[i % a->d], isc_exact_of(-(double)theta * dy / (double)a->width));
    isc_exact_add(&dtheta[i % a->d], isc_exact_of(-dl0 / (double)a->width));
  }
}

/* What the tolerance of sums in double is a multiple of. */
static isc_exact in_double(isc_exact sum) {
  return (isc_exact){sum.value, sum.slack * (1e-12 / ISC_EXACT_UNIT)};
}

static isc_exact chord(int64_t dim, const float *x, double norm_x, const float *y, double norm_y) {
  isc_exact sum = {0, 0};
  for (int64_t j = 0; norm_x > 0 && norm_y > 0 && j < dim; j++) {
    double p = (double)x[j] / norm_x, q = (double)y[j] / norm_y;
    sum.value += (p - q) * (p - q);
    sum.slack += fabs(p - q) * (fabs(p) + fabs(q));
  }
  return sum;
}

void isc_reference_distances(const isc_distances *a, const isc_exact_distances *out) {
  for (int64_t i = 0; a->dim && i < a->n; i++) {
    const float *x = a->a + i * a->dim, *y = a->b + i / a->group * a->dim;
    isc_exact dot = isc_exact_dot(x, y, a->dim), xx = isc_exact_dot(x, x, a->dim),
              yy = isc_exact_dot(y, y, a->dim), apart = {0, 0};
    for (int64_t j = 0; j < a->dim; j++)
      isc_exact_add(&apart, isc_exact_of(pow((double)x[j] - (double)y[j], 2)));
    if (out->dot) out->dot[i] = in_double(dot);
    if (out->aa) out->aa[i] = in_double(xx);
    if (out->bb) out->bb[i] = in_double(yy);
    if (out->apart) out->apart[i] = in_double(apart);
    if (out->chord) out->chord[i] = in_double(chord(a->dim, x, sqrt(xx.value), y, sqrt(yy.value)));
  }
}
