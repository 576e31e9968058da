/* SPDX-License-Identifier: Apache-2.0
 *
 * Token draws and noise: their distributions, their exact addressing, and that rows do not meet.
 *
 * The statistical bounds leave a right implementation a failure probability below 1e-6; the seeds
 * are fixed.
 */
#include "backend_fixture.h"
#include "conform/reference.h"

/* ---- tokens */

Test(backend_random, sample_is_the_documented_inversion) {
  const int64_t vocabs[] = {1, 2, 3, 17, 64, 1000};
  const double temperatures[] = {1, 0.3, 2.5};
  BE_EACH_LEVEL(be, 2)
  for (size_t k = 0; k < 6; k++)
    for (size_t t = 0; t < 3; t++) {
      enum { ROWS = 40 };
      const int64_t vocab = vocabs[k];
      float *l = be_floats(ROWS * vocab, 1);
      uint64_t index[ROWS];
      int32_t id[ROWS];
      double logp[ROWS];
      for (int i = 0; i < ROWS; i++) {
        index[i] = (uint64_t)i * 1000003u + ((uint64_t)i << 40);
        logp[i] = -1.5;
        for (int64_t j = 0; j < vocab; j++)
          l[i * vocab + j] *= 3;
        if (vocab > 2) l[i * vocab + i % vocab] = -INFINITY; /* a forbidden token */
      }
      const isc_sample a = {.rows = ROWS,
                            .vocab = vocab,
                            .logits = l,
                            .temperature = temperatures[t],
                            .seed = 77,
                            .index = index,
                            .draw = (uint32_t)(3 * t),
                            .id = id,
                            .logp = logp};
      isc_assert_ok(be.ops->sample(be.impl, &a));
      for (int i = 0; i < ROWS; i++) {
        double want = 0;
        const int32_t exact = isc_reference_sample(&a, i, &want);
        cr_assert(id[i] == exact, "%s vocab %lld row %d: drew %d, not %d", be.level,
                  (long long)vocab, i, id[i], exact);
        cr_assert(fabs(logp[i] + 1.5 - want) < 1e-12 * (1 + fabs(want)), "logp %.17g", logp[i]);
      }
      be_free(l);
    }
}

Test(backend_random, uniform_is_the_first_of_its_philox_block) {
  isc_rng r = isc_rng_at(5, ISC_RNG_SAMPLE, 123456789012345u);
  for (uint32_t draw = 0; draw < 50; draw++) { /* a block holds two uniforms */
    const double first = isc_rng_uniform(&r);
    isc_rng_uniform(&r);
    cr_assert(isc_sample_uniform(5, 123456789012345u, draw) == first);
  }
}

Test(backend_random, sample_follows_the_softmax) {
  enum { VOCAB = 12, ROWS = 30000 };
  backend be;
  cr_assert(be_open(BE_LEVELS - 1, 2, &be));
  float *one = be_floats(VOCAB, 3), *l = be_floats((int64_t)ROWS * VOCAB, 0);
  uint64_t *index = malloc(ROWS * sizeof *index);
  int32_t *id = malloc(ROWS * sizeof *id);
  double *logp = calloc(ROWS, sizeof *logp), sum = 0, chi2 = 0;
  int64_t count[VOCAB] = {0};
  for (int i = 0; i < ROWS; i++) {
    index[i] = (uint64_t)i;
    memcpy(l + i * VOCAB, one, VOCAB * sizeof *l);
  }
  const isc_sample a = {.rows = ROWS,
                        .vocab = VOCAB,
                        .logits = l,
                        .temperature = 1,
                        .seed = 1,
                        .index = index,
                        .id = id,
                        .logp = logp};
  isc_assert_ok(be.ops->sample(be.impl, &a));
  for (int j = 0; j < VOCAB; j++)
    sum += exp((double)one[j]);
  for (int i = 0; i < ROWS; i++)
    count[id[i]]++;
  for (int j = 0; j < VOCAB; j++) {
    const double expected = ROWS * exp((double)one[j]) / sum;
    chi2 += ((double)count[j] - expected) * ((double)count[j] - expected) / expected;
  }
  cr_assert(chi2 < 51, "chi-square %g with 11 degrees of freedom (51 has probability 4e-7)", chi2);
  be_free(one);
  be_free(l);
  free(index);
  free(id);
  free(logp);
  be_close(&be);
}

