/* SPDX-License-Identifier: Apache-2.0
 *
 * A fact about streamed models on a device that uploads while it computes: whatever order the device does its streams' work in,
 * they have the bits of resident ones, with two layers in its memory.
 *
 * On the emulation of the device each opening draws another order. The thread that reads ahead adds one of its own, which no
 * seed fixes; the bits may depend on neither.
 */
#include "support.h"
#include "support_backend.h"
#include "support_harvest.h"
#include "support_target.h"
#include "base/base.h"
#include "run/plan.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static isc_device open_device(void) {
  const char *path = isc_test_build("tests/cuda/.libs/backend_cuda.so");
  void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  cr_assert(so, "%s", dlerror());
  const isc_plugin *p = dlsym(so, "isc_plugin_v1");
  isc_device d = {.ops = p->classes[0]->ops, .cls = p->classes[0]};
  isc_assert_ok(d.ops->open(NULL, &d.impl));
  return d;
}

static isc_test_harvested harvest(const isc_test_harvest_job *job) {
  isc_device d = open_device();
  const isc_test_harvested h = isc_test_harvest(&d, job);
  d.ops->close(d.impl);
  return h;
}

/* A model harvested twice: the second time it begins where the first one's guess was another. */
static void stream_agrees(const char *plugin, const char *name, const char *sites, const char *more,
                          int orders) {
  char streamed[64], what[128];
  snprintf(streamed, sizeof streamed, "resident = \"stream\"; %s", more);
  snprintf(what, sizeof what, "%s, %s %s", name, sites, more);
  isc_test_harvest_job job = {
      .plugin = plugin, .name = name, .more = more, .sites = sites, .times = 1};
  isc_test_harvested resident = harvest(&job);
  job.more = streamed;
  job.times = 2;
  for (int i = 0; i < orders; i++) {
    isc_test_harvested h = harvest(&job);
    isc_test_same_harvest(&resident, &h, what);
    isc_test_harvested_free(&h);
  }
  isc_test_harvested_free(&resident);
}

static const struct {
  const char *plugin, *name;
} FAMILIES[] = {{"gpt2", "gpt2"},   {"gpt2", "gpt2-other"}, {"llama", "llama-gqa"},
                {"llama", "qwen3"}, {"gemma2", "gemma2"},   {"gemma3", "gemma3-regular"}};
enum { N_FAMILIES = sizeof FAMILIES / sizeof *FAMILIES };

Test(cuda_stream, every_family_has_the_bits_of_the_resident_model, .timeout = 300) {
  for (int f = 0; f < N_FAMILIES; f++)
    stream_agrees(FAMILIES[f].plugin, FAMILIES[f].name, "*", "", 4);
}

/* Sites in two layers of seven: nothing is downloaded in the others, so the host runs far ahead of the device, and the layer
 * after the last is read for nothing. */
Test(cuda_stream, in_any_order_of_the_streams, .timeout = 300) {
  stream_agrees("gemma3", "gemma3-regular", "resid_post.4", "", 40);
}

Test(cuda_stream, in_bf16, .timeout = 300) {
  stream_agrees("llama", "llama-gqa", "resid_post.2", "precision = \"bf16\";", 20);
}

/* Pieces of a parameter wait for those before them. */
Test(cuda_stream, through_little_pinned_memory, .timeout = 300) {
  isc_device d = open_device(); /* whose own buffers are larger */
  isc_test_harvest_job job = {.plugin = "gemma3",
                              .name = "gemma3-regular",
                              .more = "",
                              .sites = "resid_post.6",
                              .times = 2};
  isc_test_harvested resident = isc_test_harvest(&d, &job);
  cr_assert_eq(setenv("INVERSESCOPE_EMULATION_PINNED", "1024", 1), 0);
  job.more = "resident = \"stream\";";
  isc_test_harvested little = isc_test_harvest(&d, &job);
  isc_test_same_harvest(&resident, &little, "little pinned memory");
  isc_test_harvested_free(&resident);
  isc_test_harvested_free(&little);
  d.ops->close(d.impl);
}

/* ---- memory */

static struct {
  isc_device inner;
  double held;
} counted;

/* The bytes are kept beside the block: on the emulated device all there is of a block is its address. */
enum { BLOCKS = 1024 };
static struct {
  void *p;
  size_t bytes;
} block[BLOCKS];

static isc_status count_alloc(void *impl, size_t bytes, void **out) {
  int i = 0;
  ISC_TRY(counted.inner.ops->alloc(impl, bytes, out));
  while (block[i].p)
    cr_assert_lt(++i, BLOCKS);
  block[i].p = *out;
  block[i].bytes = bytes;
  counted.held += (double)bytes;
  return ISC_OK;
}

static void count_free(void *impl, void *p) {
  for (int i = 0; p && i < BLOCKS; i++)
    if (block[i].p == p) {
      counted.held -= (double)block[i].bytes;
      block[i].p = NULL;
    }
  counted.inner.ops->free(impl, p);
}

