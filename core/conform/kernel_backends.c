/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance check of noise kernels: what a draw becomes on every backend there is.
 *
 * A kernel's draws are made on the host and a backend turns them into activations; a run that moves to another backend
 * must see the same noise. Every backend of the search path that this machine can run takes part.
 */
#include "conform/kernel_use.h"
#include "conform/texts.h"
#include "plugin/registry.h"
#include <dirent.h>
#include <inversescope/tensor.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 32 };
/* Of the displacement, and of the activation: a few hundred f32 roundings, for directions nearly along z. */
static const double TOLERANCE = 1e-4, ROUNDING = 1e-5;

/* ---- the backends */

/* "backend_x.so" → "x" */
static isc_status add_backend(isc_texts *names, const char *file) {
  static const char prefix[] = "backend_", suffix[] = ".so";
  const size_t n = strlen(file), before = strlen(prefix), after = strlen(suffix);
  if (n <= before + after || strncmp(file, prefix, before) || strcmp(file + n - after, suffix))
    return ISC_OK;
  for (int64_t i = 0; i < names->n; i++)
    if (names->at[i].len == n - before - after &&
        !memcmp(names->at[i].data, file + before, n - before - after))
      return ISC_OK;
  return isc_texts_add(names, file + before, n - before - after);
}

static isc_status list_backends(isc_texts *names) {
  const char *const *dirs;
  const int64_t n = isc_registry_dirs(&dirs);
  for (int64_t i = 0; i < n; i++) {
    DIR *d = opendir(dirs[i]);
    isc_status st = ISC_OK;
    for (struct dirent *e; st == ISC_OK && d && (e = readdir(d));)
      st = add_backend(names, e->d_name);
    if (d) closedir(d);
    if (st != ISC_OK) return st;
  }
  return ISC_OK;
}

/* ---- one batch of noise */

typedef struct batch {
  isc_conform *c;
  int64_t dim;
  isc_geometry geometry;
  isc_noise_draw draw[ROWS]; /* of the first instance */
  uint64_t index[ROWS];
  float radius[ROWS], rho[ROWS], cos[ROWS], sin[ROWS];
  double norm[ROWS];
  float *z, *got; /* [ROWS, dim], host */
  double *want;   /* [ROWS, dim]       */
} batch;

static isc_status read_draws(batch *b) {
  isc_kernel k;
  ISC_TRY(isc_conform_kernel_open(b->c, b->c->conf, b->dim, &k));
  b->geometry = k.ops->geometry(k.self);
  for (int r = 0; r < ROWS; r++) {
    const isc_noise_draw d = b->draw[r] = isc_conform_noise(&k, b->c->seed, (uint64_t)r);
    b->index[r] = (uint64_t)r;
    b->radius[r] = (float)(d.radius * (b->geometry == ISC_NORMALISED ? b->norm[r] : 1));
    b->rho[r] = (float)d.rho;
    b->cos[r] = (float)d.cos;
    b->sin[r] = (float)d.sin;
  }
  isc_conform_kernel_close(&k);
  return ISC_OK;
}

/* backend.h's formula, in f64 but for the normal numbers, which are f32 everywhere. */
static void expect_row(const batch *b, int r, const float *g) {
  const float *z = b->z + r * b->dim;
  double *want = b->want + r * b->dim, along = 0, norm = 0;
  const bool angular = b->geometry == ISC_ANGULAR;
  for (int64_t i = 0; i < b->dim; i++)
    along += (double)g[i] * z[i] / b->norm[r];
  for (int64_t i = 0; i < b->dim; i++) {
    want[i] = angular ? g[i] - along * z[i] / b->norm[r] : g[i];
    norm += want[i] * want[i];
  }
  norm = sqrt(norm);
  for (int64_t i = 0; i < b->dim; i++) {
    if (!angular)
      want[i] = z[i] + b->radius[r] * want[i] / norm;
    else if (b->dim == 1)
      want[i] = z[i] * b->rho[r];
    else
      want[i] = b->rho[r] * (b->cos[r] * z[i] + b->sin[r] * b->norm[r] * want[i] / norm);
  }
}

static isc_status expect(batch *b) {
  void *g;
  ISC_TRY(isc_calloc((size_t)b->dim, sizeof(float), "normal numbers", &g));
  for (int r = 0; r < ROWS; r++) {
    isc_rng rng = isc_rng_at(b->c->seed, ISC_RNG_NOISE_DIRECTION, b->index[r]);
    isc_rng_normals(&rng, g, b->dim);
    expect_row(b, r, g);
  }
  free(g);
  return ISC_OK;
}

