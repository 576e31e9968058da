/* SPDX-License-Identifier: Apache-2.0
 *
 * The triangular factor of a site's map, by Householder's method.
 *
 * mapᵀ = QR with Q orthonormal gives ‖a·map‖ = ‖R aᵀ‖. Rationale for not factoring the Gram matrix
 * map·mapᵀ: that squares the condition number and fails when heads are redundant, whereas QR
 * needs no pivots when only lengths are wanted, so singular maps are no special case.
 */
#include "base/base.h"
#include "eval/distance.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 }; /* columns summed together */

/* Four running sums: the compiler may then use vector registers without reordering one sum. */
static double dot(int64_t n, const double *a, const double *b) {
  double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    s0 += a[i] * b[i];
    s1 += a[i + 1] * b[i + 1];
    s2 += a[i + 2] * b[i + 2];
    s3 += a[i + 3] * b[i + 3];
  }
  for (; i < n; i++)
    s0 += a[i] * b[i];
  return s0 + s1 + (s2 + s3);
}

/* Row j of w is column j of mapᵀ. Turns its part from j on into the reflector v, reflects the later rows,
 * and returns the diagonal element of R. */
static double reflect(double *w, int64_t stored, int64_t dim, int64_t j) {
  double *v = w + j * dim;
  double norm = sqrt(dot(dim - j, v + j, v + j));
  if (norm == 0) return 0;
  double diagonal = v[j] > 0 ? -norm : norm;
  v[j] -= diagonal;
  double scale = 2 / dot(dim - j, v + j, v + j);
  for (int64_t i = j + 1; i < stored; i++) {
    double *row = w + i * dim, c = scale * dot(dim - j, v + j, row + j);
    for (int64_t k = j; k < dim; k++)
      row[k] -= c * v[k];
  }
  return diagonal;
}

/* w [stored, dim] is destroyed; r [stored, width] = Rᵀ. */
static void factor(double *w, int64_t stored, int64_t dim, int64_t width, double *r) {
  for (int64_t j = 0; j < width; j++) {
    r[j * width + j] = reflect(w, stored, dim, j);
    for (int64_t i = j + 1; i < stored; i++)
      r[i * width + j] = w[i * dim + j];
  }
}

static isc_status load(const isc_site *site, double **out) {
  size_t size;
  ISC_TRY(isc_mul_size((size_t)site->stored, (size_t)site->dim, "the map of a site", &size));
  ISC_TRY(isc_calloc(size, sizeof **out, "the map of a site", (void **)out));
  for (size_t i = 0; i < size; i++) {
    (*out)[i] = site->map[i];
    if (!isfinite((*out)[i])) {
      free(*out);
      return isc_fail(ISC_E_NUMERIC,
                      "site %s: its map holds a NaN or an infinity; check the weights", site->name);
    }
  }
  return ISC_OK;
}

isc_status isc_isometry_open(const isc_site *site, isc_isometry *out) {
  *out = (isc_isometry){.stored = site->stored, .dim = site->dim, .width = site->stored};
  if (site->stored < 1 || site->dim < 1 || (!site->map && site->stored != site->dim))
    return isc_fail(ISC_E_SHAPE, "site %s: %lld stored values for %lld dimensions", site->name,
                    (long long)site->stored, (long long)site->dim);
  if (!site->map) return ISC_OK;
  double *w = NULL;
  if (site->dim < site->stored) out->width = site->dim;
  ISC_TRY(load(site, &w));
  isc_status st = isc_calloc((size_t)site->stored, (size_t)out->width * sizeof *out->r,
                             "the isometry of a site", (void **)&out->r);
  if (st == ISC_OK) factor(w, site->stored, site->dim, out->width, out->r);
  free(w);
  return st;
}

void isc_isometry_close(isc_isometry *iso) {
  free(iso->r);
  *iso = (isc_isometry){0};
}

/* out [width] = in [stored] · r. Rows above a block of columns are zero in it. */
static void row_times(const isc_isometry *iso, const float *in, float *out) {
  for (int64_t j0 = 0; j0 < iso->width; j0 += BLOCK) {
    int64_t width = iso->width - j0 < BLOCK ? iso->width - j0 : BLOCK;
    double sum[BLOCK] = {0};
    for (int64_t i = j0; i < iso->stored; i++)
      for (int64_t j = 0; j < width; j++)
        sum[j] += in[i] * iso->r[i * iso->width + j0 + j];
    for (int64_t j = 0; j < width; j++)
      out[j0 + j] = (float)sum[j];
  }
}

void isc_isometry_apply(const isc_isometry *iso, int64_t n, const float *a /* [n, stored] */,
                        float *y /* [n, width] */) {
  if (!iso->r && n > 0) memcpy(y, a, (size_t)n * (size_t)iso->width * sizeof *y);
  for (int64_t row = 0; iso->r && row < n; row++)
    row_times(iso, a + row * iso->stored, y + row * iso->width);
}

void isc_site_expand(const isc_site *site, int64_t n, const float *a /* [n, stored] */,
                     float *z /* [n, dim] */) {
  if (!site->map && n > 0) memcpy(z, a, (size_t)n * (size_t)site->dim * sizeof *z);
  for (int64_t row = 0; site->map && row < n; row++) {
    const float *in = a + row * site->stored;
    for (int64_t j0 = 0; j0 < site->dim; j0 += BLOCK) {
      int64_t width = site->dim - j0 < BLOCK ? site->dim - j0 : BLOCK;
      double sum[BLOCK] = {0};
      for (int64_t i = 0; i < site->stored; i++)
        for (int64_t j = 0; j < width; j++)
          sum[j] += (double)in[i] * site->map[i * site->dim + j0 + j];
      for (int64_t j = 0; j < width; j++)
        z[row * site->dim + j0 + j] = (float)sum[j];
    }
  }
}