Test(cuda_stream, two_layers_are_in_memory_as_planned) {
  static const char *const settings[] = {"resident = \"stream\";",
                                         "precision = \"bf16\"; resident = \"stream\";"};
  counted.inner = open_device();
  isc_backend_ops ops = *counted.inner.ops;
  ops.alloc = count_alloc;
  ops.free = count_free;
  isc_device d = counted.inner;
  d.ops = &ops;
  for (int f = 0; f < N_FAMILIES; f++)
    for (int s = 0; s < 2; s++) {
      isc_test_gpt2 o;
      isc_memory_plan p;
      isc_assert_ok(isc_test_family_try(&d, FAMILIES[f].plugin, FAMILIES[f].name, settings[s], &o));
      isc_assert_ok(isc_target_plan(o.target.cls, o.conf, &d, &p));
      cr_assert_eq(p.held, 2);
      cr_assert_eq(isc_plan_weights(&p, s ? ISC_BF16 : ISC_F32, true), counted.held, "%s %s",
                   FAMILIES[f].name, settings[s]);
      cr_assert_eq(isc_plan_weights(&p, s ? ISC_BF16 : ISC_F32, true),
                   p.outside[s ? ISC_BF16 : ISC_F32] + 2 * p.layer[s ? ISC_BF16 : ISC_F32]);
      isc_test_gpt2_close(&o);
      cr_assert_eq(counted.held, 0);
    }
  counted.inner.ops->close(counted.inner.impl);
}

Test(cuda_stream, a_row_that_no_pinned_memory_is_left_for_is_told) {
  isc_device d = open_device();
  isc_test_gpt2 o;
  cr_assert_eq(setenv("INVERSESCOPE_EMULATION_PINNED", "100", 1), 0);
  isc_assert_fails(isc_test_family_try(&d, "llama", "llama", "resident = \"stream\";", &o),
                   ISC_E_NOMEM, "bytes of pinned memory, which the system may limit");
  isc_test_gpt2_close(&o);
  d.ops->close(d.impl);
}

/* ---- what fails while it is read ahead */

typedef struct copy {
  char dir[1024], file[1200]; /* of a model, and its weights */
  char *weights;
  size_t n;
} copy;

/* In place, as a file changes under a reader that has it open. */
static void write_over(const char *path, const char *data, size_t n) {
  FILE *f = fopen(path, "w");
  cr_assert(f && fwrite(data, 1, n, f) == n);
  cr_assert_eq(fclose(f), 0);
}

/* Of a tiny model, to be spoilt. */
static copy copy_of(const char *name) {
  copy c;
  char from[1200], config[1200], *text;
  size_t len;
  snprintf(c.dir, sizeof c.dir, "%s", isc_test_dir("streamed-model"));
  snprintf(c.file, sizeof c.file, "%s/model.safetensors", c.dir);
  snprintf(config, sizeof config, "%s/config.json", c.dir);
  snprintf(from, sizeof from, "%s/%s/config.json", isc_test_source("tests/data/families"), name);
  isc_assert_ok(isc_read_file(from, 1 << 20, &text, &len));
  write_over(config, text, len);
  free(text);
  snprintf(from, sizeof from, "%s/%s/model.safetensors", isc_test_source("tests/data/families"),
           name);
  isc_assert_ok(isc_read_file(from, 1 << 20, &c.weights, &c.n));
  write_over(c.file, c.weights, c.n);
  return c;
}

typedef struct pass {
  isc_device d;
  isc_test_gpt2 o;
  isc_step *s;
} pass;

static isc_status forward(pass *p) {
  static const int32_t ids[] = {3, 4, 5};
  const isc_decoder_input in = {.size = sizeof in, .batch = 1, .len = 3, .ids = ids};
  isc_tensor *hidden;
  isc_step_reset(p->s);
  return p->o.target.ops->forward(p->o.target.self, p->s, &in, NULL, &hidden);
}

/* The layer behind those on the device cannot be read any more: the pass that needs it says which, and which file; and when the
 * file is whole again a pass goes through. */
Test(cuda_stream, a_file_cut_short_fails_the_pass_that_needs_the_layer) {
  copy c = copy_of("gemma3-regular");
  char more[1200];
  pass p = {.d = open_device()};
  snprintf(more, sizeof more, "tokenizer = \"%s\"; resident = \"stream\";",
           isc_test_family_tokenizer());
  isc_assert_ok(isc_test_plugin_try(&p.d, "gemma3", c.dir, more, &p.o));
  isc_assert_ok(isc_step_new(&p.d, &p.s));
  isc_assert_ok(forward(&p));
  cr_assert_eq(truncate(c.file, (off_t)c.n / 4), 0);
  isc_status st = ISC_OK;
  for (int i = 0; i < 2 && st == ISC_OK; i++) /* a layer may have been read before */
    st = forward(&p);
  cr_assert_neq(st, ISC_OK);
  cr_assert(strstr(isc_error(), " of layer ") && strstr(isc_error(), c.file), "%s", isc_error());
  write_over(c.file, c.weights, c.n);
  isc_assert_ok(forward(&p));
  isc_step_free(p.s);
  isc_test_gpt2_close(&p.o);
  p.d.ops->close(p.d.impl);
  free(c.weights);
}

Test(cuda_stream, a_device_that_fails_names_the_parameter_or_the_operation) {
  pass p = {.d = open_device()};
  isc_assert_ok(
      isc_test_family_try(&p.d, "gemma3", "gemma3-regular", "resident = \"stream\";", &p.o));
  isc_assert_ok(isc_step_new(&p.d, &p.s));
  isc_assert_ok(forward(&p));
  cr_assert_eq(setenv("INVERSESCOPE_EMULATION", "fail", 1), 0);
  isc_status st = ISC_OK;
  for (int i = 0; i < 10 && st == ISC_OK; i++)
    st = forward(&p);
  cr_assert_eq(st, ISC_E_DEVICE);
  cr_assert(strstr(isc_error(), "the test asked for it"), "%s", isc_error());
  cr_assert_eq(setenv("INVERSESCOPE_EMULATION", "", 1), 0);
  cr_assert_eq(forward(&p), ISC_E_DEVICE);
  isc_step_free(p.s);
  isc_test_gpt2_close(&p.o);
  p.d.ops->close(p.d.impl);
}
