/* SPDX-License-Identifier: Apache-2.0
 *
 * A GGUF file: every tensor and every key of what opens, and the settings and the tokenizer that a model would have.
 */
#include "fuzz.h"
#include "model/family_internal.h"
#include "model/tokenizer_gguf.h"
#include "model/weights.h"
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 12 };

static void read_array(const isc_gguf *g, const char *key) {
  const isc_gguf_array *a;
  size_t sum = 0;
  if (isc_gguf_strings(g, key, &a) == ISC_OK)
    for (int64_t i = 0; i < a->n; i++) {
      const isc_gguf_text t = isc_gguf_string_at(a, i);
      if (t.s[t.len] != '\0') abort();
      sum += strlen(t.s);
    }
  if (isc_gguf_ints(g, key, &a) == ISC_OK)
    for (int64_t i = 0; i < a->n; i++)
      sum += (size_t)isc_gguf_int_at(a, i);
  if (isc_gguf_floats(g, key, &a) == ISC_OK)
    for (int64_t i = 0; i < a->n; i++)
      sum += isc_gguf_float_at(a, i) > 0;
  (void)sum;
}

static void read_metadata(const isc_gguf *g) {
  for (int64_t i = 0; i < isc_gguf_keys(g); i++) {
    const char *key = isc_gguf_key(g, i), *s;
    int64_t v;
    double f;
    bool b;
    if (!isc_gguf_has(g, key)) abort();
    (void)isc_gguf_string(g, key, &s);
    (void)isc_gguf_int(g, key, INT64_MIN, INT64_MAX, &v);
    (void)isc_gguf_float(g, key, &f);
    (void)isc_gguf_bool_or(g, key, false, &b);
    read_array(g, key);
  }
}

/* A tokenizer, if there is one, takes a text and gives it back. */
static void read_tokenizer(const isc_gguf *g) {
  static const char text[] = " the cat\n\t12 \xc3\xa9\xf0\x9f\x99\x82 <s>";
  isc_tokenizer *t;
  int32_t id[128];
  int64_t n;
  isc_text back = {0};
  if (isc_tokenizer_from_gguf(g, &t) != ISC_OK) return;
  if (isc_tokenizer_encode(t, text, sizeof text - 1, id, 128, &n) == ISC_OK && n <= 128)
    (void)isc_tokenizer_decode(t, id, n, &back);
  isc_text_free(&back);
  isc_tokenizer_close(t);
}

static void read_tensors(isc_weights *w) {
  static float x[MOST];
  for (int64_t i = 0; i < isc_weights_count(w); i++) {
    const isc_weight *t = isc_weights_at(w, i);
    const int64_t n = t->elements < MOST ? t->elements : MOST;
    (void)isc_weights_read(w, t, t->elements - n, n, ISC_F32, x);
  }
  (void)isc_weights_verify(w, NULL);
}

/* For heads that turn three pairs, as those of a seed do. */
static void read_rotary(isc_weights *w) {
  isc_decoder_spec s = {.size = sizeof s, .positions = ISC_ROTARY, .d_head = 6};
  (void)isc_family_gguf_rope(w, &s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  isc_gguf *g;
  isc_weights *w;
  isc_json *config;
  const char *path = isc_fuzz_file(data, size);
  if (isc_gguf_open(path, &g) != ISC_OK) return 0;
  read_metadata(g);
  read_tokenizer(g);
  if (isc_family_gguf_config(g, &config) == ISC_OK) isc_json_close(config);
  isc_gguf_close(g);
  if (isc_weights_open(path, &w) != ISC_OK) abort();
  read_tensors(w);
  read_rotary(w);
  isc_weights_close(w);
  return 0;
}