Test(backend_random, temperature_zero_takes_the_first_maximum_and_bad_logits_are_refused) {
  BE_EACH_LEVEL(be, 1) {
    float l[8] = {1, 5, 5, 2, -INFINITY, -3, -3, -4};
    uint64_t index[2] = {0, 1};
    int32_t id[2];
    double logp[2] = {0.25, 0.5};
    isc_sample a = {.rows = 2,
                    .vocab = 4,
                    .logits = l,
                    .temperature = 0,
                    .index = index,
                    .id = id,
                    .logp = logp};
    isc_assert_ok(be.ops->sample(be.impl, &a));
    cr_assert(id[0] == 1 && id[1] == 1);
    cr_assert(logp[0] == 0.25 && logp[1] == 0.5, "a certain token has log probability 0");
    const float bad[] = {NAN, INFINITY};
    for (int k = 0; k < 2; k++)
      for (int at = 0; at < 4; at++)
        for (int t = 0; t < 2; t++) {
          float m[8] = {1, 5, 5, 2, -INFINITY, -3, -3, -4};
          m[4 + at] = bad[k];
          a.logits = m;
          a.temperature = t;
          isc_assert_fails(be.ops->sample(be.impl, &a), ISC_E_NUMERIC, "row 1");
        }
    float none[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    a.logits = none;
    a.rows = 1;
    a.temperature = 1;
    isc_assert_fails(be.ops->sample(be.impl, &a), ISC_E_NUMERIC, "row 0");
    a.temperature = -1;
    isc_assert_fails(be.ops->sample(be.impl, &a), ISC_E_USAGE, "temperature");
    a.rows = 0;
    a.temperature = 1;
    isc_assert_ok(be.ops->sample(be.impl, &a));
  }
}

/* ---- noise */

Test(backend_random, noise_is_the_documented_formula) {
  const int64_t dims[] = {1, 2, 3, 16, 63, 64, 300};
  BE_EACH_LEVEL(be, 2)
  for (size_t k = 0; k < 7; k++)
    for (int angular = 0; angular < 2; angular++) {
      enum { ROWS = 21 };
      const int64_t n = dims[k];
      float *z = be_floats(ROWS * n, 1), *out = be_floats(ROWS * n, 0), radius[ROWS], rho[ROWS],
            c[ROWS], s[ROWS];
      uint64_t index[ROWS];
      for (int i = 0; i < ROWS; i++) {
        index[i] = (uint64_t)i * 7919;
        radius[i] = 0.1f * (float)i;
        rho[i] = 0.9f + 0.01f * (float)i;
        c[i] = (float)cos(0.1 * i);
        s[i] = (float)sin(0.1 * i);
      }
      for (int64_t i = 0; i < n; i++)
        z[5 * n + i] = 0; /* a zero activation */
      isc_noise a = {.rows = ROWS,
                     .dim = n,
                     .angular = angular,
                     .z = z,
                     .out = out,
                     .radius = radius,
                     .rho = rho,
                     .cos = c,
                     .sin = s,
                     .seed = 9,
                     .index = index};
      isc_assert_ok(be.ops->noise(be.impl, &a));
      isc_exact *want = malloc((size_t)(ROWS * n) * sizeof *want);
      isc_assert_ok(isc_reference_noise(&a, want));
      for (int r = 0; r < ROWS; r++) {
        double norm = 0;
        for (int64_t i = 0; i < n; i++)
          norm += (double)z[r * n + i] * (double)z[r * n + i];
        for (int64_t i = 0; i < n; i++)
          BE_CLOSE(out[r * n + i], want[r * n + i].value, 1 + sqrt(norm),
                   "%s dim %lld angular %d row %d", be.level, (long long)n, angular, r);
      }
      float *row = be_floats(n, 0); /* alone, and in place: the same bits */
      memcpy(row, z + 9 * n, (size_t)n * sizeof *row);
      a.rows = 1;
      a.z = a.out = row;
      a.index += 9;
      a.radius += 9;
      a.rho += 9;
      a.cos += 9;
      a.sin += 9;
      isc_assert_ok(be.ops->noise(be.impl, &a));
      BE_SAME_BITS(row, out + 9 * n, n, "row 9 alone");
      free(want);
      be_free(row);
      be_free(z);
      be_free(out);
    }
}

/* Directions: every coordinate has mean 0 and mean square 1/n, and two of them are uncorrelated. */
Test(backend_random, directions_are_isotropic) {
  enum { ROWS = 20000 };
  backend be;
  cr_assert(be_open(BE_LEVELS - 1, 2, &be));
  const int64_t dims[] = {2, 3, 8};
  for (size_t k = 0; k < 3; k++) {
    const int64_t n = dims[k];
    float *z = be_floats(ROWS * n, 0), *out = be_floats(ROWS * n, 0), *radius = be_floats(ROWS, 0);
    uint64_t *index = malloc(ROWS * sizeof *index);
    for (int i = 0; i < ROWS; i++) {
      index[i] = (uint64_t)i;
      radius[i] = 1;
    }
    memset(z, 0, (size_t)(ROWS * n) * sizeof *z);
    const isc_noise a = {
        .rows = ROWS, .dim = n, .z = z, .out = out, .radius = radius, .seed = 11, .index = index};
    isc_assert_ok(be.ops->noise(be.impl, &a));
    for (int64_t i = 0; i < n; i++) {
      double mean = 0, square = 0, cross = 0;
      for (int r = 0; r < ROWS; r++) {
        const double x = (double)out[r * n + i], y = (double)out[r * n + (i + 1) % n];
        mean += x / ROWS;
        square += x * x / ROWS;
        cross += x * y / ROWS;
      }
      /* standard deviations are below 0.75/sqrt(ROWS) = 0.0053; five of them */
      cr_assert(fabs(mean) < 0.0265, "dim %lld mean %g", (long long)n, mean);
      cr_assert(fabs(square - 1.0 / (double)n) < 0.0265, "dim %lld mean square %g", (long long)n,
                square);
      cr_assert(fabs(cross) < 0.0265, "dim %lld correlation %g", (long long)n, cross);
    }
    be_free(z);
    be_free(out);
    be_free(radius);
    free(index);
  }
  be_close(&be);
}
