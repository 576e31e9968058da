/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a training batch: inputs, sites, noise, and the conditions on the device.
 *
 * One-dimensional draws are made on the host, in the order of example numbers; the activations' expansion from
 * their factors and the noise's direction in the full space are the device's work.
 */
#include "method/examples.h"
#include <inversescope/corpus.h>
#include "method/neighbours.h"
#include "base/base.h"
#include "model/safetensors.h"
#include "tensor/count.h"
#include <stdlib.h>
#include <string.h>

struct isc_examples {
  const isc_factors *f;
  const isc_control_layers *l;
  isc_examples_spec spec;
  isc_neighbours *nb; /* NULL when no example needs them                 */
  isc_geometry geometry;
  bool even; /* every site has dim d_z                          */
};

/* A batch in the making; rows in site order unless said. */
typedef struct draft {
  const isc_examples *x;
  isc_step *s;
  isc_example_batch *b;
  uint64_t *example;               /* [n] example numbers                             */
  int64_t *input;                  /* [n] the input whose activation is the condition */
  float *radius, *rho, *cos, *sin; /* [n] the kernel's draws                          */
} draft;

isc_status isc_examples_new(const isc_factors *f, const isc_control_layers *l,
                            const isc_examples_spec *spec, isc_examples **out) {
  const isc_method_env *env = f->env;
  isc_examples *x = NULL;
  *out = NULL;
  if (env->n_train < 1 || spec->batch < 1)
    return isc_fail(ISC_E_USAGE, "control: %lld training inputs in batches of %lld",
                    (long long)env->n_train, (long long)spec->batch);
  ISC_TRY(isc_calloc(1, sizeof *x, "training examples", (void **)&x));
  *x = (isc_examples){.f = f, .l = l, .spec = *spec, .even = true};
  x->geometry = env->kernels[0]->ops->geometry(env->kernels[0]->self);
  for (int64_t g = 0; g < env->n_sites; g++)
    x->even = x->even && env->sites[g].dim == l->d_z;
  if (spec->noise != ISC_NOISE_KERNEL) {
    isc_status st = isc_neighbours_new(f, spec->candidates, &x->nb);
    if (st != ISC_OK) {
      isc_examples_free(x);
      return st;
    }
  }
  *out = x;
  return ISC_OK;
}

void isc_examples_free(isc_examples *x) {
  if (!x) return;
  isc_neighbours_free(x->nb);
  free(x);
}

/* ---- which input, which site */

/* Zeroed step memory for n items; `out` is the address of a pointer to them. */
static isc_status host(isc_step *s, int64_t n, size_t size, void *out) {
  void *p;
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * size, &p));
  memset(p, 0, (size_t)n * size);
  memcpy(out, &p, sizeof p);
  return ISC_OK;
}

static isc_status allocate(draft *t) {
  isc_step *s = t->s;
  int64_t n = t->b->n;
  ISC_TRY(host(s, n, sizeof *t->b->text, &t->b->text));
  ISC_TRY(host(s, n, sizeof *t->b->site, &t->b->site));
  ISC_TRY(host(s, t->x->f->env->n_sites + 1, sizeof *t->b->start, &t->b->start));
  ISC_TRY(host(s, n, sizeof *t->b->distance, &t->b->distance));
  ISC_TRY(host(s, n, sizeof *t->example, &t->example));
  ISC_TRY(host(s, n, sizeof *t->input, &t->input));
  ISC_TRY(host(s, n, sizeof *t->radius, &t->radius));
  ISC_TRY(host(s, n, sizeof *t->rho, &t->rho));
  ISC_TRY(host(s, n, sizeof *t->cos, &t->cos));
  return host(s, n, sizeof *t->sin, &t->sin);
}

/* Examples k·n … k·n + n − 1, stably sorted by site. */
static void address(draft *t, int64_t k) {
  isc_example_batch *b = t->b;
  const isc_method_env *env = t->x->f->env;
  int64_t sites = env->n_sites, first = k * b->n;
  for (int64_t r = 0; r < b->n; r++)
    b->start[(first + r) % sites + 1]++;
  for (int64_t g = 0; g < sites; g++)
    b->start[g + 1] += b->start[g];
  /* Row r of the batch is the (r / sites)-th of its site, as sites come in turn. */
  for (int64_t r = 0; r < b->n; r++) {
    int64_t g = (first + r) % sites, at = b->start[g] + r / sites;
    b->site[at] = g;
    t->example[at] = (uint64_t)(first + r);
    t->input[at] = b->text[at] = isc_epoch_row(t->x->spec.seed, env->n_train, first + r);
  }
}

/* ---- noise */

