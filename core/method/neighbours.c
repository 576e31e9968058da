/* SPDX-License-Identifier: Apache-2.0
 *
 * Neighbour draws: rejection first, then enumeration.
 *
 * A candidate taken at random and kept with probability k(d/ε) is an exact draw, and in a well filled ball it takes few
 * tries. Conditions that have used up their tries get the distances to all candidates from one matrix product a site,
 * and draw from the same law by enumeration: the mixture of the two is that law too.
 */
#include "method/neighbours.h"
#include "base/base.h"
#include "tensor/count.h"
#include <math.h>
#include <stdlib.h>

enum { TRIES = 256 };
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
  float **host;  /* [n_sites] the same on the host                                   */
  double *reach; /* [n_sites] d beyond which k is nothing                            */
  isc_geometry geometry;
  isc_step *step; /* of one product                                                   */
  int64_t rows;   /* conditions in a product                                          */
  float *product; /* host [rows, n]                                                   */
  hits h;
  int64_t *left; /* [cap_left] conditions that rejection did not serve                */
  int64_t cap_left;
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
  float *host;
  void *a = NULL, *y = NULL;
  size_t bytes = (size_t)(nb->n * w) * sizeof *host;
  ISC_GO(isc_malloc(bytes, "neighbours", (void **)&nb->host[g]));
  host = nb->host[g];
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
  ISC_GO(dev->ops->download(dev->impl, host, y, bytes));
done:
  free(row);
  if (a) dev->ops->free(dev->impl, a);
  return st;
}

