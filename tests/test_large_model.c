/* SPDX-License-Identifier: Apache-2.0
 *
 * A model of Gemma 2 27B's exact shape, 54 GB of files that are all holes but for a few rows: it is planned from its headers,
 * and its first layers run in a fraction of its size.
 *
 * All weights are zero but the embeddings of the text's tokens, so a residual stream is the scaled embedding, whatever the layer.
 */
#include "support.h"
#include "support_backend.h"
#include "support_run.h"
#include "run/inspect.h"
#include "run/plan.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

enum {
  LAYERS = 46,
  D = 4608,
  HEADS = 32,
  KV_HEADS = 16,
  D_HEAD = 128,
  MLP = 36864,
  VOCAB = 256000,
  SHARD_LAYERS = 4,
  WORDS = 8,
  TOKENS = 4
};
static const double PARAMETERS = 27227128320.0; /* as published with the model */
static const char CONFIG[] =
    "{\"model_type\": \"gemma2\", \"num_hidden_layers\": 46, \"hidden_size\": 4608, "
    "\"num_attention_heads\": 32, \"num_key_value_heads\": 16, \"head_dim\": 128, "
    "\"intermediate_size\": 36864, \"vocab_size\": 256000, \"max_position_embeddings\": 8192, "
    "\"query_pre_attn_scalar\": 144, \"sliding_window\": 4096, \"attn_logit_softcapping\": 50.0, "
    "\"final_logit_softcapping\": 30.0, \"rms_norm_eps\": 1e-06, \"rope_theta\": 10000.0, "
    "\"hidden_activation\": \"gelu_pytorch_tanh\"}";
static const char TEXT[] = "w5 w2 w6 w3";
static const int WORD_OF[TOKENS] = {5, 2, 6, 3};

/* ---- the files */

typedef struct shard {
  isc_sb header;
  uint64_t bytes;
} shard;

typedef struct files {
  const char *dir;
  isc_sb map; /* of the index */
  shard at;
  int number;
} files;

static void begin_shard(files *f) {
  f->at = (shard){0};
  isc_sb_add(&f->at.header, "{");
}

static void tensor(files *f, const char *name, int64_t rows, int64_t cols) {
  const uint64_t bytes = (uint64_t)rows * (uint64_t)(cols ? cols : 1) * 2;
  isc_sb_addf(&f->at.header, "%s\"%s\":{\"dtype\":\"BF16\",\"shape\":[%lld", f->at.bytes ? "," : "",
              name, (long long)rows);
  if (cols) isc_sb_addf(&f->at.header, ",%lld", (long long)cols);
  isc_sb_addf(&f->at.header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)f->at.bytes,
              (unsigned long long)(f->at.bytes + bytes));
  isc_sb_addf(&f->map, "%s\"%s\":\"model-%d.safetensors\"", f->map.len ? "," : "", name, f->number);
  f->at.bytes += bytes;
}

/* The file with a hole where its data is; false where the file system has no holes, or no such files. *data is where the data
 * begins. */
static bool end_shard(files *f, uint64_t *data) {
  char *header, name[64];
  struct stat sb;
  isc_sb_add(&f->at.header, "}");
  while (f->at.header.len % 8)
    isc_sb_add(&f->at.header, " ");
  const uint64_t len = f->at.header.len;
  isc_assert_ok(isc_sb_finish(&f->at.header, &header));
  snprintf(name, sizeof name, "model-%d.safetensors", f->number++);
  const int fd = open(isc_test_path(f->dir, name), O_RDWR | O_CREAT | O_TRUNC, 0666);
  cr_assert(fd >= 0 && pwrite(fd, &len, 8, 0) == 8 && pwrite(fd, header, len, 8) == (ssize_t)len);
  *data = 8 + len;
  const bool made = ftruncate(fd, (off_t)(*data + f->at.bytes)) == 0 && fstat(fd, &sb) == 0 &&
                    (uint64_t)sb.st_blocks * 512 < (1u << 24);
  close(fd);
  free(header);
  return made;
}

static void layer_tensors(files *f, int layer) {
  static const struct {
    const char *name;
    int64_t rows, cols;
  } parts[] = {{"input_layernorm", D, 0},
               {"self_attn.q_proj", HEADS * D_HEAD, D},
               {"self_attn.k_proj", KV_HEADS * D_HEAD, D},
               {"self_attn.v_proj", KV_HEADS * D_HEAD, D},
               {"self_attn.o_proj", D, HEADS * D_HEAD},
               {"post_attention_layernorm", D, 0},
               {"pre_feedforward_layernorm", D, 0},
               {"mlp.gate_proj", MLP, D},
               {"mlp.up_proj", MLP, D},
               {"mlp.down_proj", D, MLP},
               {"post_feedforward_layernorm", D, 0}};
  char name[96];
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer, parts[i].name);
    tensor(f, name, parts[i].rows, parts[i].cols);
  }
}

/* Element j of a word's embedding: a bf16 that differs from every other word's. */
static float embedding(int word, int j) {
  return ldexpf((float)(word + 1) + (float)(j % 16) / 16.0f, -4);
}