/* The stream that decides an example's neighbour: first whether it has one, then which. */
static bool takes_neighbour(const isc_examples *x, uint64_t example, isc_rng *r) {
  *r = isc_rng_at(x->spec.seed, ISC_RNG_NEIGHBOUR, example);
  double coin = isc_rng_uniform(r);
  return x->spec.noise == ISC_NOISE_NEIGHBOURS ||
         (x->spec.noise == ISC_NOISE_MIXED && coin < x->spec.neighbour_share);
}

/* The clean activation: no radius, or a rotation by nothing. */
static void no_noise(draft *t, int64_t row) {
  t->radius[row] = t->sin[row] = 0;
  t->rho[row] = t->cos[row] = 1;
}

static void draw_noise(draft *t, int64_t row) {
  const isc_examples *x = t->x;
  int64_t g = t->b->site[row];
  const isc_kernel *k = x->f->env->kernels[g];
  isc_rng r = isc_rng_at(x->spec.seed, ISC_RNG_NOISE_RADIUS, t->example[row]);
  isc_noise_draw d = {0};
  k->ops->draw(k->self, &r, &d);
  double unit = x->geometry == ISC_NORMALISED ? x->f->norm[g][t->input[row]] : 1;
  t->b->distance[row] = d.d;
  t->radius[row] = (float)(d.radius * unit * x->l->host_scale[g]);
  t->rho[row] = (float)d.rho;
  t->cos[row] = (float)d.cos;
  t->sin[row] = (float)d.sin;
}

/* Rows of site g that take a neighbour: their texts become its texts. The arrays have room for the batch. */
typedef struct takers {
  int64_t *row, *input, *drawn;
  double *d;
  isc_rng *rng;
} takers;

static isc_status draw_neighbours(draft *t, int64_t g, takers *k) {
  const isc_example_batch *b = t->b;
  int64_t n = 0;
  for (int64_t r = b->start[g]; r < b->start[g + 1]; r++) {
    if (!takes_neighbour(t->x, t->example[r], &k->rng[n])) continue;
    k->row[n] = r;
    k->input[n++] = t->input[r];
    no_noise(t, r);
  }
  ISC_TRY(isc_neighbours_draw(t->x->nb, g, k->input, k->rng, n, k->drawn, k->d));
  for (int64_t i = 0; i < n; i++) {
    b->text[k->row[i]] = k->drawn[i];
    b->distance[k->row[i]] = k->d[i];
  }
  return ISC_OK;
}

static isc_status draw(draft *t) {
  int64_t n = t->b->n;
  isc_rng unused;
  takers k;
  for (int64_t r = 0; r < n; r++)
    if (!takes_neighbour(t->x, t->example[r], &unused)) draw_noise(t, r);
  if (!t->x->nb) return ISC_OK;
  ISC_TRY(host(t->s, n, sizeof *k.row, &k.row));
  ISC_TRY(host(t->s, n, sizeof *k.input, &k.input));
  ISC_TRY(host(t->s, n, sizeof *k.drawn, &k.drawn));
  ISC_TRY(host(t->s, n, sizeof *k.d, &k.d));
  ISC_TRY(host(t->s, n, sizeof *k.rng, &k.rng));
  for (int64_t g = 0; g < t->x->f->env->n_sites; g++)
    ISC_TRY(draw_neighbours(t, g, &k));
  return ISC_OK;
}

/* ---- conditions */

/* Scaled factors of every row, one site after another, in one upload. */
static isc_status upload_factors(draft *t, isc_tensor **out) {
  const isc_factors *f = t->x->f;
  const isc_example_batch *b = t->b;
  int64_t total = 0;
  float *a;
  for (int64_t r = 0; r < b->n; r++)
    total += f->env->sites[b->site[r]].stored;
  ISC_TRY(host(t->s, total, sizeof *a, &a));
  float *at = a;
  for (int64_t g = 0; g < f->env->n_sites; g++) {
    int64_t rows = b->start[g + 1] - b->start[g], n = rows * f->env->sites[g].stored;
    if (rows == 0) continue;
    ISC_TRY(isc_factors_rows(f, g, t->input + b->start[g], rows, at));
    for (int64_t i = 0; i < n; i++)
      at[i] *= t->x->l->host_scale[g];
    at += n;
  }
  return isc_tensor_from(t->s, 1, &total, a, out);
}

static isc_status add_noise(draft *t, int64_t first, int64_t rows, int64_t dim, float *z) {
  isc_device *dev = t->x->f->env->device;
  const isc_noise a = {.rows = rows,
                       .dim = dim,
                       .angular = t->x->geometry == ISC_ANGULAR,
                       .z = z,
                       .out = z,
                       .radius = t->radius + first,
                       .rho = t->rho + first,
                       .cos = t->cos + first,
                       .sin = t->sin + first,
                       .seed = t->x->spec.seed,
                       .index = t->example + first};
  return dev->ops->noise(dev->impl, &a);
}

