/* SPDX-License-Identifier: Apache-2.0
 *
 * Neighbour draws: all distances from a batch of conditions to the candidates by one matrix product a site.
 *
 * The products are taken on the device; what lies within the kernel's reach is few, and is weighed and drawn from on
 * the host, in the order of the candidates.
 */
#include "method/neighbours.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>

enum { PRODUCTS = 1 << 20 }; /* numbers of a product held at once, if a row is not longer */

typedef struct hits { /* candidates with a weight, in order; [candidates + 1] */
  int64_t *j;
  double *weight, *d;
  int64_t n;
  double total;
} hits;

struct isc_neighbours {
  const isc_factors *f;
  int64_t n;     /* candidates                                                       */
  float **y;     /* [n_sites] device [n, stored]: isometric, of unit length if angular */
  double *reach; /* [n_sites] d beyond which k is nothing                            */
  isc_geometry geometry;
  isc_step *step; /* of one product                                                   */
  int64_t rows;   /* conditions in a product                                          */
  float *product; /* host [rows, n]                                                   */
  hits h;
};

/* The largest d/ε at which the profile still counts, from a grid that ends far beyond any kernel in use. */
static double profile_reach(const isc_kernel *k) {
  for (double r = 64; r > 1e-3; r /= 1.05)
    if (k->ops->profile(k->self, r) > 1e-6) return 1.05 * r;
  return 0;
}

static isc_status place_candidates(isc_neighbours *nb, int64_t g) {
  isc_status st = ISC_OK;
  const isc_factors *f = nb->f;
  isc_device *dev = f->env->device;
  int64_t w = f->env->sites[g].stored;
  int64_t *row = NULL;
  float *host = NULL;
  void *a = NULL, *y = NULL;
  size_t bytes = (size_t)(nb->n * w) * sizeof *host;
  ISC_GO(isc_malloc(bytes, "neighbours", (void **)&host));
  ISC_GO(isc_calloc((size_t)nb->n, sizeof *row, "neighbours", (void **)&row));
  for (int64_t i = 0; i < nb->n; i++)
    row[i] = i;
  ISC_GO(isc_factors_rows(f, g, row, nb->n, host));
  for (int64_t i = 0; i < nb->n && nb->geometry == ISC_ANGULAR; i++)
    for (int64_t k = 0; k < w && f->norm[g][i] > 0; k++)
      host[i * w + k] /= f->norm[g][i];
  ISC_GO(dev->ops->alloc(dev->impl, bytes, &a));
  ISC_GO(dev->ops->alloc(dev->impl, bytes, &y));
  nb->y[g] = y;
  ISC_GO(dev->ops->upload(dev->impl, a, host, bytes));
  ISC_GO(isc_factors_isometric(f, g, a, nb->n, y));
done:
  free(row);
  free(host);
  if (a) dev->ops->free(dev->impl, a);
  return st;
}

static isc_status allocate(isc_neighbours *nb) {
  size_t n = (size_t)nb->n, sites = (size_t)nb->f->env->n_sites;
  nb->rows = PRODUCTS / nb->n > 0 ? PRODUCTS / nb->n : 1;
  ISC_TRY(isc_calloc(sites, sizeof *nb->y, "neighbours", (void **)&nb->y));
  ISC_TRY(isc_calloc(sites, sizeof *nb->reach, "neighbours", (void **)&nb->reach));
  ISC_TRY(
      isc_calloc((size_t)nb->rows * n, sizeof *nb->product, "neighbours", (void **)&nb->product));
  ISC_TRY(isc_calloc(n + 1, sizeof *nb->h.j, "neighbours", (void **)&nb->h.j));
  ISC_TRY(isc_calloc(n + 1, sizeof *nb->h.weight, "neighbours", (void **)&nb->h.weight));
  ISC_TRY(isc_calloc(n + 1, sizeof *nb->h.d, "neighbours", (void **)&nb->h.d));
  return isc_step_new(nb->f->env->device, &nb->step);
}

isc_status isc_neighbours_new(const isc_factors *f, int64_t candidates, isc_neighbours **out) {
  isc_status st = ISC_OK;
  const isc_method_env *env = f->env;
  isc_neighbours *nb = NULL;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof *nb, "neighbours", (void **)&nb));
  nb->f = f;
  nb->n = candidates > 0 && candidates < env->n_train ? candidates : env->n_train;
  nb->geometry = env->kernels[0]->ops->geometry(env->kernels[0]->self);
  ISC_GO(allocate(nb));
  for (int64_t g = 0; g < env->n_sites; g++) {
    const isc_kernel *k = env->kernels[g];
    nb->reach[g] = profile_reach(k) * k->ops->epsilon(k->self);
    ISC_GO(place_candidates(nb, g));
  }
  *out = nb;
  nb = NULL;
done:
  isc_neighbours_free(nb);
  return st;
}