static void write_embeddings(const char *dir, uint64_t data) {
  static uint16_t row[D];
  const int fd = open(isc_test_path(dir, "model-0.safetensors"), O_WRONLY);
  cr_assert(fd >= 0);
  for (int w = 0; w < WORDS; w++) {
    for (int j = 0; j < D; j++) {
      const float x = embedding(w, j);
      uint32_t bits;
      memcpy(&bits, &x, sizeof bits);
      cr_assert_eq(bits & 0xFFFFu, 0);
      row[j] = (uint16_t)(bits >> 16);
    }
    cr_assert_eq(pwrite(fd, row, sizeof row, (off_t)(data + (uint64_t)w * sizeof row)),
                 (ssize_t)sizeof row);
  }
  close(fd);
}

static void write_tokenizer(const char *dir) {
  static char word[WORDS][8];
  const char *list[WORDS];
  isc_tokenizer *t;
  for (int i = 0; i < WORDS; i++) {
    snprintf(word[i], sizeof word[i], "w%d", i);
    list[i] = word[i];
  }
  isc_assert_ok(isc_tokenizer_from_words(list, WORDS, list[0], &t));
  isc_assert_ok(isc_tokenizer_save(t, dir));
  isc_tokenizer_close(t);
}

static const char *model(void) {
  files f = {.dir = isc_scratch("large-model")};
  uint64_t data, other;
  char *map, *index = NULL;
  begin_shard(&f);
  tensor(&f, "model.embed_tokens.weight", VOCAB, D);
  tensor(&f, "model.norm.weight", D, 0);
  bool made = end_shard(&f, &data);
  for (int l = 0; made && l < LAYERS; l += SHARD_LAYERS) {
    begin_shard(&f);
    for (int k = l; k < l + SHARD_LAYERS && k < LAYERS; k++)
      layer_tensors(&f, k);
    made = end_shard(&f, &other);
  }
  isc_assert_ok(isc_sb_finish(&f.map, &map));
  isc_assert_ok(isc_asprintf(&index, "{\"metadata\":{},\"weight_map\":{%s}}", map));
  isc_test_write(f.dir, "model.safetensors.index.json", index, strlen(index));
  isc_test_write(f.dir, "config.json", CONFIG, strlen(CONFIG));
  free(index);
  free(map);
  if (!made)
    cr_skip_test(
        "SKIPPED: needs a file system with sparse files of gigabytes below the build tree");
  write_embeddings(f.dir, data);
  write_tokenizer(f.dir);
  return f.dir;
}

static void remove_model(const char *dir) {
  for (int i = 0; i < 32; i++) {
    char name[64];
    snprintf(name, sizeof name, "model-%d.safetensors", i);
    unlink(isc_test_path(dir, name));
  }
}

/* ---- planning */

/* Bytes that this process has read so far; −1 when the system does not say. */
static long long bytes_read(void) {
  FILE *f = fopen("/proc/self/io", "r");
  char line[128];
  long long n = -1;
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "rchar: %lld", &n) == 1) break;
  if (f) fclose(f);
  return n;
}

Test(large_model, is_inspected_from_its_headers, .timeout = 120) {
  const char *dir = model();
  const isc_model_request q = {.path = dir};
  isc_model m;
  isc_inspection i;
  isc_assert_ok(isc_model_find(&q, &m)); /* loads plugins, whose code is read, too */
  const long long before = bytes_read();
  isc_assert_ok(isc_inspect(&m, &i));
  const long long after = bytes_read();
  cr_assert(before < 0 || after - before < 1000000, "%lld bytes were read", after - before);
  cr_assert_str_eq(m.cls->name, "gemma2");
  cr_assert_eq((double)i.plan.info.parameters, PARAMETERS);
  cr_assert_eq(i.bytes, 2 * PARAMETERS);
  cr_assert_eq(i.tensors, 46 * 11 + 2);
  cr_assert_eq(isc_plan_weights(&i.plan, ISC_F32, false), 4 * PARAMETERS);
  /* Norms stay f32: 185 of 4608. */
  cr_assert_eq(isc_plan_weights(&i.plan, ISC_BF16, false), 2 * PARAMETERS + 2.0 * 185 * D);
  cr_assert_float_eq(i.plan.layer[ISC_BF16], 1.13e9, 0.01e9);
  isc_inspection_free(&i);
  isc_model_close(&m);
  remove_model(dir);
}