/* z [rows, dim] of factors a [rows, stored]. */
static isc_status expand(const draft *t, int64_t g, int64_t rows, const float *a, float *z) {
  const isc_factors *f = t->x->f;
  isc_device *dev = f->env->device;
  int64_t w = f->env->sites[g].stored, d = f->env->sites[g].dim;
  if (!f->map[g]) return dev->ops->copy(dev->impl, z, a, (size_t)(rows * d) * sizeof *z);
  const isc_gemm m = {.batch = 1,
                      .m = rows,
                      .n = d,
                      .k = w,
                      .a = a,
                      .b = f->map[g],
                      .c = z,
                      .lda = w,
                      .ldb = d,
                      .ldc = d,
                      .alpha = 1};
  return isc_device_gemm(dev, &m);
}

/* A site narrower than d_z: made apart, then copied row by row into its place. */
static isc_status expand_narrow(draft *t, int64_t g, const float *a) {
  isc_device *dev = t->x->f->env->device;
  int64_t first = t->b->start[g], rows = t->b->start[g + 1] - first, d = t->x->f->env->sites[g].dim;
  const int64_t shape[] = {rows, d};
  isc_tensor *z;
  ISC_TRY(isc_tensor_new(t->s, 2, shape, &z));
  ISC_TRY(expand(t, g, rows, a, z->data));
  ISC_TRY(add_noise(t, first, rows, d, z->data));
  for (int64_t r = 0; r < rows; r++)
    ISC_TRY(dev->ops->copy(dev->impl, t->b->z->data + (first + r) * t->x->l->d_z, z->data + r * d,
                           (size_t)d * sizeof(float)));
  return ISC_OK;
}

static isc_status make_conditions(draft *t) {
  const isc_method_env *env = t->x->f->env;
  isc_example_batch *b = t->b;
  const int64_t shape[] = {b->n, t->x->l->d_z};
  isc_tensor *a;
  ISC_TRY(upload_factors(t, &a));
  ISC_TRY(isc_tensor_zeros(t->s, 2, shape, &b->z));
  const float *at = a->data;
  for (int64_t g = 0; g < env->n_sites; g++) {
    int64_t rows = b->start[g + 1] - b->start[g];
    if (rows == 0) continue;
    if (t->x->even)
      ISC_TRY(expand(t, g, rows, at, b->z->data + b->start[g] * t->x->l->d_z));
    else
      ISC_TRY(expand_narrow(t, g, at));
    at += rows * env->sites[g].stored;
  }
  return t->x->even ? add_noise(t, 0, b->n, t->x->l->d_z, b->z->data) : ISC_OK;
}

isc_status isc_examples_take(const isc_examples *x, isc_step *s, int64_t k,
                             isc_example_batch *out) {
  draft t = {.x = x, .s = s, .b = out};
  *out = (isc_example_batch){.n = x->spec.batch};
  ISC_TRY(allocate(&t));
  address(&t, k);
  ISC_TRY(draw(&t));
  return make_conditions(&t);
}

/* ---- the distances training really had */

static isc_status write_distances(const char *path, const double *d, const int64_t *site,
                                  int64_t n) {
  isc_status st = ISC_OK;
  isc_st_writer *w = NULL;
  ISC_TRY(isc_st_writer_new(path, &w));
  ISC_GO(isc_st_writer_declare(w, "distance", ISC_ST_F64, 1, &n));
  ISC_GO(isc_st_writer_declare(w, "site", ISC_ST_I64, 1, &n));
  ISC_GO(isc_st_writer_data(w, d, (size_t)n * sizeof *d));
  ISC_GO(isc_st_writer_data(w, site, (size_t)n * sizeof *site));
  return isc_st_writer_commit(w);
done:
  isc_st_writer_abandon(w);
  return st;
}

isc_status isc_examples_save_distances(const isc_examples *x, int64_t n, const char *path) {
  isc_status st = ISC_OK;
  isc_step *s = NULL;
  double *d = NULL;
  int64_t *site = NULL;
  ISC_GO(isc_calloc((size_t)n, sizeof *d, "noise distances", (void **)&d));
  ISC_GO(isc_calloc((size_t)n, sizeof *site, "noise distances", (void **)&site));
  ISC_GO(isc_step_new(x->f->env->device, &s));
  for (int64_t have = 0, k = 0; have < n; k++) {
    isc_example_batch b;
    isc_step_reset(s);
    ISC_GO(isc_examples_take(x, s, k, &b));
    for (int64_t r = 0; r < b.n && have < n; r++, have++) {
      d[have] = b.distance[r];
      site[have] = b.site[r];
    }
  }
  ISC_GO(write_distances(path, d, site, n));
done:
  isc_step_free(s);
  free(d);
  free(site);
  return st;
}
