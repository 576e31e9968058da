/* SPDX-License-Identifier: Apache-2.0
 *
 * Every loader of model files again and again, each time with another of its allocations failing: it must end with
 * ISC_E_NOMEM and leave nothing behind.
 *
 * Not a Criterion program, which would hide leaks: leaks.sh runs it under a memory checker, with the folder of test data
 * as its argument, in a directory where it may write.
 */
#include "base/base.h"
#include "model/npz.h"
#include "model/safetensors.h"
#include "model/weights.h"
#include <inversescope/tokenizer.h>

#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 13 };
static float values[MOST];

/* Open, read everything that is small enough, verify. */
static isc_status load_weights(const char *path) {
  isc_status st = ISC_OK;
  isc_weights *w = NULL;
  ISC_GO(isc_weights_open(path, &w));
  for (int64_t i = 0; i < isc_weights_count(w); i++) {
    const isc_weight *t = isc_weights_at(w, i);
    if (t->dtype == ISC_WEIGHT_INTEGER || t->elements > MOST) continue;
    ISC_GO(isc_weights_read(w, t, 0, t->elements, ISC_F32, values));
  }
  ISC_GO(isc_weights_verify(w, NULL));
done:
  isc_weights_close(w);
  return st;
}

static isc_status load_arrays(const char *path) {
  isc_status st = ISC_OK;
  isc_npz *z = NULL;
  ISC_GO(isc_npz_open(path, &z));
  for (int64_t i = 0; i < isc_npz_count(z); i++) {
    const isc_npz_array *a = isc_npz_at(z, i);
    if ((a->header.dtype == ISC_ST_F32 || a->header.dtype == ISC_ST_F64) &&
        a->header.elements <= MOST)
      ISC_GO(isc_npz_read_f32(z, a, values));
  }
done:
  isc_npz_close(z);
  return st;
}

static isc_status load_tokenizer(const char *path) {
  isc_tokenizer *t = NULL;
  const isc_status st = isc_tokenizer_open(path, &t);
  isc_tokenizer_close(t);
  return st;
}

/* A directory of two shards. */
static isc_status write_shards(void) {
  static const char index[] = "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}";
  isc_status st = ISC_OK;
  isc_st_writer *w = NULL, *finished;
  ISC_GO(isc_mkdirs("shards"));
  for (int i = 0; i < 2; i++) {
    char path[32];
    snprintf(path, sizeof path, "shards/%d.safetensors", i + 1);
    ISC_GO(isc_st_writer_new(path, &w));
    ISC_GO(isc_st_writer_metadata(w, "format", "pt"));
    ISC_GO(isc_st_writer_declare(w, i ? "b" : "a", ISC_ST_F32, 1, (int64_t[]){4}));
    ISC_GO(isc_st_writer_data(w, values, 16));
    finished = w;
    w = NULL;
    ISC_GO(isc_st_writer_commit(finished));
  }
  ISC_GO(isc_write_file("shards/model.safetensors.index.json", index, sizeof index - 1));
done:
  if (w) isc_st_writer_abandon(w);
  return st;
}

static int sweep(isc_status (*load)(const char *), const char *path) {
  for (int64_t at = 1;; at++) {
    isc_alloc_fail_at(at);
    const isc_status st = load(path);
    isc_alloc_fail_at(0);
    if (st == ISC_OK && at > 1) {
      printf("%s: %lld allocations\n", path, (long long)at - 1);
      return 0;
    }
    if (st == ISC_E_NOMEM) continue;
    fprintf(stderr, "loader_sweep: %s: allocation %lld: %s: %s\n", path, (long long)at,
            isc_status_name(st), isc_error());
    return 1;
  }
}

int main(int argc, char **argv) {
  static const char *const weights[] = {"types.gguf", "types.safetensors"},
                           *const arrays[] = {"arrays.npz", "packed.npz", "one.npy"},
                           *const tokenizers[] = {"bpe.gguf", "spm.gguf"};
  int bad = 0;
  char path[1024];
  if (argc != 2 || write_shards() != ISC_OK) {
    fprintf(stderr, "loader_sweep: %s\n", argc != 2 ? "usage: loader_sweep DATA" : isc_error());
    return 64;
  }
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/%s", argv[1], weights[i]);
    bad |= sweep(load_weights, path);
  }
  bad |= sweep(load_weights, "shards");
  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "%s/%s", argv[1], arrays[i]);
    bad |= sweep(load_arrays, path);
  }
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/%s", argv[1], tokenizers[i]);
    bad |= sweep(load_tokenizer, path);
  }
  return bad;
}