static isc_status allocate(isc_neighbours *nb) {
  size_t n = (size_t)nb->n, sites = (size_t)nb->f->env->n_sites;
  nb->rows = PRODUCTS / nb->n > 0 ? PRODUCTS / nb->n : 1;
  ISC_TRY(isc_calloc(sites, sizeof *nb->y, "neighbours", (void **)&nb->y));
  ISC_TRY(isc_calloc(sites, sizeof *nb->host, "neighbours", (void **)&nb->host));
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
  for (int64_t g = 0; g < nb->f->env->n_sites; g++) {
    if (nb->y && nb->y[g]) dev->ops->free(dev->impl, nb->y[g]);
    if (nb->host) free(nb->host[g]);
  }
  isc_step_free(nb->step);
  free(nb->y);
  free(nb->host);
  free(nb->reach);
  free(nb->left);
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

/* ‖y_i − y_j‖ from their product: good to about 1e-3 of the norms where they are close, which no kernel of a useful
 * width can tell; what rounding makes negative is 0. */
static double euclidean(double ni, double nj, double product) {
  double square = ni * ni + nj * nj - 2 * product;
  return square > 0 ? sqrt(square) : 0;
}

/* Nothing is near a zero activation where distances are relative to it. */
static bool no_scale(const isc_neighbours *nb, int64_t site, int64_t i) {
  return nb->geometry != ISC_EUCLIDEAN && nb->f->norm[site][i] == 0;
}

static void weigh(hits *h, const isc_kernel *k, double eps, int64_t j, double d) {
  double weight = k->ops->profile(k->self, d / eps);
  if (weight > 0) add_hit(h, j, weight, d);
}

/* Is any of 16 products within reach? Without branches, so that the compiler takes them together. */
static bool any_within(const float *product, float least) {
  int any = 0;
  for (int k = 0; k < 16; k++)
    any |= product[k] >= least;
  return any;
}

/* Candidates near input i; product [n]: ⟨y_i, û_j⟩. */
static void collect_angular(const isc_neighbours *nb, int64_t site, int64_t i, const float *product,
                            hits *h) {
  const isc_kernel *k = nb->f->env->kernels[site];
  const float *norm = nb->f->norm[site];
  double eps = k->ops->epsilon(k->self), band = k->ops->band(k->self);
  float ni = norm[i], slack = band > 0 ? (float)(band * ni) : INFINITY;
  float least = (float)(ni * (1 - nb->reach[site]));
  for (int64_t j = 0; j < nb->n; j++) {
    if (j % 16 == 0 && j + 16 <= nb->n && !any_within(product + j, least)) {
      j += 15;
      continue;
    }
    if (j == i || !(product[j] >= least) || !(fabsf(norm[j] - ni) < slack)) continue;
    weigh(h, k, eps, j, fmax(0, 1 - (double)product[j] / ni));
  }
}

/* The same with product [n]: ⟨y_i, y_j⟩. */
static void collect_radial(const isc_neighbours *nb, int64_t site, int64_t i, const float *product,
                           hits *h) {
  const isc_kernel *k = nb->f->env->kernels[site];
  const float *norm = nb->f->norm[site];
  double unit = nb->geometry == ISC_NORMALISED ? norm[i] : 1;
  for (int64_t j = 0; j < nb->n; j++) {
    double d = euclidean(norm[i], norm[j], product[j]) / unit;
    if (j != i && d <= nb->reach[site]) weigh(h, k, k->ops->epsilon(k->self), j, d);
  }
}

static void collect(const isc_neighbours *nb, int64_t site, int64_t i, const float *product,
                    hits *h) {
  h->n = 0;
  h->total = 0;
  add_hit(h, i, 1, 0);
  if (no_scale(nb, site, i)) return;
  if (nb->geometry == ISC_ANGULAR)
    collect_angular(nb, site, i, product, h);
  else
    collect_radial(nb, site, i, product, h);
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
  ISC_TRY(isc_device_gemm(dev, &g));
  return isc_tensor_download(s, c, nb->product);
}

/* ---- rejection */

/* d(z_j, ẑ_i) as the kernel has it: infinite outside the norm band. Both are candidates. */
static double pair_distance(const isc_neighbours *nb, int64_t site, int64_t i, int64_t j) {
  const isc_kernel *k = nb->f->env->kernels[site];
  int64_t w = nb->f->env->sites[site].stored;
  const float *a = nb->host[site] + i * w, *b = nb->host[site] + j * w;
  double ni = nb->f->norm[site][i], nj = nb->f->norm[site][j], band = k->ops->band(k->self);
  float sum = 0;
  if (nb->geometry == ISC_ANGULAR) {
    if (band > 0 && !(fabs(nj - ni) < band * ni)) return INFINITY;
    for (int64_t c = 0; c < w; c++)
      sum += a[c] * b[c];
    return fmax(0, 1 - (double)sum);
  }
  for (int64_t c = 0; c < w; c++)
    sum += (a[c] - b[c]) * (a[c] - b[c]);
  return sqrt(sum) / (nb->geometry == ISC_NORMALISED ? ni : 1);
}

static bool try_draw(const isc_neighbours *nb, int64_t site, int64_t i, isc_rng *rng,
                     int64_t *drawn, double *d) {
  const isc_kernel *k = nb->f->env->kernels[site];
  double eps = k->ops->epsilon(k->self);
  if (i >= nb->n || no_scale(nb, site, i)) return false;
  for (int t = 0; t < TRIES; t++) {
    int64_t j = (int64_t)isc_rng_below(rng, (uint64_t)nb->n);
    double keep = isc_rng_uniform(rng), far = j == i ? 0 : pair_distance(nb, site, i, j);
    if (far > nb->reach[site] || keep >= (j == i ? 1 : k->ops->profile(k->self, far / eps)))
      continue;
    *drawn = j;
    *d = far;
    return true;
  }
  return false;
}

/* ---- both */

static isc_status enumerate(isc_neighbours *nb, int64_t site, const int64_t *row, isc_rng *rng,
                            int64_t n, int64_t *drawn, double *d) {
  int64_t input[64], most = nb->rows < 64 ? nb->rows : 64;
  for (int64_t first = 0; first < n; first += most) {
    int64_t rows = n - first < most ? n - first : most;
    const int64_t *left = nb->left + first;
    for (int64_t r = 0; r < rows; r++)
      input[r] = row[left[r]];
    ISC_TRY(products(nb, site, input, rows));
    for (int64_t r = 0; r < rows; r++) {
      collect(nb, site, input[r], nb->product + r * nb->n, &nb->h);
      int64_t k = pick(&nb->h, isc_rng_uniform(&rng[left[r]]));
      drawn[left[r]] = nb->h.j[k];
      d[left[r]] = nb->h.d[k];
    }
  }
  return ISC_OK;
}

isc_status isc_neighbours_draw(isc_neighbours *nb, int64_t site, const int64_t *row, isc_rng *rng,
                               int64_t n, int64_t *drawn, double *d) {
  int64_t left = 0;
  if (n > nb->cap_left) {
    void *p = nb->left;
    ISC_TRY(isc_realloc(&p, (size_t)n, sizeof *nb->left, "neighbours"));
    nb->left = p;
    nb->cap_left = n;
  }
  for (int64_t r = 0; r < n; r++)
    if (!try_draw(nb, site, row[r], &rng[r], &drawn[r], &d[r])) nb->left[left++] = r;
  return enumerate(nb, site, row, rng, left, drawn, d);
}
