/* SPDX-License-Identifier: Apache-2.0
 *
 * The planted task: its texts and activations.
 *
 * The values of a slot are the rows of a Hadamard matrix, so that they are all equally far apart, and every text adds a
 * little noise of its own. At the third site there is only that.
 */
#include "conform/toy_env.h"
#include <stdlib.h>
#include <string.h>

enum { HADAMARD = 8 };
static const char *const A[] = {"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", NULL};
static const char *const B[] = {"b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", NULL};
static const char *const C[] = {"c0", "c1", "c2", "c3", "c4", "c5", NULL};
static const isc_template_slot SLOTS[ISC_TASK_SLOTS] = {
    {.name = "A", .values = A, .n = HADAMARD},
    {.name = "B", .values = B, .n = HADAMARD},
    {.name = "C", .values = C, .n = 6},
};
static const double HELD_OUT_SHARE = (double)ISC_TASK_HELD_OUT / ISC_TASK_TEXTS;

int64_t isc_task_choices(int slot) {
  return SLOTS[slot].n;
}

/* ---- texts */

/* The library numbers texts with the last slot running fastest. */
static void values_of(int64_t number, int64_t value[ISC_TASK_SLOTS]) {
  for (int s = ISC_TASK_SLOTS - 1; s >= 0; s--) {
    value[s] = number % SLOTS[s].n;
    number /= SLOTS[s].n;
  }
}

static int64_t number_of(const isc_task *t, isc_split split, int64_t i) {
  return isc_split_index(t->seed, ISC_TASK_TEXTS, HELD_OUT_SHARE, split, i);
}

void isc_task_values(const isc_task *t, isc_split split, int64_t i, int64_t value[ISC_TASK_SLOTS]) {
  values_of(number_of(t, split, i), value);
}

bool isc_task_parse(const isc_task *t, const char *text, size_t len,
                    int64_t value[ISC_TASK_SLOTS]) {
  const int64_t number = isc_template_parse(t->texts, text, len);
  if (number >= 0) values_of(number, value);
  return number >= 0;
}

bool isc_task_label(const char *label, int *slot, int64_t *value) {
  for (int s = 0; s < ISC_TASK_SLOTS; s++)
    for (int64_t v = 0; v < SLOTS[s].n; v++) {
      if (strcmp(label, SLOTS[s].values[v]) != 0) continue;
      *slot = s;
      *value = v;
      return true;
    }
  return false;
}

static isc_status open_texts(isc_task *t) {
  static const char *const templates[] = {"[A] [B] [C]"};
  const isc_template_spec spec = {.size = sizeof spec,
                                  .templates = templates,
                                  .n_templates = 1,
                                  .slots = SLOTS,
                                  .n_slots = ISC_TASK_SLOTS,
                                  .test_fraction = HELD_OUT_SHARE,
                                  .seed = t->seed};
  return isc_template_new(&spec, &t->texts);
}

static isc_status open_tokenizer(isc_task *t) {
  const char *words[32] = {"<|endoftext|>"};
  int64_t n = 1;
  for (int s = 0; s < ISC_TASK_SLOTS; s++)
    for (int64_t v = 0; v < SLOTS[s].n; v++)
      words[n++] = SLOTS[s].values[v];
  return isc_tokenizer_from_words(words, n, words[0], &t->tokenizer);
}

/* ---- activations */

static float hadamard(int64_t row, int64_t column) {
  return __builtin_parityll((unsigned long long)(row & column)) ? -1.0f : 1.0f;
}

/* Which row stands for a value is the seed's choice. */
static int64_t row_of(const isc_task *t, int slot, int64_t value) {
  const uint32_t purpose = (uint32_t)ISC_RNG_USER + (uint32_t)slot;
  return (int64_t)isc_rng_permute(t->seed, purpose, HADAMARD, (uint64_t)value);
}

/* `told`: does the site tell its slot's value? `draw` numbers the noise. */
static void make_factor(const isc_task *t, int64_t site, int64_t number, uint64_t draw, bool told,
                        float *a) {
  static const float NOISE[ISC_TASK_SITES] = {0.2f, 0.2f, 1};
  const int64_t stored = t->site[site].stored;
  const uint32_t purpose = (uint32_t)ISC_RNG_USER + ISC_TASK_SLOTS + (uint32_t)site;
  isc_rng rng = isc_rng_at(t->seed, purpose, draw);
  int64_t value[ISC_TASK_SLOTS];
  values_of(number, value);
  isc_rng_normals(&rng, a, stored);
  for (int64_t k = 0; k < stored; k++)
    a[k] *= NOISE[site];
  for (int64_t k = 0; k < HADAMARD && told; k++)
    a[k] += hadamard(row_of(t, (int)site, value[site]), k);
}

void isc_task_factor(const isc_task *t, int64_t site, isc_split split, int64_t i, float *a) {
  const int64_t number = number_of(t, split, i);
  make_factor(t, site, number, (uint64_t)number, site != ISC_TASK_SITE_NOISE, a);
}

/* The words stand in the order of their slots, and a site has its slot's number. */
void isc_task_factor_at(const isc_task *t, int64_t site, int64_t i, int64_t position, float *a) {
  const int64_t number = number_of(t, ISC_TRAIN, i), before = ISC_TASK_SLOTS - 1 - position;
  make_factor(t, site, number, (uint64_t)(number + before * ISC_TASK_TEXTS),
              site != ISC_TASK_SITE_NOISE && position >= site, a);
}

void isc_task_activation(const isc_task *t, int64_t site, isc_split split, int64_t i, float *z) {
  const isc_site *s = &t->site[site];
  float a[ISC_TASK_WIDEST];
  isc_task_factor(t, site, split, i, a);
  for (int64_t d = 0; d < s->dim; d++) {
    double sum = 0;
    for (int64_t k = 0; s->map && k < s->stored; k++)
      sum += (double)a[k] * s->map[k * s->dim + d];
    z[d] = s->map ? (float)sum : a[d];
  }
}

static void make_sites(isc_task *t) {
  isc_rng rng = isc_rng_at(t->seed, (uint32_t)ISC_RNG_USER + 2 * ISC_TASK_SLOTS, 0);
  const int64_t numbers = sizeof t->map / sizeof *t->map;
  isc_rng_normals(&rng, t->map, numbers);
  for (int64_t i = 0; i < numbers; i++)
    t->map[i] *= 0.25f;
  t->site[ISC_TASK_SITE_A] = (isc_site){"head.0.0", ISC_TASK_WIDEST, HADAMARD, t->map};
  t->site[ISC_TASK_SITE_B] = (isc_site){"resid_post.0", 12, 12, NULL};
  t->site[ISC_TASK_SITE_NOISE] = (isc_site){"mlp_out.0", 8, 8, NULL};
}

/* ---- all of it */

isc_status isc_task_open(isc_device *dev, uint64_t seed, int64_t n_train, isc_task **out) {
  isc_status st = ISC_OK;
  void *memory;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof **out, "a planted task", &memory));
  isc_task *t = memory;
  t->seed = seed;
  make_sites(t);
  ISC_GO(open_texts(t));
  ISC_GO(open_tokenizer(t));
  ISC_GO(isc_task_open_env(t, dev, n_train));
  *out = t;
  t = NULL;
done:
  isc_task_close(t);
  return st;
}

void isc_task_close(isc_task *t) {
  if (!t) return;
  isc_task_close_env(t);
  isc_tokenizer_close(t->tokenizer);
  isc_template_free(t->texts);
  free(t);
}