void isc_neighbours_free(isc_neighbours *nb) {
  if (!nb) return;
  isc_device *dev = nb->f->env->device;
  for (int64_t g = 0; nb->y && g < nb->f->env->n_sites; g++)
    if (nb->y[g]) dev->ops->free(dev->impl, nb->y[g]);
  isc_step_free(nb->step);
  free(nb->y);
  free(nb->reach);
  free(nb->product);
  free(nb->h.j);
  free(nb->h.weight);
  free(nb->h.d);
  free(nb);
}

/* ---- drawing */

static void add_hit(hits *h, int64_t j, double weight, double d) {
  h->j[h->n] = j;
  h->weight[h->n] = weight;
  h->d[h->n++] = d;
  h->total += weight;
}

/* Squared length of y_i − y_j from their product; what rounding makes negative is 0. */
static double euclidean(double ni, double nj, double product) {
  double square = ni * ni + nj * nj - 2 * product;
  return square > 0 ? sqrt(square) : 0;
}

static void weigh(hits *h, const isc_kernel *k, double eps, int64_t j, double d) {
  double weight = k->ops->profile(k->self, d / eps);
  if (weight > 0) add_hit(h, j, weight, d);
}

/* Candidates near input i; product [n]: ⟨y_i, y_j⟩, or ⟨y_i, û_j⟩ when angular. */
static void collect(const isc_neighbours *nb, int64_t site, int64_t i, const float *product,
                    hits *h) {
  const isc_kernel *k = nb->f->env->kernels[site];
  const float *norm = nb->f->norm[site];
  double ni = norm[i], eps = k->ops->epsilon(k->self), band = k->ops->band(k->self),
         reach = nb->reach[site];
  float least = (float)(ni * (1 - reach)), slack = band > 0 ? (float)(band * ni) : INFINITY,
        fi = norm[i];
  h->n = 0;
  h->total = 0;
  add_hit(h, i, 1, 0);
  if (ni == 0) return;
  for (int64_t j = 0; j < nb->n; j++) {
    if (j == i) continue;
    if (nb->geometry == ISC_ANGULAR) {
      if (!(product[j] >= least) || !(fabsf(norm[j] - fi) < slack)) continue;
      weigh(h, k, eps, j, fmax(0, 1 - product[j] / ni));
      continue;
    }
    double d = euclidean(ni, norm[j], product[j]) / (nb->geometry == ISC_NORMALISED ? ni : 1);
    if (d <= reach) weigh(h, k, eps, j, d);
  }
}

static int64_t pick(const hits *h, double u) {
  double at = u * h->total;
  int64_t i = 0;
  while (i + 1 < h->n && at >= h->weight[i])
    at -= h->weight[i++];
  return i;
}

/* ⟨y of input row[r], candidate⟩ for n ≤ nb->rows inputs, into nb->product. */
static isc_status products(isc_neighbours *nb, int64_t site, const int64_t *row, int64_t n) {
  const isc_factors *f = nb->f;
  isc_device *dev = f->env->device;
  isc_step *s = nb->step;
  int64_t w = f->env->sites[site].stored;
  const int64_t shape[] = {n, w}, wide[] = {n, nb->n};
  isc_tensor *a, *y, *c;
  void *host;
  isc_step_reset(s);
  ISC_TRY(isc_step_host_alloc(s, (size_t)(n * w) * sizeof(float), &host));
  ISC_TRY(isc_factors_rows(f, site, row, n, host));
  ISC_TRY(isc_tensor_from(s, 2, shape, host, &a));
  ISC_TRY(isc_tensor_new(s, 2, shape, &y));
  ISC_TRY(isc_tensor_new(s, 2, wide, &c));
  ISC_TRY(isc_factors_isometric(f, site, a->data, n, y->data));
  const isc_gemm g = {.batch = 1,
                      .m = n,
                      .n = nb->n,
                      .k = w,
                      .a = y->data,
                      .b = nb->y[site],
                      .c = c->data,
                      .lda = w,
                      .ldb = w,
                      .ldc = nb->n,
                      .trans_b = true,
                      .alpha = 1};
  ISC_TRY(dev->ops->gemm(dev->impl, &g));
  return isc_tensor_download(s, c, nb->product);
}

isc_status isc_neighbours_draw(isc_neighbours *nb, int64_t site, const int64_t *row,
                               const double *u, int64_t n, int64_t *drawn, double *d) {
  for (int64_t first = 0; first < n; first += nb->rows) {
    int64_t rows = n - first < nb->rows ? n - first : nb->rows;
    ISC_TRY(products(nb, site, row + first, rows));
    for (int64_t r = 0; r < rows; r++) {
      collect(nb, site, row[first + r], nb->product + r * nb->n, &nb->h);
      int64_t k = pick(&nb->h, u[first + r]);
      drawn[first + r] = nb->h.j[k];
      d[first + r] = nb->h.d[k];
    }
  }
  return ISC_OK;
}