static isc_status fill_batch(batch *b) {
  const size_t n = (size_t)(ROWS * b->dim);
  ISC_TRY(isc_calloc(n, sizeof *b->z, "activations", (void **)&b->z));
  ISC_TRY(isc_calloc(n, sizeof *b->got, "activations", (void **)&b->got));
  ISC_TRY(isc_calloc(n, sizeof *b->want, "activations", (void **)&b->want));
  for (int r = 0; r < ROWS; r++) {
    isc_rng rng = isc_rng_at(b->c->seed, ISC_RNG_USER, (uint64_t)r);
    isc_rng_normals(&rng, b->z + r * b->dim, b->dim);
    double squares = 0;
    for (int64_t i = 0; i < b->dim; i++)
      squares += (double)b->z[r * b->dim + i] * b->z[r * b->dim + i];
    b->norm[r] = sqrt(squares);
  }
  ISC_TRY(read_draws(b));
  return expect(b);
}

static isc_status run_noise(batch *b, isc_device *dev) {
  const size_t bytes = (size_t)(ROWS * b->dim) * sizeof(float);
  void *z;
  ISC_TRY(dev->ops->alloc(dev->impl, bytes, &z));
  isc_noise a = {.rows = ROWS,
                 .dim = b->dim,
                 .angular = b->geometry == ISC_ANGULAR,
                 .z = z,
                 .out = z,
                 .radius = b->radius,
                 .rho = b->rho,
                 .cos = b->cos,
                 .sin = b->sin,
                 .seed = b->c->seed,
                 .index = b->index};
  isc_status st = dev->ops->upload(dev->impl, z, b->z, bytes);
  if (st == ISC_OK) st = dev->ops->noise(dev->impl, &a);
  if (st == ISC_OK) st = dev->ops->sync(dev->impl);
  if (st == ISC_OK) st = dev->ops->download(dev->impl, b->got, z, bytes);
  dev->ops->free(dev->impl, z);
  return st;
}

static isc_status compare(const batch *b, const char *backend) {
  for (int64_t i = 0; i < ROWS * b->dim; i++) {
    const int64_t r = i / b->dim;
    const double moved = b->geometry == ISC_ANGULAR ? (double)b->rho[r] * b->norm[r] * b->sin[r]
                                                    : (double)b->radius[r];
    const double allowed = TOLERANCE * moved + ROUNDING * (b->norm[r] + moved);
    if (!(fabs(b->got[i] - b->want[i]) <= allowed))
      return isc_fail(ISC_E_INTERNAL,
                      "dimension %lld, backend %s: element %lld of noisy row %lld is %.9g; its "
                      "draw gives %.9g",
                      (long long)b->dim, backend, (long long)(i % b->dim), (long long)r, b->got[i],
                      b->want[i]);
  }
  return ISC_OK;
}

/* The draws again, as a run on this backend makes them. */
static isc_status draws_agree(const batch *b, const char *backend) {
  isc_kernel k;
  isc_status st = ISC_OK;
  ISC_TRY(isc_conform_kernel_open(b->c, b->c->conf, b->dim, &k));
  for (int r = 0; r < ROWS && st == ISC_OK; r++) {
    const isc_noise_draw d = isc_conform_noise(&k, b->c->seed, (uint64_t)r), *f = &b->draw[r];
    if (d.d != f->d || d.radius != f->radius || d.rho != f->rho || d.cos != f->cos ||
        d.sin != f->sin)
      st = isc_fail(ISC_E_INTERNAL,
                    "dimension %lld, backend %s: draw %d of a fresh instance has d %.17g; it was "
                    "%.17g",
                    (long long)b->dim, backend, r, d.d, f->d);
  }
  isc_conform_kernel_close(&k);
  return st;
}

static isc_status on_backend(isc_conform *c, isc_device *dev, const char *name) {
  for (int i = 0; i < ISC_CONFORM_DIMS; i++) {
    batch b = {.c = c, .dim = isc_conform_dims[i]};
    isc_status st = ISC_OK;
    ISC_GO(fill_batch(&b));
    ISC_GO(draws_agree(&b, name));
    ISC_GO(run_noise(&b, dev));
    ISC_GO(compare(&b, name));
  done:
    free(b.z);
    free(b.got);
    free(b.want);
    if (st != ISC_OK) return st;
  }
  return ISC_OK;
}

static isc_status backends(isc_conform *c) {
  isc_texts names = {0};
  isc_status st = ISC_OK;
  int64_t tried = 0;
  ISC_GO(list_backends(&names));
  for (int64_t i = 0; i < names.n && st == ISC_OK; i++) {
    isc_device *dev = NULL;
    /* One that this machine cannot run, or that is broken, is not this plugin's fault. */
    if (isc_device_open(names.at[i].data, NULL, &dev, NULL) != ISC_OK) continue;
    st = on_backend(c, dev, names.at[i].data);
    isc_device_close(dev);
    tried++;
  }
  if (st == ISC_OK && tried == 0)
    st = isc_conform_skip(c, "no compute backend was found on the plugin path");
done:
  isc_texts_free(&names);
  return st;
}

const isc_check isc_checks_kernel_backends[] = {
    {"kernel.backends", ISC_OF(ISC_KERNEL), ISC_PER_CASE, 30,
     "Draws are the same for a run on any backend, and every backend makes the same noisy "
     "activations of them.",
     "Draw from the stream that is given, and from nothing of the process.", backends},
    {0}};