Test(large_model, a_dry_run_tells_what_it_takes, .timeout = 120) {
  const char *dir = model();
  static const char study[] =
      "target = { plugin = \"gemma2\"; path = \".\"; precision = \"bf16\"; resident = \"stream\";\n"
      "  sites = [\"resid_post.20\"]; };\n"
      "prior = { plugin = \"text\"; path = \"lines.txt\"; train = 3; test = 2; test_fraction = "
      "0.4; };\n"
      "features = ();\n";
  static const char lines[] = "w5 w2\nw6\nw3 w1 w2\nw2 w2 w2 w2\nw7\n";
  isc_test_write(dir, "study.cfg", study, strlen(study));
  isc_test_write(dir, "lines.txt", lines, strlen(lines));
  isc_cli c = isc_cli_run(dir, (const char *const[]){"run", "study.cfg", "--dry-run", NULL}, NULL);
  cr_assert_eq(c.status, 0, "%s", c.err);
  static const char *const parts[] = {
      "46 layers, d_model 4608, 32 heads of 128 (16 of keys and values), gated MLP 36864",
      "27,227,128,320", "all weights                  109 GB      54.5 GB",
      "streamed                    6.98 GB      3.49 GB", "bf16, streamed"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    cr_assert(strstr(c.out, parts[i]), "no \"%s\" in: %s", parts[i], c.out);
  isc_cli_free(&c);
  remove_model(dir);
}

/* ---- running */

/* The largest resident size so far, in bytes; 0 when the system does not say. */
static double most_memory(void) {
  FILE *f = fopen("/proc/self/status", "r");
  char line[128];
  double kib = 0;
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "VmHWM: %lf", &kib) == 1) break;
  if (f) fclose(f);
  return kib * 1024;
}

typedef struct outcome {
  double memory, planned;
  double worst; /* |activation − scaled embedding|, relative */
  char error[512];
} outcome;

static isc_status harvest(const isc_model *m, outcome *o) {
  static const char *const patterns[] = {"resid_pre.0", "resid_post.0", "resid_post.1"};
  static float value[3][D];
  float *out[3] = {value[0], value[1], value[2]};
  const char *const text = TEXT;
  const size_t len = strlen(TEXT);
  isc_site_set sites;
  isc_memory_plan p;
  isc_harvest_plan plan;
  isc_site_sum sum;
  ISC_TRY(isc_target_plan(m->cls, m->conf, m->device, &p));
  ISC_TRY(isc_sites_measure(&p.info, patterns, 3, &sum));
  isc_harvest_plan_make(&p, &sum, 1, 1, TOKENS, &plan);
  o->planned = plan.peak;
  ISC_TRY(isc_sites_select(&m->target, patterns, 3, &sites));
  const isc_harvest h = {.target = &m->target,
                         .sites = &sites,
                         .text = &text,
                         .len = &len,
                         .n = 1,
                         .position = -1,
                         .batch = 1,
                         .out = out};
  const isc_status st = isc_harvest_run(&h, m->step);
  for (int k = 0; k < 3; k++)
    for (int j = 0; j < D; j++) {
      const double want = (double)embedding(WORD_OF[TOKENS - 1], j) * sqrt(D);
      o->worst = fmax(o->worst, fabs((double)value[k][j] - want) / want);
    }
  isc_sites_free(&sites);
  return st;
}

static void run_child(const char *dir, int to) {
  static const char *const set[] = {"target.precision=bf16", "target.resident=stream",
                                    "run.device=cpu"};
  const isc_model_request q = {.path = dir, .plugin = "gemma2", .set = set, .n_set = 3};
  outcome o = {0};
  isc_model m;
  isc_status st = isc_model_find(&q, &m);
  if (st == ISC_OK) st = isc_model_open(&m);
  if (st == ISC_OK) st = harvest(&m, &o);
  o.memory = most_memory();
  if (st != ISC_OK) snprintf(o.error, sizeof o.error, "%s", isc_error());
  _exit(write(to, &o, sizeof o) == (ssize_t)sizeof o ? 0 : 1);
}

Test(large_model, its_first_layers_run_in_the_memory_of_one, .timeout = 300) {
  if (SANITIZED) cr_skip_test("SKIPPED: measures memory, of which the sanitizer takes its own");
  const double needed = 6e9;
  if (isc_memory_available() < needed)
    cr_skip_test("SKIPPED: needs %.0f GB of free memory; %.1f are", needed / 1e9,
                 isc_memory_available() / 1e9);
  const char *dir = model();
  outcome o;
  int ends[2], status;
  cr_assert_eq(pipe(ends), 0);
  const pid_t pid = fork();
  if (pid == 0) run_child(dir, ends[1]);
  close(ends[1]);
  const ssize_t got = read(ends[0], &o, sizeof o);
  close(ends[0]);
  waitpid(pid, &status, 0);
  remove_model(dir);
  cr_assert_eq(got, (ssize_t)sizeof o, "the child ended with status %d", status);
  cr_assert_str_empty(o.error);
  cr_log_info("%.3g GB, planned %.3g GB", o.memory / 1e9, o.planned / 1e9);
  /* A bf16 embedding times an f32 constant, rounded once. */
  cr_assert(o.worst < 1e-6, "an activation is off by %g", o.worst);
  cr_assert(o.memory < 8e9, "%.3g GB", o.memory / 1e9);
  /* Beside what is planned: the program, its plugins, and the backend's scratch space. */
  cr_assert(o.memory < o.planned + 0.5e9, "%.3g GB, and %.3g GB were planned", o.memory / 1e9,
            o.planned / 1e9);
}
